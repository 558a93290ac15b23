"""Search over HTTP: forms of each type of parameter, order, pages, totals, includes, and how strict one wants it.

https://hl7.org/fhir/R4/search.html
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import Any

import httpx
import pytest

from tests.answers import refused
from tests.minimal import minimal
from tests.served import FHIR_JSON, Served

PATIENT = "http-search"
INS = "190017505600149"
INS_TEST = "urn:oid:1.2.250.1.213.1.4.10"
LOINC = "http://loinc.org"
MANY = 126
STRICT = {"Prefer": "handling=strict"}


def observation(number: int) -> dict[str, Any]:
    """One of many: two codes, a day that three of them share, the last without a date."""
    made = minimal(
        "Observation",
        id=f"{PATIENT}-{number:03}",
        subject={"reference": f"Patient/{PATIENT}"},
        status="final" if number % 2 else "amended",
        code={"coding": [{"system": LOINC, "code": "8480-6" if number % 3 else "8462-4"}], "text": "pression"},
        effectiveDateTime=str(date(2025, 1, 1) + timedelta(days=number // 3)),
        meta={"tag": [{"system": "https://example.org/tags", "code": f"t{number % 5}"}]},
    )
    if number == MANY - 1:
        del made["effectiveDateTime"]
    return made


@pytest.fixture(scope="module")
def conformance(served: Served) -> Iterator[httpx.Client]:
    """A client whose record holds many observations and some resources around them."""
    client = served.as_("conformance")
    around = [
        minimal(
            "Patient",
            id=PATIENT,
            identifier=[{"system": INS_TEST, "value": INS}],
            name=[{"family": "Lefèvre-O’Brien", "given": ["Zoé", "Anaïs"]}],
            birthDate="1990-05-02",
            active=True,
        ),
        minimal("Practitioner", id=f"{PATIENT}-dr", name=[{"family": "Zwang"}]),
        minimal(
            "Encounter",
            id=f"{PATIENT}-stay",
            subject={"reference": f"Patient/{PATIENT}"},
            participant=[{"individual": {"reference": f"Practitioner/{PATIENT}-dr"}}],
            period={"start": "2025-01-10", "end": "2025-01-12"},
        ),
        minimal("Questionnaire", id=f"{PATIENT}-form", url="https://example.org/fhir/Questionnaire/http-search"),
        minimal(
            "DiagnosticReport",
            id=f"{PATIENT}-report",
            subject={"reference": f"Patient/{PATIENT}"},
            encounter={"reference": f"Encounter/{PATIENT}-stay"},
            result=[{"reference": f"Observation/{PATIENT}-{number:03}"} for number in range(4)],
        ),
    ]
    made = around + [observation(number) for number in range(MANY)]
    answer = client.post(
        "",
        json={
            "resourceType": "Bundle",
            "type": "batch",
            "entry": [
                {"resource": one, "request": {"method": "PUT", "url": f"{one['resourceType']}/{one['id']}"}}
                for one in made
            ],
        },
        headers=FHIR_JSON,
    )
    assert {entry["response"]["status"] for entry in answer.json()["entry"]} == {"201"}, answer.text[:2000]
    yield client
    for one in reversed(made):
        client.delete(f"{one['resourceType']}/{one['id']}")


@pytest.fixture(scope="module")
def patient(served: Served, conformance: httpx.Client) -> httpx.Client:
    """The holder of that record."""
    return served.as_("patient", patient=INS)


@pytest.fixture(params=["conformance", "patient"])
def client(request: pytest.FixtureRequest, conformance: httpx.Client, patient: httpx.Client) -> httpx.Client:
    return conformance if request.param == "conformance" else patient


Pairs = Sequence[tuple[str, str]]


def found(client: httpx.Client, type: str, *pairs: tuple[str, str]) -> dict[str, Any]:
    """A searchset in which nothing was left out."""
    answer = client.get(type, params=list(pairs), headers=STRICT)
    assert answer.status_code == 200, answer.text
    bundle: dict[str, Any] = answer.json()
    assert (bundle["resourceType"], bundle["type"]) == ("Bundle", "searchset")
    return bundle


def ids(bundle: dict[str, Any], mode: str = "match") -> list[str]:
    entries = [entry for entry in bundle.get("entry", []) if entry["search"]["mode"] == mode]
    return [f"{entry['resource']['resourceType']}/{entry['resource']['id']}" for entry in entries]


def link(bundle: dict[str, Any], relation: str) -> str | None:
    return next((one["url"] for one in bundle["link"] if one["relation"] == relation), None)


def observations(*numbers: int) -> list[str]:
    return [f"Observation/{PATIENT}-{number:03}" for number in numbers]


ALL = range(MANY)
DATED = range(MANY - 1)


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ([("code", "8480-6")], [n for n in ALL if n % 3]),
        ([("code", f"{LOINC}|8480-6")], [n for n in ALL if n % 3]),
        ([("code", f"{LOINC}|")], list(ALL)),
        ([("code", "|8480-6")], []),
        ([("code", "urn:other|8480-6")], []),
        ([("code", "8480-6,8462-4")], list(ALL)),
        ([("code", "8480-6"), ("code", "8462-4")], []),
        ([("code:not", "8480-6")], [n for n in ALL if not n % 3]),
        ([("status", "final"), ("code", "8462-4")], [n for n in ALL if n % 2 and not n % 3]),
        (
            [("_tag", "https://example.org/tags|t1"), ("status", "amended")],
            [n for n in ALL if n % 5 == 1 and not n % 2],
        ),
        ([("subject", f"Patient/{PATIENT}")], list(ALL)),
        ([("subject:Patient", PATIENT)], list(ALL)),
        ([("patient.identifier", f"{INS_TEST}|{INS}")], list(ALL)),
        ([("date", "2025-01-02")], [3, 4, 5]),
        ([("date", "2025-01")], list(range(93))),
        ([("date", "eq2025-01-02")], [3, 4, 5]),
        ([("date", "lt2025-01-02")], [0, 1, 2]),
        ([("date", "le2025-01-02")], [0, 1, 2, 3, 4, 5]),
        ([("date", "ge2025-02-11")], [123, 124]),
        ([("date", "gt2025-02-11")], []),
        ([("date", "sa2025-02-10")], [123, 124]),
        ([("date", "eb2025-01-02")], [0, 1, 2]),
        ([("date", "ne2025-01")], list(range(93, MANY - 1))),
        ([("date", "ge2025-01-02"), ("date", "lt2025-01-03")], [3, 4, 5]),
        ([("date", "2025-01-01,2025-01-02")], [0, 1, 2, 3, 4, 5]),
        ([("_id", f"{PATIENT}-001")], [1]),
        ([("_id", f"{PATIENT}-001,{PATIENT}-002,absent")], [1, 2]),
    ],
)
def test_what_is_asked_is_found(client: httpx.Client, pairs: Pairs, expected: list[int]) -> None:
    bundle = found(client, "Observation", ("patient", PATIENT), *pairs, ("_count", "1000"))
    assert sorted(ids(bundle)) == observations(*expected)
    assert bundle["total"] == len(expected)


@pytest.mark.parametrize(
    "pair",
    [
        ("family", "lefevre"),
        ("family", "LEFÈVRE-O'B"),
        ("given", "zoe"),
        ("given", "anaïs"),
        ("name", "Lef"),
        ("birthdate", "1990-05"),
        ("birthdate", "ap1990-05-02"),
        ("identifier", f"{INS_TEST}|{INS}"),
        ("identifier", INS),
        ("active", "true"),
        ("_id", PATIENT),
    ],
)
def test_a_patient_is_found(client: httpx.Client, pair: tuple[str, str]) -> None:
    assert f"Patient/{PATIENT}" in ids(found(client, "Patient", pair, ("_count", "1000")))


@pytest.mark.parametrize("pair", [("family", "evre"), ("family", "brien"), ("given", "zoex"), ("birthdate", "1990-06")])
def test_another_patient_is_not_found(client: httpx.Client, pair: tuple[str, str]) -> None:
    assert f"Patient/{PATIENT}" not in ids(found(client, "Patient", pair, ("_count", "1000")))


def test_a_uri_is_found_whole(client: httpx.Client) -> None:
    url = "https://example.org/fhir/Questionnaire/http-search"
    assert ids(found(client, "Questionnaire", ("url", url))) == [f"Questionnaire/{PATIENT}-form"]
    for other in (url[:-1], url.upper(), f"{url}/"):
        assert ids(found(client, "Questionnaire", ("url", other))) == []


@pytest.mark.parametrize("count", [10, 50, MANY - 1, MANY])
@pytest.mark.parametrize("sort", [None, "date", "-date", "_id", "-_id", "_lastUpdated", "-_lastUpdated"])
def test_pages_hold_everything_once(served: Served, client: httpx.Client, sort: str | None, count: int) -> None:
    """Also where many share a date, and for the one that has none."""
    pairs = [("patient", PATIENT), ("_count", str(count)), *([("_sort", sort)] if sort else [])]
    bundle = found(client, "Observation", *pairs)
    every = ids(bundle)
    while (following := link(bundle, "next")) is not None:
        assert following.startswith(f"{served.base}/Observation?patient={PATIENT}&_count={count}")
        assert len(bundle["entry"]) == count
        bundle = client.get(following).json()
        every += ids(bundle)
        assert len(every) <= MANY
    assert len(set(every)) == len(every)
    assert sorted(every) == observations(*ALL)
    if sort in ("_id", "-_id"):
        assert every == sorted(every, reverse=sort == "-_id")
    if sort in (None, "date", "-date"):
        assert every[-1:] == observations(MANY - 1), "what has no date is last either way"
        days = [observation(int(one[-3:]))["effectiveDateTime"] for one in every[:-1]]
        assert days == sorted(days, reverse=sort != "date")


def test_one_entry_a_page(client: httpx.Client) -> None:
    """Where three share a date, and at the one without."""
    pairs = [
        ("patient", PATIENT),
        ("_count", "1"),
        ("_sort", "date"),
        ("_id", f"{PATIENT}-003,{PATIENT}-004,{PATIENT}-125"),
    ]
    bundle = found(client, "Observation", *pairs)
    every = ids(bundle)
    while (following := link(bundle, "next")) is not None:
        bundle = client.get(following).json()
        every += ids(bundle)
    assert every == observations(3, 4, 125)


def test_a_page_stands_still_while_others_write(conformance: httpx.Client, patient: httpx.Client) -> None:
    """A new entry before the position moves nothing; keyset pages have no offset."""
    pairs = [("patient", PATIENT), ("_sort", "_id"), ("_count", "100")]
    first = found(patient, "Observation", *pairs)
    early = f"Observation/{PATIENT}-000a"
    body = {**observation(0), "id": early.partition("/")[2]}
    assert conformance.put(early, json=body, headers=FHIR_JSON).status_code == 201
    second = patient.get(link(first, "next") or "").json()
    assert ids(second) == observations(*range(100, MANY))
    conformance.delete(early)


@pytest.mark.parametrize("total", ["accurate", "estimate", "none"])
def test_the_total_is_that_of_what_is_visible(client: httpx.Client, total: str) -> None:
    pairs = [("patient", PATIENT), ("code", "8480-6"), ("_total", total)]
    bundle = found(client, "Observation", *pairs, ("_count", "10"))
    assert bundle.get("total") == (None if total == "none" else 84)


def test_only_the_number(client: httpx.Client) -> None:
    for pair in (("_summary", "count"), ("_count", "0")):
        bundle = found(client, "Observation", ("patient", PATIENT), ("code", "8480-6"), pair)
        assert bundle["total"] == 84
        assert "entry" not in bundle
        assert link(bundle, "next") is None


def test_includes_go_with_their_matches(client: httpx.Client) -> None:
    bundle = found(
        client,
        "DiagnosticReport",
        ("patient", PATIENT),
        ("_include", "DiagnosticReport:result"),
        ("_include", "DiagnosticReport:encounter"),
        ("_include", "DiagnosticReport:patient"),
        ("_include", "DiagnosticReport:performer"),
    )
    assert ids(bundle) == [f"DiagnosticReport/{PATIENT}-report"]
    expected = [*observations(0, 1, 2, 3), f"Encounter/{PATIENT}-stay", f"Patient/{PATIENT}"]
    assert sorted(ids(bundle, "include")) == sorted(expected)
    assert bundle["total"] == 1, "what is included is not counted"


def test_one_hop_and_one_type(client: httpx.Client) -> None:
    bundle = found(client, "Encounter", ("patient", PATIENT), ("_include", "Encounter:practitioner"))
    assert ids(bundle, "include") == [f"Practitioner/{PATIENT}-dr"]
    bundle = found(client, "Encounter", ("patient", PATIENT), ("_include", "Encounter:subject:Group"))
    assert ids(bundle, "include") == []


def test_what_points_to_the_matches(client: httpx.Client) -> None:
    bundle = found(
        client,
        "Encounter",
        ("patient", PATIENT),
        ("_revinclude", "DiagnosticReport:encounter"),
        ("_revinclude", "Observation:encounter"),
    )
    assert ids(bundle, "include") == [f"DiagnosticReport/{PATIENT}-report"]
    bundle = found(client, "Observation", ("_id", f"{PATIENT}-002"), ("_revinclude", "DiagnosticReport:result"))
    assert ids(bundle, "include") == [f"DiagnosticReport/{PATIENT}-report"]


def test_parameters_in_the_form_and_in_the_url(client: httpx.Client) -> None:
    form = {"code": "8462-4", "_count": "1000"}
    posted = client.post("Observation/_search", params={"patient": PATIENT, "status": "final"}, data=form)
    got = found(client, "Observation", ("patient", PATIENT), ("status", "final"), *form.items())
    assert posted.status_code == 200
    assert posted.json() == got
    assert len(ids(got)) == 21
    nothing = client.post("Observation/_search", params={"patient": PATIENT})
    assert nothing.status_code == 200, "all may be in the URL"
    refused(client.post("Observation/_search", json=form), 415)
    refused(client.post("Observation/_search", data={"code:unheard": "a"}), 400)


def test_of_the_whole_system(client: httpx.Client) -> None:
    types = "Observation,Encounter,DiagnosticReport"
    for answer in (
        client.get("", params={"_type": types, "patient": PATIENT, "_total": "accurate", "_count": "5"}),
        client.post("_search", data={"_type": types, "patient": PATIENT, "_total": "accurate", "_count": "5"}),
    ):
        assert answer.status_code == 200, answer.text
        assert answer.json()["total"] == MANY + 2
    both = client.get("", params={"_id": f"{PATIENT}-stay,{PATIENT}-report"})
    assert sorted(ids(both.json())) == [f"DiagnosticReport/{PATIENT}-report", f"Encounter/{PATIENT}-stay"]


def test_what_is_left_out_is_told(client: httpx.Client) -> None:
    pairs = {"patient": PATIENT, "unheard-of": "1", "_content": "5", "code": "8462-4", "_count": "1000"}
    answer = client.get("Observation", params=pairs)
    assert answer.status_code == 200
    bundle = answer.json()
    assert len(ids(bundle)) == 42
    (outcome,) = [entry for entry in bundle["entry"] if entry["search"]["mode"] == "outcome"]
    told = outcome["resource"]["issue"]
    assert {issue["expression"][0] for issue in told} == {"http.unheard-of", "http._content"}
    assert {issue["severity"] for issue in told} == {"warning"}
    assert "unheard-of" not in (link(bundle, "self") or "")
    assert "_content" not in (link(bundle, "self") or "")
    assert client.get("Observation", params=pairs, headers={"Prefer": "handling=lenient"}).json() == bundle

    strict = client.get("Observation", params=pairs, headers=STRICT)
    refused(strict, 400, "not-supported")
    assert {issue["expression"][0] for issue in strict.json()["issue"]} == {"http.unheard-of", "http._content"}


def test_the_self_link_tells_what_was_used(served: Served, client: httpx.Client) -> None:
    bundle = found(client, "Observation", ("patient", PATIENT), ("code", f"{LOINC}|8462-4"), ("_count", "3"))
    assert link(bundle, "self") == (
        f"{served.base}/Observation?patient={PATIENT}&code=http%3A%2F%2Floinc.org%7C8462-4&_count=3"
    )
    assert ids(client.get(link(bundle, "self") or "").json()) == ids(bundle)


def test_a_page_is_its_readers_alone(served: Served, conformance: httpx.Client, patient: httpx.Client) -> None:
    first = found(patient, "Observation", ("patient", PATIENT), ("_count", "5"))
    following = link(first, "next") or ""
    assert patient.get(following).status_code == 200
    told = refused(conformance.get(following), 400, "invalid")
    assert told["expression"] == ["http._page"]
    refused(served.as_("patient").get(following), 400, "invalid")
    refused(patient.get(following.replace("_count=5", "_count=6")), 400, "invalid")


def test_another_patient_sees_none_of_it(served: Served, conformance: httpx.Client) -> None:
    other = served.as_("patient")
    for pairs in ([("patient", PATIENT)], [("_id", f"{PATIENT}-001")], [("code", "8480-6")]):
        bundle = found(other, "Observation", *pairs, ("_total", "accurate"))
        assert not [one for one in ids(bundle) if PATIENT in one]
        assert bundle["total"] == len(ids(bundle))
    assert ids(found(other, "Encounter", ("_revinclude", "DiagnosticReport:encounter")), "include") == []


def test_a_count_over_the_limit_is_lowered_and_told(client: httpx.Client) -> None:
    answer = client.get("Observation", params={"patient": PATIENT, "_count": "1000000000"})
    assert answer.status_code == 200
    assert "_count=1000" in (link(answer.json(), "self") or "")
    (outcome,) = [entry for entry in answer.json()["entry"] if entry["search"]["mode"] == "outcome"]
    assert outcome["resource"]["issue"][0]["severity"] == "information"

"""What is answered: order, totals, parts of resources, and what is included.

https://hl7.org/fhir/R4/search.html#return
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import httpx
import pytest

from tests.answers import refused
from tests.http.searching import (
    INS_TEST,
    LOINC,
    STRICT,
    TAGS,
    UCUM,
    Pair,
    coded,
    found,
    keys,
    link,
    names,
    outcome,
    pointer,
    searchset,
    stored,
    tagged,
)
from tests.served import FHIR_JSON, Served

WORLD = "results"
TAG = ("_tag", f"{TAGS}|{WORLD}")
PATIENT = pointer("Patient", f"{WORLD}-pat")
SUBSETTED = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"}
NARRATIVE = {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">Tension</div>'}


def made(type: str, id: str, /, **members: Any) -> dict[str, Any]:
    return tagged(WORLD, type, id, **members)


def to(type: str, id: str) -> dict[str, str]:
    return pointer(type, f"{WORLD}-{id}")


def observation(id: str, **members: Any) -> dict[str, Any]:
    return made("Observation", id, subject=PATIENT, **{"effectiveDateTime": None, **members})


def place(id: str, *, within: str | None = None, **members: Any) -> dict[str, Any]:
    return made("Location", id, name=id, partOf=to("Location", within) if within else None, **members)


DAYS = {"a": "2026-01-03", "b": "2026-01-01", "c": "2026-01-02", "d": "2026-01-02"}


def world() -> list[dict[str, Any]]:
    return [
        made("Organization", "hospital", name="Hôpital", partOf=to("Organization", "group")),
        made("Organization", "group", name="Groupement"),
        made("Practitioner", "dr", name=[{"family": "Zwang"}]),
        made(
            "PractitionerRole",
            "role",
            practitioner=to("Practitioner", "dr"),
            organization=to("Organization", "hospital"),
        ),
        made(
            "Patient",
            "pat",
            identifier=[{"system": INS_TEST, "value": "190017505600563"}],
            name=[{"family": "Rivière"}],
            gender="female",
            birthDate="1960-02-03",
            text=NARRATIVE,
            managingOrganization=to("Organization", "hospital"),
            generalPractitioner=[to("Practitioner", "dr")],
            contact=[{"name": {"family": "Contact"}, "gender": "male"}],
        ),
        place("site", managingOrganization=to("Organization", "hospital")),
        place("building", within="site"),
        place("ward", within="building"),
        place("room", within="ward"),
        made("Encounter", "stay", subject=PATIENT, location=[{"location": to("Location", "room")}]),
        *(
            observation(
                id,
                effectiveDateTime=day,
                status="final" if id in "ab" else "amended",
                encounter=to("Encounter", "stay"),
            )
            for id, day in DAYS.items()
        ),
        observation(
            "undated",
            status="final",
            text=NARRATIVE,
            valueQuantity={"value": 9, "unit": "g", "system": UCUM, "code": "g"},
        ),
        observation(
            "light",
            status="final",
            valueQuantity={"value": 8, "unit": "mg", "system": UCUM, "code": "mg"},
            code=coded("z", LOINC),
        ),
        observation("leaf", status="registered"),
        observation("panel", status="registered", hasMember=[to("Observation", "leaf")]),
        observation(
            "battery", status="registered", hasMember=[to("Observation", "panel")], performer=[to("Practitioner", "dr")]
        ),
        made("Provenance", "who", target=[to("Observation", "battery")], agent=[{"who": to("Practitioner", "dr")}]),
        made("ValueSet", "v1", status="active", url="https://acme.example/b", name="Beta"),
        made("ValueSet", "v2", status="active", url="https://acme.example/a", name="alpha"),
        made("ChargeItem", "c2", subject=PATIENT, factorOverride=2),
        made("ChargeItem", "c10", subject=PATIENT, factorOverride=10),
        made("ChargeItem", "c1.5", subject=PATIENT, factorOverride=1.5),
        made("ChargeItem", "none", subject=PATIENT),
        made("CareTeam", "several", subject=PATIENT, category=[coded("a"), coded("z")]),
        made("CareTeam", "middle", subject=PATIENT, category=[coded("m")]),
    ]


OBSERVATIONS = {*DAYS, "undated", "light", "leaf", "panel", "battery"}


@pytest.fixture(scope="module")
def client(served: Served) -> Iterator[httpx.Client]:
    client = served.as_("conformance")
    with stored(client, world()):
        yield client


def asked(client: httpx.Client, type: str, *pairs: Pair) -> dict[str, Any]:
    return found(client, type, TAG, *pairs)


def listed(client: httpx.Client, type: str, *pairs: Pair) -> list[str]:
    """The ids that are found, in their order."""
    return names(asked(client, type, *pairs), WORLD)


# _sort


@pytest.mark.parametrize(
    ("type", "pairs", "sort", "expected"),
    [
        ("Observation", [("date:missing", "false")], "date", ["b", "c", "d", "a"]),
        ("Observation", [("date:missing", "false")], "-date", ["a", "c", "d", "b"]),
        ("Observation", [("date:missing", "false")], "status,-date", ["c", "d", "a", "b"]),
        ("Observation", [("date:missing", "false")], "-status,date", ["b", "a", "c", "d"]),
        ("Observation", [("date:missing", "false")], "date,-_id", ["b", "d", "c", "a"]),
        ("Observation", [("date:missing", "false")], "-_id", ["d", "c", "b", "a"]),
        ("Observation", [("date:missing", "false")], "_id", ["a", "b", "c", "d"]),
        ("Observation", [("status", "final")], "date", ["b", "a", "light", "undated"]),
        ("Observation", [("status", "final")], "-date", ["a", "b", "light", "undated"]),
        ("Observation", [("status", "final")], "value-quantity", ["light", "undated", "a", "b"]),
        ("Observation", [("status", "final")], "-value-quantity", ["undated", "light", "a", "b"]),
        ("Observation", [("status", "final")], "-value-quantity,date", ["undated", "light", "b", "a"]),
        ("Observation", [("status", "registered")], "-has-member,_id", ["battery", "panel", "leaf"]),
        ("Observation", [("status", "registered")], "has-member", ["panel", "battery", "leaf"]),
        ("ChargeItem", [], "factor-override", ["c1.5", "c2", "c10", "none"]),
        ("ChargeItem", [], "-factor-override", ["c10", "c2", "c1.5", "none"]),
        ("ValueSet", [], "url", ["v2", "v1"]),
        ("ValueSet", [], "-url", ["v1", "v2"]),
        ("ValueSet", [], "name", ["v2", "v1"]),  # without case
        ("ValueSet", [], "-name", ["v1", "v2"]),
        # of several values the one that comes first in the order asked
        ("CareTeam", [], "category", ["several", "middle"]),
        ("CareTeam", [], "-category", ["several", "middle"]),
        ("Location", [], "-partof,name", ["room", "building", "ward", "site"]),
    ],
)
def test_the_order_is_the_one_asked_and_what_has_no_value_comes_last(
    client: httpx.Client, type: str, pairs: Sequence[Pair], sort: str, expected: list[str]
) -> None:
    bundle = asked(client, type, *pairs, ("_sort", sort))
    assert names(bundle, WORLD) == expected
    assert f"_sort={sort.replace(',', '%2C')}" in (link(bundle, "self") or "")


def test_the_order_may_be_told_in_several_parameters(client: httpx.Client) -> None:
    pairs = [("date:missing", "false"), ("_sort", "status"), ("_sort", "-date")]
    assert listed(client, "Observation", *pairs) == ["c", "d", "a", "b"]


def test_the_order_of_updates(client: httpx.Client) -> None:
    """All were written in one batch, one after the other; then one is written again."""
    again = client.get(f"Observation/{WORLD}-a").json()
    assert client.put(f"Observation/{WORLD}-a", json=again, headers=FHIR_JSON).status_code == 200
    assert listed(client, "Observation", ("_sort", "-_lastUpdated"))[0] == "a"
    assert listed(client, "Observation", ("_sort", "_lastUpdated"))[-1] == "a"


@pytest.mark.parametrize("sort", ["unheard-of", "-unheard-of", "_score", "date:missing", "subject.name", "near"])
def test_an_order_by_what_cannot_be_sorted_by_is_named(client: httpx.Client, sort: str) -> None:
    told = refused(client.get("Observation", params={"_sort": sort}, headers=STRICT), 400, "not-supported")
    assert told["expression"] == ["http._sort"]
    bundle = searchset(client.get("Observation", params=[TAG, ("_sort", sort)]))
    assert [issue["expression"] for issue in outcome(bundle)] == [["http._sort"]]
    assert "_sort" not in (link(bundle, "self") or "")


def test_an_order_of_too_many_keys_is_refused(client: httpx.Client) -> None:
    keys = "status,date,code,category,subject,_id"
    refused(client.get("Observation", params={"_sort": keys}), 400, "invalid", "takes 5")


# _total and _count


@pytest.mark.parametrize(("total", "expected"), [("none", None), ("estimate", 9), ("accurate", 9), (None, None)])
def test_the_total_is_as_exact_as_asked(client: httpx.Client, total: str | None, expected: int | None) -> None:
    pairs = [("_count", "2"), *([("_total", total)] if total else [])]
    assert asked(client, "Observation", *pairs).get("total") == expected


def test_a_page_that_is_all_there_is_has_a_total(client: httpx.Client) -> None:
    assert asked(client, "Observation")["total"] == 9
    assert "total" not in asked(client, "Observation", ("_total", "none"))


@pytest.mark.parametrize("pair", [("_count", "0"), ("_summary", "count")])
def test_the_number_alone(client: httpx.Client, pair: Pair) -> None:
    """Without entries and without links to other pages, whatever else is asked."""
    bundle = asked(client, "Observation", pair, ("_include", "Observation:subject"), ("_sort", "date"))
    assert bundle["total"] == 9
    assert "entry" not in bundle
    assert [one["relation"] for one in bundle["link"]] == ["self"]


def test_the_total_counts_matches_alone(client: httpx.Client) -> None:
    bundle = asked(client, "Encounter", ("_include", "Encounter:location"), ("_revinclude", "Observation:encounter"))
    assert bundle["total"] == 1
    assert len(bundle["entry"]) == 6


def test_the_number_of_entries_is_that_of_matches(client: httpx.Client) -> None:
    bundle = asked(client, "Observation", ("_count", "1"), ("_sort", "date"), ("_include", "Observation:encounter"))
    assert names(bundle, WORLD) == ["b"]
    assert keys(bundle, "include") == [f"Encounter/{WORLD}-stay"]


def test_a_number_over_the_limit_is_lowered_and_told(client: httpx.Client) -> None:
    bundle = asked(client, "Observation", ("_count", "1001"))
    (issue,) = outcome(bundle)
    assert (issue["severity"], issue["expression"]) == ("information", ["http._count"])
    assert "_count=1000" in (link(bundle, "self") or "")


# _summary and _elements


def body(client: httpx.Client, type: str, id: str, *pairs: Pair) -> dict[str, Any]:
    """The one resource of this id as it is answered."""
    bundle = found(client, type, ("_id", f"{WORLD}-{id}"), *pairs)
    resource: dict[str, Any] = bundle["entry"][0]["resource"]
    return resource


def is_part(resource: dict[str, Any]) -> bool:
    return SUBSETTED in resource["meta"]["tag"]


def test_a_summary_holds_what_the_standard_flags(client: httpx.Client) -> None:
    resource = body(client, "Patient", "pat", ("_summary", "true"))
    assert resource.keys() == {
        "resourceType",
        "id",
        "meta",
        "identifier",
        "name",
        "gender",
        "birthDate",
        "managingOrganization",
    }
    assert is_part(resource)


def test_a_summary_of_text_holds_the_narrative_and_what_is_mandatory(client: httpx.Client) -> None:
    resource = body(client, "Observation", "undated", ("_summary", "text"))
    assert resource.keys() == {"resourceType", "id", "meta", "text", "status", "code"}
    assert is_part(resource)


def test_a_summary_of_data_holds_all_but_the_narrative(client: httpx.Client) -> None:
    whole = body(client, "Patient", "pat")
    resource = body(client, "Patient", "pat", ("_summary", "data"))
    assert resource.keys() == whole.keys() - {"text"}
    assert is_part(resource)


def test_no_summary_holds_everything(client: httpx.Client) -> None:
    resource = body(client, "Patient", "pat", ("_summary", "false"))
    assert resource == body(client, "Patient", "pat") == client.get(f"Patient/{WORLD}-pat").json()
    assert not is_part(resource)


def test_a_summary_of_text_and_includes_are_not_mixed(client: httpx.Client) -> None:
    for include in ("_include", "_revinclude"):
        answer = client.get("Observation", params={"_summary": "text", include: "Observation:has-member"})
        assert refused(answer, 400)["expression"] == ["http._summary"]


def test_elements_come_with_what_is_mandatory(client: httpx.Client) -> None:
    resource = body(client, "Observation", "undated", ("_elements", "subject,value"))
    assert resource.keys() == {"resourceType", "id", "meta", "status", "code", "subject", "valueQuantity"}
    assert is_part(resource)


def test_elements_are_not_meant_for_what_is_included(client: httpx.Client) -> None:
    bundle = found(
        client, "Patient", ("_id", f"{WORLD}-pat"), ("_elements", "id"), ("_include", "Patient:organization")
    )
    patient, organisation = (entry["resource"] for entry in bundle["entry"])
    assert "birthDate" not in patient
    assert organisation == client.get(f"Organization/{WORLD}-hospital").json()


def test_elements_that_are_none_are_named(client: httpx.Client) -> None:
    bundle = searchset(client.get("Patient", params=[TAG, ("_elements", "gender,unheard")]))
    assert [issue["expression"] for issue in outcome(bundle)] == [["http._elements"]]
    refused(client.get("Patient", params={"_elements": "unheard"}, headers=STRICT), 400)


def test_a_part_is_not_what_is_stored(client: httpx.Client) -> None:
    """A part has the version of the whole, and the whole is still there."""
    part, whole = body(client, "Patient", "pat", ("_elements", "gender")), body(client, "Patient", "pat")
    assert part["meta"]["versionId"] == whole["meta"]["versionId"]
    assert not is_part(whole)


# _contained, _format, _pretty


def test_contained_resources_are_not_searched(client: httpx.Client) -> None:
    assert asked(client, "Observation", ("_contained", "false"))["total"] == 9
    for value in ("true", "both"):
        told = refused(client.get("Observation", params={"_contained": value}, headers=STRICT), 400, "not-supported")
        assert told["expression"] == ["http._contained"]
        bundle = searchset(client.get("Observation", params=[TAG, ("_contained", value)]))
        assert [issue["expression"] for issue in outcome(bundle)] == [["http._contained"]]


def test_format_and_pretty_are_no_search_parameters(client: httpx.Client) -> None:
    plain = client.get("Observation", params=[TAG], headers=STRICT)
    for value in ("json", "application/json", "application/fhir+json"):
        answer = client.get("Observation", params=[TAG, ("_format", value), ("_pretty", "true")], headers=STRICT)
        assert answer.status_code == 200
        assert answer.json()["entry"] == plain.json()["entry"]
        assert answer.text == json.dumps(answer.json(), indent=2, ensure_ascii=False)
    refused(client.get("Observation", params={"_format": "text/turtle"}), 406)

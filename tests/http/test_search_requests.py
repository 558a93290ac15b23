"""What every type is searched by, and every way to ask: GET, POST, encodings, strict and lenient.

https://hl7.org/fhir/R4/search.html#all · #errors · #escaping · #conformance · https://hl7.org/fhir/R4/http.html#search
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import httpx
import pytest

from tests.answers import refused
from tests.http.searching import (
    INS_TEST,
    STRICT,
    TAGS,
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

WORLD = "requests"
TAG = ("_tag", f"{TAGS}|{WORLD}")
PROFILE = "https://acme.example/fhir/StructureDefinition/lipid"
CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
ODD = "a,b|c$d\\e"
"""A value of every sign that means something in a query."""


def made(type: str, id: str, /, **members: Any) -> dict[str, Any]:
    return tagged(WORLD, type, id, **members)


def world() -> list[dict[str, Any]]:
    patient = pointer("Patient", f"{WORLD}-pat")
    return [
        made(
            "Patient",
            "pat",
            identifier=[{"system": INS_TEST, "value": "190017505600967"}, {"system": "urn:a|b", "value": ODD}],
            name=[{"family": "Plus+Signe & Cie", "given": ["A, B", "100 %"]}],
            telecom=[{"system": "phone", "value": "+33612345678"}],
            gender="female",
        ),
        made("Practitioner", "dr", name=[{"family": "Plus+Signe"}], gender="female"),
        made(
            "Observation",
            "labelled",
            subject=patient,
            code=coded(ODD, "urn:odd"),
            meta={
                "tag": [{"system": TAGS, "code": WORLD}, {"system": "urn:tags", "code": "needs-review"}],
                "profile": [f"{PROFILE}|1.0"],
                "security": [{"system": CONFIDENTIALITY, "code": "R"}],
                "source": "https://acme.example/source#17",
            },
        ),
        made("Observation", "plain", subject=patient, code=coded("a", "urn:odd")),
        made("Observation", "other", subject=patient, code=coded("b", "urn:odd")),
    ]


@pytest.fixture(scope="module")
def client(served: Served) -> Iterator[httpx.Client]:
    client = served.as_("conformance")
    with stored(client, world()):
        yield client


def asked(client: httpx.Client, type: str, *pairs: Pair) -> set[str]:
    """What is found in this world."""
    return set(names(found(client, type, TAG, *pairs), WORLD))


OBSERVATIONS = {"labelled", "plain", "other"}


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("_id", f"{WORLD}-plain", {"plain"}),
        ("_id", f"{WORLD}-plain,{WORLD}-other,absent", {"plain", "other"}),
        ("_id", f"{WORLD}-PLAIN", set()),
        ("_id", f"Observation/{WORLD}-plain", set()),
        ("_id:not", f"{WORLD}-plain", {"labelled", "other"}),
        ("_tag", "urn:tags|needs-review", {"labelled"}),
        ("_tag", "needs-review", {"labelled"}),
        ("_tag:not", "needs-review", {"plain", "other"}),
        ("_profile", PROFILE, {"labelled"}),
        ("_profile", f"{PROFILE}|1.0", {"labelled"}),
        ("_profile", f"{PROFILE}|2.0", set()),
        ("_profile:below", "https://acme.example/fhir/", {"labelled"}),
        ("_profile:missing", "true", {"plain", "other"}),
        ("_security", f"{CONFIDENTIALITY}|R", {"labelled"}),
        ("_security", "R", {"labelled"}),
        ("_security:not", "R", {"plain", "other"}),
        ("_source", "https://acme.example/source#17", {"labelled"}),
        ("_source", "https://acme.example/source", set()),
        ("_source:below", "https://acme.example/", {"labelled"}),
        ("_lastUpdated", "gt2020-01-01", OBSERVATIONS),
        ("_lastUpdated", "lt2020-01-01", set()),
        ("_lastUpdated", "ap2020-01-01", set()),
    ],
)
def test_what_every_resource_is_found_by(client: httpx.Client, name: str, value: str, expected: set[str]) -> None:
    assert asked(client, "Observation", (name, value)) == expected


def test_a_resource_is_found_by_the_moment_it_says_it_was_updated(client: httpx.Client) -> None:
    moment = client.get(f"Observation/{WORLD}-plain").json()["meta"]["lastUpdated"]
    one = ("_id", f"{WORLD}-plain")
    today = f"{datetime.fromisoformat(moment).astimezone(UTC):%Y-%m-%d}"
    for value in (moment, f"ge{moment}", f"le{moment}", f"eq{moment}", f"ap{moment}", today, f"sa{int(today[:4]) - 1}"):
        assert asked(client, "Observation", one, ("_lastUpdated", value)) == {"plain"}, value
    for value in (f"gt{moment}", f"lt{moment}", f"ne{moment}", f"sa{today}", f"eb{today}", f"ne{today}"):
        assert asked(client, "Observation", one, ("_lastUpdated", value)) == set(), value


# the whole system


def test_several_types_are_searched_by_what_they_have_in_common(client: httpx.Client) -> None:
    bundle = found(client, "", TAG, ("_type", "Patient,Practitioner"), ("family", "plus"), ("gender", "female"))
    assert sorted(keys(bundle)) == [f"Patient/{WORLD}-pat", f"Practitioner/{WORLD}-dr"]
    bundle = found(client, "", TAG, ("_type", "Observation"), ("code", "a"))
    assert names(bundle, WORLD) == ["plain"]
    assert len(keys(found(client, "", TAG))) == 5


def test_what_is_not_of_every_type_is_named(client: httpx.Client) -> None:
    params = [TAG, ("_type", "Patient,Observation"), ("family", "plus")]
    told = refused(client.get("", params=list(params), headers=STRICT), 400, "not-supported")
    assert told["expression"] == ["http.family"]
    bundle = searchset(client.get("", params=list(params)))
    assert [issue["expression"] for issue in outcome(bundle)] == [["http.family"]]
    assert refused(client.get("", params={"family": "plus"}, headers=STRICT), 400)["expression"] == ["http.family"]


@pytest.mark.parametrize("value", ["Unheard", "Patient,Unheard", "patient", "Resource", "AuditEvent", "Patient,,List"])
def test_a_type_that_is_none_is_refused(client: httpx.Client, value: str) -> None:
    assert refused(client.get("", params={"_type": value}), 400)["expression"] == ["http._type"]


def test_a_type_of_one_type_is_an_unknown_parameter(client: httpx.Client) -> None:
    refused(client.get("Patient", params={"_type": "Patient"}, headers=STRICT), 400, "not-supported")


# the ways to ask


def test_get_and_post_are_one_search(client: httpx.Client) -> None:
    params = {"_tag": TAG[1], "code": "a,b", "_sort": "-_id"}
    got = searchset(client.get("Observation", params=params))
    assert names(got, WORLD) == ["plain", "other"]
    halves = [dict(list(params.items())[:at]) for at in range(4)]
    rests = [dict(list(params.items())[at:]) for at in range(4)]
    for url, form in zip(halves, rests, strict=True):
        posted = searchset(client.post("Observation/_search", params=url, data=form))
        assert posted["entry"] == got["entry"]
        assert dict(parse_qsl(urlsplit(link(posted, "self") or "").query)) == params
    assert client.head("Observation", params=params).status_code == 200
    of_all = {**params, "_type": "Observation"}
    assert searchset(client.post("_search", data=of_all))["entry"] == searchset(client.get("", params=of_all))["entry"]


def test_what_is_in_the_url_and_in_the_form_must_both_hold(client: httpx.Client) -> None:
    posted = client.post("Observation/_search", params={"_tag": TAG[1], "code": "a"}, data={"code": "b"})
    assert names(searchset(posted), WORLD) == []
    posted = client.post("Observation/_search", params={"_tag": TAG[1], "code": "a,b"}, data={"code": "b"})
    assert names(searchset(posted), WORLD) == ["other"]


def test_a_form_is_of_its_media_type(client: httpx.Client) -> None:
    refused(client.post("Observation/_search", json={"code": "a"}), 415)
    refused(client.post("Observation/_search", content=b"code=a", headers={"Content-Type": "text/plain"}), 415)
    form = {"Content-Type": "application/x-www-form-urlencoded; charset=UTF-8"}
    posted = client.post("Observation/_search", content=f"_tag={quote(TAG[1])}&code=a", headers=form)
    assert names(searchset(posted), WORLD) == ["plain"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("family=Plus%2BSigne", {"pat"}),
        ("family=Plus%2bSigne", {"pat"}),
        ("family=Plus+Signe", set()),  # a plus sign is a space
        ("family=Plus%20Signe", set()),
        ("family=%50%6C%75%73", {"pat"}),
        ("family=plus%2Bsigne+%26+cie", {"pat"}),
        ("family=plus%2Bsigne%20%26%20cie", {"pat"}),
        ("f%61mily=plus", {"pat"}),
        ("telecom=%2B33612345678", {"pat"}),
        ("telecom=+33612345678", set()),
        ("given=100+%25", {"pat"}),
        ("given=A%5C,%20B", {"pat"}),
        ("given=A%5C%2C%20B", {"pat"}),
        ("given=A%2C%20X", {"pat"}),  # a comma parts values however it is encoded
        ("given:exact=A%5C%2C%20B", {"pat"}),
        ("given%3Aexact=A%5C%2C%20B", {"pat"}),
        ("family=plus&&gender=female", {"pat"}),
        ("family=plus&", {"pat"}),
        ("gender=female&gender=female", {"pat"}),
        ("gender=female&gender=male", set()),
        ("gender=male,female", {"pat"}),
        ("gender=http://hl7.org/fhir/administrative-gender%7Cfemale", {"pat"}),
        ("gender=http%3A%2F%2Fhl7.org%2Ffhir%2Fadministrative-gender|female", {"pat"}),
    ],
)
def test_percent_signs_plus_signs_and_repetitions(client: httpx.Client, query: str, expected: set[str]) -> None:
    for answer in (
        client.get(f"Patient?_tag={quote(TAG[1])}&{query}", headers=STRICT),
        client.post(
            "Patient/_search",
            content=f"_tag={quote(TAG[1])}&{query}",
            headers={**STRICT, "Content-Type": "application/x-www-form-urlencoded"},
        ),
    ):
        assert set(names(searchset(answer), WORLD)) == expected


def test_signs_that_mean_something_are_escaped_by_a_backslash(client: httpx.Client) -> None:
    escaped = r"a\,b\|c\$d\\e"
    assert asked(client, "Observation", ("code", escaped)) == {"labelled"}
    assert asked(client, "Observation", ("code", f"urn:odd|{escaped}")) == {"labelled"}
    assert asked(client, "Observation", ("code", f"a,{escaped}")) == {"labelled", "plain"}
    assert asked(client, "Observation", ("code", "a,b")) == {"plain", "other"}
    assert asked(client, "Observation", ("code", r"a\,b")) == set()
    assert asked(client, "Patient", ("identifier", rf"urn:a\|b|{escaped}")) == {"pat"}
    assert asked(client, "Patient", ("identifier", escaped)) == {"pat"}
    for illegal in (r"a\b", "a\\", r"\x"):
        told = refused(client.get("Observation", params={"code": illegal}), 400, "invalid")
        assert "backslash" in told["diagnostics"]


# strict and lenient

LENIENT = {"Prefer": "handling=lenient"}


@pytest.mark.parametrize("headers", [{}, LENIENT, {"Prefer": "return=minimal, handling=lenient"}])
def test_what_is_not_known_is_left_out_and_named(client: httpx.Client, headers: dict[str, str]) -> None:
    params = [
        TAG,
        ("unheard-of", "1"),
        ("_text", "x"),
        ("_content", "x"),
        ("code", "a"),
        ("myInvalidParameter", "true"),
    ]
    bundle = searchset(client.get("Observation", params=list(params), headers=headers))
    assert names(bundle, WORLD) == ["plain"]
    told = outcome(bundle)
    left_out = ["http.unheard-of", "http._text", "http._content", "http.myInvalidParameter"]
    assert [issue["expression"] for issue in told] == [[one] for one in left_out]
    assert {(issue["severity"], issue["code"]) for issue in told} == {("warning", "not-supported")}
    assert parse_qsl(urlsplit(link(bundle, "self") or "").query) == [TAG, ("code", "a")]


def test_a_strict_client_is_told_everything_that_is_not_known_at_once(client: httpx.Client) -> None:
    params = {"unheard-of": "1", "_text": "x", "code": "a"}
    answer = client.get("Observation", params=params, headers=STRICT)
    refused(answer, 400, "not-supported")
    assert [issue["expression"] for issue in answer.json()["issue"]] == [["http.unheard-of"], ["http._text"]]


def test_names_of_parameters_have_case(client: httpx.Client) -> None:
    refused(client.get("Observation", params={"Code": "a"}, headers=STRICT), 400, "not-supported")
    refused(client.get("Observation", params={"_ID": "a"}, headers=STRICT), 400, "not-supported")


@pytest.mark.parametrize("headers", [STRICT, LENIENT])
def test_an_empty_parameter_is_no_error(client: httpx.Client, headers: dict[str, str]) -> None:
    """The standard: they are just ignored; this server also says so."""
    answer = client.get("Observation", params=[TAG, ("code", ""), ("subject", ""), ("_sort", "")], headers=headers)
    bundle = searchset(answer)
    assert set(names(bundle, WORLD)) == OBSERVATIONS
    assert [issue["expression"] for issue in outcome(bundle)] == [["http.code"], ["http.subject"], ["http._sort"]]
    assert {issue["severity"] for issue in outcome(bundle)} == {"information"}
    assert parse_qsl(urlsplit(link(bundle, "self") or "").query) == [TAG]


def test_an_empty_parameter_of_a_condition_is_refused(client: httpx.Client) -> None:
    """Left out of a condition, it would make another one."""
    headers = {**FHIR_JSON, "If-None-Exist": "identifier=&_tag=x"}
    refused(client.post("Basic", json={"resourceType": "Basic", "code": {"text": "x"}}, headers=headers), 400)


def test_a_query_that_finds_nothing_is_no_failure(client: httpx.Client) -> None:
    """The examples of the standard: an unknown subject, an unknown code, a time out of scope."""
    for pairs in ([("subject", "Patient/101-unheard")], [("code", "loinc|1234-1")], [("date", "le1900")]):
        bundle = found(client, "Observation", *pairs)
        assert bundle["total"] == 0
        assert "entry" not in bundle


def test_the_self_link_is_the_search_as_it_was_understood(served: Served, client: httpx.Client) -> None:
    params = [TAG, ("code", "urn:odd|a,urn:odd|b"), ("_sort", "-_id"), ("_count", "7"), ("unheard", "x")]
    bundle = searchset(client.get("Observation", params=list(params)))
    url = link(bundle, "self") or ""
    assert url.startswith(f"{served.base}/Observation?")
    assert parse_qsl(urlsplit(url).query) == params[:-1]
    assert client.get(url).json()["entry"] == bundle["entry"][:2]
    assert link(found(client, "", TAG), "self") == f"{served.base}?_tag={quote(TAG[1], safe='')}"


def test_a_named_query_is_refused(client: httpx.Client) -> None:
    """The standard: servers SHALL refuse a _query that they do not recognise."""
    for headers in (STRICT, LENIENT):
        told = refused(client.get("Patient", params={"_query": "any"}, headers=headers), 400, "not-supported")
        assert told["expression"] == ["http._query"]

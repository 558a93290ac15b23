"""Conditional update, patch and delete, and ``If-None-Match``: every outcome that the standard names.

https://hl7.org/fhir/R4/http.html#cond-update · https://hl7.org/fhir/R4/http.html#patch ·
https://hl7.org/fhir/R4/http.html#delete
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import partial
from typing import Any
from uuid import uuid4

import httpx
import pytest

from fhir_server.interactions.conditional import MOST_DELETED
from tests.answers import refused
from tests.conformance.own_record import ids, own_record
from tests.http.conditional import FRENCH, SYSTEM, basic, by, found, made, patch, put
from tests.http.test_gate_regressions import queries, told
from tests.minimal import minimal
from tests.parallel import together
from tests.patches import delete
from tests.served import FHIR_JSON, JSON_PATCH, Served, serving


@pytest.fixture(scope="module")
def client(served: Served) -> httpx.Client:
    return served.as_("conformance")


@pytest.fixture
def number(client: httpx.Client) -> Iterator[str]:
    """An identifier of this test's own; what carries it is deleted afterwards."""
    number = uuid4().hex
    yield number
    for one in found(client, by(number)):
        client.delete(f"Basic/{one['id']}")


# Update


def test_no_match_creates_one_match_is_updated(client: httpx.Client, number: str) -> None:
    first = put(client, by(number), basic(number))
    assert (first.status_code, first.headers["etag"]) == (201, 'W/"1"')
    id = first.json()["id"]
    assert first.headers["location"].endswith(f"/Basic/{id}/_history/1")
    for version, body in ((2, basic(number, language="fr")), (3, basic(number, id=id))):
        answer = put(client, by(number), body)
        assert (answer.status_code, answer.headers["etag"]) == (200, f'W/"{version}"')
        assert answer.json()["id"] == id
        assert answer.json().get("language") == body.get("language")
    assert [one["id"] for one in found(client, by(number))] == [id]


def test_the_body_names_the_match_or_nothing(client: httpx.Client, number: str) -> None:
    (one,) = made(client, number)
    told = refused(put(client, by(number), basic(number, id="another")), 400, "invalid", one["id"])
    assert told["expression"] == ["Basic.id"]
    for wrong in (None, 1, "", "not an id"):
        refused(put(client, by(number), {**basic(number), "id": wrong}), 400)
    assert found(client, by(number)) == [one]


@pytest.mark.parametrize("verb", ["put", "patch", "delete", "post"])
def test_several_matches_are_refused_and_nothing_is_done(client: httpx.Client, number: str, verb: str) -> None:
    both = made(client, number, number)
    condition = f"identifier={SYSTEM}|{number}"
    answer = {
        "put": partial(put, client, by(number), basic(number)),
        "patch": partial(patch, client, by(number)),
        "delete": partial(client.delete, by(number)),
        "post": partial(client.post, "Basic", json=basic(number), headers={**FHIR_JSON, "If-None-Exist": condition}),
    }[verb]()
    refused(answer, 412, "multiple-matches")
    assert sorted(found(client, by(number)), key=str) == sorted(both, key=str)


def test_the_version_that_was_read_is_updated(client: httpx.Client, number: str) -> None:
    refused(put(client, by(number), basic(number), If_Match='W/"1"'), 412, "conflict")
    refused(put(client, by(number), basic(number), If_Match="*"), 412, "conflict")
    assert found(client, by(number)) == []
    made(client, number)
    refused(put(client, by(number), basic(number), If_Match='W/"2"'), 412, "conflict")
    refused(put(client, by(number), basic(number), If_Match="garbage"), 400, "value")
    refused(patch(client, by(number), If_Match='W/"2"'), 412, "conflict")
    refused(client.delete(by(number), headers={"If-Match": 'W/"2"'}), 412, "conflict")
    assert put(client, by(number), basic(number), If_Match='W/"1"').status_code == 200
    assert patch(client, by(number), If_Match='W/"2"').status_code == 200
    assert client.delete(by(number), headers={"If-Match": 'W/"3"'}).status_code == 204


def test_a_conformance_client_creates_under_its_own_id(client: httpx.Client, number: str) -> None:
    """As its PUT does, and never over something that the condition does not find."""
    id = f"http-{number[:20]}"
    first = put(client, by(number), basic(number, id=id))
    assert (first.status_code, first.json()["id"]) == (201, id)
    assert put(client, by(number), basic(number, id=id)).status_code == 200
    other = uuid4().hex
    refused(put(client, by(other), basic(other, id=id)), 409, "conflict")
    refused(put(client, by(other), basic(other, id="http-absent"), If_Match='W/"1"'), 412, "conflict")
    assert client.get(f"Basic/{id}").json()["meta"]["versionId"] == "2"
    assert client.delete(f"Basic/{id}").status_code == 204
    again = put(client, by(number), basic(number, id=id))
    assert (again.status_code, again.headers["etag"]) == (201, 'W/"4"')


def test_prefer_is_followed(client: httpx.Client, number: str) -> None:
    first = put(client, by(number), basic(number), Prefer="return=minimal")
    second = put(client, by(number), basic(number), Prefer="return=OperationOutcome")
    assert (first.status_code, first.content) == (201, b"")
    assert (second.status_code, second.json()["resourceType"]) == (200, "OperationOutcome")
    assert client.delete(f"{by(number)}&_format=json&_pretty=true").status_code == 204


# If-None-Match


def test_a_condition_that_may_not_replace(client: httpx.Client, number: str) -> None:
    assert put(client, by(number), basic(number), If_None_Match="*").status_code == 201
    refused(put(client, by(number), basic(number), If_None_Match="*"), 412, "conflict")
    (one,) = found(client, by(number))
    assert one["meta"]["versionId"] == "1"


# Patch


def test_the_one_match_is_patched(client: httpx.Client, number: str) -> None:
    refused(patch(client, by(number)), 404, "not-found")
    (one,) = made(client, number)
    answer = patch(client, by(number))
    assert (answer.status_code, answer.headers["etag"]) == (200, 'W/"2"')
    assert (answer.json()["id"], answer.json()["language"]) == (one["id"], "fr")
    refused(client.patch(by(number), content="[{", headers=JSON_PATCH), 400, "structure")
    refused(client.patch(by(number), json=FRENCH, headers=FHIR_JSON), 400, "structure")
    by_path = {"resourceType": "Parameters", "parameter": [delete("Basic.language")]}
    answer = client.patch(by(number), json=by_path, headers=FHIR_JSON)
    assert (answer.status_code, answer.headers["etag"]) == (200, 'W/"3"')
    assert "language" not in answer.json()


# Delete


def test_the_one_match_is_deleted(client: httpx.Client, number: str) -> None:
    refused(client.delete(by(number)), 404, "not-found")
    (one,) = made(client, number)
    answer = client.delete(by(number))
    assert (answer.status_code, answer.content, answer.headers["etag"]) == (204, b"", 'W/"2"')
    refused(client.get(f"Basic/{one['id']}"), 410)
    refused(client.delete(by(number)), 404, "not-found")


@pytest.mark.parametrize(
    ("verb", "url"),
    [
        ("DELETE", "Consent?patient=demo-1"),
        ("PUT", "AuditEvent?_id=a"),
        ("PATCH", "AuditEvent?_id=a"),
        ("DELETE", "AuditEvent?_id=a"),
    ],
)
def test_what_is_never_changed_is_not_changed_on_a_condition(client: httpx.Client, verb: str, url: str) -> None:
    refused(client.request(verb, url, json=minimal(url.partition("?")[0]), headers=FHIR_JSON), 405, "not-supported")


# Several


@pytest.fixture(scope="module")
def several(mongo_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server that deletes all that match."""
    environment = {"FHIR_CONDITIONAL_DELETE": "multiple", "FHIR_DATABASE": "several"}
    folder = tmp_path_factory.mktemp("several") / "data"
    with serving(folder, "--mongodb-uri", mongo_uri, env=environment) as running:
        yield running


def test_an_operator_may_let_several_be_deleted(several: Served, number: str) -> None:
    client = several.as_("conformance")
    with several.client() as nobody:
        declared = {one["type"]: one for one in nobody.get("metadata").json()["rest"][0]["resource"]}
    assert declared["Basic"]["conditionalDelete"] == "multiple"
    assert declared["Consent"]["conditionalDelete"] == "not-supported"
    keys = {f"Basic/{one['id']}" for one in made(client, number, number, number)}
    refused(client.delete(by(number), headers={"If-Match": 'W/"1"'}), 412, "conflict")
    refused(put(client, by(number), basic(number)), 412, "multiple-matches")
    answer = client.delete(by(number), headers={"If-Match": "*"})
    assert (answer.status_code, answer.content) == (204, b"")
    assert found(client, by(number)) == []
    traces = client.get("AuditEvent?subtype=delete&_sort=-date&_count=3").json()["entry"]
    assert {key for one in traces for key in told(one["resource"])} == keys, "each has a trace of its own"
    refused(client.delete(by(number)), 404, "not-found")


def test_so_many_are_deleted_and_no_more(several: Served, number: str) -> None:
    client = several.as_("conformance")
    entries = [
        {"request": {"method": "POST", "url": "Basic"}, "resource": basic(number)} for _ in range(MOST_DELETED + 1)
    ]
    client.post("", json={"resourceType": "Bundle", "type": "batch", "entry": entries}, headers=FHIR_JSON)
    refused(client.delete(by(number)), 412, "too-costly", str(MOST_DELETED))
    assert len(found(client, f"{by(number)}&_count=200")) == MOST_DELETED + 1
    (last,) = found(client, f"{by(number)}&_count=1")
    assert client.delete(f"Basic/{last['id']}").status_code == 204
    assert client.delete(by(number)).status_code == 204
    assert found(client, by(number)) == []


def test_all_of_several_are_decided_before_the_first_is_deleted(several: Served, number: str) -> None:
    record = own_record(several)
    carried = [{"system": SYSTEM, "value": number}]
    own = record.deposit(by="patient", identifier=carried, date="2026-04-01T10:00:00Z")  # the newer one is found first
    mixed = {own, record.deposit(identifier=carried, date="2026-03-01T10:00:00Z")}
    holder, url = record.as_("patient"), by(number, "DocumentReference")
    refused(holder.delete(url), 403, "forbidden")
    assert {one["id"] for one in found(holder, url)} == mixed


# What is no condition


CONDITIONS = [
    "",
    "?",
    "_format=json",
    "_count=1",
    "identifier=a&_count=1",
    "identifier=a&_sort=_id",
    "identifier=a&_include=Basic:subject",
    "unknown=1",
    "identifier=a&unknown=1",
    "identifier=",
    "created=yesterday",
    "_id:missing=true",
    "code:exact=a",
    "_lastUpdated=2020-02-30",
    "identifier=%ff",
    "identifier=a%00b",
    "&".join(["identifier=a"] * 101),
]


@pytest.mark.parametrize("condition", CONDITIONS, ids=lambda one: one[:40])
def test_a_condition_that_cannot_be(client: httpx.Client, number: str, condition: str) -> None:
    url = f"Basic?{condition}"
    refused(put(client, url, basic(number)), 400)
    refused(patch(client, url), 400)
    refused(client.delete(url), 400)
    refused(client.post("Basic", json=basic(number), headers={**FHIR_JSON, "If-None-Exist": condition}), 400)
    assert found(client, by(number)) == []


def test_a_body_that_cannot_be_is_refused_whatever_matches(client: httpx.Client, number: str) -> None:
    (one,) = made(client, number)
    for of in (number, "absent"):
        refused(put(client, by(of), {"resourceType": "Basic"}), 400)
        refused(put(client, by(of), minimal("Patient")), 400, "invalid", "the URL speaks of Basic")
        refused(client.put(by(of), json=basic(number), headers=JSON_PATCH), 415)
    assert found(client, by(number)) == [one]


@pytest.mark.parametrize("text", ["Basic?identifier={}", "?identifier={}", "identifier={}"])
def test_a_condition_to_create_may_name_its_type(client: httpx.Client, number: str, text: str) -> None:
    (one,) = made(client, number)
    headers = {**FHIR_JSON, "If-None-Exist": text.format(f"{SYSTEM}|{number}")}
    answer = client.post("Basic", json=basic(number), headers=headers)
    assert (answer.status_code, answer.json()) == (200, one)


def test_a_question_mark_within_a_condition_is_a_part_of_it(client: httpx.Client, number: str) -> None:
    (other,) = made(client, number)
    condition = f"identifier=urn:a?_id={other['id']}"
    answer = client.post("Basic", json=basic(number), headers={**FHIR_JSON, "If-None-Exist": condition})
    assert answer.status_code == 201, "it is no question for the id"


# Batches


def test_entries_on_a_condition(client: httpx.Client, number: str) -> None:
    def entry(method: str, url: str, resource: dict[str, Any] | None = None, **told: str) -> dict[str, Any]:
        made: dict[str, Any] = {"request": {"method": method, "url": url, **told}}
        return made | ({"resource": resource} if resource else {})

    entries = [
        entry("PUT", by(number), basic(number)),
        entry("PUT", by(number), basic(number, language="fr"), ifMatch='W/"1"'),
        entry("PUT", f"/{by(number)}", basic(number), ifNoneMatch="*"),
        entry("PUT", by(number), basic(number), ifMatch='W/"1"'),
        entry("PUT", by(number), basic(number, id="another")),
        entry("PUT", "Basic", basic(number)),
        entry("PUT", by(number)),
        entry("PATCH", by(number), basic(number)),
        entry("POST", "Basic", basic(number), ifNoneExist=by(number).partition("?")[2]),
        entry("POST", "Basic", basic(number)),
        entry("DELETE", by(number)),
        entry("DELETE", f"{by(number)}-absent"),
        entry("DELETE", "Consent?patient=demo-1"),
    ]
    bundle = {"resourceType": "Bundle", "type": "batch", "entry": entries}
    answer = client.post("", json=bundle, headers=FHIR_JSON).json()["entry"]
    assert [one["response"]["status"] for one in answer] == (
        "201 200 412 412 400 400 400 400 200 201 412 404 405".split()
    )
    assert answer[0]["resource"]["id"] == answer[1]["resource"]["id"] == answer[8]["resource"]["id"]
    assert answer[1]["response"]["etag"] == 'W/"2"'


# The trail


def test_the_trail_tells_what_a_create_was_made_on(client: httpx.Client, number: str) -> None:
    """As the search it is, beside the create; with the answer, where there was one already."""
    condition = by(number).partition("?")[2]
    asked = f"POST /Basic\nIf-None-Exist: {condition}"
    for status, codes in ((201, ["create", "search-type"]), (200, ["create"])):
        answer = client.post("Basic", json=basic(number), headers={**FHIR_JSON, "If-None-Exist": condition})
        assert answer.status_code == status
        wanted = answer.headers["x-request-id"]
        bundle = client.get(f"AuditEvent?entity:identifier={wanted}&_sort=-date").json()
        traces = [entry["resource"] for entry in bundle["entry"]]
        assert [trace["subtype"][0]["code"] for trace in traces] == codes
        assert queries(traces) == [asked]


# What stays as it was


def test_the_other_verbs_of_a_type(client: httpx.Client, number: str) -> None:
    (one,) = made(client, number)
    assert found(client, by(number)) == [one]
    assert client.head(by(number)).status_code == 200
    refused(client.post(f"Basic?identifier={number}", json=basic(number), headers=FHIR_JSON), 400, says="no parameters")
    refused(put(client, f"Basic/{one['id']}?identifier={number}", one), 400, says="no parameters")
    refused(client.delete(f"Basic/{one['id']}?identifier={number}"), 400, says="no parameters")
    refused(client.request("OPTIONS", by(number)), 405, "not-supported")
    assert ids(client.get(by(number)).json()) == {one["id"]}


# At once


def test_equal_conditional_updates_at_once_make_one(served: Served, number: str) -> None:
    def write(_: int) -> int:
        with served.client(served.token("conformance")) as own:
            return put(own, by(number), basic(number)).status_code

    statuses = Counter(together([partial(write, one) for one in range(12)]))
    assert statuses[201] == 1
    assert set(statuses) <= {201, 200, 409}
    assert len(found(served.as_("conformance"), by(number))) == 1


def test_an_equal_create_and_an_equal_update_at_once_make_one(served: Served, number: str) -> None:
    condition = {**FHIR_JSON, "If-None-Exist": by(number).partition("?")[2]}

    def write(place: int) -> int:
        with served.client(served.token("conformance")) as own:
            if place % 2:
                return own.post("Basic", json=basic(number), headers=condition).status_code
            return put(own, by(number), basic(number, id=f"http-{number[:20]}")).status_code

    statuses = Counter(together([partial(write, one) for one in range(8)]))
    assert statuses[201] == 1, statuses
    assert set(statuses) <= {201, 200, 400, 409}, "400: the create won, so the id in the body is another"
    assert len(found(served.as_("conformance"), by(number))) == 1

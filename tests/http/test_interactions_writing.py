"""Preferences, versions and conditions of writes, and JSON Patch.

https://hl7.org/fhir/R4/http.html#concurrency · https://hl7.org/fhir/R4/http.html#ccreate
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.answers import hygienic, refused
from tests.minimal import minimal
from tests.served import FHIR_JSON, JSON_PATCH, Served

SYSTEM = "https://example.org/fhir/writing"


@pytest.fixture(scope="module")
def client(served: Served) -> httpx.Client:
    return served.as_("conformance")


@pytest.fixture
def basic(client: httpx.Client) -> Iterator[dict[str, Any]]:
    """A stored resource of this test's own."""
    created: dict[str, Any] = client.post("Basic", json=minimal("Basic"), headers=FHIR_JSON).json()
    yield created
    client.delete(f"Basic/{created['id']}")


def identified(value: str) -> dict[str, Any]:
    """A Basic with this identifier."""
    return minimal("Basic", identifier=[{"system": SYSTEM, "value": value}])


def forget(client: httpx.Client, value: str) -> None:
    """Delete what carries this identifier."""
    found = client.get("Basic", params={"identifier": f"{SYSTEM}|{value}"}).json()
    for entry in found.get("entry", []):
        client.delete(f"Basic/{entry['resource']['id']}")


def current(client: httpx.Client, basic: dict[str, Any]) -> dict[str, Any]:
    """What is stored now."""
    read: dict[str, Any] = client.get(f"Basic/{basic['id']}").json()
    return read


# Prefer: return


@pytest.mark.parametrize("prefer", ["return=minimal", 'return="minimal"', "handling=strict, return=minimal"])
def test_minimal_is_headers_alone(client: httpx.Client, basic: dict[str, Any], prefer: str) -> None:
    path = f"Basic/{basic['id']}"
    headers = {**FHIR_JSON, "Prefer": prefer}
    created = client.post("Basic", json=minimal("Basic"), headers=headers)
    updated = client.put(path, json={**basic, "language": "fr"}, headers=headers)
    patch = [{"op": "replace", "path": "/language", "value": "en"}]
    patched = client.patch(path, json=patch, headers={**headers, **JSON_PATCH})
    for answer, status, version in ((created, 201, 1), (updated, 200, 2), (patched, 200, 3)):
        assert (answer.status_code, answer.content) == (status, b"")
        assert answer.headers["etag"] == f'W/"{version}"'
        assert "last-modified" in answer.headers
        assert "content-type" not in answer.headers
        hygienic(answer)
    client.delete(created.headers["location"].partition("/_history")[0])


def test_an_outcome_instead_of_the_resource(client: httpx.Client, basic: dict[str, Any]) -> None:
    headers = {**FHIR_JSON, "Prefer": "return=OperationOutcome"}
    answer = client.put(f"Basic/{basic['id']}", json={**basic, "author": {"reference": "Patient/no"}}, headers=headers)
    assert (answer.status_code, answer.headers["etag"]) == (200, 'W/"2"')
    assert answer.json()["resourceType"] == "OperationOutcome"
    assert {issue["severity"] for issue in answer.json()["issue"]} <= {"information", "warning"}


@pytest.mark.parametrize("prefer", ["return=representation", "return=unheard-of", "respond-async", ";;,=,", ""])
def test_the_resource_otherwise(client: httpx.Client, basic: dict[str, Any], prefer: str) -> None:
    answer = client.put(f"Basic/{basic['id']}", json=basic, headers={**FHIR_JSON, "Prefer": prefer})
    assert answer.status_code == 200
    assert answer.json()["resourceType"] == "Basic"


# If-Match


@pytest.mark.parametrize("etag", ['W/"1"', '"1"', "*"])
def test_a_change_of_the_version_one_has_read(client: httpx.Client, basic: dict[str, Any], etag: str) -> None:
    answer = client.put(f"Basic/{basic['id']}", json=basic, headers={**FHIR_JSON, "If-Match": etag})
    assert (answer.status_code, answer.headers["etag"]) == (200, 'W/"2"')


@pytest.mark.parametrize(
    ("etag", "status", "code"),
    [
        ('W/"2"', 412, "conflict"),
        ('"01"', 412, "conflict"),
        ('"garbage"', 412, "conflict"),
        ("1", 400, "value"),
        ("garbage", 400, "value"),
        ('W/"1', 400, "value"),
        ('W/"1", W/"2"', 400, "value"),
        ("", 400, "value"),
    ],
)
def test_a_change_of_another_version_is_refused(
    client: httpx.Client, basic: dict[str, Any], etag: str, status: int, code: str
) -> None:
    path = f"Basic/{basic['id']}"
    patch = [{"op": "add", "path": "/language", "value": "fr"}]
    headers = {"If-Match": etag}
    refused(client.put(path, json=basic, headers={**FHIR_JSON, **headers}), status, code)
    refused(client.patch(path, json=patch, headers={**JSON_PATCH, **headers}), status, code)
    refused(client.delete(path, headers=headers), status, code)
    assert current(client, basic) == basic


def test_a_version_of_what_is_not_there(client: httpx.Client) -> None:
    for etag in ('W/"1"', "*"):
        headers = {**FHIR_JSON, "If-Match": etag}
        refused(client.put("Basic/http-absent", json=minimal("Basic", id="http-absent"), headers=headers), 412)
    refused(client.get("Basic/http-absent"), 404)
    refused(client.delete("Basic/http-absent"), 404)


def test_of_two_writers_one_wins(served: Served, client: httpx.Client, basic: dict[str, Any]) -> None:
    def write(language: str) -> int:
        with served.client(served.token("conformance")) as own:
            changed = {**basic, "language": language}
            return own.put(f"Basic/{basic['id']}", json=changed, headers={**FHIR_JSON, "If-Match": 'W/"1"'}).status_code

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(write, ("fr", "en", "de", "es"))) == [200, 412, 412, 412]
    assert current(client, basic)["meta"]["versionId"] == "2"


# If-None-Match


def test_a_change_of_what_must_not_be_there(client: httpx.Client) -> None:
    """https://hl7.org/fhir/R4/http.html#concurrency; RFC 9110, 13.1.2"""
    path, body = "Basic/http-unless", minimal("Basic", id="http-unless")
    patch = [{"op": "add", "path": "/language", "value": "fr"}]

    def put(known: str) -> httpx.Response:
        return client.put(path, json=body, headers={**FHIR_JSON, "If-None-Match": known})

    assert put("*").status_code == 201
    for known in ("*", 'W/"1"', 'W/"7", W/"1"', '"1"'):
        refused(put(known), 412, "conflict")
        refused(client.patch(path, json=patch, headers={**JSON_PATCH, "If-None-Match": known}), 412, "conflict")
        refused(client.delete(path, headers={"If-None-Match": known}), 412, "conflict")
    for garbage in ("1", "", 'W/"1", x'):
        refused(put(garbage), 400, "value")
    assert put('W/"7"').headers["etag"] == 'W/"2"'
    assert client.delete(path).status_code == 204
    assert client.delete(path, headers={"If-None-Match": "*"}).status_code == 204, "there is nothing any more"
    assert put("*").headers["etag"] == 'W/"4"'
    client.delete(path)


# If-None-Exist


def test_create_unless_it_is_there(client: httpx.Client) -> None:
    headers = {**FHIR_JSON, "If-None-Exist": f"identifier={SYSTEM}|once"}
    first = client.post("Basic", json=identified("once"), headers=headers)
    second = client.post("Basic", json=identified("once"), headers=headers)
    assert (first.status_code, second.status_code) == (201, 200)
    assert second.json() == first.json()
    assert second.headers["etag"] == 'W/"1"'

    more = client.post("Basic", json=identified("once"), headers=FHIR_JSON)
    assert more.status_code == 201, "without the condition a second one is made"
    refused(client.post("Basic", json=identified("once"), headers=headers), 412, "multiple-matches")
    forget(client, "once")


def test_twenty_at_once_make_one(served: Served, client: httpx.Client) -> None:
    headers = {**FHIR_JSON, "If-None-Exist": f"identifier={SYSTEM}|raced"}

    def create(_: int) -> int:
        with served.client(served.token("conformance")) as own:
            return own.post("Basic", json=identified("raced"), headers=headers).status_code

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(create, range(20))) == [200] * 19 + [201]
    assert client.get("Basic", params={"identifier": f"{SYSTEM}|raced"}).json()["total"] == 1
    forget(client, "raced")


@pytest.mark.parametrize(
    "condition",
    [
        *("", "_count=1", "?", "unknown=1", "identifier=", "%ff=1", "_id:exact=1"),
        *("_id:missing=true", "_id:missing=false", "_lastUpdated:missing=false"),
    ],
)
def test_a_condition_asks_something(client: httpx.Client, condition: str) -> None:
    headers = {**FHIR_JSON, "If-None-Exist": condition}
    refused(client.post("Basic", json=identified("never"), headers=headers), 400)
    assert client.get("Basic", params={"identifier": f"{SYSTEM}|never"}).json()["total"] == 0


# update


def test_an_update_names_the_same_resource_everywhere(client: httpx.Client, basic: dict[str, Any]) -> None:
    path = f"Basic/{basic['id']}"
    other, none = {**basic, "id": "other"}, {name: value for name, value in basic.items() if name != "id"}
    for wrong in (other, none, {**basic, "id": None}, {**basic, "id": 1}):
        told = refused(client.put(path, json=wrong, headers=FHIR_JSON), 400)
        assert told["expression"] == ["Basic.id"]
    told = refused(client.put(path, json=minimal("Patient", id=basic["id"]), headers=FHIR_JSON), 400)
    assert told["expression"] == ["resourceType"]
    assert current(client, basic) == basic


def test_meta_of_the_server_is_the_servers(client: httpx.Client, basic: dict[str, Any]) -> None:
    tag = [{"system": SYSTEM, "code": "kept"}]
    meta = {"versionId": "99", "lastUpdated": "1999-01-01T00:00:00Z", "tag": tag, "source": "urn:x"}
    answer = client.put(f"Basic/{basic['id']}", json={**basic, "meta": meta}, headers=FHIR_JSON).json()
    assert answer["meta"]["versionId"] == "2"
    assert answer["meta"]["lastUpdated"] >= basic["meta"]["lastUpdated"]
    assert (answer["meta"]["tag"], answer["meta"]["source"]) == (tag, "urn:x")


def test_the_id_of_a_body_does_not_count_at_create(client: httpx.Client) -> None:
    created = client.post("Basic", json=minimal("Basic", id="mine"), headers=FHIR_JSON)
    assert created.status_code == 201
    assert created.json()["id"] != "mine"
    client.delete(f"Basic/{created.json()['id']}")


# JSON Patch


def test_a_patch_is_a_new_version(client: httpx.Client, basic: dict[str, Any]) -> None:
    patch = [
        {"op": "test", "path": "/code/text", "value": "text"},
        {"op": "add", "path": "/identifier", "value": [{"value": "1"}]},
        {"op": "add", "path": "/identifier/-", "value": {"value": "2"}},
        {"op": "copy", "from": "/identifier/0", "path": "/identifier/2"},
        {"op": "replace", "path": "/identifier/0/value", "value": "0"},
        {"op": "move", "from": "/code", "path": "/code"},
    ]
    answer = client.patch(f"Basic/{basic['id']}", json=patch, headers={**JSON_PATCH, "If-Match": 'W/"1"'})
    assert (answer.status_code, answer.headers["etag"]) == (200, 'W/"2"'), answer.text
    assert [one["value"] for one in answer.json()["identifier"]] == ["0", "2", "1"]
    assert current(client, basic) == answer.json()


@pytest.mark.parametrize(
    ("patch", "statuses"),
    [
        ({"op": "add"}, {400}),
        ("garbage", {400}),
        ([1], {400}),
        ([{}], {400}),
        ([{"op": "explode", "path": "/a"}], {400}),
        ([{"op": "add", "path": "/language"}], {400}),
        ([{"op": "add", "path": "language", "value": "fr"}], {400}),
        ([{"op": "add", "path": 1, "value": "fr"}], {400}),
        ([{"op": "move", "path": "/language", "from": "code"}], {400}),
        ([{"op": "add", "path": "/~2", "value": "fr"}], {400, 422}),
        ([{"op": "test", "path": "/code/text", "value": "another"}], {422}),
        ([{"op": "remove", "path": "/absent"}], {422}),
        ([{"op": "remove", "path": ""}], {400, 422}),
        ([{"op": "replace", "path": "/absent/deep", "value": 1}], {422}),
        ([{"op": "add", "path": "/code/text/0", "value": "a"}], {422}),
        ([{"op": "add", "path": "/code/coding", "value": [1]}, {"op": "remove", "path": "/code/coding/9"}], {422}),
        ([{"op": "add", "path": "/extension", "value": []}, {"op": "remove", "path": "/extension/-"}], {422}),
        ([{"op": "add", "path": "/extension", "value": []}, {"op": "add", "path": "/extension/x", "value": 1}], {422}),
        ([{"op": "move", "from": "/code", "path": "/code/coding"}], {400, 422}),
        ([{"op": "replace", "path": "/id", "value": "another"}], {400, 422}),
        ([{"op": "remove", "path": "/id"}], {400, 422}),
        ([{"op": "replace", "path": "/resourceType", "value": "Patient"}], {400, 422}),
        ([{"op": "add", "path": "", "value": 5}], {400, 422}),
        ([{"op": "remove", "path": "/code"}], {400}),
        ([{"op": "add", "path": "/unheardOf", "value": 5}], {400}),
        ([{"op": "add", "path": "/language", "value": "fr"}] * 201, {400}),
    ],
)
def test_a_patch_that_cannot_be(client: httpx.Client, basic: dict[str, Any], patch: Any, statuses: set[int]) -> None:
    answer = client.patch(f"Basic/{basic['id']}", json=patch, headers=JSON_PATCH)
    assert answer.status_code in statuses, answer.text
    refused(answer, answer.status_code)
    assert current(client, basic) == basic


def test_a_patch_in_place_of_json(client: httpx.Client, basic: dict[str, Any]) -> None:
    path = f"Basic/{basic['id']}"
    patch = [{"op": "add", "path": "/language", "value": "fr"}]
    refused(client.patch(path, json=patch, headers=FHIR_JSON), 400, "structure", "Parameters resource")
    refused(client.put(path, json=patch, headers=JSON_PATCH), 415, "not-supported")
    refused(client.patch(path, content="[{", headers=JSON_PATCH), 400, "structure", "line 1 column 3")
    refused(client.patch("Basic/absent", json=patch, headers=JSON_PATCH), 404, "not-found")


def test_a_patch_leaves_other_numbers_alone(client: httpx.Client) -> None:
    sent = '{"resourceType":"Observation","status":"final","code":{"text":"x"},"valueQuantity":{"value":1.0e2}}'
    id = client.post("Observation", content=sent, headers=FHIR_JSON).json()["id"]
    patch = [{"op": "replace", "path": "/status", "value": "amended"}]
    answer = client.patch(f"Observation/{id}", json=patch, headers=JSON_PATCH)
    assert answer.status_code == 200
    assert '"value":1.0e2}' in answer.text
    client.delete(f"Observation/{id}")


# bodies


@pytest.mark.parametrize(
    "content_type",
    [
        "application/fhir+json",
        "application/json",
        "application/fhir+json; charset=utf-8",
        "application/fhir+json;fhirVersion=4.0",
        'APPLICATION/FHIR+JSON; charset="UTF-8"',
        "text/json",
    ],
)
def test_json_is_taken(client: httpx.Client, basic: dict[str, Any], content_type: str) -> None:
    answer = client.put(f"Basic/{basic['id']}", json=basic, headers={"Content-Type": content_type})
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "application/xml-patch+xml"},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "application/fhir+json; charset=iso-8859-1"},
        {"Content-Type": "application/fhir+json; fhirVersion=5.0"},
        {"Content-Type": "garbage"},
        {"Content-Type": ""},
        {**FHIR_JSON, "Content-Encoding": "gzip"},
        {**FHIR_JSON, "Content-Encoding": "deflate"},
        {**FHIR_JSON, "Content-Encoding": "identity, gzip"},
    ],
)
def test_nothing_else_is_taken(client: httpx.Client, basic: dict[str, Any], headers: dict[str, str]) -> None:
    refused(client.put(f"Basic/{basic['id']}", json=basic, headers=headers), 415, "not-supported")
    refused(client.post("Basic", json=identified("coded"), headers=headers), 415, "not-supported")
    assert current(client, basic) == basic
    assert client.get("Basic", params={"identifier": f"{SYSTEM}|coded"}).json()["total"] == 0


def test_an_empty_patch_changes_nothing(client: httpx.Client, basic: dict[str, Any]) -> None:
    answer = client.patch(f"Basic/{basic['id']}", json=[], headers=JSON_PATCH)
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert {**told, "meta": 0} == {**basic, "meta": 0}

"""A batch: each entry is a request of its own.

https://hl7.org/fhir/R4/http.html#transaction
"""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from fhir_server.definitions.load import load
from fhir_server.fhir.json import decode
from fhir_server.validation.structure import Validator
from tests.answers import refused
from tests.minimal import minimal
from tests.served import FHIR_JSON, Served

SYSTEM = "https://example.org/fhir/batch"


@pytest.fixture(scope="module")
def client(served: Served) -> httpx.Client:
    return served.as_("conformance")


def entry(method: str, url: str, resource: dict[str, Any] | None = None, **conditions: str) -> dict[str, Any]:
    told: dict[str, Any] = {"request": {"method": method, "url": url, **conditions}}
    return told if resource is None else {"resource": resource, **told}


def bundle(*entries: dict[str, Any], type: str = "batch") -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": type, **({"entry": list(entries)} if entries else {})}


def performed(client: httpx.Client, *entries: dict[str, Any]) -> list[dict[str, Any]]:
    """The entries of the answer, which is itself a valid resource."""
    answer = client.post("", json=bundle(*entries), headers=FHIR_JSON)
    assert answer.status_code == 200, answer.text
    assert Validator(load()).validate(decode(answer.content)) == []
    told: dict[str, Any] = answer.json()
    assert told["type"] == "batch-response"
    found: list[dict[str, Any]] = told.get("entry", [])
    assert len(found) == len(entries)
    return found


def statuses(entries: list[dict[str, Any]]) -> list[str]:
    return [one["response"]["status"] for one in entries]


def test_nothing_is_answered_with_nothing(client: httpx.Client) -> None:
    assert performed(client) == []


def test_a_failing_entry_does_not_stop_the_others(client: httpx.Client) -> None:
    created = client.post("Basic", json=minimal("Basic"), headers=FHIR_JSON).json()
    path = f"Basic/{created['id']}"
    answered = performed(
        client,
        entry("POST", "Basic", minimal("Basic")),
        entry("POST", "Basic", {"resourceType": "Basic"}),
        entry("GET", "Basic/absent"),
        entry("PUT", path, {**created, "language": "fr"}, ifMatch='W/"1"'),
        entry("PUT", path, {**created, "language": "en"}, ifMatch='W/"1"'),
        entry("GET", path),
        entry("GET", f"{path}/_history/1"),
        entry("GET", f"/Basic?_id={created['id']}"),
        entry("DELETE", path, ifMatch='W/"1"'),
        entry("DELETE", path),
        entry("GET", path),
        entry("GET", "metadata"),
        entry("POST", "/", bundle()),
        entry("PATCH", path, minimal("Basic")),
        entry("GET", "Unheard/1"),
        entry("GET", "Basic?unknown-parameter=1"),
        entry("GET", f"{path}/_history"),
        entry("POST", "Basic"),
        {"fullUrl": "urn:uuid:c757873d-ec9a-4326-a141-556f43239520"},
        entry("GET", "https://elsewhere.example/fhir/Basic/1"),
    )
    assert statuses(answered) == (
        "201 400 404 200 412 200 200 200 412 204 410 405 405 400 404 200 200 400 400 404".split()
    )
    first = answered[0]
    assert first["response"]["etag"] == 'W/"1"'
    assert first["response"]["location"].endswith(f"/Basic/{first['resource']['id']}/_history/1")
    assert first["response"]["lastModified"] == first["resource"]["meta"]["lastUpdated"]
    assert answered[5]["resource"]["language"] == "fr"
    assert answered[6]["resource"] == created
    assert answered[7]["resource"]["entry"][0]["resource"] == answered[5]["resource"]
    for one in answered:
        if int(one["response"]["status"]) >= 400:
            assert one["response"]["outcome"]["issue"][0]["severity"] == "error"
            assert "resource" not in one
    client.delete(f"Basic/{first['resource']['id']}")


def test_conditions_of_entries(client: httpx.Client) -> None:
    carrying = minimal("Basic", identifier=[{"system": SYSTEM, "value": "once"}])
    condition = f"identifier={SYSTEM}|once"
    answered = performed(
        client,
        entry("POST", "Basic", carrying, ifNoneExist=condition),
        entry("POST", "Basic", carrying, ifNoneExist=condition),
        entry("POST", "Basic", carrying),
        entry("POST", "Basic", carrying, ifNoneExist=condition),
        entry("POST", "Basic", carrying, ifNoneExist=""),
        entry("PUT", "Basic/a", minimal("Basic", id="a"), ifMatch="garbage"),
    )
    assert statuses(answered) == ["201", "200", "201", "412", "400", "400"]
    assert answered[0]["resource"]["id"] == answered[1]["resource"]["id"]
    for found in client.get("Basic", params={"identifier": f"{SYSTEM}|once"}).json()["entry"]:
        client.delete(f"Basic/{found['resource']['id']}")


def test_what_the_client_has_is_not_sent_again(client: httpx.Client) -> None:
    created = client.post("Basic", json=minimal("Basic"), headers=FHIR_JSON).json()
    path = f"Basic/{created['id']}"
    answered = performed(
        client,
        entry("GET", path, ifNoneMatch='W/"1"'),
        entry("GET", path, ifNoneMatch='W/"2"'),
        entry("GET", path, ifModifiedSince="2999-01-01T00:00:00Z"),
        entry("GET", path, ifModifiedSince="2020-01-01T00:00:00+01:00"),
        entry("GET", path, ifModifiedSince="yesterday"),
    )
    assert statuses(answered) == ["304", "200", "304", "200", "400"]
    assert answered[0]["response"]["etag"] == 'W/"1"'
    assert "resource" not in answered[0]
    client.delete(path)


def test_an_entry_is_decided_like_a_request(served: Served) -> None:
    """A batch opens no door: hidden is absent, and a closed interaction stays closed."""
    asked = [
        entry("GET", "DocumentReference/demo-1-normal-1"),
        entry("GET", "DocumentReference/demo-1-annonce"),
        entry("GET", "DocumentReference/absent"),
        entry("GET", "Patient/demo-2"),
        entry("DELETE", "Patient/demo-1"),
        entry("POST", "AuditEvent", minimal("AuditEvent")),
    ]
    answered = performed(served.as_("patient"), *asked)
    assert statuses(answered) == ["200", "404", "404", "404", "403", "405"]
    with served.client() as nobody:
        refused(nobody.post("", json=bundle(*asked), headers=FHIR_JSON), 401)


@pytest.mark.parametrize(
    ("sent", "status", "code", "expression"),
    [
        (bundle(type="message"), 422, "not-supported", "Bundle.type"),
        (bundle(type="collection"), 422, "not-supported", "Bundle.type"),
        ({"resourceType": "Bundle"}, 422, "not-supported", "Bundle.type"),
        ({"resourceType": "Patient"}, 400, "invalid", "resourceType"),
        ({"type": "batch"}, 400, "invalid", "resourceType"),
        ({"resourceType": "Bundle", "type": "batch", "entry": {}}, 400, "invalid", "Bundle.entry"),
    ],
)
def test_what_is_no_batch(client: httpx.Client, sent: dict[str, Any], status: int, code: str, expression: str) -> None:
    told = refused(client.post("", json=sent, headers=FHIR_JSON), status, code)
    assert told["expression"] == [expression]


@pytest.mark.parametrize(
    "broken",
    [
        1,
        "a",
        None,
        [],
        {},
        {"request": 1},
        {"request": {}},
        {"request": {"method": "GET"}},
        {"request": {"method": 1, "url": "Basic"}},
        {"request": {"method": "get", "url": "Basic"}},
        {"request": {"method": "TRACE", "url": "Basic"}},
        {"request": {"method": "GET", "url": ""}},
        {"request": {"method": "GET", "url": ["Basic"]}},
        {"resource": 1, "request": {"method": "POST", "url": "Basic"}},
        {"resource": [], "request": {"method": "PUT", "url": "Basic/a"}},
        {"resource": None, "request": {"method": "POST", "url": "Basic"}},
    ],
)
def test_an_entry_that_is_none(client: httpx.Client, broken: Any) -> None:
    answered = performed(client, broken, entry("GET", "Basic?_id=absent"))
    assert statuses(answered) == ["400", "200"]


def test_too_many_entries(client: httpx.Client) -> None:
    sent = bundle(*(entry("GET", "Basic/absent") for _ in range(1001)))
    refused(client.post("", json=sent, headers=FHIR_JSON), 413, "too-long")

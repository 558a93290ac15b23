"""contract.md, Answers: hidden is as absent, blocked as not authorised, and the trace is there when the answer is."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from tests.conformance.choices import authorisation, block
from tests.conformance.own_record import NUMBERS, OwnRecord, document, own_record
from tests.served import FHIR_JSON, JSON_PATCH, Served

if TYPE_CHECKING:
    import httpx

HIDDEN = [
    ("inconnu", "DocumentReference/demo-1-normal-1"),
    ("bloque", "DocumentReference/demo-1-normal-1"),
    ("bloque", "Patient/demo-1"),
    ("bloque", "Consent/demo-1-blocage-bloque"),
    ("inconnu", "Patient/demo-1"),
    ("inconnu", "Binary/demo-1-normal-1-pdf"),
    ("specialiste", "DocumentReference/demo-1-masque"),
    ("specialiste", "Binary/demo-1-masque-pdf"),
    ("specialiste", "DocumentReference/demo-2-normal-1"),
    ("infirmier", "DocumentReference/demo-1-masque"),
    ("samu", "DocumentReference/demo-1-masque"),
    ("samu", "DocumentReference/demo-4-normal-1"),
    ("urgentiste", "DocumentReference/demo-4-normal-1"),
    ("medecin-traitant", "DocumentReference/demo-5-normal-1"),
    ("patient", "DocumentReference/demo-1-annonce"),
    ("patient", "DocumentReference/demo-2-normal-1"),
    ("patient", "Patient/demo-2"),
    ("representant", "DocumentReference/demo-3-secret"),
    ("representant", "DocumentReference/demo-1-normal-1"),
    ("hopital", "DocumentReference/demo-1-masque"),
]
EVERY_TIME = {"date", "x-request-id"}


def told(answer: httpx.Response, id: str) -> tuple[int, dict[str, str], bytes]:
    """All of an answer, but for the id that was asked and what differs each time."""
    headers = {name: value for name, value in answer.headers.items() if name not in EVERY_TIME}
    return answer.status_code, headers, answer.content.replace(id.encode(), b"ID")


def absent(id: str) -> str:
    """An id of the same length that nothing has."""
    return f"x{uuid4().hex}{uuid4().hex}"[: len(id)]


@pytest.mark.parametrize(("actor", "target"), HIDDEN)
def test_hidden_is_404_as_absent_byte_for_byte(served: Served, actor: str, target: str) -> None:
    type, _, id = target.partition("/")
    client, other = served.as_(actor), absent(id)
    for path in ("{}", "{}/_history", "{}/_history/1"):
        hidden = client.get(f"/{type}/{path.format(id)}")
        assert hidden.status_code == 404
        assert hidden.json()["issue"][0]["code"] == "not-found"
        assert told(hidden, id) == told(client.get(f"/{type}/{path.format(other)}"), other)


@pytest.mark.parametrize(("actor", "target"), [one for one in HIDDEN if one[1].startswith("DocumentReference")])
def test_and_so_are_changes(served: Served, actor: str, target: str) -> None:
    type, _, id = target.partition("/")
    client, other = served.as_(actor), absent(id)
    patch = [{"op": "replace", "path": "/description", "value": "x"}]

    def changes(id: str) -> list[httpx.Response]:
        body = {**document("demo-1"), "id": id}
        return [
            client.put(f"/{type}/{id}", json=body, headers=FHIR_JSON),
            client.put(f"/{type}/{id}", json=body, headers={**FHIR_JSON, "If-Match": 'W/"1"'}),
            client.patch(f"/{type}/{id}", json=patch, headers=JSON_PATCH),
            client.delete(f"/{type}/{id}"),
        ]

    for hidden, missing in zip(changes(id), changes(other), strict=True):
        assert told(hidden, id) == told(missing, other)
        assert hidden.status_code in {403, 404}  # 403 is for all of a role: closed to it whatever is stored


@pytest.mark.parametrize(
    ("actor", "query", "other"),
    [
        ("inconnu", "DocumentReference?patient=demo-1", "demo-9"),
        ("bloque", "DocumentReference?patient=demo-1", "demo-9"),
        ("bloque", "DocumentReference?patient=demo-1&_summary=count", "demo-9"),
        ("bloque", "Consent?patient=demo-1", "demo-9"),
        ("inconnu", "Patient?_id=demo-1", "demo-9"),
        ("inconnu", "AuditEvent?patient=demo-1&agent=nobody", "demo-9"),
        ("specialiste", "DocumentReference?_id=demo-1-masque", "demo-1-absent"),
        ("specialiste", "DocumentReference?patient=demo-2&_total=accurate", "demo-9"),
        ("samu", "DocumentReference?patient=demo-4", "demo-9"),
        ("medecin-traitant", "DocumentReference?patient=demo-5", "demo-9"),
        ("patient", "DocumentReference?_id=demo-1-annonce", "demo-1-absent"),
        ("patient", "DocumentReference?patient=demo-2", "demo-9"),
    ],
)
def test_hidden_is_an_empty_bundle_as_absent(served: Served, actor: str, query: str, other: str) -> None:
    id = query.partition("=")[2].partition("&")[0]
    client = served.as_(actor)
    hidden, missing = client.get(f"/{query}"), client.get(f"/{query.replace(id, other)}")
    assert hidden.status_code == 200
    assert hidden.json()["type"] == "searchset"
    assert "entry" not in hidden.json()
    assert hidden.json()["total"] == 0
    assert hidden.content.replace(id.encode(), b"ID") == missing.content.replace(other.encode(), b"ID")


def test_blocked_is_as_not_authorised(served: Served) -> None:
    """Two doctors, one blocked and one whom nobody heard of, get the same answers."""
    record = own_record(served)
    id = record.deposit()
    record.chosen(authorisation(record, "bloque"))
    record.chosen(block(record, "bloque"))
    for path in (
        f"/Patient/{record.id}",
        f"/DocumentReference/{id}",
        f"/DocumentReference?patient={record.id}",
        f"/DocumentReference?patient={record.id}&_summary=count",
        f"/Consent?patient={record.id}",
        f"/Patient?identifier=urn:oid:1.2.250.1.213.1.4.10%7C{record.ins}",
        "/DocumentReference",
        f"/RelatedPerson/{record.id}-representant",
    ):
        assert told(record.as_("bloque").get(path), "") == told(record.as_("inconnu").get(path), ""), path


@pytest.fixture(scope="module")
def record(served: Served) -> OwnRecord:
    record = own_record(served)
    record.chosen(authorisation(record, "specialiste"))
    return record


def newest(record: OwnRecord) -> dict[str, Any]:
    bundle = record.as_("patient").get(f"/AuditEvent?patient={record.id}&_sort=-date&_count=2").json()
    # the first is the newest before this very question
    event: dict[str, Any] = bundle["entry"][0]["resource"]
    return event


def agent(event: dict[str, Any]) -> str:
    (requestor,) = [one for one in event["agent"] if one["requestor"]]
    return str(requestor["who"].get("identifier", {}).get("value"))


@pytest.mark.parametrize(
    ("actor", "method", "path", "action", "outcome"),
    [
        ("specialiste", "GET", "/Patient/{record}", "R", "0"),
        ("specialiste", "GET", "/DocumentReference/{document}", "R", "0"),
        ("specialiste", "GET", "/DocumentReference/{document}/_history/1", "R", "0"),
        ("specialiste", "GET", "/DocumentReference?patient={record}", "E", "0"),
        ("specialiste", "POST", "/DocumentReference", "C", "0"),
        ("inconnu", "GET", "/Patient/{record}", "R", "4"),
        ("inconnu", "GET", "/DocumentReference/{document}", "R", "4"),
        ("inconnu", "GET", "/DocumentReference?patient={record}", "E", "0"),
        ("bloque", "GET", "/DocumentReference/{document}/_history", "R", "4"),
        ("urgentiste", "GET", "/DocumentReference/{document}", "R", "0"),
    ],
)
def test_the_trace_is_there_when_the_answer_is(
    record: OwnRecord, actor: str, method: str, path: str, action: str, outcome: str
) -> None:
    target = path.format(record=record.id, document=record.deposit())
    body = document(record.id) if method == "POST" else None
    answer = record.as_(actor).request(method, target, json=body, headers=FHIR_JSON if body else None)
    assert answer.status_code in {200, 201, 404}
    event = newest(record)
    assert agent(event) == NUMBERS[actor]
    assert event["action"] == action
    assert event["outcome"] == outcome
    assert event["recorded"] >= answer.json().get("meta", {}).get("lastUpdated", "")


def test_of_the_demonstration_too(served: Served) -> None:
    """The very words of contract.md."""
    answer = served.as_("inconnu").get("/DocumentReference/demo-1-normal-3")
    assert answer.status_code == 404
    bundle = served.as_("patient").get("/AuditEvent?patient=demo-1&_sort=-date").json()
    event = bundle["entry"][0]["resource"]
    assert agent(event) == NUMBERS["inconnu"]
    assert "demo-1-normal-3" in str(event["entity"])


def test_newest_first(record: OwnRecord) -> None:
    record.as_("specialiste").get(f"/Patient/{record.id}")
    bundle = record.as_("patient").get(f"/AuditEvent?patient={record.id}&_sort=-date&_count=100").json()
    dates = [entry["resource"]["recorded"] for entry in bundle["entry"]]
    assert len(dates) > 1
    assert dates == sorted(dates, reverse=True)


def test_each_of_many_requests_at_once_has_its_trace(served: Served) -> None:
    record = own_record(served)
    id = record.deposit()
    client = record.as_("inconnu")
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: client.get(f"/DocumentReference/{id}"), range(40)))
    bundle = record.as_("patient").get(f"/AuditEvent?patient={record.id}&_sort=-date&_count=100").json()
    refused = [entry["resource"] for entry in bundle["entry"] if agent(entry["resource"]) == NUMBERS["inconnu"]]
    assert len(refused) == 40


def test_nobody_writes_the_trail(served: Served) -> None:
    for actor in ("conformance", "patient", "support", "specialiste"):
        client = served.as_(actor)
        event = {"resourceType": "AuditEvent", "id": "x"}
        assert client.post("/AuditEvent", json=event, headers=FHIR_JSON).status_code == 405
        assert client.put("/AuditEvent/x", json=event, headers=FHIR_JSON).status_code == 405
        assert client.delete("/AuditEvent/x").status_code == 405

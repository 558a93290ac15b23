"""What was deleted is shown to nobody, nor what it was before; that it was deleted is told, and traced (R-51)."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from typing import Any, Final
from uuid import uuid4

import httpx
import pytest

from tests.answers import refused
from tests.conformance.choices import medecin_traitant
from tests.conformance.own_record import OwnRecord, document, own_record
from tests.served import FHIR_JSON, JSON_PATCH, Served

SECRET: Final = "Compte rendu secret"
CONTENT: Final = SECRET.encode()
ENTERED_IN_ERROR: Final = [{"op": "replace", "path": "/status", "value": "entered-in-error"}]
READERS: Final = ("patient", "representant", "medecin-traitant", "hopital")


@pytest.fixture(scope="module")
def record(served: Served) -> OwnRecord:
    made = own_record(served)
    made.chosen(medecin_traitant(made, "medecin-traitant"))
    return made


def deposited(record: OwnRecord) -> tuple[str, str]:
    """A document of two versions and its Binary, of which everything tells the secret."""
    attachment = {"contentType": "text/plain", "data": b64encode(CONTENT).decode(), "title": SECRET}
    hospital = record.as_("hopital")
    binary = hospital.post(
        "/Binary",
        json={"resourceType": "Binary", "contentType": "text/plain", "data": attachment.pop("data")},
        headers=FHIR_JSON,
    ).json()["id"]
    url = f"Binary/{binary}"
    body = document(record.id, description=SECRET, content=[{"attachment": attachment | {"url": url}}])
    made = hospital.post("/DocumentReference", json=body, headers=FHIR_JSON)
    assert made.status_code == 201, made.text
    key = f"DocumentReference/{made.json()['id']}"
    change = [{"op": "add", "path": "/language", "value": "fr"}]
    assert hospital.patch(f"/{key}", json=change, headers=JSON_PATCH).status_code == 200
    return key, url


def by_delete(record: OwnRecord, key: str) -> None:
    token = record.served.token("hopital", extra={"scope": "system/*.cruds"})
    with record.served.client(token) as client:
        answer = client.delete(f"/{key}")
    assert answer.status_code == 204, answer.text


def by_patch(record: OwnRecord, key: str) -> None:
    assert record.as_("hopital").patch(f"/{key}", json=ENTERED_IN_ERROR, headers=JSON_PATCH).status_code == 200


def markers(answer: httpx.Response) -> list[dict[str, Any]]:
    """The entries of a history, none of which holds a resource."""
    assert answer.status_code == 200, answer.text
    entries: list[dict[str, Any]] = answer.json()["entry"]
    assert [entry["request"]["method"] for entry in entries] == ["DELETE"] * len(entries)
    assert SECRET not in answer.text
    assert not any("resource" in entry for entry in entries)
    return entries


@pytest.mark.parametrize("delete", [by_delete, by_patch])
def test_no_door_shows_what_was_deleted(record: OwnRecord, delete: Callable[[OwnRecord, str], None]) -> None:
    key, binary = deposited(record)
    for reader in READERS:
        assert SECRET in record.as_(reader).get(f"/{key}/_history/1").text
        assert record.as_(reader).get(f"/{binary}/_history/1", headers={"Accept": "*/*"}).content == CONTENT
    delete(record, key)
    for reader in READERS:
        client = record.as_(reader)
        for one in (key, binary):
            for path in (f"/{one}", f"/{one}/_history/1"):
                gone = refused(client.get(path), 410)
                assert SECRET not in str(gone)
            (entry,) = markers(client.get(f"/{one}/_history"))
            assert entry["response"]["status"] == "204"
            assert client.get(f"/{one}/_history").json()["total"] == 1
            refused(client.get(f"/{one}/_history/99"), 404, "not-found")
        assert client.get(f"/{key}/_history/2").status_code == 410
        for more in ({"Range": "bytes=0-3"}, {}):
            native = client.get(f"/{binary}/_history/1", headers={"Accept": "text/plain", **more})
            assert native.status_code == 410
            assert CONTENT[:4] not in native.content
            assert client.head(f"/{binary}/_history/1", headers={"Accept": "text/plain", **more}).status_code == 410
        entry_of_batch = {"request": {"method": "GET", "url": f"{key}/_history/1"}}
        batch = {"resourceType": "Bundle", "type": "batch", "entry": [entry_of_batch]}
        assert SECRET not in client.post("", json=batch, headers=FHIR_JSON).text
        later = client.get(f"/{key}/_history", params={"_since": "2999-01-01T00:00:00Z"}).json()
        assert (later["total"], later.get("entry", [])) == (0, [])
    for path in ("/{}", "/{}/_history", "/{}/_history/1"):
        assert record.as_("inconnu").get(path.format(key)).status_code == 404


@pytest.mark.parametrize("path", ["DocumentReference/_history", "Binary/_history", "_history"])
def test_a_history_of_many_tells_the_deletion_alone(record: OwnRecord, path: str) -> None:
    key, binary = deposited(record)
    kept, _ = deposited(record)
    by_delete(record, key)
    holder = record.as_("patient")
    entries, url = [], f"/{path}?_count=7"
    while url:
        page = holder.get(url).json()
        entries += page.get("entry", [])
        url = next((link["url"] for link in page["link"] if link["relation"] == "next"), "")
    told = [(entry["request"]["method"], one) for entry in entries for one in (key, binary) if one in entry["fullUrl"]]
    assert told.count(("DELETE", key)) == (not path.startswith("Binary"))
    assert told.count(("DELETE", binary)) == (not path.startswith("Document"))
    assert {method for method, _ in told} == {"DELETE"}
    if not path.startswith("Binary"):
        assert sum(kept in entry["fullUrl"] for entry in entries) == 2, "what is there has all its versions"


def test_conformance_clients_read_them_and_bring_them_back(record: OwnRecord) -> None:
    key, binary = deposited(record)
    conformance, holder = record.served.as_("conformance"), record.as_("patient")
    before = conformance.get(f"/{key}").json()
    by_delete(record, key)
    assert conformance.get(f"/{key}/_history/1").json()["description"] == SECRET
    assert conformance.get(f"/{key}/_history").json()["total"] == 3
    assert conformance.get(f"/{binary}/_history/1", headers={"Accept": "*/*"}).content == CONTENT
    again = before | {"content": [{"attachment": {"contentType": "text/plain", "data": "Qm9u"}}]}
    assert conformance.put(f"/{key}", json=again, headers=FHIR_JSON).status_code in (200, 201)
    assert holder.get(f"/{key}/_history/1").json()["description"] == SECRET
    assert holder.get(f"/{key}/_history/3").status_code == 410
    assert holder.get(f"/{key}/_history").json()["total"] == 4


def test_who_governed_a_record_is_told_after_he_was_deleted(record: OwnRecord) -> None:
    """Of what says who may enter the record, nothing is forgotten."""
    team = {
        "resourceType": "CareTeam",
        "id": f"equipe-{uuid4().hex[:12]}",
        "status": "inactive",
        "subject": {"reference": f"Patient/{record.id}"},
    }
    conformance = record.served.as_("conformance")
    path = f"/CareTeam/{team['id']}"
    assert conformance.put(path, json=team, headers=FHIR_JSON).status_code == 201
    assert conformance.delete(path).status_code == 204
    assert record.as_("patient").get(f"{path}/_history/1").status_code == 200
    assert record.as_("patient").get(f"{path}/_history").json()["total"] == 2


def test_the_trail_keeps_what_was_done(record: OwnRecord) -> None:
    key, _ = deposited(record)
    by_delete(record, key)
    traces = record.as_("patient").get(f"/AuditEvent?patient={record.id}&_sort=-date&_count=20").text
    assert {f"{key}/_history/{version}" for version in (1, 2, 3) if f"{key}/_history/{version}" in traces} == {
        f"{key}/_history/{version}" for version in (1, 2, 3)
    }

"""``erase``: a record whose time is over goes, with what the trail says of it, and the trail is whole (R-64, R-73).

The command itself, beside a running server, on the database of the whole run; in records of their own.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Iterator
from typing import Any, Final, TypeAlias

import pytest
from bson import ObjectId
from pydantic import SecretStr
from pymongo import MongoClient
from pymongo.database import Database as MongoDatabase

from fhir_server import app
from fhir_server.audit.erasure import Erased
from fhir_server.cli.exits import Exit
from fhir_server.identity.requester import Purpose
from fhir_server.record.closure import DMP_FERMETURE, SUPPRESSION_DEMANDEE
from fhir_server.settings import Settings, load_settings
from fhir_server.store.binary import INLINE_BYTES
from fhir_server.store.connection import connect, database
from fhir_server.store.embedded import running_uri
from fhir_server.store.erasure import Due, Erasure
from tests.conformance.choices import authorisation
from tests.conformance.own_record import OwnRecord, document, own_record, patient
from tests.parallel import aside
from tests.served import FHIR_JSON, ROOT, Served

Database: TypeAlias = "MongoDatabase[dict[str, Any]]"

LONG_AGO: Final = "2011-03-01"


@pytest.fixture(scope="module")
def stored(served: Served) -> Iterator[Database]:
    """The database, to see what is left."""
    with MongoClient[dict[str, Any]](running_uri(served.data)) as client:
        yield client["fhir"]


def command(served: Served, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "fhir_server", *words, "--data", str(served.data)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def settings(served: Served) -> Settings:
    """Those of the command, beside the running server."""
    return load_settings(data_folder=served.data, mongodb_uri=SecretStr(running_uri(served.data)))


def erase(served: Served) -> set[str]:
    """Do in this process what the command does; answer which records went."""
    done: list[Erased] = []
    aside(app.erase(settings(served), done.append))
    return {one.record for one in done}


def due(served: Served) -> dict[str, bool]:
    """The records that would be erased, and whether an earlier run began."""
    return {one.record: one.begun for one, _, _ in aside(app.to_be_erased(settings(served)))}


def trail_is_whole(served: Served) -> None:
    checked, faults = aside(app.verify_trail(settings(served)))
    assert checked
    assert faults == []


def filled(served: Served, letters: int = 2) -> OwnRecord:
    """A record with letters, a version of one, a right, a notification, and traces of who read."""
    record = own_record(served)
    record.chosen(authorisation(record, "specialiste"))
    for _ in range(letters):
        letter = record.deposit()
    assert record.sees("specialiste", letter)
    masked = [{"op": "add", "path": "/securityLabel/-", "value": {"coding": [{"system": "urn:x", "code": "x"}]}}]
    assert record.patch(letter, *masked, by="conformance").status_code == 200
    with served.client(served.token("urgentiste", purpose=Purpose.BTG, reason="Patiente inconsciente.")) as client:
        assert client.get(f"/Patient/{record.id}").status_code == 200
    assert record.as_("patient").get("/Practitioner?_count=1").status_code == 200
    return record


def put_patient(record: OwnRecord, **members: Any) -> None:
    answer = record.as_("conformance").put(f"/Patient/{record.id}", json=patient(record, **members), headers=FHIR_JSON)
    assert answer.status_code in (200, 201), answer.text


def over(record: OwnRecord, day: str = LONG_AGO) -> OwnRecord:
    """The record as one closed that day."""
    put_patient(record, active=False, extension=[closing(day)])
    return record


def closing(day: str) -> dict[str, Any]:
    return {"url": DMP_FERMETURE, "extension": [{"url": "dateFermeture", "valueDate": day}]}


def traces(stored: Database, record: OwnRecord) -> list[dict[str, Any]]:
    """Traces that still say something of the record or its holder."""
    whose = [{"record": record.id}, {"shown": record.id}, {"agent": f"ins|{record.ins}"}]
    return list(stored["trail"].find({"$or": whose}))


def left(stored: Database, record: OwnRecord) -> dict[str, int]:
    """What is left of a record, by collection."""
    found = {name: stored[name].count_documents({"record": record.id}) for name in ("resources", "versions")}
    found["records"] = stored["records"].count_documents({"_id": record.id})
    return {**found, "trail": len(traces(stored, record))}


NOTHING: Final = {"resources": 0, "versions": 0, "records": 0, "trail": 0}


def test_a_record_whose_time_is_over_goes_and_the_trail_is_whole(served: Served, stored: Database) -> None:
    record, other = over(filled(served)), filled(served)
    kept = left(stored, other)
    done = command(served, "erase")
    assert done.returncode == Exit.DONE, done.stderr
    assert f"Patient/{record.id}: " in done.stdout
    assert other.id not in done.stdout
    assert left(stored, record) == NOTHING
    assert left(stored, other) == kept
    assert record.ins not in str(list(stored["trail"].find({"erased": None}))), "nor his number in anything else"
    trail_is_whole(served)
    assert record.id not in erase(served), "it is done once"


def test_two_traces_tell_the_auditor_that_it_happened(served: Served, stored: Database) -> None:
    record = over(own_record(served))
    erase(served)
    answer = served.as_("support").get(f"/AuditEvent?entity=Patient/{record.id}&_sort=date")
    events = [entry["resource"] for entry in answer.json().get("entry", [])]
    assert [event["action"] for event in events] == ["D", "D"]
    assert "is erased (R-73)" in events[1]["outcomeDesc"]
    assert all("erase" in event["agent"][-1]["name"] for event in events)


def test_who_looks_for_it_finds_nothing(served: Served) -> None:
    record = over(own_record(served))
    erase(served)
    assert record.as_("patient").get(f"/Patient/{record.id}").status_code == 404
    assert record.as_("patient").get(f"/AuditEvent?patient={record.id}").json().get("entry", []) == []
    deposited = record.as_("hopital").post("/DocumentReference", json=document(record.id), headers=FHIR_JSON)
    assert deposited.status_code == 422
    put_patient(record)
    assert record.as_("patient").get(f"/Patient/{record.id}/_history").json()["total"] == 1, "a new one has no past"


@pytest.mark.parametrize(
    "members",
    [
        {"active": False},
        {"active": False, "extension": [closing("2025-01-01")]},
        {"active": True, "extension": [closing(LONG_AGO)]},
    ],
    ids=["closed, nobody says since when", "closed not long ago", "reopened"],
)
def test_a_record_whose_time_is_not_over_stays(served: Served, stored: Database, members: dict[str, Any]) -> None:
    record = own_record(served)
    put_patient(record, **members)
    kept = left(stored, record)
    assert record.id not in due(served)
    assert record.id not in erase(served)
    assert left(stored, record) == kept


def test_who_asked_for_erasure_need_not_wait_ten_years(served: Served, stored: Database) -> None:
    record = own_record(served)
    put_patient(record, active=False, extension=[{"url": SUPPRESSION_DEMANDEE, "valueDate": "2026-01-02"}])
    assert record.id in erase(served)
    assert left(stored, record) == NOTHING


def test_a_record_of_somebody_deceased_goes_after_its_ten_years(served: Served, stored: Database) -> None:
    record = own_record(served)
    put_patient(record, active=False, deceasedDateTime=LONG_AGO, extension=[closing(LONG_AGO)])
    assert record.id in erase(served)
    assert left(stored, record) == NOTHING


def test_dry_run_lists_and_erases_nothing(served: Served, stored: Database) -> None:
    record = over(own_record(served))
    kept = left(stored, record)
    listed = command(served, "erase", "--dry-run")
    assert listed.returncode == Exit.DONE
    assert f"Patient/{record.id} (essai), since 2021-0" in listed.stdout
    assert left(stored, record) == kept
    erase(served)


def test_what_belongs_to_two_records_goes_with_the_first(served: Served, stored: Database) -> None:
    record, other = own_record(served), own_record(served)
    people = [{"actor": {"reference": f"Patient/{one.id}"}, "status": "accepted"} for one in (other, record)]
    appointment = {"resourceType": "Appointment", "status": "proposed", "participant": people}
    told = served.as_("conformance").post("/Appointment", json=appointment, headers=FHIR_JSON)
    assert told.status_code == 201, told.text
    key = f"Appointment/{told.json()['id']}"
    assert over(record).id in erase(served)
    assert stored["resources"].find_one({"_id": key}) is None
    assert stored["resources"].find_one({"_id": f"Patient/{other.id}"}) is not None


# Large contents


def file_of(stored: Database, key: str) -> ObjectId:
    """The file that a Binary needs."""
    found = stored["resources"].find_one({"_id": key})
    assert found is not None
    return ObjectId(found["content"]["file"])


def large(record: OwnRecord, data: bytes) -> str:
    """A document that owns a Binary too large to stand beside its body; answer the key of the Binary."""
    publisher = record.as_("hopital")
    binary = {"resourceType": "Binary", "contentType": "text/plain", "data": b64encode(data).decode()}
    key = f"Binary/{publisher.post('/Binary', json=binary, headers=FHIR_JSON).json()['id']}"
    record.deposit(content=[{"attachment": {"contentType": "text/plain", "url": key}}])
    return key


def test_a_large_content_goes_with_its_record_alone(served: Served, stored: Database) -> None:
    """Equal contents of two records are two files: the one that stays tells nothing of the one that went."""
    data = os.urandom(INLINE_BYTES + 1)
    record, other = own_record(served), own_record(served)
    gone, still = (file_of(stored, large(one, data)) for one in (record, other))
    assert gone != still
    over(record)
    erase(served)
    assert stored["content.files"].find_one({"_id": gone}) is None
    assert stored["content.chunks"].count_documents({"files_id": gone}) == 0
    left = stored["content.files"].find_one({"_id": still})
    assert left is not None
    assert left["metadata"]["state"] == "kept"
    assert stored["content.chunks"].count_documents({"files_id": still}) > 0


def test_a_file_that_is_still_needed_is_kept(served: Served, stored: Database) -> None:
    """Whatever made it loose, a version that needs it keeps it."""
    record = own_record(served)
    key = large(record, os.urandom(INLINE_BYTES + 3))
    file = file_of(stored, key)
    stored["content.files"].update_one({"_id": file}, {"$set": {"metadata.state": "loose"}})
    erase(served)
    left = stored["content.files"].find_one({"_id": file})
    assert left is not None
    assert left["metadata"]["state"] == "kept"
    assert len(record.as_("hopital").get(f"/{key}").content) == INLINE_BYTES + 3


# Interrupted


def test_what_an_interrupted_run_left_the_next_one_takes(served: Served, stored: Database) -> None:
    record = over(own_record(served))

    async def begun() -> None:
        client = connect(running_uri(served.data))
        try:
            erasure = Erasure(database(client, "fhir"))
            mine: list[Due] = [one async for one in erasure.due(time.time_ns() // 1000) if one.record == record.id]
            assert await erasure.begin(mine[0], time.time_ns() // 1000)
        finally:
            await client.close()

    aside(begun())
    assert record.as_("patient").get(f"/Patient/{record.id}").status_code == 404, "from its beginning nobody reaches it"
    assert (
        record.as_("hopital").post("/DocumentReference", json=document(record.id), headers=FHIR_JSON).status_code == 422
    )
    assert due(served)[record.id], "an earlier run began"
    erase(served)
    assert left(stored, record) == NOTHING
    trail_is_whole(served)


def test_a_killed_run_is_taken_up_again(served: Served, stored: Database) -> None:
    record = own_record(served)
    entry = {"request": {"method": "POST", "url": "DocumentReference"}, "resource": document(record.id)}
    bundle = {"resourceType": "Bundle", "type": "batch", "entry": [entry] * 400}
    assert record.as_("hopital").post("", json=bundle, headers=FHIR_JSON).status_code == 200
    over(record)
    running = subprocess.Popen(
        [sys.executable, "-m", "fhir_server", "erase", "--data", str(served.data)],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
    )
    while stored["resources"].count_documents({"record": record.id}) > 350 and running.poll() is None:
        time.sleep(0.001)
    running.send_signal(signal.SIGKILL)
    running.wait(timeout=30)
    assert stored["records"].count_documents({"_id": record.id}) == 1, "it was killed before it came to its end"
    erase(served)
    assert left(stored, record) == NOTHING
    trail_is_whole(served)


def test_what_was_reopened_meanwhile_stays(served: Served, stored: Database) -> None:
    record = over(own_record(served))

    async def late() -> bool:
        client = connect(running_uri(served.data))
        try:
            erasure = Erasure(database(client, "fhir"))
            mine = [one async for one in erasure.due(time.time_ns() // 1000) if one.record == record.id]
            put_patient(record)
            return await erasure.begin(mine[0], time.time_ns() // 1000)
        finally:
            await client.close()

    assert aside(late()) is False
    assert record.as_("patient").get(f"/Patient/{record.id}").status_code == 200

"""Binaries keep their bytes and their owner; `reindex` rebuilds what bodies tell and keeps what they do not; the sweep.

On the server of the whole run, in records of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from base64 import b64decode, b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import httpx
import pytest
from bson import ObjectId
from pymongo import MongoClient
from pymongo.database import Database as MongoDatabase

from fhir_server.cli.exits import Exit
from fhir_server.store.binary import INLINE_BYTES
from fhir_server.store.connection import connect, database
from fhir_server.store.document import SCHEMA
from fhir_server.store.embedded import running_uri
from fhir_server.store.upkeep import UNOWNED_FOR, sweep, upgrade_facts
from tests.build import PARIS, YEAR, authorisation, block
from tests.conformance.own_record import NUMBERS, TRE_A07, OwnRecord, own_record
from tests.parallel import aside
from tests.served import FHIR_JSON, ROOT, Served

Database: TypeAlias = "MongoDatabase[dict[str, Any]]"

DAY = UNOWNED_FOR


@pytest.fixture
def record(served: Served) -> OwnRecord:
    return own_record(served)


@pytest.fixture(scope="module")
def stored(served: Served) -> Iterator[Database]:
    """The database, to see what was stored."""
    with MongoClient[dict[str, Any]](running_uri(served.data)) as client:
        yield client["fhir"]


def sweep_at(served: Served, later: int) -> None:
    """Sweep as it will be done in so many microseconds."""

    async def swept() -> None:
        client = connect(running_uri(served.data))
        try:
            await sweep(database(client, "fhir"), time.time_ns() // 1000 + later)
        finally:
            await client.close()

    aside(swept())


def binary(data: bytes, **members: Any) -> dict[str, Any]:
    return {
        "resourceType": "Binary",
        "contentType": "application/octet-stream",
        "data": b64encode(data).decode(),
        **members,
    }


def deposit(client: httpx.Client, data: bytes, **members: Any) -> str:
    """The key of a new Binary."""
    answer = client.post("/Binary", json=binary(data, **members), headers=FHIR_JSON)
    assert answer.status_code == 201, answer.text
    return f"Binary/{answer.json()['id']}"


def own(record: OwnRecord, key: str, *labels: str, by: str = "hopital") -> str:
    """The key of a new document that points to a Binary."""
    attachment = {"contentType": "application/octet-stream", "url": key}
    return f"DocumentReference/{record.deposit(*labels, by=by, content=[{'attachment': attachment}])}"


def read(client: httpx.Client, key: str) -> bytes:
    """The content, as a FHIR resource tells it."""
    return data_of(client.get(f"/{key}", headers={"Accept": "application/fhir+json"}))


def data_of(answer: httpx.Response) -> bytes:
    assert answer.status_code == 200, answer.text
    return b64decode(answer.json()["data"], validate=True)


def held(stored: Database, key: str) -> dict[str, Any]:
    found = stored["resources"].find_one({"_id": key})
    assert found is not None, key
    return found


# Binary


@pytest.mark.parametrize("size", [1, INLINE_BYTES, INLINE_BYTES + 1, 3 * INLINE_BYTES + 17])
def test_a_binary_keeps_its_bytes(record: OwnRecord, stored: Database, size: int) -> None:
    data, publisher = os.urandom(size), record.as_("hopital")
    key = deposit(publisher, data)
    assert read(publisher, key) == data
    native = publisher.get(f"/{key}", headers={"Accept": "application/octet-stream"})
    assert (native.content, native.headers["Content-Type"]) == (data, "application/octet-stream")
    content = held(stored, key)["content"]
    assert ("inline" in content) == (size <= INLINE_BYTES)
    assert content["size"] == size
    assert b"data" not in held(stored, key)["body"]


def owned_by(record: OwnRecord, owner: str, data: bytes) -> str:
    """The key of a new Binary of a document that is there."""
    return deposit(record.as_("hopital"), data, securityContext={"reference": owner})


def test_equal_large_contents_of_a_record_are_stored_once(record: OwnRecord, stored: Database) -> None:
    data = os.urandom(INLINE_BYTES + 1)
    owner = f"DocumentReference/{record.deposit()}"
    contents = [held(stored, owned_by(record, owner, data))["content"] for _ in range(2)]
    assert contents[0]["file"] == contents[1]["file"]
    assert stored["content.chunks"].count_documents({"files_id": ObjectId(contents[0]["file"])}) == 5


def test_equal_contents_of_two_records_share_nothing(served: Served, record: OwnRecord, stored: Database) -> None:
    """Nor does one that belongs to no record yet: who sends what is there already learns and costs nothing less."""
    data, other = os.urandom(INLINE_BYTES + 1), own_record(served)
    keys = [owned_by(one, f"DocumentReference/{one.deposit()}", data) for one in (record, other)]
    keys += [deposit(record.as_("hopital"), data) for _ in range(2)]
    assert len({held(stored, key)["content"]["file"] for key in keys}) == 4


def test_a_version_with_the_same_content_needs_no_second_file(record: OwnRecord, stored: Database) -> None:
    data, publisher = os.urandom(INLINE_BYTES + 1), record.as_("hopital")
    key = deposit(publisher, data)
    first = held(stored, key)["content"]["file"]
    answer = publisher.put(f"/{key}", json=binary(data, id=key.partition("/")[2], language="fr"), headers=FHIR_JSON)
    assert answer.json()["meta"]["versionId"] == "2"
    assert held(stored, key)["content"]["file"] == first
    assert read(publisher, f"{key}/_history/1") == read(publisher, key) == data


def test_an_update_of_a_binary_keeps_the_bytes_of_before(record: OwnRecord, stored: Database) -> None:
    first, second, publisher = os.urandom(INLINE_BYTES + 1), os.urandom(100), record.as_("hopital")
    key = deposit(publisher, first)
    owner = own(record, key)
    answer = publisher.put(f"/{key}", json=binary(second, id=key.partition("/")[2]), headers=FHIR_JSON)
    assert data_of(answer) == second
    assert read(publisher, key) == second
    assert read(publisher, f"{key}/_history/1") == first
    assert held(stored, key)["owner"] == owner


def test_a_binary_goes_with_its_document(record: OwnRecord, stored: Database) -> None:
    record.chosen(authorisation(NUMBERS["specialiste"], patient=record.id).resource)
    patient, specialist, stranger = (record.as_(actor) for actor in ("patient", "specialiste", "inconnu"))
    key = deposit(specialist, b"content")
    assert patient.get(f"/{key}").status_code == 404
    owner = own(record, key, by="specialiste")
    assert read(patient, key) == b"content"
    assert specialist.delete(f"/{owner}").status_code == 204
    for client, status in ((patient, 410), (specialist, 410), (stranger, 404)):
        assert client.get(f"/{key}").status_code == status
        assert client.get(f"/{owner}").status_code == status
    marker = held(stored, key)
    assert (marker["gone"], marker["body"], marker["owner"]) == (True, None, owner)
    assert "content" not in marker


def test_what_nobody_points_to_is_swept_after_a_day(served: Served, record: OwnRecord, stored: Database) -> None:
    publisher, data = record.as_("hopital"), os.urandom(INLINE_BYTES + 1)
    large, small, owned = (
        deposit(publisher, data),
        deposit(publisher, b"small"),
        deposit(publisher, os.urandom(INLINE_BYTES + 1)),
    )
    own(record, owned)
    file, kept = (held(stored, key)["content"]["file"] for key in (large, owned))
    sweep_at(served, DAY - 3_600_000_000)
    assert [publisher.get(f"/{key}").status_code for key in (large, small, owned)] == [200, 200, 200]
    sweep_at(served, DAY + 60_000_000)
    assert [publisher.get(f"/{key}").status_code for key in (large, small, owned)] == [404, 404, 200]
    assert stored["content.files"].find_one({"_id": ObjectId(file)}) is None
    assert stored["content.chunks"].count_documents({"files_id": ObjectId(file)}) == 0
    assert stored["content.files"].count_documents({"_id": ObjectId(kept)}) == 1
    assert len(read(publisher, owned)) == INLINE_BYTES + 1


# Reindex


def reindex(served: Served) -> None:
    command = [sys.executable, "-m", "fhir_server", "reindex", "--data", str(served.data)]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stdout + told.stderr
    assert "resources indexed anew" in told.stdout


def test_reindex_rebuilds_what_bodies_tell_and_keeps_what_they_do_not(
    served: Served, record: OwnRecord, stored: Database
) -> None:
    record.chosen(authorisation(NUMBERS["specialiste"], patient=record.id).resource)
    record.chosen(block(NUMBERS["bloque"], patient=record.id).resource)
    masked = own(record, binary := deposit(record.as_("hopital"), b"content"), "MASQUE_PS")
    whole = {"reference": f"{served.base}/Patient/{record.id}"}  # known by the base URL of the server alone
    absolute = f"DocumentReference/{record.deposit(subject=whole)}"
    waiting = deposit(record.as_("hopital"), b"waiting")
    keys = (masked, binary, absolute, waiting, f"Patient/{record.id}")
    before = {key: held(stored, key) for key in keys}
    facts = stored["records"].find_one({"_id": record.id})
    assert facts is not None

    for key in keys:
        stored["resources"].update_one({"_id": key}, {"$set": {"ix": {"s": ["status=wrong"], "r": []}, "on": 0}})
    stored["resources"].update_one({"_id": masked}, {"$set": {"labels": [], "category": "wrong"}})
    stored["records"].update_one({"_id": record.id}, {"$set": {"consents": {}, "guardians": {}, "told.grants": {}}})
    assert record.as_("specialiste").get(f"/{absolute}").status_code == 404
    reindex(served)

    for key in keys:
        assert held(stored, key) == before[key], key
    again = stored["records"].find_one({"_id": record.id})
    assert again == {**facts, "rev": facts["rev"] + 1}
    assert record.documents("patient") == {masked.partition("/")[2], absolute.partition("/")[2]}
    assert record.sees("specialiste", absolute.partition("/")[2])
    assert not record.sees("specialiste", masked.partition("/")[2])
    assert record.as_("specialiste").get(f"/{binary}").status_code == 404
    assert record.as_("hopital").get(f"/{waiting}").status_code == 200
    assert record.as_("inconnu").get(f"/{waiting}").status_code == 404


def test_what_an_older_server_stored_names_nothing_hidden_and_is_upgraded(
    served: Served, record: OwnRecord, stored: Database
) -> None:
    """Before shape 2 it did not carry what it refers to, before 3 not the texts of its codes, before 4 no contained."""
    record.chosen(authorisation(NUMBERS["specialiste"], patient=record.id).resource)
    masked, shown = record.deposit("MASQUE_PS"), record.deposit()
    relations = [{"code": "appends", "target": {"reference": f"DocumentReference/{id}"}} for id in (masked, shown)]
    binary = deposit(record.as_("hopital"), b"content")
    content = [{"attachment": {"contentType": "application/octet-stream", "url": binary}}]
    author = {"resourceType": "Practitioner", "id": "a", "name": [{"family": "Leclerc"}]}
    held_within: dict[str, Any] = {"contained": [author], "author": [{"reference": "#a"}]}
    key = f"DocumentReference/{record.deposit(relatesTo=relations, content=content, **held_within)}"
    new = held(stored, key)
    assert (new["schema"], new["owns"]) == (SCHEMA, [binary])
    assert set(new["refers"]) == {binary, f"DocumentReference/{masked}", f"DocumentReference/{shown}"}
    plain = [term for term in new["ix"]["s"] if ":text=" not in term and ":exact=" not in term and "$" not in term]
    assert len(plain) < len(new["ix"]["s"])
    older: dict[str, Any] = {"$set": {"schema": 1, "refers": [], "ix.s": plain}, "$unset": {"owns": "", "ix.c": ""}}
    stored["resources"].update_one({"_id": key}, older)
    specialist = record.as_("specialiste")
    for _ in range(2):
        answer = specialist.get(f"/{key}").json()
        assert answer["relatesTo"] == relations[1:]
        assert answer["content"] == content
        reindex(served)
    assert held(stored, key) == new
    found = specialist.get("/DocumentReference", params={"patient": record.id, "author.family": "leclerc"}).json()
    assert [entry["resource"]["id"] for entry in found["entry"]] == [key.partition("/")[2]]


# A database that is not ours to write


def start(tmp_path: Path, uri: str, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command on an external database; it is expected to end by itself."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("FHIR_", "MONGODB_"))}
    return subprocess.run(
        [sys.executable, "-m", "fhir_server", *arguments, "--data", str(tmp_path / "data"), "--mongodb-uri", uri],
        cwd=ROOT,
        env={**kept, "FHIR_DATABASE": name},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def foreign(mongo_uri: str) -> Iterator[Database]:
    """A database of its own on the mongod of the whole run."""
    with MongoClient[dict[str, Any]](mongo_uri) as client:
        name = f"foreign-{os.getpid()}"
        yield client[name]
        client.drop_database(name)


@pytest.mark.parametrize("command", [("serve", "--port", "0"), ("serve", "--port", "0", "--demo"), ("reindex",)])
def test_a_database_of_a_newer_server_is_left_alone(
    tmp_path: Path, mongo_uri: str, foreign: Database, command: tuple[str, ...]
) -> None:
    newer = {"_id": "Patient/p", "rt": "Patient", "schema": SCHEMA + 1, "version": 1, "realm": "essai", "body": b"{}"}
    foreign["resources"].insert_one(newer)
    ended = start(tmp_path, mongo_uri, foreign.name, *command)
    assert ended.returncode == Exit.START, ended.stdout + ended.stderr
    assert "newer server" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert foreign["resources"].find().to_list() == [newer]


def test_the_demonstration_refuses_a_database_of_real_people(tmp_path: Path, mongo_uri: str, foreign: Database) -> None:
    real = {"_id": "Patient/p", "rt": "Patient", "schema": SCHEMA, "version": 1, "realm": "reel", "body": b"{}"}
    foreign["resources"].insert_one(real)
    ended = start(tmp_path, mongo_uri, foreign.name, "serve", "--port", "0", "--demo")
    assert ended.returncode == Exit.USAGE, ended.stdout + ended.stderr
    assert "real people" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert foreign["resources"].find().to_list() == [real]


def test_facts_that_an_older_server_told_are_told_anew_at_the_start(
    served: Served, record: OwnRecord, stored: Database
) -> None:
    record.chosen(authorisation(NUMBERS["specialiste"], patient=record.id).resource)
    before = stored["records"].find_one({"_id": record.id})
    assert before is not None
    stored["records"].update_one({"_id": record.id}, {"$unset": {"told": "", "teams": "", "carers": ""}})
    stored["shapes"].delete_one({"_id": "facts"})

    async def started() -> None:
        client = connect(running_uri(served.data))
        try:
            await upgrade_facts(database(client, "fhir"), zone=PARIS, authorisation=YEAR)
        finally:
            await client.close()

    aside(started())
    assert stored["records"].find_one({"_id": record.id}) == {**before, "rev": before["rev"] + 1}
    aside(started())
    assert stored["records"].find_one({"_id": record.id}) == {**before, "rev": before["rev"] + 1}, "once is enough"


# FHIR documents


def fhir_document(author: httpx.Client, **members: Any) -> str:
    """Deposit a document in FHIR that names no record."""
    composition = {
        "resourceType": "Composition",
        "status": "final",
        "type": {"coding": [{"system": "http://loinc.org", "code": "60591-5"}]},
        "date": "2026-03-02",
        "author": [{"display": "Dr Benali"}],
        "title": "Synthèse",
    }
    bundle = {
        "resourceType": "Bundle",
        "type": "document",
        "identifier": {"system": "urn:ietf:rfc:3986", "value": "urn:oid:1.2.250.1.999.7"},
        "timestamp": "2026-03-02T10:15:00+01:00",
        "entry": [{"fullUrl": "urn:uuid:4d5b1a4e-5c47-4b1e-8d4b-0c5b8f6f0001", "resource": composition}],
        **members,
    }
    answer = author.post("/Bundle", json=bundle, headers=FHIR_JSON)
    assert answer.status_code == 201, answer.text
    return f"Bundle/{answer.json()['id']}"


def test_a_fhir_document_keeps_its_owner_when_it_is_indexed_anew(
    served: Served, record: OwnRecord, stored: Database
) -> None:
    hospital = record.as_("hopital")
    label = {"system": TRE_A07, "code": "INVISIBLE_REPRESENTANTS_LEGAUX"}
    key = fhir_document(hospital, meta={"security": [label]})
    masked = own(record, key, "MASQUE_PS")
    before = {one: held(stored, one) for one in (key, masked)}
    told = before[key]
    assert (told["owner"], told["record"], before[masked]["owns"]) == (masked, record.id, [key])
    assert set(told["owner_labels"]) == {"N", "MASQUE_PS"}
    assert set(told["labels"]) == {"N", "MASQUE_PS", "INVISIBLE_REPRESENTANTS_LEGAUX"}
    assert (told["category"], told["kind"]) == (before[masked]["category"], before[masked]["kind"])
    assert "unowned" not in told
    stored["resources"].update_one({"_id": key}, {"$set": {"ix": {"s": ["type=wrong"], "r": []}, "on": 0}})
    reindex(served)
    assert {one: held(stored, one) for one in before} == before


def test_a_fhir_document_without_an_owner_is_swept_after_a_day(
    served: Served, record: OwnRecord, stored: Database
) -> None:
    hospital = record.as_("hopital")
    waiting, owned = fhir_document(hospital), fhir_document(hospital)
    own(record, owned)
    kept = fhir_document(record.as_("conformance"))
    sweep_at(served, DAY - 60_000_000)
    assert hospital.get(f"/{waiting}").status_code == 200
    sweep_at(served, DAY + 60_000_000)
    assert hospital.get(f"/{waiting}").status_code == 404
    assert hospital.get(f"/{owned}").status_code == 200
    assert record.as_("conformance").get(f"/{kept}").status_code == 200


def test_a_fhir_document_that_an_older_server_stored_gets_its_owner(
    served: Served, record: OwnRecord, stored: Database
) -> None:
    hospital = record.as_("hopital")
    key = fhir_document(hospital)
    masked = own(record, key, "MASQUE_PS")
    before = {one: held(stored, one) for one in (key, masked)}
    loose: dict[str, Any] = {"labels": [], "category": None, "kind": None, "authors": []}
    stored["resources"].update_one({"_id": key}, {"$set": loose, "$unset": {"owner": "", "owner_labels": ""}})
    stored["resources"].update_one({"_id": masked}, {"$unset": {"owns": ""}})
    reindex(served)
    after = {one: held(stored, one) for one in before}
    after[masked].pop("touched")
    assert after == before

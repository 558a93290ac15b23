"""Contents at rest under a key for each patient: unreadable without, intact or refused, gone with the record.

On a server of our own, whose master key we chose.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, TypeAlias

import httpx
import pytest
from bson import ObjectId
from pydantic import SecretStr
from pymongo import MongoClient
from pymongo.database import Database as MongoDatabase

from fhir_server import app
from fhir_server.cli.doctor import encryption
from fhir_server.cli.exits import Exit
from fhir_server.record.closure import DMP_FERMETURE
from fhir_server.settings import Settings, SettingsError, load_settings
from fhir_server.store.connection import connect, database
from fhir_server.store.content_files import CHUNK_BYTES
from fhir_server.store.keys import ContentKeys, Wrapped
from fhir_server.store.sealing import MasterKeys, master_id
from fhir_server.store.upkeep import UNOWNED_FOR, sweep
from tests.answers import refused
from tests.conformance.own_record import OwnRecord, own_record, patient
from tests.parallel import aside
from tests.served import FHIR_JSON, ROOT, Served, serving

Stored: TypeAlias = "MongoDatabase[dict[str, Any]]"

NAME: Final = "encryption"
OLD: Final = os.urandom(32)
NEW: Final = os.urandom(32)
BOTH: Final = f"{b64encode(NEW).decode()} {b64encode(OLD).decode()}"
LARGE: Final = 6 * CHUNK_BYTES + 17
SMALL: Final = 500
PDF: Final = {"Content-Type": "application/pdf"}


@pytest.fixture(scope="module")
def server(mongo_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("encryption") / "data"
    keys = folder.with_name("keys")
    keys.write_text(b64encode(OLD).decode())
    keys.chmod(0o600)
    env = {"FHIR_DATABASE": NAME, "FHIR_CONTENT_KEY_FILE": str(keys)}
    with serving(folder, "--mongodb-uri", mongo_uri, env=env) as running:
        yield running


@pytest.fixture(scope="module")
def stored(server: Served, mongo_uri: str) -> Iterator[Stored]:
    with MongoClient[dict[str, Any]](mongo_uri) as client:
        yield client[NAME]


@pytest.fixture
def record(server: Served) -> OwnRecord:
    return own_record(server)


@pytest.fixture
def publisher(record: OwnRecord) -> httpx.Client:
    return record.as_("hopital")


def sent(client: httpx.Client, data: bytes, owner: str | None = None) -> str:
    """The key of a Binary sent as what it is."""
    headers = PDF | ({"X-Security-Context": owner} if owner else {})
    answer = client.post("Binary", content=data, headers=headers)
    assert answer.status_code == 201, answer.text
    return f"Binary/{answer.headers['location'].split('/')[-3]}"


def content(stored: Stored, key: str) -> dict[str, Any]:
    found = stored["resources"].find_one({"_id": key})
    assert found is not None
    told: dict[str, Any] = found["content"]
    return told


def bytes_at_rest(stored: Stored, key: str) -> bytes:
    """All that the database holds of a content."""
    held = content(stored, key)
    if "inline" in held:
        return bytes(held["inline"])
    chunks = stored["content.chunks"].find({"files_id": ObjectId(held["file"])}).sort("n", 1)
    return b"".join(one["data"] for one in chunks)


@pytest.mark.parametrize("size", [1, SMALL, LARGE])
def test_the_database_does_not_tell_a_content(publisher: httpx.Client, stored: Stored, size: int) -> None:
    data = (b"Compte rendu " * (size // 13 + 1))[:size]
    key = sent(publisher, data)
    at_rest = bytes_at_rest(stored, key)
    assert len(at_rest) > size
    assert b"Compte" not in at_rest
    assert publisher.get(key).content == data
    as_resource = {"resourceType": "Binary", "contentType": "text/plain", "data": b64encode(data).decode()}
    other = f"Binary/{publisher.post('Binary', json=as_resource, headers=FHIR_JSON).json()['id']}"
    assert b"Compte" not in bytes_at_rest(stored, other)
    assert publisher.get(other, headers={"Accept": "application/fhir+json"}).json()["data"] == as_resource["data"]
    assert content(stored, key)["hash"] != content(stored, other)["hash"], "nor that two records hold the same"


def test_a_part_is_read_alone(publisher: httpx.Client, stored: Stored) -> None:
    """With the last chunk, which proves how long the content is."""
    data = os.urandom(LARGE)
    key = sent(publisher, data)
    file = ObjectId(content(stored, key)["file"])
    stored["content.chunks"].delete_many({"files_id": file, "n": {"$in": [0, 1, 4]}})
    part = publisher.get(key, headers={"Range": f"bytes={2 * CHUNK_BYTES + 5}-{3 * CHUNK_BYTES + 5}"})
    assert (part.status_code, part.content) == (206, data[2 * CHUNK_BYTES + 5 : 3 * CHUNK_BYTES + 6])


@pytest.mark.parametrize("fault", ["altered", "exchanged", "cut", "of another content", "inline"])
def test_what_was_tampered_with_is_not_answered(publisher: httpx.Client, stored: Stored, fault: str) -> None:
    key = sent(publisher, os.urandom(SMALL if fault == "inline" else LARGE))
    chunks, held = stored["content.chunks"], content(stored, key)
    file = ObjectId(held.get("file", "0" * 24))
    first, second = ({"files_id": file, "n": number} for number in range(2))
    match fault:
        case "inline":
            changed = bytes([held["inline"][0] ^ 1]) + held["inline"][1:]
            stored["resources"].update_one({"_id": key}, {"$set": {"content.inline": changed}})
        case "altered":
            one = chunks.find_one(first)
            assert one is not None
            chunks.update_one(first, {"$set": {"data": one["data"][:-1] + bytes([one["data"][-1] ^ 1])}})
        case "exchanged":
            chunks.update_one(first, {"$set": {"n": 99}})
            chunks.update_one(second, {"$set": {"n": 0}})
            chunks.update_one({"files_id": file, "n": 99}, {"$set": {"n": 1}})
        case "cut":
            size = 2 * CHUNK_BYTES
            chunks.delete_many({"files_id": file, "n": {"$gt": 1}})
            stored["resources"].update_one({"_id": key}, {"$set": {"content.size": size}})
        case _:
            other = content(stored, sent(publisher, os.urandom(LARGE)))
            stored["resources"].update_one({"_id": key}, {"$set": {"content.file": other["file"]}})
    if fault == "cut":
        with pytest.raises(httpx.RemoteProtocolError):
            publisher.get(key)
    else:
        refused(publisher.get(key), 500, "exception")
    refused(publisher.get(key, headers={"Range": "bytes=0-9"}), 500, "exception")


# Whose key


def test_equal_contents_of_a_record_are_stored_once_also_sealed(
    record: OwnRecord, publisher: httpx.Client, stored: Stored
) -> None:
    data, owner = os.urandom(LARGE), f"DocumentReference/{record.deposit()}"
    first, second = (content(stored, sent(publisher, data, owner)) for _ in range(2))
    assert first["file"] == second["file"]
    other = own_record(record.served)
    third = content(stored, sent(publisher, data, f"DocumentReference/{other.deposit()}"))
    assert third["file"] != first["file"]
    assert third["hash"] != first["hash"]


def test_the_key_of_what_waits_becomes_one_of_the_record(
    record: OwnRecord, publisher: httpx.Client, stored: Stored
) -> None:
    data = os.urandom(LARGE)
    key = sent(publisher, data)
    assert publisher.put(key, content=data[:SMALL], headers=PDF).status_code == 200
    waiting = stored["content_keys"].find_one({"_id": key})
    assert waiting is not None
    assert waiting["record"] is None
    record.deposit(content=[{"attachment": {"contentType": "application/pdf", "url": key}}])
    given = stored["content_keys"].find_one({"_id": key})
    assert given == {**waiting, "record": record.id}
    assert publisher.get(key).content == data[:SMALL]
    assert publisher.get(f"{key}/_history/1").content == data
    assert publisher.put(key, content=data, headers=PDF).status_code == 200
    assert content(stored, key)["key"] == f"Patient/{record.id}"
    assert publisher.get(key).content == data


def test_a_key_that_nothing_was_sealed_with_is_swept(publisher: httpx.Client, stored: Stored, mongo_uri: str) -> None:
    swept_with_it, unused = sent(publisher, b"x"), "Binary/never-stored"
    key = stored["content_keys"].find_one({"_id": swept_with_it})
    assert key is not None
    stored["content_keys"].insert_one({**key, "_id": unused})

    async def swept() -> None:
        client = connect(mongo_uri)
        try:
            await sweep(database(client, NAME), time.time_ns() // 1000 + UNOWNED_FOR + 60_000_000)
        finally:
            await client.close()

    aside(swept())
    assert stored["content_keys"].count_documents({"_id": {"$in": [swept_with_it, unused]}}) == 0


def settings(server: Served, mongo_uri: str, keys: str | None) -> Settings:
    return load_settings(
        data_folder=server.data,
        mongodb_uri=SecretStr(mongo_uri),
        database=NAME,
        content_keys=None if keys is None else SecretStr(keys),
    )


def test_an_erased_record_is_unreadable_in_a_copy_of_the_contents(
    server: Served, record: OwnRecord, publisher: httpx.Client, stored: Stored, mongo_uri: str
) -> None:
    """What a backup holds, put back without the key that was destroyed."""
    data = os.urandom(LARGE)
    waiting = sent(publisher, data)
    record.deposit(content=[{"attachment": {"contentType": "application/pdf", "url": waiting}}])
    owned = sent(publisher, data, f"DocumentReference/{record.deposit()}")
    backup = {
        name: list(stored[name].find(where))
        for name, where in (
            ("resources", {"record": record.id}),
            ("records", {"_id": record.id}),
            ("content.files", {}),
            ("content.chunks", {}),
        )
    }
    own = [ObjectId(content(stored, key)["file"]) for key in (waiting, owned)]
    assert stored["content_keys"].count_documents({"record": record.id}) == 2
    closing = {"url": DMP_FERMETURE, "extension": [{"url": "dateFermeture", "valueDate": "2011-03-01"}]}
    closed = patient(record, active=False, extension=[closing])
    assert record.as_("conformance").put(f"/Patient/{record.id}", json=closed, headers=FHIR_JSON).status_code == 200
    aside(app.erase(settings(server, mongo_uri, None), lambda _: None))
    assert stored["content_keys"].count_documents({"record": record.id}) == 0
    assert stored["content.files"].count_documents({"_id": {"$in": own}}) == 0
    for name, documents in backup.items():
        for one in documents:
            stored[name].replace_one({"_id": one["_id"]}, one, upsert=True)
    for key in (waiting, owned):
        refused(record.as_("conformance").get(key), 500, "exception")


# The master keys


def test_another_master_key_wraps_what_the_older_one_did(
    server: Served, publisher: httpx.Client, stored: Stored, mongo_uri: str
) -> None:
    key = sent(publisher, b"sealed under the old one")
    before = stored["content_keys"].find_one({"_id": key})
    assert before is not None
    assert before["master"] == master_id(OLD)

    async def rotated() -> int:
        client = connect(mongo_uri)
        try:
            return await ContentKeys(database(client, NAME), MasterKeys.read(BOTH)).wrap_anew()
        finally:
            await client.close()

    all_of_them = stored["content_keys"].count_documents({})
    assert aside(rotated()) == all_of_them
    assert stored["content_keys"].distinct("master") == [master_id(NEW)]
    try:
        env = {"FHIR_DATABASE": NAME, "FHIR_CONTENT_KEYS": BOTH}
        folder = server.data.with_name("rotated")
        with serving(folder, "--mongodb-uri", mongo_uri, env=env) as other:
            assert other.as_("hopital").get(key).content == b"sealed under the old one"
            made = sent(other.as_("hopital"), b"new")
            assert stored["content_keys"].distinct("master", {"_id": made}) == [master_id(NEW)]
    finally:
        # as it was, for the server of these tests
        stored["content_keys"].delete_many({"master": master_id(NEW), "_id": {"$ne": key}})
        stored["content_keys"].replace_one({"_id": key}, before)


def test_a_server_without_the_master_key_does_not_start(
    server: Served, publisher: httpx.Client, tmp_path: Path, mongo_uri: str
) -> None:
    sent(publisher, b"x")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("FHIR_", "MONGODB_"))}
    for keys in (None, b64encode(NEW).decode()):
        env = {**kept, "FHIR_DATABASE": NAME} | ({"FHIR_CONTENT_KEYS": keys} if keys else {})
        command = ["-m", "fhir_server", "serve", "--port", "0", "--data", str(tmp_path), "--mongodb-uri", mongo_uri]
        ended = subprocess.run(
            [sys.executable, *command], cwd=ROOT, env=env, capture_output=True, text=True, timeout=60, check=False
        )
        assert ended.returncode == Exit.START, ended.stdout + ended.stderr
        assert f"encrypted under the master key {master_id(OLD)}, which is not given" in ended.stderr
        assert "Traceback" not in ended.stderr


def test_doctor_tells() -> None:
    given, both = MasterKeys.read(b64encode(NEW).decode()), MasterKeys.read(BOTH)
    old = [Wrapped(master_id(OLD), 3)]
    assert encryption(None, []).seen == "off"
    assert encryption(given, []).seen == f"on, by the master key {master_id(NEW)}"
    assert encryption(both, old).seen.endswith(f"; 3 still under {master_id(OLD)}")
    assert all(one.is_right for one in (encryption(None, []), encryption(given, []), encryption(both, old)))
    for masters in (None, given):
        found = encryption(masters, old)
        assert not found.is_right
        assert f"3 records need the master key {master_id(OLD)}" in found.seen


def test_keys_that_cannot_be_used_stop_the_start(tmp_path: Path) -> None:
    readable, secret = tmp_path / "readable", b64encode(OLD).decode()
    readable.write_text(secret)
    readable.chmod(0o644)
    with pytest.raises(SettingsError, match="can be read by everybody"):
        load_settings(content_key_file=readable)
    readable.chmod(0o600)
    assert load_settings(content_key_file=readable).master_keys is not None
    with pytest.raises(SettingsError, match="not by both"):
        load_settings(content_key_file=readable, content_keys=SecretStr(secret))
    with pytest.raises(SettingsError, match="not base64") as told:
        load_settings(content_keys=SecretStr(f"{secret}!"))
    assert secret not in str(told.value)
    with pytest.raises(SettingsError, match="cannot be read"):
        load_settings(content_key_file=tmp_path / "absent")

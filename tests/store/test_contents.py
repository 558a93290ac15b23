"""Large contents come in and go out in parts; what was cut leaves nothing; a file goes when nobody needs it.

On a server of our own, with a limit and a pause that a test can reach.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from base64 import b64encode
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, Final, TypeAlias, TypeVar

import httpx
import pytest
from bson import ObjectId
from pymongo import MongoClient
from pymongo.database import Database as MongoDatabase

from fhir_server.fhir.errors import Invalid, Unavailable
from fhir_server.fhir.messages import Told
from fhir_server.interactions.natively import MOST_DATA
from fhir_server.store import content_files
from fhir_server.store.binary import INLINE_BYTES, Contents
from fhir_server.store.connection import Database, connect, database
from fhir_server.store.content_files import CHUNK_BYTES, ContentFiles
from fhir_server.store.embedded import running_uri
from fhir_server.store.keys import ContentKeys, Scope
from fhir_server.store.transaction import Transactions
from fhir_server.store.upkeep import UNOWNED_FOR, sweep, sweep_interrupted
from tests.answers import connect as connected
from tests.answers import received, refused
from tests.conformance.own_record import OwnRecord, own_record
from tests.parallel import aside
from tests.served import FHIR_JSON, Served, serving

Stored: TypeAlias = "MongoDatabase[dict[str, Any]]"
Done = TypeVar("Done")

NAME: Final = "contents"
LIMIT: Final = 24_000_000
LARGE: Final = INLINE_BYTES + 5 * CHUNK_BYTES + 17
AS_FHIR: Final = {"Accept": "application/fhir+json"}
PDF: Final = {"Content-Type": "application/pdf"}


@pytest.fixture(scope="module")
def server(mongo_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder: Path = tmp_path_factory.mktemp("contents") / "data"
    env = {"FHIR_DATABASE": NAME, "FHIR_MAX_CONTENT_BYTES": str(LIMIT), "FHIR_BODY_TIMEOUT": "1.5"}
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


def in_store(uri: str, work: Callable[[Database], Awaitable[Done]]) -> Done:
    """Do something with the store as the server does, on the same database."""

    async def done() -> Done:
        client = connect(uri)
        try:
            return await work(database(client, NAME))
        finally:
            await client.close()

    return aside(done())


def sent(client: httpx.Client, data: bytes, **headers: str) -> str:
    """The key of a Binary sent as what it is."""
    answer = client.post("Binary", content=data, headers=PDF | headers)
    assert answer.status_code == 201, answer.text
    return f"Binary/{answer.headers['location'].split('/')[-3]}"


def file_of(stored: Stored, key: str) -> ObjectId:
    found = stored["resources"].find_one({"_id": key})
    assert found is not None
    return ObjectId(found["content"]["file"])


def files(stored: Stored) -> tuple[int, int]:
    """How many files and chunks there are."""
    return stored["content.files"].count_documents({}), stored["content.chunks"].count_documents({})


def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


# In parts


@pytest.mark.parametrize("size", [INLINE_BYTES, INLINE_BYTES + 1, 8 * CHUNK_BYTES, 8 * CHUNK_BYTES + 1, LARGE])
def test_a_content_of_any_size_is_what_was_sent(publisher: httpx.Client, stored: Stored, size: int) -> None:
    data = os.urandom(size)
    key = sent(publisher, data)
    assert publisher.get(key).content == data
    found = stored["resources"].find_one({"_id": key})
    assert found is not None
    assert found["content"]["size"] == size
    assert ("inline" in found["content"]) is (size <= INLINE_BYTES)
    if size > INLINE_BYTES:
        entry = stored["content.files"].find_one({"_id": file_of(stored, key)})
        assert entry is not None
        assert (entry["length"], entry["metadata"]["state"]) == (size, "kept")
        chunks = stored["content.chunks"].find({"files_id": entry["_id"]}).sort("n", 1).to_list()
        assert b"".join(one["data"] for one in chunks) == data


def test_of_a_large_content_only_the_chunks_that_are_needed_are_read(publisher: httpx.Client, stored: Stored) -> None:
    data = os.urandom(LARGE)
    key = sent(publisher, data)
    needed = {"files_id": file_of(stored, key), "n": {"$in": [3, 4, 9]}}
    stored["content.chunks"].delete_many({"files_id": needed["files_id"], "n": {"$nin": [3, 4, 9]}})
    start, stop = 3 * CHUNK_BYTES + 100, 5 * CHUNK_BYTES - 1
    part = publisher.get(key, headers={"Range": f"bytes={start}-{stop}"})
    assert (part.status_code, part.content) == (206, data[start : stop + 1])
    assert publisher.get(key, headers={"Range": "bytes=-10"}).content == data[-10:]
    assert publisher.head(key).headers["content-length"] == str(LARGE)


def test_what_is_missing_is_never_taken_for_the_whole(publisher: httpx.Client, stored: Stored) -> None:
    key = sent(publisher, os.urandom(LARGE))
    stored["content.chunks"].delete_one({"files_id": file_of(stored, key), "n": 8})
    with pytest.raises(httpx.RemoteProtocolError):
        publisher.get(key)
    stored["content.chunks"].delete_one({"files_id": file_of(stored, key), "n": 0})
    refused(publisher.get(key), 500, "exception")


def test_as_a_resource_it_is_told_up_to_a_size(publisher: httpx.Client, record: OwnRecord) -> None:
    owner = f"DocumentReference/{record.deposit()}"
    key = sent(publisher, bytes(MOST_DATA + 1), **{"X-Security-Context": owner})
    told = refused(publisher.get(key, headers=AS_FHIR), 406, "too-costly", "Accept: */*")
    assert str(MOST_DATA + 1) in told["diagnostics"]
    assert publisher.get(f"{key}?_summary=true", headers=AS_FHIR).json()["contentType"] == "application/pdf"
    assert len(publisher.get(key).content) == MOST_DATA + 1
    patch = [{"op": "add", "path": "/language", "value": "fr"}]
    headers = {"Content-Type": "application/json-patch+json"}
    refused(publisher.patch(key, json=patch, headers=headers), 413, "too-costly", "by PUT")
    whole = sent(publisher, bytes(MOST_DATA), **{"X-Security-Context": owner})
    assert len(publisher.get(whole, headers=AS_FHIR).json()["data"]) > MOST_DATA


def test_a_list_tells_which_data_it_leaves_out(record: OwnRecord, publisher: httpx.Client) -> None:
    key = sent(publisher, bytes(MOST_DATA // 2 + 1))
    for number in range(2):
        assert publisher.put(key, content=bytes(MOST_DATA // 2 + 1), headers=PDF).status_code == 200, number
    entries = publisher.get(f"{key}/_history").json()["entry"]
    tags = [[tag["code"] for tag in one["resource"]["meta"].get("tag", [])] for one in entries]
    assert tags == [[], ["SUBSETTED"], ["SUBSETTED"]]
    assert ["data" in one["resource"] for one in entries] == [True, False, False]


def test_a_new_version_answers_without_data_that_are_too_many(publisher: httpx.Client) -> None:
    made = publisher.post("Binary", content=bytes(MOST_DATA + 1), headers=PDF).json()
    assert "data" not in made
    assert made["meta"]["tag"][0]["code"] == "SUBSETTED"


def entries(*bodies: dict[str, Any]) -> dict[str, Any]:
    """A transaction Bundle that posts these."""
    made = [{"request": {"method": "POST", "url": one["resourceType"]}, "resource": one} for one in bodies]
    return {"resourceType": "Bundle", "type": "transaction", "entry": made}


def test_the_contents_of_a_transaction_are_stored_with_it_or_not_at_all(record: OwnRecord, stored: Stored) -> None:
    data, owner = os.urandom(LARGE), f"DocumentReference/{record.deposit()}"
    binary = {"resourceType": "Binary", "contentType": "application/pdf", "data": b64encode(data).decode()}
    owned = {**binary, "securityContext": {"reference": owner}}
    before, publisher = files(stored), record.as_("hopital")
    unknown = {**binary, "data": "Qm9u", "securityContext": {"reference": "DocumentReference/absent"}}
    refused(publisher.post("", json=entries(owned, unknown), headers=FHIR_JSON), 422, "not-found")
    assert files(stored) == before
    answer = publisher.post("", json=entries(owned, owned), headers=FHIR_JSON)
    assert answer.status_code == 200, answer.text
    keys = [one["response"]["location"].split("/_history")[0].split("/fhir/")[1] for one in answer.json()["entry"]]
    assert [publisher.get(key).content for key in keys] == [data, data]
    assert len({file_of(stored, key) for key in keys}) == 1, "an entry sees what came before it"
    entry = stored["content.files"].find_one({"_id": file_of(stored, keys[0])})
    assert entry is not None
    assert entry["metadata"]["state"] == "kept"


# What was cut


def begin(server: Served, token: str, length: int, body: bytes) -> socket.socket:
    """A connection on which a part of a content was sent."""
    connection = connected(server.base)
    lines = [
        "POST /fhir/Binary HTTP/1.1",
        "Host: x",
        "Content-Type: application/pdf",
        f"Authorization: Bearer {token}",
        f"Content-Length: {length}",
    ]
    connection.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
    return connection


def test_an_upload_that_is_cut_leaves_nothing(server: Served, stored: Stored) -> None:
    before, many = files(stored), stored["resources"].count_documents({})
    with begin(server, server.token("hopital"), 20_000_000, os.urandom(6_000_000)):
        until(lambda: files(stored)[1] > before[1])
    until(lambda: files(stored) == before)
    assert stored["resources"].count_documents({}) == many


def test_who_waits_for_leave_to_send_is_answered_at_once(server: Served) -> None:
    """RFC 9110: nothing of a content is sent, or read, that is refused whatever it is."""
    with connected(server.base) as connection:
        lines = [
            "PUT /fhir/Binary/absent HTTP/1.1",
            "Host: x",
            "Content-Type: application/pdf",
            f"Authorization: Bearer {server.token('hopital')}",
            "Content-Length: 20000000",
            "Expect: 100-continue",
        ]
        connection.sendall("\r\n".join(lines).encode() + b"\r\n\r\n")
        answer = received(connection)
    refused(answer, 404, "not-found")
    assert answer.headers["connection"] == "close"


def test_an_upload_that_pauses_is_given_up(server: Served, stored: Stored) -> None:
    before = files(stored)
    with begin(server, server.token("hopital"), 20_000_000, os.urandom(3_000_000)) as connection:
        told = refused(received(connection), 408, "timeout")
        assert "1.5 seconds" in told["diagnostics"]
    until(lambda: files(stored) == before)


def test_what_is_longer_than_the_limit_is_refused(publisher: httpx.Client, stored: Stored) -> None:
    before = files(stored)
    told = refused(publisher.post("Binary", content=bytes(LIMIT + 1), headers=PDF), 413, "too-long")
    assert str(LIMIT) in told["diagnostics"]
    parts = iter([bytes(1_000_000)] * (LIMIT // 1_000_000 + 1))
    refused(publisher.post("Binary", content=parts, headers=PDF), 413, "too-long")
    until(lambda: files(stored) == before)
    assert publisher.post("Binary", content=bytes(LIMIT), headers=PDF).status_code == 201


def test_what_is_refused_after_it_came_leaves_nothing(mongo_uri: str, stored: Stored) -> None:
    """As a version that was overtaken while its content came."""
    before = files(stored)

    async def refuse(given: Database) -> None:
        contents = Contents(given, ContentKeys(given, None))
        with pytest.raises(Invalid):
            await overtaken(contents, given)

    async def overtaken(contents: Contents, given: Database) -> None:
        async with contents.keep(os.urandom(LARGE), "application/pdf", Scope.of(None, "x")) as kept:
            assert await given["content.files"].find_one({"_id": ObjectId(kept["file"])}) is not None
            raise Invalid(Told("no", ""))

    in_store(mongo_uri, refuse)
    assert files(stored) == before


# The life of a file


def test_what_a_crash_left_of_an_upload_is_swept(stored: Stored, mongo_uri: str) -> None:
    """An entry that stayed new, with some chunks; after a day, or at once where its server is known to be dead."""
    now = time.time_ns() // 1000

    async def cut(given: Database) -> ObjectId:
        written = ContentFiles(given)
        id = await written.begin()
        await written.add(id, 0, [b"a" * 10, b"b" * 10])
        return id

    async def swept(given: Database, later: int) -> None:
        await sweep(given, now + later)

    async def at_start(given: Database) -> None:
        await sweep_interrupted(given, now, dead_since=now + 2_000_000)

    for clear in (lambda given: swept(given, UNOWNED_FOR + 60_000_000), at_start):
        id = in_store(mongo_uri, cut)
        in_store(mongo_uri, lambda given: swept(given, 0))
        assert stored["content.chunks"].count_documents({"files_id": id}) == 2, "it may be under way"
        in_store(mongo_uri, clear)
        assert stored["content.chunks"].count_documents({"files_id": id}) == 0
        assert stored["content.files"].find_one({"_id": id}) is None


def test_a_file_that_was_given_up_takes_no_end(stored: Stored, mongo_uri: str) -> None:
    """An upload of more than a day finds that it was swept, says so, and leaves no chunks behind."""

    async def slow(given: Database) -> ObjectId:
        written = ContentFiles(given)
        id = await written.begin()
        await written.sweep(time.time_ns() // 1000 + UNOWNED_FOR + 60_000_000, age=UNOWNED_FOR)
        await written.add(id, 0, [b"late"])
        with pytest.raises(Unavailable):
            await written.finish(id, 4)
        await written.discard(id)
        return id

    id = in_store(mongo_uri, slow)
    assert stored["content.chunks"].count_documents({"files_id": id}) == 0


def test_what_is_going_is_given_to_nobody(stored: Stored, mongo_uri: str) -> None:
    async def taken(given: Database) -> None:
        written = ContentFiles(given)
        id = await written.begin()
        await given["content.files"].update_one({"_id": id}, {"$set": {"metadata.state": "going"}})

        async def store(session: Any) -> None:
            await content_files.keep(given, str(id), session)

        with pytest.raises(Unavailable):
            await Transactions(given.client).run(store)
        assert await written.sweep(0, age=0) == 1

    in_store(mongo_uri, taken)


def test_a_content_that_is_taken_up_while_it_is_let_go_is_there(
    publisher: httpx.Client, stored: Stored, mongo_uri: str
) -> None:
    """The sweep looks for who needs a file, finds nobody, and in this very moment somebody does."""
    key = sent(publisher, os.urandom(LARGE))
    file = file_of(stored, key)
    held = stored["resources"].find_one({"_id": key})
    assert held is not None
    document = {**held, "_id": "Binary/taken-up", "version": 1}
    stored["resources"].delete_one({"_id": key})
    stored["content.files"].update_one({"_id": file}, {"$set": {"metadata.state": "loose"}})

    async def race(given: Database) -> None:
        began, stored_it = asyncio.Event(), asyncio.Event()

        async def store(session: Any) -> None:
            await given["resources"].insert_one(document, session=session)
            await content_files.keep(given, str(file), session)
            began.set()
            await asyncio.wait_for(stored_it.wait(), 20)

        async def let_go() -> None:
            await began.wait()
            swept = asyncio.create_task(ContentFiles(given).sweep(time.time_ns() // 1000, age=UNOWNED_FOR))
            await asyncio.sleep(0.3)
            stored_it.set()
            await swept

        await asyncio.gather(Transactions(given.client).run(store), let_go())

    in_store(mongo_uri, race)
    entry = stored["content.files"].find_one({"_id": file})
    assert entry is not None
    assert entry["metadata"]["state"] == "kept"
    assert stored["content.chunks"].count_documents({"files_id": file}) > 0
    stored["resources"].delete_one({"_id": "Binary/taken-up"})


def test_the_file_of_an_earlier_version_stays(
    record: OwnRecord, publisher: httpx.Client, stored: Stored, mongo_uri: str
) -> None:
    data = os.urandom(LARGE)
    key = sent(publisher, data, **{"X-Security-Context": f"DocumentReference/{record.deposit()}"})
    assert publisher.put(key, content=b"small", headers=PDF).status_code == 200
    stored["content.files"].update_many({}, {"$set": {"metadata.state": "loose"}})

    async def swept(given: Database) -> None:
        await sweep(given, time.time_ns() // 1000)

    in_store(mongo_uri, swept)
    assert publisher.get(f"{key}/_history/1").content == data


def test_files_of_an_older_server_are_read_kept_and_swept(
    record: OwnRecord, publisher: httpx.Client, stored: Stored, mongo_uri: str
) -> None:
    """The driver's own layout: chunks of 255 KiB, no state; and chunks without an entry, which a crash left."""
    data = os.urandom(LARGE)
    key = sent(publisher, data, **{"X-Security-Context": f"DocumentReference/{record.deposit()}"})
    long_ago = [ObjectId(f"{1_600_000_000 + number:08x}{os.urandom(8).hex()}") for number in range(3)]
    needed, unneeded, lost = long_ago
    for id in long_ago:
        parts = [data[at : at + 255 * 1024] for at in range(0, len(data), 255 * 1024)]
        stored["content.chunks"].insert_many([{"files_id": id, "n": n, "data": one} for n, one in enumerate(parts)])
        if id is not lost:
            stored["content.files"].insert_one({"_id": id, "length": len(data), "chunkSize": 261120, "filename": "x"})
    stored["resources"].update_one(
        {"_id": key}, {"$set": {"content.file": str(needed)}, "$unset": {"content.chunk": ""}}
    )
    assert publisher.get(key).content == data
    assert publisher.get(key, headers={"Range": "bytes=261119-261120"}).content == data[261119:261121]

    async def swept(given: Database) -> int:
        now = time.time_ns() // 1000
        await sweep(given, now)
        return await ContentFiles(given).drop_lost_chunks(now, age=UNOWNED_FOR)

    assert in_store(mongo_uri, swept) == 1
    left = {one for one in long_ago if stored["content.chunks"].count_documents({"files_id": one})}
    assert left == {needed}
    assert publisher.get(key).content == data
    assert stored["content.files"].find_one({"_id": unneeded}) is None


def test_a_binary_that_is_given_an_owner_while_it_is_swept_keeps_its_versions(
    record: OwnRecord, publisher: httpx.Client, stored: Stored, mongo_uri: str
) -> None:
    key = sent(publisher, os.urandom(LARGE))
    assert publisher.put(key, content=b"second", headers=PDF).status_code == 200
    content = [{"attachment": {"contentType": "application/pdf", "url": key}}]
    record.deposit(content=content)

    async def swept(given: Database) -> None:
        await sweep(given, time.time_ns() // 1000 + UNOWNED_FOR + 60_000_000)

    in_store(mongo_uri, swept)
    assert publisher.get(key).content == b"second"
    assert len(publisher.get(f"{key}/_history/1").content) == LARGE


# A server that dies


def test_a_server_that_is_killed_in_an_upload_leaves_nothing_when_it_is_back(tmp_path: Path) -> None:
    """With a database of its own: what was under way before it started is dead, and goes at once."""
    data = tmp_path / "data"
    with serving(data) as first, begin(first, first.token("hopital"), 20_000_000, os.urandom(6_000_000)):
        with MongoClient[dict[str, Any]](running_uri(data)) as client:
            until(lambda: client["fhir"]["content.chunks"].count_documents({}) > 0)
        first.process.send_signal(signal.SIGKILL)
        first.process.wait(30)
    time.sleep(1.1)  # the moment of an id is told in whole seconds
    with serving(data) as second, MongoClient[dict[str, Any]](running_uri(data)) as client:
        assert client["fhir"]["content.chunks"].count_documents({}) == 0
        assert client["fhir"]["content.files"].count_documents({}) == 0
        body = {"resourceType": "Binary", "contentType": "text/plain", "data": "Qm9u"}
        assert second.as_("hopital").post("/Binary", json=body, headers=FHIR_JSON).status_code == 201

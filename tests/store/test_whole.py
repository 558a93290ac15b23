"""Many writes as one transaction: what waits in it is seen by it alone, what is taken back leaves nothing behind."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from bson.binary import Binary

from fhir_server.fhir.errors import Conflict, Unavailable
from fhir_server.fhir.messages import Told
from fhir_server.identity.systems import INS_NIR_TEST
from fhir_server.record.facts import new_record, with_patient
from fhir_server.search.predicate import Field, one_of
from fhir_server.search.sorting import NEWEST_FIRST
from fhir_server.search.visible import Visible
from fhir_server.store import indexes
from fhir_server.store.binary import INLINE_BYTES, Contents
from fhir_server.store.connection import Client, Database, connect, database
from fhir_server.store.embedded import EmbeddedMongo
from fhir_server.store.keys import ContentKeys, Scope
from fhir_server.store.ordering import Order
from fhir_server.store.transaction import Transactions
from fhir_server.store.writing import Effects, FactChange, Parts, VersionMoved, Writing
from tests.build import PARIS

NAME = "whole"
LISTS = one_of(Field.TYPE, "List")
ALL = Visible(one_of(Field.REALM, "essai"))
Opened: TypeAlias = tuple[Client, Database]


def new(id: str, *, type: str = "List", **more: Any) -> dict[str, Any]:
    return {
        "_id": f"{type}/{id}",
        "rt": type,
        "realm": "essai",
        "record": "1",
        "labels": [],
        "authors": [],
        "category": None,
        "kind": None,
        "deposit": {"by": "somebody"},
        "on": 1,
        "at": 1,
        "version": 1,
        "body": Binary(b"{}"),
        "refers": [],
        "ix": {"s": ["status#current"], "r": []},
        "trace": f"trace of {type}/{id}",
        **more,
    }


class Traces:
    """The trail: what was announced, and when."""

    def __init__(self, *ids: str) -> None:
        """These will be announced."""
        self.keys = {f"trace of {id}": f"AuditEvent/{id}" for id in ids}
        self.asked = 0

    async def __call__(self) -> Mapping[str, str]:
        self.asked += 1
        return self.keys


@pytest.fixture
async def opened(mongo_uri: str) -> AsyncIterator[Opened]:
    client = connect(mongo_uri)
    held = database(client, NAME)
    await indexes.create(held)
    yield client, held
    await client.drop_database(NAME)
    await client.close()


def writing(opened: Opened) -> Writing:
    client, held = opened
    return Writing(held, Transactions(client))


def contents_of(database: Database) -> Contents:
    return Contents(database, ContentKeys(database, None))


async def kept(contents: Contents, data: bytes) -> dict[str, Any]:
    """What tells this content, of record ``r``."""
    async with contents.keep(data, "text/plain", Scope.of("r", "a")) as content:
        return content


async def test_what_waits_is_found_by_its_own_transaction_alone(opened: Opened) -> None:
    traces = Traces("List/a", "List/b")

    async def work(parts: Parts) -> None:
        assert not (await parts.reading.hold("List", "a")).is_there
        await parts.writing.create(new("a"), Effects())
        assert traces.asked == 0, "nothing was sent, so nothing had to be told"
        held = (await parts.reading.hold("List", "a")).read(ALL)
        assert held is not None
        assert (held.version, "ix" in held.document) == (1, False)
        assert traces.asked == 0
        found = await parts.finding.search(LISTS, visible=ALL, order=Order(NEWEST_FIRST), limit=9)
        assert [one.id for one in found.resources] == ["a"]
        assert traces.asked == 1, "told before it was sent"
        assert (await parts.reading.hold("List", "a")).is_there, "sent, it is found where it is stored"
        await parts.writing.create(new("b"), Effects())
        await parts.writing.send()
        assert await opened[1]["resources"].count_documents({}) == 0

    await writing(opened).whole(work, seconds=9, announced=traces)
    told = {one["_id"]: one["trace"] async for one in opened[1]["resources"].find({})}
    assert told == {"List/a": "AuditEvent/List/a", "List/b": "AuditEvent/List/b"}


async def test_what_an_id_may_be_refused_for_does_not_wait(opened: Opened) -> None:
    """An id of the client's may be taken; a large resource too large: the entry that brings it is to be named."""
    await opened[1]["resources"].insert_one(new("a"))

    async def work(parts: Parts) -> None:
        with pytest.raises(VersionMoved):
            await parts.writing.create(new("a", made_by_put=True), Effects())
        raise Conflict(Told("enough", ""))

    traces = Traces("List/a")
    with pytest.raises(Conflict, match="enough"):
        await writing(opened).whole(work, seconds=9, announced=traces)
    assert traces.asked == 1


async def test_a_document_owns_the_binaries_that_wait_with_it(opened: Opened) -> None:
    names = [f"Binary/{id}" for id in ("mine", "strange", "stored")] + ["DocumentReference/d"]
    await opened[1]["resources"].insert_one(new("stored", type="Binary", record=None, unowned=1))

    async def work(parts: Parts) -> None:
        for id, by in (("mine", "somebody"), ("strange", "another")):
            waiting = new(id, type="Binary", record=None, unowned=1, deposit={"by": by})
            await parts.writing.create(waiting, Effects())
        document = new("d", type="DocumentReference", labels=["MASQUE_PS"])
        await parts.writing.create(document, Effects(binaries=tuple(names[:3]), owner=True))
        await parts.writing.send()

    await writing(opened).whole(work, seconds=9, announced=Traces(*names))
    stored = {one["_id"]: one async for one in opened[1]["resources"].find({})}
    assert stored["DocumentReference/d"]["owns"] == ["Binary/mine", "Binary/stored"]
    for name in ("Binary/mine", "Binary/stored"):
        one = stored[name]
        assert (one["owner"], one["record"], one["labels"]) == ("DocumentReference/d", "1", ["MASQUE_PS"])
        assert "unowned" not in one
    assert "owner" not in stored["Binary/strange"]
    assert stored["Binary/strange"]["record"] is None


async def test_what_is_taken_back_leaves_nothing_behind(opened: Opened) -> None:
    """Neither resources, nor the contents of Binaries, whatever their size."""
    large = b"x" * (3 * INLINE_BYTES + 7)

    async def work(parts: Parts) -> None:
        content = await kept(contents_of(parts.database), large)
        assert await contents_of(parts.database).give(content) == large
        await parts.writing.create(new("a", type="Binary", content=content), Effects())
        await parts.writing.create(new("b", body=Binary(b"{" + b" " * INLINE_BYTES + b"}")), Effects())
        await parts.writing.send()
        raise Conflict(Told("enough", ""))

    with pytest.raises(Conflict, match="enough"):
        await writing(opened).whole(work, seconds=9, announced=Traces("Binary/a", "List/b"))
    for name in ("resources", "versions", "content.files", "content.chunks"):
        assert await opened[1][name].count_documents({}) == 0, name


async def test_contents_that_are_written_within_are_read_without(opened: Opened) -> None:
    """Equal ones of a record are stored once, whoever wrote them first."""
    large, contents = b"y" * (2 * INLINE_BYTES + 1), contents_of(opened[1])
    first = await kept(contents, large)
    document = {**new("a", type="Binary", record="r", content=first), "trace": "AuditEvent/a"}
    await writing(opened).create(document, Effects())

    async def work(parts: Parts) -> tuple[dict[str, Any], dict[str, Any]]:
        within = contents_of(parts.database)
        return await kept(within, large), await kept(within, large[1:])

    again, other = await writing(opened).whole(work, seconds=9, announced=Traces())
    assert again == first
    assert await contents.give(again) == large
    assert await contents.give(other) == large[1:]
    assert other["file"] != first["file"]


def born(ins: str) -> dict[str, Any]:
    return {"resourceType": "Patient", "identifier": [{"system": INS_NIR_TEST, "value": ins}]}


async def test_facts_are_of_one_moment_until_the_transaction_changes_them(opened: Opened) -> None:
    """What others write meanwhile holds for requests that begin after it; its own changes hold at once."""
    records = opened[1]["records"]
    first = with_patient(new_record("1", "essai"), born("1"), zone=PARIS)
    await records.insert_one(first)
    (person,) = first["persons"]

    async def work(parts: Parts) -> None:
        assert (await parts.reading.facts("1")).persons == {person}
        assert await parts.internal.records_of_person(person, "essai") == ["1"]
        await records.replace_one({"_id": "1"}, with_patient(first, born("2"), zone=PARIS))
        assert (await parts.reading.facts("1")).persons == {person}
        assert await parts.internal.records_of_person(person, "essai") == ["1"]
        assert not (await parts.reading.facts("2")).exists
        change = FactChange("2", "essai", lambda record: with_patient(record, born("1"), zone=PARIS))
        await parts.writing.create(new("2", type="Patient", record="2"), Effects(change))
        assert (await parts.reading.facts("2")).persons == {person}
        assert set(await parts.internal.records_of_person(person, "essai")) == {"1", "2"}
        await parts.writing.send()

    await writing(opened).whole(work, seconds=9, announced=Traces("Patient/2"))


async def test_one_that_meets_another_is_begun_again(opened: Opened) -> None:
    held = opened[1]
    await held["records"].insert_one(new_record("1", "essai"))
    attempts = 0

    async def work(parts: Parts) -> None:
        nonlocal attempts
        attempts += 1
        await parts.reading.facts("1")
        if attempts == 1:
            await held["records"].update_one({"_id": "1"}, {"$inc": {"rev": 1}})
        change = FactChange("1", "essai", lambda record: {**record, "persons": ["ins|1"]})
        await parts.writing.create(new("a"), Effects(change))
        await parts.writing.send()

    await writing(opened).whole(work, seconds=9, announced=Traces("List/a"))
    stored = await held["records"].find_one({"_id": "1"})
    assert attempts == 2
    assert stored is not None
    assert (stored["persons"], await held["resources"].count_documents({})) == (["ins|1"], 1)


async def test_one_that_meets_others_for_too_long_is_given_up(opened: Opened) -> None:
    """Nothing of it is stored, and the gate is open to the next."""
    held = opened[1]
    await held["records"].insert_one(new_record("1", "essai"))
    attempts = 0

    async def work(parts: Parts) -> None:
        nonlocal attempts
        attempts += 1
        await parts.reading.facts("1")
        await held["records"].update_one({"_id": "1"}, {"$inc": {"rev": 1}})
        change = FactChange("1", "essai", lambda record: {**record, "persons": ["ins|1"]})
        await parts.writing.create(new("a"), Effects(change))
        await parts.writing.send()

    store = writing(opened)
    for _ in range(3):
        with pytest.raises(Unavailable, match="nothing was changed"):
            await store.whole(work, seconds=0.1, announced=Traces("List/a"))
    assert attempts > 3
    assert await held["resources"].count_documents({}) == 0


async def test_large_transactions_wait_for_each_other_and_small_ones_do_not_wait_for_them(opened: Opened) -> None:
    store, under_way, most = writing(opened), 0, 0
    go_on = asyncio.Event()

    async def work(parts: Parts) -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await go_on.wait()
        under_way -= 1

    many = [asyncio.create_task(store.whole(work, seconds=9, announced=Traces())) for _ in range(20)]
    await asyncio.sleep(0)
    change = FactChange("1", "essai", lambda record: record)
    await store.create(new("a"), Effects(change))
    assert not any(one.done() for one in many)
    go_on.set()
    await asyncio.gather(*many)
    assert most == 2


def mongod_in(folder: Path) -> int:
    (lock,) = folder.rglob("mongod.lock")
    return int(lock.read_text())


@pytest.mark.parametrize("moment", ["before it is sent", "before it is committed"])
async def test_the_end_of_the_database_in_the_middle_is_survived(tmp_path: Path, moment: str) -> None:
    """It is started anew, and what it lost is done once more: the whole, and once."""
    attempts = 0

    async def work(parts: Parts) -> None:
        nonlocal attempts
        attempts += 1
        await parts.reading.facts("1")
        if attempts == 1 and moment == "before it is sent":
            os.kill(pid, signal.SIGKILL)
        await parts.writing.create(new("a"), Effects())
        await parts.writing.send()
        if attempts == 1 and moment == "before it is committed":
            os.kill(pid, signal.SIGKILL)

    with EmbeddedMongo(tmp_path / "mongo", cache_gb=0.25, oplog_mb=64) as uri:
        pid = mongod_in(tmp_path)
        async with connect(uri) as client:
            held = database(client, NAME)
            await indexes.create(held)
            await Writing(held, Transactions(client)).whole(work, seconds=30, announced=Traces("List/a"))
            assert attempts > 1
            assert await held["resources"].count_documents({}) == 1

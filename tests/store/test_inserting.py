"""New resources of concurrent requests are sent together; each is acknowledged or refused by itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from bson.binary import Binary
from pymongo.errors import AutoReconnect, DuplicateKeyError

from fhir_server.store.connection import Database, connect, database
from fhir_server.store.held_back import LARGEST
from fhir_server.store.inserting import Inserter

NAME = "inserting"


def new(number: int, **more: Any) -> dict[str, Any]:
    return {"_id": f"List/{number}", "body": Binary(b"{}"), **more}


@pytest.fixture
async def held(mongo_uri: str) -> AsyncIterator[Database]:
    async with connect(mongo_uri) as client:
        yield database(client, NAME)
        await client.drop_database(NAME)


async def outcomes(held: Database, *documents: dict[str, Any]) -> list[BaseException | None]:
    inserter = Inserter(held["resources"])
    return await asyncio.gather(*(inserter.insert(one) for one in documents), return_exceptions=True)


async def keys(held: Database) -> set[str]:
    return {one["_id"] async for one in held["resources"].find({}, {"_id": 1})}


async def test_many_at_once_share_commands(held: Database) -> None:
    await held.command("profile", 2)
    assert await outcomes(held, *(new(number) for number in range(250))) == [None] * 250
    await held.command("profile", 0)
    sent = await held["system.profile"].count_documents({"op": "insert", "command.insert": "resources"})
    assert len(await keys(held)) == 250
    assert 3 <= sent <= 6


async def test_one_that_is_refused_refuses_no_other(held: Database) -> None:
    await held["resources"].insert_one(new(5))
    told = await outcomes(held, *(new(number) for number in range(10)), new(7))
    assert [type(one) for one in told if one is not None] == [DuplicateKeyError] * 2
    assert isinstance(told[5], DuplicateKeyError)
    assert await keys(held) == {f"List/{number}" for number in range(10)}


async def test_one_that_cannot_be_sent_stops_no_other(held: Database) -> None:
    documents = [new(0), new(1), new(2), new(3, on=2**70), new(4), new(5, body=Binary(b"x" * LARGEST + b"x"))]
    told = await outcomes(held, *documents)
    assert [number for number, one in enumerate(told) if one is not None] == [3]
    assert isinstance(told[3], OverflowError)
    assert await keys(held) == {f"List/{number}" for number in (0, 1, 2, 4, 5)}


async def test_who_goes_away_leaves_the_others_their_answers(held: Database) -> None:
    inserter = Inserter(held["resources"])
    tasks = [asyncio.create_task(inserter.insert(new(number))) for number in range(20)]
    await asyncio.sleep(0)
    for one in tasks[::3]:
        one.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert not [one for number, one in enumerate(tasks) if number % 3 and (one.cancelled() or one.exception())]
    await inserter.insert(new(99))
    assert {f"List/{number}" for number in range(20) if number % 3} | {"List/99"} <= await keys(held)


async def test_what_the_database_does_not_answer_is_told_to_everybody(mongo_uri: str) -> None:
    client = connect(mongo_uri.replace("127.0.0.1", "127.0.0.2").replace("localhost", "127.0.0.2"), timeout_seconds=0.3)
    told = await outcomes(database(client, NAME), *(new(number) for number in range(6)))
    assert all(isinstance(one, AutoReconnect) for one in told), told
    await client.close()

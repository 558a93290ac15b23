"""What the server publishes itself: written once, a new version when it changed, deleted when it is published no more.

ADR 0040
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from fhir_server.definitions.load import load
from fhir_server.fhir import json
from fhir_server.record.elements import SEARCHED
from fhir_server.search.parameters import Parameters
from fhir_server.search.sort_dates import SORT_DATES
from fhir_server.store.connection import connect, database
from fhir_server.store.published import publish
from tests.packing import VALUE_SET

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fhir_server.store.connection import Database

PARAMETERS = Parameters(load(), SEARCHED, [], sort_dates=SORT_DATES)
OTHER: dict[str, Any] = VALUE_SET | {"id": "y", "url": "urn:example:other"}
KEY = b"0" * 32


@pytest.fixture
async def held(mongo_uri: str) -> AsyncIterator[Database]:
    client = connect(mongo_uri)
    try:
        yield database(client, "published")
    finally:
        await client.drop_database("published")
        await client.close()


async def published(held: Database, *wanted: dict[str, Any], now: int = 1) -> int:
    return await publish(held, wanted, parameters=PARAMETERS, key=KEY, now=now)


async def stored(held: Database, id: str) -> dict[str, Any]:
    found = await held["resources"].find_one({"_id": f"ValueSet/{id}"})
    assert found is not None
    return found


async def test_the_same_is_written_once(held: Database) -> None:
    assert await published(held, VALUE_SET, OTHER) == 2
    assert await published(held, VALUE_SET, OTHER, now=2) == 0
    found = await stored(held, "x")
    assert (found["realm"], found["version"], found["at"]) == ("commun", 1, 1)
    assert json.decode_object(bytes(found["body"]))["meta"] == {
        "versionId": "1",
        "lastUpdated": "1970-01-01T00:00:00.000Z",
    }


async def test_what_changed_is_the_next_version_and_the_rest_stays(held: Database) -> None:
    await published(held, VALUE_SET, OTHER)
    assert await published(held, VALUE_SET | {"title": "new"}, OTHER, now=2) == 1
    assert ((await stored(held, "x"))["version"], (await stored(held, "y"))["version"]) == (2, 1)
    first = await held["versions"].find_one({"_id": "ValueSet/x/1"})
    assert first is not None
    assert b"title" not in bytes(first["body"])


async def test_what_is_published_no_more_is_deleted_and_may_come_back(held: Database) -> None:
    await published(held, VALUE_SET, OTHER)
    assert await published(held, VALUE_SET, now=2) == 1
    gone = await stored(held, "y")
    assert (gone["gone"], gone["body"], gone["version"]) == (True, None, 2)
    assert await published(held, VALUE_SET, OTHER, now=3) == 1
    back = await stored(held, "y")
    assert (back.get("gone"), back["version"]) == (None, 3)


async def test_processes_that_start_together_write_it_once(held: Database) -> None:
    many = [VALUE_SET | {"id": f"v{number}"} for number in range(50)]
    written = await asyncio.gather(*(published(held, *many) for _ in range(4)))
    assert sum(written) == 50
    changed = [one | {"title": "new"} for one in many]
    written = await asyncio.gather(*(published(held, *changed, now=2) for _ in range(4)))
    assert sum(written) == 50
    assert await held["versions"].count_documents({}) == 50


async def test_a_client_s_resource_of_the_same_id_stays(held: Database) -> None:
    await held["resources"].insert_one({"_id": "ValueSet/x", "realm": "essai", "version": 1})
    assert await published(held, VALUE_SET, OTHER) == 1
    assert (await stored(held, "x"))["realm"] == "essai"

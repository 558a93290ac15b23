"""`reindex` makes what is stored findable by search parameters that came later; a run that was cut is continued."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from fhir_server.definitions.load import load
from fhir_server.definitions.tables import SearchParameter
from fhir_server.fhir import json
from fhir_server.fhir.json import JsonObject
from fhir_server.record.elements import SEARCHED
from fhir_server.search.parameters import Parameters
from fhir_server.search.sort_dates import SORT_DATES
from fhir_server.store import upkeep
from fhir_server.store.connection import Database, connect, database
from fhir_server.store.document import Deposit, document

OWN = SearchParameter(
    url="https://example.org/SearchParameter/colour",
    code="colour",
    type="token",
    base=("Patient",),
    expression="Patient.extension('https://example.org/colour').value",
    targets=(),
    components=(),
)
BEFORE = Parameters(load(), SEARCHED, sort_dates=SORT_DATES)
AFTER = Parameters(load(), SEARCHED, [OWN], sort_dates=SORT_DATES)
MANY = 450
DEPOSIT = Deposit(by="test", organisation=None, at=0, secret=False)


@pytest.fixture
async def held(mongo_uri: str) -> AsyncIterator[Database]:
    """Patients indexed before there was a parameter for their colour."""
    client = connect(mongo_uri)
    stored = database(client, "reindex")
    assert await upkeep.entries_are_current(stored, BEFORE), "of an empty database"
    await stored["resources"].insert_many([patient(number) for number in range(MANY)])
    yield stored
    await client.drop_database("reindex")
    await client.close()


def patient(number: int) -> dict[str, Any]:
    colour: JsonObject = {"url": "https://example.org/colour", "valueCode": "red" if number % 2 else "blue"}
    resource: JsonObject = {"resourceType": "Patient", "id": f"p{number:03}", "extension": [colour]}
    return document(
        resource,
        json.encode(resource),
        parameters=BEFORE,
        version=1,
        at=0,
        realm="essai",
        deposit=DEPOSIT,
        bucket=0,
    )


async def run(held: Database, told: list[int], *, stop_after: int | None = None) -> upkeep.Reindexed:
    def tell(done: int, _: int) -> None:
        told.append(done)
        if done == stop_after:
            raise KeyboardInterrupt

    return await upkeep.reindex(held, AFTER, tell, zone=ZoneInfo("Europe/Paris"), authorisation=timedelta(days=365))


async def red(held: Database) -> int:
    return await held["resources"].count_documents({"ix.s": "colour#red"})


async def test_what_was_stored_is_found_by_a_later_parameter(held: Database) -> None:
    assert await upkeep.entries_are_current(held, BEFORE)
    assert not await upkeep.entries_are_current(held, AFTER)
    assert await red(held) == 0
    done = await run(held, [])
    assert (done.resources, done.refused) == (MANY, ())
    assert await red(held) == MANY // 2
    assert await upkeep.entries_are_current(held, AFTER)


async def test_a_run_that_was_cut_is_continued(held: Database) -> None:
    told: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        await run(held, told, stop_after=200)
    assert 0 < await red(held) < MANY // 2
    assert not await upkeep.entries_are_current(held, AFTER)
    # what the first run has done is not done again: a mark put there stays
    await held["resources"].update_one({"_id": "Patient/p001"}, {"$set": {"ix.s": ["mark"]}})
    again: list[int] = []
    done = await run(held, again)
    assert (again[0], done.resources) == (400, MANY)
    first = await held["resources"].find_one({"_id": "Patient/p001"})
    assert first is not None
    assert first["ix"]["s"] == ["mark"]
    assert await red(held) == MANY // 2 - 1


async def test_what_cannot_be_indexed_is_told_and_left_as_it_was(
    held: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fhir_server.search.parameters.MOST_ENTRIES", 0)
    done = await run(held, [])
    assert len(done.refused) == MANY
    assert await red(held) == 0

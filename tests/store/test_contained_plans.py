"""A chain without a record: what is contained is found by an index of its own, which the others do not pay for.

What mongod says of itself (its profiler) is asked, not what we think of our filters.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

import pytest

from fhir_server.search.predicate import (
    ALWAYS,
    Contains,
    Field,
    Predicate,
    Prefix,
    all_of,
    any_of,
    contained,
    one_of,
)
from fhir_server.search.visible import Visible
from fhir_server.store import indexes
from fhir_server.store.connection import Database, connect, database
from fhir_server.store.finding import Finding
from fhir_server.store.ordering import BY_ID

NAME: Final = "contained_plans"
STORED, HOLDING = 3_000, 300
"""Lists, and how many of them contain their source."""


@pytest.fixture(scope="module")
async def held(mongo_uri: str) -> AsyncIterator[Database]:
    client = connect(mongo_uri)
    made = database(client, NAME)
    await indexes.create(made)
    await made["resources"].insert_many([_list(number) for number in range(STORED)])
    await made.command("profile", 2)
    yield made
    await made.command("profile", 0)
    await client.drop_database(NAME)
    await client.close()


def _list(number: int) -> dict[str, Any]:
    source = {"p": ["source"], "rt": "Practitioner", "ix": {"s": [f"family=f{number:04d}", "active#true"]}}
    holding = {"c": [source]} if number < HOLDING else {}
    return {
        "_id": f"List/{number}",
        "rt": "List",
        "version": 1,
        "realm": "essai",
        "record": f"r{number}",
        "at": number,
        "on": number,
        "ix": {"s": ["status#current", f"source=Practitioner/{number}"], "r": [], **holding},
        "body": b"{}",
    }


def chain(part: Predicate) -> Predicate:
    """What a chain becomes: it points to something stored, or contains it."""
    pointing = one_of(Field.TERMS, "source=Practitioner/2000", "source=Practitioner/2001")
    return all_of([one_of(Field.TYPE, "List"), any_of([pointing, contained("source", {"Practitioner"}, part)])])


@pytest.mark.parametrize(
    ("part", "found", "most"),
    [
        (one_of(Field.TERMS, "family=f0007"), 1, 5),
        (Prefix("family=f001"), 10, 30),
        (Contains("family=", "07"), 13, HOLDING),
    ],
    ids=["term", "beginning", "inside"],
)
@pytest.mark.parametrize("way", ["page", "keys", "count"])
async def test_what_is_contained_is_begun_with(
    held: Database, way: str, part: Predicate, found: int, most: int
) -> None:
    await held.command("profile", 0)
    await held.drop_collection("system.profile")
    await held.command("profile", 2)
    find, asked, anything = Finding(held), chain(part), Visible(ALWAYS)
    match way:
        case "page":
            page = await find.search(asked, visible=anything, order=BY_ID, limit=50)
            number = len(page.resources)
        case "keys":
            number = len(await find.keys(asked, visible=anything, most=100))
        case _:
            number = await find.count(asked, visible=anything)
    assert number == found + 2
    told = await held["system.profile"].find({"ns": f"{NAME}.resources", "command.explain": None}).to_list()
    assert max(one.get("docsExamined", 0) for one in told) <= most, told
    assert any("ix.c.ix.s" in str(one.get("planSummary")) for one in told)

"""One hop of a chain follows so many answers and no more: by the number of what is seen, so that it tells nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from fhir_server.search.predicate import Field, one_of
from fhir_server.search.visible import Visible
from fhir_server.store import indexes
from fhir_server.store.connection import connect, database
from fhir_server.store.finding import Finding, TooCostly

THERE = 5


@pytest.fixture(scope="module")
async def finding(mongo_uri: str) -> AsyncIterator[Finding]:
    """Over a few entries, one of which nobody is to see."""
    client = connect(mongo_uri)
    held = database(client, "hop_limits")
    await indexes.create(held)
    rows = [
        {
            "_id": f"List/{number}",
            "rt": "List",
            "realm": "essai" if number else "reel",
            "record": f"r{number}",
            "at": number,
            "on": number,
            "gone": None,
            "ix": {"s": [f"item=Observation/{number}", f"url=https://example.org/{number}"], "r": []},
        }
        for number in range(THERE + 1)
    ]
    await held["resources"].insert_many(rows)
    yield Finding(held)
    await client.drop_database("hop_limits")
    await client.close()


ASKED = one_of(Field.TYPE, "List")
VISIBLE = Visible(one_of(Field.REALM, "essai"))


@pytest.mark.parametrize("way", ["keys", "urls", "records", "pointed_to"])
async def test_a_hop_follows_so_many_answers_and_no_more(finding: Finding, way: str) -> None:
    async def hop(most: int) -> list[str]:
        match way:
            case "keys":
                return await finding.keys(ASKED, visible=VISIBLE, most=most)
            case "urls":
                return await finding.urls(ASKED, visible=VISIBLE, most=most)
            case "records":
                return await finding.records(ASKED, visible=VISIBLE, most=most)
            case _:
                return await finding.pointed_to(ASKED, visible=VISIBLE, heads=["item=Observation/"], most=most)

    assert len(await hop(THERE)) == THERE
    with pytest.raises(TooCostly, match=f"more than {THERE - 1} answers"):
        await hop(THERE - 1)

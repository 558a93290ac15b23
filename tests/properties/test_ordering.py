"""A list in any order is the same list whatever the pages: on a real mongod, compared with sorting in memory.

https://hl7.org/fhir/R4/search.html#sort · Several keys, several values, no value, and what the requester may not see.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any, Final

import pytest
from bson.binary import Binary
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fhir_server.fhir.date import MAX, MIN
from fhir_server.search import decimals
from fhir_server.search.predicate import Field, one_of
from fhir_server.search.sorting import OfIntervals, OfTerms, SortField, SortKey
from fhir_server.search.visible import Visible
from fhir_server.store import indexes
from fhir_server.store.connection import Database, connect, database
from fhir_server.store.finding import Finding, Page
from fhir_server.store.ordering import Order, Position

NAME: Final = "ordering"
HIDDEN: Final = "List/hidden"


class Held:
    """A database and the loop that its connection lives in."""

    def __init__(self, uri: str) -> None:
        """Make the indexes in an empty database."""
        self.runner = asyncio.Runner()
        self.client = connect(uri)
        self.database: Database = database(self.client, NAME)
        self.runner.run(indexes.create(self.database))

    def fill(self, entries: list[dict[str, Any]]) -> None:
        self.runner.run(self._fill(entries))

    async def _fill(self, entries: list[dict[str, Any]]) -> None:
        await self.database["resources"].delete_many({})
        if entries:
            await self.database["resources"].insert_many(entries)

    def page(self, order: Order, limit: int, after: Position | None) -> Page:
        asked, visible = one_of(Field.TYPE, "List"), Visible(one_of(Field.REALM, "essai"))
        return self.runner.run(
            Finding(self.database).search(asked, visible=visible, order=order, limit=limit, after=after)
        )

    def close(self) -> None:
        self.runner.run(self.client.drop_database(NAME))
        self.runner.run(self.client.close())
        self.runner.close()


@pytest.fixture(scope="module")
def held(mongo_uri: str) -> Iterator[Held]:
    made = Held(mongo_uri)
    yield made
    made.close()


# Few values, so that there are ties.

LETTERS: Final = "aé\ud7ff\uffff\U00010000"
moments: Final = st.sampled_from([MIN, 1, 2, MAX])
ends: Final = st.sampled_from([decimals.LOWEST, "5!", "5!+", "75000010!", decimals.HIGHEST])


def terms(code: str) -> st.SearchStrategy[list[str]]:
    return st.lists(st.text(LETTERS, min_size=1, max_size=2).map(lambda text: f"{code}{text}"), max_size=2)


references: Final = st.lists(
    st.sampled_from(["r=List/a", f"r={HIDDEN}", f"r={HIDDEN}|2", f"r={HIDDEN}#p", "r=List/b", f"r={HIDDEN}2"]),
    max_size=2,
)
rows: Final = st.fixed_dictionaries(
    {
        "on": moments,
        "at": st.integers(1, 3),
        "record": st.sampled_from([None, "1", "2"]),
        "refers": st.sampled_from([[], ["List/a"], [HIDDEN]]),
        "s": st.tuples(terms("s="), terms("t#"), references).map(lambda some: [one for part in some for one in part]),
        "r": st.lists(
            st.builds(lambda lo, hi: {"p": "d", "lo": lo, "hi": hi}, moments, moments)
            | st.builds(lambda lo, hi: {"p": "n", "lo": lo, "hi": hi}, ends, ends),
            max_size=3,
        ),
    }
)
sources: Final = st.sampled_from(
    [
        *SortField,
        OfTerms("s="),
        OfTerms("t#"),
        OfTerms("r=", points=True),
        OfTerms("r=", of_record=True, points=True),
        OfIntervals("d"),
        OfIntervals("n"),
        OfTerms("none="),
    ]
)
keys: Final = st.builds(SortKey, sources, st.booleans(), st.sampled_from(["", "beside"]))
orders: Final = st.builds(
    lambda some, hides: Order(
        tuple(some),
        frozenset({f"r={HIDDEN}"}) if hides else frozenset(),
        {"beside": frozenset({"List/a"})} if hides else {},
    ),
    st.lists(keys, min_size=1, max_size=3, unique_by=lambda key: key.source),
    st.booleans(),
)


def entry(number: int, row: dict[str, Any]) -> dict[str, Any]:
    told = {name: row[name] for name in ("on", "at", "record", "refers")}
    ix = {"s": row["s"], "r": row["r"]}
    return {
        "_id": f"List/{number:02}",
        "rt": "List",
        "realm": "essai",
        "version": 1,
        "body": Binary(b"{}"),
        "ix": ix,
    } | told


def value(entry: dict[str, Any], key: SortKey, order: Order) -> Any:
    """What an entry is sorted by, by the words of `search.sorting`."""
    source = key.source
    if isinstance(source, SortField):
        return None if source is SortField.ON and entry["on"] == MIN else entry[source]
    if key.code in order.beside and not order.beside[key.code].issuperset(entry["refers"]):
        return None
    if isinstance(source, OfTerms):
        found: list[Any] = [one for one in entry["ix"]["s"] if one.startswith(source.head)]
        if source.points:
            found = [one for one in found if one.partition("|")[0].partition("#")[0] not in order.unseen]
        if source.of_record and entry["record"] is not None:
            found.append(f"{source.head}Patient/{entry['record']}")
    else:
        mine = [one for one in entry["ix"]["r"] if one["p"] == source.parameter]
        starts = [one["hi"] if one["lo"] in (MIN, decimals.LOWEST) else one["lo"] for one in mine]
        ended = {(MIN, MAX), (decimals.LOWEST, decimals.HIGHEST)}
        found = [start for start, one in zip(starts, mine, strict=True) if (one["lo"], one["hi"]) not in ended]
    return None if not found else max(found) if key.descending else min(found)


def sorted_in_memory(entries: list[dict[str, Any]], order: Order) -> list[str]:
    ordered = sorted(entries, key=lambda one: str(one["_id"]))
    for key in reversed(order.keys):
        told = [(value(one, key, order), one) for one in ordered]
        there = sorted((one for one in told if one[0] is not None), key=lambda one: one[0], reverse=key.descending)
        ordered = [one for _, one in (*there, *(one for one in told if one[0] is None))]
    return [str(one["_id"]) for one in ordered]


def keys_of(page: Page) -> list[str]:
    return [one.key for one in page.resources]


def walked(held: Held, order: Order, size: int) -> tuple[list[list[str]], list[list[str]]]:
    """All pages from the first to the last, and back from the last to the first, each in the order of the list."""
    page = held.page(order, size, None)
    assert page.previous is None
    forward = [keys_of(page)]
    while page.next is not None:
        page = held.page(order, size, page.next)
        forward.append(keys_of(page))
    backward = [keys_of(page)]
    while page.previous is not None:
        page = held.page(order, size, page.previous)
        backward.insert(0, keys_of(page))
    return forward, backward


def check(held: Held, some: list[dict[str, Any]], order: Order, size: int) -> None:
    entries = [entry(number, row) for number, row in enumerate(some)]
    held.fill(entries)
    expected = sorted_in_memory(entries, order)
    forward, backward = walked(held, order, size)
    assert [one for page in forward for one in page] == expected
    assert [one for page in backward for one in page] == expected
    assert all(len(page) == size for page in forward[:-1])
    assert all(len(page) == size for page in backward[1:-1])


ROW: Final[dict[str, Any]] = {"on": 1, "at": 1, "record": None, "refers": [], "s": [], "r": []}


@given(some=st.lists(rows, max_size=9), order=orders, size=st.integers(1, 4))
@settings(deadline=None)
@example(
    some=[{**ROW, "s": ["s=a", "s=é"]}, {**ROW, "s": ["s=b"]}, ROW],
    order=Order((SortKey(OfTerms("s="), descending=True),)),
    size=1,
)
@example(
    some=[{**ROW, "s": [f"r={HIDDEN}|2"]}, {**ROW, "s": ["r=List/z"]}],
    order=Order((SortKey(OfTerms("r=", points=True), descending=False),), frozenset({f"r={HIDDEN}"})),
    size=1,
)
def test_any_order_is_that_of_sorting_in_memory(
    held: Held, some: list[dict[str, Any]], order: Order, size: int
) -> None:
    check(held, some, order, size)


@given(
    some=st.lists(rows, max_size=9),
    source=st.sampled_from(SortField),
    descending=st.booleans(),
    size=st.integers(1, 4),
)
@settings(deadline=None)
@example(
    some=[{**ROW, "on": MIN}, ROW, {**ROW, "on": MIN}, {**ROW, "on": 2}], source=SortField.ON, descending=False, size=1
)
@example(some=[{**ROW, "on": MIN}] * 5, source=SortField.ON, descending=False, size=2)
@example(some=[ROW] * 4, source=SortField.ON, descending=False, size=4)
def test_an_order_that_an_index_has_too(
    held: Held, some: list[dict[str, Any]], source: SortField, descending: bool, size: int
) -> None:
    """Walked, and not computed; the undated are last in both directions."""
    check(held, some, Order((SortKey(source, descending),)), size)


def test_what_comes_and_goes_meanwhile_moves_nothing(held: Held) -> None:
    """A page is found by the row before it: new rows above it are not seen, and none is seen twice."""
    order = Order((SortKey(OfTerms("s="), descending=False),))
    some = [{**ROW, "s": [f"s={letter}"]} for letter in "bdfh"]
    held.fill([entry(number, row) for number, row in enumerate(some)])
    first = held.page(order, 2, None)
    held.fill(
        [entry(number, row) for number, row in enumerate(some) if number != 1] + [entry(9, {**ROW, "s": ["s=a"]})]
    )
    assert keys_of(held.page(order, 2, first.next)) == ["List/02", "List/03"]

"""Whatever a query begins with, it finds what matches, in its order, page by page, forwards and backwards.

What is common and how far a walk goes is set so low that small worlds take every way.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cmp_to_key
from typing import Any, Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fhir_server.fhir.date import MAX, MIN
from fhir_server.search.predicate import (
    ALWAYS,
    AllOf,
    AnyOf,
    Compare,
    Contained,
    Contains,
    Field,
    Moment,
    Not,
    OneOf,
    Predicate,
    Prefix,
    Span,
    all_of,
    matches,
    one_of,
)
from fhir_server.search.sorting import OfTerms, SortField, SortKey
from fhir_server.search.visible import Visible
from fhir_server.store import finding, indexes, plan
from fhir_server.store.connection import Database, connect, database
from fhir_server.store.document import Document
from fhir_server.store.finding import Finding
from fhir_server.store.ordering import Order

NAME: Final = "any_plan"
TYPES: Final = ("DocumentReference", "Encounter", "Observation", "Group", "Practitioner")
"""Dated by a point, by a Period, by either; of several records and undated; of the directory and undated."""
RECORDS: Final = ("a", "b")
TERMS: Final = ("x=1", "x=11", "x=2", "y#1", "y#2")
DAY: Final = 86_400_000_000


@pytest.fixture(scope="module")
async def held(mongo_uri: str) -> Any:
    """A database with the indexes of a server, where little is much."""
    client = connect(mongo_uri)
    made = database(client, NAME)
    await indexes.create(made)
    yield made
    await client.drop_database(NAME)
    await client.close()


@pytest.fixture(autouse=True, scope="module")
def little() -> Iterator[None]:
    """Two entries are many, and a walk looks at three."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(plan, "ENOUGH", 2)
        patched.setattr(plan, "MANY", 4)
        patched.setattr(plan, "_FEW", 0)
        patched.setattr(finding, "ENOUGH", 3)
        yield


days = st.integers(0, 6).map(lambda day: day * DAY)
bounds = st.sampled_from([MIN, *(day * DAY for day in range(7)), MAX])


def _interval(one: int, other: int) -> tuple[int, int]:
    low, high = min(one, other), max(one, other)
    return low, high if high > low else low + DAY


periods = st.one_of(
    st.builds(_interval, days, days), days.map(lambda end: (MIN, end + DAY)), days.map(lambda start: (start, MAX))
)
points = days.map(lambda day: (day, day + DAY))


@st.composite
def entries(draw: st.DrawFn) -> list[Document]:
    """Up to a dozen stored resources, each dated as its type is."""
    made: list[Document] = []
    for number in range(draw(st.integers(0, 12))):
        type = draw(st.sampled_from(TYPES))
        dates: list[tuple[int, int]] = []
        if type not in ("Group", "Practitioner"):
            dates = draw(st.lists(points if type == "DocumentReference" else periods, max_size=1))
        records = draw(st.lists(st.sampled_from(RECORDS), unique=True, max_size=2 if type == "Group" else 1))
        contained = [
            {"p": [draw(st.sampled_from("pq"))], "rt": "T", "ix": {"s": draw(st.lists(st.sampled_from(TERMS)))}}
            for _ in range(draw(st.integers(0, 2)))
        ]
        ranges = [{"p": "date", "lo": low, "hi": high} for low, high in dates]
        ranges += [{"p": "other", "lo": low, "hi": high} for low, high in draw(st.lists(periods, max_size=2))]
        made.append(
            {
                "_id": f"{type}/{draw(st.sampled_from('abc'))}{number}",
                "rt": type,
                "version": 1,
                "realm": draw(st.sampled_from(["essai", "reel"])),
                "record": records[0] if records else None,
                **({"also": records[1:]} if len(records) > 1 else {}),
                "at": draw(st.integers(0, 3)),
                "on": max((_on(*one) for one in dates), default=MIN),
                "ix": {
                    "s": draw(st.lists(st.sampled_from(TERMS), unique=True)),
                    "r": ranges,
                    **({"c": contained} if contained else {}),
                },
                "body": b"{}",
            }
        )
    return made


def _on(low: int, high: int) -> int:
    return low if low > MIN else high if high < MAX else MIN


orders_of_bounds = st.sampled_from(["lt", "le", "gt", "ge"])
spans = st.builds(
    Span,
    st.sampled_from(["date", "date", "other"]),
    st.lists(st.tuples(st.sampled_from(["lo", "hi"]), orders_of_bounds, bounds), max_size=3).map(tuple),
)
leaves: st.SearchStrategy[Predicate] = st.one_of(
    st.builds(OneOf, st.just(Field.TERMS), st.frozensets(st.sampled_from(TERMS), min_size=1, max_size=3)),
    st.sampled_from(["x=1", "x=", "y#", "z"]).map(Prefix),
    st.builds(Contains, st.just("x="), st.sampled_from(["1", "2"])),
    st.builds(
        Contained,
        st.sampled_from("pq"),
        st.just(frozenset({"T"})),
        st.sampled_from(
            [Prefix("x=1"), Prefix("y#"), Not(Prefix("x=")), one_of(Field.TERMS, "y#1"), Contains("x=", "2")]
        ),
    ),
    spans,
    spans,
    st.builds(OneOf, st.just(Field.RECORD), st.frozensets(st.sampled_from([*RECORDS, None]), min_size=1)),
    st.builds(OneOf, st.just(Field.ALSO), st.frozensets(st.sampled_from(RECORDS), min_size=1)),
    st.builds(OneOf, st.just(Field.TYPE), st.frozensets(st.sampled_from(TYPES), min_size=1)),
    st.frozensets(st.tuples(st.sampled_from(TYPES), st.sampled_from("abc"), st.integers(0, 12)), min_size=1).map(
        lambda keys: one_of(Field.ID, *(f"{type}/{letter}{number}" for type, letter, number in keys))
    ),
    st.builds(OneOf, st.just(Field.REALM), st.just(frozenset({"essai"}))),
    st.builds(Compare, st.just(Moment.LAST_UPDATED), orders_of_bounds, st.integers(0, 3)),
)
nested = st.recursive(
    leaves,
    lambda parts: st.one_of(
        st.lists(parts, min_size=2, max_size=3).map(lambda some: AllOf(tuple(some))),
        st.lists(parts, min_size=2, max_size=6).map(lambda some: AnyOf(tuple(some))),
        st.builds(Not, parts),
    ),
    max_leaves=8,
)


@st.composite
def asked(draw: st.DrawFn) -> Predicate:
    """What is asked of some types."""
    types = one_of(Field.TYPE, *draw(st.sets(st.sampled_from(TYPES), min_size=1, max_size=5)))
    return all_of([types, *draw(st.lists(nested, max_size=4))])


keys = st.builds(
    SortKey, st.sampled_from([*SortField, SortField.ON, OfTerms("x="), OfTerms("y#")]), st.booleans(), st.just("code")
)
orders = st.lists(keys, min_size=1, max_size=2, unique_by=lambda key: str(key.source)).map(
    lambda found: Order(tuple(found))
)

DATED: Final = all_of([one_of(Field.TYPE, "DocumentReference"), Span("date", (("lo", "lt", 3 * DAY),))])


@given(stored=entries(), wanted=asked(), order=orders, size=st.integers(1, 4))
@example(
    stored=[
        {
            "_id": f"DocumentReference/{number}",
            "rt": "DocumentReference",
            "version": 1,
            "realm": "essai",
            "record": None,
            "at": 0,
            "on": number // 3 * DAY,
            "ix": {"s": ["x=1"], "r": [{"p": "date", "lo": number // 3 * DAY, "hi": (number // 3 + 1) * DAY}]},
            "body": b"{}",
        }
        for number in range(12)
    ],
    wanted=all_of([DATED, one_of(Field.TERMS, "x=1")]),
    order=Order((SortKey(SortField.ON, descending=False),)),
    size=2,
)
async def test_every_page_of_every_plan(
    held: Database, stored: list[Document], wanted: Predicate, order: Order, size: int
) -> None:
    collection = held["resources"]
    await collection.delete_many({})
    if stored:
        await collection.insert_many(stored)
    expected = [one["_id"] for one in _in_order([one for one in stored if matches(wanted, one)], order)]
    find = Finding(held)
    anything = Visible(ALWAYS)
    assert await find.count(wanted, visible=anything) == len(expected)
    assert sorted(await find.keys(wanted, visible=anything, most=100)) == sorted(expected)
    page = await find.search(wanted, visible=anything, order=order, limit=size)
    seen = [_ids(page)]
    while page.next is not None:
        page = await find.search(wanted, visible=anything, order=order, limit=size, after=page.next)
        seen.append(_ids(page))
    assert [id for each in seen for id in each] == expected
    back = [seen[-1]]
    while page.previous is not None:
        page = await find.search(wanted, visible=anything, order=order, limit=size, after=page.previous)
        if page.resources:
            back.insert(0, _ids(page))
    assert [id for each in back for id in each] == expected


def _ids(page: finding.Page) -> list[str]:
    return [one.key for one in page.resources]


def _in_order(found: Sequence[Document], order: Order) -> list[Document]:
    """By each key in turn; what has no value comes last; ``_id`` breaks ties."""

    def compare(one: Document, other: Document) -> int:
        for key in order.keys:
            mine, theirs = _value(one, key), _value(other, key)
            if mine != theirs:
                if mine is None or theirs is None:
                    return 1 if mine is None else -1
                return (1 if mine > theirs else -1) * (-1 if key.descending else 1)
        return 1 if one["_id"] > other["_id"] else -1

    return sorted(found, key=cmp_to_key(compare))


def _value(one: Document, key: SortKey) -> Any:
    if isinstance(key.source, SortField):
        value = one[key.source]
        return None if key.source is SortField.ON and value == MIN else value
    assert isinstance(key.source, OfTerms)
    values = [term for term in one["ix"]["s"] if term.startswith(key.source.head)]
    return (max if key.descending else min)(values) if values else None

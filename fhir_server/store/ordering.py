"""How a list is ordered and where a page of it begins, as MongoDB is asked.

https://hl7.org/fhir/R4/search.html#sort

One scalar with an index of its own is walked; any other order is computed from the search entries of what matches, and
only the page is kept. What has no value comes last, in both directions. A page is found by the position of the row
before it, so that rows that come and go meanwhile move nothing (keyset paging); the page before it, by its first row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, TypeAlias

from fhir_server.fhir.date import MAX, MIN
from fhir_server.search import decimals
from fhir_server.search.predicate import Field
from fhir_server.search.sorting import OfIntervals, OfTerms, SortField, SortKey

Filter: TypeAlias = "dict[str, Any]"
Row: TypeAlias = "dict[str, Any]"
Value: TypeAlias = "int | str | None"


@dataclass(frozen=True, slots=True)
class Position:
    """A row of a list: the values of its sort keys, and its ``_id``."""

    values: tuple[Value, ...]
    id: str
    backwards: bool = False
    """The page before this row is asked for, not the one after it."""


@dataclass(frozen=True, slots=True)
class Order:
    """How results are sorted; ``_id`` ascending breaks ties."""

    keys: tuple[SortKey, ...]
    unseen: frozenset[str] = frozenset()
    """Terms of references that the requester is not shown: nothing is sorted by them."""
    beside: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """By code, parameters whose value goes with a reference that is hidden: it counts where the entry refers to nothing
    but these (`search.hidden`)."""

    @property
    def scalar(self) -> SortField | None:
        """The one scalar it is, where it is that alone."""
        first = self.keys[0].source
        return first if len(self.keys) == 1 and isinstance(first, SortField) else None


_ABSENT: Final = "no_"
"""Before the name of a key: an entry has no value for it."""

BY_ID: Final = Order((SortKey(SortField.ID, descending=False),))


def pipeline(order: Order, after: Position | None, limit: int) -> list[dict[str, Any]]:
    """The stages that follow the match of a computed order."""
    names = [f"key{number}" for number in range(len(order.keys))]
    keys = {name: _value(key, order) for name, key in zip(names, order.keys, strict=True)}
    last = {f"{_ABSENT}{name}": {"$eq": [f"${name}", None]} for name in names}
    sort = computed(order, after)
    stages: list[dict[str, Any]] = [{"$set": keys}, {"$set": last}]
    if after is not None:
        stages.append({"$match": _after(after, sort, names)})
    return [*stages, {"$sort": sort}, {"$limit": limit}, {"$unset": ["ix", *last]}]


def computed(order: Order, after: Position | None) -> dict[str, int]:
    """The fields that a computed order sorts by."""
    backwards = after is not None and after.backwards
    sort: dict[str, int] = {}
    for number, key in enumerate(order.keys):
        sort[f"{_ABSENT}key{number}"] = -1 if backwards else 1
        sort[f"key{number}"] = -1 if key.descending != backwards else 1
    return {**sort, "_id": -1 if backwards else 1}


def merged(lists: Sequence[list[Row]], sort: Mapping[str, int], limit: int) -> list[Row]:
    """The first rows of several lists, in this order."""
    rows = [row for each in lists for row in each]
    for name, direction in reversed(list(sort.items())):
        rows.sort(key=partial(_place, name), reverse=direction < 0)
    return rows[:limit]


def _place(name: str, row: Mapping[str, Any]) -> tuple[bool, bool, Any]:
    """As MongoDB orders: what is not there, numbers, texts."""
    if name.startswith(_ABSENT):
        return row[name.removeprefix(_ABSENT)] is None, False, 0
    value = row[name]
    return value is not None, isinstance(value, str), 0 if value is None else value


def position_of(document: Mapping[str, Any], order: Order, *, backwards: bool = False) -> Position:
    """Where a row stands."""
    names = [str(order.scalar)] if order.scalar is not None else [f"key{number}" for number in range(len(order.keys))]
    values = [_plain(document[name]) for name in names]
    return Position(tuple(values), document["_id"], backwards)


def _plain(value: Any) -> Value:  # noqa: ANN401 - as stored
    """The driver reads 64 bits into a class of its own, which nothing else can write."""
    return value if value is None or isinstance(value, str) else int(value)


def _after(after: Position, sort: Mapping[str, int], names: Sequence[str]) -> Filter:
    """Rows that follow in this order: equal in the first keys and beyond in the next, for each number of keys."""
    row: list[tuple[str, Any]] = []
    for name, value in zip(names, after.values, strict=True):
        row += [(f"{_ABSENT}{name}", value is None), (name, value)]
    row.append(("_id", after.id))
    alternatives: list[Filter] = []
    for at, (name, value) in enumerate(row):
        if value is None:
            continue  # nothing is beyond what is not there
        equal = {other: held for other, held in row[:at] if not other.startswith("key") or held is not None}
        alternatives.append({**equal, name: {"$gt" if sort[name] > 0 else "$lt": value}})
    return {"$or": alternatives}


def _value(key: SortKey, order: Order) -> Any:  # noqa: ANN401 - an expression
    """The value an entry is sorted by, null where it has none: the first, in the direction asked."""
    source = key.source
    if isinstance(source, SortField):
        return {"$cond": [{"$eq": [f"${source}", MIN]}, None, f"${source}"]} if source is SortField.ON else f"${source}"
    chosen = {("$max" if key.descending else "$min"): _values(source, order)}
    known = order.beside.get(key.code)
    if known is None:
        return chosen
    whole = {"$setIsSubset": [{"$ifNull": [f"${Field.REFERS}", [None]]}, {"$literal": sorted(known)}]}
    return {"$cond": [whole, chosen, None]}


def _values(source: OfTerms | OfIntervals, order: Order) -> Any:  # noqa: ANN401 - same
    if isinstance(source, OfIntervals):
        of_parameter = {"$eq": ["$$one.p", {"$literal": source.parameter}]}
        mine = {"$filter": {"input": {"$ifNull": ["$ix.r", []]}, "as": "one", "cond": of_parameter}}
        start = {"$cond": [{"$in": ["$$one.lo", [MIN, decimals.LOWEST]]}, _end(), "$$one.lo"]}
        return {"$map": {"input": mine, "as": "one", "in": start}}
    begins = {"$eq": [{"$indexOfBytes": ["$$one", {"$literal": source.head}]}, 0]}
    terms: Any = {"$filter": {"input": {"$ifNull": ["$ix.s", []]}, "as": "one", "cond": begins}}
    if order.unseen and source.points:
        is_unseen = {"$in": [_named("$$one"), {"$literal": sorted(order.unseen)}]}
        terms = {"$filter": {"input": terms, "as": "one", "cond": {"$not": [is_unseen]}}}
    if source.of_record:
        record = {"$concat": [{"$literal": f"{source.head}Patient/"}, f"${Field.RECORD}"]}
        terms = {"$concatArrays": [terms, [record]]}
    return terms


def _named(term: Any) -> Any:  # noqa: ANN401 - same
    """The term of a resource, whatever version or part of it a term names."""
    for sign in ("|", "#", "/_history/"):
        term = {"$arrayElemAt": [{"$split": [term, sign]}, 0]}
    return term


def _end() -> Any:  # noqa: ANN401 - same
    return {"$cond": [{"$in": ["$$one.hi", [MAX, decimals.HIGHEST]]}, None, "$$one.hi"]}

"""Which index could begin with a condition, and what a condition tells of the scalars that indexes order.

A :class:`Way` is an index and the condition that bounds a walk of it. An alternative has the ways of all its parts, or
none when one of them has none. What is said here is *necessary*: whatever satisfies the condition satisfies one of its
ways, so to begin there misses nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from fhir_server.fhir.date import MAX, MIN
from fhir_server.search.predicate import (
    ALWAYS,
    NEVER,
    AllOf,
    AnyOf,
    Compare,
    Contained,
    Field,
    Moment,
    Not,
    OneOf,
    Predicate,
    Prefix,
    Span,
    Value,
    all_of,
    any_of,
    negate,
)
from fhir_server.search.sort_dates import POINTS, SORT_DATES
from fhir_server.search.types.date import LONGEST
from fhir_server.store import indexes

Types: TypeAlias = "frozenset[Value]"
"""The resource types that a condition is asked of; none when it does not say."""

NAMING: Final = (indexes.BY_KEY, indexes.BY_RECORD, indexes.BY_ALSO)
"""Indexes by what a query names, the narrowest first: what they lead to is as much as is named, or is in a record."""

_MOST_BRANCHES: Final = 8
"""Walks of one index in one query; of more, one wider walk costs less than planning them."""


@dataclass(frozen=True, slots=True)
class Way:
    """An index, and the condition to begin with."""

    index: str
    first: Predicate
    exact: bool = True
    """Whatever is found by it satisfies the condition it was made of."""


@dataclass(frozen=True, slots=True)
class Start:
    """A condition of a conjunction, and the ways to begin with it, each of another index."""

    part: Predicate
    ways: tuple[Way, ...]

    @property
    def is_exact(self) -> bool:
        """The ways find what satisfies the condition, and nothing else."""
        return all(way.exact for way in self.ways)

    @property
    def names(self) -> bool:
        """Resources or records are named."""
        return all(way.index in NAMING for way in self.ways)

    @property
    def rank(self) -> tuple[int, int]:
        """Before anything is counted: what is named before all else, one index before several."""
        return max(_rank(way) for way in self.ways), len(self.ways)


def starts_of(parts: Sequence[Predicate], types: Types = frozenset()) -> list[Start]:
    """What a conjunction can begin with; the bounds of one scalar are one."""
    types = types_in(parts, types)
    ways: list[tuple[Predicate, tuple[Way, ...]]] = [
        (part, _ways(part, types)) for part in parts if not isinstance(part, Compare)
    ]
    updated = [part for part in parts if isinstance(part, Compare) and part.field is Moment.LAST_UPDATED]
    if updated:
        moments = all_of(updated)
        ways.append((moments, _of_types(indexes.BY_LAST_UPDATED, types, moments)))
    return [Start(part, found) for part, found in ways if found]


def _ways(part: Predicate, types: Types) -> tuple[Way, ...]:
    """The ways to begin with a condition; none when no index bounds it."""
    match part:
        case OneOf(Field.ID):
            return (Way(indexes.BY_KEY, part),)
        case OneOf(Field.RECORD, values) if None not in values:
            return (Way(indexes.BY_RECORD, part),)
        case OneOf(Field.ALSO, values) if None not in values:
            return (Way(indexes.BY_ALSO, part),)
        case OneOf(Field.TERMS) | Prefix():
            return _of_types(indexes.BY_TERM, types, part)
        case Span():
            return _of_types(indexes.BY_RANGE, types, part)
        case Contained():
            return _of_types(indexes.BY_CONTAINED, types, part)
        case Compare(Moment.LAST_UPDATED):
            return _of_types(indexes.BY_LAST_UPDATED, types, part)
        case AllOf(parts):
            found = starts_of(parts, types)
            best = min(found, key=lambda start: start.rank).ways if found else ()
            return tuple(replace(way, exact=False) for way in best)
        case AnyOf(parts):
            each = [_ways(one, types) for one in parts]
            return _joined([way for ways in each for way in ways]) if all(each) else ()
        case _:
            return ()


def _rank(way: Way) -> int:
    return NAMING.index(way.index) if way.index in NAMING else len(NAMING)


def types_in(parts: Iterable[Predicate], types: Types = frozenset()) -> Types:
    """The types that a conjunction is asked of."""
    told = [part.values for part in parts if isinstance(part, OneOf) and part.field is Field.TYPE]
    return frozenset.intersection(*told, *([types] if types else [])) if told else types


def _of_types(index: str, types: Types, part: Predicate) -> tuple[Way, ...]:
    return (Way(index, all_of([OneOf(Field.TYPE, types), part])),) if types else ()


def _joined(ways: Sequence[Way]) -> tuple[Way, ...]:
    """Of each index one way."""
    by_index: dict[str, list[Way]] = {}
    for way in ways:
        by_index.setdefault(way.index, []).append(way)
    joined: list[Way] = []
    for index, same in by_index.items():
        firsts = [one.first for one in same]
        merged, exact = (_named(firsts), True) if index in NAMING else _branches(firsts)
        joined.append(Way(index, merged, exact and all(one.exact for one in same)))
    return tuple(sorted(joined, key=_rank))


def _named(firsts: Iterable[Predicate]) -> Predicate:
    named = [one for one in firsts if isinstance(one, OneOf)]
    return OneOf(named[0].field, frozenset[Value]().union(*(one.values for one in named)))


def _branches(firsts: Iterable[Predicate]) -> tuple[Predicate, bool]:
    """Each with its types, so that each is a walk of its own; terms of the same types are one. And whether that is all.

    More than a few walks are one of all their types and terms, which may find more.
    """
    terms: dict[Types, set[Value]] = {}
    others: dict[Predicate, set[Value]] = {}
    for first in firsts:
        for branch in first.parts if isinstance(first, AnyOf) else (first,):
            types, rest = split_types(branch)
            if isinstance(rest, OneOf) and rest.field is Field.TERMS:
                terms.setdefault(types, set()).update(rest.values)
            else:
                others.setdefault(rest, set()).update(types)
    widened = len(terms) > _MOST_BRANCHES
    if widened:
        every = frozenset[Value]().union(*terms)
        terms = {every: set[Value]().union(*terms.values())}
    branches = [
        all_of([OneOf(Field.TYPE, types), OneOf(Field.TERMS, frozenset(each))]) for types, each in terms.items()
    ]
    branches += [all_of([OneOf(Field.TYPE, frozenset(types)), one]) for one, types in others.items()]
    return any_of(branches), not widened


def split_types(part: Predicate) -> tuple[Types, Predicate]:
    """The types a condition is asked of, and what it asks beside."""
    parts = parts_of(part)
    rest = [one for one in parts if not (isinstance(one, OneOf) and one.field is Field.TYPE)]
    return types_in(parts), all_of(rest)


def parts_of(predicate: Predicate) -> tuple[Predicate, ...]:
    """What a conjunction is made of."""
    return predicate.parts if isinstance(predicate, AllOf) else (predicate,)


# The same condition, shorter


def by_types(part: Predicate) -> Predicate:
    """Alternatives that differ in the types alone are one."""
    if not isinstance(part, AnyOf):
        return part
    groups: dict[Predicate, set[Value]] = {}
    untyped: list[Predicate] = []
    for one in part.parts:
        types, rest = split_types(one)
        if types:
            groups.setdefault(rest, set()).update(types)
        else:
            untyped.append(one)
    return any_of([*(all_of([OneOf(Field.TYPE, frozenset(types)), rest]) for rest, types in groups.items()), *untyped])


def within(part: Predicate, record: Value) -> Predicate:
    """The condition as it is of what has this for its (first) record."""
    match part:
        case OneOf(Field.RECORD, values):
            return ALWAYS if record in values else NEVER
        case AllOf(parts):
            return all_of([within(one, record) for one in parts])
        case AnyOf(parts):
            return any_of([within(one, record) for one in parts])
        case Not(inner):
            return negate(within(inner, record))
        case _:
            return part


# What a condition tells of the main date

_EVERYTHING: Final = (MIN, MAX)


def dates_of(parts: Iterable[Predicate], types: Types) -> tuple[int, int]:
    """The least and the greatest ``on`` of what satisfies a conjunction.

    Of the types searched the main date must be the same parameter. It is one element, so one interval at most: where
    it starts is ``on``; where its start is open, its end.
    """
    codes = {SORT_DATES.get(str(type)) for type in types}
    code = codes.pop() if len(codes) == 1 else None
    if code is None:
        return _EVERYTHING
    told = [_dates(part, code, points=POINTS.issuperset(types)) for part in parts]
    return max((low for low, _ in told), default=MIN), min((high for _, high in told), default=MAX)


def _dates(part: Predicate, code: str, *, points: bool) -> tuple[int, int]:
    match part:
        case Span(parameter) if parameter == code:
            return _dates_of_span(part, points=points)
        case AllOf(parts):
            told = [_dates(one, code, points=points) for one in parts]
            return max(low for low, _ in told), min(high for _, high in told)
        case AnyOf(parts):
            told = [_dates(one, code, points=points) for one in parts]
            return min(low for low, _ in told), max(high for _, high in told)
        case _:
            return _EVERYTHING


def _dates_of_span(span: Span, *, points: bool) -> tuple[int, int]:
    low, high = _EVERYTHING
    until: list[int] = []
    for end, order, bound in span.tests:
        if not isinstance(bound, int):
            continue
        if end == "lo" and order in ("gt", "ge"):
            low = max(low, bound)
        elif end == "lo":
            until.append(bound)
        elif end == "hi" and order in ("lt", "le"):
            high = min(high, bound)
    if low > MIN:
        high = min(high, *until, MAX)
    elif points and until:
        # a date in the first year of all looks like an open start
        high = min(high, max(min(until), MIN + LONGEST))
    return low, high

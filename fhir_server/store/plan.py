"""Which index a query begins with, and with which condition.

MongoDB is not left to choose: every index that begins with the type is a candidate for every query, and of several
conditions on one array it takes one by its kind, ``=`` before ``$in``, however rare the other. So the index is told,
and what is not to be begun with is put where no index reaches it (:func:`_aside`).

- Where resources or records are named, the index of these is right: inside a record there is little to look at.
- Elsewhere each condition that an index can begin with (:mod:`fhir_server.store.ways`) is counted, up to
  :data:`ENOUGH`: the rarest is begun with. A count costs about a millisecond, so it is only asked where it decides
  something.
- Where all are common, the order of the page is walked, within the dates asked: a page is soon full. Soon is
  :data:`ENOUGH` resources; a walk that meets too few until then is given up for the rarest condition after all.

A condition with alternatives begins with each of them. Those of one index are one query; those of several are several,
none of which finds what another does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Final

from pymongo.errors import ExecutionTimeout

from fhir_server.fhir.date import MAX, MIN
from fhir_server.search.predicate import (
    ALWAYS,
    AllOf,
    AnyOf,
    Compare,
    Contained,
    Field,
    Moment,
    Never,
    Not,
    OneOf,
    Predicate,
    Prefix,
    Span,
    Value,
    all_of,
    negate,
)
from fhir_server.search.sorting import SortField
from fhir_server.store import indexes
from fhir_server.store.filters import Filter, mongo, to_filter
from fhir_server.store.stretch import Stretch, narrowed
from fhir_server.store.ways import NAMING, Start, Types, Way, by_types, dates_of, parts_of, starts_of, types_in, within

if TYPE_CHECKING:
    from fhir_server.store.connection import Database
    from fhir_server.store.ordering import Order

ENOUGH: Final = 2_000
"""So many entries make a condition common; so many resources a walk may look at. Either is a few milliseconds."""

MANY: Final = 20_000
"""So far is counted where all that matches is read anyway, and more than :data:`ENOUGH` match every condition."""

_FEW: Final = 50
"""Nothing can be much better than this: the other conditions are not counted."""

_COUNT_MILLISECONDS: Final = 1_000
"""A condition that takes longer to count is common."""

_SEVERAL: Final = 4
"""Alternatives of fewer types are left as they are."""

_ORDERED: Final = {
    SortField.ON: indexes.BY_ON,
    SortField.LAST_UPDATED: indexes.BY_LAST_UPDATED,
    SortField.ID: indexes.BY_KEY,
}


_SCOPES: Final[Mapping[tuple[str | None, str], tuple[Field, ...]]] = {
    (indexes.BY_ON, SortField.ON): (Field.TYPE,),
    (indexes.BY_LAST_UPDATED, SortField.LAST_UPDATED): (Field.TYPE,),
    (indexes.BY_RECORD, SortField.ON): (Field.RECORD, Field.TYPE),
    (indexes.BY_ALSO, SortField.ON): (Field.ALSO, Field.TYPE),
}
"""By index and key of the order, the fields before the key."""

_MOST_SCOPES: Final = 8


@dataclass(frozen=True, slots=True)
class Plan:
    """A query, the index it is to walk, where one is known, and the queries that find what this one cannot."""

    wanted: Predicate
    hint: str | None
    others: tuple[Plan, ...] = ()
    along: Predicate | None = None
    """It walks along the order of the page through all of this, and may meet too few: then another plan is better."""
    keys: tuple[str, str] | None = None
    """The keys it walks lie between these."""

    def options(self) -> dict[str, str]:
        """The hint as an option of a command."""
        return {"hint": self.hint} if self.hint else {}

    def where(self, stretch: Stretch | None = None) -> Filter:
        """As a filter, of all there is or of a stretch of it."""
        filters = stretch.filters() if stretch is not None else []
        scopes = self._scopes(stretch.key) if stretch is not None and filters else []
        if scopes and stretch is not None:
            return self._walks(scopes, filters, stretch.key)
        parts = [to_filter(self.wanted)]
        if self.keys is not None:
            low, high = self.keys
            parts.append({"_id": {"$gte": low, "$lt": high}})
        if stretch is not None and filters:
            parts += filters if len(filters) == 1 else [stretch.bound(), {"$nor": [{"$nor": [{"$or": filters}]}]}]
        return parts[0] if len(parts) == 1 else {"$and": parts}

    def _walks(self, scopes: Sequence[Predicate], filters: Sequence[Filter], key: str) -> Filter:
        """A walk for each part of the stretch and each scope: only so does the index begin where the stretch does."""
        parts = parts_of(self.wanted)
        for part in parts:
            if isinstance(part, Compare) and part.field == key:
                filters = [narrowed(one, key, f"${mongo(part.order)}", part.bound) for one in filters]
        begun = {one.field for scope in scopes for one in parts_of(scope) if isinstance(one, OneOf)}
        rest = to_filter(all_of([part for part in parts if not (isinstance(part, OneOf) and part.field in begun)]))
        walks: Filter = {"$or": [{**to_filter(scope), **one} for scope in scopes for one in filters]}
        return {**walks, "$and": [rest]} if rest else walks

    def _scopes(self, key: str) -> list[Predicate]:
        """What an index that is in the order of this key begins with: a type, perhaps of a record; a few of these."""
        fields = _SCOPES.get((self.hint, key))
        if fields is None:
            return []
        values = [_values(self.wanted, field) for field in fields]
        if not all(values) or prod(map(len, values)) > _MOST_SCOPES:
            return []
        return [
            all_of([OneOf(field, frozenset({value})) for field, value in zip(fields, each, strict=True)])
            for each in product(*values)
        ]

    def walks(self, key: str) -> bool:
        """Whether its index is in the order of this key."""
        return (self.hint, key) in _SCOPES

    def each(self) -> Iterator[Plan]:
        """This one and the others."""
        yield self
        yield from self.others


async def plan(database: Database, wanted: Predicate, order: Order | None, collection: str = "resources") -> Plan:
    """The plan of a query; ``order`` is nothing where all that matches is read anyway."""
    if collection != "resources":
        return Plan(wanted, None)
    if (index := _plainly_named(parts_of(wanted))) is not None:
        return Plan(wanted, index)
    parts = _tidied(wanted)
    starts = starts_of(parts)
    if (named := _named(starts)) is not None:
        return _beginning(named, parts)
    scalar = order.scalar if order is not None else None
    types = types_in(parts)
    starts = [*_dated(parts, types), *starts]
    if scalar is None or not types:
        return await _read_whole(database, parts, starts)
    return await _page(database, parts, starts, scalar, types)


def queries_of(asked: Predicate) -> int:
    """By how many queries what is named would be found if it were there; one where nothing is named."""
    named = _named(starts_of(_tidied(asked)))
    return len(named.ways) if named is not None else 1


def _named(starts: Sequence[Start]) -> Start | None:
    """The condition that names resources or records; of several the narrowest."""
    return min((start for start in starts if start.names), key=lambda start: start.rank, default=None)


def _plainly_named(parts: Sequence[Predicate]) -> str | None:
    """The index of what is named, where there are no alternatives to think about: of nearly every search."""
    fields = [part.field for part in parts if isinstance(part, OneOf) and None not in part.values]
    if any(isinstance(part, AnyOf) for part in parts):
        return None
    if Field.ID in fields:
        return indexes.BY_KEY
    return indexes.BY_RECORD if Field.RECORD in fields else None


def _values(wanted: Predicate, field: Field) -> list[Value]:
    """The values that a conjunction takes of a field, in one place alone."""
    told = [part for part in parts_of(wanted) if isinstance(part, OneOf) and part.field is field]
    return sorted(told[0].values, key=str) if len(told) == 1 else []


def _of_types(parts: Sequence[Predicate]) -> Sequence[Predicate]:
    """The types said once."""
    told = [part for part in parts if isinstance(part, OneOf) and part.field is Field.TYPE]
    if len(told) < 2:  # noqa: PLR2004 - said twice
        return parts
    return [OneOf(Field.TYPE, types_in(told)), *(part for part in parts if part not in told)]


def _tidied(wanted: Predicate) -> Sequence[Predicate]:
    return _of_types(parts_of(all_of([_shorter(part) for part in parts_of(wanted)])))


def _shorter(part: Predicate) -> Predicate:
    return by_types(part) if isinstance(part, AnyOf) and len(part.parts) >= _SEVERAL else part


async def _read_whole(database: Database, parts: Sequence[Predicate], starts: Sequence[Start]) -> Plan:
    """All that matches is read, in whatever order: the rarest condition, however common."""
    if not starts:
        return Plan(all_of(parts), None)
    if len(starts) == 1:
        return _beginning(starts[0], parts)
    rarest = await _rarest(database, starts, ENOUGH) or await _rarest(database, starts, MANY)
    return _beginning(rarest[0] if rarest else starts[0], parts)


async def _page(
    database: Database, parts: Sequence[Predicate], starts: Sequence[Start], scalar: SortField, types: Types
) -> Plan:
    """A page of it, in the order of an index."""
    hint = _ORDERED[scalar]
    bounds = _bounds(parts, scalar, types)
    # what bounds the walk itself is not begun with in another way, unless the walk fails
    others = [start for start in starts if not _bounds(parts_of(start.part), scalar, types)]
    found = await _rarest(database, others, ENOUGH)
    fewest = found[1] if found else ENOUGH
    along = all_of([OneOf(Field.TYPE, types), *bounds])
    if bounds and starts and fewest > _FEW and await _count(database, along, hint, fewest) < fewest:
        return Plan(all_of([along, *_aside(parts, hint, along)]), hint)
    if found:
        return _beginning(found[0], parts)
    walk = Plan(all_of([along, *_aside(parts, hint, along)]), hint, along=along if starts else None)
    if scalar is not SortField.ID:
        return walk
    named = [str(type) for type in types]
    return replace(walk, keys=(f"{min(named)}/", f"{max(named)}0"), along=ALWAYS if starts else None)  # 0 is after /


def _dated(parts: Sequence[Predicate], types: Types) -> list[Start]:
    """The main dates that the conditions lie between, which is one range of a scalar and quickly counted."""
    low, high = dates_of(parts, types)
    if low == MIN and high == MAX:
        return []
    part = all_of(_bounds(parts, SortField.ON, types))
    return [Start(part, (Way(indexes.BY_ON, all_of([OneOf(Field.TYPE, types), part]), exact=False),))]


def _bounds(parts: Sequence[Predicate], scalar: SortField, types: Types) -> list[Predicate]:
    """Where in the order the page lies, as far as the conditions tell."""
    if scalar is SortField.ID:
        return []
    bounds: list[Predicate] = [part for part in parts if isinstance(part, Compare) and str(part.field) == str(scalar)]
    if scalar is SortField.ON:
        low, high = dates_of(parts, types)
        bounds += [Compare(Moment.ON, "ge", low)] if low > MIN else []
        bounds += [Compare(Moment.ON, "le", high)] if high < MAX else []
    return bounds


async def _rarest(database: Database, starts: Iterable[Start], enough: int) -> tuple[Start, int] | None:
    """The condition with the fewest entries, and how many; none where each has as many as are enough."""
    rarest, fewest = None, enough
    for start in starts:
        number = 0
        for way in start.ways:
            if number < fewest and way.index not in NAMING:
                number += await _count(database, way.first, way.index, fewest - number)
        if number < fewest:
            rarest, fewest = (start, number), number
        if number <= _FEW:
            break
    return rarest


async def _count(database: Database, wanted: Predicate, hint: str, most: int) -> int:
    """How many there are, up to so many; a count that takes too long is as many."""
    try:
        return await database["resources"].count_documents(
            to_filter(wanted), limit=most, hint=hint, maxTimeMS=_COUNT_MILLISECONDS
        )
    except ExecutionTimeout:
        return most


def _beginning(start: Start, parts: Sequence[Predicate]) -> Plan:
    """The query by each way of a condition, without what the ways before it find."""
    kept = [part for part in parts if part is not start.part] if start.is_exact else parts
    ways = start.ways
    plans = [_by(way, [*kept, *(negate(before.first) for before in ways[:at])]) for at, way in enumerate(ways)]
    return replace(plans[0], others=tuple(plans[1:]))


def _by(way: Way, parts: Sequence[Predicate]) -> Plan:
    if isinstance(way.first, OneOf) and way.first.field is Field.RECORD and len(way.first.values) == 1:
        (record,) = way.first.values
        parts = [_shorter(one) for part in parts for one in parts_of(within(part, record))]
    wanted = all_of([way.first, *_aside(parts, way.index, way.first)])
    return Plan(wanted, indexes.BY_KEY if isinstance(wanted, Never) else way.index)


_ARRAYS: Final = (Prefix, Span, Contained)


def _aside(parts: Iterable[Predicate], index: str, first: Predicate) -> list[Predicate]:
    """The conditions beside the one begun with, put so that no index is walked for them."""
    begun = parts_of(first)
    typed = any(isinstance(part, OneOf) and part.field is Field.TYPE for part in begun)
    beside: list[Predicate] = []
    aside: list[Predicate] = []
    for part in parts:
        if part in begun:
            continue
        is_array = isinstance(part, _ARRAYS) or (isinstance(part, OneOf) and part.field is Field.TERMS)
        is_type = isinstance(part, OneOf) and part.field is Field.TYPE
        walked = index in (indexes.BY_TERM, indexes.BY_RANGE, indexes.BY_CONTAINED)
        reached = isinstance(part, AnyOf | AllOf) or (walked and (is_array or (is_type and not typed)))
        (aside if reached else beside).append(part)
    # a double negation says the same, and MongoDB looks for no index in it
    return [*beside, Not(Not(all_of(aside)))] if aside else beside


def scope_of(*predicates: Predicate) -> Predicate:
    """The part of a conjunction that never changes between versions: type, realm, record."""
    fixed = (Field.TYPE, Field.REALM, Field.RECORD)
    parts: Iterable[Predicate] = (part for predicate in predicates for part in parts_of(predicate))
    return all_of([part for part in parts if isinstance(part, OneOf) and part.field in fixed])

"""Which index a query begins with.

Every index that begins with the type is a candidate for every query, and of several conditions on one array MongoDB
uses the first and never considers the others; so it is told, and the condition put first.

Inside one record the index by record is right. Elsewhere each condition that an index can begin with is asked how many
entries it has, up to :data:`ENOUGH`: the rarest is the one to begin with; where all are common, the order of the page
is walked, for then a page is soon full. A count costs about a millisecond, so it is only asked where it decides
something.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from fhir_server.search.predicate import (
    AllOf,
    AnyOf,
    Compare,
    Field,
    Moment,
    Not,
    OneOf,
    Predicate,
    Prefix,
    Span,
    all_of,
)
from fhir_server.search.sorting import SortField
from fhir_server.store import indexes
from fhir_server.store.filters import to_filter

if TYPE_CHECKING:
    from fhir_server.store.connection import Database
    from fhir_server.store.ordering import Order

ENOUGH: Final = 2_000
"""So many entries make a condition common: to read them costs what walking the order of 100,000 resources does."""

_ORDERED: Final = {SortField.ON: indexes.BY_ON, SortField.LAST_UPDATED: indexes.BY_LAST_UPDATED}


@dataclass(frozen=True, slots=True)
class Plan:
    """A query with its conditions in the order they are to be met, and the index to walk, where one is known."""

    wanted: Predicate
    hint: str | None

    def options(self) -> dict[str, str]:
        """The hint as an option of a command."""
        return {"hint": self.hint} if self.hint else {}


async def plan(database: Database, wanted: Predicate, order: Order | None, collection: str) -> Plan:
    """The plan of a query; ``order`` is nothing where all that matches is read anyway."""
    parts = parts_of(wanted)
    if collection != "resources":
        return Plan(wanted, None)
    if any(isinstance(part, OneOf) and part.field is Field.ID for part in parts):
        return Plan(wanted, "_id_")
    if any(isinstance(part, OneOf) and part.field is Field.RECORD and None not in part.values for part in parts):
        return Plan(wanted, indexes.BY_RECORD)
    if any(isinstance(part, AnyOf) and all(_is_of_record(one) for one in part.parts) for part in parts):
        return Plan(wanted, None)  # of this record, or also of it: the planner takes both indexes
    walk = _walk(parts, order)
    first = await _rarest(database, parts, walk)
    return Plan(wanted, walk) if first is None else Plan(_first(first, parts), _index_of(first))


def _walk(parts: tuple[Predicate, ...], order: Order | None) -> str | None:
    """The index in which the page can be read in its order, or by the moment that is asked."""
    if order is not None and order.scalar in _ORDERED:
        return _ORDERED[order.scalar]
    updated = any(isinstance(part, Compare) and part.field is Moment.LAST_UPDATED for part in parts)
    return indexes.BY_LAST_UPDATED if updated else None


_FEW: Final = 50
"""Nothing can be much better than this: the other conditions are not counted."""


async def _rarest(database: Database, parts: tuple[Predicate, ...], walk: str | None) -> Predicate | None:
    """The condition to begin with: nothing where walking is better, or where no index begins with any."""
    candidates = [part for part in parts if _index_of(part) is not None]
    if len(candidates) < 2 and walk is None:  # noqa: PLR2004 - nothing to choose between
        return candidates[0] if candidates else None
    scope = [part for part in parts if isinstance(part, OneOf) and part.field is Field.TYPE]
    rarest, fewest = None, ENOUGH if walk is not None else ENOUGH + 1
    for part in candidates:
        number = await _count(database, all_of([*scope, part]), _index_of(part) or "")
        if number < fewest:
            rarest, fewest = part, number
        if number <= _FEW:
            break
    return rarest


async def _count(database: Database, wanted: Predicate, hint: str) -> int:
    return await database["resources"].count_documents(to_filter(wanted), limit=ENOUGH, hint=hint, maxTimeMS=5_000)


def parts_of(predicate: Predicate) -> tuple[Predicate, ...]:
    """What a conjunction is made of."""
    return predicate.parts if isinstance(predicate, AllOf) else (predicate,)


def scope_of(*predicates: Predicate) -> Predicate:
    """The part of a conjunction that never changes between versions: type, realm, record."""
    fixed = (Field.TYPE, Field.REALM, Field.RECORD)
    parts: Iterable[Predicate] = (part for predicate in predicates for part in parts_of(predicate))
    return all_of([part for part in parts if isinstance(part, OneOf) and part.field in fixed])


def _index_of(part: Predicate) -> str | None:
    """The index that could begin with this condition."""
    match part:
        case Prefix() | OneOf(Field.TERMS):
            return indexes.BY_TERM
        case Span(_, tests) if tests:
            return indexes.BY_RANGE
        case AnyOf(parts) if all(isinstance(one, Prefix) or _is_terms(one) for one in parts):
            return indexes.BY_TERM
        case _:
            return None


def _is_terms(part: Predicate) -> bool:
    return isinstance(part, OneOf) and part.field is Field.TERMS


def _first(part: Predicate, parts: tuple[Predicate, ...]) -> Predicate:
    """With one condition first, and no other that the database could begin with in the same index.

    It takes a beginning (``$elemMatch``) before a value, in whichever order they are written; denied twice, a condition
    is only looked at.
    """
    index = _index_of(part)
    others = (Not(Not(one)) if _index_of(one) == index else one for one in parts if one is not part)
    return all_of([part, *others])


def _is_of_record(predicate: Predicate) -> bool:
    return isinstance(predicate, OneOf) and predicate.field in (Field.RECORD, Field.ALSO)

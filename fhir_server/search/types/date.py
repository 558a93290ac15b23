"""date: intervals in time, compared by a prefix. https://hl7.org/fhir/R4/search.html#date

``2024-05`` is the whole of May (:mod:`fhir_server.fhir.date`, half-open, in UTC), an instant a point in time, which is
a microsecond here; how it is compared tells :mod:`fhir_server.search.types.ordered`. For ``ap`` the query is widened by
a tenth of the gap between now and it, by nothing when now is within it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final, assert_never

from fhir_server.fhir.date import MAX, MIN, Interval, interval
from fhir_server.fhir.errors import Invalid
from fhir_server.fhir.json import Json, JsonObject
from fhir_server.search.messages import told
from fhir_server.search.predicate import Compare, Moment, Order, Predicate, all_of, any_of
from fhir_server.search.types.ordered import Covered, Relation, Wanted, relation, spans
from fhir_server.search.values import unescape

MODIFIERS: Final = frozenset({"missing"})
TYPES: Final = frozenset({"date", "dateTime", "instant", "Period", "Timing"})
"""The types of element a date is found in."""
LONGEST: Final = 366 * 86_400_000_000
"""Microseconds that a date, a dateTime or an instant covers at most: a year."""

_POINTS: Final = frozenset({"date", "dateTime", "instant"})
_DAY: Final = 86_400_000_000
_MILLISECOND: Final = 1000


def extract(element: Json, type: str) -> Covered | None:
    """The interval an element covers; of a Period its ends, of a Timing its outermost ends."""
    found: Interval | None = None
    if isinstance(element, str):
        found = interval(element) if type in TYPES else None
        if found is not None and type == "instant":
            found = Interval(found.low, found.low + 1)  # a point in time, however few digits it is written with
    elif isinstance(element, dict):
        found = _period(element) if type == "Period" else _timing(element) if type == "Timing" else None
    return Covered(found.low, found.high) if found is not None else None


def parse(raw: str, now: int) -> Wanted:
    """Read one value; ``now`` (microseconds since 1970) is for ``ap``."""
    prefix, text = relation(unescape(raw), "date")
    found = interval(text)
    if found is None:
        raise Invalid(told("no-date", text=text[:80], hint=told("plus-sign") if " " in text else ""))
    if prefix is Relation.AP:
        found = _widened(found, now)
    return Wanted(prefix, found.low, found.high)


def longest(types: Collection[str]) -> int | None:
    """The most that a value covers in elements of these types; nothing where a Period or a Timing may be among them."""
    found = TYPES.intersection(types)
    if not _POINTS.issuperset(found):
        return None
    return _DAY if found == {"instant"} else LONGEST  # it has seconds; to be on the safe side


def predicate(parameter: str, wanted: Sequence[Wanted], longest: int | None = None) -> Predicate:
    """Entries with a date that stands so to one of these; ``longest``: none covers more."""
    return any_of([spans(parameter, one, longest) for one in wanted])


def last_updated(wanted: Sequence[Wanted]) -> Predicate:
    """Entries updated so: the same tests on ``[at, at + 1 ms)``, for meta.lastUpdated is told to the millisecond."""
    return any_of([_moments(one) for one in wanted])


def _moments(wanted: Wanted) -> Predicate:
    """The same of a scalar, where ``lo`` is it rounded down to the millisecond and ``hi`` the millisecond after."""
    low, high = int(wanted.low), int(wanted.high)
    match wanted.relation:
        case Relation.EQ:
            return all_of([_at("ge", _up(low)), _at("lt", _down(high))])
        case Relation.NE:
            return any_of([_at("lt", _up(low)), _at("ge", _down(high))])
        case Relation.GT:
            return _at("ge", _down(high))
        case Relation.LT:
            return _at("lt", _up(low))
        case Relation.GE:
            return _at("ge", min(_up(low), _down(high)))
        case Relation.LE:
            return _at("lt", max(_up(low), _down(high)))
        case Relation.SA:
            return _at("ge", _up(high))
        case Relation.EB:
            return _at("lt", _down(low))
        case Relation.AP:
            return all_of([_at("lt", _up(high)), _at("ge", _down(low))])
    assert_never(wanted.relation)


def _at(order: Order, bound: int) -> Predicate:
    return Compare(Moment.LAST_UPDATED, order, bound)


def _down(bound: int) -> int:
    return bound - bound % _MILLISECOND


def _up(bound: int) -> int:
    return bound + -bound % _MILLISECOND


def _widened(found: Interval, now: int) -> Interval:
    gap = max(found.low - now, now - found.high, 0) // 10
    return Interval(max(found.low - gap, MIN), min(found.high + gap, MAX))


def _period(element: JsonObject) -> Interval | None:
    start, end = element.get("start"), element.get("end")
    first = interval(start) if isinstance(start, str) else None
    last = interval(end) if isinstance(end, str) else None
    if first is None and last is None:
        return None
    return _ordered(first.low if first else MIN, last.high if last else MAX)


def _timing(element: JsonObject) -> Interval | None:
    events = element.get("event")
    found = [
        covered
        for event in (events if isinstance(events, list) else ())
        if isinstance(event, str) and (covered := interval(event)) is not None
    ]
    repeat = element.get("repeat")
    bounds = repeat.get("boundsPeriod") if isinstance(repeat, dict) else None
    if isinstance(bounds, dict) and (outer := _period(bounds)) is not None:
        found.append(outer)
    if not found:
        return None
    return Interval(min(one.low for one in found), max(one.high for one in found))


def _ordered(low: int, high: int) -> Interval:
    """A period whose end is before its start covers what lies between: an interval is never empty."""
    return Interval(low, high) if low < high else Interval(high, max(low, high + 1))

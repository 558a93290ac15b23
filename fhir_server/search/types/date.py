"""date: intervals compared by a prefix. https://hl7.org/fhir/R4/search.html#date

Value and query are intervals: ``2024-05`` is the whole of May (:mod:`fhir_server.fhir.date`, half-open, in UTC). With
the query at ``[a, b)`` and the value at ``[lo, hi)``:

======  ==============================================================  =============================
prefix  the standard's words                                            the test
======  ==============================================================  =============================
eq      the query contains the value                                    ``lo >= a`` and ``hi <= b``
ne      the query does not contain the value (that there is)            ``lo < a`` or ``hi > b``
gt      what is above the query overlaps the value                      ``hi > b``
lt      what is below the query overlaps the value                      ``lo < a``
ge      gt or eq                                                        ``hi > b`` or ``lo >= a``
le      lt or eq                                                        ``lo < a`` or ``hi <= b``
sa      the value is above the query                                    ``lo >= b``
eb      the value is below the query                                    ``hi <= a``
ap      the query, widened, overlaps the value                          ``lo < b + w`` and ``hi > a - w``
======  ==============================================================  =============================

``w`` is a tenth of the gap between now and the query, nothing when now is within it. All tests hold of the same value.
Where a test bounds ``hi`` from above, the bound of ``lo`` it implies is added: the index orders by ``lo`` first, and
without it a search examines thousands of keys (docs/storage.md).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal, TypeAlias, assert_never

from fhir_server.fhir.date import MAX, MIN, Interval, interval
from fhir_server.fhir.errors import Invalid
from fhir_server.fhir.json import Json, JsonObject
from fhir_server.search.predicate import Compare, Moment, Order, Predicate, Span, all_of, any_of
from fhir_server.search.values import unescape

MODIFIERS: Final[frozenset[str]] = frozenset()
TYPES: Final = frozenset({"date", "dateTime", "instant", "Period", "Timing"})
"""The types of element a date is found in."""

_MILLISECOND: Final = 1000
_Test: TypeAlias = tuple[Literal["lo", "hi"], Order, int]


class Relation(StrEnum):
    """https://hl7.org/fhir/R4/search.html#prefix"""

    EQ = "eq"
    NE = "ne"
    GT = "gt"
    LT = "lt"
    GE = "ge"
    LE = "le"
    SA = "sa"
    EB = "eb"
    AP = "ap"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A prefix and the interval of its date, already widened for ``ap``."""

    relation: Relation
    interval: Interval


def extract(element: Json, type: str) -> Iterator[Interval]:
    """The interval an element covers; of a Period its ends, of a Timing its outermost ends."""
    if isinstance(element, str):
        if type in TYPES and (found := interval(element)) is not None:
            yield found
    elif isinstance(element, dict):
        found = _period(element) if type == "Period" else _timing(element) if type == "Timing" else None
        if found is not None:
            yield found


def parse(raw: str, now: int) -> Wanted:
    """Read one value; ``now`` (microseconds since 1970) is for ``ap``."""
    text = unescape(raw)
    relation = Relation.EQ
    if text[:2].isalpha():
        try:
            relation = Relation(text[:2])
        except ValueError:
            known = ", ".join(Relation)
            raise Invalid(f"The prefix of the date {text[:80]!r} is none of {known}.") from None
        text = text[2:]
    found = interval(text)
    if found is None:
        hint = " (a plus sign must be sent as %2B)" if " " in text else ""
        forms = "YYYY, YYYY-MM, YYYY-MM-DD or YYYY-MM-DDThh:mm[:ss][zone]"
        raise Invalid(f"{text[:80]!r} is not a date of the form {forms}{hint}.")
    return Wanted(relation, _widened(found, now) if relation is Relation.AP else found)


def predicate(parameter: str, wanted: Sequence[Wanted], modifier: str | None = None) -> Predicate:  # noqa: ARG001 - none
    """Entries with a date that stands so to one of these."""
    return any_of([_spans(parameter, one) for one in wanted])


def last_updated(wanted: Sequence[Wanted]) -> Predicate:
    """Entries updated so: the same tests on ``[at, at + 1 ms)``, for meta.lastUpdated is told to the millisecond."""
    return any_of([_moments(one) for one in wanted])


def _spans(parameter: str, wanted: Wanted) -> Predicate:  # noqa: C901 - one line for each prefix
    """The table above, disjunctions as two spans."""
    low, high = wanted.interval.low, wanted.interval.high

    def span(*tests: _Test) -> Predicate:
        return Span(parameter, tests)

    match wanted.relation:
        case Relation.EQ:
            return span(("lo", "ge", low), ("lo", "lt", high), ("hi", "le", high))
        case Relation.NE:
            return any_of([span(("lo", "lt", low)), span(("hi", "gt", high))])
        case Relation.GT:
            return span(("hi", "gt", high))
        case Relation.LT:
            return span(("lo", "lt", low))
        case Relation.GE:
            return any_of([span(("lo", "ge", low)), span(("hi", "gt", high))])
        case Relation.LE:
            return any_of([span(("lo", "lt", low)), span(("lo", "lt", high), ("hi", "le", high))])
        case Relation.SA:
            return span(("lo", "ge", high))
        case Relation.EB:
            return span(("lo", "lt", low), ("hi", "le", low))
        case Relation.AP:
            return span(("lo", "lt", high), ("hi", "gt", low))
    assert_never(wanted.relation)


def _moments(wanted: Wanted) -> Predicate:
    """The same of a scalar, where ``lo`` is it rounded down to the millisecond and ``hi`` the millisecond after."""
    low, high = wanted.interval.low, wanted.interval.high
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

"""Numbers, quantities and dates as intervals, and the nine prefixes between two of them.

https://hl7.org/fhir/R4/search.html#prefix

An interval lies between two cuts of the line. A cut is just before or just after a value, so that open and closed
ends, points and half-open days compare alike: the point 5 is from ``(5, 0)`` to ``(5, 1)``, what is below 5 ends at
``(5, 0)``, what is at most 5 at ``(5, 1)``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from decimal import Context, Decimal
from typing import Any, Final, TypeAlias

from tests.differential.readings import INSTANTS_ARE_POINTS

Cut: TypeAlias = tuple[Decimal, int]

INFINITY: Final = Decimal("Infinity")
LOWEST: Final = (-INFINITY, 0)
HIGHEST: Final = (INFINITY, 1)
_EXACTLY: Final = Context(prec=100)
"""No sum of these rounds a number."""
PREFIXES: Final = ("eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap")

_NUMBER: Final = re.compile(r"(?P<whole>-?\d+)(?P<decimals>\.\d+)?(?P<exponent>[eE][+-]?\d+)?")
_DATE: Final = re.compile(
    r"(?P<year>\d{4})(-(?P<month>\d\d)(-(?P<day>\d\d)"
    r"(T(?P<hour>\d\d):(?P<minute>\d\d)(:(?P<second>\d\d)(\.(?P<fraction>\d+))?)?(?P<zone>Z|[+-]\d\d:\d\d)?)?)?)?"
)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Interval:
    """All between two cuts."""

    low: Cut
    high: Cut

    def contains(self, other: Interval) -> bool:
        return self.low <= other.low and other.high <= self.high

    def overlaps(self, other: Interval) -> bool:
        return self.low < other.high and other.low < self.high


def split_prefix(text: str) -> tuple[str, str]:
    """The prefix of a value, ``eq`` when it has none, and the rest."""
    return (text[:2], text[2:]) if text[:2] in PREFIXES else ("eq", text)


def compares(prefix: str, asked: Interval, target: Interval) -> bool:
    """The table of prefixes; ``asked`` is the range of the search value.

    The range above the search value begins where it ends, and ``ge`` is ``gt`` or ``eq``: by the letter of the table, a
    target that begins before the search value and ends within it is neither.
    """
    match prefix:
        case "eq":
            return asked.contains(target)
        case "ne":
            return not asked.contains(target)
        case "gt":
            return target.high > asked.high
        case "lt":
            return target.low < asked.low
        case "ge":
            return target.high > asked.high or asked.contains(target)
        case "le":
            return target.low < asked.low or asked.contains(target)
        case "sa":
            return target.low >= asked.high
        case "eb":
            return target.high <= asked.low
        case "ap":
            return asked.overlaps(target)
    raise NotImplementedError(prefix)


# Numbers


def point(value: Decimal) -> Interval:
    """One number, exactly."""
    return Interval((value, 0), (value, 1))


def number(value: Any) -> Decimal:
    """A JSON number, exactly as written."""
    return value if isinstance(value, Decimal) else Decimal(str(value))


def range_asked(prefix: str, text: str) -> Interval:
    """The range of the number in a search value.

    ``eq`` and ``ne`` go by its digits, the others by the value; https://hl7.org/fhir/R4/search.html#number. The
    standard's own ``1e2`` is [95, 105): a number with an exponent and no decimals counts for one digit more.
    """
    found = _NUMBER.fullmatch(text)
    if found is None:
        raise ValueError(text)
    value = Decimal(text)
    if prefix == "ap":
        tenth = value.copy_abs().scaleb(-1, _EXACTLY)
        return Interval((_EXACTLY.subtract(value, tenth), 0), (_EXACTLY.add(value, tenth), 1))
    if prefix not in ("eq", "ne"):
        return point(value)
    decimals = len(found["decimals"] or ".") - 1
    exponent = int((found["exponent"] or "e0")[1:])
    last = exponent - decimals - (1 if found["exponent"] and not decimals else 0)
    half = Decimal((0, (5,), last - 1))
    return Interval((_EXACTLY.subtract(value, half), 0), (_EXACTLY.add(value, half), 0))


def quantity_interval(value: dict[str, Any]) -> Interval | None:
    """What a Quantity may be: a point, or all below or above one; https://hl7.org/fhir/R4/datatypes.html#Quantity."""
    if "value" not in value:
        return None
    exactly = point(number(value["value"]))
    match value.get("comparator"):
        case "<":
            return Interval(LOWEST, exactly.low)
        case "<=":
            return Interval(LOWEST, exactly.high)
        case ">":
            return Interval(exactly.high, HIGHEST)
        case ">=":
            return Interval(exactly.low, HIGHEST)
    return exactly


def range_interval(value: dict[str, Any]) -> Interval:
    """A Range holds its ends; without one it is open."""
    low, high = (value.get(end, {}).get("value") for end in ("low", "high"))
    return Interval(
        LOWEST if low is None else point(number(low)).low, HIGHEST if high is None else point(number(high)).high
    )


# Dates


def date_interval(text: str) -> Interval:
    """From the first moment of a date, of whatever precision, to before the moment after; UTC where no zone is told.

    https://hl7.org/fhir/R4/search.html#date
    """
    told = _DATE.fullmatch(text)
    if told is None:
        raise ValueError(text)
    year, month, day = int(told["year"]), int(told["month"] or 1), int(told["day"] or 1)
    start = datetime(year, month, day, int(told["hour"] or 0), int(told["minute"] or 0), tzinfo=_zone(told["zone"]))
    low = seconds(start) + Decimal(f"{told['second'] or 0}.{told['fraction'] or 0}")
    if told["fraction"]:
        wide = Decimal((0, (1,), -len(told["fraction"])))
    elif told["second"]:
        wide = Decimal(1)
    elif told["minute"]:
        wide = Decimal(60)
    elif told["day"]:
        wide = Decimal(86400)
    elif told["month"]:
        wide = seconds(datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC)) - low
    else:
        wide = seconds(datetime(year + 1, 1, 1, tzinfo=UTC)) - low
    return Interval((low, 0), (low + wide, 0))


def seconds(moment: datetime) -> Decimal:
    """Whole seconds since 1970."""
    return Decimal((moment - _EPOCH) // timedelta(seconds=1))


def _zone(text: str | None) -> timezone:
    if text in (None, "Z"):
        return UTC
    hours, minutes = int(text[1:3]), int(text[4:6])
    return timezone((-1 if text[0] == "-" else 1) * timedelta(hours=hours, minutes=minutes))


def instant_interval(text: str) -> Interval:
    """An instant is a point, with whatever precision it is written."""
    written = date_interval(text)
    return point(written.low[0]) if INSTANTS_ARE_POINTS else written


def period_interval(value: dict[str, Any]) -> Interval:
    """A Period holds the whole of both its ends; without one it is open."""
    start, end = value.get("start"), value.get("end")
    return Interval(
        LOWEST if start is None else date_interval(start).low, HIGHEST if end is None else date_interval(end).high
    )


def timing_interval(value: dict[str, Any]) -> Interval | None:
    """Of a Timing only the outer limits matter: its events, and the bounds of its repetition."""
    found = [date_interval(one) for one in value.get("event", ())]
    if bounds := value.get("repeat", {}).get("boundsPeriod"):
        found.append(period_interval(bounds))
    if not found:
        return None
    return Interval(min(one.low for one in found), max(one.high for one in found))

"""Dates and times as the span they cover, and what is some time before or after one.

http://hl7.org/fhirpath/N1/#comparison · http://hl7.org/fhirpath/N1/#datetime-arithmetic

A partial date covers its whole year, month or day. Of two moments one is earlier where its span ends before the
other's begins; where the spans meet and are not the same, nobody can tell. Seconds and their fractions are one
precision. A date is read in UTC; a time without a zone may be in any, beside one that has a zone.
"""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

from fhir_server.fhir.date import Interval, interval

SECOND: Final = 1_000_000
"""Microseconds; a span as short as this is exact."""
_HOUR: Final = 3_600 * SECOND
_FARTHEST: Final = 14 * _HOUR
"""From UTC."""
_TIME: Final = re.compile(r"([0-9]{2})(?::([0-9]{2})(?::([0-9]{2})(?:\.([0-9]+))?)?)?")
_HOUR_ALONE: Final = re.compile(r"([0-9-]{10}T[0-9]{2})(Z|[+-][0-9]{2}:[0-9]{2})?")
_PARTS: Final = re.compile(
    r"(?P<year>[0-9]{4})(?:-(?P<month>[0-9]{2})(?:-(?P<day>[0-9]{2})(?:T(?P<hour>[0-9]{2})(?::(?P<minute>[0-9]{2})"
    r"(?::(?P<second>[0-9]{2})(?P<fraction>\.[0-9]+)?)?)?)?)?)?(?P<zone>Z|[+-][0-9]{2}:[0-9]{2})?"
)
_ORDER: Final = ("year", "month", "day", "hour", "minute", "second")
_LONGEST: Final = 40
_LAST_YEAR: Final = 9999
_SECONDS: Final = {"week": 604_800, "day": 86_400, "hour": 3_600, "minute": 60, "second": 1}
_MOST_TIME: Final = Decimal(10_000 * 366 * 86_400)
"""Seconds from the first to the last date; a longer time leads out of the calendar."""


def covered(text: str, *, is_time: bool = False) -> Interval | None:
    """The span, in microseconds; of a time of day since midnight. Nothing where it is none of the calendar's."""
    if len(text) > _LONGEST:
        return None
    if is_time:
        return _of_day(text)
    if (hour := _HOUR_ALONE.fullmatch(text)) is not None:
        begins = interval(f"{hour[1]}:00{hour[2] or ''}")
        return None if begins is None else Interval(begins.low, begins.low + _HOUR)
    return interval(text)


def _of_day(text: str) -> Interval | None:
    match = _TIME.fullmatch(text)
    if match is None:
        return None
    hour, minute, second = int(match[1]), int(match[2] or 0), int(match[3] or 0)
    if hour > 23 or minute > 59 or second > 60:  # noqa: PLR2004 - what a clock shows, with a leap second
        return None
    low = ((hour * 60 + minute) * 60 + second) * SECOND
    if match[2] is None:
        return Interval(low, low + _HOUR)
    if match[3] is None:
        return Interval(low, low + 60 * SECOND)
    digits = (match[4] or "")[:6]
    low += int(digits.ljust(6, "0")) if digits else 0
    return Interval(low, low + 10 ** (6 - len(digits)))


def compared(one: str, other: str, *, is_time: bool = False) -> int | None:
    """Below, at or above zero as the first is earlier, the same or later; nothing where nobody can tell.

    A text that is no moment is compared with none.
    """
    if len(one) == len(other) == 10 and not is_time and one[4] == other[4] == "-":  # noqa: PLR2004 - two whole days
        return (one > other) - (one < other)
    left, right = covered(one, is_time=is_time), covered(other, is_time=is_time)
    if left is None or right is None:
        return None
    if not is_time and "T" in one and "T" in other and has_zone(one) is not has_zone(other):
        left, right = (left, _anywhere(right)) if has_zone(one) else (_anywhere(left), right)
    if left.high - left.low <= SECOND and right.high - right.low <= SECOND:
        return (left.low > right.low) - (left.low < right.low)
    if left == right:
        return 0
    if left.high <= right.low:
        return -1
    return 1 if right.high <= left.low else None


def has_zone(text: str) -> bool:
    """Whether a date and time tells its zone."""
    return text.endswith("Z") or text[-6:-5] in ("+", "-")


def _anywhere(span: Interval) -> Interval:
    """A time on some clock of the world."""
    return Interval(span.low - _FARTHEST, span.high + _FARTHEST)


def later(text: str, amount: int | Decimal, unit: str) -> str | None:
    """A date, or date and time, so much later, with the precision it has; nothing beyond the calendar.

    What is finer than the date counts as far as it makes whole units of its precision.
    """
    match = _PARTS.fullmatch(text)
    if match is None or covered(text) is None or abs(Decimal(amount)) > _MOST_TIME * 1_000:
        return None
    precision = next(name for name in reversed(_ORDER) if match[name] is not None)
    if unit in ("year", "month"):
        months = int(amount) * (12 if unit == "year" else 1)
        return _months_later(match, precision, months)
    if unit == "millisecond":
        seconds = Decimal(amount) / 1_000
    else:
        seconds = Decimal(amount if unit == "second" else int(amount)) * _SECONDS[unit]
    if precision in ("year", "month"):
        days = int(seconds / _SECONDS["day"])
        return _months_later(match, precision, 12 * int(days / 365) if precision == "year" else int(days / 30))
    return _seconds_later(match, precision, seconds)


def _months_later(match: re.Match[str], precision: str, months: int) -> str | None:
    year, month = int(match["year"]), int(match["month"] or 1)
    if precision == "year":
        months = 12 * int(months / 12)
    year, month = year + (month - 1 + months) // 12, (month - 1 + months) % 12 + 1
    if not 1 <= year <= _LAST_YEAR:
        return None
    if precision == "year":
        return f"{year:04d}"
    if precision == "month":
        return f"{year:04d}-{month:02d}"
    day = min(int(match["day"]), monthrange(year, month)[1])
    return f"{year:04d}-{month:02d}-{day:02d}{match.string[10:]}"


def _seconds_later(match: re.Match[str], precision: str, seconds: Decimal) -> str | None:
    step = {"day": 86_400, "hour": 3_600, "minute": 60}.get(precision)
    whole = int(seconds / step) * step * SECOND if step else int(seconds * SECOND)
    year, month, day = int(match["year"]), int(match["month"]), int(match["day"])
    begins = datetime(year, month, day, int(match["hour"] or 0), int(match["minute"] or 0), tzinfo=UTC)
    fraction = (match["fraction"] or "")[1:7]
    within = int(match["second"] or 0) * SECOND + (int(fraction.ljust(6, "0")) if fraction else 0)
    try:
        at = begins + timedelta(microseconds=within + whole)
    except OverflowError:
        return None
    told = f"{at.year:04d}-{at:%m-%d}"
    if precision == "day":
        return told
    told += f"T{at:%H}" if precision == "hour" else f"T{at:%H:%M}" if precision == "minute" else f"T{at:%H:%M:%S}"
    if precision == "second" and (fraction or at.microsecond):
        told += f".{at.microsecond // 1000:03d}" if at.microsecond % 1000 == 0 else f".{at.microsecond:06d}"
    return told + (match["zone"] or "")


def time_later(text: str, amount: int | Decimal, unit: str) -> str | None:
    """A time of day so much later, on the clock: it begins again after midnight."""
    moved = later(f"2000-01-01T{text}", amount, unit) if unit in _SECONDS or unit == "millisecond" else None
    return None if moved is None else moved[11:]

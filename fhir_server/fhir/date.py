"""Dates, times and the interval each of them covers.

https://hl7.org/fhir/R4/datatypes.html#dateTime

A partial date covers its whole year, month or day; ``2024-05`` is ``[2024-05-01T00:00Z, 2024-06-01T00:00Z)``. A value
without a zone is read in UTC. Bounds are microseconds since 1970 as integers: exact, ordered, and cheap to index.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo

MIN = -62_135_596_800_000_000
"""0001-01-01, in microseconds: an open beginning."""
MAX = 253_402_300_800_000_000
"""10000-01-01, in microseconds: an open end."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY = _EPOCH.toordinal()
_MICROSECOND = timedelta(microseconds=1)
_DATE_TIME = re.compile(
    r"(?P<year>\d{4})(?:-(?P<month>\d{2})(?:-(?P<day>\d{2})"
    r"(?:T(?P<hour>\d{2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:\.(?P<fraction>\d+))?)?"
    r"(?P<zone>Z|[+-]\d{2}:\d{2})?)?)?)?"
)


@dataclass(frozen=True, slots=True)
class Interval:
    """Half-open ``[low, high)`` in microseconds since 1970, UTC."""

    low: int
    high: int


def interval(text: str) -> Interval | None:
    """The interval a date, dateTime or instant covers; nothing when it is none of the calendar's."""
    match = _DATE_TIME.fullmatch(text)
    if match is None:
        return None
    try:
        return _interval(match)
    except (ValueError, OverflowError):
        return None


def microseconds(moment: datetime) -> int:
    """Microseconds since 1970 of an aware moment."""
    return (moment - _EPOCH) // _MICROSECOND


def moment(microseconds_since_1970: int) -> datetime:
    """The aware moment, the inverse of :func:`microseconds`."""
    return _EPOCH + microseconds_since_1970 * _MICROSECOND


def instant(at: datetime) -> str:
    """A FHIR instant in UTC with milliseconds: ``2026-11-22T09:56:49.123Z``."""
    at = at.astimezone(UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}Z"


def bound(text: str, covered: Interval, zone: tzinfo, *, end: bool) -> int:
    """The start or the end of a right that a date gives; one without a time begins and ends at midnight of `zone`."""
    at = covered.high if end else covered.low
    if "T" in text or at >= MAX:
        return min(at, MAX)
    try:
        return microseconds(datetime.combine(moment(at).date(), time(), zone))
    except OverflowError:
        return MAX if end else MIN


def moment_of(text: object, zone: tzinfo, *, end: bool, unknown: int | None = None) -> int:
    """The start or end of a right told by a date; where there is none, ``unknown``: else open at that end."""
    covered = interval(text) if isinstance(text, str) else None
    if covered is None:
        return unknown if unknown is not None else (MAX if end else MIN)
    return bound(str(text), covered, zone, end=end)


def years_after(at: int, years: int) -> int:
    """The same day and time so many years later; of the 29 February, the 1 March."""
    return months_after(at, 12 * years)


def months_after(at: int, months: int) -> int:
    """The same day and time so many calendar months later; a day that month does not have is the first of the next."""
    began = moment(at)
    year, month = divmod(began.month - 1 + months, 12)
    try:
        return microseconds(began.replace(year=began.year + year, month=month + 1))
    except ValueError:
        pass
    year, month = divmod(began.month + months, 12)
    try:
        return microseconds(began.replace(year=began.year + year, month=month + 1, day=1))
    except ValueError:
        return MAX


def _interval(match: re.Match[str]) -> Interval:
    year, month, day = int(match["year"]), match["month"], match["day"]
    if month is None:
        return Interval(_day(year, 1, 1), MAX if year == 9999 else _day(year + 1, 1, 1))  # noqa: PLR2004 - last year
    if day is None:
        following = (year + int(month) // 12, int(month) % 12 + 1)
        return Interval(_day(year, int(month), 1), MAX if following[0] > 9999 else _day(*following, 1))  # noqa: PLR2004
    if match["hour"] is None:
        start = _day(year, int(month), int(day))
        return Interval(start, start + 86_400_000_000)
    return _time(match, year, int(month), int(day))


def _time(match: re.Match[str], year: int, month: int, day: int) -> Interval:
    hour, minute, second = int(match["hour"]), int(match["minute"]), int(match["second"] or 0)
    leap = second == 60  # noqa: PLR2004 - a leap second is legal in FHIR and unknown to Python
    time(hour, minute, 59 if leap else second)  # refuses what is on no clock
    start = _day(year, month, day) + (hour * 3600 + minute * 60 + second) * 1_000_000 - _offset(match["zone"])
    if match["second"] is None:
        return Interval(start, start + 60_000_000)
    if match["fraction"] is None:
        return Interval(start, start + 1_000_000)
    digits = match["fraction"][:6]
    start += int(digits.ljust(6, "0"))
    return Interval(start, start + 10 ** (6 - len(digits)))


def _day(year: int, month: int, day: int) -> int:
    return (date(year, month, day).toordinal() - _EPOCH_DAY) * 86_400_000_000


def _offset(text: str | None) -> int:
    """Microseconds that a zone is ahead of UTC."""
    if text is None or text == "Z":
        return 0
    hours, minutes = int(text[1:3]), int(text[4:6])
    if minutes > 59 or hours * 60 + minutes > 14 * 60:  # noqa: PLR2004 - bounds of the zone in the standard
        message = "zone out of bounds"
        raise ValueError(message)
    offset = (hours * 60 + minutes) * 60_000_000
    return -offset if text[0] == "-" else offset

"""Dates with each prefix, precision and time zone, by the words and the examples of the standard.

https://hl7.org/fhir/R4/search.html#prefix · #date
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.http.searching import INS_TEST, TAGS, Pair, found, names, pointer, stored, tagged
from tests.served import Served

WORLD = "dates"
TAG = ("_tag", f"{TAGS}|{WORLD}")
PATIENT = pointer("Patient", f"{WORLD}-pat")
NOW = datetime.now(UTC)


def made(type: str, id: str, /, **members: Any) -> dict[str, Any]:
    return tagged(WORLD, type, id, **members)


DATED: dict[str, dict[str, Any]] = {
    "year": {"effectiveDateTime": "2013"},
    "month": {"effectiveDateTime": "2013-01"},
    "day": {"effectiveDateTime": "2013-01-14"},
    "midnight": {"effectiveDateTime": "2013-01-14T00:00:00Z"},
    "ten": {"effectiveDateTime": "2013-01-14T10:00:00Z"},
    "instant": {"effectiveInstant": "2013-01-14T10:00:30.125Z"},
    "next": {"effectiveDateTime": "2013-01-15T00:00:00Z"},
    "montreal": {"effectiveDateTime": "2013-01-14T23:30:00-05:00"},
    "mar14": {"effectiveDateTime": "2013-03-14"},
    "onwards": {"effectivePeriod": {"start": "2013-01-21"}},
    "later": {"effectivePeriod": {"start": "2013-03-15"}},
    "until": {"effectivePeriod": {"end": "2013-01-21"}},
    "june": {"effectiveDateTime": "2015-06-15"},
    "timing": {"effectiveTiming": {"repeat": {"boundsPeriod": {"start": "2016-01-31", "end": "2016-03-24"}}}},
    "events": {"effectiveTiming": {"event": ["2017-05-01", "2017-05-09T08:00:00Z"]}},
}


def world() -> list[dict[str, Any]]:
    return [
        made("Patient", "pat", identifier=[{"system": INS_TEST, "value": "190017505600262"}], birthDate="1982-03-30"),
        *(
            made("Observation", name, subject=PATIENT, **{"effectiveDateTime": None, **when})
            for name, when in DATED.items()
        ),
        made("Observation", "undated", subject=PATIENT, effectiveDateTime=None),
        made("Procedure", "done", subject=PATIENT, performedDateTime=f"{NOW - timedelta(days=100):%Y-%m-%d}"),
    ]


@pytest.fixture(scope="module")
def client(served: Served) -> Iterator[httpx.Client]:
    client = served.as_("conformance")
    with stored(client, world()):
        yield client


def asked(client: httpx.Client, type: str, *pairs: Pair) -> set[str]:
    """What is found in this world."""
    return set(names(found(client, type, TAG, *pairs, ("_count", "1000")), WORLD))


DAY_14 = {"day", "midnight", "ten", "instant"}
JANUARY = {*DAY_14, "month", "next", "montreal"}
EVERY = set(DATED)

DATES: list[tuple[str, set[str]]] = [
    # the examples of the standard
    ("2013-01-14", DAY_14),
    ("eq2013-01-14", DAY_14),
    ("ne2013-01-14", EVERY - DAY_14),
    ("lt2013-01-14T10:00", {"year", "month", "day", "midnight", "until"}),
    ("gt2013-01-14T10:00", EVERY - {"midnight", "ten", "instant"} | {"day"}),
    ("ge2013-03-14", {"year", "mar14", "onwards", "later", "june", "timing", "events"}),
    ("le2013-03-14", EVERY - {"later", "june", "timing", "events"}),
    ("sa2013-03-14", {"later", "june", "timing", "events"}),
    ("eb2013-03-14", {*JANUARY, "until"}),
    # every precision
    ("2013", {*JANUARY, "year", "mar14"}),
    ("2013-01", JANUARY),
    ("2013-01-14T10:00", {"ten", "instant"}),
    ("2013-01-14T10:00Z", {"ten", "instant"}),
    ("2013-01-14T10:00:00Z", {"ten"}),
    ("2013-01-14T10:00:30Z", {"instant"}),
    ("2013-01-14T10:00:30.125Z", {"instant"}),
    ("2013-01-14T10:00:30.126Z", set()),
    # time zones: a moment is a moment, and what has no zone is in UTC
    ("2013-01-14T05:00:00-05:00", {"ten"}),
    ("2013-01-14T11:00:00+01:00", {"ten"}),
    ("2013-01-14T10:00:00", {"ten"}),
    ("2013-01-15", {"next", "montreal"}),
    ("2013-01-15T04:30:00Z", {"montreal"}),
    ("2013-01-15T05:30:00+01:00", {"montreal"}),
    # periods and timings: outer limits alone count, what is not given is open
    ("2016-02-01", set()),
    ("2016", {"timing"}),
    ("2017-05", {"events"}),
    ("ge2016-03-23", {"onwards", "later", "timing", "events"}),
    ("ge2016-03-24", {"onwards", "later", "events"}),  # the day does not contain what began before it
    ("gt2016-03-24", {"onwards", "later", "events"}),
    ("sa2016-03-24", {"events"}),
    ("eb2017", EVERY - {"onwards", "later", "events"}),
    ("lt2000", {"until"}),
    ("le1999-12", {"until"}),
    ("gt2050", {"onwards", "later"}),
    ("ge2050-01", {"onwards", "later"}),
    # or, and a value twice
    ("2013-01-15,2015-06-15", {"next", "montreal", "june"}),
]


@pytest.mark.parametrize(("value", "expected"), DATES)
def test_a_date_is_an_interval_and_compared_by_the_words_of_its_prefix(
    client: httpx.Client, value: str, expected: set[str]
) -> None:
    assert asked(client, "Observation", ("date", value)) == expected


def test_the_example_of_two_years(client: httpx.Client) -> None:
    pairs = [("date", "ge2013-03-01"), ("date", "le2015-12-31")]
    assert asked(client, "Observation", *pairs) == {"year", "mar14", "onwards", "later", "june"}


def test_about_a_date_is_what_overlaps_it_widened(client: httpx.Client) -> None:
    """The example of the standard: to somebody in the 2020s, 2015 is not near March 2013."""
    assert asked(client, "Observation", ("date", "ap2013-03-14")) == EVERY - {"june", "timing", "events"}


@pytest.mark.parametrize(("days", "is_found"), [(100, True), (109, True), (92, True), (120, False), (85, False)])
def test_about_a_date_is_a_tenth_of_the_time_since_then(client: httpx.Client, days: int, is_found: bool) -> None:
    """What was done 100 days ago, asked for about so many days ago."""
    value = f"ap{NOW - timedelta(days=days):%Y-%m-%d}"
    assert asked(client, "Procedure", ("date", value)) == ({"done"} if is_found else set())


def test_a_colon_of_a_time_may_be_escaped_or_not(client: httpx.Client) -> None:
    for query in ("date=2013-01-14T10:00:00Z", "date=2013-01-14T10%3A00%3A00Z", "date=2013-01-14T10%3a00:00Z"):
        answer = client.get(f"Observation?_tag={TAGS}|{WORLD}&{query}")
        assert names(answer.json(), WORLD) == ["ten"]


def test_a_birth_date_is_found_by_year_month_and_day(client: httpx.Client) -> None:
    for value in ("1982", "1982-03", "1982-03-30", "gt1982-03-29", "lt1982-03-31", "le1982-03-30", "sa1981", "eb1983"):
        assert asked(client, "Patient", ("birthdate", value)) == {"pat"}
    for value in ("1982-04", "1982-03-29", "ne1982-03-30", "gt1982-03-30", "lt1982-03-30", "sa1982", "eb1982"):
        assert asked(client, "Patient", ("birthdate", value)) == set()

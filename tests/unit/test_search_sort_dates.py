"""What the planner of the store takes for granted of the main date of each type."""

from __future__ import annotations

import re

import pytest

from fhir_server.definitions.load import load
from fhir_server.fhir.date import interval
from fhir_server.search.parameter import is_single
from fhir_server.search.sort_dates import POINTS, SORT_DATES
from fhir_server.search.types import date
from tests.searching import OWN, PARAMETERS

_CHOICE = re.compile(r"\.as\(\w+\)|\(|\)| as \w+")


@pytest.mark.parametrize("type", SORT_DATES)
def test_the_main_date_is_one_element(type: str) -> None:
    """Else an entry with two dates could match by one of them and be looked for in the list by the other."""
    defined = {one.code: one for one in OWN if type in one.base}.get(SORT_DATES[type])
    expression = (defined or load().search_parameters[type][SORT_DATES[type]]).expression or ""
    mine = [text for part in expression.split("|") if (text := _CHOICE.sub("", part).strip()).startswith(f"{type}.")]
    assert len(mine) == 1, expression
    assert is_single(mine[0], load())


@pytest.mark.parametrize("type", SORT_DATES)
def test_points_are_the_types_whose_date_has_a_start(type: str) -> None:
    parameter = PARAMETERS.of(type)[SORT_DATES[type]]
    found = {use.code for path in parameter.paths for use in path.uses} & date.TYPES
    assert (type in POINTS) == (found <= {"date", "dateTime", "instant"})
    assert (date.longest(found) is not None) == (type in POINTS)


@pytest.mark.parametrize("text", ["2024", "2023", "2024-02", "2024-12-31", "2024-02-29T10:00", "2024-02-29T10:00:00Z"])
def test_no_date_is_longer_than_the_longest(text: str) -> None:
    found = interval(text)
    assert found is not None
    assert found.high - found.low <= date.LONGEST

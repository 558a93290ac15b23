"""Whether two elements are equal: true, false, or unknown.

http://hl7.org/fhirpath/N1/#equality

Numbers are equal by value (``1.10`` and ``1.1``), dates by the time they cover, all else as it is written. A date and a
text that is no date literal are compared as texts.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Final

from fhir_server.fhir.date import interval

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fhir_server.fhir.json import Json
    from fhir_server.fhirpath.effort import Effort
    from fhir_server.fhirpath.node import Node

_DATES: Final = frozenset({"date", "dateTime", "instant"})
_SECOND: Final = 1_000_000


def equal(left: Sequence[Node], right: Sequence[Node], effort: Effort) -> bool | None:
    """Whether two collections are; unknown where one is empty."""
    if not left or not right:
        return None
    if len(left) != len(right):
        return False
    found: bool | None = True
    for one, other in zip(left, right, strict=True):
        same = equal_nodes(one, other, effort)
        if same is False:
            return False
        found = found if same else None
    return found


def equal_nodes(one: Node, other: Node, effort: Effort) -> bool | None:
    """Whether two elements are."""
    if one.type in _DATES and other.type in _DATES and isinstance(one.value, str) and isinstance(other.value, str):
        return _equal_dates(one.value, other.value)
    return _equal_values(one.value, other.value, effort)


def _equal_dates(one: str, other: str) -> bool | None:
    """Unknown where one covers more than the other and they meet: in 2020 there is a May, and other months."""
    covered, meant = interval(one), interval(other)
    if covered is None or meant is None:
        return one == other
    if covered.high - covered.low <= _SECOND and meant.high - meant.low <= _SECOND:
        return covered.low == meant.low
    if covered == meant:
        return True
    return False if covered.high <= meant.low or meant.high <= covered.low else None


def _equal_values(one: Json, other: Json, effort: Effort) -> bool:
    effort.spend(1)
    match one, other:
        case dict(), dict():
            return one.keys() == other.keys() and all(_equal_values(one[name], other[name], effort) for name in one)
        case list(), list():
            return len(one) == len(other) and all(
                _equal_values(first, second, effort) for first, second in zip(one, other, strict=True)
            )
        case (bool(), _) | (_, bool()):
            return one is other
        case (int() | Decimal(), int() | Decimal()) | (str(), str()):
            return one == other
        case _:
            return one is None and other is None

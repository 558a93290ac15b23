"""number: exact decimals, compared by a prefix. https://hl7.org/fhir/R4/search.html#number

Without a prefix, and with ``ne``, a number stands for all that round to it: ``100`` is ``[99.5, 100.5)``, ``100.00`` is
``[99.995, 100.005)``. With any other prefix it is exactly itself; ``ap`` adds a tenth to either side.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from fhir_server.fhir.json import Json, JsonObject
from fhir_server.search import decimals
from fhir_server.search.predicate import Predicate, any_of
from fhir_server.search.types.ordered import Covered, Relation, Wanted, relation, spans
from fhir_server.search.values import unescape

MODIFIERS: Final = frozenset({"missing"})
PRIMITIVES: Final = frozenset({"decimal", "integer", "positiveInt", "unsignedInt"})
TYPES: Final = PRIMITIVES | {"Range"}
"""The types of element a number is found in."""


def extract(element: Json, type: str) -> Covered | None:
    """The interval an element covers, by :mod:`fhir_server.search.decimals`; of a Range, from its low to its high."""
    if isinstance(element, dict):
        return of_range(element) if type == "Range" else None
    number = as_number(element) if type in PRIMITIVES else None
    return Covered(*decimals.bounds(number)) if number is not None else None


def parse(raw: str) -> Wanted:
    """Read one value, its escapes still in it."""
    prefix, text = relation(unescape(raw), "number")
    return wanted(prefix, text)


def predicate(parameter: str, wanted: Sequence[Wanted]) -> Predicate:
    """Entries with a number that stands so to one of these."""
    return any_of([spans(parameter, one) for one in wanted])


def wanted(prefix: Relation, text: str, unit: str | None = None) -> Wanted:
    """A prefix and the interval of a number as a query writes it."""
    number, half = decimals.read(text)
    match prefix:
        case Relation.EQ | Relation.NE:
            low, high = decimals.precise(number, half)
        case Relation.AP:
            low, high = decimals.around(number)
        case _:
            low, high = decimals.bounds(number)
    return Wanted(prefix, low, high, unit)


def as_number(value: Json) -> Decimal | None:
    """The number a JSON number is."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    number = Decimal(value)
    return number if number.is_finite() else None


def of_range(element: JsonObject) -> Covered | None:
    """From the low to the high of a Range, open where there is none."""
    low, high = _end(element.get("low")), _end(element.get("high"))
    if low is None and high is None:
        return None
    if low is not None and high is not None and high < low:
        low, high = high, low
    return Covered(
        decimals.LOWEST if low is None else decimals.below(low),
        decimals.HIGHEST if high is None else decimals.above(high),
    )


def _end(quantity: Json) -> Decimal | None:
    return as_number(quantity.get("value")) if isinstance(quantity, dict) else None

"""quantity: a number with its unit, compared by a prefix. https://hl7.org/fhir/R4/search.html#quantity

``5.4`` in any unit, ``5.4|http://unitsofmeasure.org|mg``, or ``5.4||mg``, which is the code or the unit as written. The
number is compared as a number is (:mod:`fhir_server.search.types.number`). Units are not converted into each other: the
standard leaves that to the server, and a search for ``g`` does not find ``mg`` here.

A comparator makes a value open at one end: ``<5`` is all below 5. A Range goes from its low to its high, a SampledData
from the least to the greatest of its samples; Money has its currency for a unit.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from fhir_server.fhir.errors import Invalid
from fhir_server.fhir.json import Json, JsonObject
from fhir_server.search import decimals, terms
from fhir_server.search.messages import told
from fhir_server.search.predicate import Predicate, any_of
from fhir_server.search.types import number
from fhir_server.search.types.ordered import Covered, Wanted, relation, spans
from fhir_server.search.values import split, unescape

MODIFIERS: Final = frozenset({"missing"})
QUANTITIES: Final = frozenset({"Quantity", "Age", "Distance", "Duration", "Count", "SimpleQuantity", "MoneyQuantity"})
TYPES: Final = QUANTITIES | {"Money", "Range", "SampledData"}
"""The types of element a quantity is found in."""

_CURRENCIES: Final = "urn:iso:std:iso:4217"


def extract(element: Json, type: str) -> Covered | None:
    """What an element is found by."""
    if not isinstance(element, dict):
        return None
    if type == "Range":
        covered = number.of_range(element)
        units = _units(element.get("low")) or _units(element.get("high"))
        return covered._replace(units=units) if covered is not None else None
    if type == "SampledData":
        return _sampled(element)
    value = number.as_number(element.get("value"))
    if value is None:
        return None
    units = _currency(element) if type == "Money" else _units(element)
    return Covered(*_compared(value, element.get("comparator")), units)


def parse(raw: str) -> Wanted:
    """Read one value, its escapes still in it."""
    parts = [unescape(part) for part in split(raw, "|")]
    prefix, text = relation(parts[0], "quantity")
    match parts[1:]:
        case []:
            return number.wanted(prefix, text)
        case [system, code] if code:
            return number.wanted(prefix, text, f"{terms.system(system)}|{terms.bounded(code)}")
    raise Invalid(told("no-quantity"))


def predicate(parameter: str, wanted: Sequence[Wanted]) -> Predicate:
    """Entries with a quantity that stands so to one of these."""
    return any_of([spans(parameter, one) for one in wanted])


def _compared(value: Decimal, comparator: Json) -> tuple[str, str]:
    low, high = decimals.bounds(value)
    match comparator:
        case "<":
            return decimals.LOWEST, low
        case "<=":
            return decimals.LOWEST, high
        case ">":
            return high, decimals.HIGHEST
        case ">=":
            return low, decimals.HIGHEST
        case _:
            return low, high


def _units(quantity: Json) -> tuple[str, ...]:
    """``system|code``, ``|code``, ``|unit``, each once."""
    if not isinstance(quantity, dict):
        return ()
    system, code, unit = quantity.get("system"), quantity.get("code"), quantity.get("unit")
    found: list[str] = []
    if isinstance(code, str):
        if isinstance(system, str):
            found.append(f"{terms.system(system)}|{terms.bounded(code)}")
        found.append(f"|{terms.bounded(code)}")
    if isinstance(unit, str):
        found.append(f"|{terms.bounded(unit)}")
    return tuple(dict.fromkeys(found))


def _currency(money: JsonObject) -> tuple[str, ...]:
    currency = money.get("currency")
    return (f"{_CURRENCIES}|{currency}", f"|{currency}") if isinstance(currency, str) else ()


def _sampled(element: JsonObject) -> Covered | None:
    """From the least to the greatest sample: ``origin + sample * factor``; ``L`` and ``U`` are past the limits."""
    origin, samples = element.get("origin"), element.get("data")
    start = number.as_number(origin.get("value")) if isinstance(origin, dict) else None
    factor = number.as_number(element.get("factor", 1))
    words = set(samples.split()) if isinstance(samples, str) else set()
    values = [value for word in words if (value := decimals.plain(word)) is not None]
    for limit, word in (("lowerLimit", "L"), ("upperLimit", "U")):
        if word in words and (value := number.as_number(element.get(limit))) is not None:
            values.append(value)
    if start is None or factor is None or not values or not decimals.measurable(start, factor, *values):
        return None
    low, high = sorted(decimals.EXACT.fma(value, factor, start) for value in (min(values), max(values)))
    return Covered(
        decimals.LOWEST if "L" in words else decimals.below(low),
        decimals.HIGHEST if "U" in words else decimals.above(high),
        _units(origin),
    )

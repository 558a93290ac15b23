"""Quantities: their unit, converted where both units are simple ones of UCUM, and what is computed with them.

http://hl7.org/fhirpath/N1/#quantity · https://ucum.org/ucum

Converted are the prefixed base units that laboratory results and prescriptions use, and what ``.``, ``/`` and whole
exponents make of them. Of other units two quantities are compared where the units are written alike; else nobody knows.
A year or a month of the calendar has no fixed length: it is compared with years and months of the calendar alone.
"""

from __future__ import annotations

import re
from decimal import Decimal, localcontext
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, Final, TypeAlias

from fhir_server.fhirpath.system import number

if TYPE_CHECKING:
    from fhir_server.fhir.json import Json, JsonObject

Unit: TypeAlias = tuple[Fraction, tuple[tuple[str, int], ...]]
"""How much of the base units it is, and these with their exponents."""

_PREFIXES: Final = {
    "": 0, "T": 12, "G": 9, "M": 6, "k": 3, "h": 2, "da": 1, "d": -1, "c": -2, "m": -3, "u": -6, "n": -9, "p": -12,
    "f": -15,
}  # fmt: skip
_METRIC: Final[dict[str, Unit]] = {
    "g": (Fraction(1), (("g", 1),)),
    "m": (Fraction(1), (("m", 1),)),
    "s": (Fraction(1), (("s", 1),)),
    "L": (Fraction(1, 1000), (("m", 3),)),
    "l": (Fraction(1, 1000), (("m", 3),)),
    "mol": (Fraction(1), (("mol", 1),)),
    "K": (Fraction(1), (("K", 1),)),
    "Pa": (Fraction(1000), (("g", 1), ("m", -1), ("s", -2))),
    "N": (Fraction(1000), (("g", 1), ("m", 1), ("s", -2))),
    "J": (Fraction(1000), (("g", 1), ("m", 2), ("s", -2))),
    "W": (Fraction(1000), (("g", 1), ("m", 2), ("s", -3))),
    "Hz": (Fraction(1), (("s", -1),)),
    "eq": (Fraction(1), (("eq", 1),)),
    "[iU]": (Fraction(1), (("[iU]", 1),)),
    "[IU]": (Fraction(1), (("[iU]", 1),)),
    "cal": (Fraction(4184), (("g", 1), ("m", 2), ("s", -2))),
}
_OTHERS: Final[dict[str, Unit]] = {
    "1": (Fraction(1), ()),
    "%": (Fraction(1, 100), ()),
    "min": (Fraction(60), (("s", 1),)),
    "h": (Fraction(3600), (("s", 1),)),
    "d": (Fraction(86_400), (("s", 1),)),
    "wk": (Fraction(604_800), (("s", 1),)),
    "mo": (Fraction(2_629_800), (("s", 1),)),
    "a": (Fraction(31_557_600), (("s", 1),)),
    "millisecond": (Fraction(1, 1000), (("s", 1),)),
    "second": (Fraction(1), (("s", 1),)),
    "minute": (Fraction(60), (("s", 1),)),
    "hour": (Fraction(3600), (("s", 1),)),
    "day": (Fraction(86_400), (("s", 1),)),
    "week": (Fraction(604_800), (("s", 1),)),
    "month": (Fraction(1), (("month", 1),)),
    "year": (Fraction(12), (("month", 1),)),
    "t": (Fraction(1_000_000), (("g", 1),)),
    "[lb_av]": (Fraction("453.59237"), (("g", 1),)),
    "[oz_av]": (Fraction("28.349523125"), (("g", 1),)),
    "[in_i]": (Fraction("0.0254"), (("m", 1),)),
    "[ft_i]": (Fraction("0.3048"), (("m", 1),)),
    "mm[Hg]": (Fraction("133322.387415"), (("g", 1), ("m", -1), ("s", -2))),
}
_FACTOR: Final = re.compile(
    r"(?P<sign>[./]?)(?:\{[^{}]*\}"
    r"|(?:(?P<ten>10[*^][+-]?[0-9]{1,2})|(?P<whole>[0-9]{1,9})|(?P<name>%|[A-Za-z\[\]_]+)(?P<power>[+-]?[0-9])?)"
    r"(?:\{[^{}]*\})?)(?=[./]|$)"
)
"""A part of a unit: ``/dL``, ``.m2``, ``10*9``, ``{cells}``."""
_LONGEST: Final = 40
_MOST_DIGITS: Final = 60
_EXACT: Final = 50
"""Digits of what is computed with quantities."""


@lru_cache(maxsize=1_000)
def unit(code: str) -> Unit | None:
    """What a unit means; nothing where it is not among those that are converted."""
    if not code or len(code) > _LONGEST:
        return None
    size, bases, at = Fraction(1), dict[str, int](), 0
    while at < len(code):
        match = _FACTOR.match(code, at)
        factor = None if match is None or (at > 0 and not match["sign"]) else _factor(match)
        if match is None or factor is None:
            return None
        direction = -1 if match["sign"] == "/" else 1
        size *= factor[0] ** direction
        for base, exponent in factor[1]:
            bases[base] = bases.get(base, 0) + direction * exponent
        at = match.end()
    return size, tuple(sorted((base, exponent) for base, exponent in bases.items() if exponent))


def _factor(match: re.Match[str]) -> Unit | None:
    if match["ten"] is not None:
        return Fraction(10) ** int(match["ten"][3:]), ()
    if match["whole"] is not None:
        return (Fraction(int(match["whole"])), ()) if int(match["whole"]) else None
    if match["name"] is None:
        return Fraction(1), ()
    simple = _simple(match["name"])
    if simple is None:
        return None
    power = int(match["power"] or 1)
    return simple[0] ** power, tuple((base, exponent * power) for base, exponent in simple[1])


def _simple(name: str) -> Unit | None:
    """A unit without an exponent, with its prefix."""
    if (known := _OTHERS.get(name)) is not None:
        return known
    for base, (size, exponents) in _METRIC.items():
        power = _PREFIXES.get(name.removesuffix(base)) if name.endswith(base) else None
        if power is not None:
            return size * Fraction(10) ** power, exponents
    return None


def written_unit(value: JsonObject) -> str:
    """The unit of a quantity: its code of UCUM, or what a person reads; a number without any is of the unit 1."""
    for name in ("code", "unit"):
        found = value.get(name)
        if isinstance(found, str) and found:
            return found
    return "1"


def _measured(value: JsonObject) -> tuple[Fraction, tuple[tuple[str, int], ...]] | None:
    """The value in base units."""
    amount, known = fraction(value.get("value")), unit(written_unit(value))
    return None if amount is None or known is None else (amount * known[0], known[1])


def fraction(value: Json) -> Fraction | None:
    """A number exactly; nothing for one with so large an exponent that it would fill the memory."""
    amount = number(value)
    if amount is None:
        return None
    if isinstance(amount, Decimal) and not _is_usual(amount):
        return None
    return Fraction(amount)


def _is_usual(amount: Decimal) -> bool:
    exponent = amount.as_tuple().exponent
    return isinstance(exponent, int) and abs(exponent) <= _MOST_DIGITS and abs(amount.adjusted()) <= _MOST_DIGITS


def compared(one: JsonObject, other: JsonObject) -> int | None:
    """Below, at or above zero; nothing where the units differ and cannot be converted, or a comparator tells less."""
    if "comparator" in one or "comparator" in other:
        return None
    left, right = number(one.get("value")), number(other.get("value"))
    if left is None or right is None:
        return None
    if written_unit(one) == written_unit(other):
        return (left > right) - (left < right)
    measured, limit = _measured(one), _measured(other)
    if measured is None or limit is None or measured[1] != limit[1]:
        return None
    return (measured[0] > limit[0]) - (measured[0] < limit[0])


def equal(one: JsonObject, other: JsonObject) -> bool | None:
    """``=``."""
    if one == other:
        return True
    order = compared(one, other)
    return None if order is None else order == 0


def equivalent(one: JsonObject, other: JsonObject) -> bool:
    """``~``: rounded to the less exact of the two."""
    left, right = number(one.get("value")), number(other.get("value"))
    if left is None or right is None:
        return one == other
    if written_unit(one) == written_unit(other):
        return near(left, right)
    measured, wanted = _measured(one), _measured(other)
    mine, theirs = unit(written_unit(one)), unit(written_unit(other))
    if measured is None or wanted is None or mine is None or theirs is None or measured[1] != wanted[1]:
        return False
    step = max(mine[0] / 10 ** digits_after_point(left), theirs[0] / 10 ** digits_after_point(right))
    return _rounded(measured[0] / step) == _rounded(wanted[0] / step)


def _rounded(value: Fraction) -> int:
    """Half away from zero."""
    return int(value + Fraction(1, 2)) if value >= 0 else -int(-value + Fraction(1, 2))


def near(one: int | Decimal, other: int | Decimal) -> bool:
    """Whether two numbers are the same as far as the less exact one tells."""
    digits = min(digits_after_point(one), digits_after_point(other))
    if one == other:
        return True
    if not (_is_usual(Decimal(one)) and _is_usual(Decimal(other))):
        return False
    with localcontext() as context:
        context.prec = 3 * _MOST_DIGITS
        step = Decimal(1).scaleb(-digits)
        return Decimal(one).quantize(step) == Decimal(other).quantize(step)


def digits_after_point(value: int | Decimal) -> int:
    """After the point."""
    if isinstance(value, int):
        return 0
    exponent = value.as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def key_of(value: JsonObject) -> object:
    """The same for quantities that are equal; nothing where their unit is unknown."""
    measured = _measured(value)
    return None if measured is None or "comparator" in value else ("quantity", measured)


def _decimal(value: Fraction) -> Decimal:
    with localcontext() as context:
        context.prec = _EXACT
        return Decimal(value.numerator) / Decimal(value.denominator)


def added(one: JsonObject, other: JsonObject, sign: int) -> tuple[Decimal, str] | None:
    """The sum in the unit of the first; nothing where the other cannot be converted to it."""
    left, right = fraction(one.get("value")), fraction(other.get("value"))
    if left is None or right is None:
        return None
    code = written_unit(one)
    if code != written_unit(other):
        mine, theirs = unit(code), unit(written_unit(other))
        if mine is None or theirs is None or mine[1] != theirs[1]:
            return None
        right = right * theirs[0] / mine[0]
    return _decimal(left + sign * right), code


def multiplied(one: JsonObject, other: JsonObject, direction: int) -> tuple[Decimal, str] | None:
    """The product, or the quotient, and its unit: the one that is not 1, or both."""
    left, right = fraction(one.get("value")), fraction(other.get("value"))
    if left is None or right is None or (direction < 0 and not right):
        return None
    mine, theirs = written_unit(one), written_unit(other)
    amount = _decimal(left * right if direction > 0 else left / right)
    if theirs == "1":
        return amount, mine
    if direction < 0:
        known, other_known = unit(mine), unit(theirs)
        if known is not None and other_known is not None and known[1] == other_known[1]:
            return _decimal(left * known[0] / (right * other_known[0])), "1"
        return amount, f"{'' if mine == '1' else mine}/{theirs}"
    return amount, theirs if mine == "1" else f"{mine}.{theirs}"

"""Exact decimals as texts in their order: what MongoDB and Python compare alike, whatever the number of digits.

https://hl7.org/fhir/R4/search.html#number

A bound of an interval lies between two numbers: :func:`below` a number, or :func:`above` it. So a number is the
interval ``[below, above)``, as a date is (:mod:`fhir_server.search.types.ordered`), and ``<5`` ends below 5.

==========  =====================================================================================
negative    ``3`` · 99999 less the exponent · each digit's complement · ``~``
zero        ``5!``
positive    ``7`` · the exponent · the digits · ``!``
==========  =====================================================================================

The exponent is that of the first digit, moved by 50,000 to five digits. ``!`` sorts before and ``~`` after every digit,
so a number that ends sorts as if zeros followed. What is above a number has a ``+`` more than what is below it.
"""

from __future__ import annotations

import re
from decimal import ROUND_DOWN, Context, Decimal
from typing import Final

from fhir_server.fhir.errors import Invalid
from fhir_server.search.messages import told

LOWEST: Final = "0"
"""Below every number: an open beginning."""
HIGHEST: Final = "9"
"""Above every number: an open end."""

MOST_DIGITS: Final = 100
"""Digits of a value that are kept; one with more becomes the narrowest interval with so many that holds it."""

EXACT: Final = Context(prec=400, rounding=ROUND_DOWN)
"""Where sums and products of values and precisions are exact."""

_LARGEST: Final = 40_000
_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.(?P<fraction>[0-9]+))?(?:[eE](?P<exponent>[+-]?[0-9]{1,5}))?")
_COMPLEMENT: Final = str.maketrans("0123456789", "9876543210")


def below(number: Decimal) -> str:
    """The bound under which all smaller numbers lie, and above which this one does."""
    return _text(number, _digits(number), toward_zero=number > 0)


def above(number: Decimal) -> str:
    """The bound above which all greater numbers lie, and under which this one does."""
    return _text(number, _digits(number), toward_zero=number < 0) + "+"


def bounds(number: Decimal) -> tuple[str, str]:
    """Below it and above it: of a number that is kept whole, one text and what stands after it."""
    written = _digits(number)
    low = _text(number, written, toward_zero=number > 0)
    return low, f"{low}+" if len(written) <= MOST_DIGITS else above(number)


def read(text: str) -> tuple[Decimal, Decimal]:
    """A number of a query and half the step of its last digit: ``100`` is 100 and 0.5.

    ``1e2`` is 100 and 5, as the standard's own example has it: an exponent without a fraction counts one digit more.
    """
    match = _NUMBER.fullmatch(text) if len(text) <= MOST_DIGITS else None
    number = Decimal(text) if match is not None else None
    if match is None or number is None or not measurable(number):
        raise Invalid(told("no-number", text=text[:80], most=MOST_DIGITS))
    digits, exponent = len(match["fraction"] or ""), int(match["exponent"] or 0)
    if match["exponent"] is not None:
        digits = max(digits, 1)
    return number, Decimal(5).scaleb(exponent - digits - 1, EXACT)


def plain(text: str) -> Decimal | None:
    """The number that a text is, as numbers are written in a resource; nothing for any other text."""
    return Decimal(text) if _NUMBER.fullmatch(text) else None


def measurable(*numbers: Decimal) -> bool:
    """Whether these can be reckoned with: none is beyond what anybody measures."""
    return all(abs(number.adjusted()) <= _LARGEST for number in numbers)


def precise(number: Decimal, half: Decimal) -> tuple[str, str]:
    """The numbers that round to this one: from half a step below it, to without half a step above it."""
    return below(EXACT.subtract(number, half)), below(EXACT.add(number, half))


def around(number: Decimal) -> tuple[str, str]:
    """A tenth of it to either side, for ``ap``."""
    tenth = EXACT.multiply(abs(number), Decimal("0.1"))
    return below(EXACT.subtract(number, tenth)), above(EXACT.add(number, tenth))


def _digits(number: Decimal) -> str:
    """The digits, without the zeros before and after them."""
    return str(number).partition("E")[0].replace(".", "").strip("-0")


def _text(number: Decimal, written: str, *, toward_zero: bool) -> str:
    if not number:
        return "5!"
    exponent, negative = number.adjusted(), number < 0
    if abs(exponent) > _LARGEST:
        # beyond what anybody measures: between zero and the smallest number, or past the greatest
        small = exponent < 0
        return {(False, True): "6", (False, False): "8", (True, True): "4", (True, False): "2"}[negative, small]
    if len(written) > MOST_DIGITS:
        written = written[:MOST_DIGITS]
        if not toward_zero:
            raised = str(int(written) + 1)
            exponent += len(raised) - len(written)
            written = raised.rstrip("0")
    if negative:
        return f"3{99_999 - (exponent + 50_000):05d}{written.translate(_COMPLEMENT)}~"
    return f"7{exponent + 50_000:05d}{written}!"

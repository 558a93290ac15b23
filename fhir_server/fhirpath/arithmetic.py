"""``+ - * / div mod``, and how numbers are written.

http://hl7.org/fhirpath/N1/#math

What divides by zero, has more than 32 bits as an Integer, or leaves the calendar, is no result. Decimals are computed
with 28 digits, as the standard asks at least.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Context, Decimal, DivisionByZero, InvalidOperation, Overflow
from typing import TYPE_CHECKING, Final, TypeAlias

from fhir_server.fhirpath import moments, quantities, system
from fhir_server.fhirpath.grammar import PERIODS
from fhir_server.fhirpath.messages import told
from fhir_server.fhirpath.node import Node
from fhir_server.fhirpath.refused import Misfit
from fhir_server.fhirpath.system import DECIMAL, MOMENTS, NOTHING, NUMBERS, STRING, Sort, a, number, sort_of

if TYPE_CHECKING:
    from fhir_server.fhir.json import Json
    from fhir_server.fhirpath.code import Scope

Computed: TypeAlias = Callable[[Node, Node, "Scope"], list[Node]]

_MATH: Final = Context(prec=28, Emax=999_999, Emin=-999_999, traps=[InvalidOperation, DivisionByZero, Overflow])
_MOST_DIGITS: Final = 100
"""Of a decimal written without an exponent."""

_CALENDAR: Final = {
    "a": "year", "mo": "month", "wk": "week", "d": "day", "h": "hour", "min": "minute", "s": "second",
    "ms": "millisecond",
}  # fmt: skip
"""What a unit of UCUM means where it is added to a date."""
_NOT_DEFINITE: Final = ("a", "mo")
"""In a literal, an average year or month; in an element of FHIR, one of the calendar."""


def decimal(compute: Callable[[Context], Decimal]) -> list[Node]:
    """A decimal as a collection; none where there is no result."""
    context = _MATH.copy()
    try:
        found = compute(context)
    except (InvalidOperation, DivisionByZero, Overflow):
        return NOTHING
    return [Node(found, DECIMAL)] if found.is_finite() else NOTHING


def whole(compute: Callable[[], int | Decimal]) -> list[Node]:
    """An Integer as a collection; none where it does not fit."""
    found = compute()
    if isinstance(found, Decimal):
        if not found.is_finite() or found.adjusted() > 10:  # noqa: PLR2004 - beyond 32 bits, and it may be very far
            return NOTHING
        found = int(found)
    return system.integer(found)


def negated(node: Node) -> list[Node]:
    """``-x``."""
    value = node.value
    if (amount := number(value)) is not None:
        return system.integer(-amount) if isinstance(amount, int) else [Node(amount.copy_negate(), DECIMAL)]
    if (
        isinstance(value, dict)
        and sort_of(node) is Sort.QUANTITY
        and (amount := number(value.get("value"))) is not None
    ):
        return [Node({**value, "value": -amount if isinstance(amount, int) else amount.copy_negate()}, node.type)]
    raise Misfit(told("sign-before", found=a(sort_of(node))))


def a_text(node: Node, what: str) -> str:
    """The text of an operand."""
    if not isinstance(node.value, str):
        raise Misfit(told("takes-texts", name=what, found=a(sort_of(node))))
    return node.value


def _add(one: Node, other: Node, scope: Scope) -> list[Node]:
    left, right = sort_of(one), sort_of(other)
    if left is Sort.STRING and right is Sort.STRING:
        first, second = str(one.value), str(other.value)
        scope.room(len(first) + len(second))
        return [Node(first + second, STRING)]
    return _sum(one, other, 1, "+")


def _subtract(one: Node, other: Node, _: Scope) -> list[Node]:
    return _sum(one, other, -1, "-")


def _sum(one: Node, other: Node, sign: int, operator: str) -> list[Node]:
    left, right = sort_of(one), sort_of(other)
    value, addend = one.value, other.value
    if left is Sort.INTEGER and right is Sort.INTEGER and isinstance(value, int) and isinstance(addend, int):
        return system.integer(value + sign * addend)
    if left in NUMBERS and right in NUMBERS:
        first, second = _decimals(one, other)
        return decimal(lambda context: context.add(first, second) if sign > 0 else context.subtract(first, second))
    if isinstance(addend, dict) and right is Sort.QUANTITY:
        if left in MOMENTS or left is Sort.TIME:
            return _moved(one, other, sign, is_time=left is Sort.TIME)
        if left is Sort.QUANTITY and isinstance(value, dict):
            return _quantity(quantities.added(value, addend, sign))
    raise _strange(one, other, operator)


def _moved(one: Node, other: Node, sign: int, *, is_time: bool) -> list[Node]:
    """A date or time and a quantity of time."""
    held = other.value if isinstance(other.value, dict) else {}
    amount, unit = number(held.get("value")), quantities.written_unit(held)
    if other.type != system.QUANTITY or unit not in _NOT_DEFINITE:
        unit = _CALENDAR.get(unit, unit)
    if unit not in PERIODS:
        raise Misfit(told("unit-of-time", unit=unit[:20]))
    if amount is None:
        return NOTHING
    move = moments.time_later if is_time else moments.later
    found = move(str(one.value), sign * amount, unit)
    return NOTHING if found is None else [Node(found, one.type)]


def _multiply(one: Node, other: Node, _: Scope) -> list[Node]:
    if sort_of(one) is Sort.INTEGER and sort_of(other) is Sort.INTEGER:
        return system.integer(_int(one) * _int(other))
    if (pair := _as_quantities(one, other)) is not None:
        return _quantity(quantities.multiplied(*pair, 1))
    first, second = _numbers(one, other, "*")
    return decimal(lambda context: context.multiply(first, second))


def _divide(one: Node, other: Node, _: Scope) -> list[Node]:
    if (pair := _as_quantities(one, other)) is not None:
        return _quantity(quantities.multiplied(*pair, -1))
    first, second = _numbers(one, other, "/")
    return decimal(lambda context: context.divide(first, second))


def _div(one: Node, other: Node, _: Scope) -> list[Node]:
    first, second = _numbers(one, other, "div")
    found = decimal(lambda context: context.divide_int(first, second))
    return whole(lambda: _decimal(found[0].value)) if found else NOTHING


def _mod(one: Node, other: Node, _: Scope) -> list[Node]:
    first, second = _numbers(one, other, "mod")
    found = decimal(lambda context: context.remainder(first, second))
    if found and sort_of(one) is Sort.INTEGER and sort_of(other) is Sort.INTEGER:
        return whole(lambda: _decimal(found[0].value))
    return found


def _as_quantities(one: Node, other: Node) -> tuple[dict[str, Json], dict[str, Json]] | None:
    """Where one of them is a quantity, and the other one too or a number."""
    left, right = sort_of(one), sort_of(other)
    if Sort.QUANTITY not in (left, right) or not {left, right} <= {Sort.QUANTITY, *NUMBERS}:
        return None
    return _as_quantity(one), _as_quantity(other)


def _as_quantity(node: Node) -> dict[str, Json]:
    return node.value if isinstance(node.value, dict) else {"value": node.value, "code": "1"}


def _quantity(found: tuple[Decimal, str] | None) -> list[Node]:
    return NOTHING if found is None else [system.quantity(*found)]


def _numbers(one: Node, other: Node, operator: str) -> tuple[Decimal, Decimal]:
    if sort_of(one) not in NUMBERS or sort_of(other) not in NUMBERS:
        raise _strange(one, other, operator)
    return _decimals(one, other)


def _decimals(one: Node, other: Node) -> tuple[Decimal, Decimal]:
    return _decimal(one.value), _decimal(other.value)


def _decimal(value: Json) -> Decimal:
    return Decimal(number(value) or 0)


def _int(node: Node) -> int:
    return node.value if isinstance(node.value, int) else 0


def _strange(one: Node, other: Node, operator: str) -> Misfit:
    return Misfit(told("not-together", operator=operator, one=a(sort_of(one)), other=a(sort_of(other))))


OPERATORS: Final[Mapping[str, Computed]] = {
    "+": _add,
    "-": _subtract,
    "*": _multiply,
    "/": _divide,
    "div": _div,
    "mod": _mod,
}


def written(value: int | Decimal) -> str:
    """A number as a text, without an exponent."""
    if isinstance(value, int):
        return str(value)
    text = getattr(value, "text", None) or str(value)
    if "e" not in text.lower() or abs(value.adjusted()) > _MOST_DIGITS:
        return str(text)
    return f"{value:f}"

"""Mathematics of one number.

http://hl7.org/fhirpath/N1/#math
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_FLOOR, ROUND_HALF_UP, Context, Decimal
from typing import TYPE_CHECKING, Final

from fhir_server.fhirpath.arithmetic import decimal, whole
from fhir_server.fhirpath.code import Code, Scope, collection
from fhir_server.fhirpath.functions.function import Function, of_one, whole_of
from fhir_server.fhirpath.messages import told
from fhir_server.fhirpath.node import Node
from fhir_server.fhirpath.quantities import digits_after_point
from fhir_server.fhirpath.refused import Misfit
from fhir_server.fhirpath.system import DECIMAL, NOTHING, NUMBERS, QUANTITY, Sort, a, integer, number, single, sort_of

if TYPE_CHECKING:
    from fhir_server.fhirpath.compiler import Compiler
    from fhir_server.fhirpath.tree import Tree

_MOST_PLACES: Final = 28
"""After the point, as many as are computed."""
_MOST_ADJUSTED: Final = 100


def _number(node: Node, name: str) -> int | Decimal:
    amount = number(node.value) if sort_of(node) in NUMBERS else None
    if amount is None:
        raise Misfit(told("takes-a-number", name=name, found=a(sort_of(node))))
    return amount


def _abs(node: Node, _: Scope) -> list[Node]:
    if sort_of(node) is Sort.QUANTITY and isinstance(node.value, dict):
        amount = number(node.value.get("value"))
        return NOTHING if amount is None else [Node({**node.value, "value": abs(amount)}, QUANTITY)]
    amount = _number(node, "abs")
    return integer(abs(amount)) if isinstance(amount, int) else [Node(amount.copy_abs(), DECIMAL)]


def _rounded(name: str, rounding: str) -> Function:
    """To a whole number."""

    def compute(node: Node, _: Scope) -> list[Node]:
        amount = _number(node, name)
        if isinstance(amount, int):
            return integer(amount)
        if abs(amount.adjusted()) > _MOST_ADJUSTED:
            return NOTHING if amount.adjusted() > 0 else whole(lambda: amount.to_integral_value(rounding))
        return whole(lambda: amount.to_integral_value(rounding))

    return of_one(name, compute)


def _computed(name: str, compute: Callable[[Decimal, Context], Decimal]) -> Function:
    """A decimal of a number."""
    return of_one(
        name,
        lambda node, _: _result(Decimal(_number(node, name)), compute),
        (DECIMAL,),
    )


def _result(amount: Decimal, compute: Callable[[Decimal, Context], Decimal]) -> list[Node]:
    return decimal(lambda context: compute(context.plus(amount), context))


def _with_argument(name: str, compute: Callable[[Node, Node], list[Node]]) -> Function:
    """A number of two."""

    def make(compiler: Compiler, of: Code, arguments: tuple[Tree, ...]) -> Code:
        before, argument, called = of.run, compiler.code(arguments[0]).run, f"{name}()"

        def run(this: Node, scope: Scope) -> list[Node]:
            node, other = (
                single(before(this, scope), "takes", called),
                single(argument(this, scope), "takes", called),
            )
            return NOTHING if node is None or other is None else compute(node, other)

        return collection(run, (), of.weight + 1)

    return Function(make, 1, 1)


def _log(node: Node, base: Node) -> list[Node]:
    amount, of = Decimal(_number(node, "log")), Decimal(_number(base, "log"))
    return decimal(lambda context: context.divide(context.ln(context.plus(amount)), context.ln(context.plus(of))))


def _power(node: Node, exponent: Node) -> list[Node]:
    amount, to = _number(node, "power"), _number(exponent, "power")
    found = decimal(lambda context: context.power(context.plus(Decimal(amount)), context.plus(Decimal(to))))
    if found and isinstance(amount, int) and isinstance(to, int) and to >= 0:
        return whole(lambda: Decimal(number(found[0].value) or 0))
    return found


def _round(compiler: Compiler, of: Code, arguments: tuple[Tree, ...]) -> Code:
    """Half away from zero, to so many places after the point; none if nothing else is said."""
    before = of.run
    places = compiler.code(arguments[0]).run if arguments else None

    def run(this: Node, scope: Scope) -> list[Node]:
        node = single(before(this, scope), "takes", "round()")
        digits = single(places(this, scope), "takes", "round()") if places is not None else Node(0, "")
        if node is None or digits is None:
            return NOTHING
        amount, to = Decimal(_number(node, "round")), whole_of(digits, "round")
        if to < 0:
            raise Misfit(told("no-negative-places"))
        if digits_after_point(amount) <= to:
            return [Node(amount, DECIMAL)]
        step = Decimal(1).scaleb(-min(to, _MOST_PLACES))
        return decimal(lambda context: amount.quantize(step, ROUND_HALF_UP, context))

    return collection(run, (DECIMAL,), of.weight + 1)


FUNCTIONS: Final[Mapping[str, Function]] = {
    "abs": of_one("abs", _abs),
    "ceiling": _rounded("ceiling", ROUND_CEILING),
    "floor": _rounded("floor", ROUND_FLOOR),
    "truncate": _rounded("truncate", ROUND_DOWN),
    "exp": _computed("exp", lambda amount, context: context.exp(amount)),
    "ln": _computed("ln", lambda amount, context: context.ln(amount)),
    "sqrt": _computed("sqrt", lambda amount, context: context.sqrt(amount)),
    "log": _with_argument("log", _log),
    "power": _with_argument("power", _power),
    "round": Function(_round, 0, 1),
}

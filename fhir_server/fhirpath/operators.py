"""The operators, as closures.

http://hl7.org/fhirpath/N1/#operations
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from fhir_server.fhirpath import arithmetic, system
from fhir_server.fhirpath.code import Code, Run, Scope, Truth, collection, constant, question
from fhir_server.fhirpath.messages import told
from fhir_server.fhirpath.node import Node
from fhir_server.fhirpath.refused import Misfit
from fhir_server.fhirpath.sameness import distinct, equal, equivalent, key_of, order_of
from fhir_server.fhirpath.system import Sort, several, single, sort_of

TypeTest: TypeAlias = Callable[[Node], bool]

_ORDERS: Final[dict[str, Callable[[int], bool]]] = {
    "<": lambda order: order < 0,
    ">": lambda order: order > 0,
    "<=": lambda order: order <= 0,
    ">=": lambda order: order >= 0,
}


def operation(operator: str, operands: Sequence[Code]) -> Code:  # noqa: C901 - one case for each operator
    """What an operator makes of its operands."""
    weight = 1 + sum(operand.weight for operand in operands)
    match operator:
        case "and":
            return question(_all([operand.truth for operand in operands]), weight)
        case "or":
            return question(_any([operand.truth for operand in operands]), weight)
        case "|":
            return _union([operand.run for operand in operands], _types(operands), weight)
        case "&":
            return collection(_joined_texts([operand.run for operand in operands]), (system.STRING,), weight)
    left, right = operands
    match operator:
        case "xor":
            return question(_xor(left.truth, right.truth), weight)
        case "implies":
            return question(_implies(left.truth, right.truth), weight)
        case "=" | "!=":
            return question(_equality(left, right, wanted=operator == "="), weight)
        case "~" | "!~":
            return question(_equivalence(left.run, right.run, wanted=operator == "~"), weight)
        case "<" | ">" | "<=" | ">=":
            return question(_comparison(left.run, right.run, operator), weight)
        case "in":
            return question(_membership(left.run, right.run, "in"), weight)
        case "contains":
            return question(_membership(right.run, left.run, "contains"), weight)
        case _:
            return collection(_computed(left.run, right.run, operator), (), weight)


def _types(operands: Sequence[Code]) -> tuple[str, ...]:
    """Those of all of them; unknown where one is, but for what is always empty."""
    found: dict[str, None] = {}
    for operand in operands:
        if not operand.types:
            return ()
        found |= dict.fromkeys(operand.types)
    return tuple(found)


def _all(conditions: Sequence[Truth]) -> Truth:
    """``and``: false where one is false, else unknown where one is unknown."""

    def asked(this: Node, scope: Scope) -> bool | None:
        found: bool | None = True
        for condition in conditions:
            holds = condition(this, scope)
            if holds is False:
                return False
            if holds is None:
                found = None
        return found

    return asked


def _any(conditions: Sequence[Truth]) -> Truth:
    """``or``: true where one is true, else unknown where one is unknown."""

    def asked(this: Node, scope: Scope) -> bool | None:
        found: bool | None = False
        for condition in conditions:
            holds = condition(this, scope)
            if holds:
                return True
            if holds is None:
                found = None
        return found

    return asked


def _xor(left: Truth, right: Truth) -> Truth:
    def asked(this: Node, scope: Scope) -> bool | None:
        one, other = left(this, scope), right(this, scope)
        return None if one is None or other is None else one is not other

    return asked


def _implies(left: Truth, right: Truth) -> Truth:
    """``implies``: true where the left is false or the right is true, else unknown where one is unknown."""

    def asked(this: Node, scope: Scope) -> bool | None:
        condition = left(this, scope)
        if condition is False:
            return True
        consequence = right(this, scope)
        if condition:
            return consequence
        return True if consequence else None

    return asked


def _equality(left: Code, right: Code, *, wanted: bool) -> Truth:
    one, other = left.run, right.run
    literal = right.literal.value if right.literal is not None and right.literal.type == system.STRING else None

    def asked(this: Node, scope: Scope) -> bool | None:
        same = equal(one(this, scope), other(this, scope), scope.effort)
        return None if same is None else same is wanted

    def is_text(this: Node, scope: Scope) -> bool | None:
        """The usual condition. A text is compared as it is written with whatever is written in JSON as a text."""
        nodes = one(this, scope)
        if len(nodes) == 1 and (value := nodes[0].value).__class__ is str:
            return (value == literal) is wanted
        return asked(this, scope)

    return asked if literal is None else is_text


def _equivalence(left: Run, right: Run, *, wanted: bool) -> Truth:
    return lambda this, scope: equivalent(left(this, scope), right(this, scope), scope.effort) is wanted


def _comparison(left: Run, right: Run, operator: str) -> Truth:
    test = _ORDERS[operator]

    def asked(this: Node, scope: Scope) -> bool | None:
        one = single(left(this, scope), "compares", operator)
        other = single(right(this, scope), "compares", operator)
        if one is None or other is None:
            return None
        order = order_of(one, other, operator)
        return None if order is None else test(order)

    return asked


def _membership(item: Run, among: Run, operator: str) -> Truth:
    def asked(this: Node, scope: Scope) -> bool | None:
        sought = item(this, scope)
        if not sought:
            return None
        if len(sought) > 1:
            raise several(sought, "looks-for", operator)
        nodes = among(this, scope)
        scope.effort.spend(len(nodes))
        wanted = key_of(sought[0], scope.effort)
        return any(key_of(node, scope.effort) == wanted for node in nodes)

    return asked


def _union(parts: Sequence[Run], types: tuple[str, ...], weight: int) -> Code:
    def run(this: Node, scope: Scope) -> list[Node]:
        nodes = [node for part in parts for node in part(this, scope)]
        scope.effort.spend(len(nodes))
        return distinct(nodes, scope.effort)

    def some(this: Node, scope: Scope) -> bool:
        return any(part(this, scope) for part in parts)

    return collection(run, types, weight, some)


def _joined_texts(parts: Sequence[Run]) -> Run:
    """``&``: what is missing is the empty text."""

    def run(this: Node, scope: Scope) -> list[Node]:
        texts: list[str] = []
        for part in parts:
            node = single(part(this, scope), "joins", "&")
            if node is not None:
                texts.append(arithmetic.a_text(node, "&"))
        scope.room(sum(map(len, texts)))
        return system.text("".join(texts))

    return run


def _computed(left: Run, right: Run, operator: str) -> Run:
    compute = arithmetic.OPERATORS[operator]

    def run(this: Node, scope: Scope) -> list[Node]:
        one = single(left(this, scope), "takes", operator)
        other = single(right(this, scope), "takes", operator)
        return system.NOTHING if one is None or other is None else compute(one, other, scope)

    return run


def item(of: Code, at: Code) -> Code:
    """``[n]``; none where there are not so many."""
    before, position = of.run, at.run

    def run(this: Node, scope: Scope) -> list[Node]:
        nodes = before(this, scope)
        index = single(position(this, scope), "index")
        if index is None:
            return system.NOTHING
        if sort_of(index) is not Sort.INTEGER or not isinstance(index.value, int):
            raise Misfit(told("index-is-an-integer", found=system.a(sort_of(index))))
        return nodes[index.value : index.value + 1] if index.value >= 0 else system.NOTHING

    return collection(run, of.types, of.weight + at.weight)


def negative(of: Code) -> Code:
    """``-x``."""
    if of.literal is not None:
        return constant(arithmetic.negated(of.literal))
    before = of.run

    def run(this: Node, scope: Scope) -> list[Node]:
        node = single(before(this, scope), "sign")
        return system.NOTHING if node is None else arithmetic.negated(node)

    return collection(run, of.types, of.weight + 1)


def is_of(of: Code, test: TypeTest) -> Code:
    """``is``."""
    before = of.run

    def asked(this: Node, scope: Scope) -> bool | None:
        nodes = before(this, scope)
        if len(nodes) > 1:
            raise several(nodes, "looks-at", "is")
        return test(nodes[0]) if nodes else None

    return question(asked, of.weight + 1)


def of_type(of: Code, test: TypeTest) -> Code:
    """``as``, ``ofType()``: those of a type. R4 uses ``as`` on several elements, so several are taken."""
    before = of.run

    def run(this: Node, scope: Scope) -> list[Node]:
        nodes = before(this, scope)
        scope.effort.spend(len(nodes))
        return [node for node in nodes if test(node)]

    return collection(run, (), of.weight + 1)

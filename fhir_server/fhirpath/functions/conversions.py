"""What a value becomes as another type, and whether it can; types; and ``iif()``.

http://hl7.org/fhirpath/N1/#conversion · http://hl7.org/fhirpath/N1/#types-and-reflection · #utility-functions
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from fhir_server.fhirpath import moments, operators, quantities, system
from fhir_server.fhirpath.arithmetic import written
from fhir_server.fhirpath.code import THIS, Code, Scope, collection, question
from fhir_server.fhirpath.functions.function import Function, of_collection
from fhir_server.fhirpath.grammar import PERIODS
from fhir_server.fhirpath.node import Node
from fhir_server.fhirpath.quantities import written_unit
from fhir_server.fhirpath.system import (
    BOOLEAN,
    DATE,
    DATE_TIME,
    DECIMAL,
    INTEGER,
    MOMENTS,
    NOTHING,
    QUANTITY,
    STRING,
    TIME,
    Sort,
    integer,
    number,
    several,
    single,
    sort_of,
    text,
    told,
)

if TYPE_CHECKING:
    from fhir_server.fhirpath.compiler import Compiler
    from fhir_server.fhirpath.tree import Tree

_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,18}")
_DECIMAL: Final = re.compile(r"[+-]?[0-9]{1,60}(?:\.[0-9]{1,60})?")
_QUANTITY: Final = re.compile(r"([+-]?[0-9]{1,60}(?:\.[0-9]{1,60})?)\s*(?:'([^']{1,100})'|([a-z]{1,20}))?")
_DATE_TIME: Final = re.compile(
    r"([0-9]{4}(?:-[0-9]{2}(?:-[0-9]{2})?)?)"
    r"(T(?:[0-9]{2}(?::[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,9})?)?)?(?:Z|[+-][0-9]{2}:[0-9]{2})?)?)?"
)
_TRUE: Final = frozenset({"true", "t", "yes", "y", "1", "1.0"})
_FALSE: Final = frozenset({"false", "f", "no", "n", "0", "0.0"})


def _boolean(node: Node) -> list[Node]:
    match sort_of(node):
        case Sort.BOOLEAN:
            return told(node.value is True)
        case Sort.INTEGER | Sort.DECIMAL:
            return told(True if node.value == 1 else False if node.value == 0 else None)
        case Sort.STRING:
            value = str(node.value).lower()
            return told(True if value in _TRUE else False if value in _FALSE else None)
        case _:
            return NOTHING


def _integer(node: Node) -> list[Node]:
    match sort_of(node):
        case Sort.INTEGER if isinstance(node.value, int):
            return integer(node.value)
        case Sort.BOOLEAN:
            return integer(int(node.value is True))
        case Sort.DECIMAL if isinstance(node.value, int):
            return integer(node.value)
        case Sort.STRING if _INTEGER.fullmatch(str(node.value)):
            return integer(int(str(node.value)))
        case _:
            return NOTHING


def _decimal(node: Node) -> list[Node]:
    match sort_of(node):
        case Sort.INTEGER | Sort.DECIMAL:
            return [Node(Decimal(number(node.value) or 0), DECIMAL)]
        case Sort.BOOLEAN:
            return [Node(Decimal(int(node.value is True)), DECIMAL)]
        case Sort.STRING if _DECIMAL.fullmatch(str(node.value)):
            return [Node(Decimal(str(node.value)), DECIMAL)]
        case _:
            return NOTHING


def as_text(node: Node) -> str | None:
    """A value as a text; nothing for an element with elements of its own."""
    value = node.value
    match sort_of(node):
        case Sort.BOOLEAN:
            return "true" if value is True else "false"
        case Sort.INTEGER | Sort.DECIMAL:
            amount = number(value)
            return None if amount is None else written(amount)
        case Sort.QUANTITY if isinstance(value, dict):
            amount, unit = number(value.get("value")), written_unit(value)
            if amount is None:
                return None
            return f"{written(amount)} {unit}" if unit in PERIODS else f"{written(amount)} '{unit}'"
        case Sort.OTHER | Sort.NOTHING:
            return None
        case _:
            return str(value)


def _string(node: Node) -> list[Node]:
    value = as_text(node)
    return NOTHING if value is None else text(value)


def _date(node: Node) -> list[Node]:
    found = _moment(node)
    return NOTHING if found is None else [Node(found.partition("T")[0], DATE)]


def _date_time(node: Node) -> list[Node]:
    found = _moment(node)
    return NOTHING if found is None else [Node(found.removesuffix("T"), DATE_TIME)]


def _moment(node: Node) -> str | None:
    """A date, or a date and time."""
    if sort_of(node) not in (*MOMENTS, Sort.STRING):
        return None
    value = str(node.value)
    if len(value) > 40 or _DATE_TIME.fullmatch(value) is None:  # noqa: PLR2004 - no date is as long
        return None
    return value if moments.covered(value.removesuffix("T")) is not None else None


def _time(node: Node) -> list[Node]:
    if sort_of(node) not in (Sort.TIME, Sort.STRING):
        return NOTHING
    value = str(node.value).removeprefix("T")
    return NOTHING if moments.covered(value, is_time=True) is None else [Node(value, TIME)]


def _quantity(node: Node) -> list[Node]:
    value = node.value
    match sort_of(node):
        case Sort.QUANTITY if isinstance(value, dict):
            amount = number(value.get("value"))
            return NOTHING if amount is None else [system.quantity(amount, written_unit(value))]
        case Sort.INTEGER | Sort.DECIMAL | Sort.BOOLEAN:
            return [system.quantity(Decimal(str(int(value))) if isinstance(value, bool) else number(value) or 0, "1")]
        case Sort.STRING:
            match = _QUANTITY.fullmatch(str(value).strip()) if len(str(value)) <= 256 else None  # noqa: PLR2004
            if match is None:
                return NOTHING
            word = (match[3] or "").removesuffix("s")
            if word and word not in PERIODS:
                return NOTHING
            return [system.quantity(Decimal(match[1]), match[2] or word or "1")]
        case _:
            return NOTHING


def _to(name: str, convert: Callable[[Node], list[Node]], type: str) -> Function:
    def make(compiler: Compiler, of: Code, arguments: tuple[Tree, ...]) -> Code:
        before, unit = of.run, compiler.code(arguments[0]).run if arguments else None
        called = f"{name}()"

        def run(this: Node, scope: Scope) -> list[Node]:
            node = single(before(this, scope), "takes", called)
            if node is None:
                return NOTHING
            found = convert(node)
            return found if unit is None else _in_unit(found, single(unit(this, scope), "takes", called))

        return collection(run, (type,), of.weight + 1)

    return Function(make, 0, 1 if type == QUANTITY else 0)


def _converts(name: str, convert: Callable[[Node], list[Node]], type: str) -> Function:
    def make(compiler: Compiler, of: Code, arguments: tuple[Tree, ...]) -> Code:
        before, unit = of.run, compiler.code(arguments[0]).run if arguments else None
        called = f"{name}()"

        def asked(this: Node, scope: Scope) -> bool | None:
            node = single(before(this, scope), "takes", called)
            if node is None:
                return None
            found = convert(node)
            return bool(found if unit is None else _in_unit(found, single(unit(this, scope), "takes", called)))

        return question(asked, of.weight + 1)

    return Function(make, 0, 1 if type == QUANTITY else 0)


def _in_unit(found: list[Node], unit: Node | None) -> list[Node]:
    """A quantity in another unit; none where it cannot be converted."""
    if not found or unit is None or not isinstance(unit.value, str) or not isinstance(found[0].value, dict):
        return NOTHING
    converted = _converted(found[0], unit.value)
    return NOTHING if converted is None else [converted]


def _converted(node: Node, unit: str) -> Node | None:
    held = node.value if isinstance(node.value, dict) else {}
    if written_unit(held) == unit:
        return node
    made = quantities.added({"value": 0, "code": unit}, held, 1)
    return None if made is None else system.quantity(*made)


def _is(compiler: Compiler, of: Code, arguments: tuple[Tree, ...]) -> Code:
    return operators.is_of(of, compiler.type_test(compiler.type_argument(arguments[0])))


def _as(compiler: Compiler, of: Code, arguments: tuple[Tree, ...]) -> Code:
    return compiler.narrowed(of, compiler.type_argument(arguments[0]))


def _types(nodes: list[Node], scope: Scope) -> list[Node]:
    scope.effort.spend(len(nodes))
    found: list[Node] = []
    for node in nodes:
        model, _, name = node.type.rpartition(".") if node.type in system.TYPES else ("FHIR", "", node.type)
        found.append(Node({"namespace": model, "name": name}, ""))
    return found


def _iif(compiler: Compiler, of: Code, arguments: tuple[Tree, ...]) -> Code:
    """One of two; the other one is not looked at. ``$this`` is what it is called on."""
    within = compiler if of.run is THIS.run else compiler.within(of.types)
    condition, consequence, *otherwise = [within.code(argument) for argument in arguments]
    before, holds, then, weight = (
        of.run,
        condition.truth,
        consequence.run,
        sum(c.weight for c in (condition, consequence)),
    )
    other = otherwise[0].run if otherwise else None

    def run(this: Node, scope: Scope) -> list[Node]:
        nodes = before(this, scope)
        if len(nodes) > 1:
            raise several(nodes, "looks-at", "iif()")
        inner = nodes[0] if nodes else this
        if holds(inner, scope):
            return then(inner, scope)
        return other(inner, scope) if other is not None else NOTHING

    return collection(run, (), of.weight + weight + 1)


_CONVERSIONS: Final[Mapping[str, tuple[Callable[[Node], list[Node]], str]]] = {
    "Boolean": (_boolean, BOOLEAN),
    "Integer": (_integer, INTEGER),
    "Decimal": (_decimal, DECIMAL),
    "String": (_string, STRING),
    "Date": (_date, DATE),
    "DateTime": (_date_time, DATE_TIME),
    "Time": (_time, TIME),
    "Quantity": (_quantity, QUANTITY),
}

FUNCTIONS: Final[Mapping[str, Function]] = {
    **{f"to{name}": _to(f"to{name}", convert, type) for name, (convert, type) in _CONVERSIONS.items()},
    **{f"convertsTo{name}": _converts(f"convertsTo{name}", c, type) for name, (c, type) in _CONVERSIONS.items()},
    "is": Function(_is, 1, 1),
    "as": Function(_as, 1, 1),
    "ofType": Function(_as, 1, 1),
    "type": of_collection(_types, keeps_type=False),
    "iif": Function(_iif, 2, 3),
}

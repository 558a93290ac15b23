"""What is in a collection, and which of it.

http://hl7.org/fhirpath/N1/#existence · #filtering-and-projection · #subsetting · #combining
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from fhir_server.fhirpath import places
from fhir_server.fhirpath.code import Code, Run, Scope, collection, question
from fhir_server.fhirpath.functions.function import (
    Function,
    asking,
    of_collection,
    of_two_collections,
    whole_of,
)
from fhir_server.fhirpath.messages import told
from fhir_server.fhirpath.node import Node
from fhir_server.fhirpath.refused import Misfit
from fhir_server.fhirpath.sameness import distinct, key_of, keys_of
from fhir_server.fhirpath.system import INTEGER, NOTHING, integer, several, single
from fhir_server.fhirpath.tree import Tree, mentions

if TYPE_CHECKING:
    from fhir_server.fhirpath.compiler import Compiler


def _filter(compiler: Compiler, of: Code, tree: Tree) -> Code:
    """Those of which the condition is true."""
    condition = compiler.within(of.types).code(tree)
    before, holds, weight = of.run, condition.truth, condition.weight

    def run(this: Node, scope: Scope) -> list[Node]:
        nodes = before(this, scope)
        scope.effort.spend(len(nodes) * weight)
        return [node for node in nodes if holds(node, scope)]

    def some(this: Node, scope: Scope) -> bool:
        nodes = before(this, scope)
        scope.effort.spend(len(nodes) * weight)
        return any(holds(node, scope) for node in nodes)

    def counting(this: Node, scope: Scope) -> list[Node]:
        nodes, outer = before(this, scope), scope.index
        scope.effort.spend(len(nodes) * weight)
        found: list[Node] = []
        for index, node in enumerate(nodes):
            scope.index = index
            if holds(node, scope):
                found.append(node)
        scope.index = outer
        return found

    if mentions(tree, "$index"):
        return collection(counting, of.types, of.weight + 1)
    return collection(run, of.types, of.weight + 1, some)


def _where(compiler: Compiler, of: Code, arguments: tuple[Tree, ...]) -> Code:
    return _filter(compiler, of, arguments[0])


def _exists(compiler: Compiler, of: Code, arguments: tuple[Tree, ...]) -> Code:
    found = _filter(compiler, of, arguments[0]) if arguments else of
    return question(found.some, found.weight)


def _empty(_: Compiler, of: Code, __: tuple[Tree, ...]) -> Code:
    some = of.some
    return question(lambda this, scope: not some(this, scope), of.weight)


def _not(_: Compiler, of: Code, __: tuple[Tree, ...]) -> Code:
    holds = of.truth

    def asked(this: Node, scope: Scope) -> bool | None:
        found = holds(this, scope)
        return None if found is None else not found

    return question(asked, of.weight)


def _all(compiler: Compiler, of: Code, arguments: tuple[Tree, ...]) -> Code:
    """All but those for which the condition is false or unknown are none."""
    condition = compiler.within(of.types).code(arguments[0])
    before, holds, weight = of.run, condition.truth, condition.weight

    def asked(this: Node, scope: Scope) -> bool:
        nodes, outer = before(this, scope), scope.index
        scope.effort.spend(len(nodes) * weight)
        for index, node in enumerate(nodes):
            scope.index = index
            if not holds(node, scope):
                scope.index = outer
                return False
        scope.index = outer
        return True

    return question(asked, of.weight + 1)


def _select(compiler: Compiler, of: Code, arguments: tuple[Tree, ...]) -> Code:
    projection = compiler.within(of.types).code(arguments[0])
    before, after, weight = of.run, projection.run, projection.weight

    def run(this: Node, scope: Scope) -> list[Node]:
        nodes, outer = before(this, scope), scope.index
        scope.effort.spend(len(nodes) * weight)
        found: list[Node] = []
        for index, node in enumerate(nodes):
            scope.index = index
            found += after(node, scope)
            scope.effort.spend(len(found) >> 10)
        scope.index = outer
        return found

    return collection(run, projection.types, of.weight + 1)


def _repeat(compiler: Compiler, of: Code, arguments: tuple[Tree, ...]) -> Code:
    """What the projection gives, and what it gives of that, as long as there is something new."""
    projection = compiler.within(()).code(arguments[0])
    before, after, weight = of.run, projection.run, projection.weight

    def run(this: Node, scope: Scope) -> list[Node]:
        found: dict[object, Node] = {}
        nodes = before(this, scope)
        while nodes:
            scope.effort.spend(len(nodes) * weight)
            reached = [child for node in nodes for child in after(node, scope)]
            nodes = []
            for node in reached:
                key = key_of(node, scope.effort)
                if key not in found:
                    found[key] = node
                    nodes.append(node)
        return list(found.values())

    return collection(run, (), of.weight + 1)


def _children(compiler: Compiler, of: Code, _: tuple[Tree, ...]) -> Code:
    return collection(_below(of.run, compiler, deeper=False), (), of.weight + 1)


def _descendants(compiler: Compiler, of: Code, _: tuple[Tree, ...]) -> Code:
    return collection(_below(of.run, compiler, deeper=True), (), of.weight + 1)


def _below(before: Run, compiler: Compiler, *, deeper: bool) -> Run:
    step = places.children(compiler.model)

    def run(this: Node, scope: Scope) -> list[Node]:
        nodes = before(this, scope)
        found: list[Node] = []
        while nodes:
            nodes = [child for node in nodes for child in step(node)]
            scope.effort.spend(len(nodes))
            found += nodes
            if not deeper:
                break
        return found

    return run


def _aggregate(compiler: Compiler, of: Code, arguments: tuple[Tree, ...]) -> Code:
    """``$total``, computed from one element after the other."""
    step = compiler.within(of.types).code(arguments[0])
    begin = compiler.code(arguments[1]).run if len(arguments) > 1 else None
    before, after, weight = of.run, step.run, step.weight

    def run(this: Node, scope: Scope) -> list[Node]:
        nodes, outer = before(this, scope), (scope.index, scope.total)
        total = begin(this, scope) if begin is not None else NOTHING
        for index, node in enumerate(nodes):
            scope.index, scope.total = index, total
            scope.effort.spend(weight + len(total))
            total = after(node, scope)
        scope.index, scope.total = outer
        return total

    return collection(run, (), of.weight + 1)


def _truths(name: str, ask: Callable[[list[bool]], bool]) -> Function:
    """``allTrue()`` and the like, of Booleans."""

    def answer(nodes: list[Node], scope: Scope) -> bool:
        scope.effort.spend(len(nodes))
        values: list[bool] = []
        for node in nodes:
            if isinstance(node.value, bool):
                values.append(node.value)
            elif node.value is not None:
                raise Misfit(told("booleans-alone", name=name))
        return ask(values)

    return asking(answer)


def _subset(nodes: list[Node], others: list[Node], scope: Scope) -> bool:
    return keys_of(nodes, scope.effort) <= keys_of(others, scope.effort)


def _inclusion(*, of_the_first: bool) -> Function:
    def make(compiler: Compiler, of: Code, arguments: tuple[Tree, ...]) -> Code:
        other = compiler.code(arguments[0])
        less, more = (of.run, other.run) if of_the_first else (other.run, of.run)
        return question(
            lambda this, scope: _subset(less(this, scope), more(this, scope), scope), of.weight + other.weight + 1
        )

    return Function(make, 1, 1)


def _is_distinct(nodes: list[Node], scope: Scope) -> bool:
    return len(nodes) < 2 or len(keys_of(nodes, scope.effort)) == len(nodes)  # noqa: PLR2004 - one is like no other


def _intersect(nodes: list[Node], others: list[Node], scope: Scope) -> list[Node]:
    among = keys_of(others, scope.effort)
    return [node for node in distinct(nodes, scope.effort) if key_of(node, scope.effort) in among]


def _exclude(nodes: list[Node], others: list[Node], scope: Scope) -> list[Node]:
    among = keys_of(others, scope.effort)
    return [node for node in nodes if key_of(node, scope.effort) not in among]


def _combine(nodes: list[Node], others: list[Node], scope: Scope) -> list[Node]:
    scope.effort.spend(len(nodes) + len(others))
    return [*nodes, *others]


def _single(nodes: list[Node], _: Scope) -> list[Node]:
    if len(nodes) > 1:
        raise several(nodes, "expects", "single()")
    return nodes


def _counted(take: Callable[[list[Node], int], list[Node]], name: str) -> Function:
    """``skip()``, ``take()``."""

    def make(compiler: Compiler, of: Code, arguments: tuple[Tree, ...]) -> Code:
        before, number, called = of.run, compiler.code(arguments[0]).run, f"{name}()"

        def run(this: Node, scope: Scope) -> list[Node]:
            node = single(number(this, scope), "takes", called)
            return NOTHING if node is None else take(before(this, scope), max(whole_of(node, name), 0))

        return collection(run, of.types, of.weight + 1)

    return Function(make, 1, 1)


def _count(_: Compiler, of: Code, __: tuple[Tree, ...]) -> Code:
    before = of.run
    return collection(lambda this, scope: integer(len(before(this, scope))), (INTEGER,), of.weight + 1)


def _trace(compiler: Compiler, of: Code, arguments: tuple[Tree, ...]) -> Code:
    """What it is called on. Nothing is printed: a resource is nobody's log."""
    compiler.code(arguments[0])
    if len(arguments) > 1:
        compiler.within(of.types).code(arguments[1])
    return of


FUNCTIONS: Final[Mapping[str, Function]] = {
    "empty": Function(_empty),
    "exists": Function(_exists, 0, 1),
    "not": Function(_not),
    "all": Function(_all, 1, 1),
    "allTrue": _truths("allTrue", all),
    "anyTrue": _truths("anyTrue", any),
    "allFalse": _truths("allFalse", lambda values: not any(values)),
    "anyFalse": _truths("anyFalse", lambda values: not all(values)),
    "subsetOf": _inclusion(of_the_first=True),
    "supersetOf": _inclusion(of_the_first=False),
    "count": Function(_count),
    "distinct": of_collection(lambda nodes, scope: distinct(nodes, scope.effort)),
    "isDistinct": asking(_is_distinct),
    "where": Function(_where, 1, 1),
    "select": Function(_select, 1, 1),
    "repeat": Function(_repeat, 1, 1),
    "single": of_collection(_single),
    "first": of_collection(lambda nodes, _: nodes[:1]),
    "last": of_collection(lambda nodes, _: nodes[-1:]),
    "tail": of_collection(lambda nodes, _: nodes[1:]),
    "skip": _counted(lambda nodes, number: nodes[number:], "skip"),
    "take": _counted(lambda nodes, number: nodes[:number], "take"),
    "intersect": of_two_collections(_intersect),
    "exclude": of_two_collections(_exclude),
    "union": of_two_collections(lambda nodes, others, scope: distinct([*nodes, *others], scope.effort)),
    "combine": of_two_collections(_combine),
    "children": Function(_children),
    "descendants": Function(_descendants),
    "aggregate": Function(_aggregate, 1, 2),
    "trace": Function(_trace, 1, 2),
}

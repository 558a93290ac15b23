"""The shape of a function, and how those that are alike are made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from fhir_server.fhirpath.code import Code, Scope, collection, question
from fhir_server.fhirpath.messages import told
from fhir_server.fhirpath.node import Node
from fhir_server.fhirpath.refused import Misfit
from fhir_server.fhirpath.system import NOTHING, Sort, a, single, sort_of

if TYPE_CHECKING:
    from fhir_server.fhirpath.compiler import Compiler
    from fhir_server.fhirpath.tree import Tree

Make: TypeAlias = "Callable[[Compiler, Code, tuple[Tree, ...]], Code]"
"""Compiles a call: of what, with which arguments."""


@dataclass(frozen=True, slots=True)
class Function:
    """A function, and how many arguments it takes."""

    make: Make
    least: int = 0
    most: int = 0


def of_collection(compute: Callable[[list[Node], Scope], list[Node]], *, keeps_type: bool = True) -> Function:
    """One that makes a collection of a collection."""

    def make(_: Compiler, of: Code, __: tuple[Tree, ...]) -> Code:
        before = of.run
        return collection(
            lambda this, scope: compute(before(this, scope), scope), of.types if keeps_type else (), of.weight + 1
        )

    return Function(make)


def of_two_collections(compute: Callable[[list[Node], list[Node], Scope], list[Node]]) -> Function:
    """One that makes a collection of what it is called on and of its argument."""

    def make(compiler: Compiler, of: Code, arguments: tuple[Tree, ...]) -> Code:
        other = compiler.code(arguments[0])
        before, beside = of.run, other.run
        types = tuple(dict.fromkeys((*of.types, *other.types))) if of.types and other.types else ()
        return collection(
            lambda this, scope: compute(before(this, scope), beside(this, scope), scope),
            types,
            of.weight + other.weight + 1,
        )

    return Function(make, 1, 1)


def asking(ask: Callable[[list[Node], Scope], bool | None]) -> Function:
    """One that answers a question about a collection."""

    def make(_: Compiler, of: Code, __: tuple[Tree, ...]) -> Code:
        before = of.run
        return question(lambda this, scope: ask(before(this, scope), scope), of.weight + 1)

    return Function(make)


def of_one(name: str, compute: Callable[[Node, Scope], list[Node]], types: tuple[str, ...] = ()) -> Function:
    """One that takes one value; of none it gives none."""

    def make(_: Compiler, of: Code, __: tuple[Tree, ...]) -> Code:
        before, called = of.run, f"{name}()"

        def run(this: Node, scope: Scope) -> list[Node]:
            node = single(before(this, scope), "takes", called)
            return NOTHING if node is None else compute(node, scope)

        return collection(run, types, of.weight + 1)

    return Function(make)


def text_of(node: Node, name: str, scope: Scope) -> str:
    """The text a function looks into."""
    if not isinstance(node.value, str):
        raise Misfit(told("takes-a-text", name=name, found=a(sort_of(node))))
    scope.room(len(node.value))
    return node.value


def whole_of(node: Node, name: str) -> int:
    """The whole number that is the argument of a function."""
    if sort_of(node) is not Sort.INTEGER or not isinstance(node.value, int):
        raise Misfit(told("takes-an-integer", name=name, found=a(sort_of(node))))
    return node.value

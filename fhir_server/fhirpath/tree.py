"""An expression of FHIRPath as a tree.

http://hl7.org/fhirpath/N1/#grammar · :mod:`fhir_server.fhirpath.grammar` reads it from a text.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from fhir_server.fhir.json import Json


@dataclass(frozen=True, slots=True)
class Nothing:
    """``{}``, the empty collection."""


@dataclass(frozen=True, slots=True)
class Literal:
    """A value, and the System type it has."""

    value: Json
    type: str


@dataclass(frozen=True, slots=True)
class Variable:
    """``$this``, ``%resource``: with its sign."""

    name: str


@dataclass(frozen=True, slots=True)
class Name:
    """An element by its name, or, at the beginning of a path, a type."""

    of: Tree | None
    name: str


@dataclass(frozen=True, slots=True)
class Call:
    """A function; of what is looked at where nothing stands before it."""

    of: Tree | None
    name: str
    arguments: tuple[Tree, ...]


@dataclass(frozen=True, slots=True)
class Index:
    """``x[0]``."""

    of: Tree
    at: Tree


@dataclass(frozen=True, slots=True)
class Negative:
    """``-x``."""

    of: Tree


@dataclass(frozen=True, slots=True)
class Typed:
    """``x is T``, ``x as T``."""

    of: Tree
    operator: str
    type: str


@dataclass(frozen=True, slots=True)
class Operation:
    """An operator between two, or between several where it is one that joins: ``and``, ``or``, ``|``, ``&``."""

    operator: str
    operands: tuple[Tree, ...]


LOOPS: Final = frozenset({"where", "select", "all", "exists", "repeat", "aggregate", "trace", "iif"})
"""Functions whose arguments are looked up in the elements they are called on."""


def parts(tree: Tree) -> tuple[Tree, ...]:
    """What a tree is made of."""
    match tree:
        case Nothing() | Literal() | Variable():
            return ()
        case Name(of):
            return () if of is None else (of,)
        case Call(of, _, arguments):
            return arguments if of is None else (of, *arguments)
        case Index(of, at):
            return of, at
        case Negative(of) | Typed(of):
            return (of,)
        case Operation(_, operands):
            return operands


def mentions(tree: Tree, variable: str) -> bool:
    """Whether a variable stands in it."""
    return tree == Variable(variable) or any(mentions(part, variable) for part in parts(tree))


def is_fixed(tree: Tree) -> bool:
    """Whether it gives the same for each element of a loop: it begins with a variable of the surroundings."""
    match tree:
        case Variable(name):
            return name.startswith("%")
        case Name(None) | Call(None):
            return False
        case Call(of, name, arguments) if of is not None and name in LOOPS:
            return is_fixed(of) and not any(mentions(argument, "$total") for argument in arguments)
        case _:
            return all(map(is_fixed, parts(tree)))


Tree: TypeAlias = Nothing | Literal | Variable | Name | Call | Index | Negative | Typed | Operation

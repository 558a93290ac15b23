"""An expression of FHIRPath as a tree.

http://hl7.org/fhirpath/N1/#grammar · :mod:`fhir_server.fhirpath.grammar` reads it from a text.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

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


Tree: TypeAlias = Nothing | Literal | Variable | Name | Call | Index | Negative | Typed | Operation

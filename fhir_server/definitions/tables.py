"""The shape of the compiled R4 tables. `load` reads them; everything that varies by resource type asks them.

https://hl7.org/fhir/R4/downloads.html
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

Kind = Literal["resource", "complex-type", "primitive-type", "backbone"]
SearchParameterType = Literal[
    "number", "date", "string", "token", "reference", "composite", "quantity", "uri", "special"
]


@dataclass(frozen=True, slots=True)
class TypeUse:
    """One type an element may have; for references and canonicals, the resource types it may point to (none: any)."""

    code: str
    targets: tuple[str, ...] = ()
    profile: str = ""
    """``SimpleQuantity`` where the standard narrows a Quantity to it; empty otherwise."""


@dataclass(frozen=True, slots=True)
class Binding:
    """A *required* binding and its codes; `codes` is `None` where the value set cannot be enumerated (e.g. mime types).

    ``codes`` holds ``(system, code)`` pairs.
    """

    value_set: str
    codes: frozenset[tuple[str, str]] | None


@dataclass(frozen=True, slots=True)
class Invariant:
    """A constraint of severity error, as the standard words it."""

    key: str
    human: str
    expression: str


@dataclass(frozen=True, slots=True)
class Element:
    """One element of a structure."""

    name: str
    """The JSON name, without ``[x]``: ``birthDate``, ``value``."""
    path: str
    """``Observation.component.value[x]``."""
    min: int
    max: int | None
    """``None`` for ``*``. An element repeats, and is a JSON array, when this is not 1."""
    types: tuple[TypeUse, ...]
    """For a backbone element the one type is the name of its structure: ``Patient.contact``. A content reference
    (``Questionnaire.item.item``) is resolved to the structure it names."""
    choice: bool
    """The JSON name carries the type: ``valueQuantity``."""
    binding: Binding | None
    invariants: tuple[Invariant, ...] = ()
    """The constraints of this use of the type (``org-3`` on ``Organization.telecom``), besides those of the type."""
    summary: bool = False
    """Part of the resource under ``_summary=true``."""
    modifier: bool = False

    def json_name(self, type_code: str) -> str:
        """The JSON name of the element when it has this type."""
        return self.name + type_code[0].upper() + type_code[1:] if self.choice else self.name


@dataclass(frozen=True, slots=True)
class Structure:
    """A resource type, a data type, or a backbone element, with all its elements in order, inherited ones first."""

    name: str
    """``Patient``, ``HumanName``, ``Patient.contact``, ``string``."""
    kind: Kind
    abstract: bool
    elements: tuple[Element, ...]
    invariants: tuple[Invariant, ...]
    parent: str = ""
    """The structure it specialises (``Patient``: ``DomainResource``; ``Patient.contact``: ``BackboneElement``)."""
    pattern: str = ""
    """Of a primitive type, the regular expression its text must match; empty where the standard gives none."""


@dataclass(frozen=True, slots=True)
class SearchParameter:
    """https://hl7.org/fhir/R4/searchparameter.html, what the server uses of it."""

    url: str
    code: str
    type: SearchParameterType
    base: tuple[str, ...]
    expression: str
    targets: tuple[str, ...]
    components: tuple[tuple[str, str], ...]
    """Of a composite: ``(definition url, expression)``."""


@dataclass(frozen=True, slots=True)
class Definitions:
    """All of it."""

    structures: Mapping[str, Structure]
    """By name: resource types, data types, and backbone elements by path."""
    resource_types: tuple[str, ...]
    """The concrete ones, in alphabetical order."""
    search_parameters: Mapping[str, Mapping[str, SearchParameter]]
    """By resource type, then code; those of Resource and DomainResource are under every type."""
    compartments: Mapping[str, Mapping[str, tuple[str, ...]]]
    """By compartment (``Patient``), then resource type: the codes of the search parameters that put one in it.
    ``{def}`` stands for the resource itself."""

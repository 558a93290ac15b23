"""What a path needs to know of the types of R4: their elements by name, and which type is a more special one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final, TypeAlias

from fhir_server.definitions.tables import Element

if TYPE_CHECKING:
    from fhir_server.definitions.tables import Definitions

Member: TypeAlias = tuple[Element, Mapping[str, str]]
"""An element of a type, and its JSON names with the type each tells."""

ANY_RESOURCE: Final = "Resource"
"""The type of an element that holds a resource of any type (``contained``)."""


class Model:
    """The tables, asked by name. An answer is kept: one path may ask the same of all resource types many times."""

    def __init__(self, definitions: Definitions) -> None:
        """Ask these tables."""
        self._structures = definitions.structures
        self._elements: dict[str, dict[str, Element]] = {}
        self._members: dict[tuple[str, str], Member] = {}
        self._among: dict[tuple[tuple[str, ...], str], Mapping[str, Member]] = {}
        self._narrowed: dict[tuple[tuple[str, ...], str], tuple[str, ...]] = {}
        self.resources = frozenset(definitions.resource_types)

    def elements(self, type: str) -> Mapping[str, Element]:
        """The elements of a type by name, a choice without its type."""
        known = self._elements.get(type)
        if known is None:
            known = self._elements[type] = {element.name: element for element in self._structures[type].elements}
        return known

    def member(self, type: str, name: str) -> Member | None:
        """One element of a type; nothing where it has none of this name."""
        known = self._members.get((type, name))
        if known is None and (element := self.elements(type).get(name)) is not None:
            known = element, {element.json_name(use.code): use.code for use in element.types}
            self._members[type, name] = known
        return known

    def json_names(self, type: str) -> Mapping[str, str]:
        """All JSON names of a type, each with the type it tells; none for a type that the tables do not know."""
        if not self.knows(type):
            return {}
        return {
            name: code
            for element in self.elements(type)
            if (member := self.member(type, element)) is not None
            for name, code in member[1].items()
        }

    def is_open(self, type: str) -> bool:
        """Whether elements of the type may have others than it tells: of an abstract type, or an unknown one."""
        return not self.knows(type) or self._structures[type].abstract

    def members(self, types: tuple[str, ...], name: str) -> Mapping[str, Member]:
        """The element of this name in each of the types that has one."""
        known = self._among.get((types, name))
        if known is None:
            found = {type: self.member(type, name) for type in self.possible(types)}
            known = self._among[types, name] = {type: one for type, one in found.items() if one is not None}
        return known

    def narrowed(self, types: tuple[str, ...], general: str) -> tuple[str, ...]:
        """Those of the types that are the other one, or a more special one."""
        known = self._narrowed.get((types, general))
        if known is None:
            known = tuple(type for type in self.possible(types) if self.is_a(type, general))
            self._narrowed[types, general] = known
        return known

    def knows(self, type: str) -> bool:
        """Whether there is such a type."""
        return type in self._structures

    def is_primitive(self, type: str) -> bool:
        """Whether its values are no objects."""
        return self._structures[type].kind == "primitive-type"

    def is_a(self, type: str, general: str) -> bool:
        """Whether the type is the other one, or a more special one."""
        while type != general and type in self._structures:
            type = self._structures[type].parent
        return type == general

    def possible(self, types: Iterable[str]) -> tuple[str, ...]:
        """The types an element may turn out to have; a resource of any type, all of them."""
        found: dict[str, None] = {}
        for type in types:
            found |= dict.fromkeys(sorted(self.resources) if type == ANY_RESOURCE else (type,))
        return tuple(found)

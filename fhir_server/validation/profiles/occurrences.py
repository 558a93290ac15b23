"""Reads the items of an element out of an object: one or an array, a choice under any of its names, ``_`` beside it.

https://hl7.org/fhir/R4/json.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias

from fhir_server.fhirpath.node import side_by_side

if TYPE_CHECKING:
    from fhir_server.definitions.tables import Definitions, Element
    from fhir_server.fhir.json import Json, JsonObject

Item: TypeAlias = "tuple[Json, Json, str, int | None]"
"""The value, what is said about it (of a primitive), its type, and its place in the array if it stands in one."""

Read: TypeAlias = "Callable[[JsonObject], Sequence[Item]]"

_NOTHING: Final[tuple[Item, ...]] = ()


class Reading:
    """How the elements of each type are read; asked for by type and name, answered once."""

    def __init__(self, definitions: Definitions) -> None:
        """Ask these tables."""
        self._structures = definitions.structures
        self._elements: dict[str, dict[str, Element]] = {}
        self._known: dict[tuple[str, str], Read] = {}
        self._members: dict[tuple[str, str], tuple[Element, str]] = {}
        self.resource_types = frozenset(definitions.resource_types)

    def element(self, type: str, name: str) -> Element | None:
        """The element of this name, a choice with or without ``[x]``; nothing where the type has none."""
        known = self._elements.get(type)
        if known is None:
            # of a primitive, what stands beside its value: id and extension
            structure = self._structures.get("Element" if self.is_primitive(type) else type)
            listed = structure.elements if structure is not None else ()
            known = {one.name: one for one in listed}
            if structure is not None:
                self._elements[type] = known
        return known.get(name.removesuffix("[x]"))

    def choice(self, type: str, name: str) -> tuple[Element, str] | None:
        """The choice that ``valueQuantity`` is one of, and the type it tells."""
        structure = self._structures.get(type)
        for element in structure.elements if structure is not None else ():
            if element.choice and name.startswith(element.name):
                for use in element.types:
                    if element.json_name(use.code) == name:
                        return element, use.code
        return None

    def of(self, type: str, name: str) -> Read:
        """How the element is read out of an object of the type; of an element that is none, nothing is."""
        key = type, name
        if key not in self._known:
            element = self.element(type, name)
            self._known[key] = self._read(element) if element is not None else _read_nothing
        return self._known[key]

    def of_any(self, types: Iterable[str], name: str) -> Read:
        """The same, where several types may be meant: by the first that has the element."""
        return next((self.of(type, name) for type in types if self.element(type, name) is not None), _read_nothing)

    def knows(self, type: str) -> bool:
        """Whether there is such a type."""
        return type in self._structures

    def is_primitive(self, type: str) -> bool:
        """Whether its values are no objects."""
        structure = self._structures.get(type)
        return structure is not None and structure.kind == "primitive-type"

    def is_a(self, type: str, general: str) -> bool:
        """Whether the type is the other one, or a more special one."""
        while type != general and (structure := self._structures.get(type)) is not None:
            type = structure.parent
        return type == general

    def member(self, type: str, name: str) -> tuple[Element, str] | None:
        """The element that a JSON name stands for in an object of the type, and the type it tells; also of ``_name``.

        What is no name of FHIR is not kept: a hostile body has as many of them as it likes.
        """
        known = self._members.get((type, name))
        if known is None:
            plain = name.removeprefix("_")
            element = self.element(type, plain) if plain.isidentifier() else None
            known = (element, element.types[0].code) if element is not None and not element.choice else None
            known = known or self.choice(type, plain)
            if known is not None:
                self._members[type, name] = known
        return known

    def _read(self, element: Element) -> Read:
        names = {element.json_name(use.code): use.code for use in element.types}
        if len(names) > 1 or element.choice:
            return _read_choice(names)
        ((name, type),) = names.items()
        if type == "Resource":
            return _read_resources(name, self.resource_types)
        return _read_primitives(name, type) if self.is_primitive(type) else _read_objects(name, type)


def _read_nothing(_: JsonObject) -> Sequence[Item]:
    return _NOTHING


def _read_objects(name: str, type: str) -> Read:
    def read(held: JsonObject) -> Sequence[Item]:
        part = held.get(name)
        if part is None:
            return _NOTHING
        if isinstance(part, list):
            return [(value, None, type, index) for index, value in enumerate(part)]
        return ((part, None, type, None),)

    return read


def _read_resources(name: str, known: frozenset[str]) -> Read:
    def typed(value: Json) -> str:
        told = value.get("resourceType") if isinstance(value, dict) else None
        return told if isinstance(told, str) and told in known else "Resource"

    def read(held: JsonObject) -> Sequence[Item]:
        part = held.get(name)
        if part is None:
            return _NOTHING
        if isinstance(part, list):
            return [(value, None, typed(value), index) for index, value in enumerate(part)]
        return ((part, None, typed(part), None),)

    return read


def _read_primitives(name: str, type: str) -> Read:
    beside = f"_{name}"

    def read(held: JsonObject) -> Sequence[Item]:
        part, about = held.get(name), held.get(beside)
        if part is None and about is None:
            return _NOTHING
        if isinstance(part, list) or isinstance(about, list):
            return [(value, said, type, index) for index, (value, said) in enumerate(side_by_side(part, about))]
        return ((part, about, type, None),)

    return read


def _read_choice(names: Mapping[str, str]) -> Read:
    def read(held: JsonObject) -> Sequence[Item]:
        # an extension's value has fifty possible names, its object three members: walk the members
        found: dict[str, Item] = {}
        for member in held:
            name = member.removeprefix("_")
            if name in names and name not in found:
                found[name] = (held.get(name), held.get(f"_{name}"), names[name], None)
        return tuple(found.values())

    return read

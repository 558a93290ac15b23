"""The elements of a snapshot as a tree, each with what the tables of R4 say of it.

https://hl7.org/fhir/R4/elementdefinition.html#id
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from fhir_server.definitions.bad_profile import BadProfile
from fhir_server.fhir.joining import either
from fhir_server.fhir.messages import Told
from fhir_server.validation.messages import told
from fhir_server.validation.profiles.profile import Snapshot

if TYPE_CHECKING:
    from fhir_server.definitions.tables import Element
    from fhir_server.fhir.json import Json, JsonObject
    from fhir_server.validation.profiles.occurrences import Reading

SYSTEM: Final = "http://hl7.org/fhirpath/System."
"""The types of FHIRPath, as which a snapshot names the values of ids and primitives."""


class Refuse(Protocol):
    """Says what is wrong with the profile, at an element."""

    def __call__(self, path: str, why: Told) -> BadProfile:
        """What is to be raised."""


@dataclass(slots=True, eq=False)
class Part:
    """An element, or a slice of one, with what is beneath it."""

    path: str
    name: str
    slice: str = ""
    definition: JsonObject = field(default_factory=dict)
    children: dict[str, Part] = field(default_factory=dict)
    slices: list[Part] = field(default_factory=list)
    """In their order; the slices of a slice are beneath it."""
    named: dict[str, Part] = field(default_factory=dict)
    """The same by their names."""
    origin: Element | None = None
    """What the tables say; nothing for a resource or a type as such."""
    types: tuple[str, ...] = ()
    """The names of the structures it may be one of."""
    same_as: Part | None = None
    """The element of a base definition that says what is beneath this one (``contentReference``)."""
    general: Part | None = None
    """Of what is beneath a slice: the same element beneath every item, sliced or not."""

    @property
    def beneath(self) -> dict[str, Part]:
        """Its elements by name, wherever they are defined."""
        return self.children if self.same_as is None else self.same_as.children

    @property
    def least(self) -> int:
        """How often it must be there."""
        told = self.definition.get("min")
        return told if isinstance(told, int) else 0

    @property
    def most(self) -> int | None:
        """How often it may be there; nothing where that has no bound."""
        told = self.definition.get("max")
        return int(told[:9]) if isinstance(told, str) and told.isascii() and told.isdigit() else None

    def uses(self) -> Iterator[tuple[str, JsonObject]]:
        """Its types as the profile names them, each with its profiles."""
        listed = self.definition.get("type")
        for one in listed if isinstance(listed, list) else []:
            if isinstance(one, dict) and isinstance(code := one.get("code"), str):
                yield code, one

    def all(self) -> Iterator[Part]:
        """It, and all that is beneath it."""
        yield self
        for one in (*self.slices, *self.children.values()):
            yield from one.all()


def texts(value: Json) -> tuple[str, ...]:
    """The texts of an array of them."""
    return tuple(one for one in value if isinstance(one, str)) if isinstance(value, list) else ()


def tree(snapshot: Snapshot, reading: Reading, refuse: Refuse) -> Part:
    """The root, with everything beneath; raises what ``refuse`` makes where the elements do not fit the tables."""
    root = Part(snapshot.type, snapshot.type, types=(snapshot.type,))
    contents: dict[str, Part] = {}
    for definition in snapshot.elements:
        path = definition.get("path")
        if not isinstance(path, str) or not path:
            raise refuse(snapshot.type, told("element-without-path"))
        part = _place(root, _segments(definition, path), reading, refuse)
        part.definition = definition
        part.types = _types(part, reading)
        if not part.slice:
            contents.setdefault(path, part)
    if snapshot.derivation == "specialization":
        _follow(root, contents)
    for part in list(root.all()):
        for one in part.slices:
            _pair(one, part)
    return root


def _segments(definition: JsonObject, path: str) -> list[tuple[str, str]]:
    """Names with the slice each stands for; without an id, only the last can be a slice."""
    identifier = definition.get("id")
    if isinstance(identifier, str) and identifier.count(".") == path.count("."):
        parts = [one.partition(":") for one in identifier.split(".")]
        segments = [(name, slice) for name, _, slice in parts]
    else:
        segments = [(name, "") for name in path.split(".")]
    told = definition.get("sliceName")
    if isinstance(told, str) and len(segments) > 1:
        segments[-1] = (segments[-1][0], told)
    return segments


def _place(root: Part, segments: Sequence[tuple[str, str]], reading: Reading, refuse: Refuse) -> Part:
    at = root
    for name, slice in segments[1:]:
        at = _child(at, name, reading, refuse)
        if slice:
            at = _slice(at, slice)
    return at


def _child(parent: Part, name: str, reading: Reading, refuse: Refuse) -> Part:
    known = parent.children.get(name) or parent.children.get(f"{name}[x]")
    if known is not None:
        return known
    if name == "value" and all(reading.is_primitive(type) for type in parent.types):
        return parent.children.setdefault(name, Part(f"{parent.path}.value", name, types=parent.types))
    for type in parent.types:
        origin = reading.element(type, name)
        if origin is not None:
            own = f"{origin.name}[x]" if origin.choice else origin.name
            made = Part(f"{parent.path}.{own}", own, origin=origin)
            made.types = tuple(use.code for use in origin.types)
            return parent.children.setdefault(own, made)
        chosen = reading.choice(type, name)
        if chosen is not None:
            # valueQuantity: an older way to write the slice value[x]:valueQuantity
            element, code = chosen
            found = _slice(_child(parent, element.name, reading, refuse), name)
            found.types = (code,)
            return found
    raise refuse(f"{parent.path}.{name}", told("types-have-no-element", types=either(parent.types), name=name))


def _slice(part: Part, name: str) -> Part:
    """The slice of this name, within the one it is a slice of: ``a/b`` within ``a``."""
    known = part.named.get(name)
    if known is not None:
        return known
    whole, mark, _ = name.rpartition("/")
    while mark:
        if whole in part.named:
            return _slice(part.named[whole], name)
        whole, mark, _ = whole.rpartition("/")
    made = Part(part.path, part.name, name, origin=part.origin, types=part.types)
    part.slices.append(made)
    part.named[name] = made
    return made


def _types(part: Part, reading: Reading) -> tuple[str, ...]:
    """A backbone element is the structure of the tables; else the types that the profile leaves."""
    named = tuple(code for code, _ in part.uses() if reading.knows(code))
    if part.origin is None or not named:
        return part.types
    codes = [use.code for use in part.origin.types]
    if "." in codes[0]:
        return tuple(codes)
    return tuple(dict.fromkeys(named))


def _follow(root: Part, contents: dict[str, Part]) -> None:
    """What is defined by another element of a base definition has its elements.

    It never has what a profile asks of that other element: a content reference is to the non-constrained definition.
    https://hl7.org/fhir/R4/elementdefinition-definitions.html#ElementDefinition.contentReference
    """
    for part in list(root.all()):
        told = part.definition.get("contentReference")
        if isinstance(told, str) and not part.children:
            meant = contents.get(told.rpartition("#")[2])
            if meant is not part:
                part.same_as = meant


def _pair(part: Part, general: Part) -> None:
    """What is beneath both of them is asked of the same values."""
    for name, one in part.children.items():
        other = general.children.get(name)
        if other is not None:
            one.general = other
            _pair(one, other)

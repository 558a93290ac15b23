"""A compiled profile, and what it is compiled from and with.

https://hl7.org/fhir/R4/structuredefinition.html
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, TypeAlias

from fhir_server.validation.profiles.found import Found, Founds, Profile, fails

if TYPE_CHECKING:
    from fhir_server.fhir.json import Json, JsonObject
    from fhir_server.validation.profiles.coded import Codes
    from fhir_server.validation.profiles.expressions import Expressions
    from fhir_server.validation.profiles.occurrences import Reading
    from fhir_server.validation.profiles.parts import Part
    from fhir_server.validation.profiles.scope import ItemCheck, Scope


class Snapshot(Protocol):
    """All elements of a StructureDefinition, as a published snapshot has them."""

    @property
    def url(self) -> str:
        """The canonical URL, without a version."""

    @property
    def version(self) -> str:
        """Its version; may be empty."""

    @property
    def type(self) -> str:
        """The type it constrains, or is."""

    @property
    def derivation(self) -> str:
        """``constraint`` of a profile, ``specialization`` of a type."""

    @property
    def base(self) -> str:
        """The canonical URL of what it is derived from."""

    @property
    def elements(self) -> tuple[JsonObject, ...]:
        """Each an ElementDefinition."""


class Definitions(Protocol):
    """The StructureDefinitions known, asked by canonical: ``url`` or ``url|version``."""

    def get(self, canonical: str) -> JsonObject | None:
        """The resource; nothing where it is not known."""

    def snapshot(self, canonical: str) -> Snapshot:
        """Its elements; raises :class:`~fhir_server.definitions.bad_profile.BadProfile`."""


Holds: TypeAlias = "Callable[[Json, Json, str, Scope], bool]"
"""Whether an invariant holds for an item: its value, what is said about it, its type, and where. May raise Refused."""


Selected: TypeAlias = "Callable[[JsonObject, Scope], bool]"
"""Whether a path selects an element: the members of the element, and the resource."""


class Library(Protocol):
    """What a profile is compiled with: the tables, and other profiles."""

    reading: Reading
    codes: Codes
    expressions: Expressions
    definitions: Definitions

    def check(self, url: str) -> ProfileCheck:
        """Another profile; raises BadProfile where it is not known or cannot be used."""

    def type_of(self, canonical: str) -> str:
        """The type that a definition constrains, or is; empty where it is not known."""

    def origin(self, path: str) -> JsonObject:
        """What the base definition of R4 says of an element; nothing where it is not known."""


@dataclass(slots=True, eq=False)
class ProfileCheck:
    """A profile as closures. It is filled after it is made: profiles refer to one another."""

    profile: Profile
    type: str
    tree: Part
    must_support: frozenset[str] = frozenset()
    """The ids of the elements that a system must support. What that means, the guide says; nothing is checked."""
    unchecked: tuple[tuple[str, str], ...] = ()
    """Invariants without an expression, by the id of their element and their key: a person must look."""
    root: ItemCheck | None = None

    def found(self, value: Json, about: Json, type: str, scope: Scope) -> Founds | None:
        """What is wrong, seen from the value; an object is told of once in a run."""
        if self.root is None:
            return None
        if not isinstance(value, dict):
            return self.root(value, about, type, scope)
        key = id(value), id(self)
        if key in scope.run.done:
            return None
        scope.run.done.add(key)
        if value is not scope.resource and isinstance(value.get("resourceType"), str):
            scope = scope.run.scope(value)
        return self.root(value, about, type, scope)

    def elsewhere(self, target: Scope) -> Founds | None:
        """What is wrong with a resource that a reference led to, at its own place."""
        found = self.found(target.resource, None, self.type, target)
        return found and [one if one.settled else settled(one, target.path) for one in found]

    def trial(self, value: Json, about: Json, type: str, scope: Scope) -> Founds | None:
        """The same, whatever was told before; and what is told again later is."""
        run = scope.run
        done, run.done = run.done, set()
        try:
            return self.found(value, about, type, scope)
        finally:
            run.done = done

    def conforms(self, value: Json, scope: Scope, type: str = "") -> bool:
        """Whether there is nothing wrong with it; nothing is told."""
        run, key = scope.run, (id(value), id(self))
        known = run.conforming.get(key) if isinstance(value, dict) else None
        if known is None:
            run.conforming[key] = True  # what refers back to itself conforms if all else does
            try:
                known = not fails(self.trial(value, None, type or self.type, scope))
            finally:
                run.conforming.pop(key)
            if isinstance(value, dict):
                run.conforming[key] = known
        return known


def settled(found: Found, path: str) -> Found:
    """The same, seen from the whole."""
    return replace(found, path=path + found.path, settled=True)

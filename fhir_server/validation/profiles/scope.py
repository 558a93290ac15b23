"""The resource that is looked at, where it stands, and what its references lead to.

https://hl7.org/fhir/R4/references.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from fhir_server.fhir.json import Json, JsonObject
from fhir_server.fhirpath.effort import Effort
from fhir_server.fhirpath.expression import Environment
from fhir_server.validation.profiles.bundled import Bundled
from fhir_server.validation.profiles.found import Founds

_LITERAL: Final = re.compile(r"(?:.*/)?([A-Z][A-Za-z]+)/[A-Za-z0-9\-.]{1,64}(?:/_history/[A-Za-z0-9\-.]{1,64})?")
_CONDITIONAL: Final = re.compile(r"([A-Z][A-Za-z]+)\?\S+")
_DEFINITION: Final = "http://hl7.org/fhir/StructureDefinition/"


@dataclass(slots=True)
class Run:
    """One validation: what it may cost, and what it has looked at."""

    whole: JsonObject
    """The resource sent."""
    effort: Effort
    bundle: Bundled | None = None
    done: set[tuple[int, int]] = field(default_factory=set)
    """Objects, by identity, with the profiles they were checked against: each is told of once, and cycles end."""
    conforming: dict[tuple[int, int], bool] = field(default_factory=dict)
    """The answers of trials."""
    _places: dict[int, Scope] = field(default_factory=dict)
    _is_searched: bool = False

    def scope(self, resource: JsonObject) -> Scope:
        """Where a resource within the whole stands."""
        if not self._places:
            self._note(Scope(self, self.whole, self.whole, ""))
        known = self._places.get(id(resource))
        if known is None and not self._is_searched:
            self._is_searched = True
            self._search()
            known = self._places.get(id(resource))
        return known if known is not None else Scope(self, resource, resource, "")

    def _note(self, scope: Scope) -> None:
        """A resource, what it contains, and the entries of a Bundle: where most resources are."""
        self._places[id(scope.resource)] = scope
        for index, one in enumerate(_objects(scope.resource.get("contained"))):
            if one is not None:
                inside = Scope(self, one, scope.root, f"{scope.path}.contained[{index}]", scope.full_url)
                self._places[id(one)] = inside
        for index, entry in enumerate(_objects(scope.resource.get("entry"))):
            resource = entry.get("resource") if entry is not None else None
            if entry is not None and isinstance(resource, dict):
                told = entry.get("fullUrl")
                full_url = told if isinstance(told, str) else ""
                self._note(Scope(self, resource, resource, f"{scope.path}.entry[{index}].resource", full_url))

    def _search(self) -> None:
        """The others: those of Parameters, of Bundles in Bundles, and what a wrong shape hides."""
        todo: list[tuple[str, Json]] = [("", self.whole)]
        while todo:
            path, part = todo.pop()
            if isinstance(part, list):
                todo += [(f"{path}[{index}]", one) for index, one in enumerate(part) if type(one) is not str]
            elif isinstance(part, dict):
                if isinstance(part.get("resourceType"), str) and id(part) not in self._places:
                    self._note(Scope(self, part, part, path))
                todo += [(f"{path}.{name}", one) for name, one in part.items() if type(one) is not str]


@dataclass(slots=True)
class Scope:
    """The resource whose elements are checked."""

    run: Run
    resource: JsonObject
    root: JsonObject
    """The resource that contains it, or itself."""
    path: str
    """From the whole: ``.contained[0]``, ``.entry[2].resource``; nothing for the whole itself."""
    full_url: str = ""
    environment: Environment | None = None
    """What expressions ask of the resource, made when the first one does."""

    def target(self, reference: str) -> Target | None:
        """The resource referred to, where it is at hand: contained, or in the same Bundle."""
        if reference[:1] == "#":
            return self._contained(reference[1:])
        bundle = self.run.bundle
        found = bundle.find(reference, self.full_url) if bundle is not None else None
        if found is None:
            return None
        inside = self.run.scope(found.resource)
        if inside.resource is found.resource and (inside.path or found.resource is self.run.whole):
            return inside
        return Scope(self.run, found.resource, found.resource, found.path, found.full_url)

    def _contained(self, identifier: str) -> Target | None:
        if not identifier:
            return self.run.scope(self.root)
        for one in _objects(self.root.get("contained")):
            if one is not None and one.get("id") == identifier:
                return self.run.scope(one)
        return None


def _objects(value: Json) -> Iterator[JsonObject | None]:
    """The objects of an array; nothing in the place of what is none."""
    for one in value if isinstance(value, list) else ():
        yield one if isinstance(one, dict) else None


Target: TypeAlias = Scope

ItemCheck: TypeAlias = Callable[[Json, Json, str, Scope], "Founds | None"]
"""Checks one item of an element: the value, what is said about it, its type."""

ObjectCheck: TypeAlias = Callable[[JsonObject, Scope], "Founds | None"]
"""Checks the elements of an object."""


def pointed_type(reference: JsonObject, scope: Scope) -> str | None:
    """The type of the target of a Reference, as far as the reference itself, or its target at hand, tells."""
    literal = reference.get("reference")
    if isinstance(literal, str) and literal:
        target = scope.target(literal)
        if target is not None:
            told = target.resource.get("resourceType")
            return told if isinstance(told, str) else None
        found = _LITERAL.fullmatch(literal) or _CONDITIONAL.fullmatch(literal)
        if found is not None:
            return found[1]
    declared = reference.get("type")
    return declared.removeprefix(_DEFINITION) if isinstance(declared, str) else None


def kind_of(reference: JsonObject, scope: Scope) -> frozenset[str]:
    """How a Reference reaches its target: https://hl7.org/fhir/R4/valueset-resource-aggregation-mode.html"""
    literal = reference.get("reference")
    if not isinstance(literal, str) or not literal:
        return frozenset()
    if literal[0] == "#":
        return frozenset({"contained"})
    return frozenset({"bundled", "referenced"} if scope.target(literal) is not None else {"referenced"})

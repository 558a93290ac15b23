"""The resource that is looked at, where it stands, and what its references lead to.

https://hl7.org/fhir/R4/references.html
"""

from __future__ import annotations

import re
from collections.abc import Callable
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
    done: set[tuple[int, str]] = field(default_factory=set)
    """Objects, by identity, with the profiles they were checked against: each is told of once, and cycles end."""
    conforming: dict[tuple[int, str], bool] = field(default_factory=dict)
    """The answers of trials."""
    _places: dict[int, Scope] = field(default_factory=dict)

    def scope(self, resource: JsonObject) -> Scope:
        """Where a resource within the whole stands."""
        if not self._places:
            self._locate()
        found = self._places.get(id(resource))
        return found if found is not None else Scope(self, resource, resource, "")

    def _locate(self) -> None:
        todo = [Scope(self, self.whole, self.whole, "")]
        while todo:
            scope = todo.pop()
            self._places[id(scope.resource)] = scope
            parts: list[tuple[str, Json]] = [(f".{name}", part) for name, part in scope.resource.items()]
            while parts:
                path, part = parts.pop()
                if isinstance(part, list):
                    parts += [(f"{path}[{index}]", one) for index, one in enumerate(part) if type(one) is not str]
                elif isinstance(part, dict):
                    if isinstance(part.get("resourceType"), str):
                        is_contained = path.startswith(".contained")
                        root = scope.root if is_contained else part
                        todo.append(Scope(self, part, root, scope.path + path, scope.full_url))
                        continue
                    full_url = part.get("fullUrl")
                    resource = part.get("resource")
                    if isinstance(resource, dict) and isinstance(full_url, str):
                        todo.append(Scope(self, resource, resource, f"{scope.path}{path}.resource", full_url))
                    else:
                        parts += [(f"{path}.{name}", one) for name, one in part.items()]


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
        listed = self.root.get("contained")
        for one in listed if isinstance(listed, list) else []:
            if isinstance(one, dict) and one.get("id") == identifier:
                return self.run.scope(one)
        return None


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

"""What a code system holds, and which of its codes are below or above another.

A concept is below the one it is nested in, and below those that a property names: ``parent`` and ``subsumedBy`` from
beneath, ``child`` from above, or any property declared with the URI of one of these. What the hierarchy means
(``hierarchyMeaning``) makes no difference: who nests parts in a whole finds the parts below it.

https://hl7.org/fhir/R4/codesystem.html#hierarchy, https://hl7.org/fhir/R4/codesystem.html#defined-props
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from fhir_server.terminology import resources
from fhir_server.terminology.codes import Concept, NotExpandable, Spelling

_UP: Final = frozenset({"parent", "subsumedBy", "http://hl7.org/fhir/concept-properties#parent"})
_DOWN: Final = frozenset({"child", "http://hl7.org/fhir/concept-properties#child"})
_ENDED: Final = "dateFin"


@dataclass(frozen=True, slots=True)
class Content:
    """One code system, by the key of each code (:meth:`Spelling.coding`)."""

    concepts: Mapping[str, Concept]
    written: Mapping[str, str]
    """How the resource writes each code, those included that it only names as a parent or child."""
    children: Mapping[str, frozenset[str]]
    parents: Mapping[str, frozenset[str]]
    versions: frozenset[str]
    complete: bool
    """Every code of the system is here: no fragment, no example, no codes that are put together by a grammar."""

    def below(self, key: str) -> frozenset[str]:
        """The code itself and what is beneath it, at any depth."""
        return _reached(self.children, key)

    def above(self, key: str) -> frozenset[str]:
        """The code itself and what it is beneath of, at any height."""
        return _reached(self.parents, key)

    def of_version(self, version: str | None) -> bool:
        """Tell whether this is the version asked for, if one is."""
        return version is None or version in self.versions


def content(published: Sequence[resources.CodeSystem], spelling: Spelling) -> Content:
    """The content of one code system from the resources that publish it: one, or one under each of its URLs."""
    concepts: dict[str, Concept] = {}
    written: dict[str, str] = {}
    children: defaultdict[str, set[str]] = defaultdict(set)
    parents: defaultdict[str, set[str]] = defaultdict(set)
    for system in published:
        for concept in every(system.concept):
            key = spelling.coding(system.url, concept.code).code
            concepts.setdefault(key, defined(system.url, concept))
            written.setdefault(key, concept.code)
        for upper, lower in _edges(system):
            above, below = (spelling.coding(system.url, code).code for code in (upper, lower))
            written.setdefault(above, upper)
            written.setdefault(below, lower)
            children[above].add(below)
            parents[below].add(above)
    return Content(
        concepts,
        written,
        {key: frozenset(found) for key, found in children.items()},
        {key: frozenset(found) for key, found in parents.items()},
        frozenset(system.version for system in published if system.version is not None),
        any(system.content == "complete" and not system.compositional for system in published),
    )


def every(concepts: Sequence[resources.Defined]) -> Iterator[resources.Defined]:
    """The concepts and those nested in them."""
    for concept in concepts:
        yield concept
        yield from every(concept.concept)


def defined(system: str, concept: resources.Defined) -> Concept:
    """The concept as the system spells it."""
    ended = next((each.value_date_time for each in concept.property if each.code == _ENDED), None)
    return Concept(system, concept.code, concept.display or concept.code, ended)


def _edges(system: resources.CodeSystem) -> Iterator[tuple[str, str]]:
    """Each code with one right below it."""
    up, down = (_named(system, meant) for meant in (_UP, _DOWN))
    for concept in every(system.concept):
        for nested in concept.concept:
            yield concept.code, nested.code
        for property in concept.property:
            if property.code in up:
                yield _code(system, concept, property), concept.code
            elif property.code in down:
                yield concept.code, _code(system, concept, property)


def _named(system: resources.CodeSystem, meant: frozenset[str]) -> frozenset[str]:
    """The properties of this system that mean this direction, by their name or by the URI they are declared with."""
    return meant | {each.code for each in system.property if each.uri in meant}


def _code(system: resources.CodeSystem, concept: resources.Defined, property: resources.Property) -> str:
    if property.value_code is None:
        raise NotExpandable(
            f"The property {property.code} of {concept.code} in the code system {system.url} must be a valueCode."
        )
    return property.value_code


def _reached(edges: Mapping[str, frozenset[str]], start: str) -> frozenset[str]:
    """What is reached over any number of edges. A circle in the data ends where it began."""
    reached = {start}
    pending = [start]
    while pending:
        new = edges.get(pending.pop(), frozenset()) - reached
        reached |= new
        pending += new
    return frozenset(reached)

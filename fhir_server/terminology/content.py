"""What a code system holds, and which of its codes are below or above another.

A concept is below the one it is nested in, and below those that a property names: ``parent`` and ``subsumedBy`` from
beneath, ``child`` from above, or any property declared with the URI of one of these. What the hierarchy means
(``hierarchyMeaning``) makes no difference: who nests parts in a whole finds the parts below it.

https://hl7.org/fhir/R4/codesystem.html#hierarchy, https://hl7.org/fhir/R4/codesystem.html#defined-props
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from fhir_server.terminology import resources
from fhir_server.terminology.codes import LANGUAGE, Concept, Spelling
from fhir_server.terminology.messages import Missing, NotKnown, told
from fhir_server.terminology.refused import NotExpandable
from fhir_server.terminology.resources import Designation

_OF_CONCEPTS: Final = "http://hl7.org/fhir/concept-properties#"
_UP: Final = frozenset({"parent", "subsumedBy", f"{_OF_CONCEPTS}parent"})
_DOWN: Final = frozenset({"child", f"{_OF_CONCEPTS}child"})
_ENDED: Final = frozenset({"dateFin", "retirementDate", f"{_OF_CONCEPTS}retirementDate"})
_ABSTRACT: Final = frozenset({"notSelectable", "abstract", f"{_OF_CONCEPTS}notSelectable"})
_INACTIVE: Final = frozenset({"inactive", f"{_OF_CONCEPTS}inactive"})
_STATUS: Final = frozenset({"status", f"{_OF_CONCEPTS}status"})
_WITHDRAWN: Final = frozenset({"retired", "inactive", "withdrawn"})
"""Values of the status of a concept that is not to be written any more; `deprecated` still is, though better not."""

_SUPPLEMENT: Final = "supplement"

_ALWAYS: Final = frozenset({"concept", "code", "display", "definition", "parent", "child", "inactive", "status"})
"""Properties that any system may be asked by, be they declared or not."""


@dataclass(frozen=True, slots=True)
class Content:
    """One code system, by the key of each code (:meth:`Spelling.coding`)."""

    url: str
    """As the first resource that publishes it writes it."""
    publications: Mapping[str, tuple[str, str | None]]
    """By URL of each resource that publishes it, what it calls it, and its version."""
    concepts: Mapping[str, Concept]
    written: Mapping[str, str]
    """How the resource writes each code, those included that it only names as a parent or child."""
    children: Mapping[str, frozenset[str]]
    parents: Mapping[str, frozenset[str]]
    complete: bool
    """Every code of the system is here: no fragment, no example, no codes that are put together by a grammar."""
    declared: frozenset[str]
    """The properties and filters that it declares."""
    descriptions: Mapping[str, str]
    """Of the properties."""
    supplement: bool = False
    """It only adds to what another code system defines."""

    def below(self, key: str) -> frozenset[str]:
        """The code itself and what is beneath it, at any depth."""
        return _reached(self.children, key)

    def above(self, key: str) -> frozenset[str]:
        """The code itself and what it is beneath of, at any height."""
        return _reached(self.parents, key)

    def relation(self, one: str, two: str) -> str | None:
        """How one code lies to the other; nothing where what is here of the system does not tell.

        https://hl7.org/fhir/R4/codesystem-operation-subsumes.html
        """
        match two in self.below(one), two in self.above(one):
            case True, True:
                return "equivalent"
            case True, False:
                return "subsumes"
            case False, True:
                return "subsumed-by"
        return "not-subsumed" if self.complete else None

    def find(self, system: str, key: str, version: str | None = None) -> Concept:
        """The concept; raises :class:`NotKnown` with what is missing, under this URL of the system."""
        if self.supplement:
            raise NotKnown(Missing.CONTENT, told("supplement", system=system))
        if not self.of_version(version):
            known = ", ".join(self.versions) or "?"
            raise NotKnown(Missing.VERSION, told("unknown-version", system=system, version=version, known=known))
        if key not in self.concepts:
            code = self.written.get(key, key)
            message = told("unknown-code" if self.complete else "absent-content", system=system, code=code)
            raise NotKnown(Missing.CODE if self.complete else Missing.CONTENT, message)
        return self.concepts[key]

    @property
    def versions(self) -> tuple[str, ...]:
        """Of the resources that publish it."""
        return tuple(dict.fromkeys(version for _, version in self.publications.values() if version is not None))

    def of_version(self, version: str | None) -> bool:
        """Tell whether this is the version asked for, if one is."""
        return version is None or version in self.versions

    def version(self, url: str) -> str | None:
        """The version under this URL; of the first resource, where none is published under it."""
        return self.publications.get(url, self.publications[self.url])[1]

    def name(self, url: str) -> str:
        """What it is called under this URL."""
        return self.publications.get(url, self.publications[self.url])[0]

    def concept(self, key: str, system: str = "") -> Concept:
        """The concept, under this URL of the system; a code that is only named as somebody's child has no display."""
        written = self.written[key]
        found = self.concepts.get(key) or Concept(self.url, written, written)
        return found if not system or found.system == system else replace(found, system=system)


def content(published: Sequence[resources.CodeSystem], spelling: Spelling) -> Content:
    """The content of one code system from the resources that publish it: one, or one under each of its URLs.

    What several say of one code is joined: the display of the first is its display, others are designations. Codes of a
    supplement are those of another system.
    """
    concepts: dict[str, Concept] = {}
    written: dict[str, str] = {}
    children: defaultdict[str, set[str]] = defaultdict(set)
    parents: defaultdict[str, set[str]] = defaultdict(set)
    for system in (each for each in published if each.content != _SUPPLEMENT):
        meaning = _Meaning(system)
        for concept in every(system.concept):
            key = spelling.coding(system.url, concept.code).code
            found = meaning.defined(concept)
            concepts[key] = joined(concepts[key], found) if key in concepts else found
            written.setdefault(key, concept.code)
        for upper, lower in meaning.edges():
            above, below = (spelling.coding(system.url, code).code for code in (upper, lower))
            written.setdefault(above, upper)
            written.setdefault(below, lower)
            children[above].add(below)
            parents[below].add(above)
    return Content(
        published[0].url,
        {each.url: (each.title or each.name or each.url, each.version) for each in published},
        concepts,
        written,
        {key: frozenset(found) for key, found in children.items()},
        {key: frozenset(found) for key, found in parents.items()},
        any(each.content == "complete" and not each.compositional for each in published),
        _ALWAYS
        | {one.code for each in published for one in each.property}
        | {one.code for each in published for one in each.filter},
        {one.code: one.description for each in published for one in each.property if one.description},
        all(each.content == _SUPPLEMENT for each in published),
    )


def must_be_followed(system: resources.CodeSystem) -> None:
    """Raise :class:`NotExpandable` for a system whose hierarchy cannot be followed."""
    for _ in _Meaning(system).edges():
        pass


def every(concepts: Sequence[resources.Defined]) -> Iterator[resources.Defined]:
    """The concepts and those nested in them."""
    for concept in concepts:
        yield concept
        yield from every(concept.concept)


def joined(first: Concept, second: Concept) -> Concept:
    """What two lists say of one concept."""
    named = (*first.designations, Designation(second.display, second.language or None), *second.designations)
    known = {(first.display, first.language or None)}
    others: list[Designation] = []
    for each in named:
        if (each.value, each.language) not in known and each.value != second.code:
            known.add((each.value, each.language))
            others.append(each)
    return replace(
        first,
        ended=first.ended or second.ended,
        withdrawn=first.withdrawn or second.withdrawn,
        abstract=first.abstract or second.abstract,
        definition=first.definition or second.definition,
        designations=tuple(others),
        properties=tuple(dict.fromkeys((*first.properties, *second.properties))),
    )


class _Meaning:
    """What the properties of one code system mean, by their name or by the URI they are declared with."""

    def __init__(self, system: resources.CodeSystem) -> None:
        self._system = system
        self._up, self._down = self._named(_UP), self._named(_DOWN)
        self._ended, self._abstract = self._named(_ENDED), self._named(_ABSTRACT)
        self._inactive, self._status = self._named(_INACTIVE), self._named(_STATUS)

    def _named(self, meant: frozenset[str]) -> frozenset[str]:
        return meant | {each.code for each in self._system.property if each.uri in meant}

    def defined(self, concept: resources.Defined) -> Concept:
        """The concept as the system spells it."""
        ended = withdrawn = abstract = None
        for each in concept.property:
            if each.code in self._ended:
                ended = each.value_date_time
            elif each.code in self._abstract:
                abstract = each.value_boolean
            elif each.code in self._inactive:
                withdrawn = withdrawn or each.value_boolean
            elif each.code in self._status:
                withdrawn = withdrawn or each.text in _WITHDRAWN
        return Concept(
            self._system.url,
            concept.code,
            concept.display or concept.code,
            ended,
            self._system.language or LANGUAGE,
            withdrawn is True,
            abstract is True,
            concept.definition,
            concept.designation,
            concept.property,
        )

    def edges(self) -> Iterator[tuple[str, str]]:
        """Each code with one right below it."""
        for concept in every(self._system.concept):
            for nested in concept.concept:
                yield concept.code, nested.code
            for property in concept.property:
                if property.code in self._up:
                    yield self._code(concept, property), concept.code
                elif property.code in self._down:
                    yield concept.code, self._code(concept, property)

    def _code(self, concept: resources.Defined, property: resources.Property) -> str:
        if property.value_code is None:
            message = told("parent-no-code", property=property.code, code=concept.code, system=self._system.url)
            raise NotExpandable(message)
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

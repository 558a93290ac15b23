"""Which codes there are, what they mean, and which lists hold them.

A code system published under several URLs (`http://loinc.org`, TRE_A04, an OID) is one system here; the resources of
`terminology/NamingSystem` say which. Systems that declare `caseSensitive: false` compare codes without case.

https://hl7.org/fhir/R4/terminology-service.html
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from fhir_server.terminology import resources

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from fhir_server.terminology.resources import TerminologyResource

FOLDER: Final = Path(__file__).resolve().parents[2] / "terminology"
"""`terminology/` next to the package."""

_ENDED: Final = "dateFin"


class UnknownList(LookupError):
    """A value set or concept map that is not among the files: a mistake in our own data, seldom in a request."""


class Coding(NamedTuple):
    """A code within its system."""

    system: str
    code: str


@dataclass(frozen=True, slots=True)
class Concept:
    """One concept, as its list spells it."""

    system: str
    code: str
    display: str
    ended: str | None = None
    """The date from which the code is no longer to be written; it stays readable."""


@dataclass(frozen=True, slots=True)
class Spelling:
    """How systems and codes are made comparable."""

    aliases: Mapping[str, str]
    """Any URL or OID of a system to the one used here."""
    case_insensitive: frozenset[str]

    def system(self, url: str) -> str:
        """The one URL of a code system; an unknown one is itself."""
        return self.aliases.get(url, url)

    def coding(self, system: str, code: str) -> Coding:
        """The key of a code."""
        one = self.aliases.get(system, system)
        return Coding(one, code.casefold() if one in self.case_insensitive else code)


@dataclass(frozen=True, slots=True)
class Terminology:
    """Every list, indexed. A look-up costs one or two dictionary accesses."""

    spelling: Spelling
    concepts: Mapping[Coding, Concept]
    value_sets: Mapping[str, Mapping[Coding, Concept]]
    maps: Mapping[str, Mapping[Coding, Coding]]
    systems: frozenset[str]

    @staticmethod
    def load(folder: Path = FOLDER) -> Terminology:
        """Read every resource of the folder; a file that cannot be honoured stops the start-up."""
        return _index([_read(path) for path in sorted(folder.glob("*/*.json"))])

    def system(self, url: str) -> str:
        """The one URL of a code system; an unknown one is itself."""
        return self.spelling.system(url)

    def known_system(self, url: str) -> bool:
        """Tell whether any list defines codes of this system or takes codes from it."""
        return self.spelling.system(url) in self.systems

    def concept(self, system: str, code: str) -> Concept | None:
        """The concept, whichever list names it."""
        return self.concepts.get(self.spelling.coding(system, code))

    def display(self, system: str, code: str) -> str | None:
        """What the code means, in French."""
        found = self.concept(system, code)
        return found.display if found is not None else None

    def member(self, value_set: str, system: str, code: str) -> bool:
        """Tell whether the value set holds the code."""
        return self.spelling.coding(system, code) in self._value_set(value_set)

    def codes(self, value_set: str) -> Sequence[Concept]:
        """What the value set holds, in its order and with its displays."""
        return tuple(self._value_set(value_set).values())

    def translate(self, concept_map: str, system: str, code: str) -> Coding | None:
        """Where the map leads from this code, or nothing. https://hl7.org/fhir/R4/conceptmap-operation-translate.html"""
        rows = self.maps.get(concept_map.partition("|")[0])
        if rows is None:
            raise UnknownList(f"The concept map {concept_map} is not in the terminology folder.")
        return rows.get(self.spelling.coding(system, code))

    def _value_set(self, url: str) -> Mapping[Coding, Concept]:
        found = self.value_sets.get(url.partition("|")[0])
        if found is None:
            raise UnknownList(f"The value set {url} is not in the terminology folder.")
        return found


def _read(path: Path) -> TerminologyResource:
    try:
        return resources.read(path.read_bytes())
    except msgspec.DecodeError as error:
        message = f"{path}: {error}"
        raise ValueError(message) from None


def _index(found: Sequence[TerminologyResource]) -> Terminology:
    code_systems = [each for each in found if isinstance(each, resources.CodeSystem)]
    naming_systems = [each for each in found if isinstance(each, resources.NamingSystem)]
    spelling = _spelling(naming_systems, code_systems)
    defined = {
        spelling.coding(system.url, concept.code): _defined(system.url, concept)
        for system in code_systems
        for concept in _every(system.concept)
    }
    value_sets = {each.url: _members(each, spelling, defined) for each in found if isinstance(each, resources.ValueSet)}
    listed = {key: concept for members in value_sets.values() for key, concept in members.items()}
    concepts = listed | defined
    maps = {each.url: _rows(each, spelling) for each in found if isinstance(each, resources.ConceptMap)}
    return Terminology(spelling, concepts, value_sets, maps, frozenset(key.system for key in concepts))


def _spelling(naming: Iterable[resources.NamingSystem], code_systems: Sequence[resources.CodeSystem]) -> Spelling:
    """The first URI of a NamingSystem is the one; an OID leads to the system that bears it."""
    aliases: dict[str, str] = {}
    for each in naming:
        one = next(name.value for name in each.unique_id if name.type == "uri")
        for name in each.unique_id:
            aliases[f"urn:oid:{name.value}" if name.type == "oid" else name.value] = one
    for system in code_systems:
        for identifier in system.identifier:
            aliases.setdefault(identifier.value, aliases.get(system.url, system.url))
    insensitive = (aliases.get(each.url, each.url) for each in code_systems if each.case_sensitive is False)
    return Spelling(aliases, frozenset(insensitive))


def _every(concepts: Iterable[resources.Defined]) -> Iterator[resources.Defined]:
    for concept in concepts:
        yield concept
        yield from _every(concept.concept)


def _defined(system: str, concept: resources.Defined) -> Concept:
    ended = next((each.value_date_time for each in concept.property if each.code == _ENDED), None)
    return Concept(system, concept.code, concept.display or concept.code, ended)


def _members(
    value_set: resources.ValueSet, spelling: Spelling, defined: Mapping[Coding, Concept]
) -> Mapping[Coding, Concept]:
    members: dict[Coding, Concept] = {}
    for include in value_set.compose.include:
        for listed in include.concept:
            key = spelling.coding(include.system, listed.code)
            ended = defined[key].ended if key in defined else None
            members[key] = Concept(include.system, listed.code, listed.display or listed.code, ended)
    return members


def _rows(concept_map: resources.ConceptMap, spelling: Spelling) -> Mapping[Coding, Coding]:
    return {
        spelling.coding(group.source, row.code): Coding(group.target, row.target[0].code)
        for group in concept_map.group
        for row in group.element
        if row.target
    }

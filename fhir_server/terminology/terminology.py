"""Which codes there are, what they mean, and which lists hold them.

A code system published under several URLs (`http://loinc.org`, TRE_A04, an OID) is one system here; the resources of
`terminology/NamingSystem` say which. Systems that declare `caseSensitive: false` compare codes without case.

https://hl7.org/fhir/R4/terminology-service.html
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from fhir_server.terminology import resources, stored
from fhir_server.terminology.codes import Codes, Coding, Concept, Lookup, Members, Spelling, nowhere
from fhir_server.terminology.content import Content, content

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from fhir_server.terminology.resources import TerminologyResource

FOLDER: Final = Path(__file__).resolve().parents[2] / "terminology"
"""`terminology/` next to the package."""


class UnknownList(LookupError):
    """A value set or concept map that is not among the files: a mistake in our own data, seldom in a request."""


@dataclass(frozen=True, slots=True)
class Terminology:
    """Every list, indexed. A look-up costs one or two dictionary accesses."""

    spelling: Spelling
    concepts: Mapping[Coding, Concept]
    value_sets: Mapping[str, Mapping[Coding, Concept]]
    versions: Mapping[str, str | None]
    """The version of each value set."""
    maps: Mapping[str, Mapping[Coding, Coding]]
    contents: Mapping[str, Content]
    """What is defined of each system, by its one URL."""
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

    def spellings(self, system: str) -> tuple[str, ...]:
        """Every URL and OID (``urn:oid:…``) under which resources may write the system, the one used here first."""
        return self.spelling.systems(system)

    def below(self, system: str | None, code: str, code_systems: Lookup = nowhere) -> Codes:
        """The code with those that are a kind of it. https://hl7.org/fhir/R4/search.html#modifiers, ``:below``

        Without a system: the code in whatever system, and what is below it in each system of the folder that has it.
        A code or system that nobody defines here is just itself. ``code_systems`` gives stored CodeSystems, for systems
        that the folder has not all of; one that is not understood raises :class:`NotExpandable`.
        """
        return self._related(system, code, code_systems, Content.below)

    def above(self, system: str | None, code: str, code_systems: Lookup = nowhere) -> Codes:
        """The code with those that it is a kind of, as :meth:`below`."""
        return self._related(system, code, code_systems, Content.above)

    def expansion(self, value_set: str) -> Codes | None:
        """The codes of a value set of the folder, ``url`` or ``url|version``; nothing where that is not there."""
        found = self.members(value_set)
        return self.spelled(found) if found is not None else None

    def members(self, value_set: str) -> Members | None:
        """The same, each code once and with its display."""
        url, _, version = value_set.partition("|")
        if url not in self.value_sets or (version and version != self.versions[url]):
            return None
        return Members(self.value_sets[url])

    def spelled(self, members: Members) -> Codes:
        """The set as resources may write it: each name of the systems; a code as the list and as its system have it."""
        return Codes(
            frozenset(
                Coding(name, concept.code)
                for key, listed in members.concepts.items()
                for name in self.spellings(key.system)
                for concept in (listed, self.concepts.get(key, listed))
            ),
            frozenset(name for system in members.systems for name in self.spellings(system)),
        )

    def content(self, system: str, version: str | None = None, code_systems: Lookup = nowhere) -> Content | None:
        """What is known of a code system: from the folder, or as stored where the folder has not all of it."""
        part = None
        for found in self._contents(system, version, code_systems):
            if found.complete:
                return found
            part = part or found
        return part

    def _contents(self, system: str, version: str | None, code_systems: Lookup) -> Iterator[Content]:
        held = self.contents.get(self.system(system))
        if held is not None and held.of_version(version):
            yield held
        for name in dict.fromkeys((system, *self.spellings(system))):
            resource = code_systems(f"{name}|{version}" if version else name)
            if resource is not None:
                found = content([stored.code_system(resource, name)], self.spelling)
                if found.of_version(version):
                    yield found

    def _related(
        self, system: str | None, code: str, code_systems: Lookup, walk: Callable[[Content, str], frozenset[str]]
    ) -> Codes:
        if system is None:
            having = [each for each in self.systems if self.spelling.coding(each, code) in self.concepts]
            related = [self._related(each, code, code_systems, walk) for each in having]
            return Codes(frozenset().union(*(each.codings for each in related)), anywhere=frozenset({code}))
        key = self.spelling.coding(system, code)
        known = self.content(system, code_systems=code_systems)
        codes = {known.written.get(each, code) for each in walk(known, key.code)} if known is not None else set()
        return Codes(frozenset(Coding(name, each) for name in self.spellings(system) for each in codes | {code}))

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
    published: defaultdict[str, list[resources.CodeSystem]] = defaultdict(list)
    for system in code_systems:
        published[spelling.system(system.url)].append(system)
    contents = {one: content(systems, spelling) for one, systems in published.items()}
    known = {Coding(one, key): concept for one, each in contents.items() for key, concept in each.concepts.items()}
    lists = [each for each in found if isinstance(each, resources.ValueSet)]
    value_sets = {each.url: _members(each, spelling, known) for each in lists}
    listed = {key: concept for members in value_sets.values() for key, concept in members.items()}
    concepts = listed | known
    maps = {each.url: _rows(each, spelling) for each in found if isinstance(each, resources.ConceptMap)}
    return Terminology(
        spelling=spelling,
        concepts=concepts,
        value_sets=value_sets,
        versions={each.url: each.version for each in lists},
        maps=maps,
        contents=contents,
        systems=frozenset(key.system for key in concepts),
    )


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
    names: defaultdict[str, list[str]] = defaultdict(list)
    for alias, one in aliases.items():
        names[one].append(alias)
    every_name = {one: tuple(dict.fromkeys((one, *others))) for one, others in names.items()}
    return Spelling(aliases, frozenset(insensitive), every_name)


def _members(
    value_set: resources.ValueSet, spelling: Spelling, known: Mapping[Coding, Concept]
) -> Mapping[Coding, Concept]:
    members: dict[Coding, Concept] = {}
    for include in value_set.compose.include:
        for listed in include.concept:
            key = spelling.coding(include.system, listed.code)
            ended = known[key].ended if key in known else None
            members[key] = Concept(include.system, listed.code, listed.display or listed.code, ended)
    return members


def _rows(concept_map: resources.ConceptMap, spelling: Spelling) -> Mapping[Coding, Coding]:
    return {
        spelling.coding(group.source, row.code): Coding(group.target, row.target[0].code)
        for group in concept_map.group
        for row in group.element
        if row.target
    }

"""Which codes there are, what they mean, and which lists hold them.

A code system published under several URLs (`http://loinc.org`, TRE_A04, an OID) is one system here; the resources of
`terminology/NamingSystem` say which. Systems that declare `caseSensitive: false` compare codes without case.

The lists of the project (`terminology/`) and of packages (`installed.py`) are read at start. Those of HL7
(`catalogue.py`) are decoded when something is asked that these do not have.

https://hl7.org/fhir/R4/terminology-service.html
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from fhir_server.terminology import catalogue, resources
from fhir_server.terminology.catalogue import Catalogue
from fhir_server.terminology.codes import LANGUAGE, Codes, Coding, Concept, Lookup, Members, Spelling, nowhere
from fhir_server.terminology.content import Content, content, joined
from fhir_server.terminology.expansion import evaluated
from fhir_server.terminology.installed import beside
from fhir_server.terminology.membership import Judge, either, stored, systems_of
from fhir_server.terminology.messages import Missing, NotKnown, told
from fhir_server.terminology.refused import NotExpandable, UnknownList

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from fhir_server.fhir.json import JsonObject
    from fhir_server.terminology.resources import TerminologyResource

FOLDER: Final = Path(__file__).resolve().parents[2] / "terminology"
"""`terminology/` next to the package."""

_OID: Final = "urn:oid:"


@dataclass(slots=True)
class _Worked:
    """What was worked out once: it follows from files, and these do not change while the server runs."""

    contents: dict[str, Content | None] = field(default_factory=dict)
    members: dict[str, Members | NotExpandable] = field(default_factory=dict)
    codes: dict[str, Mapping[str, tuple[Coding, ...]]] = field(default_factory=dict)
    by_oid: dict[str, resources.ValueSet] = field(default_factory=dict)
    by_id: dict[tuple[str, str], resources.ValueSet | resources.CodeSystem | resources.ConceptMap] = field(
        default_factory=dict
    )


@dataclass(frozen=True, slots=True)
class Terminology:
    """Every list, indexed. A look-up costs one or two dictionary accesses."""

    spelling: Spelling
    concepts: Mapping[Coding, Concept]
    """Of the folder, those that a code system defines and those that only a value set names."""
    value_sets: Mapping[str, resources.ValueSet]
    """Of the folder, by URL."""
    concept_maps: Mapping[str, resources.ConceptMap]
    maps: Mapping[str, Mapping[Coding, Coding]]
    contents: Mapping[str, Content]
    """What the folder defines of each system, by its one URL."""
    published: Mapping[str, tuple[resources.CodeSystem, ...]]
    """The code systems of the folder, by the one URL of the system."""
    systems: frozenset[str]
    """Those that a code is defined or named of."""
    included: frozenset[str]
    """Those that a value set takes codes from, be they named or not."""
    named: Mapping[str, str]
    """By the one URL of a system, what its NamingSystem calls it."""
    catalogue: Catalogue
    _worked: _Worked = field(default_factory=_Worked)

    @staticmethod
    def load(
        folder: Path = FOLDER, others: Catalogue | None = None, installed: Sequence[JsonObject] = ()
    ) -> Terminology:
        """Read every resource of the folder; a file that cannot be read stops the start-up.

        ``installed`` are the resources of packages (`installed.py`).
        """
        found = [_read(path) for path in sorted(folder.glob("*/*.json"))]
        own = index(found, others or Catalogue())
        return index(found, own.catalogue, [*beside(own, installed)]) if installed else own

    # Systems and codes

    def system(self, url: str) -> str:
        """The one URL of a code system; an unknown one is itself."""
        one = self.spelling.aliases.get(url)
        if one is not None:
            return one
        return self.catalogue.aliases.get(url, url) if url.startswith(_OID) else url

    def coding(self, system: str, code: str) -> Coding:
        """The key of a code."""
        return self.spelling.coding(self.system(system), code)

    def known_system(self, url: str) -> bool:
        """Tell whether any list of the folder defines codes of this system or takes codes from it."""
        return self.spelling.system(url) in self.systems

    def concept(self, system: str, code: str) -> Concept | None:
        """The concept, whichever list names it: the folder's as it stands there, else that of HL7."""
        found = self.concepts.get(self.spelling.coding(system, code))
        return found if found is not None else self.described(system, code)

    def described(self, system: str, code: str) -> Concept | None:
        """All that the server's own lists say of a code, joined."""
        key = self.coding(system, code)
        defined = self.content(key.system)
        found = defined.concepts.get(key.code) if defined is not None else None
        if defined is not None and defined.complete and found is not None:
            return found
        return self._also_listed(found or self.concepts.get(key), system, code)

    def _also_listed(self, mine: Concept | None, system: str, code: str) -> Concept | None:
        """The concept with what the value sets of HL7 call it: of a system that is here in part, a word in English."""
        names = ((name, code) for name in self.spellings(system))
        listed = next((each for each in map(self.catalogue.listed.get, names) if each is not None), None)
        if listed is None:
            return mine
        theirs = Concept(system, code, listed.display or code, language=catalogue.LANGUAGE)
        return joined(mine, theirs) if mine is not None else theirs

    def display(self, system: str, code: str) -> str | None:
        """What the code means, in French where a list of the folder names it."""
        found = self.concept(system, code)
        return found.display if found is not None else None

    def spellings(self, system: str) -> tuple[str, ...]:
        """Every URL and OID (``urn:oid:…``) under which resources may write the system, the one used here first."""
        one = self.system(system)
        found = self.spelling.names.get(one)
        if found is not None:
            return found
        return self.catalogue.names.get(one, (one,)) if catalogue.may_hold(one) or one != system else (one,)

    # Code systems

    def content(self, system: str, version: str | None = None, code_systems: Lookup = nowhere) -> Content | None:
        """What is known of a code system: the server's own, or as stored where that is not all of it."""
        part = None
        for found in self._contents(system, version, code_systems):
            if found.complete:
                return found
            part = part or found
        return part

    def below(self, system: str | None, code: str, code_systems: Lookup = nowhere) -> Codes:
        """The code with those that are a kind of it. https://hl7.org/fhir/R4/search.html#modifiers, ``:below``

        Without a system: the code in whatever system, and what is below it in each of the server's own that has it.
        A code or system that nobody defines here is just itself. ``code_systems`` gives stored CodeSystems, for systems
        that the server has not all of; one that is not understood raises :class:`NotExpandable`.
        """
        return self._related(system, code, code_systems, Content.below)

    def above(self, system: str | None, code: str, code_systems: Lookup = nowhere) -> Codes:
        """The code with those that it is a kind of, as :meth:`below`."""
        return self._related(system, code, code_systems, Content.above)

    def lookup(
        self, system: str, code: str, version: str | None = None, code_systems: Lookup = nowhere
    ) -> tuple[Content | None, Concept]:
        """The concept, with what is known of its system; raises :class:`NotKnown` with what is missing."""
        known = self.content(system, version, code_systems)
        key = self.coding(system, code).code
        if known is not None and known.supplement:
            raise NotKnown(Missing.CONTENT, told("supplement", system=system))
        if known is not None and key in known.concepts:
            found = known.concepts[key]
            return known, found if known.complete else self._also_listed(found, system, code) or found
        named = self.described(system, code) if version is None else None
        if named is not None:
            return known, named
        if known is not None and known.complete:
            raise NotKnown(Missing.CODE, told("unknown-code", system=system, code=code))
        if known is None and version is not None:
            other = self.content(system, None, code_systems)
            if other is not None and other.versions:
                versions = ", ".join(other.versions)
                raise NotKnown(Missing.VERSION, told("unknown-version", system=system, version=version, known=versions))
        if known is None and not self.heard_of(system):
            raise NotKnown(Missing.SYSTEM, told("unknown-system", system=system))
        raise NotKnown(Missing.CONTENT, told("absent-content", system=system, code=code))

    def subsumes(
        self, system: str, first: str, second: str, version: str | None = None, code_systems: Lookup = nowhere
    ) -> str:
        """How the first code lies to the second: `subsumes`, `subsumed-by`, `equivalent` or `not-subsumed`.

        https://hl7.org/fhir/R4/codesystem-operation-subsumes.html; raises :class:`NotKnown`.
        """
        found = [self.lookup(system, code, version, code_systems) for code in (first, second)]
        one, two = (self.coding(system, code).code for code in (first, second))
        known = found[0][0]
        told_by_content = known.relation(one, two) if known is not None else None
        outcome = "equivalent" if one == two else told_by_content
        if outcome is None:
            raise NotKnown(Missing.CONTENT, told("absent-content", system=system, code=second))
        return outcome

    def code_systems(self) -> Mapping[str, resources.CodeSystem]:
        """The code systems that the server itself publishes, by their URL."""
        mine = {system.url: system for systems in self.published.values() for system in systems}
        return {**self.catalogue.code_systems, **mine}

    def heard_of(self, system: str) -> bool:
        """Tell whether any of the server's own lists speaks of this system."""
        one = self.system(system)
        names = (one, *self.spellings(one))
        return (
            one in self.systems
            or one in self.included
            or one in self.named
            or any(name in self.catalogue.systems for name in names)
        )

    # Value sets

    def held(self, value_set: str) -> resources.ValueSet | None:
        """The server's own value set of this canonical, ``url`` or ``url|version``; the URL may be its OID."""
        url, _, version = value_set.partition("|")
        found = self.value_sets.get(url) or self.catalogue.value_sets.get(url)
        if found is None and url.startswith(_OID):
            found = self._by_oid().get(url)
        return found if found is not None and (not version or found.version == version) else None

    def _by_oid(self) -> Mapping[str, resources.ValueSet]:
        """By OID, the value sets that bear it; of several the folder's."""
        if not self._worked.by_oid:
            for each in (*self.value_sets.values(), *self.catalogue.value_sets.values()):
                for identifier in each.identifier:
                    self._worked.by_oid.setdefault(identifier.value, each)
        return self._worked.by_oid

    def own_members(self, held: resources.ValueSet) -> Members:
        """The codes of one of the server's own, worked out once; raises :class:`NotExpandable`."""
        url = held.url or ""
        if url not in self._worked.members:
            try:
                self._worked.members[url] = evaluated(held, self)
            except NotExpandable as why:
                self._worked.members[url] = why
        found = self._worked.members[url]
        if isinstance(found, NotExpandable):
            raise NotExpandable(issues=found.issues)
        return found

    def members(self, value_set: str, others: Lookup = nowhere, code_systems: Lookup = nowhere) -> Members | None:
        """The codes of one of the server's own, each once and with its display; nothing where it is not there."""
        held = self.held(value_set)
        if held is None:
            return None
        try:
            return self.own_members(held)
        except NotExpandable:
            if code_systems is nowhere:
                raise
        return evaluated(held, self, others, code_systems)

    def expansion(self, value_set: str, others: Lookup = nowhere, code_systems: Lookup = nowhere) -> Codes | None:
        """The same, as a search compares them."""
        found = self.members(value_set, others, code_systems)
        return self.spelled(found) if found is not None else None

    def validate(
        self,
        value_set: str,
        system: str | None,
        code: str,
        others: Lookup = nowhere,
        code_systems: Lookup = nowhere,
        day: str = "",
    ) -> bool | None:
        """Tell whether the value set (``url`` or ``url|version``) holds the code; nothing where that is not known here.

        Not known is a value set, or a version of it, that is not here, and a code of a system of which the content is
        not. Without a system (of an element that is a ``code``) any system of the value set counts.
        """
        held = self.held(value_set)
        if held is not None and (held.compose is None or held.compose.inactive is not False):
            quick = self._quick(held)
            if quick is not None:
                answer = self._in_members(held, quick, system, code)
                if answer is not None or code_systems is nowhere:
                    return answer
        if held is None:
            held = stored(value_set, others)
        if held is None:
            return None
        judge = Judge(self, others, code_systems, day)
        if system is not None:
            return judge.holds(held, self.coding(system, code))
        candidates = systems_of(held, self, others)
        return either(judge.holds(held, self.coding(one, code)) for one in candidates) if candidates else None

    def member(self, value_set: str, system: str, code: str) -> bool:
        """Tell whether the value set is known to hold the code."""
        self._must_hold(value_set)
        return self.validate(value_set.partition("|")[0], system, code) is True

    def codes(self, value_set: str) -> Sequence[Concept]:
        """What the value set holds, in its order and with its displays."""
        return tuple(self.own_members(self._must_hold(value_set)).concepts.values())

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

    def by_id(self, type: str, id: str) -> resources.ValueSet | resources.CodeSystem | resources.ConceptMap | None:
        """One of the server's own by its id."""
        if not self._worked.by_id:
            self._worked.by_id |= {("ValueSet", one.id): one for one in self.catalogue.value_sets.values()}
            self._worked.by_id |= {("CodeSystem", one.id): one for one in self.catalogue.code_systems.values()}
            self._worked.by_id |= {("ValueSet", one.id): one for one in self.value_sets.values()}
            self._worked.by_id |= {("CodeSystem", one.id): one for one in chain(*self.published.values())}
            self._worked.by_id |= {("ConceptMap", one.id): one for one in self.concept_maps.values()}
        return self._worked.by_id.get((type, id))

    # Maps

    def translate(self, concept_map: str, system: str, code: str) -> Coding | None:
        """Where the map of the folder leads from this code, or nothing."""
        rows = self.maps.get(concept_map.partition("|")[0])
        if rows is None:
            raise UnknownList(f"The concept map {concept_map} is not in the terminology folder.")
        return rows.get(self.spelling.coding(system, code))

    # What these rest on

    def _contents(self, system: str, version: str | None, code_systems: Lookup) -> Iterator[Content]:
        held = self._own_content(self.system(system))
        if held is not None and held.of_version(version):
            yield held
        for name in dict.fromkeys((system, *self.spellings(system))):
            resource = code_systems(f"{name}|{version}" if version else name)
            if resource is not None:
                found = content([resources.code_system(resource, name)], self.spelling)
                if found.of_version(version):
                    yield found

    def _own_content(self, one: str) -> Content | None:
        """Of the folder and of HL7 together."""
        names = self.spelling.names.get(one, (one,))
        mine = self.contents.get(one)
        if mine is not None and not any(map(catalogue.may_hold, names)):
            return mine
        if one not in self._worked.contents:
            theirs = [self.catalogue.code_systems[name] for name in names if name in self.catalogue.code_systems]
            together = [*self.published.get(one, ()), *theirs]
            self._worked.contents[one] = content(together, self.spelling) if theirs else mine
        return self._worked.contents[one]

    def _related(
        self, system: str | None, code: str, code_systems: Lookup, walk: Callable[[Content, str], frozenset[str]]
    ) -> Codes:
        if system is None:
            having = [each for each in self.systems if self.spelling.coding(each, code) in self.concepts]
            having += [each for each in self.catalogue.ranked.get(code, ()) if self.system(each) not in having]
            related = [self._related(each, code, code_systems, walk) for each in having]
            return Codes(frozenset().union(*(each.codings for each in related)), anywhere=frozenset({code}))
        key = self.coding(system, code)
        known = self.content(system, code_systems=code_systems)
        codes = {known.written.get(each, code) for each in walk(known, key.code)} if known is not None else set()
        return Codes(frozenset(Coding(name, each) for name in self.spellings(system) for each in codes | {code}))

    def _quick(self, held: resources.ValueSet) -> Members | None:
        try:
            return self.own_members(held)
        except NotExpandable:
            return None

    def _in_members(self, held: resources.ValueSet, members: Members, system: str | None, code: str) -> bool | None:
        if system is None:
            if code in self._codes_of(held, members):
                return True
            return either(self._in_whole(each, code) for each in members.systems)
        key = self.coding(system, code)
        if key in members.concepts:
            return True
        return self._in_whole(key.system, code) if key.system in members.systems else False

    def _in_whole(self, system: str, code: str) -> bool | None:
        return Judge(self).in_whole(system, None, self.coding(system, code).code)

    def _codes_of(self, held: resources.ValueSet, members: Members) -> Mapping[str, tuple[Coding, ...]]:
        """By code as written, the codings of a value set."""
        url = held.url or ""
        if url not in self._worked.codes:
            found: defaultdict[str, list[Coding]] = defaultdict(list)
            for key, concept in members.concepts.items():
                found[concept.code].append(key)
            self._worked.codes[url] = {code: tuple(keys) for code, keys in found.items()}
        return self._worked.codes[url]

    def _must_hold(self, url: str) -> resources.ValueSet:
        found = self.held(url.partition("|")[0])
        if found is None:
            raise UnknownList(f"The value set {url} is not in the terminology folder.")
        return found


def _read(path: Path) -> TerminologyResource:
    try:
        return resources.read(path.read_bytes())
    except msgspec.DecodeError as error:
        message = f"{path}: {error}"
        raise ValueError(message) from None


def index(
    own: Sequence[TerminologyResource], others: Catalogue, added: Sequence[TerminologyResource] = ()
) -> Terminology:
    """A terminology of these resources, beside those of HL7; what ``added`` calls a code, it is called besides."""
    found = [*own, *added]
    code_systems = [each for each in found if isinstance(each, resources.CodeSystem)]
    naming_systems = [each for each in found if isinstance(each, resources.NamingSystem)]
    spelling = _spelling(naming_systems, code_systems)
    published: defaultdict[str, list[resources.CodeSystem]] = defaultdict(list)
    for system in code_systems:
        published[spelling.system(system.url)].append(system)
    contents = {one: content(systems, spelling) for one, systems in published.items()}
    known = {Coding(one, key): concept for one, each in contents.items() for key, concept in each.concepts.items()}
    value_sets = {each.url: each for each in found if isinstance(each, resources.ValueSet) and each.url}
    first = {each.url for each in added if isinstance(each, resources.ValueSet)}
    in_order = sorted(value_sets.values(), key=lambda each: each.url not in first)  # of two the last names a code
    concepts = _named(in_order, spelling, known) | known
    concept_maps = {each.url: each for each in found if isinstance(each, resources.ConceptMap) and each.url}
    return Terminology(
        spelling=spelling,
        concepts=concepts,
        value_sets=value_sets,
        concept_maps=concept_maps,
        maps={url: _rows(each, spelling) for url, each in concept_maps.items()},
        contents=contents,
        published={one: tuple(systems) for one, systems in published.items()},
        systems=frozenset(key.system for key in concepts),
        included=frozenset(spelling.system(part.system) for part in _parts(value_sets.values()) if part.system),
        named={_first_uri(each): each.name for each in naming_systems if each.name},
        catalogue=others,
    )


def _spelling(naming: Iterable[resources.NamingSystem], code_systems: Sequence[resources.CodeSystem]) -> Spelling:
    """The first URI of a NamingSystem is the one, of several that share a name that of the first of them.

    An OID leads to the system that bears it.
    """
    aliases: dict[str, str] = {}
    for each in naming:
        mine = [f"{_OID}{name.value}" if name.type == "oid" else name.value for name in each.unique_id]
        one = next((aliases[name] for name in mine if name in aliases), _first_uri(each))
        for name in mine:
            aliases.setdefault(name, one)
    for system in code_systems:
        for identifier in system.identifier:
            aliases.setdefault(identifier.value, aliases.get(system.url, system.url))
    insensitive = (aliases.get(each.url, each.url) for each in code_systems if each.case_sensitive is False)
    names: defaultdict[str, list[str]] = defaultdict(list)
    for alias, one in aliases.items():
        names[one].append(alias)
    every_name = {one: tuple(dict.fromkeys((one, *others))) for one, others in names.items()}
    return Spelling(aliases, frozenset(insensitive), every_name)


def _first_uri(naming: resources.NamingSystem) -> str:
    uris = [name for name in naming.unique_id if name.type == "uri"]
    return next((name for name in uris if name.preferred), uris[0]).value


def _named(
    value_sets: Iterable[resources.ValueSet], spelling: Spelling, known: Mapping[Coding, Concept]
) -> dict[Coding, Concept]:
    """What the value sets name code by code."""
    found: dict[Coding, Concept] = {}
    for value_set in value_sets:
        language = value_set.language or LANGUAGE
        for part in _parts((value_set,)):
            for listed in part.concept or () if part.system is not None else ():
                system = part.system or ""
                key = spelling.coding(system, listed.code)
                ended = known[key].ended if key in known else None
                display = listed.display or listed.code
                found[key] = Concept(system, listed.code, display, ended, language, designations=listed.designation)
    return found


def _parts(value_sets: Iterable[resources.ValueSet]) -> Iterator[resources.Part]:
    for value_set in value_sets:
        yield from value_set.compose.include if value_set.compose is not None else ()


def _rows(concept_map: resources.ConceptMap, spelling: Spelling) -> Mapping[Coding, Coding]:
    """By source, the first code that each leads to."""
    return {
        spelling.coding(group.source, row.code): Coding(group.target, row.target[0].code)
        for group in concept_map.group
        for row in group.element
        if group.source and group.target and row.code and row.target and row.target[0].code
    }

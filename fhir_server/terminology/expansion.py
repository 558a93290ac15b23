"""Which codes a ValueSet means. What cannot be told is refused with a sentence: never are fewer codes given.

Evaluated are lists of codes, whole systems, imports of other value sets, and filters (`filters.py`). Conditions of one
`include` must all be fulfilled. An expansion that the resource brings along is taken where it has no `compose` or one
that is not evaluated here, provided that nothing says it is only a part.

Value sets and code systems are sought among the server's own first, then with look-ups, which are asked for a canonical
as it was written. They must answer at once. Who has to wait for a database notes what was asked for, answers nothing,
fetches it whatever came out, and begins again until nothing new is asked for.

https://hl7.org/fhir/R4/valueset.html#compositions, https://hl7.org/fhir/R4/valueset.html#expansion
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import reduce
from typing import TYPE_CHECKING, Final

from fhir_server.fhir.outcome import IssueType
from fhir_server.terminology import resources
from fhir_server.terminology.codes import LANGUAGE, Codes, Coding, Concept, Lookup, Members, nowhere
from fhir_server.terminology.filters import chosen
from fhir_server.terminology.messages import told
from fhir_server.terminology.refused import NotExpandable

if TYPE_CHECKING:
    from fhir_server.fhir.json import JsonObject
    from fhir_server.fhir.messages import Told
    from fhir_server.terminology.content import Content
    from fhir_server.terminology.terminology import Terminology

MOST_CODES: Final = 10_000
"""Codes that a value set or a condition of it may come to, whole systems apart. A query compares with each."""

MOST_CONDITIONS: Final = 500
"""Lists, filters and imports in one value set. Each is evaluated by itself, while other requests wait."""

MOST_LOOKED_AT: Final = 500_000
"""Codes that all filters of one evaluation may look at together: about half a second."""

DEEPEST_IMPORT: Final = 30
"""Value sets that may import one another in a row. Published ones stay under 5."""

_HARMLESS: Final = frozenset(
    {
        *("displayLanguage", "designation", "includeDesignations", "includeDefinition", "excludeNested"),
        *("url", "valueSet", "valueSetVersion", "date", "profile", "version", "count", "offset"),
        *("system-version", "check-system-version", "force-system-version"),
        *("used-codesystem", "used-valueset"),
        *(f"warning-{status}" for status in ("draft", "experimental", "deprecated", "retired", "withdrawn")),
    }
)
"""Parameters of an expansion that leave no code out; of `count` and `offset`, the total tells."""

_PARTIAL: Final = frozenset(
    f"http://hl7.org/fhir/StructureDefinition/valueset-{name}" for name in ("unclosed", "toocostly")
)
"""Extensions of an expansion that is not the whole."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """How it is evaluated."""

    day: str = ""
    """On which codes count as inactive, where a value set leaves these out; nothing for all that ever end."""
    most: int = MOST_CODES
    by_code: bool = False
    """Whole systems are to be listed code by code."""
    detailed: bool = False
    """What is known of each listed code is wanted too, also of systems that are stored."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """By URL of a system, the version where the value set says none."""
    forced: Mapping[str, str] = field(default_factory=dict)
    """The same, whatever the value set says."""
    checked: Mapping[str, str] = field(default_factory=dict)
    """The only version that may be used."""
    left_out: Mapping[str, str] = field(default_factory=dict)
    """By URL of a system of which no code is wanted, the version that is meant; an empty one is any."""


PLAIN: Final = Wanted()


def expand(
    value_set: JsonObject, terminology: Terminology, others: Lookup = nowhere, code_systems: Lookup = nowhere
) -> Codes:
    """The codes of a ValueSet resource, in every spelling; raises :class:`NotExpandable`."""
    return terminology.spelled(members(value_set, terminology, others, code_systems))


def members(
    value_set: JsonObject,
    terminology: Terminology,
    others: Lookup = nowhere,
    code_systems: Lookup = nowhere,
    wanted: Wanted = PLAIN,
) -> Members:
    """The same, each code once and with its display."""
    url = value_set.get("url")
    name = told("the-value-set", url=url) if url else told("a-value-set")
    return evaluated(resources.value_set(value_set, name), terminology, others, code_systems, wanted)


def evaluated(
    value_set: resources.ValueSet,
    terminology: Terminology,
    others: Lookup = nowhere,
    code_systems: Lookup = nowhere,
    wanted: Wanted = PLAIN,
) -> Members:
    """The same of one that is read already."""
    expander = _Expander(terminology, others, code_systems, wanted)
    found = expander.value_set(value_set, "", ())
    return expander.by_code(found) if wanted.by_code else found


@dataclass(slots=True)
class _Expander:
    """One evaluation. Each value set and code system is read once, however often it is named."""

    terminology: Terminology
    others: Lookup
    code_systems: Lookup
    wanted: Wanted
    done: dict[str, Members] = field(default_factory=dict)
    read: dict[str, Content | None] = field(default_factory=dict)
    looked_at: int = 0

    def value_set(self, found: resources.ValueSet, canonical: str, way: tuple[str, ...]) -> Members:
        """``canonical`` is what it was imported by, ``way`` the value sets that led here."""
        url, _, version = canonical.partition("|")
        called = canonical or found.url
        name = told("the-value-set", url=called) if called else told("a-value-set")
        if version and found.version != version:
            raise NotExpandable(told("other-version", name=name))
        key = f"{found.url or url}|{found.version or ''}"
        if key in way:
            raise NotExpandable(told("imports-itself", name=name))
        if len(way) >= DEEPEST_IMPORT:
            raise NotExpandable(told("imported-too-deep", name=name, most=DEEPEST_IMPORT))
        if key not in self.done:
            self.done[key] = self._limited(self._evaluated(found, name, (*way, key)), name)
        return self.done[key]

    def by_code(self, found: Members) -> Members:
        """The same, no system left whole: of each it must be known which codes it has."""
        whole = [self._whole(system) for system in sorted(found.systems)]
        return self._limited(
            Members.joined([Members(found.concepts, listed=found.listed), *whole]), told("a-value-set")
        )

    def _evaluated(self, found: resources.ValueSet, name: Told, way: tuple[str, ...]) -> Members:
        language = found.language or LANGUAGE
        if found.compose is None:
            if found.expansion is None:
                raise NotExpandable(told("nothing-composed", name=name))
            return self._listed(found.expansion, name, language)
        try:
            return self._composed(found.compose, name, way, language)
        except NotExpandable as why:
            if found.expansion is None:
                raise
            try:
                return self._listed(found.expansion, name, language)
            except NotExpandable:
                raise why from None

    def _composed(self, compose: resources.Composition, name: Told, way: tuple[str, ...], language: str) -> Members:
        must_be_understood(compose, name)
        included = Members.joined(self._part(part, name, way, language) for part in compose.include)
        excluded = Members.joined(self._part(part, name, way, language) for part in compose.exclude)
        found = self._without(included, excluded)
        return self._active(found) if compose.inactive is False else found

    def _active(self, found: Members) -> Members:
        """Without inactive codes. Of whole systems it must be known which of their codes are so."""
        concepts = self.by_code(found).concepts
        active = {key: each for key, each in concepts.items() if not self._inactive(key, each)}
        return Members(active, listed=found.listed)

    def _inactive(self, key: Coding, listed: Concept) -> bool:
        content = self._content(key.system, None)
        known = content.concepts.get(key.code) if content is not None else None
        return (known or self.terminology.described(*key) or listed).inactive(self.wanted.day)

    def _part(self, part: resources.Part, name: Told, way: tuple[str, ...], language: str) -> Members:
        conditions = [self._limited(each, name) for each in self._of_system(part, name, language)]
        conditions += [self._imported(canonical, way) for canonical in part.value_set]
        if not conditions:
            raise NotExpandable(told("include-of-nothing", name=name))
        return reduce(Members.shared, conditions)

    def _of_system(self, part: resources.Part, name: Told, language: str) -> Iterator[Members]:
        """What the part says of its system, one condition after the other."""
        if part.system is None:
            if part.concept is not None or part.filter:
                raise NotExpandable(told("no-system", name=name))
            return
        if part.concept is not None and part.filter:
            raise NotExpandable(told("codes-and-filters", name=name))
        one = self.terminology.system(part.system)
        version = self._version(one, part.version, listed=part.concept is not None)
        if self._is_left_out(one, version):
            yield Members({})
            return
        if part.concept is not None:
            listed = ((part.system, each.code, each.display, each.designation) for each in part.concept)
            yield self._enumerated(listed, language)
        elif part.filter:
            for each in part.filter:
                yield self._filtered(part.system, version, each)
        elif version is not None:
            yield self._whole(part.system, version)
        else:
            yield Members({}, frozenset({one}))

    def _is_left_out(self, system: str, version: str | None) -> bool:
        meant = self.wanted.left_out.get(system)
        if not meant:
            return meant is not None
        content = self._content(system, version)
        return version == meant or (content is not None and content.of_version(meant))

    def _version(self, system: str, own: str | None, *, listed: bool) -> str | None:
        """The version of a system that counts; of what is listed code by code, only one that was asked for."""
        wanted = self.wanted
        version = wanted.forced.get(system) or own or wanted.versions.get(system)
        checked = wanted.checked.get(system)
        if checked is not None:
            content = self._content(system, version)
            there = version or (content.version(system) if content is not None else None)
            if there != checked:
                if there is None:
                    message = told("version-checked-unknown", checked=checked, system=system)
                else:
                    message = told("version-checked", checked=checked, system=system, used=there)
                raise NotExpandable(message, code=IssueType.NOT_FOUND)
        if listed and version is not None and version != own and self._content(system, version) is None:
            raise unknown(f"{system}|{version}")
        return version

    def _imported(self, canonical: str, way: tuple[str, ...]) -> Members:
        held = self.terminology.held(canonical)
        if held is not None:
            if self.wanted == PLAIN and self.code_systems is nowhere:
                return self.terminology.own_members(held)
            return self.value_set(held, canonical, way)
        resource = self.others(canonical)
        if resource is None:
            raise NotExpandable(told("imported-unknown", url=canonical), code=IssueType.NOT_FOUND)
        return self.value_set(resources.value_set(resource, told("the-value-set", url=canonical)), canonical, way)

    def _filtered(self, system: str, version: str | None, asked: resources.Filter) -> Members:
        if asked.property in ("concept", "code") and asked.op in ("=", "in"):
            listed = [asked.value] if asked.op == "=" else [each.strip() for each in asked.value.split(",")]
            return self._enumerated((system, each, "", ()) for each in listed if each)
        content = self._complete(system, version)
        self.looked_at += len(content.written)
        if self.looked_at > MOST_LOOKED_AT:
            raise NotExpandable(told("too-much-filtered", most=MOST_LOOKED_AT), code=IssueType.TOO_COSTLY)
        one = self.terminology.system(system)
        kept = chosen(content, asked, lambda code: self.terminology.coding(system, code).code)
        return Members({Coding(one, each): content.concept(each, system) for each in kept})

    def _whole(self, system: str, version: str | None = None) -> Members:
        """The system code by code."""
        one, content = self.terminology.system(system), self._complete(system, version)
        return Members({Coding(one, key): content.concept(key, system) for key in content.concepts})

    def _content(self, system: str, version: str | None) -> Content | None:
        canonical = f"{system}|{version}" if version else system
        if canonical not in self.read:
            self.read[canonical] = self.terminology.content(system, version, self.code_systems)
        return self.read[canonical]

    def _complete(self, system: str, version: str | None) -> Content:
        content = self._content(system, version)
        canonical = f"{system}|{version}" if version else system
        if content is None:
            raise unknown(canonical)
        if not content.complete:
            raise NotExpandable(told("content-in-part", system=canonical), code=IssueType.NOT_SUPPORTED)
        return content

    def _without(self, included: Members, excluded: Members) -> Members:
        """A whole system of which some codes are left out is counted code by code."""
        touched = included.systems & {key.system for key in excluded.concepts}
        by_code = Members.joined(
            [Members(included.concepts, listed=included.listed), *map(self._whole, sorted(touched))]
        )
        return Members(by_code.concepts, included.systems - touched, by_code.listed).without(excluded)

    def _enumerated(
        self, listed: Iterable[tuple[str, str, str, tuple[resources.Designation, ...]]], language: str = LANGUAGE
    ) -> Members:
        """Systems, codes and displays as listed; a display that the list lacks is that of the system."""
        found: dict[Coding, Concept] = {}
        for system, code, display, designations in listed:
            key = self.terminology.coding(system, code)
            if key not in found:
                known = self._known(system, key)
                found[key] = (
                    known.as_listed(system, code, display, designations, language)
                    if known is not None
                    else Concept(system, code, display or code, language=language, designations=designations)
                )
        return Members(found, listed=frozenset(key.system for key in found))

    def _known(self, system: str, key: Coding) -> Concept | None:
        if not self.wanted.detailed:
            return self.terminology.concept(system, key.code)
        content = self._content(system, None)
        found = content.concepts.get(key.code) if content is not None else None
        if content is not None and content.complete and found is not None:
            return found
        return self.terminology.described(system, key.code) or found

    def _listed(self, expansion: resources.Expanded, name: Told, language: str) -> Members:
        """An expansion somebody else made, headings apart. A code marked abstract counts: it is there to search by."""
        entries = list(entries_of(expansion.contains))
        if in_part(expansion, len(entries)):
            raise NotExpandable(told("expansion-in-part", name=name))
        if any(entry.code is not None and entry.system is None for entry in entries):
            raise NotExpandable(told("expansion-no-system", name=name))
        listed = (
            (each.system, each.code, each.display, each.designation)
            for each in entries
            if each.system and each.code and not self._is_left_out(self.terminology.system(each.system), None)
        )
        return self._enumerated(listed, language)

    def _limited(self, found: Members, name: Told) -> Members:
        if len(found.concepts) > self.wanted.most:
            raise NotExpandable(
                told("too-many-codes", name=name, number=len(found.concepts), most=self.wanted.most),
                code=IssueType.TOO_COSTLY,
            )
        return found


def must_be_understood(compose: resources.Composition, name: Told) -> None:
    """Refuse a composition of which something is not evaluated here, whatever it includes."""
    parts = (*compose.include, *compose.exclude)
    if not compose.include:
        raise NotExpandable(told("includes-nothing", name=name))
    if sum(1 + len(part.filter) + len(part.value_set) for part in parts) > MOST_CONDITIONS:
        raise NotExpandable(told("too-many-conditions", name=name, most=MOST_CONDITIONS), code=IssueType.TOO_COSTLY)
    if compose.locked_date is not None and any(part.concept is None or part.value_set for part in parts):
        raise NotExpandable(told("locked-date", name=name))


def unknown(canonical: str) -> NotExpandable:
    """The refusal of a code system, or a version of one, of which nothing is known."""
    return NotExpandable(told("content-unknown", system=canonical), code=IssueType.NOT_SUPPORTED)


def entries_of(contains: tuple[resources.Entry, ...]) -> Iterator[resources.Entry]:
    """The entries of an expansion, at any depth."""
    for entry in contains:
        yield entry
        yield from entries_of(entry.contains)


def in_part(expansion: resources.Expanded, here: int) -> bool:
    """Tell whether anything says that the expansion lacks codes, or something that may mean it."""
    of_parameters = any(each.name not in _HARMLESS and each.value_boolean is not False for each in expansion.parameter)
    of_extensions = any(each.url in _PARTIAL and each.value_boolean is not False for each in expansion.extension)
    paged = any(each.name in {"count", "offset"} for each in expansion.parameter)
    short = paged if expansion.total is None else expansion.total > here
    return of_parameters or of_extensions or short or expansion.offset > 0

"""Which codes a stored ValueSet means. What cannot be told is refused with a sentence: never are fewer codes given.

Evaluated are lists of codes, whole systems, imports of other value sets, and the filters `is-a`, `descendent-of`, `=`
and `in` on `concept`. Conditions of one `include` must all be fulfilled. An expansion that the resource brings along is
taken where it has no `compose` or one that is not evaluated here, provided that nothing says it is only a part.

Value sets and code systems are sought in `terminology/` first, then with look-ups, which are asked for a canonical as
it was written. They must answer at once. Who has to wait for a database notes what was asked for, answers nothing,
fetches it whatever came out, and begins again until nothing new is asked for.

https://hl7.org/fhir/R4/valueset.html#compositions, https://hl7.org/fhir/R4/valueset.html#expansion
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import reduce
from typing import Final

from fhir_server.fhir.json import JsonObject
from fhir_server.fhir.outcome import IssueType
from fhir_server.terminology import stored
from fhir_server.terminology.codes import Codes, Coding, Concept, Lookup, Members, NotExpandable, nowhere
from fhir_server.terminology.content import Content
from fhir_server.terminology.terminology import Terminology

MOST_CODES: Final = 10_000
"""Codes that a value set or a condition of it may come to, whole systems apart. A query compares with each."""

MOST_CONDITIONS: Final = 500
"""Lists, filters and imports in one value set. Each is evaluated by itself, while other requests wait."""

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


def expand(
    value_set: JsonObject, terminology: Terminology, others: Lookup = nowhere, code_systems: Lookup = nowhere
) -> Codes:
    """The codes of a ValueSet resource, in every spelling; raises :class:`NotExpandable`."""
    return terminology.spelled(members(value_set, terminology, others, code_systems))


def members(
    value_set: JsonObject, terminology: Terminology, others: Lookup = nowhere, code_systems: Lookup = nowhere
) -> Members:
    """The same, each code once and with its display."""
    return _Expander(terminology, others, code_systems).value_set(value_set, "", ())


@dataclass(slots=True)
class _Expander:
    """One evaluation. Each value set and code system is read once, however often it is named."""

    terminology: Terminology
    others: Lookup
    code_systems: Lookup
    done: dict[str, Members] = field(default_factory=dict)
    read: dict[str, Content | None] = field(default_factory=dict)

    def value_set(self, resource: JsonObject, canonical: str, way: tuple[str, ...]) -> Members:
        """``canonical`` is what it was imported by, ``way`` the value sets that led here."""
        url, _, version = canonical.partition("|")
        name = f"The value set {canonical or resource.get('url', '')}".rstrip()
        found = stored.value_set(resource, name)
        if version and found.version != version:
            raise NotExpandable(f"{name} is stored in another version.")
        key = f"{found.url or url}|{found.version or ''}"
        if key in way:
            raise NotExpandable(f"{name} imports itself.")
        if len(way) >= DEEPEST_IMPORT:
            raise NotExpandable(f"{name} is imported over more than {DEEPEST_IMPORT} others.")
        if key not in self.done:
            self.done[key] = _limited(self._evaluated(found, name, (*way, key)), name)
        return self.done[key]

    def _evaluated(self, found: stored.StoredValueSet, name: str, way: tuple[str, ...]) -> Members:
        if found.compose is None:
            if found.expansion is None:
                raise NotExpandable(f"{name} has neither a compose nor an expansion.")
            return self._listed(found.expansion, name)
        try:
            return self._composed(found.compose, name, way)
        except NotExpandable as why:
            if found.expansion is None:
                raise
            try:
                return self._listed(found.expansion, name)
            except NotExpandable:
                raise why from None

    def _composed(self, compose: stored.Composition, name: str, way: tuple[str, ...]) -> Members:
        parts = (*compose.include, *compose.exclude)
        if not compose.include:
            raise NotExpandable(f"{name} includes nothing.")
        if sum(1 + len(part.filter) + len(part.value_set) for part in parts) > MOST_CONDITIONS:
            raise NotExpandable(
                f"{name} has more than {MOST_CONDITIONS} lists, filters and imports.", code=IssueType.TOO_COSTLY
            )
        if compose.inactive is False:
            raise NotExpandable(f"{name} leaves out inactive codes, which this server does not tell from others.")
        if compose.locked_date is not None and any(part.concept is None or part.value_set for part in parts):
            raise NotExpandable(f"{name} has a locked date, and this server does not keep what was in force then.")
        included = Members.joined(self._part(part, name, way) for part in compose.include)
        excluded = Members.joined(self._part(part, name, way) for part in compose.exclude)
        return self._without(included, excluded)

    def _part(self, part: stored.Part, name: str, way: tuple[str, ...]) -> Members:
        conditions = [_limited(each, name) for each in self._of_system(part, name)]
        conditions += [self._imported(canonical, way) for canonical in part.value_set]
        if not conditions:
            raise NotExpandable(f"{name} has an include or exclude with neither a system nor a value set.")
        return reduce(Members.shared, conditions)

    def _of_system(self, part: stored.Part, name: str) -> Iterator[Members]:
        """What the part says of its system, one condition after the other."""
        if part.system is None:
            if part.concept is not None or part.filter:
                raise NotExpandable(f"{name} names codes or filters without their system.")
            return
        if part.concept is not None and part.filter:
            raise NotExpandable(f"{name} has both codes and filters in one include or exclude.")
        if part.concept is not None:
            yield self._enumerated((part.system, each.code, each.display) for each in part.concept)
        elif part.filter:
            for each in part.filter:
                yield self._filtered(part.system, part.version, each)
        elif part.version is not None:
            yield self._whole(part.system, part.version)
        else:
            yield Members({}, frozenset({self.terminology.system(part.system)}))

    def _imported(self, canonical: str, way: tuple[str, ...]) -> Members:
        held = self.terminology.members(canonical)
        if held is not None:
            return held
        resource = self.others(canonical)
        if resource is None:
            raise NotExpandable(f"The value set {canonical} is imported and not known here.")
        return self.value_set(resource, canonical, way)

    def _filtered(self, system: str, version: str | None, asked: stored.Filter) -> Members:
        if asked.property == "concept":
            match asked.op:
                case "=":
                    return self._enumerated([(system, asked.value, "")])
                case "in":
                    codes = [each.strip() for each in asked.value.split(",")]
                    return self._enumerated((system, each, "") for each in codes if each)
                case "is-a" | "descendent-of":
                    return self._beneath(system, version, asked)
        raise NotExpandable(
            f"The filter {asked.property} {asked.op} {asked.value} on {system} is not evaluated by this server."
        )

    def _beneath(self, system: str, version: str | None, asked: stored.Filter) -> Members:
        content = self._complete(system, version)
        key = self.terminology.spelling.coding(system, asked.value)
        if key.code not in content.concepts:
            raise NotExpandable(f"The code system {system} has no code {asked.value} to filter by.")
        kept = content.below(key.code) - (set() if asked.op == "is-a" else {key.code})
        return Members({Coding(key.system, each): _concept(content, system, each) for each in sorted(kept)})

    def _whole(self, system: str, version: str | None = None) -> Members:
        """The system code by code."""
        one = self.terminology.system(system)
        return Members({Coding(one, key): each for key, each in self._complete(system, version).concepts.items()})

    def _complete(self, system: str, version: str | None) -> Content:
        canonical = f"{system}|{version}" if version else system
        if canonical not in self.read:
            self.read[canonical] = self.terminology.content(system, version, self.code_systems)
        content = self.read[canonical]
        if content is None:
            raise NotExpandable(f"The content of the code system {canonical} is not known here.")
        if not content.complete:
            raise NotExpandable(f"The content of the code system {canonical} is known here in part only.")
        return content

    def _without(self, included: Members, excluded: Members) -> Members:
        """A whole system of which some codes are left out is counted code by code."""
        touched = included.systems & {key.system for key in excluded.concepts}
        by_code = Members.joined([Members(included.concepts), *map(self._whole, sorted(touched))])
        return Members(by_code.concepts, included.systems - touched).without(excluded)

    def _enumerated(self, listed: Iterable[tuple[str, str, str]]) -> Members:
        """Systems, codes and displays as listed; a display that the list lacks is that of the system."""
        found: dict[Coding, Concept] = {}
        for system, code, display in listed:
            shown = display or self.terminology.display(system, code) or code
            found.setdefault(self.terminology.spelling.coding(system, code), Concept(system, code, shown))
        return Members(found)

    def _listed(self, expansion: stored.Expanded, name: str) -> Members:
        """An expansion somebody else made, headings apart. A code marked abstract counts: it is there to search by."""
        entries = list(_entries(expansion.contains))
        if _in_part(expansion, len(entries)):
            raise NotExpandable(f"{name} brings along an expansion that is, or may be, only a part of it.")
        if any(entry.code is not None and entry.system is None for entry in entries):
            raise NotExpandable(f"{name} brings along an expansion with a code that has no system.")
        return self._enumerated((each.system, each.code, each.display) for each in entries if each.system and each.code)


def _limited(found: Members, name: str) -> Members:
    if len(found.concepts) > MOST_CODES:
        raise NotExpandable(
            f"{name} comes to {len(found.concepts)} codes; this server compares with {MOST_CODES} at most.",
            code=IssueType.TOO_COSTLY,
        )
    return found


def _entries(contains: tuple[stored.Entry, ...]) -> Iterator[stored.Entry]:
    for entry in contains:
        yield entry
        yield from _entries(entry.contains)


def _in_part(expansion: stored.Expanded, here: int) -> bool:
    """Tell whether anything says that the expansion lacks codes, or something that may mean it."""
    of_parameters = any(each.name not in _HARMLESS and each.value_boolean is not False for each in expansion.parameter)
    of_extensions = any(each.url in _PARTIAL and each.value_boolean is not False for each in expansion.extension)
    paged = any(each.name in {"count", "offset"} for each in expansion.parameter)
    short = paged if expansion.total is None else expansion.total > here
    return of_parameters or of_extensions or short or expansion.offset > 0


def _concept(content: Content, system: str, key: str) -> Concept:
    """A code that is only named as somebody's child has no display."""
    written = content.written[key]
    return content.concepts.get(key, Concept(system, written, written))

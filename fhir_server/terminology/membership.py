"""Whether a ValueSet holds a code: yes, no, or it cannot be told here.

Not every value set can be listed whose codes can be told: of "all of LOINC and these three codes" the three are in it
whatever LOINC holds. So each condition is asked about the one code, and what is not known stays unknown only where it
makes a difference (three-valued logic): never a false yes, never a false no.

https://hl7.org/fhir/R4/valueset.html#compositions
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeAlias

from fhir_server.terminology import resources
from fhir_server.terminology.codes import Coding, Lookup, nowhere
from fhir_server.terminology.expansion import DEEPEST_IMPORT, MOST_LOOKED_AT, entries_of, in_part, must_be_understood
from fhir_server.terminology.filters import chosen
from fhir_server.terminology.messages import told
from fhir_server.terminology.refused import NotExpandable

if TYPE_CHECKING:
    from fhir_server.terminology.content import Content
    from fhir_server.terminology.terminology import Terminology

Told: TypeAlias = bool | None
"""Yes, no, or not known here."""

_UNNAMED: Final = told("a-value-set")
"""Nobody is told why a value set is not understood, where a code of it is asked about."""


@dataclass(slots=True)
class Judge:
    """Asks about codes, one after the other; what is chosen by a filter is worked out once."""

    terminology: Terminology
    others: Lookup = nowhere
    code_systems: Lookup = nowhere
    day: str = ""
    looked_at: int = 0
    _chosen: dict[tuple[str, str | None, resources.Filter], frozenset[str] | None] = field(default_factory=dict)
    _read: dict[str, Content | None] = field(default_factory=dict)

    def holds(self, value_set: resources.ValueSet, key: Coding, way: tuple[str, ...] = ()) -> Told:
        """Tell whether the code is in it."""
        name = f"{value_set.url}|{value_set.version or ''}"
        if name in way or len(way) >= DEEPEST_IMPORT:
            return None
        way = (*way, name)
        if value_set.compose is not None:
            told = self._composed(value_set.compose, key, way)
            if told is not None:
                return told
        return self._listed(value_set.expansion, key) if value_set.expansion is not None else None

    def in_whole(self, system: str, version: str | None, code: str) -> Told:
        """Tell whether the system has the code; ``code`` is its key."""
        content = self._content(system, version)
        if content is not None and code in content.concepts:
            return True
        if content is not None and content.complete:
            return False
        return True if version is None and self.terminology.described(system, code) is not None else None

    def _composed(self, compose: resources.Composition, key: Coding, way: tuple[str, ...]) -> Told:
        try:
            must_be_understood(compose, _UNNAMED)
        except NotExpandable:
            return None
        found = both(
            either(self._part(part, key, way) for part in compose.include),
            other(either(self._part(part, key, way) for part in compose.exclude)),
        )
        if found and compose.inactive is False:
            content = self._content(key.system, None)
            known = content.concepts.get(key.code) if content is not None else None
            known = known or self.terminology.described(*key)
            return known is None or not known.inactive(self.day)
        return found

    def _part(self, part: resources.Part, key: Coding, way: tuple[str, ...]) -> Told:
        if part.system is None and (part.concept is not None or part.filter or not part.value_set):
            return None
        told = [self._imported(canonical, key, way) for canonical in part.value_set]
        if part.system is not None:
            told.append(self._of_system(part, part.system, key))
        return every(told)

    def _of_system(self, part: resources.Part, system: str, key: Coding) -> Told:
        if self.terminology.system(system) != key.system:
            return False
        if part.concept is not None and part.filter:
            return None
        if part.concept is not None:
            return any(self.terminology.coding(system, each.code) == key for each in part.concept)
        if part.filter:
            return every(self._fulfils(system, part.version, each, key) for each in part.filter)
        return self.in_whole(system, part.version, key.code)

    def _fulfils(self, system: str, version: str | None, asked: resources.Filter, key: Coding) -> Told:
        if asked.property in ("concept", "code") and asked.op in ("=", "in"):
            listed = [asked.value] if asked.op == "=" else [each.strip() for each in asked.value.split(",")]
            return any(self.terminology.coding(system, each) == key for each in listed if each)
        content = self._content(system, version)
        if content is None:
            return None
        known = system, version, asked
        if known not in self._chosen:
            self.looked_at += len(content.written)
            if self.looked_at > MOST_LOOKED_AT:
                return None
            try:
                kept = chosen(content, asked, lambda code: self.terminology.coding(system, code).code)
            except NotExpandable:
                self._chosen[known] = None
            else:
                self._chosen[known] = frozenset(kept)
        keys = self._chosen[known]
        if keys is None:
            return None
        if content.complete:
            return key.code in keys
        # of a part of a system the hierarchy may lack a step: what is found there is so, what is not may be so
        return True if key.code in keys and asked.op in ("is-a", "descendent-of", "generalizes", "=", "in") else None

    def _imported(self, canonical: str, key: Coding, way: tuple[str, ...]) -> Told:
        held = self.terminology.held(canonical)
        if held is not None:
            return self.holds(held, key, way)
        found = stored(canonical, self.others)
        return self.holds(found, key, way) if found is not None else None

    def _listed(self, expansion: resources.Expanded, key: Coding) -> Told:
        entries = list(entries_of(expansion.contains))
        if any(
            each.code and each.system and self.terminology.coding(each.system, each.code) == key for each in entries
        ):
            return True
        return None if in_part(expansion, len(entries)) else False

    def _content(self, system: str, version: str | None) -> Content | None:
        canonical = f"{system}|{version}" if version else system
        if canonical not in self._read:
            try:
                self._read[canonical] = self.terminology.content(system, version, self.code_systems)
            except NotExpandable:  # a stored code system that is not understood
                self._read[canonical] = None
        return self._read[canonical]


def systems_of(
    value_set: resources.ValueSet, terminology: Terminology, others: Lookup = nowhere, way: tuple[str, ...] = ()
) -> frozenset[str]:
    """The one URL of each system that its codes may be of."""
    found: set[str] = set()
    if value_set.url in way or len(way) >= DEEPEST_IMPORT:
        return frozenset()
    for part in value_set.compose.include if value_set.compose is not None else ():
        if part.system is not None:
            found.add(terminology.system(part.system))
            continue
        for canonical in part.value_set:
            imported = terminology.held(canonical)
            if imported is None and (resource := others(canonical)) is not None:
                imported = resources.value_set(resource, told("the-value-set", url=canonical))
            if imported is not None:
                found |= systems_of(imported, terminology, others, (*way, value_set.url or ""))
    for entry in entries_of(value_set.expansion.contains) if value_set.expansion is not None else ():
        if entry.system is not None:
            found.add(terminology.system(entry.system))
    return frozenset(found)


def either(told: Iterable[Told]) -> Told:
    """True where one is, unknown where one may be."""
    answers = list(told)
    return True if True in answers else None if None in answers else False


def every(told: Iterable[Told]) -> Told:
    """False where one is, unknown where one may be."""
    answers = list(told)
    return False if False in answers else None if None in answers else True


def both(one: Told, two: Told) -> Told:
    """The same of two."""
    return every((one, two))


def other(told: Told) -> Told:
    """The contrary, where it is known."""
    return None if told is None else not told


def stored(canonical: str, others: Lookup) -> resources.ValueSet | None:
    """The stored value set, where there is one of this version that is understood."""
    resource = others(canonical)
    if resource is None:
        return None
    try:
        found = resources.value_set(resource, told("the-value-set", url=canonical))
    except NotExpandable:
        return None
    version = canonical.partition("|")[2]
    return found if not version or found.version == version else None

"""Codes and sets of codes: as this server counts them (:class:`Members`), as resources write them (:class:`Codes`).

Stored resources keep the system they were written with, a URL or an OID. So what a search compares must name every
spelling of a system; what is counted, listed or cut from another set must name each code once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final, NamedTuple, TypeAlias

from fhir_server.fhir.json import JsonObject
from fhir_server.terminology.resources import Designation, Property

Lookup: TypeAlias = "Callable[[str], JsonObject | None]"
"""The stored resource of a canonical, ``url`` or ``url|version`` as it was written; nothing where there is none."""


LANGUAGE: Final = "fr"
"""Of displays where a resource does not say its language."""


def nowhere(_: str) -> None:
    """The look-up of who has nothing stored."""


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
    language: str = ""
    """Of the display, where it is known."""
    withdrawn: bool = False
    """Its system calls it inactive, whatever the date."""
    abstract: bool = False
    """It stands for those below it, and is not written itself."""
    definition: str = ""
    designations: tuple[Designation, ...] = ()
    properties: tuple[Property, ...] = ()

    def inactive(self, day: str) -> bool:
        """Tell whether it is not to be written on this day (``2026-01-31``)."""
        return self.withdrawn or (self.ended is not None and self.ended[: len(day)] <= day)

    def called(self, language: str) -> str:
        """Its display in this language; in the language it has where it has none in that one."""
        if not language or _speaks(self.language, language):
            return self.display
        told = (each.value for each in self.designations if _speaks(each.language or "", language))
        return next(told, self.display)

    @property
    def names(self) -> tuple[str, ...]:
        """All that it is called."""
        return (self.display, *(each.value for each in self.designations))

    def as_listed(
        self, system: str, code: str, display: str, designations: tuple[Designation, ...], language: str
    ) -> Concept:
        """The same as a list spells it: its display comes first, that of the system stays a designation."""
        if not display or display == self.display:
            told = self.designations + designations if designations else self.designations
            return replace(self, system=system, code=code, designations=told)
        own = (Designation(self.display, self.language or None), *self.designations)
        told = designations + own
        return replace(self, system=system, code=code, display=display, language=language, designations=told)


def _speaks(spoken: str, asked: str) -> bool:
    """Tell whether what is in one language serves who asks for the other: ``fr-FR`` serves ``fr``, and ``fr`` it."""
    one, other = spoken.lower(), asked.lower()
    return one == other or one.startswith(f"{other}-") or other.startswith(f"{one}-") if one else False


@dataclass(frozen=True, slots=True)
class Codes:
    """What a resource must carry one of, in every spelling: nothing is left to expand, and nothing to fold."""

    codings: frozenset[Coding] = frozenset()
    systems: frozenset[str] = frozenset()
    """Systems of which every code counts."""
    anywhere: frozenset[str] = frozenset()
    """Codes that count whatever their system, also without one: who asked named no system."""


@dataclass(frozen=True, slots=True)
class Members:
    """A set of codes, each once, by the keys of :class:`Spelling`; no code of a whole system is named again."""

    concepts: Mapping[Coding, Concept]
    systems: frozenset[str] = frozenset()
    """The one URL of each system of which every code counts, whether its content is known or not."""
    listed: frozenset[str] = frozenset()
    """The one URL of each system of which some codes were named one by one: they keep the order they were named in."""

    @staticmethod
    def joined(parts: Iterable[Members]) -> Members:
        """What is in one of them, in their order; what several name is spelled as the first spells it."""
        concepts: dict[Coding, Concept] = {}
        systems: set[str] = set()
        listed: set[str] = set()
        for part in parts:
            systems |= part.systems
            listed |= part.listed
            for key, concept in part.concepts.items():
                concepts.setdefault(key, concept)
        by_code = {key: each for key, each in concepts.items() if key.system not in systems}
        return Members(by_code, frozenset(systems), frozenset(listed))

    def shared(self, other: Members) -> Members:
        """What is in both."""
        mine = {key: concept for key, concept in self.concepts.items() if other.holds(key)}
        theirs = {key: concept for key, concept in other.concepts.items() if key.system in self.systems}
        return Members(mine | theirs, self.systems & other.systems, self.listed | other.listed)

    def without(self, other: Members) -> Members:
        """What is in the first and not in the second. A whole system of the first must not be named there by codes."""
        mine = {key: concept for key, concept in self.concepts.items() if not other.holds(key)}
        return Members(mine, self.systems - other.systems, self.listed)

    def holds(self, key: Coding) -> bool:
        """Tell whether the code is in it."""
        return key in self.concepts or key.system in self.systems


@dataclass(frozen=True, slots=True)
class Spelling:
    """How systems and codes are made comparable, and how they may have been written."""

    aliases: Mapping[str, str]
    """Any URL or OID of a system to the one used here."""
    case_insensitive: frozenset[str]
    names: Mapping[str, tuple[str, ...]]
    """The one URL of a system to all of them, itself first; a system of one name need not be here."""

    def system(self, url: str) -> str:
        """The one URL of a code system; an unknown one is itself."""
        return self.aliases.get(url, url)

    def coding(self, system: str, code: str) -> Coding:
        """The key of a code."""
        one = self.aliases.get(system, system)
        return Coding(one, code.casefold() if one in self.case_insensitive else code)

    def systems(self, url: str) -> tuple[str, ...]:
        """Every URL and OID under which resources may write the system, the one used here first."""
        one = self.system(url)
        return self.names.get(one, (one,))

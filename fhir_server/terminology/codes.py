"""Codes and sets of codes: as this server counts them (:class:`Members`), as resources write them (:class:`Codes`).

Stored resources keep the system they were written with, a URL or an OID. So what a search compares must name every
spelling of a system; what is counted, listed or cut from another set must name each code once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from fhir_server.fhir.errors import Unprocessable
from fhir_server.fhir.json import JsonObject

Lookup: TypeAlias = "Callable[[str], JsonObject | None]"
"""The stored resource of a canonical, ``url`` or ``url|version`` as it was written; nothing where there is none."""


def nowhere(_: str) -> None:
    """The look-up of who has nothing stored."""


class NotExpandable(Unprocessable):
    """Which codes are meant cannot be told here; the sentence says why. Never are fewer given instead."""


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

    @staticmethod
    def joined(parts: Iterable[Members]) -> Members:
        """What is in one of them, in their order; what several name is spelled as the first spells it."""
        concepts: dict[Coding, Concept] = {}
        systems: set[str] = set()
        for part in parts:
            systems |= part.systems
            for key, concept in part.concepts.items():
                concepts.setdefault(key, concept)
        return Members({key: each for key, each in concepts.items() if key.system not in systems}, frozenset(systems))

    def shared(self, other: Members) -> Members:
        """What is in both."""
        mine = {key: concept for key, concept in self.concepts.items() if other.holds(key)}
        theirs = {key: concept for key, concept in other.concepts.items() if key.system in self.systems}
        return Members(mine | theirs, self.systems & other.systems)

    def without(self, other: Members) -> Members:
        """What is in the first and not in the second. A whole system of the first must not be named there by codes."""
        mine = {key: concept for key, concept in self.concepts.items() if not other.holds(key)}
        return Members(mine, self.systems - other.systems)

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

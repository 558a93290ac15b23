"""Where ConceptMaps lead from a code, and back.

https://hl7.org/fhir/R4/conceptmap.html · https://hl7.org/fhir/R4/conceptmap-operation-translate.html
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from fhir_server.terminology.codes import Coding
from fhir_server.terminology.resources import ConceptMap, DependsOn, Element, Group, Named, Target, Unmapped

if TYPE_CHECKING:
    from fhir_server.terminology.terminology import Terminology

MOST_FOLLOWED: Final = 5
"""Maps that may refer to another for what they do not map, in a row."""

MEANS_NOTHING: Final = frozenset({"unmatched", "disjoint"})
"""Equivalences of a row that leads to nothing that means the code."""

_REVERSED: Final = {"wider": "narrower", "narrower": "wider", "subsumes": "specializes", "specializes": "subsumes"}


@dataclass(frozen=True, slots=True)
class Match:
    """One answer."""

    equivalence: str
    concept: Named | None
    source: str | None
    """The map it is from."""
    product: tuple[DependsOn, ...] = ()


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of maps."""

    coding: Coding
    """The key of the code."""
    code: str
    """As it was told."""
    target: str | None = None
    """The one URL of the system it should lead to."""
    reverse: bool = False
    depends: frozenset[tuple[str, str]] = frozenset()
    """What else is so: element and code."""
    version: str | None = None
    """Of the system of the code; rows of another version are none for it."""


class Translator:
    """Asks the maps; ``others`` gives the one that a map refers to for what it does not map."""

    def __init__(self, terminology: Terminology, others: Callable[[str], ConceptMap | None]) -> None:
        """Ask with what this terminology knows of systems and displays."""
        self._terminology = terminology
        self._others = others
        self._by_code: dict[tuple[int, bool], Mapping[Coding, Sequence[tuple[Element, Target | None]]]] = {}

    def matches(self, maps: Sequence[ConceptMap], asked: Question) -> list[Match]:
        """What the maps answer, each once."""
        found = [match for each in maps for match in self._of_map(each, asked, 0)]
        return list(dict.fromkeys(found))

    def _of_map(self, concept_map: ConceptMap, asked: Question, depth: int) -> Iterator[Match]:
        for group in concept_map.group:
            if asked.reverse:
                yield from self._backwards(concept_map, group, asked)
            else:
                yield from self._forwards(concept_map, group, asked, depth)

    def _forwards(self, concept_map: ConceptMap, group: Group, asked: Question, depth: int) -> Iterator[Match]:
        if not self._is(group.source, group.source_version, asked) or not self._leads(group.target, asked):
            return
        rows = self._rows(group, backwards=False).get(asked.coding, ())
        for row, _ in rows:
            for target in row.target:
                if _holds(target, asked):
                    named = self._named(group.target, group.target_version, target)
                    yield Match(target.equivalence, named, concept_map.url, target.product)
        if not rows and group.unmapped is not None:
            yield from self._unmapped(concept_map, group, group.unmapped, asked, depth)

    def _unmapped(
        self, concept_map: ConceptMap, group: Group, unmapped: Unmapped, asked: Question, depth: int
    ) -> Iterator[Match]:
        match unmapped.mode:
            case "provided":
                named = self._named(group.target, group.target_version, Target(asked.code))
                yield Match("equal", named, concept_map.url)
            case "fixed" if unmapped.code is not None:
                fixed = Target(unmapped.code, unmapped.display)
                yield Match("relatedto", self._named(group.target, group.target_version, fixed), concept_map.url)
            case "other-map" if unmapped.url is not None and depth < MOST_FOLLOWED:
                other = self._others(unmapped.url)
                if other is not None:
                    yield from self._of_map(other, asked, depth + 1)

    def _backwards(self, concept_map: ConceptMap, group: Group, asked: Question) -> Iterator[Match]:
        if not self._is(group.target, group.target_version, asked) or not self._leads(group.source, asked):
            return
        for row, target in self._rows(group, backwards=True).get(asked.coding, ()):
            if target is not None and row.code and _holds(target, asked):
                equivalence = _REVERSED.get(target.equivalence, target.equivalence)
                named = self._named(group.source, group.source_version, Target(row.code, row.display))
                yield Match(equivalence, named, concept_map.url)

    def _rows(self, group: Group, *, backwards: bool) -> Mapping[Coding, Sequence[tuple[Element, Target | None]]]:
        """The rows of a group by the code they are from; backwards by each code they lead to, with what leads there."""
        known = id(group), backwards
        if known not in self._by_code:
            found: defaultdict[Coding, list[tuple[Element, Target | None]]] = defaultdict(list)
            for row in group.element:
                if not backwards and row.code:
                    found[self._key(group.source, row.code)].append((row, None))
                for target in row.target if backwards else ():
                    if target.code:
                        found[self._key(group.target, target.code)].append((row, target))
            self._by_code[known] = found
        return self._by_code[known]

    def _is(self, system: str | None, version: str | None, asked: Question) -> bool:
        same = system is not None and self._terminology.system(system) == asked.coding.system
        return same and (version is None or asked.version is None or version == asked.version)

    def _leads(self, system: str | None, asked: Question) -> bool:
        return asked.target is None or (system is not None and self._terminology.system(system) == asked.target)

    def _key(self, system: str | None, code: str) -> Coding:
        return self._terminology.coding(system or "", code)

    def _named(self, system: str | None, version: str | None, target: Target) -> Named | None:
        if target.code is None:
            return None
        display = target.display or (self._terminology.display(system, target.code) if system else None)
        return Named(system, version, target.code, display)


def _holds(target: Target, asked: Question) -> bool:
    """Tell whether all that the row depends on is so."""
    return all((one.property, one.value) in asked.depends for one in target.depends_on)

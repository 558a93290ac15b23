"""What one resource is found by, gathered parameter by parameter.

Each parameter is compiled to one function at the start, so that indexing decides nothing twice. What an element gives
is worked out once for all parameters that speak of it: ``name``, ``family`` and ``given`` fold the same texts, `code`
and the composites of an Observation measure and spell the same elements.

Indexing ``tests/examples/DocumentReference-lettre.json`` takes 125 us, ``Observation-tension.json`` 117 us and
``Patient-helene.json`` 106 us; with a ``match`` on the type of each parameter and generators within generators it took
165, 230 and 190 us (in turns, the least of 4,000 runs; Python 3.11, two shared cores).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final, TypeAlias, TypeVar

from fhir_server.fhir.json import Json, JsonObject
from fhir_server.record.pointers import target
from fhir_server.search.parameter import Parameter
from fhir_server.search.steps import Found
from fhir_server.search.types import composite, date, number, phonetic, quantity, reference, string, token, uri
from fhir_server.search.types.ordered import Covered

MOST_ENTRIES: Final = 100_000
"""Entries of one resource; one that would need more is refused, whole."""

Row: TypeAlias = "tuple[Any, ...]"
"""An interval: its parameter, ``lo``, ``hi``, ``lo2``, ``hi2`` (empty where there is no second), then its units."""

_Given = TypeVar("_Given")
_UNKNOWN: Final = object()


@dataclass(slots=True)
class Gathered:
    """What was found so far of one resource."""

    tailed: bool
    """Its type is of those whose texts carry tails."""
    terms: set[str] = field(default_factory=set)
    rows: set[Row] = field(default_factory=set)
    texts: set[str] = field(default_factory=set)
    known: dict[tuple[object, int, str], Any] = field(default_factory=dict)
    """By function, element and its type, what it gave. Elements are known by identity: they live as long as this."""
    folded: dict[str, tuple[str, list[str]]] = field(default_factory=dict)
    """By text, how it is folded, and the terms it is found by."""

    def once(self, give: Callable[[Json, str], _Given], element: Json, type: str) -> _Given:
        """What a function gives of an element, worked out once."""
        key = (give, id(element), type)
        found: _Given = self.known.get(key, _UNKNOWN)
        if found is _UNKNOWN:
            found = self.known[key] = give(element, type)
        return found

    def fold(self, text: str) -> tuple[str, list[str]]:
        """A text folded, and the terms it is found by, worked out once."""
        known = self.folded.get(text)
        if known is None:
            folded = string.fold(text)
            known = self.folded[text] = folded, string.fragments(text, folded, tailed=self.tailed)
        return known

    def __len__(self) -> int:
        return len(self.terms) + len(self.rows)


def ranges_of(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """Intervals as they are stored, in their order."""
    ranges: list[dict[str, Any]] = []
    for parameter, low, high, second_low, second_high, *units in sorted(rows):
        stored = {"p": parameter, "lo": low, "hi": high}
        if units:
            stored["u"] = units
        if second_low != "":
            stored |= {"lo2": second_low, "hi2": second_high}
        ranges.append(stored)
    return ranges


Enter: TypeAlias = Callable[[Gathered, "list[Found]", JsonObject], bool]
"""Gather what a parameter finds in these elements of a resource, and tell whether there is any."""


def entering(parameter: Parameter, base_url: str, *, shared: bool, taken_out: bool = True) -> Enter:
    """The function of one parameter; ``shared``: others speak of its elements too.

    ``taken_out``: what of its references is hidden from a reader is not answered (of all but traces).
    """
    code = parameter.code
    match parameter.type:
        case "composite":
            return _composites(parameter, base_url)
        case "string":
            return _sounds(code) if parameter.is_phonetic else _texts(code)
        case "token":
            return _words(code, token.fragments, shared=shared)
        case "uri":
            return _words(code, uri.fragments, shared=False)
        case "reference":
            flags = {"of_record": parameter.of_record, "names_record": parameter.names_record}
            fragments = reference.reading(base_url, **flags)
            if taken_out and not parameter.of_record:
                return _references(code, fragments, base_url, shared=shared)
            return _words(code, fragments, shared=shared)
        case _:
            return _intervals(code, _EXTRACTING[parameter.type])


_EXTRACTING: Final[Mapping[str, Callable[[Json, str], Covered | None]]] = {
    "date": date.extract,
    "number": number.extract,
    "quantity": quantity.extract,
}


def _words(code: str, fragments: Callable[[Json, str], list[str]], *, shared: bool) -> Enter:
    def enter(gathered: Gathered, found: list[Found], _: JsonObject) -> bool:
        terms, before = gathered.terms, len(gathered.terms)
        for element, type in found:
            given = gathered.once(fragments, element, type) if shared else fragments(element, type)
            for fragment in given:
                terms.add(code + fragment)
        return len(terms) > before

    return enter


def _references(code: str, fragments: Callable[[Json, str], list[str]], base_url: str, *, shared: bool) -> Enter:
    """Of several, each by itself: one that nothing finds, or that points to its own resource, is told to be there.

    It is shown to whoever sees the resource; the others may be hidden from him.
    """

    def enter(gathered: Gathered, found: list[Found], resource: JsonObject) -> bool:
        terms, always = gathered.terms, False
        itself = [f"={resource.get('resourceType')}/{resource.get('id')}"]
        mine: list[str] = []
        for element, type in found:
            given = gathered.once(fragments, element, type) if shared else fragments(element, type)
            always = always or not given or given == itself
            mine += given
        terms.update([code + fragment for fragment in mine])
        if always and any(_may_be_hidden(fragment, base_url) for fragment in mine):
            terms.add(f"{code}:any")
        return bool(mine)

    return enter


def _may_be_hidden(fragment: str, base_url: str) -> bool:
    return fragment[0] == "=" and target(fragment[1:], base_url) is not None


def _intervals(code: str, extract: Callable[[Json, str], Covered | None]) -> Enter:
    def enter(gathered: Gathered, found: list[Found], _: JsonObject) -> bool:
        rows, before = gathered.rows, len(gathered.rows)
        for element, type in found:
            covered = gathered.once(extract, element, type)
            if covered is not None:
                rows.add((code, covered.low, covered.high, "", "", *covered.units))
        return len(rows) > before

    return enter


def _texts(code: str) -> Enter:
    def enter(gathered: Gathered, found: list[Found], _: JsonObject) -> bool:
        terms, before = gathered.terms, len(gathered.terms)
        for element, type in found:
            for text in string.texts(element, type):
                folded, fragments = gathered.fold(text)
                terms.update([code + fragment for fragment in fragments])
                if len(folded) > string.LONGEST:
                    gathered.texts.add(f"{code}={folded}")
        return len(terms) > before

    return enter


def _sounds(code: str) -> Enter:
    def enter(gathered: Gathered, found: list[Found], _: JsonObject) -> bool:
        terms, before = gathered.terms, len(gathered.terms)
        for element, type in found:
            for text in string.texts(element, type):
                folded, _fragments = gathered.fold(text)
                terms.update([f"{code}={sound}" for sound in phonetic.sounds(folded)])
        return len(terms) > before

    return enter


def _composites(parameter: Parameter, base_url: str) -> Enter:
    bases = {use.code for path in parameter.paths for use in path.uses}
    write = composite.writing(parameter.code, bases, parameter.components, base_url)

    def enter(gathered: Gathered, found: list[Found], resource: JsonObject) -> bool:
        terms, rows, before = gathered.terms, gathered.rows, len(gathered)
        for element, type in found:
            if not isinstance(element, dict):
                continue
            # of so many no two are the same: they are refused after the first too many, not when all are made
            for term, intervals in islice(write(element, type, resource, gathered.once), MOST_ENTRIES + 1):
                if not intervals:
                    terms.add(term)
                    continue
                first, second = intervals[0], intervals[1:]
                rows.add((term, first.low, first.high, *(second[0][:2] if second else ("", "")), *first.units))
        return len(gathered) > before

    return enter

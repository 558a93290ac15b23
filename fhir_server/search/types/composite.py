"""composite: several values of one element, joined by ``$``. https://hl7.org/fhir/R4/search.html#combining

``code-value-quantity=http://loinc.org|8480-6$gt140``: within one element the components all hold. So each element is
written down whole: what its codes, references and texts are becomes one key, and its numbers, quantities and dates
become intervals under that key. A text, compared by its beginning, comes last.

====================================  =============================================================================
of words alone                        the term ``code$`` and the fragments, :data:`~fhir_server.search.terms.BETWEEN`
                                      them
with one or two numbers, dates        an interval whose parameter is that term; a second interval in ``lo2``, ``hi2``
====================================  =============================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Final, TypeAlias, TypeVar

from fhir_server.definitions.tables import SearchParameterType
from fhir_server.fhir.errors import Invalid
from fhir_server.fhir.json import Json, JsonObject
from fhir_server.search import terms
from fhir_server.search.messages import told
from fhir_server.search.path import Path, Walk
from fhir_server.search.predicate import Field, Predicate, Prefix, Span, any_of, one_of
from fhir_server.search.steps import NO_RESULT, Found
from fhir_server.search.types import date, number, quantity, reference, string, token
from fhir_server.search.types.ordered import FIRST, SECOND, Covered, Wanted, alternatives
from fhir_server.search.values import split

MODIFIERS: Final = frozenset({"missing"})
WORDS: Final = frozenset({"token", "reference", "string"})
"""Types of component that become part of the key."""
ORDERED: Final = frozenset({"number", "quantity", "date"})
"""Types of component that become intervals: at most two in a composite."""


_Given = TypeVar("_Given")

Give: TypeAlias = "Callable[[Json, str], Any]"
Once: TypeAlias = "Callable[[Give, Json, str], Any]"
"""Calls a function on an element, unless it is known already what it gives."""
Written: TypeAlias = "tuple[str, tuple[Covered, ...]]"
"""A term, and the intervals under it: none, one or two."""


@dataclass(frozen=True, slots=True)
class Component:
    """One part of a composite."""

    type: SearchParameterType
    whole: tuple[Path, ...]
    """Its paths from the resource, where it does not speak of the element."""
    within: tuple[tuple[str, tuple[Path, ...]], ...]
    """By type of the element, its paths from there."""
    targets: tuple[str, ...] = ()
    """Of a reference: the types it may point to."""
    implied: frozenset[tuple[str, str]] = frozenset()
    """Of a token: ``(system, code)`` of the bindings of its elements that are codes."""

    def walk(self, type: str) -> tuple[Walk, bool]:
        """What finds it in an element of this type, and whether it is looked for in the resource instead."""
        paths = self.whole or dict(self.within).get(type, ())
        walks = [path.walk for path in paths]
        if len(walks) == 1:
            return walks[0], bool(self.whole)
        return lambda element: [found for walk in walks for found in walk(element)], bool(self.whole)


def writing(
    parameter: str, bases: Iterable[str], components: Sequence[Component], base_url: str
) -> Callable[[JsonObject, str, JsonObject, Once], Iterable[Written]]:
    """A function that gives what one element is found by: of the element, its type, the resource, and what is known.

    ``bases`` are the types that such elements may have.
    """
    spelling = [_spelling(one, base_url) for one in components if one.type in WORDS]
    measuring = [_MEASURING[one.type] for one in components if one.type in ORDERED]
    sorted_out = (*_of(components, WORDS), *_of(components, ORDERED))
    walks = {base: [one.walk(base) for one in sorted_out] for base in bases}
    values_first = tuple(reversed(range(len(components))))

    def write(element: JsonObject, type: str, resource: JsonObject, once: Once) -> Iterable[Written]:
        found: list[list[Found]] = [NO_RESULT] * len(components)
        for at in values_first:  # a code without such a value is the rule: nothing is spelled in vain
            walk, of_resource = walks[type][at]
            found[at] = walk(resource if of_resource else element)
            if not found[at]:
                return ()
        words = [_each(spell, some, once) for spell, some in zip(spelling, found, strict=False)]
        intervals = [
            _each(measure, some, once) for measure, some in zip(measuring, found[len(spelling) :], strict=True)
        ]
        return ((_term(parameter, key), each) for key in product(*words) for each in product(*intervals))

    return write


def _of(components: Sequence[Component], types: Collection[str]) -> list[Component]:
    return [one for one in components if one.type in types]


def _each(give: Callable[[Json, str, Once], Iterable[_Given]], found: Sequence[Found], once: Once) -> list[_Given]:
    """What a component gives of all its elements, each once."""
    return list(dict.fromkeys(one for element, type in found for one in give(element, type, once)))


def predicate(
    parameter: str,
    raw: str,
    components: Sequence[Component],
    *,
    now: int,
    base_url: str,
    spelled: Callable[[token.Token], Iterable[token.Token]] = lambda wanted: (wanted,),
) -> Predicate:
    """Read one value, and say which entries it asks for; ``spelled`` are the ways in which a token may be written."""
    parts = split(raw, "$")
    if len(parts) != len(components):
        types = "$".join(component.type for component in components)
        raise Invalid(told("composite-parts", number=len(components), types=types))
    words: list[list[str]] = []
    ordered: list[Wanted] = []
    for component, part in zip(components, parts, strict=True):
        if component.type in WORDS:
            words.append(_asked(component, part, base_url, spelled))
        else:
            ordered.append(_wanted(component, part, now))
    return any_of([_one(parameter, key, components, ordered) for key in product(*words)])


def _one(parameter: str, key: Sequence[str], components: Sequence[Component], ordered: Sequence[Wanted]) -> Predicate:
    term = _term(parameter, key)
    if ordered:
        units = [wanted.unit for wanted in ordered if wanted.unit is not None]
        tests = product(*(alternatives(one, ends) for one, ends in zip(ordered, (FIRST, SECOND), strict=False)))
        return any_of([Span(term, tuple(test for part in whole for test in part), *units[:1]) for whole in tests])
    return Prefix(term) if components[-1].type == "string" else one_of(Field.TERMS, term)


def _term(parameter: str, key: Sequence[str]) -> str:
    return f"{parameter}${terms.BETWEEN.join(key)}"


def _spelling(component: Component, base_url: str) -> Callable[[Json, str, Once], list[str]]:
    """The words of one component: terms of its type under no parameter."""
    match component.type:
        case "token":
            return lambda element, kind, once: [one for one in once(token.fragments, element, kind) if one[0] in "=#"]
        case "reference":
            fragments = reference.reading(base_url, of_record=False, names_record=False)
            return lambda element, kind, once: [one for one in once(fragments, element, kind) if one[0] == "="]
        case _:
            return lambda element, kind, _: [
                text[: string.LONGEST] for text in map(string.fold, string.texts(element, kind))
            ]


def _covering(extract: Callable[[Json, str], Covered | None]) -> Callable[[Json, str, Once], list[Covered]]:
    def measure(element: Json, type: str, once: Once) -> list[Covered]:
        covered = once(extract, element, type)
        return [] if covered is None else [covered]

    return measure


_MEASURING: Final = {
    "number": _covering(number.extract),
    "quantity": _covering(quantity.extract),
    "date": _covering(date.extract),
}


def _asked(
    component: Component, raw: str, base_url: str, spelled: Callable[[token.Token], Iterable[token.Token]]
) -> list[str]:
    match component.type:
        case "token":
            wanted = token.parse(raw)
            if wanted.code is None:
                raise Invalid(told("composite-code"))
            return [term for one in spelled(wanted) for term in token.spelled("", one, component.implied)]
        case "reference":
            found = reference.parse(raw, component.targets, base_url)
            return [f"={terms.bounded(str(one))}" for one in found]
        case _:
            return [string.parse(raw)]


def _wanted(component: Component, raw: str, now: int) -> Wanted:
    match component.type:
        case "number":
            return number.parse(raw)
        case "quantity":
            return quantity.parse(raw)
        case _:
            return date.parse(raw, now)

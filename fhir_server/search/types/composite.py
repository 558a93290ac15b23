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

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Final

from fhir_server.definitions.tables import SearchParameterType
from fhir_server.fhir.errors import Invalid
from fhir_server.fhir.json import Json, JsonObject
from fhir_server.search import terms
from fhir_server.search.predicate import Field, Predicate, Prefix, Span, any_of, one_of
from fhir_server.search.steps import Found
from fhir_server.search.types import date, number, quantity, reference, string, token
from fhir_server.search.types.ordered import FIRST, SECOND, Wanted, alternatives
from fhir_server.search.values import split

MODIFIERS: Final = frozenset({"missing"})
WORDS: Final = frozenset({"token", "reference", "string"})
"""Types of component that become part of the key."""
ORDERED: Final = frozenset({"number", "quantity", "date"})
"""Types of component that become intervals: at most two in a composite."""


@dataclass(frozen=True, slots=True)
class Component:
    """One part of a composite."""

    type: SearchParameterType
    of_base: Callable[[JsonObject, JsonObject, str], list[Found]]
    """Its elements: of a resource, an element of it, and the type of that."""
    targets: tuple[str, ...] = ()
    """Of a reference: the types it may point to."""


def extract(
    parameter: str, base: JsonObject, type: str, resource: JsonObject, components: Sequence[Component], base_url: str
) -> Iterator[str | dict[str, Any]]:
    """What one element is found by: terms, and intervals with the members they are stored with."""
    words: list[list[str]] = []
    intervals: list[list[dict[str, Any]]] = []
    for component in components:
        found = component.of_base(resource, base, type)
        if component.type in WORDS:
            words.append([word for element, code in found for word in _words(component, element, code, base_url)])
        else:
            intervals.append([one for element, code in found for one in _intervals(component, element, code)])
    for key in product(*words):
        term = _term(parameter, key)
        if not intervals:
            yield term
            continue
        for first, *others in product(*intervals):
            stored = {"p": term, **first}
            for second in others:
                stored |= {"lo2": second["lo"], "hi2": second["hi"]}
            yield stored


def predicate(parameter: str, raw: str, components: Sequence[Component], *, now: int, base_url: str) -> Predicate:
    """Read one value, and say which entries it asks for."""
    parts = split(raw, "$")
    if len(parts) != len(components):
        told = "$".join(component.type for component in components)
        raise Invalid(f"The value must have {len(components)} parts joined by `$`: {told}.")
    words: list[list[str]] = []
    ordered: list[Wanted] = []
    for component, part in zip(components, parts, strict=True):
        if component.type in WORDS:
            words.append(_asked(component, part, base_url))
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


def _words(component: Component, element: Json, code: str, base_url: str) -> Iterator[str]:
    """The fragments of one component: terms of its type under no parameter."""
    match component.type:
        case "token":
            yield from (one for one in token.extract("", element, code) if one[0] in "=#")
        case "reference":
            yield from (one for one in reference.extract("", element, code, base_url) if one[0] == "=")
        case _:
            yield from (string.fold(text)[: string.LONGEST] for text in string.texts(element, code))


def _asked(component: Component, raw: str, base_url: str) -> list[str]:
    match component.type:
        case "token":
            wanted = token.parse(raw)
            if wanted.code is None:
                raise Invalid("A part of a composite needs a code; a system alone is not enough.")
            return token.spelled("", wanted)
        case "reference":
            found = reference.parse(raw, component.targets, base_url)
            return [f"={terms.bounded(str(one))}" for one in found]
        case _:
            return [string.parse(raw)]


def _intervals(component: Component, element: Json, code: str) -> Iterator[dict[str, Any]]:
    match component.type:
        case "number":
            for low, high in number.extract(element, code):
                yield {"lo": low, "hi": high}
        case "quantity":
            for one in quantity.extract(element, code):
                yield {"lo": one.low, "hi": one.high} | ({"u": list(one.units)} if one.units else {})
        case _:
            for covered in date.extract(element, code):
                yield {"lo": covered.low, "hi": covered.high}


def _wanted(component: Component, raw: str, now: int) -> Wanted:
    match component.type:
        case "number":
            return number.parse(raw)
        case "quantity":
            return quantity.parse(raw)
        case _:
            return date.parse(raw, now)

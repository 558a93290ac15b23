"""token: a code, perhaps within a system. https://hl7.org/fhir/R4/search.html#token

- Codes, systems and values of identifiers are compared exactly, case included; a ``string``, such as a version,
  whatever its case.
- A ``code`` has the system its binding implies (``status=http://hl7.org/fhir/observation-status|final``). A
  ``boolean``, ``string``, ``uri`` or ``id`` has none: it is found by the code alone, by ``system|code`` or ``|code``
  never.
- A ContactPoint is found by its value; its system (``phone``, ``email``) stands for the system.

=============  ====================================================================================================
``:not``       what carries none of the tokens, or no token at all
``:text``      what a code is called begins with this: ``CodeableConcept.text``, ``Coding.display``,
               ``Identifier.type.text``; folded as a string is
``:of-type``   ``system|code|value``: an identifier of this type with this value
``:in`` …      ``:not-in``, ``:above``, ``:below``: codes that a terminology tells (:mod:`fhir_server.search.codes`)
=============  ====================================================================================================
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from fhir_server.fhir.errors import Invalid
from fhir_server.fhir.json import Json, JsonObject
from fhir_server.search import terms
from fhir_server.search.predicate import Field, Predicate, Prefix, any_of, negate, one_of
from fhir_server.search.types import string
from fhir_server.search.values import split, unescape

MODIFIERS: Final = frozenset({"missing", "not", "text", "of-type", "in", "not-in", "above", "below"})
"""https://hl7.org/fhir/R4/search.html#modifiers"""

PRIMITIVES: Final = frozenset({"code", "boolean", "string", "uri", "id", "canonical", "url", "oid", "uuid", "markdown"})
TYPES: Final = PRIMITIVES | {"Coding", "CodeableConcept", "Identifier", "ContactPoint"}
"""The types of element a token is found in."""

_MEMBERS: Final = {"Coding": "code", "Identifier": "value", "ContactPoint": "value"}


@dataclass(frozen=True, slots=True)
class Token:
    """``code`` (system ``None``), ``|code`` (system empty), ``system|code``, or ``system|`` (code ``None``)."""

    system: str | None
    code: str | None


@dataclass(frozen=True, slots=True)
class OfType:
    """``system|code|value``: the coding of ``Identifier.type``, and ``Identifier.value``."""

    system: str
    code: str
    value: str


def extract(parameter: str, element: Json, type: str) -> Iterator[str]:
    """The terms an element is found by."""
    if isinstance(element, dict):
        if type == "CodeableConcept":
            for coding in _codings(element):
                yield from _coding(parameter, coding)
            yield from _called(parameter, element.get("text"))
        elif type == "Coding":
            yield from _coding(parameter, element)
        elif type in _MEMBERS:
            yield from _within_system(parameter, element, _MEMBERS[type])
            if type == "Identifier":
                yield from _typed(parameter, element)
    elif type in PRIMITIVES and isinstance(element, str | bool):
        code = element if isinstance(element, str) else "true" if element else "false"
        yield f"{parameter}#{terms.bounded(code)}"
        if type == "string" and (folded := code.casefold()) != code:
            yield f"{parameter}#{terms.bounded(folded)}"


def parse(raw: str) -> Token:
    """Read one value, its escapes still in it."""
    parts = [unescape(part) for part in split(raw, "|")]
    match parts:
        case [code] if code:
            return Token(None, code)
        case [system, code] if system or code:
            return Token(system, code or None)
        case [_] | [_, _]:
            raise Invalid("A token must have a code or a system: `code`, `system|code`, `|code` or `system|`.")
    raise Invalid("A token has at most one bar between system and code; a bar within either is written `\\|`.")


def parse_of_type(raw: str) -> OfType:
    """Read one value of ``:of-type``."""
    parts = [unescape(part) for part in split(raw, "|")]
    if len(parts) != 3 or not all(parts):  # noqa: PLR2004 - as the sentence says
        raise Invalid("The value must be `system|code|value`: the type of the identifier, and its value.")
    return OfType(*parts)


def predicate(
    parameter: str,
    wanted: Sequence[Token],
    modifier: str | None = None,
    implied: Collection[tuple[str, str]] = (),
) -> Predicate:
    """Entries that carry one of the tokens; with ``:not``, those that carry none, or no token at all.

    ``implied`` are the ``(system, code)`` of the bindings where the elements are codes.
    """
    exact: list[str] = []
    systems: list[Predicate] = []
    for token in wanted:
        exact += spelled(parameter, token, implied)
        if token.code is None:
            systems.append(Prefix(f"{parameter}={terms.system(token.system or '')}|"))
    found = any_of([one_of(Field.TERMS, *exact), *systems])
    return negate(found) if modifier == "not" else found


def spelled(parameter: str, token: Token, implied: Collection[tuple[str, str]] = ()) -> list[str]:
    """The terms that carry a token; of a system alone, those of the codes its binding implies."""
    if token.system is None:
        return [f"{parameter}#{terms.bounded(token.code or '')}"]
    found = [
        f"{parameter}#{terms.bounded(code)}"
        for system, code in implied
        if system == token.system and token.code in (None, code)
    ]
    if token.code is not None:
        found.append(f"{parameter}={terms.system(token.system)}|{terms.bounded(token.code)}")
    return found


def called(parameter: str, wanted: Sequence[str]) -> Predicate:
    """Entries in which what a code is called begins with one of these, folded."""
    return any_of([Prefix(f"{parameter}:text={text}") for text in wanted])


def of_type(parameter: str, wanted: Sequence[OfType]) -> Predicate:
    """Entries with an identifier of one of these types with its value."""
    return one_of(Field.TERMS, *(_of_type(parameter, one.system, one.code, one.value) for one in wanted))


def _codings(concept: Json) -> list[Json]:
    codings = concept.get("coding") if isinstance(concept, dict) else None
    return codings if isinstance(codings, list) else []


def _coding(parameter: str, coding: Json) -> Iterator[str]:
    yield from _within_system(parameter, coding, "code")
    if isinstance(coding, dict):
        yield from _called(parameter, coding.get("display"))


def _typed(parameter: str, identifier: JsonObject) -> Iterator[str]:
    type, value = identifier.get("type"), identifier.get("value")
    if not isinstance(type, dict):
        return
    yield from _called(parameter, type.get("text"))
    for coding in _codings(type):
        if isinstance(coding, dict) and isinstance(value, str):
            system, code = coding.get("system"), coding.get("code")
            if isinstance(system, str) and isinstance(code, str):
                yield _of_type(parameter, system, code, value)


def _of_type(parameter: str, system: str, code: str, value: str) -> str:
    return f"{parameter}:of-type={terms.system(system)}|{terms.system(code)}|{terms.bounded(value)}"


def _called(parameter: str, text: Json) -> Iterator[str]:
    if isinstance(text, str) and (folded := string.fold(text)):
        yield f"{parameter}:text={folded[: string.LONGEST]}"


def _within_system(parameter: str, element: Json, member: str) -> Iterator[str]:
    if not isinstance(element, dict) or not isinstance(value := element.get(member), str):
        return
    value = terms.bounded(value)
    system = element.get("system")
    yield f"{parameter}={terms.system(system) if isinstance(system, str) else ''}|{value}"
    yield f"{parameter}#{value}"

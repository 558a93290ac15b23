"""token: a code, perhaps within a system. https://hl7.org/fhir/R4/search.html#token

- Codes, systems and values of identifiers are compared exactly, case included; a ``string``, such as a version,
  whatever its case.
- A ``code`` has the system its binding implies (``status=http://hl7.org/fhir/observation-status|final``). A
  ``boolean``, ``string``, ``uri`` or ``id`` has none: it is found by the code alone, by ``system|code`` or ``|code``
  never.
- A system of codes that has several names (``http://loinc.org``, TRE_A04, an OID) is found under each, whichever is
  asked for (:func:`fhir_server.search.clauses.spellings`).
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

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from fhir_server.fhir.errors import Invalid
from fhir_server.fhir.json import Json, JsonObject
from fhir_server.search import terms
from fhir_server.search.messages import told
from fhir_server.search.predicate import Field, Predicate, Prefix, any_of, negate, one_of
from fhir_server.search.types import string
from fhir_server.search.values import split, unescape

MODIFIERS: Final = frozenset({"missing", "not", "text", "of-type", "in", "not-in", "above", "below"})
"""https://hl7.org/fhir/R4/search.html#modifiers"""

PRIMITIVES: Final = frozenset({"code", "boolean", "string", "uri", "id", "canonical", "url", "oid", "uuid", "markdown"})


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


def extract(parameter: str, element: Json, type: str) -> list[str]:
    """The terms an element is found by."""
    return [parameter + fragment for fragment in fragments(element, type)]


def fragments(element: Json, type: str) -> list[str]:
    """The same without the code of a parameter before them."""
    if isinstance(element, dict):
        return _OF_TYPES[type](element) if type in _OF_TYPES else []
    if type in PRIMITIVES and isinstance(element, str | bool):
        code = element if isinstance(element, str) else "true" if element else "false"
        found = [f"#{terms.bounded(code)}"]
        if type == "string" and (folded := code.casefold()) != code:
            found.append(f"#{terms.bounded(folded)}")
        return found
    return []


def parse(raw: str) -> Token:
    """Read one value, its escapes still in it."""
    parts = [unescape(part) for part in split(raw, "|")]
    match parts:
        case [code] if code:
            return Token(None, code)
        case [system, code] if system or code:
            return Token(system, code or None)
        case [_] | [_, _]:
            raise Invalid(told("token-empty"))
    raise Invalid(told("token-bars"))


def parse_of_type(raw: str) -> OfType:
    """Read one value of ``:of-type``."""
    parts = [unescape(part) for part in split(raw, "|")]
    if len(parts) != 3 or not all(parts):  # noqa: PLR2004 - as the sentence says
        raise Invalid(told("of-type-form"))
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
    return one_of(Field.TERMS, *(parameter + _of_type(one.system, one.code, one.value) for one in wanted))


def _concept(concept: JsonObject) -> list[str]:
    found: list[str] = []
    for coding in _codings(concept):
        found += _coding(coding)
    return found + _called(concept.get("text"))


def _codings(concept: JsonObject) -> list[JsonObject]:
    codings = concept.get("coding")
    return [one for one in codings if isinstance(one, dict)] if isinstance(codings, list) else []


def _coding(coding: JsonObject) -> list[str]:
    return _within_system(coding, "code") + _called(coding.get("display"))


def _identifier(identifier: JsonObject) -> list[str]:
    found = _within_system(identifier, "value")
    type, value = identifier.get("type"), identifier.get("value")
    if isinstance(type, dict):
        found += _called(type.get("text"))
        for coding in _codings(type):
            system, code = coding.get("system"), coding.get("code")
            if isinstance(value, str) and isinstance(system, str) and isinstance(code, str):
                found.append(_of_type(system, code, value))
    return found


def _contact(contact: JsonObject) -> list[str]:
    return _within_system(contact, "value")


_OF_TYPES: Final[Mapping[str, Callable[[JsonObject], list[str]]]] = {
    "CodeableConcept": _concept,
    "Coding": _coding,
    "Identifier": _identifier,
    "ContactPoint": _contact,
}
TYPES: Final = PRIMITIVES | _OF_TYPES.keys()
"""The types of element a token is found in."""


def _of_type(system: str, code: str, value: str) -> str:
    return f":of-type={terms.system(system)}|{terms.system(code)}|{terms.bounded(value)}"


def _called(text: Json) -> list[str]:
    folded = string.fold(text) if isinstance(text, str) else ""
    return [f":text={folded[: string.LONGEST]}"] if folded else []


def _within_system(element: JsonObject, member: str) -> list[str]:
    value, system = element.get(member), element.get("system")
    if not isinstance(value, str):
        return []
    value = terms.bounded(value)
    return [f"={terms.system(system) if isinstance(system, str) else ''}|{value}", f"#{value}"]

"""token: a code, perhaps within a system. https://hl7.org/fhir/R4/search.html#token

- Codes, systems and values of identifiers are compared exactly, case included.
- A ``code``, ``boolean``, ``string``, ``uri`` or ``id`` has no system of its own: it is found by the code alone, and
  by ``system|code`` or ``|code`` never.
- A ContactPoint is found by its value; its system (``phone``, ``email``) stands for the system.
- The text of a CodeableConcept or Coding is not searched (that is ``:text``, not supported).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from fhir_server.fhir.errors import Invalid
from fhir_server.fhir.json import Json
from fhir_server.search import terms
from fhir_server.search.predicate import Field, Predicate, Prefix, any_of, negate, one_of
from fhir_server.search.values import split, unescape

MODIFIERS: Final = frozenset({"not"})
"""https://hl7.org/fhir/R4/search.html#modifiers, those supported."""

PRIMITIVES: Final = frozenset({"code", "boolean", "string", "uri", "id", "canonical", "url", "oid", "uuid", "markdown"})
TYPES: Final = PRIMITIVES | {"Coding", "CodeableConcept", "Identifier", "ContactPoint"}
"""The types of element a token is found in."""

_MEMBERS: Final = {"Coding": "code", "Identifier": "value", "ContactPoint": "value"}


@dataclass(frozen=True, slots=True)
class Token:
    """``code`` (system ``None``), ``|code`` (system empty), ``system|code``, or ``system|`` (code ``None``)."""

    system: str | None
    code: str | None


def extract(parameter: str, element: Json, type: str) -> Iterator[str]:
    """The terms an element is found by."""
    if isinstance(element, dict):
        if type == "CodeableConcept":
            codings = element.get("coding")
            for coding in codings if isinstance(codings, list) else ():
                yield from _within_system(parameter, coding, "code")
        elif type in _MEMBERS:
            yield from _within_system(parameter, element, _MEMBERS[type])
    elif type in PRIMITIVES and isinstance(element, str | bool):
        code = element if isinstance(element, str) else "true" if element else "false"
        yield f"{parameter}#{terms.bounded(code)}"


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


def predicate(parameter: str, wanted: Sequence[Token], modifier: str | None = None) -> Predicate:
    """Entries that carry one of the tokens; with ``:not``, those that carry none, or no token at all."""
    exact: list[str] = []
    systems: list[Predicate] = []
    for token in wanted:
        if token.system is None:
            exact.append(f"{parameter}#{terms.bounded(token.code or '')}")
        elif token.code is None:
            systems.append(Prefix(f"{parameter}={terms.system(token.system)}|"))
        else:
            exact.append(f"{parameter}={terms.system(token.system)}|{terms.bounded(token.code)}")
    found = any_of([one_of(Field.TERMS, *exact), *systems])
    return negate(found) if modifier == "not" else found


def _within_system(parameter: str, element: Json, member: str) -> Iterator[str]:
    if not isinstance(element, dict) or not isinstance(value := element.get(member), str):
        return
    value = terms.bounded(value)
    system = element.get("system")
    yield f"{parameter}={terms.system(system) if isinstance(system, str) else ''}|{value}"
    yield f"{parameter}#{value}"

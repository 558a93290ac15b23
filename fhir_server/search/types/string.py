"""string: the beginning of a text, whatever case and accents. https://hl7.org/fhir/R4/search.html#string

A name or an address is found by each of its parts (``family``, each ``given``, ``city``, ...) and by its text.
The first :data:`LONGEST` characters of a text are compared; a query that asks for more is refused, so that no answer
is wrong.
``:exact`` and ``:contains`` are not supported.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from typing import Final

from fhir_server.fhir.errors import Invalid
from fhir_server.fhir.json import Json
from fhir_server.search.predicate import Predicate, Prefix, any_of
from fhir_server.search.values import unescape

MODIFIERS: Final[frozenset[str]] = frozenset()
LONGEST: Final = 200
"""Characters of a folded text that are kept and may be asked."""

PRIMITIVES: Final = frozenset({"string", "markdown", "code", "id", "uri", "url"})
PARTS: Final = {
    "HumanName": ("text", "family", "given", "prefix", "suffix"),
    "Address": ("text", "line", "city", "district", "state", "country", "postalCode"),
}
TYPES: Final = PRIMITIVES | PARTS.keys()
"""The types of element a string is found in."""

_LETTERS: Final = str.maketrans(
    {"œ": "oe", "æ": "ae", "ø": "o", "ł": "l", "đ": "d", "’": "'", "‘": "'", "ʼ": "'", "`": "'", "´": "'", "ʹ": "'"}
)
"""Letters without a decomposition in Unicode, and what people type for an apostrophe."""


def fold(text: str) -> str:
    """The text without case, accents, ligatures and superfluous space: ``Hélène  D’Almeida``, ``helene d'almeida``."""
    if not text.isascii():
        plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
        text = "".join(letter for letter in plain if not unicodedata.combining(letter))
    return " ".join(text.lower().translate(_LETTERS).split())


def extract(parameter: str, element: Json, type: str) -> Iterator[str]:
    """The terms an element is found by."""
    if isinstance(element, str):
        if type in PRIMITIVES and (folded := fold(element)):
            yield f"{parameter}={folded[:LONGEST]}"
    elif isinstance(element, dict):
        for part in PARTS.get(type, ()):
            value = element.get(part)
            for text in value if isinstance(value, list) else (value,):
                if isinstance(text, str) and (folded := fold(text)):
                    yield f"{parameter}={folded[:LONGEST]}"


def parse(raw: str) -> str:
    """Read one value, its escapes still in it: the folded text."""
    folded = fold(unescape(raw))
    if not folded:
        raise Invalid("A string to search must have at least one letter, digit or sign.")
    if len(folded) > LONGEST:
        raise Invalid(f"A string search compares at most {LONGEST} characters; this one has {len(folded)}.")
    return folded


def predicate(parameter: str, wanted: Sequence[str], modifier: str | None = None) -> Predicate:  # noqa: ARG001 - none yet
    """Entries with a text that begins with one of these."""
    return any_of([Prefix(f"{parameter}={text}") for text in wanted])

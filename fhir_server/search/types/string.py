"""string: the beginning of a text, whatever case and accents. https://hl7.org/fhir/R4/search.html#string

A name or an address is found by each of its parts (``family``, each ``given``, ``city``, ...) and by its text.

=============  ====================================================================================================
(none)         an element's text begins with this, folded (:func:`fold`)
``:contains``  it holds this anywhere, folded
``:exact``     it is this, letter by letter
=============  ====================================================================================================

The first :data:`LONGEST` characters of a folded text are indexed and may be asked. Of a longer text the whole is kept
beside them (``ix.t``), so that ``:contains`` looks at all of it.

Types that people search without naming a record (:data:`TAILED`) carry each text's *tails* too, the
:data:`TAIL` characters from each of its positions, so that ``:contains`` is a beginning there and walks an index.
Within a record there are few enough to look at each.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Final

from fhir_server.fhir.errors import Invalid
from fhir_server.fhir.json import Json
from fhir_server.record.elements import DIRECTORY
from fhir_server.search import terms
from fhir_server.search.messages import told
from fhir_server.search.predicate import Contains, Field, Predicate, Prefix, all_of, any_of, one_of
from fhir_server.search.values import unescape

MODIFIERS: Final = frozenset({"missing", "exact", "contains"})
LONGEST: Final = 200
"""Characters of a folded text that are kept in the index and may be asked."""
TAIL: Final = 16
"""Characters of a tail."""
TAILED: Final = DIRECTORY | {"Patient", "Person", "RelatedPerson"}
"""Types whose texts carry their tails."""

PRIMITIVES: Final = frozenset({"string", "markdown", "code", "id", "uri", "url"})
PARTS: Final = {
    "HumanName": ("text", "family", "given", "prefix", "suffix"),
    "Address": ("text", "line", "city", "district", "state", "country", "postalCode"),
}
TYPES: Final = PRIMITIVES | PARTS.keys()
"""The types of element a string is found in."""

_LONG: Final = "~\x01"
"""Ends the term of an entry that has a text longer than its tails reach."""

_LETTERS: Final = str.maketrans(
    {"œ": "oe", "æ": "ae", "ø": "o", "ł": "l", "đ": "d", "’": "'", "‘": "'", "ʼ": "'", "`": "'", "´": "'", "ʹ": "'"}
)
"""Letters without a decomposition in Unicode, and what people type for an apostrophe."""


_MOST_KNOWN: Final = 4096


class _Plain(dict[int, str | None]):
    """What becomes of each character once it is decomposed: the accents go. Learnt as they come, not all of Unicode."""

    def __missing__(self, code: int) -> str | None:
        plain = None if unicodedata.combining(chr(code)) else chr(code)
        if len(self) < _MOST_KNOWN:
            self[code] = plain
        return plain


_PLAIN: Final = _Plain(_LETTERS)


def fold(text: str) -> str:
    """The text without case, accents, ligatures and superfluous space: ``Hélène  D’Almeida``, ``helene d'almeida``."""
    if text.isascii():
        return " ".join(text.lower().translate(_LETTERS).split())
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    return " ".join(plain.lower().translate(_PLAIN).split())


def texts(element: Json, type: str) -> list[str]:
    """The texts of an element, as written."""
    if isinstance(element, str):
        return [element] if type in PRIMITIVES else []
    found: list[str] = []
    if isinstance(element, dict):
        for part in PARTS.get(type, ()):
            value = element.get(part)
            if isinstance(value, str):
                found.append(value)
            elif isinstance(value, list):
                found += [text for text in value if isinstance(text, str)]
    return found


def extract(parameter: str, element: Json, type: str, *, tailed: bool = False) -> list[str]:
    """The terms an element is found by; ``tailed``: its type is of those that carry tails."""
    found = (fragments(text, fold(text), tailed=tailed) for text in texts(element, type))
    return [parameter + fragment for of_text in found for fragment in of_text]


def fragments(text: str, folded: str, *, tailed: bool = False) -> list[str]:
    """What a text, given as it is and folded, is found by: terms without the code of a parameter before them."""
    if not folded:
        return []
    found = [f"={folded[:LONGEST]}", f":exact={terms.bounded(text)}"]
    if tailed:
        found += [f"~{folded[at : at + TAIL]}" for at in range(min(len(folded), LONGEST))]
        if len(folded) > LONGEST:
            found.append(_LONG)
    return found


def parse(raw: str, modifier: str | None = None) -> str:
    """Read one value, its escapes still in it: the folded text, with ``:exact`` the text as it is."""
    text = unescape(raw)
    folded = fold(text)
    if not folded:
        raise Invalid(told("string-empty"))
    if modifier == "exact":
        return text
    if len(folded) > LONGEST:
        raise Invalid(told("string-too-long", most=LONGEST, number=len(folded)))
    return folded


def predicate(parameter: str, wanted: Sequence[str], modifier: str | None = None, *, tailed: bool = False) -> Predicate:
    """Entries with a text that begins with one of these, holds it, or is it."""
    match modifier:
        case "exact":
            return one_of(Field.TERMS, *(f"{parameter}:exact={terms.bounded(text)}" for text in wanted))
        case "contains":
            return any_of([_holding(parameter, text, tailed=tailed) for text in wanted])
        case _:
            return any_of([Prefix(f"{parameter}={text}") for text in wanted])


def _holding(parameter: str, text: str, *, tailed: bool) -> Predicate:
    """By a tail where there are tails: of a longer text its first characters find, and the rest is looked at."""
    holds = Contains(f"{parameter}=", text)
    if not tailed:
        return holds
    found: Predicate = Prefix(f"{parameter}~{text[:TAIL]}")
    if len(text) > TAIL:
        found = all_of([found, holds])
    return any_of([found, all_of([one_of(Field.TERMS, f"{parameter}{_LONG}"), holds])])

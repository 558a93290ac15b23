"""uri: an identifier of the web, compared exactly. https://hl7.org/fhir/R4/search.html#uri

A canonical is found with its version and without.

===========  ======================================================================================================
(none)       this
``:below``   this, and what starts with it: ``http://acme.org/fhir/`` and ``http://acme.org/fhir/ValueSet/1``
``:above``   this, and what it starts with
===========  ======================================================================================================

They are for URLs alone; a ``urn:`` is itself alone. The standard compares texts, not the parts between slashes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from fhir_server.fhir.errors import Invalid
from fhir_server.fhir.json import Json
from fhir_server.search import terms
from fhir_server.search.messages import told
from fhir_server.search.predicate import Field, Predicate, Prefix, any_of, one_of
from fhir_server.search.values import unescape

MODIFIERS: Final = frozenset({"missing", "above", "below"})
TYPES: Final = frozenset({"uri", "url", "canonical", "oid", "uuid"})
"""The types of element a uri is found in."""


def extract(parameter: str, element: Json, type: str) -> list[str]:
    """The terms an element is found by."""
    return [parameter + fragment for fragment in fragments(element, type)]


def fragments(element: Json, type: str) -> list[str]:
    """The same without the code of a parameter before them."""
    if not isinstance(element, str) or type not in TYPES:
        return []
    found = [f"={terms.bounded(element)}"]
    if type == "canonical" and "|" in element:
        found.append(f"={terms.bounded(element.partition('|')[0])}")
    return found


def parse(raw: str) -> str:
    """Read one value, its escapes still in it."""
    text = unescape(raw)
    if not text:
        raise Invalid(told("uri-empty"))
    return text


def predicate(parameter: str, wanted: Sequence[str], modifier: str | None = None) -> Predicate:
    """Entries that carry one of these, or one under or above it."""
    match modifier:
        case "below":
            return any_of([_below(parameter, text) for text in wanted])
        case "above":
            return one_of(
                Field.TERMS, *(f"{parameter}={terms.bounded(each)}" for text in wanted for each in _over(text))
            )
        case _:
            return one_of(Field.TERMS, *(f"{parameter}={terms.bounded(text)}" for text in wanted))


def _below(parameter: str, text: str) -> Predicate:
    return beginning(parameter, text) if _is_url(text) else one_of(Field.TERMS, f"{parameter}={terms.bounded(text)}")


def beginning(parameter: str, text: str) -> Predicate:
    """Entries that carry what starts with this."""
    if len(text.encode()) > terms.KEPT:
        raise Invalid(told("url-too-long", most=terms.KEPT))
    return Prefix(f"{parameter}={text}")


def _over(text: str) -> list[str]:
    """The URL and each URL that it starts with."""
    if not _is_url(text):
        return [text]
    start = text.index("://") + len("://")
    return [text[:end] for end in range(start + 1, len(text) + 1)]


def _is_url(text: str) -> bool:
    return "://" in text

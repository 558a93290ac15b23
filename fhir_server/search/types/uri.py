"""uri: an identifier of the web, compared exactly. https://hl7.org/fhir/R4/search.html#uri

A canonical is found with its version and without. ``:above`` and ``:below`` are not supported.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from fhir_server.fhir.errors import Invalid
from fhir_server.fhir.json import Json
from fhir_server.search import terms
from fhir_server.search.predicate import Field, Predicate, one_of
from fhir_server.search.values import unescape

MODIFIERS: Final[frozenset[str]] = frozenset()
TYPES: Final = frozenset({"uri", "url", "canonical", "oid", "uuid"})
"""The types of element a uri is found in."""


def extract(parameter: str, element: Json, type: str) -> Iterator[str]:
    """The terms an element is found by."""
    if isinstance(element, str) and type in TYPES:
        yield f"{parameter}={terms.bounded(element)}"
        if type == "canonical" and "|" in element:
            yield f"{parameter}={terms.bounded(element.partition('|')[0])}"


def parse(raw: str) -> str:
    """Read one value, its escapes still in it."""
    text = unescape(raw)
    if not text:
        raise Invalid("A uri to search must not be empty.")
    return text


def predicate(parameter: str, wanted: Sequence[str], modifier: str | None = None) -> Predicate:  # noqa: ARG001 - none yet
    """Entries that carry one of these."""
    return one_of(Field.TERMS, *(f"{parameter}={terms.bounded(text)}" for text in wanted))

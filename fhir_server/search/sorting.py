"""The keys of ``_sort``: what of an entry a list is ordered by.

https://hl7.org/fhir/R4/search.html#sort

Three scalars have indexes of their own, so a page in their order is a walk: ``_id``, ``_lastUpdated``, and the main
date of a type. All other keys are taken from the search entries: of several values the one that comes first in the
order asked. What has no value comes last, whichever the direction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeAlias

from fhir_server.fhir.errors import Invalid
from fhir_server.search.asked import NotSupported
from fhir_server.search.messages import told
from fhir_server.search.parameter import Parameter
from fhir_server.search.parameters import Parameters

MOST_KEYS: Final = 5
"""Keys that one search may be sorted by."""


class SortField(StrEnum):
    """Scalars of an entry that have an index."""

    ID = "_id"
    LAST_UPDATED = "at"
    ON = "on"


@dataclass(frozen=True, slots=True)
class OfTerms:
    """The terms that begin so: of strings, uris and references after ``=``, of tokens the codes after ``#``."""

    head: str
    of_record: bool = False
    """A reference to the Patient of the record is no term: the entry's ``record`` stands for it."""
    points: bool = False
    """They are references, or uris that may be some, and the requester may not see all of them."""


@dataclass(frozen=True, slots=True)
class OfIntervals:
    """The intervals of this parameter: by their beginning, or by their end where that is open."""

    parameter: str


Source: TypeAlias = SortField | OfTerms | OfIntervals


@dataclass(frozen=True, slots=True)
class SortKey:
    """One key; ``_id`` ascending always breaks ties."""

    source: Source
    descending: bool
    code: str = ""


NEWEST_FIRST: Final = (SortKey(SortField.ON, descending=True),)
"""The order when the query does not say."""


def sort(raw: str, types: tuple[str, ...], parameters: Parameters) -> tuple[SortKey, ...]:
    """The keys of ``_sort``, each once."""
    texts = [text.strip() for text in raw.split(",")]
    if "" in texts:
        raise Invalid(told("sort-empty"))
    if len(texts) > MOST_KEYS:
        raise Invalid(told("sort-keys", number=len(texts), most=MOST_KEYS))
    keys: dict[str, SortKey] = {}
    for text in texts:
        code = text.removeprefix("-")
        if not code:
            raise Invalid(told("sort-empty"))
        keys.setdefault(code, SortKey(_source(code, types, parameters), text.startswith("-"), code))
    found = tuple(keys.values())
    for at, key in enumerate(found):
        if key.source is SortField.ID:
            return found[: at + 1]  # no two entries have the same: what follows decides nothing
    return found


def _source(code: str, types: Sequence[str], parameters: Parameters) -> Source:
    if code == "_id":
        return SortField.ID
    if code == "_lastUpdated":
        return SortField.LAST_UPDATED
    if code == "_score":
        raise NotSupported(told("sort-score"))
    if ":" in code or "." in code:
        raise NotSupported(told("sort-modifier", name=code[:80]))
    if all(parameters.sort_dates.get(type) == code for type in types):
        return SortField.ON
    known = [one for type in types if (one := parameters.get(type, code)) is not None]
    if not known:
        if len(types) == 1:
            raise NotSupported(told("sort-unknown", name=code[:80], types=types[0]))
        raise NotSupported(told("sort-unknown-any", name=code[:80]))
    sources = {_of_parameter(one) for one in known}
    if len(sources) > 1:
        raise NotSupported(told("sort-meanings", name=code))
    return sources.pop()


def _of_parameter(parameter: Parameter) -> Source:
    code = parameter.code
    if not parameter.supported or parameter.is_phonetic or parameter.type == "composite":
        raise NotSupported(told("sort-not-supported", name=code, type=parameter.type))
    match parameter.type:
        case "date" | "number" | "quantity":
            return OfIntervals(code)
        case "token":
            return OfTerms(f"{code}#")
        case "reference":
            return OfTerms(f"{code}=", of_record=parameter.of_record, points=True)
        case "uri":
            return OfTerms(f"{code}=", points=True)
        case _:
            return OfTerms(f"{code}=")

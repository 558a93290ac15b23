"""Parameters that say what the answer is like, not what is looked for.

https://hl7.org/fhir/R4/search.html#return
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from fhir_server.fhir.errors import Invalid
from fhir_server.search.clauses import Asked, NotSupported
from fhir_server.search.parameters import Parameters

RESULT_PARAMETERS: Final = frozenset({"_sort", "_count", "_total", "_summary", "_include", "_revinclude", "_page"})
"""Those supported; ``_page`` is this server's own."""

REPEATABLE: Final = frozenset({"_include", "_revinclude"})

NOT_SUPPORTED: Final = frozenset(
    {"_has", "_filter", "_text", "_content", "_query", "_list", "_contained", "_containedType", "_elements", "_score"}
)
"""Parameters of the standard that this server does not have yet."""


class SortField(StrEnum):
    """What a list can be ordered by: fields of an entry, so that a page in order walks one index."""

    ID = "_id"
    LAST_UPDATED = "at"
    ON = "on"


class Total(StrEnum):
    """https://hl7.org/fhir/R4/search.html#total"""

    NONE = "none"
    ESTIMATE = "estimate"
    ACCURATE = "accurate"


class Summary(StrEnum):
    """https://hl7.org/fhir/R4/search.html#summary, those supported."""

    FALSE = "false"
    COUNT = "count"


@dataclass(frozen=True, slots=True)
class SortKey:
    """One key; ``_id`` ascending always breaks ties."""

    field: SortField
    descending: bool


NEWEST_FIRST: Final = SortKey(SortField.ON, descending=True)
"""The order when the query does not say."""


@dataclass(frozen=True, slots=True)
class Include:
    """https://hl7.org/fhir/R4/search.html#include, one hop."""

    source: str
    parameter: str
    target: str | None = None


def sort(raw: str, types: tuple[str, ...], sort_dates: Mapping[str, str]) -> SortKey:
    """The key of ``_sort``: ``_id``, ``_lastUpdated``, or the main date of every type searched."""
    keys = [key.strip() for key in raw.split(",")]
    if len(keys) == 2 and keys[1] == "_id":  # noqa: PLR2004 - the order that breaks ties anyway
        keys.pop()
    if len(keys) > 1:
        raise NotSupported("Sorting by several keys is not supported yet.")
    name = keys[0].removeprefix("-")
    descending = keys[0].startswith("-")
    if not name:
        raise Invalid("A key to sort by is empty.")
    if name == "_id":
        return SortKey(SortField.ID, descending)
    if name == "_lastUpdated":
        return SortKey(SortField.LAST_UPDATED, descending)
    dates = {sort_dates.get(type) for type in types}
    if dates == {name}:
        return SortKey(SortField.ON, descending)
    (date,) = dates if len(dates) == 1 else (None,)
    known = ", ".join(key for key in ("_id", "_lastUpdated", date) if key)
    raise NotSupported(f"Sorting by {name!r} is not supported; these are: {known}.")


def count(raw: str) -> int:
    """The number of ``_count``."""
    if not (raw.isascii() and raw.isdigit()):
        raise Invalid("_count must be a whole number, 0 or more.")
    return int(raw)


def total(raw: str) -> Total:
    """The value of ``_total``."""
    try:
        return Total(raw)
    except ValueError:
        raise Invalid(f"_total must be one of {', '.join(Total)}.") from None


def summary(raw: str) -> Summary:
    """The value of ``_summary``."""
    if raw in {"true", "text", "data"}:
        raise NotSupported(f"_summary={raw} is not supported yet; {' and '.join(Summary)} are.")
    try:
        return Summary(raw)
    except ValueError:
        raise Invalid("_summary must be one of true, text, data, count, false.") from None


def include(asked: Asked, types: tuple[str, ...], parameters: Parameters) -> Include:
    """One ``_include`` or ``_revinclude``: ``Type:parameter`` or ``Type:parameter:Target``."""
    if asked.suffix:
        raise Invalid(f"The modifier {asked.suffix!r} is not supported: this server includes one hop.")
    if asked.raw == "*" or asked.raw.endswith(":*"):
        raise NotSupported("Including everything with * is not supported yet: name the parameters.")
    parts = asked.raw.split(":")
    if len(parts) not in {2, 3}:
        raise Invalid("The value must be `Type:parameter` or `Type:parameter:Target`.")
    source, code, *targets = parts
    target = targets[0] if targets else None
    if source not in parameters.resource_types:
        raise Invalid(f"{source[:80]!r} is not a resource type.")
    parameter = parameters.get(source, code)
    if parameter is None or parameter.type != "reference":
        raise Invalid(f"{code[:80]!r} is not a reference parameter of {source}.")
    if target is not None and target not in parameter.targets:
        raise Invalid(f"{source}:{code} cannot point to {target[:80]!r}.")
    reached = (target,) if target else parameter.targets
    if asked.code == "_include" and source not in types:
        raise Invalid(f"Nothing would be included: {source} is not searched here.")
    if asked.code == "_revinclude" and not set(reached) & set(types):
        raise Invalid(f"Nothing would be included: {source}:{code} does not point to {' or '.join(types[:5])}.")
    return Include(source, code, target)

"""Parameters that say what the answer is like, not what is looked for.

https://hl7.org/fhir/R4/search.html#return
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from fhir_server.fhir.errors import Invalid
from fhir_server.fhir.joining import either
from fhir_server.search.asked import Asked
from fhir_server.search.messages import told
from fhir_server.search.parameters import Parameters

RESULT_PARAMETERS: Final = frozenset(
    {"_sort", "_count", "_total", "_summary", "_elements", "_include", "_revinclude", "_page"}
)
"""Those supported; ``_page`` is this server's own."""

REPEATABLE: Final = frozenset({"_include", "_revinclude"})

NOT_SUPPORTED: Final = frozenset({"_text", "_content", "_query", "_contained", "_containedType", "_score"})
"""Parameters of the standard that this server does not have."""

ITERATE: Final = frozenset({":iterate", ":recurse"})
"""The modifier of includes, and its name before R4."""


class Total(StrEnum):
    """https://hl7.org/fhir/R4/search.html#total"""

    NONE = "none"
    ESTIMATE = "estimate"
    ACCURATE = "accurate"


@dataclass(frozen=True, slots=True)
class Include:
    """https://hl7.org/fhir/R4/search.html#include"""

    source: str
    """A resource type, or ``*``: whatever was found."""
    parameter: str
    """A reference parameter, or ``*``: each there is."""
    target: str | None = None
    iterate: bool = False
    """Also of what was included."""


def count(raw: str) -> int:
    """The number of ``_count``."""
    if not (raw.isascii() and raw.isdigit()):
        raise Invalid(told("count"))
    return int(raw)


def total(raw: str) -> Total:
    """The value of ``_total``."""
    try:
        return Total(raw)
    except ValueError:
        raise Invalid(told("total", known=", ".join(Total))) from None


def include(asked: Asked, types: tuple[str, ...], parameters: Parameters) -> Include:
    """One ``_include`` or ``_revinclude``: ``Type:parameter``, ``Type:parameter:Target``, ``Type:*`` or ``*``."""
    if asked.suffix and asked.suffix not in ITERATE:
        raise Invalid(told("include-modifier", modifier=asked.suffix))
    iterate = bool(asked.suffix)
    if asked.raw == "*":
        return Include("*", "*", None, iterate)
    parts = asked.raw.split(":")
    if len(parts) not in {2, 3}:
        raise Invalid(told("include-form"))
    source, code, *targets = parts
    target = targets[0] if targets else None
    if source not in parameters.resource_types:
        raise Invalid(told("no-type", name=source[:80]))
    if target is not None and target not in parameters.resource_types:
        raise Invalid(told("no-type", name=target[:80]))
    reached = _reached(source, code, target, parameters) if code != "*" else frozenset(types)
    if not iterate and asked.code == "_include" and source not in types:
        raise Invalid(told("include-not-searched", type=source))
    if not iterate and asked.code == "_revinclude" and reached.isdisjoint(types):
        raise Invalid(told("include-not-pointing", name=f"{source}:{code}", types=either(types[:5])))
    return Include(source, code, target, iterate)


def _reached(source: str, code: str, target: str | None, parameters: Parameters) -> frozenset[str]:
    """The types that an include by one parameter may lead to."""
    parameter = parameters.get(source, code)
    if parameter is None or parameter.type != "reference":
        raise Invalid(told("no-reference-parameter", name=code[:80], type=source))
    if target is not None and target not in parameter.targets:
        raise Invalid(told("cannot-point", name=f"{source}:{code}", type=repr(target[:80])))
    return frozenset({target} if target is not None else parameter.targets)

"""Predicates as MongoDB filters: the only place where a `$` is written from a predicate.

The twin of `search.predicate.matches`; `tests/properties/test_two_interpreters.py` keeps them equal on a real mongod.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias, assert_never

from fhir_server.search.predicate import (
    AllOf,
    Always,
    AnyOf,
    Compare,
    Contained,
    Contains,
    Field,
    Never,
    Not,
    OneOf,
    Predicate,
    Prefix,
    Span,
    Within,
    matches,
)
from fhir_server.store.expressions import contains, of_contained

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from fhir_server.search.predicate import Bound

Filter: TypeAlias = "dict[str, Any]"

NOTHING: Final[Filter] = {"_id": {"$exists": False}}
"""Matches no document, and examines none."""

_NOTHING_CONTAINED: Final[Filter] = {"p": {"$exists": False}}
"""The same of the entries of contained resources, which have no ids."""

_IMPOSSIBLE: Final = float("nan")
"""In no order to any integer or text."""

_LAST: Final = "\U0010ffff"
_BEFORE_SURROGATES: Final = "\ud7ff"
_AFTER_SURROGATES: Final = "\ue000"


def to_filter(predicate: Predicate, prefix: str = "", nothing: Filter = NOTHING) -> Filter:  # noqa: C901 - one case for each node
    """The filter that finds exactly what the predicate matches; `prefix` is put before every path.

    ``nothing`` is how nothing is said.
    """
    match predicate:
        case Always():
            return {}
        case Never():
            return nothing
        case OneOf(field, values):
            return {prefix + field: _one_of(values)}
        case Within(field, values):
            return {prefix + field: {"$not": {"$elemMatch": {"$nin": sorted(values, key=str)}}}}
        case Prefix(text):
            return {prefix + Field.TERMS: {"$elemMatch": _begins_with(text)}}
        case Compare(moment, order, bound):
            return {prefix + moment: {f"${mongo(order)}": bound}}
        case Span():
            return {prefix + "ix.r": {"$elemMatch": _bounds(predicate)}}
        case Contains(head, text):
            return {"$expr": contains(f"${prefix}", head, text)}
        case Contained():
            return _held(predicate, prefix)
        case AllOf(parts):
            return _conjunction([to_filter(part, prefix, nothing) for part in parts])
        case AnyOf(parts):
            return {"$or": [to_filter(part, prefix, nothing) for part in parts]}
        case Not(part):
            return {"$nor": [to_filter(part, prefix, nothing)]}
    assert_never(predicate)


def holds(predicate: Predicate, document: Mapping[str, Any]) -> bool:
    """Whether a document already in hand satisfies the predicate; the store's own door to `matches`."""
    return matches(predicate, document)


def _one_of(values: Iterable[Any]) -> Any:  # noqa: ANN401 - a value or an operator
    listed = sorted(values, key=lambda value: (value is not None, str(value)))
    return listed[0] if len(listed) == 1 else {"$in": listed}


def _begins_with(text: str) -> Filter:
    """From the text itself up to, and without, the least text above all that begin with it.

    MongoDB compares the bytes of UTF-8, which is the order of code points. Above U+10FFFF there is none: it is cut off,
    and of nothing but these there is no upper bound.
    """
    head = text.rstrip(_LAST)
    if not head:
        return {"$gte": text}
    following = _AFTER_SURROGATES if head[-1] == _BEFORE_SURROGATES else chr(ord(head[-1]) + 1)
    return {"$gte": text, "$lt": head[:-1] + following}


def _bounds(span: Span) -> Filter:
    bounds: Filter = {"p": span.parameter}
    if span.unit is not None:
        bounds["u"] = span.unit
    for end, order, bound in span.tests:
        held = bounds.setdefault(end, {})
        held[f"${mongo(order)}"] = _tightest(held, order, bound)
    return bounds


def _held(asked: Contained, prefix: str) -> Filter:
    """One element satisfies all of it. That there is any is said too: so the index of such resources can be used."""
    path = f"{prefix}ix.c"
    if _looks_into_texts(asked.part):
        return {path: {"$exists": True}, "$expr": of_contained(f"${prefix}", asked)}
    part = to_filter(asked.part, nothing=_NOTHING_CONTAINED)
    return {
        path: {"$exists": True, "$elemMatch": _conjunction([{"p": asked.parameter, "rt": _one_of(asked.types)}, part])}
    }


def _looks_into_texts(predicate: Predicate) -> bool:
    """Whether it is asked what texts hold, which only an expression can say, and no ``$elemMatch`` holds one."""
    match predicate:
        case Contains():
            return True
        case Contained(part=part) | Not(part):
            return _looks_into_texts(part)
        case AllOf(parts) | AnyOf(parts):
            return any(_looks_into_texts(part) for part in parts)
        case _:
            return False


def mongo(order: str) -> str:
    """The operator of a comparison, without its ``$``."""
    return {"lt": "lt", "le": "lte", "gt": "gt", "ge": "gte"}[order]


def _tightest(held: Mapping[str, Any], order: str, bound: Bound) -> Any:  # noqa: ANN401 - a bound, or what none meets
    """Two tests of one end in one direction leave the tighter one.

    An integer and a text leave what nothing satisfies: an end is one of them, and a test of the other fails.
    """
    known = held.get(f"${mongo(order)}", bound)
    if type(known) is not type(bound):
        return _IMPOSSIBLE
    return min(known, bound) if order in ("lt", "le") else max(known, bound)


def _conjunction(filters: list[Filter]) -> Filter:
    """Merge filters on distinct paths into one document, which the planner reads best; keep the rest under `$and`.

    A part that has an `$and` of its own is kept whole: merged, it would be lost to ours.
    """
    merged: Filter = {}
    rest: list[Filter] = []
    for one in filters:
        if "$and" in one or any(path in merged for path in one):
            rest.append(one)
        else:
            merged.update(one)
    return {**merged, "$and": rest} if rest else merged

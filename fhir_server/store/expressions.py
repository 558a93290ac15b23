"""Predicates as aggregation expressions: what contained resources are asked where a filter cannot say it.

A filter asks one element of an array by ``$elemMatch``, which cannot hold an expression; and what a text holds is asked
by an expression, for of what a client writes nothing becomes a regular expression. So a question about contained
resources that looks into their texts (``author.family:contains``) is an expression as a whole.

`tests/properties/test_two_interpreters.py` keeps these equal to `search.predicate.matches`, too.
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
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fhir_server.search.predicate import Bound, Order, Value

Expression: TypeAlias = "dict[str, Any]"

_COMPARES: Final = {"lt": "$lt", "le": "$lte", "gt": "$gt", "ge": "$gte"}
_TEXT: Final = "$$text"
_SPAN: Final = "$$span"
_HELD: Final = "$$held"


def contains(at: str, head: str, text: str) -> Expression:
    """A text that begins with the head holds this after it; ``at`` is put before every path, its point included."""
    texts = {"$concatArrays": [_array(f"{at}{field}") for field in (Field.TERMS, Field.TEXTS)]}
    holds = {"$gte": [{"$indexOfBytes": [_TEXT, {"$literal": text}, len(head.encode())]}, 0]}
    return _any(texts, _TEXT, {"$and": [_begins(head), holds]})


def of_contained(at: str, asked: Contained) -> Expression:
    """A contained resource satisfies the part."""
    each = [
        {"$in": [{"$literal": asked.parameter}, f"{_HELD}.p"]},
        {"$in": [f"{_HELD}.rt", _listed(asked.types)]},
        expression(asked.part, f"{_HELD}."),
    ]
    return _any(_array(f"{at}ix.c"), _HELD, {"$and": each})


def expression(predicate: Predicate, at: str) -> Expression:  # noqa: C901 - one case for each node
    """The expression that is true of exactly what the predicate matches."""
    match predicate:
        case Always():
            return {"$literal": True}
        case Never():
            return {"$literal": False}
        case OneOf(field, values):
            return _one_of(f"{at}{field}", values)
        case Within(field, values):
            path = f"{at}{field}"
            subset = {"$setIsSubset": [path, _listed(values)]}
            return {"$cond": [{"$isArray": [path]}, subset, True]}
        case Prefix(text):
            return _any(_array(f"{at}{Field.TERMS}"), _TEXT, _begins(text))
        case Compare(moment, order, bound):
            return _stands(f"{at}{moment}", order, bound)
        case Span():
            return _any(_array(f"{at}ix.r"), _SPAN, _span(predicate))
        case Contains(head, text):
            return contains(at, head, text)
        case Contained():
            return of_contained(at, predicate)
        case AllOf(parts):
            return {"$and": [expression(part, at) for part in parts]}
        case AnyOf(parts):
            return {"$or": [expression(part, at) for part in parts]}
        case Not(part):
            return {"$not": [expression(part, at)]}
    assert_never(predicate)


def _any(array: Expression, variable: str, holds: Expression) -> Expression:
    each = {"input": array, "as": variable.removeprefix("$$"), "in": holds}
    return {"$anyElementTrue": [{"$map": each}]}


def _array(path: str) -> Expression:
    return {"$ifNull": [path, []]}


def _begins(text: str) -> Expression:
    return {"$eq": [{"$indexOfBytes": [_TEXT, {"$literal": text}]}, 0]}


def _listed(values: Iterable[Value]) -> Expression:
    return {"$literal": sorted(values, key=lambda value: (value is not None, str(value)))}


def _one_of(path: str, values: Iterable[Value]) -> Expression:
    listed = _listed(values)
    of_array = {"$gt": [{"$size": {"$setIntersection": [path, listed]}}, 0]}
    return {"$cond": [{"$isArray": [path]}, of_array, {"$in": [{"$ifNull": [path, None]}, listed]}]}


def _span(span: Span) -> Expression:
    each: list[Expression] = [{"$eq": [f"{_SPAN}.p", {"$literal": span.parameter}]}]
    if span.unit is not None:
        each.append({"$in": [{"$literal": span.unit}, _array(f"{_SPAN}.u")]})
    each += [_stands(f"{_SPAN}.{end}", order, bound) for end, order, bound in span.tests]
    return {"$and": each}


def _stands(path: str, order: Order, bound: Bound) -> Expression:
    """Of two numbers or two texts; an expression would put every number before every text."""
    same = {"$eq": [{"$type": path}, "string"]} if isinstance(bound, str) else {"$isNumber": path}
    return {"$and": [same, {_COMPARES[order]: [path, {"$literal": bound}]}]}

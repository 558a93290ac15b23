"""Random predicates and entries, narrow on purpose: two fields and few values let a planted fault show soon."""

from __future__ import annotations

from typing import Any, Final

from hypothesis import strategies as st

from fhir_server.search.predicate import (
    ALWAYS,
    NEVER,
    AllOf,
    AnyOf,
    Compare,
    Contained,
    Contains,
    Field,
    Moment,
    Not,
    OneOf,
    Predicate,
    Prefix,
    Span,
    Within,
)

ABSENT: Final = object()
"""The field is not written at all; `None` is written as null."""

VALUES: Final = ("a", "b")
LETTERS: Final = "aé\ud7ff\ue000\uffff\U00010000\U0001f600\U0010ffff"
"""Around the places where UTF-8, UTF-16 and code points might be ordered differently."""

orders = st.sampled_from(["lt", "le", "gt", "ge"])
numbers = st.integers(0, 4)
terms = st.text(LETTERS, max_size=3)

scalars = st.sampled_from([*VALUES, None, ABSENT])
arrays = st.one_of(st.just(ABSENT), st.lists(st.sampled_from(VALUES), max_size=3), st.just([None]))
asked_values = st.frozensets(st.sampled_from([*VALUES, None]), max_size=3)

scalar_leaves = st.builds(OneOf, st.sampled_from([Field.CATEGORY, Field.DEPOSIT_BY]), asked_values) | st.builds(
    OneOf, st.just(Field.DEPOSIT_SECRET), st.frozensets(st.sampled_from([True, False, None]), max_size=3)
)
array_leaves = st.builds(OneOf, st.just(Field.LABELS), asked_values) | st.builds(
    Within, st.just(Field.LABELS), asked_values
)
prefix_leaves = st.builds(Prefix, terms)
term_leaves = st.builds(OneOf, st.just(Field.TERMS), st.frozensets(terms, max_size=2))
contains_leaves = st.builds(Contains, st.text(LETTERS, max_size=2), st.text(LETTERS, min_size=1, max_size=2))
compare_leaves = st.builds(Compare, st.sampled_from(Moment), orders, numbers)

BOUNDS: Final = ("0", "5!", "5!+", "750000!", "9")
"""Texts as `search.decimals` makes them, in their order."""
bounds = st.one_of(numbers, st.sampled_from(BOUNDS))
"""Of dates and of numbers: under one parameter there is never both, and a predicate must not rest on that."""
ends = st.sampled_from(["lo", "hi", "lo2", "hi2"])
units = st.sampled_from(VALUES)


def _spans(ends: st.SearchStrategy[Any], bounds: st.SearchStrategy[Any], units: Any) -> st.SearchStrategy[Predicate]:
    tests = st.lists(st.tuples(ends, orders, bounds), max_size=4).map(tuple)
    return st.builds(Span, st.sampled_from(VALUES), tests, units)


span_leaves = st.one_of(
    _spans(st.sampled_from(["lo", "hi"]), numbers, st.none()),
    _spans(st.sampled_from(["lo", "hi"]), st.sampled_from(BOUNDS), st.none() | units),
    _spans(ends, bounds, st.none() | units),
)
constants: st.SearchStrategy[Predicate] = st.sampled_from([ALWAYS, NEVER])


def nested(leaves: st.SearchStrategy[Predicate]) -> st.SearchStrategy[Predicate]:
    """Every way to put predicates together, as the nodes allow it, not as `all_of` and its like tidy it up."""
    return st.recursive(
        leaves,
        lambda parts: st.one_of(
            st.lists(parts, min_size=2, max_size=3).map(lambda some: AllOf(tuple(some))),
            st.lists(parts, min_size=2, max_size=3).map(lambda some: AnyOf(tuple(some))),
            st.builds(Not, parts),
        ),
        max_leaves=6,
    )


_of_contained: st.SearchStrategy[Predicate] = st.one_of(
    term_leaves, prefix_leaves, contains_leaves, span_leaves, compare_leaves, scalar_leaves, array_leaves, constants
)
_types = st.frozensets(st.sampled_from(VALUES), min_size=1)
_held_deeper = st.builds(Contained, st.sampled_from(VALUES), _types, nested(_of_contained))
contained_leaves = st.builds(Contained, st.sampled_from(VALUES), _types, nested(_of_contained | _held_deeper))
"""What is asked of contained resources, and of what these point to; more than is ever asked of them."""


def _intervals(bounds: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {"p": st.sampled_from(VALUES), "lo": bounds, "hi": bounds},
        optional={"lo2": bounds, "hi2": bounds, "u": st.lists(units, max_size=2)},
    )


intervals = _intervals(numbers) | _intervals(st.sampled_from(BOUNDS)) | _intervals(bounds)


def _entries_of(contained: st.SearchStrategy[Any] | None) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {},
        optional={
            "s": st.lists(terms, max_size=3),
            "r": st.lists(intervals, max_size=3),
            "t": st.lists(st.text(LETTERS, max_size=5), max_size=2),
            **({} if contained is None else {"c": st.lists(contained, max_size=2)}),
        },
    )


def _held(contained: st.SearchStrategy[Any] | None) -> st.SearchStrategy[dict[str, Any]]:
    parameters = st.lists(st.sampled_from(VALUES), min_size=1, max_size=2, unique=True)
    return st.fixed_dictionaries(
        {"p": parameters, "rt": st.sampled_from(VALUES)},
        optional={
            "ix": _entries_of(contained),
            "category": scalars.filter(lambda value: value is not ABSENT),
            "labels": arrays.filter(lambda value: value is not ABSENT),
            "at": st.one_of(numbers, st.just(None)),
        },
    )


held = _held(_held(None))


@st.composite
def entries(draw: st.DrawFn) -> dict[str, Any]:
    """A stored document, with anything that may be missing missing at times."""
    entry: dict[str, Any] = {
        "category": draw(scalars),
        "labels": draw(arrays),
        "at": draw(st.one_of(numbers, st.just(None))),
        "on": draw(st.one_of(numbers, st.just(None), st.just(ABSENT))),
        "deposit": draw(
            st.one_of(
                st.just(ABSENT),
                st.just(None),
                st.fixed_dictionaries({}, optional={"by": scalars.filter(_is_written), "secret": st.booleans()}),
            )
        ),
        "ix": draw(st.just(ABSENT) | _entries_of(held)),
    }
    return {name: value for name, value in entry.items() if _is_written(value)}


def _is_written(value: object) -> bool:
    return value is not ABSENT

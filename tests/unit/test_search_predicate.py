"""Predicates put together: tidied where that changes nothing, so that an index can be used."""

from __future__ import annotations

from typing import Final

import pytest

from fhir_server.search.predicate import (
    ALWAYS,
    NEVER,
    AllOf,
    AnyOf,
    Compare,
    Contains,
    Field,
    Moment,
    Not,
    Order,
    Prefix,
    Span,
    all_of,
    any_of,
    matches,
    negate,
    one_of,
    within,
)
from fhir_server.store.filters import NOTHING, to_filter

A, B, C = (one_of(Field.TERMS, name) for name in "abc")
ORDERS: Final[tuple[Order, ...]] = ("lt", "le", "gt", "ge")


def test_negations_are_undone() -> None:
    assert negate(ALWAYS) == NEVER
    assert negate(NEVER) == ALWAYS
    assert negate(negate(A)) == A
    assert negate(A) == Not(A)


def test_parts_are_kept_once_and_flat() -> None:
    assert all_of([]) == ALWAYS
    assert any_of([]) == NEVER
    assert all_of([A, ALWAYS, A]) == A
    assert any_of([A, NEVER, A]) == A
    assert all_of([A, NEVER]) == NEVER
    assert any_of([A, ALWAYS]) == ALWAYS
    assert all_of([A, AllOf((B, C))]) == AllOf((A, B, C))
    assert any_of([A, AnyOf((B, C))]) == AnyOf((A, B, C))
    many = [one_of(Field.TERMS, str(number)) for number in range(12)]
    assert all_of([*many, *many]) == AllOf(tuple(many))


def test_what_is_narrower_than_another_is_left_out() -> None:
    """*A or (A and B)* is *A*, which can use its index."""
    assert any_of([A, all_of([A, B])]) == A
    assert any_of([all_of([A, B]), C, A]) == AnyOf((C, A))
    assert any_of([all_of([A, B]), all_of([A, C])]) == AnyOf((AllOf((A, B)), AllOf((A, C))))


@pytest.mark.parametrize(("order", "hits"), [("lt", [1]), ("le", [1, 2]), ("gt", [3]), ("ge", [2, 3])])
def test_scalars_with_an_order(order: Order, hits: list[int]) -> None:
    entries: list[dict[str, int | None]] = [{"at": 1}, {"at": 2}, {"at": 3}, {"at": None}, {}]
    compared = Compare(Moment.LAST_UPDATED, order, 2)
    assert [one["at"] for one in entries if matches(compared, one)] == hits


def test_an_end_of_another_kind_stands_in_no_order() -> None:
    mixed = {"ix": {"r": [{"p": "a", "lo": 1, "hi": "9"}]}}
    for order in ORDERS:
        assert not matches(Span("a", (("lo", order, "5!"),)), mixed)
        assert not matches(Span("a", (("hi", order, 5),)), mixed)
        assert not matches(Span("a", (("lo2", order, 5),)), mixed)


def test_a_unit_is_one_of_the_spellings() -> None:
    entry = {"ix": {"r": [{"p": "a", "lo": "5!", "hi": "5!+", "u": ["|mg"]}, {"p": "a", "lo": "0", "hi": "9"}]}}
    assert matches(Span("a", (), "|mg"), entry)
    assert not matches(Span("a", (), "|g"), entry)
    assert not matches(Span("a", (("lo", "le", "0"),), "|mg"), entry)


def test_a_text_is_looked_for_after_its_head() -> None:
    entry = {"ix": {"s": ["name=bonjour"], "t": ["name=" + "x" * 300]}}
    assert matches(Contains("name=", "jour"), entry)
    assert matches(Contains("name=", "x" * 250), entry)
    assert not matches(Contains("name=", "name"), entry)
    assert not matches(Contains("note=", "jour"), entry)
    assert not matches(Contains("name=", "jour"), {})


def test_filters_merge_where_paths_differ() -> None:
    assert to_filter(ALWAYS) == {}
    assert to_filter(NEVER) is NOTHING
    assert to_filter(all_of([A, one_of(Field.TYPE, "List")])) == {"ix.s": "a", "rt": "List"}
    assert to_filter(all_of([A, B])) == {"ix.s": "a", "$and": [{"ix.s": "b"}]}
    assert to_filter(one_of(Field.RECORD, None, "1")) == {"record": {"$in": [None, "1"]}}
    assert to_filter(within(Field.REFERS, "b", "a")) == {"refers": {"$not": {"$elemMatch": {"$nin": ["a", "b"]}}}}
    assert to_filter(Prefix("a")) == {"ix.s": {"$elemMatch": {"$gte": "a", "$lt": "b"}}}
    span = Span("q", (("lo", "ge", "5!"), ("lo", "ge", "6"), ("hi", "lt", "9")), "|mg")
    bounds = {"p": "q", "u": "|mg", "lo": {"$gte": "6"}, "hi": {"$lt": "9"}}
    assert to_filter(span) == {"ix.r": {"$elemMatch": bounds}}

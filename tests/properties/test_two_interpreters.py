"""The gate in memory and the gate in the database are one gate.

`matches` decides on one entry already read, `to_filter` on everything the database holds. Where they disagree, a hidden
document is found by a search, or a visible one is 404. So every node is tried on a real mongod.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, TypeAlias

import pymongo
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pymongo.collection import Collection

from fhir_server.search.predicate import (
    NEVER,
    AllOf,
    AnyOf,
    Contained,
    Contains,
    Field,
    Not,
    OneOf,
    Order,
    Predicate,
    Prefix,
    Span,
    all_of,
    any_of,
    matches,
    negate,
    one_of,
)
from fhir_server.store.filters import holds, to_filter
from tests.properties import predicates as a

Entries: TypeAlias = "Collection[dict[str, Any]]"
ORDERS: Final[tuple[Order, ...]] = ("lt", "le", "gt", "ge")


@pytest.fixture(scope="module")
def collection(mongo_uri: str) -> Iterator[Entries]:
    with pymongo.MongoClient[dict[str, Any]](mongo_uri) as client:
        yield client["two_interpreters"]["entries"]
        client.drop_database("two_interpreters")


def agree(collection: Entries, entries: list[dict[str, Any]], predicates: list[Predicate]) -> None:
    """Both interpreters find the same entries, at the top of a document and under a path."""
    numbered = [{**entry, "_id": f"T/{number}"} for number, entry in enumerate(entries)]
    collection.delete_many({})
    if numbered:
        collection.insert_many([*numbered, *({"_id": f"under {one['_id']}", "current": one} for one in numbered)])
    for predicate in predicates:
        expected = {one["_id"] for one in numbered if matches(predicate, one)}
        assert {str(one["_id"]) for one in _find(collection, predicate)} == expected
        under = {f"under {id}" for id in expected}
        assert {str(one["_id"]) for one in _find_under(collection, predicate)} == under
        assert expected == {one["_id"] for one in numbered if holds(predicate, one)}


def _find(collection: Entries, predicate: Predicate) -> list[dict[str, Any]]:
    return collection.find({"$and": [{"current": None}, to_filter(predicate)]}, {"_id": 1}).to_list()


def _find_under(collection: Entries, predicate: Predicate) -> list[dict[str, Any]]:
    where = to_filter(predicate, "current.")
    return collection.find({"$and": [{"current": {"$ne": None}}, where]}, {"_id": 1}).to_list()


def together(leaves: st.SearchStrategy[Predicate]) -> st.SearchStrategy[list[Predicate]]:
    return st.lists(a.nested(leaves), min_size=1, max_size=4)


some_entries = st.lists(a.entries(), min_size=1, max_size=5)


@given(entries=some_entries, predicates=together(a.scalar_leaves | a.constants))
def test_scalars(collection: Entries, entries: list[dict[str, Any]], predicates: list[Predicate]) -> None:
    agree(collection, entries, predicates)


@given(entries=some_entries, predicates=together(a.array_leaves | a.term_leaves))
def test_arrays(collection: Entries, entries: list[dict[str, Any]], predicates: list[Predicate]) -> None:
    agree(collection, entries, predicates)


@given(entries=some_entries, predicates=together(a.compare_leaves))
def test_ordered_scalars(collection: Entries, entries: list[dict[str, Any]], predicates: list[Predicate]) -> None:
    agree(collection, entries, predicates)


@given(entries=some_entries, predicates=together(a.span_leaves))
@example(
    entries=[{"ix": {"r": [{"p": "a", "lo": 0, "hi": 1}, {"p": "a", "lo": 3, "hi": 4}]}}],
    predicates=[Span("a", (("lo", "ge", 2), ("hi", "le", 2)))],
)
@example(
    entries=[{"ix": {"r": [{"p": "a", "lo": 0, "hi": 0}, {"p": "b", "lo": 3, "hi": 3}]}}],
    predicates=[Span("a", (("lo", "ge", 3),))],
)
@example(
    entries=[{"ix": {"r": [{"p": "a", "lo": number, "hi": 4}]}} for number in range(5)],
    predicates=[Span("a", (("lo", "lt", 4), ("lo", "lt", 2), ("lo", "lt", 3), ("lo", "ge", 1), ("lo", "gt", 0)))],
)
@example(
    entries=[
        {"ix": {"r": [{"p": "a", "lo": "5!", "hi": "9", "u": ["a"]}, {"p": "a", "lo": "0", "hi": "0", "u": ["b"]}]}}
    ],
    predicates=[Span("a", (("lo", "le", "0"),), "a"), Span("a", (("lo", "ge", "5!"),), "a"), Span("a", (), "b")],
)
@example(
    entries=[{"ix": {"r": [{"p": "a", "lo": 0, "hi": 4, "lo2": 3, "hi2": 4}, {"p": "a", "lo": 3, "hi": 4, "lo2": 0}]}}],
    predicates=[
        Span("a", (("lo", "ge", 3), ("lo2", "ge", 3))),
        Span("a", (("lo", "lt", 3), ("hi2", "ge", 4))),
        Span("a", (("hi2", "lt", 3),)),
    ],
)
@example(
    entries=[{"ix": {"r": [{"p": "a", "lo": lo, "hi": hi}]}} for lo in (0, 4, "0", "9") for hi in (0, 4, "0", "9")],
    predicates=[
        # a bound of either kind on one end: nothing is both
        Span("a", (("lo", order, 2), ("lo", order, "5!"), ("lo", other, 2)))
        for order in ORDERS
        for other in ORDERS
    ]
    + [Not(Span("a", (("lo", order, "5!"), ("lo", order, 2)))) for order in ORDERS]
    + [Span("a", (("lo", "ge", 0), ("hi", "ge", "0")))],
)
def test_spans(collection: Entries, entries: list[dict[str, Any]], predicates: list[Predicate]) -> None:
    """Both ends are of the same element: of two elements, each may not lend one end."""
    agree(collection, entries, predicates)


@given(entries=some_entries, predicates=together(a.prefix_leaves))
@example(entries=[{"ix": {"s": ["a", "é"]}}], predicates=[Prefix("b")])
@example(entries=[{"ix": {"s": ["a\U0010ffff"]}}], predicates=[Prefix("a")])
@example(entries=[{"ix": {"s": ["\U0010ffff\U0010ffff"]}}], predicates=[Prefix("\U0010ffff"), Prefix("")])
@example(entries=[{"ix": {"s": ["\ue000"]}}], predicates=[Prefix("\ud7ff")])
def test_prefixes(collection: Entries, entries: list[dict[str, Any]], predicates: list[Predicate]) -> None:
    agree(collection, entries, predicates)


@given(entries=some_entries, predicates=together(a.contains_leaves))
@example(entries=[{"ix": {"s": ["é"]}}], predicates=[Contains("a", "é"), Contains("é", "a"), Contains("", "é")])
@example(entries=[{"ix": {"s": ["aé", "\ue000é"]}}], predicates=[Contains("é", "é"), Contains("aa", "é")])
@example(entries=[{"ix": {"s": ["aé"], "t": ["aéa"]}}], predicates=[Contains("aé", "a"), Contains("a", "aé")])
@example(entries=[{"ix": {"s": ["aa"]}}], predicates=[Contains("a", "a"), Contains("aa", "a"), Contains("a", "aa")])
@example(entries=[{"ix": {"t": ["$a"]}}], predicates=[Contains("$a", "$"), Contains("", "$"), Contains("$", "a")])
def test_texts_within(collection: Entries, entries: list[dict[str, Any]], predicates: list[Predicate]) -> None:
    """What a client writes is a text for the database too: neither a path nor an operator."""
    agree(collection, entries, predicates)


_a_alone: Final = frozenset({"a"})
_b_alone: Final = frozenset({"b"})


def _holding(*held: dict[str, Any]) -> dict[str, Any]:
    return {"ix": {"c": list(held)}}


def _with_terms(*terms: str, p: str = "a", type: str = "a", **more: Any) -> dict[str, Any]:
    return {"p": [p], "rt": type, "ix": {"s": list(terms), **more}}


@given(entries=some_entries, predicates=together(a.contained_leaves))
@example(
    entries=[
        _holding(_with_terms("é"), _with_terms("aa")),
        _holding(_with_terms("é", "aa")),
        _holding(_with_terms("é", p="b")),
        _holding(_with_terms("é", type="b")),
        _holding({"p": ["a"], "rt": "a"}),
        _holding(),
        {"ix": {"s": ["é"]}},
    ],
    predicates=[
        Contained("a", _a_alone, part)
        for part in (
            AllOf((Prefix("a"), Prefix("é"))),
            AllOf((Contains("a", "a"), Prefix("é"))),
            Not(Prefix("a")),
            Not(Contains("a", "a")),
            Not(AnyOf((Prefix("a"), Prefix("é")))),
            NEVER,
            AnyOf((NEVER, Prefix("é"))),
            Not(NEVER),
            AllOf((OneOf(Field.TYPE, frozenset({"b"})), Prefix("é"))),
        )
    ],
)
@example(
    entries=[_holding(_with_terms("a", c=[_with_terms("é", type="b")])), _holding(_with_terms("é"))],
    predicates=[
        Contained("a", _a_alone, Contained("a", _b_alone, Prefix("é"))),
        Contained("a", _a_alone, Contained("a", _b_alone, Contains("", "é"))),
        Contained("a", _a_alone, Not(Contained("a", _b_alone, Prefix("é")))),
        Contained("a", _a_alone, Not(Contained("a", _b_alone, Contains("", "é")))),
        Not(Contained("a", _a_alone, Prefix("é"))),
    ],
)
@example(
    entries=[_holding(_with_terms("a", r=[{"p": "a", "lo": lo, "hi": lo}])) for lo in (0, 4, "0", "9")],
    predicates=[
        Contained("a", _a_alone, AllOf((Contains("", "a"), Span("a", (("lo", order, bound),)))))
        for order in ORDERS
        for bound in (2, "5!")
    ],
)
def test_contained(collection: Entries, entries: list[dict[str, Any]], predicates: list[Predicate]) -> None:
    """One contained resource is all that is asked: of two, each may not lend the other a part."""
    agree(collection, entries, predicates)


@given(
    entries=some_entries,
    predicates=together(
        a.array_leaves
        | a.scalar_leaves
        | a.prefix_leaves
        | a.compare_leaves
        | a.span_leaves
        | a.contains_leaves
        | a.contained_leaves
        | a.term_leaves
    ),
)
@example(
    entries=[{"labels": ["a"], "category": "a"}, {"labels": ["b"], "category": "a"}, {"labels": ["a", "b"]}],
    predicates=[
        AllOf((_a := OneOf(Field.LABELS, frozenset({"a"})), _b := OneOf(Field.LABELS, frozenset({"b"})))),
        AllOf((AllOf((_a, _b)), _a, _b)),
        AllOf((AllOf((_a, _b)), _a)),
        AllOf((Not(AnyOf((_a, _b))), Not(_a), NEVER)),
        AnyOf((AllOf((_a, _b, _b)), Not(AllOf((_a, _b))))),
    ],
)
def test_combinations(collection: Entries, entries: list[dict[str, Any]], predicates: list[Predicate]) -> None:
    """Also several conditions on one path, which a document of MongoDB holds once."""
    agree(collection, entries, predicates)


@given(entries=some_entries, parts=st.lists(a.nested(a.array_leaves | a.scalar_leaves | a.constants), max_size=4))
def test_the_tidied_forms(collection: Entries, entries: list[dict[str, Any]], parts: list[Predicate]) -> None:
    agree(collection, entries, [all_of(parts), any_of(parts), *(negate(part) for part in parts)])


def test_what_is_asked_of_no_value_finds_nothing(collection: Entries) -> None:
    nothing = [one_of(Field.LABELS), OneOf(Field.LABELS, frozenset())]
    agree(collection, [{"labels": []}, {"labels": [None]}, {}], nothing)


@pytest.mark.parametrize("field", list(Field))
def test_every_field_is_found_by_its_path(collection: Entries, field: Field) -> None:
    """No field has a spelling of its own in one of the interpreters."""
    value: Any = field not in (Field.DEPOSIT_SECRET, Field.SECRET) or True
    if field not in (Field.DEPOSIT_SECRET, Field.SECRET):
        value = ["T/0"] if field in (Field.TERMS, Field.LABELS, Field.AUTHORS, Field.NAMED) else "T/0"
    entry: Any = value
    for name in reversed(field.split(".")):
        entry = {name: entry}
    wanted = one_of(field, value[0] if isinstance(value, list) else value)
    agree(collection, [entry, {}], [wanted, negate(wanted)])

"""What a query names by an identifier, wherever it stands in it."""

from __future__ import annotations

import pytest

from fhir_server.search.naming import named_within
from fhir_server.search.predicate import Field, one_of
from tests.searching import PARAMETERS, clauses, parameter

NUMBER = one_of(Field.TERMS, "identifier#x")


@pytest.mark.parametrize(
    ("pair", "types"),
    [
        ("identifier=x", ("DocumentReference",)),
        ("identifier:not=x", ("DocumentReference",)),
        ("relatesto.identifier=x", ("DocumentReference",)),
        ("author:Organization.partof.identifier=x", ("Organization",)),
        ("_has:Observation:derived-from:identifier=x", ("Observation",)),
        ("_filter=identifier eq x and status eq current", ("DocumentReference",)),
        ("_filter=not (identifier eq x)", ("DocumentReference",)),
        ("_filter=status eq current or identifier eq x", ("DocumentReference",)),
    ],
)
def test_an_identifier_is_named_where_it_stands(pair: str, types: tuple[str, ...]) -> None:
    (clause,) = clauses("DocumentReference", pair)
    assert list(named_within(clause, ("DocumentReference",), PARAMETERS)) == [(types, NUMBER)]


def test_the_identifier_of_what_is_referred_to_is_its_own() -> None:
    (clause,) = clauses("DocumentReference", "related:identifier=s|x")
    (named,) = named_within(clause, ("DocumentReference",), PARAMETERS)
    assert named == (parameter("DocumentReference", "related").targets, one_of(Field.TERMS, "identifier=s|x"))
    (of_several,) = clauses("DocumentReference", "author:identifier=x")
    ((types, _),) = named_within(of_several, ("DocumentReference", "Basic"), PARAMETERS)
    assert types == parameter("DocumentReference", "author").targets
    (unknown,) = clauses("DocumentReference", "custodian:identifier=x")
    assert list(named_within(unknown, ("Patient",), PARAMETERS)) == [((), NUMBER)]


@pytest.mark.parametrize(
    "pair",
    ["status=current", "type:text=x", "author=Organization/1", "date=2024", "type:in=http://v", "_list=a", "_id=x"],
)
def test_what_names_nothing_by_an_identifier(pair: str) -> None:
    (clause,) = clauses("DocumentReference", pair)
    assert list(named_within(clause, ("DocumentReference",), PARAMETERS)) == []


def test_of_several_types_each_names_its_own() -> None:
    (clause,) = clauses(None, "_type=Observation,Encounter", "subject:Group.identifier=x")
    assert list(named_within(clause, ("Observation", "Encounter"), PARAMETERS)) == [(("Group",), NUMBER)] * 2

"""The reader of Parameters: whatever a body or query holds, it is read as the signature says, or refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.definitions.load import load
from fhir_server.definitions.operations import OperationParameter
from fhir_server.fhir import json
from fhir_server.fhir.errors import FhirError, Invalid
from fhir_server.operations.parameters import MOST_PARAMETERS, Given, from_body, from_query
from fhir_server.validation.structure import Validator

VALIDATOR = Validator(load())
TAKES = (
    OperationParameter("who", 1, 1, "Identifier"),
    OperationParameter("often", 0, None, "code"),
    OperationParameter("twice", 0, 2, "string"),
    OperationParameter("when", 0, 1, "dateTime"),
    OperationParameter("sure", 0, 1, "boolean"),
    OperationParameter("about", 0, 1, None, (OperationParameter("part", 1, 1, "code"),)),
)
QUERY = TAKES[1:]
WHO: dict[str, Any] = {"name": "who", "valueIdentifier": {"system": "urn:x", "value": "1"}}


def read(*told: Any) -> Given:
    return from_body(VALIDATOR, TAKES, json.encode({"resourceType": "Parameters", "parameter": list(told)}))


def test_what_was_told_and_what_was_not() -> None:
    found = read(
        WHO,
        *({"name": "often", "valueCode": code} for code in "ab"),
        {"name": "when", "valueDate": "2026-01-01"},
        {"name": "sure", "valueBoolean": False},
        {"name": "about", "part": [{"name": "part", "valueCode": "c"}]},
    )
    assert [one.value for one in found.all("often")] == ["a", "b"]
    assert found.text("when") == "2026-01-01"
    assert found.flag("sure") is False
    assert found.flag("sure") is not None
    about = found.one("about")
    assert about is not None
    assert about.parts.text("part") == "c"
    assert about.parts.where("part") == ("Parameters.parameter[5].part[0]",)
    assert found.where("often") == ("Parameters.parameter[1]",)
    assert (found.one("twice"), found.where("twice")) == (None, ())
    assert not found.nothing


def test_an_empty_body_where_nothing_is_needed() -> None:
    assert from_body(VALIDATOR, QUERY, b" \n").nothing
    with pytest.raises(Invalid, match="who is missing"):
        from_body(VALIDATOR, TAKES, b"")


@pytest.mark.parametrize(
    ("told", "says", "where"),
    [
        ([WHO, {"name": "else", "valueCode": "a"}], "not a parameter", "Parameters.parameter[1].name"),
        ([WHO, WHO], "at most once", "Parameters.parameter[1]"),
        ([WHO, *[{"name": "twice", "valueString": "a"}] * 4], "at most 2 times", "Parameters.parameter[3]"),
        ([{"name": "often", "valueCode": "a"}], "missing", "Parameters"),
        ([WHO, {"name": "about", "part": []}], "", "Parameters.parameter[1]"),
        ([WHO, {"name": "about", "valueCode": "a"}], "by its parts", "Parameters.parameter[1]"),
        ([WHO, {"name": "about", "part": [{"name": "x", "valueCode": "a"}]}], "", "Parameters.parameter[1].part"),
        ([WHO, {"name": "sure", "valueCode": "true"}], "valueBoolean alone", "Parameters.parameter[1]"),
        ([WHO, {"name": "often", "valueCode": "a", "_valueCode": {"id": "x"}}], "alone", "Parameters.parameter[1]"),
    ],
)
def test_what_is_refused(told: list[dict[str, Any]], says: str, where: str) -> None:
    with pytest.raises(Invalid) as refused:
        read(*told)
    issue = refused.value.issues[0]
    assert says in issue.diagnostics
    assert issue.expression[0].startswith(where)


def test_too_many() -> None:
    with pytest.raises(Invalid, match="takes 200"):
        read(WHO, *[{"name": "often", "valueCode": "a"}] * MOST_PARAMETERS)


def test_a_query() -> None:
    found = from_query(VALIDATOR, QUERY, [("often", "a"), ("often", "b"), ("sure", "true"), ("when", "2026")])
    assert [one.value for one in found.all("often")] == ["a", "b"]
    assert found.flag("sure") is True
    assert found.where("often") == ("http.often",)
    assert from_query(VALIDATOR, QUERY, []).nothing


@pytest.mark.parametrize(
    ("pairs", "where"),
    [
        ([("else", "a")], "http.else"),
        ([("sure", "yes")], "http.sure"),
        ([("sure", "true"), ("sure", "true")], "http.sure"),
        ([("often", "a"), ("when", "soon")], "http.when"),
        ([("about", "a")], "http.about"),
        ([("twice", "")], "http.twice"),
    ],
)
def test_a_query_that_is_refused(pairs: list[tuple[str, str]], where: str) -> None:
    with pytest.raises(Invalid) as refused:
        from_query(VALIDATOR, QUERY, pairs)
    assert {one for issue in refused.value.issues for one in issue.expression} == {where}


anything = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["name", "valueCode", "valueString", "part", "x"]), inner, max_size=3)
    ),
    max_leaves=8,
)
named = st.fixed_dictionaries(
    {"name": st.sampled_from([one.name for one in TAKES]) | st.text(max_size=4)},
    optional=dict.fromkeys(
        ("valueCode", "valueString", "valueBoolean", "valueIdentifier", "part", "resource", "extension"), anything
    ),
)


@given(st.lists(named | anything, max_size=5))
def test_nothing_breaks_it(told: list[Any]) -> None:
    """A refusal, or what the signature says: each value of its type, as often as it may be told."""
    try:
        found = read(*told)
    except FhirError:
        return
    assert len(found.all("who")) == 1
    assert len(found.all("twice")) <= 2
    assert all(isinstance(one.value, str) for one in found.all("often"))
    assert {one["name"] for one in told} <= {one.name for one in TAKES}


@given(st.lists(st.tuples(st.sampled_from([one.name for one in TAKES]) | st.text(max_size=4), st.text(max_size=6))))
def test_no_query_breaks_it(pairs: list[tuple[str, str]]) -> None:
    try:
        found = from_query(VALIDATOR, QUERY, pairs)
    except FhirError:
        return
    assert len(found.all("often")) == sum(name == "often" for name, _ in pairs)

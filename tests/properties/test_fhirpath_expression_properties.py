"""What must hold of the engine of FHIRPath for all inputs."""

from __future__ import annotations

import re
from contextlib import suppress
from decimal import Decimal
from typing import Final

from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_server.definitions.load import load
from fhir_server.fhir.json import Json, JsonObject
from fhir_server.fhirpath.effort import Effort
from fhir_server.fhirpath.expression import Environment, compile_expression
from fhir_server.fhirpath.model import Model
from fhir_server.fhirpath.node import Node
from fhir_server.fhirpath.patterns import compile_pattern
from fhir_server.fhirpath.refused import Refused

DEFINITIONS: Final = load()
MODEL: Final = Model(DEFINITIONS)

INVARIANTS: Final = sorted(
    {
        (structure.name, invariant.expression)
        for structure in DEFINITIONS.structures.values()
        for invariant in structure.invariants
        if invariant.expression
    }
)


def environment(node: Node) -> Environment:
    return Environment(
        node, node, node, lambda _: node, lambda _n, _u: None, lambda _n, _u: None, lambda: "2026-12-01T10:11:12.345Z"
    )


NAMES: Final = st.sampled_from(
    """value code system unit low high start end extension url id name family given coding display type status text
    contained entry resource reference item linkId path min max binding snapshot differential element kind valueString
    valueQuantity valueCode _value _given period telecom contact resourceType concept""".split()
)
SCALARS: Final = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**40), 2**40),
    st.sampled_from([Decimal("1.10"), Decimal("1E+999999"), Decimal("-1E-999999"), Decimal(0)]),
    st.sampled_from(
        ["", "a", "#a", "2020", "2020-02-30", "2020-01-01T10:00:00Z", "10:00", "http://x", "1", "*", "Patient", "ç"]
    ),
)
TREES: Final = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=4)),
    max_leaves=15,
)
OBJECTS: Final = st.dictionaries(NAMES, TREES, max_size=6)


@given(st.sampled_from(INVARIANTS), OBJECTS)
def test_an_invariant_of_r4_answers_for_any_json(invariant: tuple[str, str], value: JsonObject) -> None:
    """It holds, or not, or the evaluation ends with a sentence; nothing else happens."""
    type, text = invariant
    node = Node(value, type)
    with suppress(Refused):
        assert compile_expression(text, MODEL, types=(type,)).holds(node, environment(node), Effort()) in (True, False)


PARTS: Final = st.sampled_from(
    """value|code|name|extension|$this|$index|$total|1|1.5|'a'|'2020'|true|{}|@2020-01|@T10|2 'mg'|3 days|
    (1.combine(2))|%resource|%context|today()|now()""".split("|")
)
FUNCTIONS: Final = st.sampled_from(
    """empty exists not count distinct isDistinct first last tail single children descendants toInteger toDecimal
    toString toBoolean toQuantity toDate toDateTime toTime convertsToDate abs ceiling floor exp ln sqrt truncate round
    upper lower length toChars trim join type hasValue getValue resolve allTrue anyFalse""".split()
)
WITH_ONE: Final = st.sampled_from(
    """where select all exists repeat skip take union combine intersect exclude subsetOf startsWith contains indexOf
    substring matches split power log aggregate iif extension memberOf""".split()
)
OPERATORS: Final = st.sampled_from("and or xor implies = != ~ !~ < <= > >= in contains | + - * / div mod &".split())


def expressions() -> st.SearchStrategy[str]:
    return st.recursive(
        PARTS,
        lambda inner: st.one_of(
            st.builds("({}).{}()".format, inner, FUNCTIONS),
            st.builds("({}).{}({})".format, inner, WITH_ONE, inner),
            st.builds("({} {} {})".format, inner, OPERATORS, inner),
            st.builds("({})[{}]".format, inner, inner),
            st.builds("(-({}))".format, inner),
            st.builds("({} is {})".format, inner, st.sampled_from(["string", "Quantity", "Integer"])),
        ),
        max_leaves=8,
    )


@given(expressions(), OBJECTS)
def test_an_expression_answers_or_is_refused(text: str, value: JsonObject) -> None:
    node = Node({"resourceType": "Basic", **value}, "Basic")
    with suppress(Refused):
        found = compile_expression(text, MODEL).evaluate(node, environment(node), Effort(20_000))
        assert all(isinstance(each, Node) for each in found)


@given(st.text(max_size=60))
def test_any_text_is_compiled_or_refused(text: str) -> None:
    with suppress(Refused):
        assert compile_expression(text, MODEL).text == text


TRUTHS: Final = ("true", "false", "{}")


def _told(text: str) -> Json:
    node = Node({"resourceType": "Basic"}, "Basic")
    found = compile_expression(text, MODEL).evaluate(node, environment(node), Effort())
    return found[0].value if found else None


@given(*[st.sampled_from(TRUTHS)] * 3)
def test_logic_is_consistent(one: str, other: str, third: str) -> None:
    """De Morgan, the definitions of implies and xor, and that a row of operands is what pairs of them are."""
    assert _told(f"({one} and {other}).not()") == _told(f"{one}.not() or {other}.not()")
    assert _told(f"{one} implies {other}") == _told(f"{one}.not() or {other}")
    assert _told(f"{one} xor {other}") == _told(f"({one} or {other}) and ({one} and {other}).not()")
    assert _told(f"{one} and {other} and {third}") == _told(f"{one} and ({other} and {third})")
    assert _told(f"{one} or {other} or {third}") == _told(f"{one} or ({other} or {third})")


PATTERNS: Final = st.recursive(
    st.sampled_from(["a", "b", ".", "[ab]", "[^a]", r"\w", r"\d", r"\b", "^", "$", "(?:)"]),
    lambda inner: st.one_of(
        st.builds("{}{}".format, inner, inner),
        st.builds("(?:{}|{})".format, inner, inner),
        st.builds("({})".format, inner),
        st.builds("(?:{}){}".format, inner, st.sampled_from(["*", "+", "?", "{2}", "{1,2}", "*?", "+?", "??"])),
    ),
    max_leaves=8,
)


@settings(max_examples=300)
@given(PATTERNS, st.text("ab1 ", max_size=8))
def test_a_pattern_is_found_where_python_finds_it(pattern: str, text: str) -> None:
    """`$` is the end of the text and nothing else, and classes are of ASCII."""
    python = re.compile(pattern.replace("$", r"\Z"), re.DOTALL | re.ASCII)
    compiled = compile_pattern(pattern)
    assert compiled.matches(text, Effort()) is (python.search(text) is not None)
    assert compiled.matches(text, Effort(), whole=True) is (python.fullmatch(text) is not None)

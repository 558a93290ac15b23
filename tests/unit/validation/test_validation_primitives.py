"""The edges of each primitive type. Values travel in an extension, which takes them all."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fhir_server.definitions.load import load
from fhir_server.fhir.date import interval
from fhir_server.fhir.json import Json
from fhir_server.validation.primitives import MAX_STRING

Validate = Callable[[Json], list[tuple[str, str]]]


def carrying(type_code: str, value: Json) -> Json:
    name = f"value{type_code[0].upper()}{type_code[1:]}"
    return {"resourceType": "Basic", "code": {"text": "x"}, "extension": [{"url": "urn:x", name: value}]}


VALID: dict[str, list[Json]] = {
    "boolean": [True, False],
    "integer": [0, -1, 2**31 - 1, -(2**31)],
    "unsignedInt": [0, 2**31 - 1],
    "positiveInt": [1, 2**31 - 1],
    "decimal": [0, -3, Decimal("1.10"), Decimal("1E-7"), Decimal("-0.0"), Decimal("1e300"), 10**34 - 1],
    "string": ["a", " ", "é\n\r\t\u00a0\u200d", "👩‍⚕️", "x" * MAX_STRING],
    "markdown": ["# Titre\n\n- a"],
    "code": ["CHEST\u00c2\u00a0", "a", "two words", "à-b_c.1"],
    "id": ["a", "A-1.b", "0" * 64],
    "uri": ["urn:oid:1.2.3", "http://x.fr/é", "relative", "#x\u00ad"],
    "url": ["https://x.fr/a?b=c#d", "mailto:x@y.fr"],
    "canonical": ["http://x.fr/a|1.0"],
    "oid": ["urn:oid:1.2.250.1.213", "urn:oid:2.0"],
    "uuid": ["urn:uuid:c757873d-ec9a-4326-a141-556f43239520"],
    "date": ["2024", "2024-02", "2024-02-29", "0001", "9999-12-31"],
    "dateTime": ["2024", "2024-02-29T23:59:60Z", "2024-01-01T00:00:00.123456789+14:00"],
    "instant": ["2024-02-29T12:00:00Z", "2024-02-29T12:00:00.5-11:30"],
    "time": ["00:00:00", "23:59:60", "12:30:00.25"],
    "base64Binary": ["AAAA", "AA==", "AAA=", "AAAA\r\nBBBB", " AAAA "],
}

INVALID: dict[str, list[Json]] = {
    "boolean": ["true", 0, 1, [], {}, Decimal(1)],
    "integer": ["1", True, Decimal("1.0"), 2**31, -(2**31) - 1, []],
    "unsignedInt": [-1, 2**31, False, "0"],
    "positiveInt": [0, -1, 2**31, True],
    "decimal": [
        "1.0",
        True,
        Decimal("NaN"),
        Decimal("Infinity"),
        Decimal("1e301"),
        Decimal("1e-999999"),
        10**34,
        "NaN",
    ],
    "string": ["", 1, True, "a\x00b", "a\x0bb", "\x1f", "\ud800", "x" * (MAX_STRING + 1), ["a"], {"a": "b"}],
    "markdown": ["", "\x08", 3],
    "code": ["", " a", "a ", "a  b", "a\n\nb", "a\t", 4],
    "id": ["", "a b", "0" * 65, "é", "a/b", "a\n", "$where", 5],
    "uri": ["", "a b", "http://x y", "a\u00a0b", "a\tb", "a\x7f", "\udfff", 6],
    "url": ["", "http://x y"],
    "canonical": ["", "http://x y|1", "#nowhere"],
    "oid": ["1.2.250", "urn:oid:3.1", "urn:oid:1", "urn:oid:1.02", "urn:oid:1.2.\n"],
    "uuid": ["c757873d-ec9a-4326-a141-556f43239520", "urn:uuid:C757873D-EC9A-4326-A141-556F43239520"],
    "date": [
        "",
        "24",
        "2024-13",
        "2024-00",
        "2023-02-29",
        "2024-04-31",
        "2024-1-1",
        "2024-01-01T00:00:00Z",
        "0000",
        2024,
    ],
    "dateTime": [
        "2024-01-01T12:00",
        "2024-01-01T12:00:00",
        "2024-01-01T24:00:00Z",
        "2023-02-29T00:00:00Z",
        "2024-01-01 ",
    ],
    "instant": ["2024", "2024-01-01", "2024-01-01T12:00:00", "2024-01-01T12:00:00+15:00", "2024-06-31T12:00:00Z"],
    "time": ["24:00:00", "12:00", "12:60:00", "12:00:00Z", ""],
    "base64Binary": ["", "A", "AAA", "A===", "AA=A", "AA-_", "é===", "  ", 7],
}


@pytest.mark.parametrize(("type_code", "value"), [(t, v) for t, values in VALID.items() for v in values])
def test_valid(errors: Validate, type_code: str, value: Json) -> None:
    assert errors(carrying(type_code, value)) == []


@pytest.mark.parametrize(("type_code", "value"), [(t, v) for t, values in INVALID.items() for v in values])
def test_invalid(errors: Validate, type_code: str, value: Json) -> None:
    told = errors(carrying(type_code, value))
    assert [expression for expression, _ in told] == ["Basic.extension[0].value"]
    assert {code for _, code in told} <= {"value", "structure"}


def test_every_primitive_type_has_its_edges_here() -> None:
    names = {name for name, structure in load().structures.items() if structure.kind == "primitive-type"}
    assert set(VALID) == set(INVALID) == names - {"xhtml"}


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("2023-02-29", "'2023-02-29' is not in the calendar: that month has no day 29."),
        ("29/02/2024", "'29/02/2024' is not a valid date: YYYY, YYYY-MM or YYYY-MM-DD."),
        (2024, "A string (date) is expected here, not a number."),
        ("", "An empty string is not allowed (date): leave the element out."),
    ],
)
def test_the_sentence_tells_what_is_expected(validator: object, value: Json, sentence: str) -> None:
    issues = validator.validate(carrying("date", value))  # type: ignore[attr-defined]
    assert [issue.diagnostics for issue in issues] == [sentence]


@given(st.from_regex(load().structures["dateTime"].pattern, fullmatch=True))
@example("0001-01-01T00:00:00+14:00")
@example("9999-12-31T23:59:60-14:00")
@example("2024-02-30T00:00:00Z")
def test_an_accepted_date_can_be_indexed(errors: Validate, value: str) -> None:
    """What passes covers an interval; what does not has a day that its month has not."""
    if errors(carrying("dateTime", value)):
        assert re.match(r"\d{4}-\d{2}-(29|30|31)", value)
    else:
        assert interval(value) is not None

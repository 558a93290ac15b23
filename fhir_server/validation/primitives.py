"""One check per primitive type.

https://hl7.org/fhir/R4/datatypes.html#primitive

The first line of each check lets the usual value pass at the cost of one or two calls into C; what follows is only for
values that need a closer look or a sentence about what is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import TypeAlias

from fhir_server.definitions.tables import Structure
from fhir_server.fhir.date import interval
from fhir_server.fhir.json import Json
from fhir_server.fhir.messages import Told
from fhir_server.fhir.outcome import IssueType
from fhir_server.validation.finding import Check, Container, Findings, one, shown
from fhir_server.validation.messages import not_a, told

MAX_STRING = 1024 * 1024
"""Characters of a string, https://hl7.org/fhir/R4/datatypes.html#string."""
MAX_DIGITS = 34
"""Significant digits of a decimal: what a 128-bit decimal holds. The standard asks for 18."""
MAX_EXPONENT = 300
"""What most clients can hold in a number of theirs."""
INTEGER_MIN, INTEGER_MAX = -(2**31), 2**31 - 1
FIRST_DAY_NOT_IN_EVERY_MONTH = "29"

_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]")
_NOT_IN_URI = re.compile("[\\s\x00-\x20\x7f\ud800-\udfff]")
_CODE = re.compile(r"\S+(?:\s\S+)*+", re.ASCII)
"""White space is that of XML, as in the schemas of the standard: codes of HL7 v2 hold no-break spaces."""
_BASE64 = re.compile(r"[A-Za-z0-9+/]*+={0,2}")

Complaint: TypeAlias = Callable[[str], "Told | None"]
"""Looks closer at a text; answers what is wrong with it."""


def boolean(value: Json, _: Container) -> Findings | None:
    """``true`` or ``false``, never the strings."""
    return None if value is True or value is False else not_a("boolean-expected", value)


def integer_between(name: str, low: int, high: int) -> Check:
    """The check of an integer type within its bounds."""

    def check(value: Json, _: Container) -> Findings | None:
        if type(value) is int:
            if low <= value <= high:
                return None
            return _wrong(told("out-of-bounds", value=shown(value), type=name, low=low, high=high))
        if type(value) is Decimal:
            return _wrong(told("no-integer", value=shown(value), type=name))
        return not_a("number-expected", value, type=name)

    return check


def decimal(value: Json, _: Container) -> Findings | None:
    """A JSON number that a 128-bit decimal can hold without loss."""
    if type(value) is int:
        if abs(value) < 10**MAX_DIGITS:
            return None
    elif type(value) is Decimal:
        if value.is_finite() and abs(value.adjusted()) <= MAX_EXPONENT and len(value.as_tuple().digits) <= MAX_DIGITS:
            return None
    else:
        return not_a("number-expected", value, type="decimal")
    return _wrong(told("decimal-too-long", digits=MAX_DIGITS, exponent=MAX_EXPONENT))


def text(name: str, complaint: Complaint, *, may_hold_spaces: bool) -> Check:
    """The check of a string type. A printable text, without spaces where there may be none, needs no closer look."""

    def check(value: Json, _: Container) -> Findings | None:
        if type(value) is not str:
            return not_a("string-expected", value, type=name)
        if value.isprintable() and len(value) <= MAX_STRING and (may_hold_spaces or " " not in value) and value:
            return None
        if not value:
            return _wrong(told("empty-string", type=name))
        wrong = complaint(value)
        return None if wrong is None else _wrong(wrong)

    return check


def matching(name: str, pattern: str, complaint: Complaint | None = None) -> Check:
    """The check of a string type by the regular expression the standard gives, then by a closer look."""
    matches = re.compile(pattern).fullmatch
    form = told(f"form-{name}")

    def check(value: Json, _: Container) -> Findings | None:
        if type(value) is not str:
            return not_a("string-expected", value, type=name)
        if matches(value):
            wrong = complaint(value) if complaint else None
            return None if wrong is None else _wrong(wrong)
        if not value:
            return _wrong(told("empty-string", type=name))
        return _wrong(told("not-of-type", value=shown(value), type=name, form=form))

    return check


def in_calendar(value: str) -> Told | None:
    """A day that its month has. The regular expression has bounded everything else."""
    if value[8:10] < FIRST_DAY_NOT_IN_EVERY_MONTH or interval(value[:10]) is not None:
        return None
    return told("not-in-calendar", value=shown(value), day=int(value[8:10]))


def base64_binary(value: Json, _: Container) -> Findings | None:
    """Base64 in groups of four, white space between them tolerated. It may be longer than a string."""
    if type(value) is not str:
        return not_a("string-expected", value, type="base64Binary")
    if _BASE64.fullmatch(value) and len(value) % 4 == 0 and value:
        return None
    packed = "".join(value.split())
    if packed and len(packed) % 4 == 0 and _BASE64.fullmatch(packed):
        return None
    return _wrong(told("not-base64"))


def compile_primitives(structures: Mapping[str, Structure]) -> dict[str, Check]:
    """The check of each primitive type but ``xhtml``, which is in `narrative`."""
    pattern = {name: structure.pattern for name, structure in structures.items() if structure.pattern}
    return {
        "boolean": boolean,
        "decimal": decimal,
        "integer": integer_between("integer", INTEGER_MIN, INTEGER_MAX),
        "unsignedInt": integer_between("unsignedInt", 0, INTEGER_MAX),
        "positiveInt": integer_between("positiveInt", 1, INTEGER_MAX),
        "string": text("string", _why_not_string, may_hold_spaces=True),
        "markdown": text("markdown", _why_not_string, may_hold_spaces=True),
        "code": text("code", _why_not_code, may_hold_spaces=False),
        "uri": text("uri", _why_not_uri, may_hold_spaces=False),
        "url": text("url", _why_not_uri, may_hold_spaces=False),
        "canonical": text("canonical", _why_not_uri, may_hold_spaces=False),
        "id": matching("id", pattern["id"]),
        "oid": matching("oid", pattern["oid"]),
        "uuid": matching("uuid", pattern["uuid"]),
        "date": matching("date", pattern["date"], in_calendar),
        "dateTime": matching("dateTime", pattern["dateTime"], in_calendar),
        "instant": matching("instant", pattern["instant"], in_calendar),
        "time": matching("time", pattern["time"]),
        "base64Binary": base64_binary,
    }


def _wrong(message: Told) -> Findings:
    return one(IssueType.VALUE, message, rule="value")


def _why_not_string(value: str) -> Told | None:
    if len(value) > MAX_STRING:
        return told("string-too-long", value=shown(value), most=MAX_STRING)
    found = _FORBIDDEN.search(value)
    return None if found is None else told("forbidden-character", value=shown(value), character=ord(found[0]))


def _why_not_code(value: str) -> Told | None:
    if _CODE.fullmatch(value) is None:
        return told("no-code", value=shown(value))
    return _why_not_string(value)


def _why_not_uri(value: str) -> Told | None:
    if len(value) > MAX_STRING:
        return _why_not_string(value)
    return None if _NOT_IN_URI.search(value) is None else told("no-uri", value=shown(value))

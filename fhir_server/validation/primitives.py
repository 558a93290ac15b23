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
from fhir_server.fhir.outcome import IssueType
from fhir_server.validation.finding import Check, Container, Findings, not_a, one, shown

MAX_STRING = 1024 * 1024
"""Characters of a string, https://hl7.org/fhir/R4/datatypes.html#string."""
MAX_DIGITS = 34
"""Significant digits of a decimal: what a 128-bit decimal holds. The standard asks for 18."""
MAX_EXPONENT = 100
INTEGER_MIN, INTEGER_MAX = -(2**31), 2**31 - 1
FIRST_DAY_NOT_IN_EVERY_MONTH = "29"

_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]")
_NOT_IN_URI = re.compile("[\\s\x00-\x20\x7f\ud800-\udfff]")
_CODE = re.compile(r"\S+(?:\s\S+)*+")
_BASE64 = re.compile(r"[A-Za-z0-9+/]*+={0,2}")

_FORMS: Mapping[str, str] = {
    "id": "1 to 64 letters, digits, '-' or '.'",
    "date": "YYYY, YYYY-MM or YYYY-MM-DD",
    "dateTime": "YYYY, YYYY-MM, YYYY-MM-DD or YYYY-MM-DDThh:mm:ss+zz:zz",
    "instant": "YYYY-MM-DDThh:mm:ss.sss+zz:zz",
    "time": "hh:mm:ss",
    "oid": "urn:oid: and numbers separated by dots",
    "uuid": "urn:uuid: and a UUID in lower case",
}

Complaint: TypeAlias = Callable[[str], "str | None"]
"""Looks closer at a text; answers what is wrong with it, as the rest of a sentence that begins with the value."""


def boolean(value: Json, _: Container) -> Findings | None:
    """``true`` or ``false``, never the strings."""
    return None if value is True or value is False else not_a("A boolean (true or false)", value)


def integer_between(name: str, low: int, high: int) -> Check:
    """The check of an integer type within its bounds."""

    def check(value: Json, _: Container) -> Findings | None:
        if type(value) is int:
            if low <= value <= high:
                return None
            return one(IssueType.VALUE, f"{shown(value)} is out of bounds: {name} goes from {low} to {high}.")
        if type(value) is Decimal:
            return one(IssueType.VALUE, f"{shown(value)} is not an integer ({name}): no point and no exponent.")
        return not_a(f"A number ({name})", value)

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
        return not_a("A number (decimal)", value)
    limits = f"{MAX_DIGITS} significant digits, exponents to {MAX_EXPONENT}"
    return one(IssueType.VALUE, f"This decimal is too long, too large or too small for this server ({limits}).")


def text(name: str, complaint: Complaint, *, may_hold_spaces: bool) -> Check:
    """The check of a string type. A printable text, without spaces where there may be none, needs no closer look."""

    def check(value: Json, _: Container) -> Findings | None:
        if type(value) is not str:
            return not_a(f"A string ({name})", value)
        if value.isprintable() and len(value) <= MAX_STRING and (may_hold_spaces or " " not in value) and value:
            return None
        if not value:
            return one(IssueType.VALUE, f"An empty string is not allowed ({name}): leave the element out.")
        wrong = complaint(value)
        return None if wrong is None else one(IssueType.VALUE, f"{shown(value)} {wrong}")

    return check


def matching(name: str, pattern: str, complaint: Complaint | None = None) -> Check:
    """The check of a string type by the regular expression the standard gives, then by a closer look."""
    matches = re.compile(pattern).fullmatch

    def check(value: Json, _: Container) -> Findings | None:
        if type(value) is not str:
            return not_a(f"A string ({name})", value)
        if matches(value):
            wrong = complaint(value) if complaint else None
            return None if wrong is None else one(IssueType.VALUE, f"{shown(value)} {wrong}")
        if not value:
            return one(IssueType.VALUE, f"An empty string is not allowed ({name}): leave the element out.")
        return one(IssueType.VALUE, f"{shown(value)} is not a valid {name}: {_FORMS[name]}.")

    return check


def in_calendar(value: str) -> str | None:
    """A day that its month has. The regular expression has bounded everything else."""
    if value[8:10] < FIRST_DAY_NOT_IN_EVERY_MONTH or interval(value[:10]) is not None:
        return None
    return f"is not in the calendar: that month has no day {int(value[8:10])}."


def base64_binary(value: Json, _: Container) -> Findings | None:
    """Base64 in groups of four, white space between them tolerated. It may be longer than a string."""
    if type(value) is not str:
        return not_a("A string (base64Binary)", value)
    if _BASE64.fullmatch(value) and len(value) % 4 == 0 and value:
        return None
    packed = "".join(value.split())
    if packed and len(packed) % 4 == 0 and _BASE64.fullmatch(packed):
        return None
    return one(IssueType.VALUE, "This is not base64: groups of four of A-Z a-z 0-9 + /, the last one filled with '='.")


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


def _why_not_string(value: str) -> str | None:
    if len(value) > MAX_STRING:
        return f"is too long: a string has at most {MAX_STRING} characters."
    found = _FORBIDDEN.search(value)
    return None if found is None else f"holds the character U+{ord(found[0]):04X}, which no string may hold."


def _why_not_code(value: str) -> str | None:
    if _CODE.fullmatch(value) is None:
        return "is not a code: no white space at either end, and no more than one space between words."
    return _why_not_string(value)


def _why_not_uri(value: str) -> str | None:
    if len(value) > MAX_STRING:
        return _why_not_string(value)
    return None if _NOT_IN_URI.search(value) is None else "is not a URI: it holds white space or control characters."

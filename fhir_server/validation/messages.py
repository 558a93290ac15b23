"""What validation says, in English and in French: `messages/*.toml`."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Final

from fhir_server.fhir.messages import Messages, Told
from fhir_server.fhir.outcome import IssueType
from fhir_server.validation.finding import Finding, Findings, one

if TYPE_CHECKING:
    from fhir_server.fhir.json import Json
    from fhir_server.fhir.outcome import Severity

MESSAGES: Final = Messages.of("fhir_server.validation")

_KINDS: Final[tuple[tuple[type | tuple[type, ...], str], ...]] = (
    (type(None), "null"),
    (bool, "a-boolean"),
    ((int, Decimal), "a-number"),
    (str, "a-string"),
    (list, "an-array"),
    (dict, "an-object"),
    (object, "no-json-value"),
)


def told(key: str, /, **values: object) -> Told:
    """One message in both languages."""
    return MESSAGES.told(key, **values)


def finding(code: IssueType, message: Told, path: str = "", *, severity: Severity, rule: str, profile: str) -> Finding:
    """A finding that says this."""
    return Finding(code, message.en, path, severity, message.fr, rule, profile)


def kind_of(value: Json) -> Told:
    """What a JSON value is, with its article."""
    return told(next(key for types, key in _KINDS if isinstance(value, types)))


def not_a(key: str, value: Json, **values: object) -> Findings:
    """A value of another JSON type than the element has."""
    return one(IssueType.STRUCTURE, told(key, found=kind_of(value), **values), rule="type")

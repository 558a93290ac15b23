"""What validation says, in English and in French: `messages/*.toml`."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, Final

from fhir_server.fhir.messages import Messages, Told
from fhir_server.validation.finding import Finding

if TYPE_CHECKING:
    from fhir_server.fhir.outcome import IssueType, Severity

MESSAGES: Final = Messages(files("fhir_server.validation").joinpath("messages"))


def told(key: str, /, **values: object) -> Told:
    """One message in both languages."""
    return MESSAGES.told(key, **values)


def finding(code: IssueType, message: Told, path: str = "", *, severity: Severity, rule: str, profile: str) -> Finding:
    """A finding that says this."""
    return Finding(code, message.en, path, severity, message.fr, rule, profile)

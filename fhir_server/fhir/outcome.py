"""Issues, as an OperationOutcome tells them.

https://hl7.org/fhir/R4/operationoutcome.html
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from fhir_server.fhir.messages import Messages, Told

if TYPE_CHECKING:
    from collections.abc import Sequence

MESSAGES: Final = Messages.of("fhir_server.fhir")
"""What this package says."""
told: Final = MESSAGES.told

_NO_TEXT: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
"""What a client may send, and neither a string of FHIR nor XML may hold."""


class Severity(StrEnum):
    """https://hl7.org/fhir/R4/valueset-issue-severity.html"""

    FATAL = "fatal"
    ERROR = "error"
    WARNING = "warning"
    INFORMATION = "information"


class IssueType(StrEnum):
    """The codes of https://hl7.org/fhir/R4/valueset-issue-type.html that this server uses."""

    INVALID = "invalid"
    STRUCTURE = "structure"
    REQUIRED = "required"
    VALUE = "value"
    INVARIANT = "invariant"
    SECURITY = "security"
    LOGIN = "login"
    UNKNOWN = "unknown"
    EXPIRED = "expired"
    FORBIDDEN = "forbidden"
    PROCESSING = "processing"
    NOT_SUPPORTED = "not-supported"
    DUPLICATE = "duplicate"
    MULTIPLE_MATCHES = "multiple-matches"
    NOT_FOUND = "not-found"
    DELETED = "deleted"
    TOO_LONG = "too-long"
    CODE_INVALID = "code-invalid"
    EXTENSION = "extension"
    TOO_COSTLY = "too-costly"
    BUSINESS_RULE = "business-rule"
    CONFLICT = "conflict"
    TRANSIENT = "transient"
    EXCEPTION = "exception"
    TIMEOUT = "timeout"
    THROTTLED = "throttled"
    INCOMPLETE = "incomplete"
    INFORMATIONAL = "informational"


class Language(StrEnum):
    """The languages in which issues are told; English where nobody asks for another."""

    ENGLISH = "en"
    FRENCH = "fr"


@dataclass(frozen=True, slots=True)
class Issue:
    """One thing to say about a request: how grave, of what kind, in a sentence, and where (FHIRPath)."""

    severity: Severity
    code: IssueType
    diagnostics: str
    expression: tuple[str, ...] = ()
    french: str = ""
    """The same sentence in French, where there is one."""
    rule: str = ""
    """What is broken, within the profile: the key of a constraint, or what an element asks for (`min`, `binding`)."""
    profile: str = ""
    """The canonical URL, with its version, of the profile that asks for it."""

    @property
    def told(self) -> Told:
        """The sentence in both languages; the French is empty where there is none."""
        return Told(self.diagnostics, self.french)


def issue(severity: Severity, code: IssueType, message: Told, *expression: str) -> Issue:
    """An issue that says what is out of a catalogue (`fhir.messages`), in both languages."""
    return Issue(severity, code, message.en, expression, message.fr)


def error(code: IssueType, message: Told, *expression: str) -> Issue:
    """An issue that makes the request fail."""
    return issue(Severity.ERROR, code, message, *expression)


def warning(code: IssueType, message: Told, *expression: str) -> Issue:
    """An issue that the client should look at; the request succeeds."""
    return issue(Severity.WARNING, code, message, *expression)


def information(code: IssueType, message: Told, *expression: str) -> Issue:
    """A remark."""
    return issue(Severity.INFORMATION, code, message, *expression)


def fails(issues: Sequence[Issue]) -> bool:
    """Tell whether any of the issues makes the request fail."""
    return any(issue.severity in (Severity.FATAL, Severity.ERROR) for issue in issues)


RULES: Final = "https://fhir.dmp-ens.example/CodeSystem/regle-validation"
"""The code system of rules that no profile states: those of FHIR itself, and of this server."""


_NO_ISSUE: Final = (information(IssueType.INFORMATIONAL, told("no-issue")),)


def operation_outcome(issues: Sequence[Issue], language: Language = Language.ENGLISH) -> dict[str, object]:
    """The OperationOutcome resource that carries these issues; at least one, as the standard asks.

    What is told in one language only is told in that one. ``language`` says so where all of it is French; English is
    what is expected of who says nothing.
    """
    outcome: dict[str, object] = {"resourceType": "OperationOutcome"}
    if languages_of(issues, language) == (Language.FRENCH,):
        outcome["language"] = str(Language.FRENCH)
    return {**outcome, "issue": [_issue(one, language) for one in issues or _NO_ISSUE]}


def languages_of(issues: Sequence[Issue], language: Language) -> tuple[Language, ...]:
    """The languages in which they are told to who asks for this one: not all is there in French."""
    if language is Language.ENGLISH:
        return (Language.ENGLISH,)
    french = [bool(one.french) for one in issues or _NO_ISSUE]
    if all(french):
        return (Language.FRENCH,)
    return (Language.FRENCH, Language.ENGLISH) if any(french) else (Language.ENGLISH,)


def _issue(issue: Issue, language: Language) -> dict[str, object]:
    shown: dict[str, object] = {"severity": str(issue.severity), "code": str(issue.code)}
    if issue.rule:
        url, _, version = issue.profile.partition("|")
        coding = {"system": url or RULES, **({"version": version} if version else {}), "code": _text(issue.rule)}
        shown["details"] = {"coding": [coding]}
    shown["diagnostics"] = _text(issue.french if issue.french and language is Language.FRENCH else issue.diagnostics)
    if issue.expression:
        shown["expression"] = [_text(one) for one in issue.expression]
    return shown


def _text(told: str) -> str:
    return _NO_TEXT.sub("\ufffd", told)

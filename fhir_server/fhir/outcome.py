"""Issues, as an OperationOutcome tells them.

https://hl7.org/fhir/R4/operationoutcome.html
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence


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


def error(code: IssueType, diagnostics: str, *expression: str, french: str = "") -> Issue:
    """An issue that makes the request fail."""
    return Issue(Severity.ERROR, code, diagnostics, expression, french)


def warning(code: IssueType, diagnostics: str, *expression: str, french: str = "") -> Issue:
    """An issue that the client should look at; the request succeeds."""
    return Issue(Severity.WARNING, code, diagnostics, expression, french)


def information(code: IssueType, diagnostics: str, *expression: str, french: str = "") -> Issue:
    """A remark."""
    return Issue(Severity.INFORMATION, code, diagnostics, expression, french)


def fails(issues: Sequence[Issue]) -> bool:
    """Tell whether any of the issues makes the request fail."""
    return any(issue.severity in (Severity.FATAL, Severity.ERROR) for issue in issues)


RULES: Final = "https://fhir.dmp-ens.example/CodeSystem/regle-validation"
"""The code system of rules that no profile states: those of FHIR itself, and of this server."""


def operation_outcome(issues: Sequence[Issue], language: Language = Language.ENGLISH) -> dict[str, object]:
    """The OperationOutcome resource that carries these issues; at least one, as the standard asks.

    What is told in one language only is told in that one.
    """
    told = issues or (
        information(IssueType.INFORMATIONAL, "No issue was found.", french="Aucun problème n'a été trouvé."),
    )
    return {"resourceType": "OperationOutcome", "issue": [_issue(issue, language) for issue in told]}


def _issue(issue: Issue, language: Language) -> dict[str, object]:
    told: dict[str, object] = {"severity": str(issue.severity), "code": str(issue.code)}
    if issue.rule:
        url, _, version = issue.profile.partition("|")
        coding = {"system": url or RULES, **({"version": version} if version else {}), "code": _text(issue.rule)}
        told["details"] = {"coding": [coding]}
    told["diagnostics"] = _text(issue.french if issue.french and language is Language.FRENCH else issue.diagnostics)
    if issue.expression:
        told["expression"] = [_text(one) for one in issue.expression]
    return told


def _text(told: str) -> str:
    return _NO_TEXT.sub("\ufffd", told)

"""What a check answers, and the shape of a check."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TypeAlias

from fhir_server.fhir.json import Json, JsonObject, encode
from fhir_server.fhir.messages import Told
from fhir_server.fhir.outcome import IssueType, Severity

MOST_ISSUES = 100
"""So many errors are told of one request, and so many warnings."""
SHOWN = 60
"""How many characters of a value a diagnostic repeats."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A defect, and where it is, seen from the check that answers it: ``.content[0].attachment.size``."""

    code: IssueType
    diagnostics: str
    path: str = ""
    severity: Severity = Severity.ERROR
    french: str = ""
    """The same sentence in French."""
    rule: str = ""
    """What is broken, within the profile: the key of a constraint, or what an element asks for (`min`, `binding`)."""
    profile: str = ""
    """The canonical URL, with its version, of the profile that asks for it; empty for FHIR itself."""


Findings: TypeAlias = list[Finding]


@dataclass(slots=True)
class Container:
    """The resource that holds the contained ones, while it is walked: fragments (``#id``) are looked up here.

    https://hl7.org/fhir/R4/references.html#contained
    """

    type: str
    """The resource type, which the fragment ``#`` alone refers to."""
    contained: Mapping[str, str] = field(default_factory=dict)
    """Type of each contained resource by id."""
    in_transaction: bool = False
    """Whether it is an entry of a transaction, where references may be conditional (``Patient?identifier=...``)."""
    referenced: set[str] = field(default_factory=set)
    """The fragments met so far."""


Check: TypeAlias = Callable[[Json, Container], "Findings | None"]
"""Checks a JSON value of an element; nothing to say is ``None``."""

ObjectCheck: TypeAlias = Callable[[JsonObject, Container], "Findings | None"]
"""Checks what holds between the members of an object."""


def one(code: IssueType, message: Told, path: str = "", *, rule: str) -> Findings:
    """The answer of a check that found one error."""
    return [Finding(code, message.en, path, Severity.ERROR, message.fr, rule)]


def joined(found: Findings | None, prefix: str, more: Findings) -> Findings:
    """What was found so far and ``more``, found one level below at ``prefix``. ``more`` itself stays as it is."""
    below = [_below(prefix, finding) for finding in more] if prefix else list(more)
    if found is None:
        return below
    found += below
    return most_important(found) if len(found) > 4 * MOST_ISSUES else found


def _below(prefix: str, found: Finding) -> Finding:
    """The same, seen from one level above. `dataclasses.replace` takes three times as long."""
    return Finding(
        found.code,
        found.diagnostics,
        prefix + found.path,
        found.severity,
        found.french,
        found.rule,
        found.profile,
    )


def are_enough(found: Findings) -> bool:
    """Whether there are more errors than are told, so that looking further is of no use.

    A hostile body holds a defect in every byte; finding all would cost more than reading it.
    """
    return len(found) > MOST_ISSUES and sum(finding.severity is Severity.ERROR for finding in found) > MOST_ISSUES


def most_important(found: Findings) -> Findings:
    """As many errors and as many warnings as are told, and one more of each to show that there were others.

    An error is never given up for a warning.
    """
    errors = [finding for finding in found if finding.severity is Severity.ERROR]
    others = [finding for finding in found if finding.severity is not Severity.ERROR]
    return errors[: MOST_ISSUES + 1] + others[: MOST_ISSUES + 1]


def shown(value: Json) -> str:
    """The value as a diagnostic repeats it: as JSON, a text quoted, and shortened."""
    if not isinstance(value, str):
        is_number = isinstance(value, (int, Decimal)) and not isinstance(value, bool)
        written = str(value) if is_number else encode(value).decode()
        return f"{written[:SHOWN]}..." if len(written) > SHOWN else written
    text = ascii(value[:SHOWN]) if not value[:SHOWN].isprintable() else f"'{value[:SHOWN]}'"
    return f"{text}..." if len(value) > SHOWN else text

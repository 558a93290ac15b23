"""Validates a resource: a JSON tree in, a list of issues out.

https://hl7.org/fhir/R4/validation.html
"""

from __future__ import annotations

from fhir_server.definitions.tables import Definitions
from fhir_server.fhir.json import Json
from fhir_server.fhir.outcome import Issue, IssueType, Severity, error, information
from fhir_server.fhirpath.refused import TooMuch
from fhir_server.validation.finding import MOST_ISSUES, Finding, most_important
from fhir_server.validation.messages import told
from fhir_server.validation.objects import Objects


class Validator:
    """The structural rules of FHIR R4, compiled from the tables."""

    def __init__(self, definitions: Definitions) -> None:
        """Compile the checks of all resource types."""
        self._objects = Objects(definitions)
        for name in definitions.resource_types:
            self._objects.of_type(name)

    def validate(self, resource: Json) -> list[Issue]:
        """What is wrong with a resource, each with its FHIRPath expression; empty for a valid one.

        Warnings are among the issues: ask :func:`fhir_server.fhir.outcome.fails`. Any JSON tree is answered.
        """
        try:
            found = self._objects.container(resource)
        except TooMuch:
            return [error(IssueType.TOO_COSTLY, told("too-many-for-invariants"))]
        except RecursionError:
            return [error(IssueType.TOO_COSTLY, told("nested-too-deeply"))]
        if found is None:
            return []
        name = resource.get("resourceType") if isinstance(resource, dict) else None
        root = name if isinstance(name, str) and self._objects.is_resource_type(name) else "Resource"
        most = most_important(found)
        errors = [_issue(root, finding) for finding in most if finding.severity is Severity.ERROR]
        others = [_issue(root, finding) for finding in most if finding.severity is not Severity.ERROR]
        issues = errors[:MOST_ISSUES] + others[:MOST_ISSUES]
        if len(issues) < len(most):
            issues.append(information(IssueType.INFORMATIONAL, told("more-issues", number=len(issues))))
        return issues


def _issue(root: str, finding: Finding) -> Issue:
    return Issue(
        finding.severity,
        finding.code,
        finding.diagnostics,
        (root + finding.path,),
        finding.french,
        finding.rule,
        finding.profile,
    )

"""One validator for all tests of this folder, and small valid resources to break."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from fhir_server.definitions.load import load
from fhir_server.fhir.outcome import Issue, IssueType, Severity
from fhir_server.validation.structure import Validator

Told = list[tuple[str, str]]
Validate = Callable[[Any], Told]


@pytest.fixture(scope="session")
def validator() -> Validator:
    return Validator(load())


def told(validator: Validator, resource: Any) -> list[Issue]:
    """What is wrong with a resource; each issue in both languages, and but for what is none's fault, with its rule."""
    issues = validator.validate(resource)
    for issue in issues:
        assert issue.french, issue
        assert issue.french != issue.diagnostics, issue
        assert issue.rule or issue.code in (IssueType.TOO_COSTLY, IssueType.INFORMATIONAL), issue
        assert not issue.profile, issue
    return issues


@pytest.fixture(scope="session")
def errors(validator: Validator) -> Validate:
    """The errors of a resource as (expression, issue code)."""

    def validate(resource: Any) -> Told:
        issues = told(validator, resource)
        return [(i.expression[0], str(i.code)) for i in issues if i.severity is Severity.ERROR]

    return validate


@pytest.fixture(scope="session")
def warnings(validator: Validator) -> Validate:
    """The warnings of a resource as (expression, issue code)."""

    def validate(resource: Any) -> Told:
        issues = told(validator, resource)
        return [(i.expression[0], str(i.code)) for i in issues if i.severity is Severity.WARNING]

    return validate

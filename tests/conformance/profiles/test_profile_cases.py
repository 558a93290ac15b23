"""Each profile accepts what it should, and says what is wrong with what it should not: ``cases/``."""

from __future__ import annotations

from typing import Any

import pytest

from fhir_server.fhir.outcome import Issue, fails
from tests.conformance.profiles.conftest import Issues
from tests.conformance.profiles.harness import Case, example, tables

ACCEPTED = [(table.against, name) for table in tables() for name in table.accepted]
REJECTED = [case for table in tables() for case in table.rejected]
DEFECTS = [case for table in tables() for case in table.defects]


@pytest.mark.parametrize(("url", "name"), ACCEPTED, ids=[f"{url.rpartition('/')[2]}: {name}" for url, name in ACCEPTED])
def test_an_example_is_accepted(issues: Issues, url: str, name: str) -> None:
    found = issues(example(name), url)

    assert not fails(found), [told(issue) for issue in found]


@pytest.mark.parametrize("case", REJECTED, ids=[case.name for case in REJECTED])
def test_a_broken_example_is_told_of(issues: Issues, case: Case) -> None:
    assert_told(case, issues(case.resource(), case.against))


@pytest.mark.parametrize("case", DEFECTS, ids=[case.name for case in DEFECTS])
def test_a_published_example_with_a_defect_is_told_of(issues: Issues, case: Case) -> None:
    assert_told(case, issues(case.resource(), case.against))


def assert_told(case: Case, found: list[Issue]) -> None:
    """The expected issue is there, in both languages."""
    wanted = (case.severity, case.rule, case.at, case.asked_by)
    meant = [issue for issue in found if told(issue) == wanted]

    assert meant, [told(issue) for issue in found]
    assert all(issue.diagnostics and issue.french for issue in meant)
    for value_set in case.value_sets:
        assert any(f"is not in {value_set}" in issue.diagnostics for issue in meant), [one.diagnostics for one in meant]


def told(issue: Issue) -> tuple[Any, ...]:
    """What a case tells of an issue."""
    return (str(issue.severity), issue.rule, issue.expression[0], issue.profile.partition("|")[0])

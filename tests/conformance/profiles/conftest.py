"""One engine for all cases of this folder."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from fhir_server.definitions.load import load
from fhir_server.definitions.structure_definitions import StructureDefinitions, base_definitions
from fhir_server.fhir.outcome import Issue
from fhir_server.terminology import Terminology
from fhir_server.validation.profiles.checks import ProfileChecks
from tests.conformance.profiles.harness import definitions

Issues = Callable[[Any, str], list[Issue]]


@pytest.fixture(scope="session")
def issues() -> Issues:
    """What a profile says about a resource."""
    known = StructureDefinitions(base_definitions(), definitions().values())
    checks = ProfileChecks(known, load(), Terminology.load())

    def told(resource: Any, url: str) -> list[Issue]:
        return list(checks.issues(resource, [url]))

    return told

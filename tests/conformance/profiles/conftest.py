"""One engine for all cases of this folder."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from fhir_server.fhir.outcome import Issue
from tests.conformance.profiles.claims import checks

Issues = Callable[[Any, str], list[Issue]]


@pytest.fixture(scope="session")
def issues() -> Issues:
    """What a profile says about a resource."""

    def told(resource: Any, url: str) -> list[Issue]:
        return list(checks().issues(resource, [url]))

    return told

"""What the demonstration holds and what `examples/` sends is of the profiles it claims: no error, and no warning."""

from __future__ import annotations

import runpy
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest

from fhir_server.cli.demo_records import records
from tests.conformance.profiles.claims import claimed, told
from tests.served import ROOT

NOW: Final = datetime(2026, 6, 1, 12, tzinfo=UTC)
DEMONSTRATION: Final = [one.resource for one in records(NOW)]
PUBLISHED: Final = (
    *("--base", "http://127.0.0.1/fhir", "--token", "none", "--ins", "280057505600117", "--family", "Martin"),
    *("--given", "Helene", "--birth-date", "1980-05-14", "--gender", "female", "--author-rpps", "89900000002"),
    *("--author-family", "Bernard", "--author-given", "Marc", "--title", "Lettre de liaison"),
)


@pytest.mark.parametrize("resource", DEMONSTRATION, ids=[f"{one['resourceType']}/{one['id']}" for one in DEMONSTRATION])
def test_a_resource_of_the_demonstration_is_of_its_profiles(resource: dict[str, Any]) -> None:
    assert list(claimed(resource)) or resource["resourceType"] == "Binary", "It claims none."
    assert told(resource) == []


def test_what_a_hospital_sends_first_is_of_its_profiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    letter = tmp_path / "lettre.pdf"
    letter.write_bytes(b"%PDF-1.4")
    publisher = runpy.run_path(str(ROOT / "examples" / "publish.py"))
    monkeypatch.setattr(sys, "argv", ["publish.py", str(letter), *PUBLISHED])

    assert told(publisher["bundle"](publisher["arguments"](), NOW.isoformat())) == []

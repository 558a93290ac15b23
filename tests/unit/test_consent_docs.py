"""The pages on consent say what the code does: the examples are read, the lists are whole."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fhir_server.consent.circumstances import Act, Standing
from fhir_server.record.consents import SHAPES, ConsentFact, Policy, policy_of, read_consent
from tests.build import NOW, PARIS, YEAR

DOCS = Path(__file__).parents[2] / "docs" / "consent"
SHAPES_PAGE = (DOCS / "shapes.md").read_text(encoding="utf-8")
EXAMPLES: list[dict[str, Any]] = [
    msgspec.json.decode(one) for one in re.findall(r"```json\n(.*?)```", SHAPES_PAGE, re.DOTALL)
]


def test_every_policy_has_an_example_and_a_line() -> None:
    assert {policy_of({**EXAMPLES[0], **one}) for one in EXAMPLES} == set(Policy)
    lines = re.findall(r"^\| [^|]+ \| `([a-z-]+)` \|", SHAPES_PAGE, re.MULTILINE)
    assert sorted(lines) == sorted(SHAPES)


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_every_example_is_a_consent_that_decides(number: int) -> None:
    consent = {**EXAMPLES[0], **EXAMPLES[number]}
    found = read_consent(consent, granted=NOW, zone=PARIS, duration=YEAR)
    assert isinstance(found, ConsentFact), found
    assert found.proposed is (consent["status"] == "proposed")


def test_how_a_decision_is_made_names_every_standing_and_act() -> None:
    page = (DOCS / "how-a-decision-is-made.md").read_text(encoding="utf-8")
    assert {str(one) for one in Standing} <= set(re.findall(r"^\| ([a-z-]+)", page, re.MULTILINE)) | set(
        re.findall(r"`([a-z-]+)`", page)
    )
    assert {str(one) for one in Act} <= set(re.findall(r"^\| ([a-z-]+) \|", page, re.MULTILINE))


def test_the_page_for_patients_is_set_in_french() -> None:
    page = (DOCS / "vos-droits.md").read_text(encoding="utf-8")
    assert "'" not in page
    assert not re.search(r"[^\u202f][;!?]|\w:\s", page)


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target

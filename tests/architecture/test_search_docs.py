"""The page on search says what is shown: every test it names is there, and every search test is named or near one."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[2]
PAGE: Final = (ROOT / "docs" / "interactions" / "search.md").read_text(encoding="utf-8")
NAMED: Final = sorted(set(re.findall(r"`(test_\w+\.py)::(test_\w+)`", PAGE)))
ROWS: Final = [line for line in PAGE.splitlines() if line.startswith("|") and not line.startswith("| ---")]


@pytest.mark.parametrize(("file", "test"), NAMED, ids=[f"{file}::{test}" for file, test in NAMED])
def test_a_test_that_the_page_names_is_there(file: str, test: str) -> None:
    (path,) = (ROOT / "tests").rglob(file)
    assert re.search(rf"^(async )?def {test}\(", path.read_text(encoding="utf-8"), re.MULTILINE)


def test_every_file_of_search_tests_is_on_the_page() -> None:
    files = {path.name for path in (ROOT / "tests" / "http").glob("test_search_*.py")}
    assert files <= {file for file, _ in NAMED}


def test_every_feature_has_a_test() -> None:
    """But for what another table shows."""
    assert [row for row in ROWS if "`test_" not in row and not row.endswith(("| Test |", "| below | |"))] == []


def test_the_links_of_the_page_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#\w+)?\)", PAGE):
        assert (ROOT / "docs" / "interactions" / target).exists(), target

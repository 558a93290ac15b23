"""Imports point downwards only; MongoDB is known to the store alone; consent, search and record are pure."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_contracts_are_kept() -> None:
    checked = lint(ROOT)
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize(
    ("module", "forbidden"),
    [
        ("search/predicate.py", "import fhir_server.consent.decide"),
        ("interactions/read.py", "import pymongo"),
        ("consent/decide.py", "import asyncio"),
        ("identity/scope.py", "import fhir_server.http"),
    ],
)
def test_an_import_that_points_upwards_is_caught(tmp_path: Path, module: str, forbidden: str) -> None:
    shutil.copytree(ROOT / "fhir_server", tmp_path / "fhir_server", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    planted = tmp_path / "fhir_server" / module
    text = planted.read_text(encoding="utf-8")
    planted.write_text(f"{text}\n{forbidden}\n", encoding="utf-8")
    checked = lint(tmp_path)
    assert checked.returncode != 0
    assert "BROKEN" in checked.stdout

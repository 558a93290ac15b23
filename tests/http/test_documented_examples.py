"""The examples of docs/interactions run: a fenced block of ``sh`` that begins with ``# runs`` must do what it says.

Each is a script of its own against the demonstration records, under ``set -euo pipefail``, with ``BASE`` and the tokens
of :data:`ACTORS` in its environment. It ends with 0 where all is as told: so an example says by a ``grep -c`` or a
``[ … ]`` what it shows (``grep -q`` goes before `curl` has written all, which fails, too). They write, so the server is
their own; those of one page run in their order.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.served import Served, serving

PAGES: Final = Path(__file__).resolve().parents[2] / "docs" / "interactions"
ACTORS: Final = {
    "TOKEN_PATIENT": "patient",
    "TOKEN_HOPITAL": "hopital",
    "TOKEN_MEDECIN": "medecin-traitant",
    "TOKEN_SPECIALISTE": "specialiste",
}
"""By variable, who it is a token of."""
LONGEST: Final = 60
"""Seconds after which an example hangs."""

_BLOCK: Final = re.compile(r"^```sh\n(# runs\n.*?)^```$", re.MULTILINE | re.DOTALL)
_MARKED: Final = re.compile(r"^\s*# runs\b", re.MULTILINE)


def blocks(page: str) -> list[str]:
    """The scripts of a page."""
    return [match[1] for match in _BLOCK.finditer(page)]


EXAMPLES: Final = {
    f"{path.stem}-{number}": block
    for path in sorted(PAGES.glob("*.md"))
    for number, block in enumerate(blocks(path.read_text(encoding="utf-8")), 1)
}


def run(script: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """The script as a reader would paste it, and stopped where something fails."""
    return subprocess.run(
        ["bash", "-c", f"set -euo pipefail\n{script}"],
        env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", **environment},
        capture_output=True,
        text=True,
        timeout=LONGEST,
        check=False,
    )


@pytest.fixture(scope="module")
def demonstration(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The demonstration records, as a reader has them."""
    with serving(tmp_path_factory.mktemp("examples") / "data") as running:
        yield running


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_does_what_it_says(demonstration: Served, name: str, tmp_path: Path) -> None:
    tokens = {variable: demonstration.token(actor) for variable, actor in ACTORS.items()}
    ran = run(EXAMPLES[name], {"BASE": demonstration.base, "HOME": str(tmp_path), **tokens})
    assert ran.returncode == 0, f"{name} ended with {ran.returncode}\n{EXAMPLES[name]}\n{ran.stdout}\n{ran.stderr}"


def test_every_marked_block_is_run() -> None:
    """A mark that is indented, or in a block of another language, would never be."""
    marked = {path.stem: len(_MARKED.findall(path.read_text(encoding="utf-8"))) for path in PAGES.glob("*.md")}
    found = {page: sum(name.rpartition("-")[0] == page for name in EXAMPLES) for page in marked}
    assert found == marked
    assert found["iti-66"]
    assert found["iti-67"]


@pytest.mark.parametrize("script", ["false", "false | true", "echo $UNSET", "curl -sf http://127.0.0.1:9/ | cat"])
def test_an_example_that_fails_anywhere_fails(script: str) -> None:
    (block,) = blocks(f"text\n\n```sh\n# runs\n{script}\n```\n\n```sh\nnot this\n```\n")
    assert run(block, {}).returncode != 0

"""Plants faults in a copy of the source and sees whether the tests catch them.

A test that never fails proves nothing. `mutants.toml` holds each fault as the text it replaces, the text it puts there
and the tests that must fail. A fault that survives, or that cannot be planted, fails the run.

Usage: ``python tools/mutate.py [--processes N] [NAME...]``: all of them, or those whose name contains one of the words.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from queue import SimpleQueue
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
TABLE: Final = Path(__file__).with_name("mutants.toml")
COPIED: Final = (
    *("fhir_server", "tests", "tools", "terminology", "profiles"),
    *("pyproject.toml", "capability_statement.json"),
)
LONGEST: Final = 300
"""Seconds that one selection of tests may take."""
SOME_FAILED: Final = 1
"""The exit code of pytest when tests ran and some failed; any other is no proof that the fault was noticed."""

PROFILE: Final = """
from hypothesis import Phase, settings

settings.register_profile(
    "mutants", max_examples=100, deadline=None, derandomize=True, database=None, phases=[Phase.explicit, Phase.generate]
)
"""
"""Hypothesis that finds and does not shrink."""


class Outcome(StrEnum):
    """What became of a fault."""

    CAUGHT = "caught"
    SURVIVED = "SURVIVED"
    ERROR = "ERROR"


@dataclass(frozen=True, slots=True)
class Mutant:
    """One fault."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """What became of it, and what told so."""

    name: str
    outcome: Outcome
    told: str
    seconds: float = 0.0


def load(path: Path = TABLE) -> list[Mutant]:
    """The faults; a table of tests may be named once and used by many."""
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    named: dict[str, list[str]] = table.get("tests", {})
    mutants = [
        Mutant(one["name"], one["file"], one["old"], one["new"], tuple(_selection(one["tests"], named)))
        for one in table["mutants"]
    ]
    names = [mutant.name for mutant in mutants]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise ValueError(f"{path.name}: named twice: {', '.join(sorted(twice))}")
    return mutants


def _selection(told: Sequence[str], named: dict[str, list[str]]) -> Iterator[str]:
    for one in told:
        yield from named.get(one, [one])


def mutated(text: str, mutant: Mutant) -> str:
    """The text with the fault in it; :class:`ValueError` unless the old text is there exactly once."""
    times = text.count(mutant.old)
    if times != 1:
        raise ValueError(f"the old text is {times} times in {mutant.file}, not once")
    if mutant.new == mutant.old:
        raise ValueError("the new text is the old one")
    return text.replace(mutant.old, mutant.new)


def copy(to: Path) -> Path:
    """A tree to plant faults in."""
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, to / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.exists():
            shutil.copy(source, to / name)
    (to / "conftest.py").write_text(PROFILE, encoding="utf-8")
    return to


def run(tree: Path, tests: Sequence[str]) -> tuple[int, str]:
    """Run the tests in a tree; the exit code, and the line that says most."""
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "HYPOTHESIS_PROFILE": "mutants"}
    command = [sys.executable, "-m", "pytest", "-x", "-q", "--tb=line", "-p", "no:cacheprovider", *tests]
    try:
        done = subprocess.run(  # noqa: S603 - our own tests
            command, cwd=tree, env=environment, capture_output=True, text=True, timeout=LONGEST, check=False
        )
    except subprocess.TimeoutExpired:
        return -1, f"not done in {LONGEST} s"
    lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    failed = [line for line in lines if line.startswith(("FAILED", "ERROR"))]
    return done.returncode, re.sub(r" - .*", "", (failed or lines or [""])[-1])


def plant(tree: Path, mutant: Mutant) -> Report:
    """Plant a fault, run its tests, take it out again."""
    started = time.monotonic()
    file = tree / mutant.file
    sound = file.read_text(encoding="utf-8")
    try:
        file.write_text(mutated(sound, mutant), encoding="utf-8")
    except ValueError as error:
        return Report(mutant.name, Outcome.ERROR, str(error))
    try:
        code, told = run(tree, mutant.tests)
    finally:
        file.write_text(sound, encoding="utf-8")
    outcome = {0: Outcome.SURVIVED, SOME_FAILED: Outcome.CAUGHT}.get(code, Outcome.ERROR)
    return Report(mutant.name, outcome, told, time.monotonic() - started)


@contextmanager
def _trees(number: int) -> Iterator[SimpleQueue[Path]]:
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        free: SimpleQueue[Path] = SimpleQueue()
        for one in range(number):
            place = Path(folder, str(one))
            place.mkdir()
            free.put(copy(place))
        yield free


def mutate(mutants: Sequence[Mutant], processes: int) -> Iterator[Report]:
    """The report on each fault, in order; first of all, that the tests pass without any."""
    tests = sorted({test for mutant in mutants for test in mutant.tests})
    with _trees(processes) as free:

        def one(mutant: Mutant) -> Report:
            tree = free.get()
            try:
                return plant(tree, mutant)
            finally:
                free.put(tree)

        tree = free.get()
        code, told = run(tree, tests)
        free.put(tree)
        if code != 0:
            yield Report("no fault at all", Outcome.ERROR, f"the tests fail by themselves: {told}")
            return
        with ThreadPoolExecutor(processes) as pool:
            yield from pool.map(one, mutants)


def main() -> int:
    """Run, print, answer the exit code."""
    parser = argparse.ArgumentParser(description="Plants faults and sees whether the tests catch them.")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("names", nargs="*", help="words in the names of the faults to plant; all without")
    told = parser.parse_args()
    mutants = [one for one in load() if not told.names or any(word in one.name for word in told.names)]
    started, bad = time.monotonic(), 0
    for report in mutate(mutants, told.processes):
        bad += report.outcome is not Outcome.CAUGHT
        print(f"{report.outcome:8} {report.seconds:5.1f} s  {report.name}: {report.told}", flush=True)
    print(f"{len(mutants)} faults, {bad} not caught, {time.monotonic() - started:.0f} s")
    return 1 if bad or not mutants else 0


if __name__ == "__main__":
    sys.exit(main())

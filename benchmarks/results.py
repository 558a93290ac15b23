"""The figures as they are reported: median, least and most of all runs, beside the floor of the same runs."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks.driver import Outcome
from benchmarks.processes import processor

_TITLE: Final = """# What it costs, measured

One section a measurement, the last one at the end; `benchmarks/run.py` appends them.
CPU is milliseconds a request, of server processes and mongod together; the load driver is not counted.
Figures are the median of all runs, in brackets the least and the most.
The floor is bare PyMongo on the same mongod and data, measured in the same runs.
`http` is uvicorn with a handler that does nothing.
`emergency` is a whole record by who breaks the glass: a search of 20, then three documents, timed as one,
while others read half as much as 16 callers can.
"""
_COLUMNS: Final = (
    "measurement",
    "callers",
    "CPU ms a request",
    "floor CPU ms",
    "ratio",
    "requests/s",
    "p50 ms",
    "p99 ms",
)


@dataclass(slots=True)
class Figures:
    """What all runs of one measurement came to."""

    alone: bool = True
    """Nothing else was asked of the server meanwhile, so its CPU time is of these requests."""
    cpu: list[float] = field(default_factory=list)
    """Milliseconds a request."""
    throughput: list[float] = field(default_factory=list)
    p50: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        """One more run."""
        if not outcome.latencies:
            raise SystemExit("Nothing was answered in the time of a measurement.")
        self.cpu.append(outcome.watched_cpu * 1000 / outcome.requests)
        self.throughput.append(outcome.requests / outcome.seconds)
        self.p50.append(_percentile(outcome.latencies, 0.50))
        self.p99.append(_percentile(outcome.latencies, 0.99))

    def last(self) -> str:
        """The last run, for who watches."""
        cpu = f"{self.cpu[-1]:6.2f} ms CPU" if self.alone else " " * 13
        return f"{cpu}  {self.throughput[-1]:7.0f}/s  p50 {self.p50[-1]:6.2f}  p99 {self.p99[-1]:6.2f} ms"


@dataclass(frozen=True, slots=True)
class Machine:
    """Where and with what was measured."""

    commit: str
    date: str
    processor: str
    python: str
    mongod: str

    @classmethod
    def here(cls, mongod: str) -> Machine:
        """This machine, now."""
        return cls(_commit(), f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC", processor(), platform.python_version(), mongod)


def append(path: Path, machine: Machine, what: str, found: Mapping[tuple[str, int], Figures]) -> None:
    """Add a section of measurements of requests to the report."""
    lines = [f"| {' | '.join(_COLUMNS)} |", f"|{' --- |' * len(_COLUMNS)}"]
    for (name, callers), figures in found.items():
        if name == "floor http":
            lines.append(_row("http (does nothing)", callers, figures, None))
        elif not name.startswith("floor"):
            lines.append(_row(name, callers, figures, found.get((f"floor {name}", callers))))
    add(path, machine, what, lines)


def add(path: Path, machine: Machine, what: str, lines: Sequence[str]) -> None:
    """Add a section to the report, and show it."""
    before = path.read_text(encoding="utf-8") if path.exists() else _TITLE
    head = [
        f"## {machine.date}, commit {machine.commit}",
        "",
        f"{machine.processor}, Python {machine.python}, MongoDB {machine.mongod}.",
        f"{what}.",
        "",
    ]
    text = "\n".join([*head, *lines])
    path.write_text(f"{before.rstrip()}\n\n{text}\n", encoding="utf-8")
    print(text)


def _row(name: str, callers: int, figures: Figures, floor: Figures | None) -> str:
    cells = [
        name,
        str(callers),
        spread(figures.cpu, 2) if figures.alone else "",
        spread(floor.cpu, 2) if floor else "",
        f"{median(figures.cpu) / median(floor.cpu):.2f}" if floor else "",
        spread(figures.throughput, 0),
        spread(figures.p50, 2),
        spread(figures.p99, 2),
    ]
    return f"| {' | '.join(cells)} |"


def spread(values: list[float], digits: int) -> str:
    """Their median, and in brackets the least and the most."""
    return f"{median(values):.{digits}f} ({min(values):.{digits}f}-{max(values):.{digits}f})"


def _percentile(values: list[float], share: float) -> float:
    """Of sorted values, the least that so many do not exceed."""
    return values[min(len(values) - 1, int(len(values) * share))]


def _commit() -> str:
    """The commit that was measured, and whether the files differ from it."""
    root = Path(__file__).resolve().parent.parent
    git = ("git", "-C", str(root))
    commit = subprocess.run([*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False).stdout
    changed = subprocess.run(
        [*git, "status", "--porcelain", "--", "fhir_server"], capture_output=True, text=True, check=False
    ).stdout
    return f"{commit.strip() or 'unknown'}{' with changes' if changed.strip() else ''}"

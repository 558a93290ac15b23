"""What processes cost: CPU seconds and memory, as the kernel counts them (``/proc``, Linux)."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_PROC: Final = Path("/proc")
_USER, _SYSTEM, _PARENT = 11, 12, 1
"""Places in ``/proc/[pid]/stat`` after the name, https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html"""


def cpu_seconds(pids: Iterable[int]) -> float:
    """CPU time of these processes since they began, user and system, all their threads."""
    return sum(int(one[_USER]) + int(one[_SYSTEM]) for one in map(_stat, pids)) / _TICKS


def tree(pid: int) -> list[int]:
    """A process and all that descend from it."""
    parents = {int(entry.name): _parent(entry) for entry in _PROC.iterdir() if entry.name.isdigit()}
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found


def program(pid: int) -> str:
    """The file name of the program."""
    return (_PROC / str(pid) / "exe").readlink().name


def resident_megabytes(pid: int) -> float:
    """What a process holds in memory."""
    pages = int((_PROC / str(pid) / "statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE") / 1e6


def processor() -> str:
    """Name and number of the processors."""
    lines = (_PROC / "cpuinfo").read_text().splitlines()
    name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
    return f"{os.cpu_count()} x {name}"


def _stat(pid: int) -> Sequence[str]:
    return (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()


def _parent(entry: Path) -> int:
    try:
        return int(_stat(int(entry.name))[_PARENT])
    except OSError:  # it ended meanwhile
        return -1

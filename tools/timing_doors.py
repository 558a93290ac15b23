"""Whether the time of an answer tells hidden from absent. For a quiet machine, at night; not a test.

    python tools/timing_doors.py [--rounds 2000] [--data DIR]

At each door the same requester asks in turn, in random order, for something that is hidden from him and for something
that is not there. The two samples are compared by the Kolmogorov-Smirnov statistic: D is the greatest distance of their
distributions, p how often chance alone would part them so far. A door leaks when p is below one in ten thousand *and*
the medians differ by more than 3 %; the tool then exits with 1. What it found belongs in ``docs/consent/timing.md``.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
import time
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from statistics import median
from typing import Final

import httpx

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.served import FHIR_JSON, JSON_PATCH, Served, serving

CHANCE: Final = 1e-4
NOTICEABLE: Final = 0.03
_STATUS: Final = [{"op": "replace", "path": "/status", "value": "superseded"}]
_DOORS: Final[dict[str, Callable[[httpx.Client, str], httpx.Response]]] = {
    "read": lambda client, at: client.get(f"/DocumentReference/{at}"),
    "vread": lambda client, at: client.get(f"/DocumentReference/{at}/_history/1"),
    "history": lambda client, at: client.get(f"/DocumentReference/{at}/_history"),
    "search by _id": lambda client, at: client.get(f"/DocumentReference?_id={at}"),
    "content": lambda client, at: client.get(f"/Binary/{at}-pdf"),
    "update": lambda client, at: client.put(f"/DocumentReference/{at}", json=_document(at), headers=FHIR_JSON),
    "patch": lambda client, at: client.patch(f"/DocumentReference/{at}", json=_STATUS, headers=JSON_PATCH),
    "delete": lambda client, at: client.delete(f"/DocumentReference/{at}"),
    "include": lambda client, at: client.get(f"/DocumentReference?_id={at}&_include=DocumentReference:subject"),
}
_ASKERS: Final = {
    "specialiste": ("demo-1-masque", "masked to him"),
    "patient": ("demo-1-annonce", "not told to the patient yet"),
    "inconnu": ("demo-1-normal-1", "no authorisation"),
    "bloque": ("demo-1-normal-1", "blocked"),
}


@dataclass(frozen=True, slots=True)
class Found:
    """What one door told one requester, in milliseconds."""

    hidden: list[float]
    absent: list[float]

    @property
    def distance(self) -> float:
        """D of Kolmogorov and Smirnov."""
        hidden, absent = sorted(self.hidden), sorted(self.absent)
        return max(
            abs(bisect_right(hidden, at) / len(hidden) - bisect_right(absent, at) / len(absent))
            for at in (*hidden, *absent)
        )

    @property
    def chance(self) -> float:
        """How likely two samples of one distribution are as far apart; the asymptotic series."""
        scale = math.sqrt(len(self.hidden) * len(self.absent) / (len(self.hidden) + len(self.absent)))
        far = self.distance * (scale + 0.12 + 0.11 / scale)
        total = sum((-1) ** (k - 1) * math.exp(-2 * (k * far) ** 2) for k in range(1, 101))
        return min(1.0, max(0.0, 2 * total)) if far > 0.2 else 1.0  # noqa: PLR2004 - below, the series does not settle

    @property
    def gap(self) -> float:
        """By how much the medians differ, as a share."""
        return abs(median(self.hidden) - median(self.absent)) / median(self.absent)

    @property
    def leaks(self) -> bool:
        """Whether somebody who measures could tell."""
        return self.chance < CHANCE and self.gap > NOTICEABLE


def main() -> int:
    """Ask at every door, tell what was found; 1 when a door leaks."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rounds", type=int, default=2000, help="requests of each kind at each door")
    told = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder) / "data") as served:
        leaking = [
            f"{door} by {who}"
            for who in _ASKERS
            for door in _DOORS
            if _show(who, door, _ask(served, who, door, told.rounds)).leaks
        ]
    print(f"{len(leaking)} doors leak: {', '.join(leaking)}" if leaking else "No door leaks.")
    return 1 if leaking else 0


def _ask(served: Served, who: str, door: str, rounds: int) -> Found:
    """Ask for the hidden and the absent in random order, over one connection."""
    client, way, order = served.as_(who), _DOORS[door], Random(door)  # noqa: S311 - an order, no secret
    hidden = _ASKERS[who][0]
    absent = "".join("x" if one.isalpha() else one for one in hidden)  # as long, so that nothing else differs
    found = Found([], [])
    expected = {way(client, one).status_code for one in (hidden, absent) for _ in range(20)}
    if len(expected) != 1:
        raise SystemExit(f"{door} by {who} answers {sorted(expected)}: that is the leak to mend first.")
    for _ in range(rounds):
        for one in order.sample((hidden, absent), 2):
            began = time.perf_counter()
            way(client, one)
            (found.hidden if one is hidden else found.absent).append((time.perf_counter() - began) * 1000)
    return found


def _show(who: str, door: str, found: Found) -> Found:
    mark = "LEAKS" if found.leaks else "ok"
    print(
        f"{who:12} {door:14} hidden {median(found.hidden):6.2f} ms  absent {median(found.absent):6.2f} ms  "
        f"D {found.distance:.3f}  p {found.chance:.2g}  {mark}",
        flush=True,
    )
    return found


def _document(id: str) -> dict[str, object]:
    return {
        "resourceType": "DocumentReference",
        "id": id,
        "status": "current",
        "subject": {"reference": "Patient/demo-1"},
        "content": [{"attachment": {"contentType": "text/plain", "data": "Qm9uam91cg=="}}],
    }


if __name__ == "__main__":
    raise SystemExit(main())

"""What publishing by PDSm costs, beside the raw inserts of what it stored, and what finding and fetching does.

    python benchmarks/publishing.py [--rounds 20] [--runs 3] [--results benchmarks/RESULTS.md]

One server on a fresh folder (embedded MongoDB, one worker, development issuer), everything on: token, consent, rules of
PDSm, durable trail. One client publishes, again and again: ITI-65 with ten documents of 50 kB, ITI-105 with one, and
finds what it published (ITI-67) and fetches a document (ITI-68). What was stored is inserted once more by bare PyMongo,
as benchmarks/bundles.py does, in a durable transaction for each request.

The steady figure is CPU milliseconds a request, of server and mongod together.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
import msgspec
from pymongo import MongoClient

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import results
from benchmarks.bundles import Bench
from benchmarks.processes import cpu_seconds, tree
from benchmarks.records import Person
from benchmarks.results import Machine, spread
from benchmarks.seeding import seed
from fhir_server.store.embedded import running_uri
from tests import pdsm
from tests.served import FHIR_JSON, serving

ROOT: Final = Path(__file__).resolve().parent.parent
PATIENTS: Final = 20
FILE: Final = pdsm.PDF + b"%" * (50_000 - len(pdsm.PDF))


@dataclass(slots=True)
class Found:
    """What the runs of one measurement came to, a request."""

    cpu: list[float] = field(default_factory=list)
    milliseconds: list[float] = field(default_factory=list)
    floor: list[float] = field(default_factory=list)


def _submission(client: httpx.Client, person: Person) -> None:
    _post(client, "", pdsm.provided(person.ins, documents=10, data=FILE))


def _simplified(client: httpx.Client, person: Person) -> None:
    _post(client, "DocumentReference", pdsm.simplified(person.ins, data=FILE))


def _find_and_fetch(client: httpx.Client, person: Person) -> None:
    asked = {"patient.identifier": f"{pdsm.INS_TEST}|{person.ins}", "status": "current", "_count": "20"}
    found = client.get("DocumentReference", params=asked).json()
    url = found["entry"][0]["resource"]["content"][0]["attachment"]["url"]
    content = client.get(url, headers={"Accept": "application/pdf"})
    if content.status_code != httpx.codes.OK:
        raise SystemExit(f"A document was not fetched:\n{content.text[:2000]}")


def _post(client: httpx.Client, path: str, resource: dict[str, Any]) -> None:
    headers = FHIR_JSON | {"Prefer": "return=minimal"}
    answer = client.post(path, content=msgspec.json.encode(resource), headers=headers)
    if answer.status_code not in (200, 201):
        raise SystemExit(f"An answer was no success:\n{answer.text[:2000]}")


SHAPES: Final[dict[str, Callable[[httpx.Client, Person], None]]] = {
    "ITI-65, ten documents of 50 kB": _submission,
    "ITI-105, one document of 50 kB": _simplified,
    "ITI-67 and ITI-68, find and fetch": _find_and_fetch,
}


def main() -> None:
    """Measure, and append what was found."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=20, help="requests of one measurement")
    parser.add_argument("--runs", type=int, default=3, help="times that everything is measured")
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "RESULTS.md", help="file to append to")
    given = parser.parse_args()
    found: dict[str, Found] = {name: Found() for name in SHAPES}
    with tempfile.TemporaryDirectory(prefix="fhir-publishing-") as folder, serving(Path(folder) / "data") as served:
        uri = running_uri(served.data)
        asyncio.run(seed(uri, served.base, PATIENTS))
        with MongoClient[dict[str, Any]](uri) as client:
            bench = Bench(served, client["fhir"], [Person(number) for number in range(PATIENTS)])
            for run in range(given.runs + 1):
                for name, ask in SHAPES.items():
                    _measure(bench, found[name] if run else Found(), ask, given.rounds)
            version = client.server_info()["version"]
    what = f"Publishing: {given.runs} runs of {given.rounds} requests, in turns; load {os.getloadavg()[0]:.1f}"
    results.add(given.results, Machine.here(version), what, _table(found))


def _measure(bench: Bench, found: Found, ask: Callable[[httpx.Client, Person], None], rounds: int) -> None:
    watched, client = tree(bench.served.process.pid), bench.served.as_("hopital")
    before, spent, began = bench.last(), cpu_seconds(watched), time.perf_counter()
    for number in range(rounds):
        ask(client, bench.people[number % PATIENTS])
    took, spent = time.perf_counter() - began, cpu_seconds(watched) - spent
    found.cpu.append(spent * 1000 / rounds)
    found.milliseconds.append(took * 1000 / rounds)
    found.floor.append(bench.bare(before, requests=rounds) * 1000 / rounds)


def _table(found: dict[str, Found]) -> list[str]:
    columns = ("what", "CPU ms a request", "raw inserts, CPU ms", "ratio", "ms a request")
    lines = [f"| {' | '.join(columns)} |", f"|{' --- |' * len(columns)}"]
    for name, one in found.items():
        ratio = [cpu / floor for cpu, floor in zip(one.cpu, one.floor, strict=True)]
        cells = [name, spread(one.cpu, 2), spread(one.floor, 2), spread(ratio, 1), spread(one.milliseconds, 1)]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


if __name__ == "__main__":
    main()

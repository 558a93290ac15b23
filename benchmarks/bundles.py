"""What an entry of a Bundle costs, beside the raw inserts of what it stored. One command:

    python benchmarks/bundles.py [--entries 100 1000] [--runs 3] [--only transaction] [--results benchmarks/RESULTS.md]

One server on a fresh folder (embedded MongoDB, one worker, development issuer), everything on: token, consent, durable
trail. One client sends one Bundle after the other into records that are new to it. What each Bundle stored, resources
and traces, is then inserted once more by bare PyMongo, under other ids, into the same collections with the same
indexes: the resources in one transaction, the traces beside it, durable. The two take turns, so that whatever disturbs
the machine disturbs them alike.

The steady figure is CPU milliseconds an entry, of server and mongod together; the client is left out. The floor counts
bare PyMongo and mongod. ``--entries 100 --runs 1`` shows within a minute whether it works.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import os
import sys
import tempfile
import time
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import httpx
import msgspec
from bson import ObjectId
from pymongo import MongoClient
from pymongo.write_concern import WriteConcern

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import results
from benchmarks.processes import cpu_seconds, program, resident_megabytes, tree
from benchmarks.records import Person, document, stable
from benchmarks.results import Machine, spread
from benchmarks.seeding import seed
from fhir_server.fhir.json import JsonObject
from fhir_server.store.embedded import running_uri
from tests.served import FHIR_JSON, Served, serving

ROOT: Final = Path(__file__).resolve().parent.parent
PATIENTS: Final = 20
FILE_BYTES: Final = 5_000
"""Of the PDF of a document; small, so that what is measured is entries and not bytes."""
_ENOUGH: Final = 1_000
"""Inserts, so that ticks of a hundredth of a second tell something."""
_UNIT: Final = {"system": "http://unitsofmeasure.org", "code": "mm[Hg]", "unit": "mmHg"}


def observation(person: Person, number: int) -> JsonObject:
    """A blood pressure, of some 800 bytes."""
    parts: list[JsonObject] = [
        {
            "code": {"coding": [{"system": "http://loinc.org", "code": code, "display": display}]},
            "valueQuantity": {"value": value + number % 30, **_UNIT},
        }
        for code, display, value in (("8480-6", "Systolique", 110), ("8462-4", "Diastolique", 70))
    ]
    return {
        "resourceType": "Observation",
        "identifier": [{"system": "https://example.org/mesures", "value": str(uuid4())}],
        "status": "final",
        "category": [
            {
                "coding": [
                    {"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "vital-signs"}
                ]
            }
        ],
        "code": {"coding": [{"system": "http://loinc.org", "code": "85354-9", "display": "Tension artérielle"}]},
        "subject": {"reference": f"Patient/{person.id}"},
        "effectiveDateTime": f"2026-01-{1 + number % 28:02d}T08:{number % 60:02d}:00+01:00",
        "component": [*parts],
    }


def _observations(person: Person, entries: int) -> list[JsonObject]:
    return [
        {
            "fullUrl": f"urn:uuid:{uuid4()}",
            "resource": observation(person, number),
            "request": {"method": "POST", "url": "Observation"},
        }
        for number in range(entries)
    ]


def _pairs(person: Person, entries: int) -> list[JsonObject]:
    """Documents, each with its file: two entries."""
    told: list[JsonObject] = []
    for number in range(entries // 2):
        file, name = f"urn:uuid:{uuid4()}", f"{uuid4().hex[:12]}"
        made: Any = document(person, number, name=name)
        content = stable(name).encode() * (FILE_BYTES // 64)
        digest = hashlib.sha1(content, usedforsecurity=False).digest()
        told_of_it = {"url": file, "size": len(content), "hash": b64encode(digest).decode()}
        made["content"][0]["attachment"] |= told_of_it
        data = b64encode(content).decode()
        binary: JsonObject = {"resourceType": "Binary", "contentType": "application/pdf", "data": data}
        told += [
            {
                "fullUrl": f"urn:uuid:{uuid4()}",
                "resource": made,
                "request": {"method": "POST", "url": made["resourceType"]},
            },
            {"fullUrl": file, "resource": binary, "request": {"method": "POST", "url": "Binary"}},
        ]
    return told


def _reads(person: Person, entries: int) -> list[JsonObject]:
    return [{"request": {"method": "GET", "url": f"Patient/{person.id}"}} for _ in range(entries)]


@dataclass(frozen=True, slots=True)
class Shape:
    """A Bundle that is measured."""

    name: str
    type: str
    actor: str
    entries: Callable[[Person, int], list[JsonObject]]


SHAPES: Final = (
    Shape("transaction, Observations", "transaction", "hopital", _observations),
    Shape("transaction, documents with files", "transaction", "hopital", _pairs),
    Shape("batch, Observations", "batch", "hopital", _observations),
    Shape("batch, reads", "batch", "specialiste", _reads),
)


@dataclass(slots=True)
class Found:
    """What the runs of one measurement came to."""

    cpu: list[float] = field(default_factory=list)
    """Milliseconds an entry."""
    seconds: list[float] = field(default_factory=list)
    """Of a Bundle."""
    floor: list[float] = field(default_factory=list)
    """Milliseconds an entry."""


@dataclass(frozen=True, slots=True)
class Bench:
    """A server, a client for each actor, and its database."""

    served: Served
    stored: Any
    people: list[Person]

    def send(self, shape: Shape, entries: int, person: Person) -> tuple[float, float, float]:
        """Send one Bundle; CPU seconds, seconds, and CPU seconds of the same inserted bare."""
        bundle = {"resourceType": "Bundle", "type": shape.type, "entry": shape.entries(person, entries)}
        body = msgspec.json.encode(bundle)
        before = self.last()
        watched = tree(self.served.process.pid)
        spent, began = cpu_seconds(watched), time.perf_counter()
        answer = self.served.as_(shape.actor).post(
            "", content=body, headers=FHIR_JSON | {"Prefer": "return=minimal"}, timeout=600
        )
        took, spent = time.perf_counter() - began, cpu_seconds(watched) - spent
        statuses = {one["response"]["status"][:1] for one in answer.json().get("entry", [])}
        if answer.status_code != httpx.codes.OK or statuses != {"2"}:
            raise SystemExit(f"{shape.name}: an answer was no success:\n{answer.text[:2000]}")
        return spent, took, self.bare(before)

    def last(self) -> tuple[str, int]:
        """The newest trace and its moment."""
        newest = self.stored["trail"].find_one({}, sort=[("at", -1)])
        return newest["_id"], newest["at"]

    def bare(self, before: tuple[str, int], *, requests: int = 1) -> float:
        """Insert what was stored since once more, and take it out again; often enough for the clock of the kernel.

        What so many ``requests`` stored is inserted in as many transactions: each has to be durable by itself.
        """
        traces = list(self.stored["trail"].find({"at": {"$gte": before[1]}, "_id": {"$ne": before[0]}}))
        written = [one["writes"].rpartition("/")[0] for one in traces if "writes" in one]
        resources = list(self.stored["resources"].find({"_id": {"$in": written}}))
        watched = [os.getpid(), *(pid for pid in tree(self.served.process.pid) if program(pid) == "mongod")]
        rounds = max(1, _ENOUGH // len(traces))
        spent = 0.0
        for _ in range(rounds):
            for one in (*traces, *resources):
                one["_id"] = f"Bare/{ObjectId()}"
            spent -= cpu_seconds(watched)
            for number in range(requests):
                self._insert(_share(traces, number, requests), _share(resources, number, requests))
            spent += cpu_seconds(watched)
            for name in ("trail", "resources"):
                self.stored[name].delete_many({"_id": {"$regex": "^Bare/"}})
        return spent / rounds

    def _insert(self, traces: list[dict[str, Any]], resources: list[dict[str, Any]]) -> None:
        durable = WriteConcern(w="majority", j=True)
        if traces:
            self.stored["trail"].with_options(write_concern=durable).insert_many(traces)
        if resources:
            with self.stored.client.start_session() as session, session.start_transaction(write_concern=durable):
                self.stored["resources"].insert_many(resources, session=session)


def _share(documents: list[dict[str, Any]], number: int, of: int) -> list[dict[str, Any]]:
    """The part of one request; each has about as many."""
    return documents[len(documents) * number // of : len(documents) * (number + 1) // of]


def main() -> None:
    """Measure, and append what was found."""
    wanted = _arguments()
    found: dict[tuple[str, int], Found] = {}
    with tempfile.TemporaryDirectory(prefix="fhir-bundles-") as folder, serving(Path(folder) / "data") as served:
        uri = running_uri(served.data)
        asyncio.run(seed(uri, served.base, PATIENTS))
        with MongoClient[dict[str, Any]](uri) as client:
            bench = Bench(served, client["fhir"], [Person(number) for number in range(PATIENTS)])
            for shape in SHAPES:
                bench.send(shape, 100, bench.people[0])  # the first of its kind finds nothing ready
            for run in range(wanted.runs):
                for shape in (one for one in SHAPES if wanted.only in one.name):
                    for entries in wanted.entries:
                        person = bench.people[1 + run % (PATIENTS - 1)]
                        cpu, seconds, floor = bench.send(shape, entries, person)
                        figures = found.setdefault((shape.name, entries), Found())
                        figures.cpu.append(cpu * 1000 / entries)
                        figures.seconds.append(seconds)
                        figures.floor.append(floor * 1000 / entries)
                        print(
                            f"  {shape.name:<36}{entries:>6}  {figures.cpu[-1]:6.2f} ms CPU an entry, "
                            f"{seconds:6.2f} s, floor {figures.floor[-1]:5.2f}",
                            flush=True,
                        )
            version = client.server_info()["version"]
        worker = max(resident_megabytes(pid) for pid in tree(served.process.pid) if program(pid) != "mongod")
    load = os.getloadavg()[0]
    what = f"Bundles: {wanted.runs} runs, in turns; worker {worker:.0f} MB at the end; load of the machine {load:.1f}"
    if found:
        results.add(wanted.results, Machine.here(version), what, _table(found))


def _table(found: dict[tuple[str, int], Found]) -> list[str]:
    columns = ("Bundle", "entries", "CPU ms an entry", "raw inserts, CPU ms", "ratio", "seconds a Bundle")
    lines = [f"| {' | '.join(columns)} |", f"|{' --- |' * len(columns)}"]
    for (name, entries), one in found.items():
        ratio = [cpu / floor for cpu, floor in zip(one.cpu, one.floor, strict=True) if floor]
        cells = [
            name,
            str(entries),
            spread(one.cpu, 2),
            spread(one.floor, 2),
            spread(ratio, 1) if ratio else "",
            spread(one.seconds, 2),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command line asks for."""

    entries: tuple[int, ...]
    runs: int
    only: str
    results: Path


def _arguments() -> Wanted:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--entries", type=int, nargs="+", default=[100, 1000], help="of a Bundle")
    parser.add_argument("--runs", type=int, default=3, help="times that everything is measured")
    parser.add_argument("--only", default="", help="a part of the names of Bundles")
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "RESULTS.md", help="file to append to")
    given = parser.parse_args()
    return Wanted(tuple(given.entries), given.runs, given.only, given.results)


if __name__ == "__main__":
    main()

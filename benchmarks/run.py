"""Measure what requests cost, and append the figures to ``RESULTS.md``. One command:

    python benchmarks/run.py [--patients 1000] [--seconds 8] [--warm-up 2] [--callers 1 16] [--runs 3] [--only read]

A server of its own on a fresh folder (embedded MongoDB, one worker, development issuer), everything on: token, consent,
validation, durable trail. The steady figure is CPU milliseconds a request, of server and mongod together; the load
driver is left out. The floors are measured in the same runs, so that a ratio compares like with like.
"""

from __future__ import annotations

import argparse
import asyncio
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import records, results
from benchmarks.driver import Outcome, Plan, Sequence
from benchmarks.floors import FloorPlan
from benchmarks.processes import program, resident_megabytes, tree
from benchmarks.results import Figures, Machine
from benchmarks.seeding import REALM, Seeded, seed
from fhir_server.fhir import json
from fhir_server.store.connection import connect, database
from fhir_server.store.embedded import running_uri
from tests.served import Served, serving

ROOT: Final = Path(__file__).resolve().parent.parent
OPERATIONS: Final = ("read", "search", "create")
EMERGENCY: Final = "emergency"
HTTP_FLOOR: Final = "http"
_FULL_LOAD: Final = 16
"""Callers; half of what they reach is half load."""
_EMERGENCIES_A_SECOND: Final = 10.0
_TOKEN_SECONDS: Final = 12 * 3600


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command line asks for."""

    patients: int
    seconds: float
    warm_up: float
    callers: tuple[int, ...]
    runs: int
    only: tuple[str, ...]
    results: Path


@dataclass(slots=True)
class Bench:
    """The server under measurement, and what was found so far."""

    wanted: Wanted
    served: Served
    seeded: Seeded
    uri: str
    found: dict[tuple[str, int], Figures] = field(default_factory=dict)
    """By name of the measurement and number of callers."""

    @property
    def mongod(self) -> list[int]:
        """The database's process."""
        return [pid for pid in tree(self.served.process.pid) if program(pid) == "mongod"]

    def requests(self, operation: str) -> list[Sequence]:
        """The requests of one operation, over all records."""
        token = self.served.token("specialiste", lifetime=_TOKEN_SECONDS)
        if operation == "read":
            ids = [id for of_one in self.seeded.documents for id in of_one]
            return [Sequence([self.get(f"DocumentReference/{id}", token)]) for id in ids]
        if operation == "search":
            return [Sequence([self.get(_search(patient), token)]) for patient in self.seeded.patients]
        people = [records.Person(number) for number in range(min(self.wanted.patients, 1000))]
        bodies = [json.encode(records.document(person, 7, name=records.UNIQUE)) for person in people]
        return [Sequence([self._post("DocumentReference", body, token)]) for body in bodies]

    def emergencies(self) -> list[Sequence]:
        """The whole record of somebody by who breaks the glass: a search of 20, then three documents."""
        token = self.served.token("urgentiste", lifetime=_TOKEN_SECONDS)
        return [
            Sequence([self.get(path, token) for path in (_search(patient), *_three(documents))])
            for patient, documents in zip(self.seeded.patients, self.seeded.documents, strict=True)
        ]

    def get(self, path: str, token: str) -> bytes:
        """The bytes of a GET."""
        return self._head("GET", path, token) + b"\r\n"

    def _post(self, path: str, body: bytes, token: str) -> bytes:
        more = f"Content-Type: application/fhir+json\r\nContent-Length: {len(body)}\r\n\r\n"
        return self._head("POST", path, token) + more.encode() + body

    def _head(self, method: str, path: str, token: str) -> bytes:
        parts = urlsplit(self.served.base)
        return (
            f"{method} {parts.path}/{path} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
            f"Accept: application/fhir+json\r\nAuthorization: Bearer {token}\r\n"
        ).encode()

    def measure(self, name: str, callers: int, outcome: Outcome) -> None:
        """Keep what came out; an answer that was no success ends the run."""
        if outcome.failures:
            raise SystemExit(f"{name}: an answer was no success:\n{outcome.failures[0]}")
        figures = self.found.setdefault((name, callers), Figures())
        figures.add(outcome)
        print(f"  {name:<14} {callers:>3} callers  {figures.last()}", flush=True)


def main() -> None:
    """Measure."""
    wanted = _arguments()
    with tempfile.TemporaryDirectory(prefix="fhir-benchmark-") as folder, serving(Path(folder) / "data") as served:
        uri = running_uri(served.data)
        began = time.monotonic()
        seeded = asyncio.run(seed(uri, served.base, wanted.patients))
        stored = len(seeded.patients) * records.DOCUMENTS
        print(f"{stored} documents of {wanted.patients} patients in {time.monotonic() - began:.0f} s", flush=True)
        bench = Bench(wanted, served, seeded, uri)
        for number in range(wanted.runs):
            print(f"run {number + 1} of {wanted.runs}", flush=True)
            _one_run(bench)
        state = asyncio.run(_state(uri, seeded))
        machine = Machine.here(state["version"])
        worker = resident_megabytes(served.process.pid)
    what = (
        f"{wanted.patients} patients x {records.DOCUMENTS} documents of {state['body']} bytes, "
        f"{state['megabytes']:.0f} MB uncompressed; {wanted.runs} runs of {wanted.seconds:g} s after "
        f"{wanted.warm_up:g} s; worker {worker:.0f} MB at the end"
    )
    results.append(wanted.results, machine, what, bench.found)


def _one_run(bench: Bench) -> None:
    """Everything once: server and floor of an operation next to each other."""
    for operation in (one for one in OPERATIONS if one in bench.wanted.only):
        for callers in bench.wanted.callers:
            bench.measure(operation, callers, _load(bench, bench.requests(operation), callers))
            if operation == "create":
                asyncio.run(_remove_created(bench.uri, bench.seeded))
            bench.measure(f"floor {operation}", callers, _bare(bench, operation, callers))
            if operation == "create":
                asyncio.run(_remove_created(bench.uri, bench.seeded))
    if HTTP_FLOOR in bench.wanted.only:
        for callers in bench.wanted.callers:
            with _http_floor() as (port, pid):
                request = Sequence([b"GET / HTTP/1.1\r\nHost: floor\r\n\r\n"])
                bench.measure("floor http", callers, _drive(bench, [request], callers, port=port, watched=[pid]))
    if EMERGENCY in bench.wanted.only:
        _emergency(bench)


def _emergency(bench: Bench) -> None:
    """Whole records at half load: half as many reads a second as 16 callers reach."""
    full = bench.found.get(("read", _FULL_LOAD))
    if full is None:
        raise SystemExit(f"The emergency at half load needs the read with {_FULL_LOAD} callers measured before it.")
    plan = planned(bench, bench.emergencies(), 4)
    plan.rate = _EMERGENCIES_A_SECOND
    plan.background, plan.background_callers = bench.requests("read"), _FULL_LOAD
    plan.background_rate = median(full.throughput) / 2
    bench.found.setdefault((EMERGENCY, 4), Figures(alone=False))
    bench.measure(EMERGENCY, 4, carry_out(plan))


def _load(bench: Bench, sequences: list[Sequence], callers: int) -> Outcome:
    return carry_out(planned(bench, sequences, callers))


def _drive(bench: Bench, sequences: list[Sequence], callers: int, *, port: int, watched: list[int]) -> Outcome:
    plan = planned(bench, sequences, callers)
    plan.port, plan.watched = port, watched
    return carry_out(plan)


def planned(bench: Bench, sequences: list[Sequence], callers: int) -> Plan:
    """What the load driver is told."""
    address = urlsplit(bench.served.base)
    return Plan(
        host=address.hostname or "",
        port=address.port or 0,
        callers=callers,
        warm_up=bench.wanted.warm_up,
        seconds=bench.wanted.seconds,
        watched=tree(bench.served.process.pid),
        sequences=sequences,
    )


def carry_out(plan: Plan) -> Outcome:
    """Let the load driver do it."""
    return _run("benchmarks.driver", plan)


def _bare(bench: Bench, operation: str, callers: int) -> Outcome:
    wanted, seeded = bench.wanted, bench.seeded
    documents = [f"DocumentReference/{id}" for of_one in seeded.documents for id in of_one]
    return _run(
        "benchmarks.floors",
        FloorPlan(
            bench.uri, operation, callers, wanted.warm_up, wanted.seconds, bench.mongod, seeded.patients, documents
        ),
    )


def _run(module: str, plan: Plan | FloorPlan) -> Outcome:
    done = subprocess.run(
        [sys.executable, "-m", module], input=msgspec.json.encode(plan), stdout=subprocess.PIPE, cwd=ROOT, check=True
    )
    return msgspec.json.decode(done.stdout, type=Outcome)


@contextmanager
def _http_floor() -> Iterator[tuple[int, int]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen([sys.executable, "-m", "benchmarks.floors", "http", str(port)], cwd=ROOT)
    try:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            with socket.socket() as tried:
                if tried.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield port, process.pid
    finally:
        process.terminate()
        process.wait()


def _search(patient: str) -> str:
    return f"DocumentReference?patient={patient}&status=current&_count=20"


def _three(documents: list[str]) -> list[str]:
    return [f"DocumentReference/{id}" for id in documents[:3]]


async def _remove_created(uri: str, seeded: Seeded) -> None:
    """Every measurement finds the same records; the trail keeps what it has."""
    client = connect(uri)
    created = {"rt": "DocumentReference", "at": {"$gt": seeded.ended}}
    await database(client, "fhir")["resources"].delete_many(created)
    await client.close()


async def _state(uri: str, seeded: Seeded) -> dict[str, Any]:
    client = connect(uri)
    held = database(client, "fhir")
    one = await held["resources"].find_one({"realm": REALM, "record": seeded.patients[0], "rt": "DocumentReference"})
    told = await held.command("collStats", "resources", scale=1_000_000)
    version = (await client.server_info())["version"]
    await client.close()
    return {"body": len(one["body"]) if one else 0, "megabytes": told["size"], "version": version}


def _arguments() -> Wanted:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--patients", type=int, default=1000, help="records of 30 documents each; 10000 for growth")
    parser.add_argument("--seconds", type=float, default=8.0, help="of one measurement")
    parser.add_argument("--warm-up", type=float, default=2.0, help="seconds before each measurement")
    parser.add_argument("--callers", type=int, nargs="+", default=[1, 16], help="who send at the same time")
    parser.add_argument("--runs", type=int, default=3, help="times that everything is measured")
    everything = ",".join((*OPERATIONS, HTTP_FLOOR, EMERGENCY))
    parser.add_argument("--only", default=everything, help=f"of {everything}")
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "RESULTS.md", help="file to append to")
    given = parser.parse_args()
    only = tuple(given.only.split(","))
    unknown = set(only) - set(everything.split(","))
    if unknown:
        parser.error(f"--only: {', '.join(sorted(unknown))} is none of {everything}")
    return Wanted(given.patients, given.seconds, given.warm_up, tuple(given.callers), given.runs, only, given.results)


if __name__ == "__main__":
    main()

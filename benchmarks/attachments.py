"""What a large document costs on its way in and out: one section of ``RESULTS.md``. One command:

    python benchmarks/attachments.py [--megabytes 200] [--runs 3] [--callers 1 4]

A server of its own with an embedded mongod, plain and with contents encrypted. A content is sent as what it is, then
read whole, then a part of it. Measured are the seconds, and how much more memory the server's process holds at most
than just before, as the kernel counts it every few milliseconds. Several callers each have a document of their own.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
import tempfile
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import httpx

from benchmarks.processes import cpu_seconds, resident_megabytes
from benchmarks.results import Machine, add, spread
from tests.served import Served, serving

ROOT: Final = Path(__file__).resolve().parent.parent
PIECE: Final = os.urandom(1_000_000)
EVERY: Final = 0.005
PART: Final = 1_000_000
PDF: Final = {"Content-Type": "application/pdf"}


@dataclass(slots=True)
class Cost:
    """What all runs of one way came to."""

    seconds: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)
    """Megabytes more than before, at most."""
    cpu: list[float] = field(default_factory=list)
    """Seconds of the server's process."""


@contextmanager
def measured(pid: int, cost: Cost) -> Iterator[None]:
    """Add what happens within to the cost."""
    ended, most = threading.Event(), [0.0]

    def watch() -> None:
        while not ended.wait(EVERY):
            most[0] = max(most[0], resident_megabytes(pid))

    before, began, busy = resident_megabytes(pid), time.monotonic(), cpu_seconds([pid])
    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield
    finally:
        ended.set()
        watching.join()
    cost.seconds.append(time.monotonic() - began)
    cost.memory.append(max(most[0] - before, 0.0))
    cost.cpu.append(cpu_seconds([pid]) - busy)


def content(megabytes: int, number: int) -> Iterator[bytes]:
    """A content of this size, another one for each number."""
    for piece in range(megabytes):
        yield f"{number:08d}{piece:08d}".encode() + PIECE[16:]


def sent(client: httpx.Client, megabytes: int, number: int) -> str:
    """Send one; answer its path."""
    length = {"Content-Length": str(megabytes * len(PIECE)), "Prefer": "return=minimal"}
    answer = client.post("/Binary", content=content(megabytes, number), headers=PDF | length)
    answer.raise_for_status()
    return f"/Binary/{answer.headers['location'].split('/')[-3]}"


def read(client: httpx.Client, path: str, megabytes: int, number: int) -> None:
    """Read it whole, and see that it is the same."""
    told, wanted = hashlib.sha256(), hashlib.sha256()
    with client.stream("GET", path) as answer:
        answer.raise_for_status()
        for piece in answer.iter_raw():
            told.update(piece)
    for piece in content(megabytes, number):
        wanted.update(piece)
    if told.digest() != wanted.digest():
        raise SystemExit("What was read is not what was sent.")


def part(client: httpx.Client, path: str, megabytes: int) -> None:
    """Read a part in the middle of it."""
    start = megabytes * len(PIECE) // 2
    answer = client.get(path, headers={"Range": f"bytes={start}-{start + PART - 1}"})
    if answer.status_code != httpx.codes.PARTIAL_CONTENT or len(answer.content) != PART:
        raise SystemExit("A part was not answered as one.")


def run(served: Served, megabytes: int, callers: int, costs: dict[str, Cost]) -> None:
    """Measure each way once."""
    pid, clients = served.process.pid, [served.client(served.token("hopital")) for _ in range(callers)]
    for client in clients:
        client.timeout = httpx.Timeout(600)
    with ThreadPoolExecutor(callers) as threads:

        def each(do: Callable[[httpx.Client, int], object]) -> list[object]:
            return list(threads.map(do, clients, range(callers)))

        with measured(pid, costs["sent"]):
            paths = [str(one) for one in each(lambda client, number: sent(client, megabytes, number))]
        with measured(pid, costs["read"]):
            each(lambda client, number: read(client, paths[number], megabytes, number))
        with measured(pid, costs["a part read"]):
            each(lambda client, number: part(client, paths[number], megabytes))
    for client in clients:
        client.close()


def main() -> None:
    """Measure, and add a section to the report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--megabytes", type=int, default=200, help="of each document")
    parser.add_argument("--runs", type=int, default=3, help="times that everything is measured")
    parser.add_argument("--callers", type=int, nargs="+", default=[1, 4], help="who send at the same time")
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "RESULTS.md", help="file to append to")
    given = parser.parse_args()
    lines = [
        "| documents | callers | way | seconds | MB/s | CPU s of the server | MB more memory |",
        f"|{' --- |' * 7}",
    ]
    for name, env in (("plain", {}), ("encrypted", {"FHIR_CONTENT_KEYS": b64encode(os.urandom(32)).decode()})):
        with tempfile.TemporaryDirectory() as folder, serving(Path(folder) / "data", env=env) as served:
            sent(served.as_("hopital"), 2, 0)  # the first request of a process loads what all need
            for callers in given.callers:
                costs = {way: Cost() for way in ("sent", "read", "a part read")}
                for number in range(given.runs):
                    print(f"{name}, {callers} callers, run {number + 1} of {given.runs}", flush=True)
                    run(served, given.megabytes, callers, costs)
                lines += [_row(name, callers, way, cost, given.megabytes) for way, cost in costs.items()]
    what = (
        f"Contents of {given.megabytes} MB each, sent and read as what they are; a part is {PART // 1_000_000} MB; "
        f"{given.runs} runs. The memory is of the server's one process, the most beyond what it held just before"
    )
    add(given.results, Machine.here("6.0.5"), what, lines)


def _row(name: str, callers: int, way: str, cost: Cost, megabytes: int) -> str:
    size = PART / 1e6 if way == "a part read" else megabytes
    rates = [callers * size / seconds for seconds in cost.seconds]
    figures = [spread(cost.seconds, 2), spread(rates, 0), spread(cost.cpu, 2), spread(cost.memory, 1)]
    return f"| {name} | {callers} | {way} | {' | '.join(figures)} |"


if __name__ == "__main__":
    main()

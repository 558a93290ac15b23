"""The load driver: a process of its own that sends prepared requests over kept connections and times the answers.

    python -m benchmarks.driver < plan.json > outcome.json

It reads a :class:`Plan` and writes an :class:`Outcome`. Nothing is parsed but the status line and the length of the
body, so that the driver takes as little as it can of the processors it shares with the server; what it does take is
told, and is not part of the server's cost.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
import time
from typing import Final, cast

import msgspec
import uvloop

from benchmarks.processes import cpu_seconds
from benchmarks.records import UNIQUE

_SEEDED: Final = 20_260_101
_UNIQUE: Final = UNIQUE.encode()
_MOST_FAILURES: Final = 3


class Sequence(msgspec.Struct):
    """Requests that one caller sends one after the other, timed together. Mostly one."""

    requests: list[bytes]


class Plan(msgspec.Struct):
    """What to do, and which processes to watch."""

    host: str
    port: int
    callers: int
    warm_up: float
    seconds: float
    watched: list[int]
    """The processes whose CPU time is told."""
    sequences: list[Sequence]
    """Drawn from by chance, the same every time."""
    rate: float = 0.0
    """Sequences a second of all callers together; 0: each sends the next as soon as it has the answer."""
    background: list[Sequence] = []
    """Drawn from by ``background_callers``, at ``background_rate``, and not timed."""
    background_callers: int = 0
    background_rate: float = 0.0


class Outcome(msgspec.Struct):
    """What was measured between the end of the warm-up and the end."""

    seconds: float
    sequences: int
    requests: int
    watched_cpu: float
    """CPU seconds of the watched processes."""
    driver_cpu: float
    latencies: list[float]
    """Milliseconds of each sequence, sorted."""
    failures: list[str]
    """The first answers that were no success, with their bodies."""


class _Connection(asyncio.Protocol):
    """One kept connection: a request out, its answer in."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[bytes] | None = None
        self._parts: list[bytes] = []
        self._missing = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by inheritance

    async def ask(self, request: bytes) -> bytes:
        """Send a request; the whole answer."""
        if self._transport is None:
            raise ConnectionError("The connection is not open.")
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer

    def data_received(self, data: bytes) -> None:
        if self._parts:
            self._parts.append(data)
            self._missing -= len(data)
        else:
            head = data.find(b"\r\n\r\n")
            if head < 0:
                raise ConnectionError("The head of an answer came in parts.")
            mark = data.find(b"content-length: ", 0, head)
            length = int(data[mark + 16 : data.index(b"\r", mark)]) if mark >= 0 else 0
            self._missing = length - (len(data) - head - 4)
            self._parts.append(data)
        if self._missing <= 0 and self._answer is not None:
            answer, self._parts = b"".join(self._parts), []
            self._answer.set_result(answer)

    def connection_lost(self, error: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error or ConnectionError("The server closed the connection."))


class _Load:
    """All callers of one measurement."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._chance = random.Random(_SEEDED)
        self._number = time.time_ns() // 1_000_000 % 10**10 * 100
        self._begin = self._end = 0.0
        self._latencies: list[float] = []
        self._requests = 0
        self._failures: list[str] = []

    async def run(self) -> Outcome:
        plan = self._plan
        self._begin = time.perf_counter() + plan.warm_up
        self._end = self._begin + plan.seconds
        callers = [
            asyncio.create_task(self._call(plan.sequences, plan.rate, plan.callers, place, timed=True))
            for place in range(plan.callers)
        ]
        callers += [
            asyncio.create_task(
                self._call(plan.background, plan.background_rate, plan.background_callers, place, timed=False)
            )
            for place in range(plan.background_callers)
        ]
        await asyncio.sleep(self._begin - time.perf_counter())
        watched, own, began = cpu_seconds(plan.watched), cpu_seconds([os.getpid()]), time.perf_counter()
        await asyncio.sleep(self._end - time.perf_counter())
        watched, own = cpu_seconds(plan.watched) - watched, cpu_seconds([os.getpid()]) - own
        took = time.perf_counter() - began
        await asyncio.gather(*callers)
        return Outcome(
            took, len(self._latencies), self._requests, watched, own, sorted(self._latencies), self._failures
        )

    async def _call(self, sequences: list[Sequence], rate: float, callers: int, place: int, *, timed: bool) -> None:
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(_Connection, self._plan.host, self._plan.port)
        pause = callers / rate if rate else 0.0
        due = time.perf_counter() + pause * place / callers
        while True:
            began = time.perf_counter()
            if pause:
                # a late answer does not put off the next request: that one has waited since it was due
                late = began > due
                await asyncio.sleep(max(0.0, due - began))
                began = due if late else time.perf_counter()
                due += pause
            if began >= self._end:
                return
            requests = self._chance.choice(sequences).requests
            for request in requests:
                answer = await connection.ask(self._numbered(request))
                if answer[9:10] != b"2" and len(self._failures) < _MOST_FAILURES:
                    self._failures.append(answer[:2000].decode(errors="replace"))
            now = time.perf_counter()
            if timed and self._begin <= now < self._end:
                self._latencies.append((now - began) * 1000)
                self._requests += len(requests)

    def _numbered(self, request: bytes) -> bytes:
        if not request.startswith(b"POST"):
            return request
        self._number += 1
        return request.replace(_UNIQUE, b"%012d" % self._number)


def main() -> None:
    """Read a plan, carry it out, write the outcome."""
    plan = msgspec.json.decode(sys.stdin.buffer.read(), type=Plan)
    tell(uvloop.run(_Load(plan).run()))


def tell(outcome: Outcome) -> None:
    """Write an outcome to standard output, whole: with PYTHONUNBUFFERED a write may be a part of it."""
    with open(sys.stdout.fileno(), "wb", closefd=False) as output:
        output.write(msgspec.json.encode(outcome))


if __name__ == "__main__":
    main()

"""The floors: what the same work costs without a server around it, on the same mongod and the same data.

    python -m benchmarks.floors < plan.json > outcome.json     bare PyMongo
    python -m benchmarks.floors http PORT                      an HTTP server that answers 3 kB and does nothing

Bare PyMongo finds a document by ``_id`` and takes its body; finds the current documents of a record, newest first, and
joins 20 bodies; inserts a document with majority and journal into the same collection with the same indexes; makes
finds that are given, and joins the bodies.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

import msgspec
import uvloop
from pymongo import AsyncMongoClient
from pymongo.write_concern import WriteConcern

from benchmarks.driver import Outcome, tell
from benchmarks.processes import cpu_seconds
from benchmarks.records import stable

if TYPE_CHECKING:
    from pymongo.asynchronous.collection import AsyncCollection

_SEEDED: Final = 20_260_101
_BODY: Final = b"x" * 3000
_POOL: Final = 8


class Find(msgspec.Struct):
    """A bare find, on the index that is right."""

    filter: dict[str, Any]
    hint: str
    sort: dict[str, int] = {}
    limit: int = 0


class FloorPlan(msgspec.Struct):
    """What bare PyMongo is to do; ``watched`` is mongod, to which this process adds itself."""

    uri: str
    operation: str
    callers: int
    warm_up: float
    seconds: float
    watched: list[int]
    patients: list[str]
    documents: list[str]
    """``_id`` of each."""
    finds: list[list[Find]] = []
    """Drawn from by chance: what to find, one after the other."""


class _Floor:
    def __init__(self, plan: FloorPlan, resources: AsyncCollection[dict[str, Any]]) -> None:
        self._plan = plan
        self._resources = resources
        self._durable = resources.with_options(write_concern=WriteConcern(w="majority", j=True))
        self._chance = random.Random(_SEEDED)
        self._number = 0
        self._latencies: list[float] = []
        self._pattern: dict[str, Any] = {}

    async def run(self) -> Outcome:
        plan = self._plan
        operations = {"read": self._read, "search": self._search, "create": self._create, "find": self._find}
        operation = operations[plan.operation]
        if plan.documents:
            self._pattern = await self._resources.find_one({"_id": plan.documents[0]}) or {}
        begin = time.perf_counter() + plan.warm_up
        end = begin + plan.seconds
        callers = [asyncio.create_task(self._call(operation, begin, end)) for _ in range(plan.callers)]
        watched = [*plan.watched, os.getpid()]
        await asyncio.sleep(begin - time.perf_counter())
        spent, began = cpu_seconds(watched), time.perf_counter()
        await asyncio.sleep(end - time.perf_counter())
        spent, took = cpu_seconds(watched) - spent, time.perf_counter() - began
        await asyncio.gather(*callers)
        done = len(self._latencies)
        return Outcome(took, done, done, spent, 0.0, sorted(self._latencies), [])

    async def _call(self, operation: Callable[[], Awaitable[bytes]], begin: float, end: float) -> None:
        while (began := time.perf_counter()) < end:
            await operation()
            if begin <= (now := time.perf_counter()) < end:
                self._latencies.append((now - began) * 1000)

    async def _read(self) -> bytes:
        found = await self._resources.find_one({"_id": self._chance.choice(self._plan.documents)})
        return bytes(found["body"]) if found else b""

    async def _search(self) -> bytes:
        asked = {
            "record": self._chance.choice(self._plan.patients),
            "rt": "DocumentReference",
            "ix.s": "status#current",
        }
        cursor = self._resources.find(asked).sort({"on": -1, "_id": 1}).limit(20).hint("record")
        return b",".join([one["body"] for one in await cursor.to_list()])

    async def _find(self) -> bytes:
        bodies: list[bytes] = []
        for one in self._chance.choice(self._plan.finds):
            cursor = self._resources.find(one.filter, {"body": 1}, hint=one.hint).limit(one.limit)
            bodies += [found["body"] for found in await (cursor.sort(one.sort) if one.sort else cursor).to_list()]
        return b",".join(bodies)

    async def _create(self) -> bytes:
        self._number += 1
        key = stable(f"{time.time_ns()} {self._number}")[:32]
        patient = self._chance.choice(self._plan.patients)
        terms = [f"{term}{key}" if "urn:uuid" in term else term for term in self._pattern["ix"]["s"]]
        at = time.time_ns() // 1000
        await self._durable.insert_one(
            {
                **self._pattern,
                "_id": f"DocumentReference/{key}",
                "at": at,
                "record": patient,
                "ix": {**self._pattern["ix"], "s": terms},
            }
        )
        return b""


async def _pymongo(plan: FloorPlan) -> Outcome:
    async with AsyncMongoClient[dict[str, Any]](plan.uri, maxPoolSize=_POOL) as client:
        return await _Floor(plan, client["fhir"]["resources"]).run()


async def _nothing(scope: dict[str, Any], receive: object, send: Callable[[Any], Awaitable[None]]) -> None:
    """Answer 3 kB to whatever is asked."""
    del receive
    if scope["type"] == "http":
        headers = [(b"content-type", b"application/fhir+json"), (b"content-length", b"%d" % len(_BODY))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": _BODY})


def main() -> None:
    """Be one of the floors."""
    if sys.argv[1:2] == ["http"]:
        import uvicorn  # noqa: PLC0415 - of this floor alone

        uvicorn.run(
            _nothing,
            port=int(sys.argv[2]),
            loop="uvloop",
            http="httptools",
            lifespan="off",
            access_log=False,
            log_level="error",
        )
        return
    plan = msgspec.json.decode(sys.stdin.buffer.read(), type=FloorPlan)
    tell(uvloop.run(_pymongo(plan)))


if __name__ == "__main__":
    main()

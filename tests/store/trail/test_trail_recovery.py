"""A write that a crash kept from being made has a second trace that says so, once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest

from fhir_server.audit.access import Access
from fhir_server.audit.anchor import Signer
from fhir_server.audit.journal import Journal
from fhir_server.audit.recovery import LEASE, recover
from fhir_server.audit.sealed import Sealed
from fhir_server.audit.verify import verify
from fhir_server.fhir.errors import Unavailable
from fhir_server.fhir.messages import Told
from fhir_server.store.connection import Database
from fhir_server.store.trail import Trail

pytestmark = pytest.mark.asyncio

SEALED = Sealed(record="demo-1", rules=("R-20",))


def now() -> int:
    return time.time_ns() // 1000


async def crash(journal: Journal) -> None:
    """The process is gone: nothing is said, nothing is closed."""
    for task in journal._tasks:
        task.cancel()
    await asyncio.gather(*journal._tasks, return_exceptions=True)


async def announced(journal: Journal, reading: Callable[..., Access], number: int) -> str:
    return (await journal.announce(reading(number, interaction="create"), SEALED, 1)).key


async def second_traces(database: Database) -> dict[str, Any]:
    return {one["follows"]: one async for one in database["trail"].find({"follows": {"$exists": True}})}


async def test_only_the_write_that_was_not_made_is_withdrawn(
    make_journal: Callable[..., Journal],
    database: Database,
    trail: Trail,
    signer: Signer,
    reading: Callable[..., Access],
) -> None:
    crashed = make_journal()
    await crashed.open()
    before_the_head = await announced(crashed, reading, 1)
    settled = await crashed.announce(reading(2, interaction="create"), SEALED, 1)
    crashed.made(settled)
    await crashed.anchor()
    made, replaced, lost, unnamed = [await announced(crashed, reading, number) for number in (3, 4, 5, 6)]
    await database["resources"].insert_many(
        [
            {"_id": "DocumentReference/d3", "version": 1, "trace": made},
            {"_id": "DocumentReference/d4", "version": 2, "trace": "another"},
            {"_id": "DocumentReference/d5", "version": 1, "trace": "AuditEvent/of-somebody-faster"},
            {"_id": "DocumentReference/d6", "version": 1},
        ]
    )
    await database["versions"].insert_one({"_id": "DocumentReference/d4/1", "version": 1, "trace": replaced})
    await crash(crashed)

    journal = make_journal()
    await journal.open()
    done = await recover(journal, dead_since=now())
    again = await recover(journal, dead_since=now())

    assert set(done.withdrawn) == {before_the_head, lost}
    assert unnamed not in done.withdrawn
    assert (done.runs, again.runs) == (1, 0)
    second = await second_traces(database)
    assert set(second) == {before_the_head, lost}
    assert b'"outcome":"8","outcomeDesc":"503 Service Unavailable"' in second[lost]["event"]
    assert "outcome#8" in second[lost]["ix"]["s"]
    assert "outcome#0" not in second[lost]["ix"]["s"]
    assert lost in second[lost]["sealed"]["why"]
    assert second[lost]["record"] == "demo-1"
    await journal.close()
    report = await verify(trail, [signer.public])
    assert report.whole
    assert not report.notes  # the dead run has a signed end


async def test_a_run_that_is_alive_is_left_alone(
    make_journal: Callable[..., Journal], database: Database, reading: Callable[..., Access]
) -> None:
    alive = make_journal()
    await alive.open()
    await announced(alive, reading, 1)
    journal = make_journal()
    started = now()
    await journal.open()
    worker = make_journal()
    await worker.open()

    done = await recover(journal)
    since = await recover(worker, dead_since=started)

    assert (done.runs, done.withdrawn) == (0, ())
    assert since.runs == 1  # the one from before the start; not the other worker of this server
    await worker.close()
    await journal.close()
    await alive.close()


async def test_a_run_not_seen_for_long_is_dead(
    make_journal: Callable[..., Journal], database: Database, reading: Callable[..., Access]
) -> None:
    dead = make_journal(clock=lambda: 1_000_000)
    await dead.open()
    key = await announced(dead, reading, 1)
    await crash(dead)
    journal = make_journal()
    await journal.open()

    assert (await recover(journal)).withdrawn == (key,)
    await journal.close()


async def test_two_that_recover_at_once_do_it_once(
    make_journal: Callable[..., Journal], database: Database, reading: Callable[..., Access]
) -> None:
    dead = make_journal()
    await dead.open()
    await announced(dead, reading, 1)
    await crash(dead)
    journals = [make_journal(), make_journal()]
    for journal in journals:
        await journal.open()
    chain = next(one for one in await dead.trail.unfinished() if one.writer == dead.writer)

    claims = await asyncio.gather(*(dead.trail.claim(chain, one.writer, 2**50) for one in journals))

    assert sorted(claims) == [False, True]
    for journal in journals:
        await journal.close()


async def test_recovery_interrupted_halfway_does_not_repeat_itself(
    make_journal: Callable[..., Journal],
    database: Database,
    reading: Callable[..., Access],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dead = make_journal()
    await dead.open()
    await announced(dead, reading, 1)
    await crash(dead)
    first = make_journal()
    await first.open()

    async def interrupted(writer: str) -> None:
        raise Unavailable(Told("killed here", ""))

    monkeypatch.setattr(dead.trail, "finish", interrupted)
    with pytest.raises(Unavailable):
        await recover(first, dead_since=now())
    monkeypatch.undo()
    await crash(first)
    second = make_journal()
    await second.open()

    assert (await recover(second, dead_since=now())).withdrawn == ()
    assert len(await second_traces(database)) == 1
    await second.close()


async def test_a_writer_taken_for_dead_begins_anew(
    make_journal: Callable[..., Journal],
    database: Database,
    trail: Trail,
    signer: Signer,
    reading: Callable[..., Access],
) -> None:
    slow = make_journal(anchor_every=0.05)
    await slow.open()
    run = slow.writer
    journal = make_journal()
    await journal.open()
    await recover(journal, dead_since=now())
    await asyncio.sleep(0.3)

    await slow.record(reading(), SEALED)

    assert slow.writer != run
    await slow.close()
    await journal.close()
    assert (await verify(trail, [signer.public])).whole


async def test_our_own_open_writes_are_settled_when_they_are_old(
    make_journal: Callable[..., Journal], database: Database, reading: Callable[..., Access]
) -> None:
    offset = 0
    real = make_journal().clock
    journal = make_journal(clock=lambda: real() + offset)
    await journal.open()
    with pytest.raises(Unavailable):
        async with journal.write(reading(1, interaction="create"), SEALED, 1):
            raise Unavailable(Told("the database did not say", ""))

    assert (await recover(journal)).withdrawn == ()
    offset = int(LEASE * 1_000_000) + 1
    done = await recover(journal)

    assert len(done.withdrawn) == 1
    assert journal.unsettled == ()
    await journal.close()

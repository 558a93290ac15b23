"""An acknowledged trace is there, whatever happens to the database."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from typing import Any

import pytest

from fhir_server.audit.access import Access
from fhir_server.audit.anchor import Signer
from fhir_server.audit.journal import Journal
from fhir_server.audit.sealed import Sealed
from fhir_server.audit.verify import verify
from fhir_server.fhir.errors import Conflict, Unavailable
from fhir_server.fhir.messages import Told
from fhir_server.store.connection import Database
from fhir_server.store.trace import Trace
from fhir_server.store.trail import Trail, Uncertain

pytestmark = pytest.mark.asyncio

SEALED = Sealed(record="demo-1", rules=("R-20",))


async def stored(database: Database) -> dict[str, Any]:
    return {one["_id"]: one async for one in database["trail"].find({"rt": "AuditEvent"}).sort("_id", 1)}


async def test_a_trace_is_found_by_type_and_id(
    journal: Journal, database: Database, reading: Callable[..., Access]
) -> None:
    id = await journal.record(reading(), SEALED)

    found = (await stored(database))[f"AuditEvent/{id}"]

    assert found["event"].startswith(b'{"resourceType":"AuditEvent","id":"%b","meta":' % id.encode())
    assert found["record"] == "demo-1"
    assert found["shown"] == "demo-1"
    assert found["agent"] == "https://rpps.esante.gouv.fr|89900000002"
    assert found["target"] == "DocumentReference/d1"
    assert found["on"] == found["at"]
    assert found["secret"] is False


async def test_200_at_once_share_few_inserts_and_one_chain(
    *,
    journal: Journal,
    trail: Trail,
    database: Database,
    signer: Signer,
    reading: Callable[..., Access],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    groups: list[int] = []
    append = trail.append

    async def counted(traces: list[Trace]) -> None:
        groups.append(len(traces))
        await append(traces)

    monkeypatch.setattr(trail, "append", counted)

    ids = await asyncio.gather(*(journal.record(reading(n), SEALED) for n in range(200)))

    assert len(set(ids)) == 200
    assert sum(groups) == 200
    assert len(groups) < 20
    assert len(await stored(database)) == 200
    report = await verify(trail, [signer.public])
    assert report.whole
    assert (report.traces, report.runs) == (201, 1)


async def test_a_full_queue_is_an_honest_503(
    make_journal: Callable[..., Journal], reading: Callable[..., Access]
) -> None:
    journal = make_journal(capacity=3)
    await journal.open()

    answers = await asyncio.gather(*(journal.record(reading(n), SEALED) for n in range(50)), return_exceptions=True)

    await journal.close()
    assert any(isinstance(one, str) for one in answers)
    assert any(isinstance(one, Unavailable) for one in answers)


async def test_nothing_is_recorded_by_a_closed_journal(
    make_journal: Callable[..., Journal], reading: Callable[..., Access]
) -> None:
    journal = make_journal()
    with pytest.raises(Unavailable):
        await journal.record(reading(), SEALED)
    await journal.open()
    await journal.close()
    with pytest.raises(Unavailable):
        await journal.record(reading(), SEALED)


async def test_a_caller_who_went_away_is_recorded_all_the_same(
    journal: Journal, database: Database, reading: Callable[..., Access]
) -> None:
    gone = asyncio.create_task(journal.record(reading(1), SEALED))
    await asyncio.sleep(0)
    gone.cancel()

    await journal.record(reading(2), SEALED)

    assert len(await stored(database)) == 2


async def test_a_trace_the_database_refuses_fails_alone(
    journal: Journal, trail: Trail, database: Database, signer: Signer, reading: Callable[..., Access]
) -> None:
    too_large = Sealed(record="demo-1", why="x" * 17_000_000)

    answers = await asyncio.gather(
        journal.record(reading(1), SEALED),
        journal.record(reading(2), too_large),
        journal.record(reading(3), SEALED),
        return_exceptions=True,
    )

    assert [isinstance(one, str) for one in answers] == [True, False, True]
    assert isinstance(answers[1], Unavailable)
    assert len(await stored(database)) == 2
    assert (await verify(trail, [signer.public])).whole


async def test_a_group_whose_outcome_is_unknown_is_not_stored_twice(
    *,
    journal: Journal,
    trail: Trail,
    database: Database,
    signer: Signer,
    reading: Callable[..., Access],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The insert took place, but its answer was lost: the callers are told that it is there."""
    append = trail.append

    async def answer_lost(traces: list[Trace]) -> None:
        await append(traces)
        monkeypatch.undo()
        raise_uncertain()

    monkeypatch.setattr(trail, "append", answer_lost)

    await asyncio.gather(*(journal.record(reading(n), SEALED) for n in range(5)))

    assert len(await stored(database)) == 5
    report = await verify(trail, [signer.public])
    assert report.whole
    assert report.runs == 1


async def test_half_a_group_is_completed(
    *,
    journal: Journal,
    trail: Trail,
    database: Database,
    signer: Signer,
    reading: Callable[..., Access],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    append = trail.append

    async def half(traces: list[Trace]) -> None:
        await append(traces[: len(traces) // 2])
        monkeypatch.undo()
        raise_uncertain()

    monkeypatch.setattr(trail, "append", half)

    await asyncio.gather(*(journal.record(reading(n), SEALED) for n in range(6)))

    assert len(await stored(database)) == 6
    assert (await verify(trail, [signer.public])).whole


def raise_uncertain() -> None:
    raise Uncertain("the answer was lost")


async def test_when_the_database_stands_still_callers_get_503_and_a_new_run_goes_on(
    *, journal: Journal, trail: Trail, database: Database, signer: Signer, mongod: Any, reading: Callable[..., Access]
) -> None:
    first = await journal.record(reading(0), SEALED)
    run = journal.writer
    mongod.signal(signal.SIGSTOP)
    try:
        answers = await asyncio.gather(
            *(journal.record(reading(n), SEALED) for n in range(1, 6)), return_exceptions=True
        )
    finally:
        mongod.signal(signal.SIGCONT)
    assert all(isinstance(one, Unavailable) for one in answers)

    last = await until_it_answers(journal, reading)

    assert journal.writer != run
    there = await stored(database)
    assert {f"AuditEvent/{first}", f"AuditEvent/{last}"} <= set(there)
    report = await verify(trail, [signer.public])
    assert report.whole
    assert report.runs >= 2


async def test_no_acknowledged_trace_is_lost_when_the_database_is_killed(
    *, journal: Journal, trail: Trail, database: Database, signer: Signer, mongod: Any, reading: Callable[..., Access]
) -> None:
    acknowledged: list[str] = []
    refused = 0
    stop = asyncio.Event()

    async def caller(number: int) -> None:
        nonlocal refused
        while not stop.is_set():
            try:
                acknowledged.append(await journal.record(reading(number), SEALED))
            except Unavailable:
                refused += 1
                await asyncio.sleep(0.05)

    callers = [asyncio.create_task(caller(number)) for number in range(16)]
    for _ in range(2):
        await asyncio.sleep(0.5)
        await asyncio.to_thread(mongod.kill)
        await asyncio.sleep(0.2)
        await asyncio.to_thread(mongod.start)
    await asyncio.sleep(1)
    stop.set()
    await asyncio.gather(*callers)
    await until_it_answers(journal, reading)

    there = await stored(database)
    assert len(acknowledged) > 100
    assert {f"AuditEvent/{id}" for id in acknowledged} <= set(there)
    assert len(set(acknowledged)) == len(acknowledged)
    report = await verify(trail, [signer.public])
    assert report.whole, report.findings


async def test_a_failed_write_has_a_second_trace(
    journal: Journal, database: Database, reading: Callable[..., Access]
) -> None:
    update = reading(1, interaction="update", version=2)
    with pytest.raises(Conflict):
        async with journal.write(update, SEALED, 2) as announced:
            raise Conflict(Told("somebody was faster", ""))

    first, second = (await stored(database)).values()

    assert first["_id"] == announced
    assert first["writes"] == "DocumentReference/d1/2"
    assert b'"outcome":"0"' in first["event"]
    assert second["follows"] == announced
    assert b'"outcome":"4","outcomeDesc":"409 Conflict"' in second["event"]
    assert not journal.unsettled


async def test_a_write_that_succeeds_has_one_trace_and_is_settled(
    journal: Journal, database: Database, reading: Callable[..., Access]
) -> None:
    async with journal.write(reading(1, interaction="create"), SEALED, 1):
        assert len(journal.unsettled) == 1

    assert len(await stored(database)) == 1
    assert not journal.unsettled


async def test_a_write_of_unknown_end_stays_open(journal: Journal, reading: Callable[..., Access]) -> None:
    with pytest.raises(Unavailable):
        async with journal.write(reading(1, interaction="create"), SEALED, 1):
            raise Unavailable(Told("the database did not say", ""))
    assert len(journal.unsettled) == 1


async def until_it_answers(journal: Journal, reading: Callable[..., Access]) -> str:
    for _ in range(200):
        try:
            return await journal.record(reading(99), SEALED)
        except Unavailable:
            await asyncio.sleep(0.1)
    raise AssertionError("the journal does not recover")

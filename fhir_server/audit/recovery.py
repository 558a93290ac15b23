"""After a crash: the runs that ended without saying so, and the writes they announced and may not have made.

A trace goes before its write, so a crash can leave a trace of a write that never was. Recovery takes over each run that
is dead, looks for every version announced since its last signed head (and for those that head names as open), adds a
second trace where there is none, and signs the last head of the run as its end. Then nobody has to look at it again.

A run is dead when it has not been seen for :data:`LEASE`, or not since this server started when no other server writes
to the database. Recovery may run again, or in every worker at once: a run is claimed before it is touched.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from fhir_server.audit.event import retold
from fhir_server.audit.journal import ANCHOR_EVERY, Journal
from fhir_server.audit.messages import told
from fhir_server.fhir.errors import Unavailable
from fhir_server.store.trace import Trace
from fhir_server.store.trail import Uncertain

_log = logging.getLogger(__name__)

LEASE: Final = 5 * ANCHOR_EVERY
"""Seconds without a sign of life after which a run is dead, and after which an open write has long come to its end."""
_FAILED: Final = 503


@dataclass(frozen=True, slots=True)
class Recovered:
    """What recovery did."""

    runs: int
    withdrawn: tuple[str, ...]
    """The keys of the traces whose write did not take place."""


async def recover(journal: Journal, *, dead_since: int = 0) -> Recovered:
    """Bring every dead run to its end; call it when the journal is open, before the first request.

    ``dead_since``: runs last seen before this moment are dead. For a server that has the database for itself, when it
    started, the same for all its workers; a run that a worker began since is alive.
    """
    now = journal.clock()
    withdrawn: list[str] = []
    runs = 0
    last_alive = max(dead_since, now - int(LEASE * 1_000_000))
    try:
        for chain in await journal.trail.unfinished():
            if chain.writer == journal.writer or chain.seen >= last_alive:
                continue
            if not await journal.trail.claim(chain, journal.writer, now):
                continue
            withdrawn.extend(await _end(journal, chain.writer))
            runs += 1
        withdrawn.extend(await _settle(journal, now))
    except Uncertain as error:
        raise Unavailable(told("not-recovered")) from error
    return Recovered(runs, tuple(withdrawn))


async def keep_recovering(journal: Journal) -> None:
    """Look after other writers' runs for as long as the server runs."""
    while True:
        await asyncio.sleep(ANCHOR_EVERY)
        try:
            await recover(journal)
        except Unavailable:
            _log.warning("The trail could not be recovered; it will be tried again.")


async def _end(journal: Journal, writer: str) -> list[str]:
    """Withdraw what a dead run announced and did not make, and sign its end."""
    last = await journal.trail.last_anchor(writer)
    after, also = (last.seq, last.open) if last is not None else (-1, ())
    withdrawn = await _withdraw(journal, writer, after, also)
    head = await journal.trail.head(writer)
    if head is not None and (last is None or not last.closing):
        await journal.sign(head, after=0 if last is None else last.number, closing=True)
    await journal.trail.finish(writer)
    return withdrawn


async def _settle(journal: Journal, now: int) -> list[str]:
    """Find out about the writes of our own run whose end nobody saw, once they cannot be under way any more."""
    writer, open = journal.writer, journal.unsettled
    settled: list[str] = []
    async for trace in journal.trail.announced(writer, after=None, also=open):
        if trace.at < now - int(LEASE * 1_000_000):
            if await _made_up_for(journal, trace):
                settled.append(trace.key)
            journal.made(trace)
    return settled


async def _withdraw(journal: Journal, writer: str, after: int, also: Sequence[int]) -> list[str]:
    return [
        trace.key
        async for trace in journal.trail.announced(writer, after=after, also=also)
        if await _made_up_for(journal, trace)
    ]


async def _made_up_for(journal: Journal, announced: Trace) -> bool:
    """Add the second trace of a write that did not take place; tell whether there was one to add."""
    content = announced.content
    if content is None or await journal.trail.took_place(announced) or await journal.trail.denied(announced.key):
        return False
    told = retold(content.event, content.ix["s"], at=journal.clock(), status=_FAILED)
    why = f"the write announced by {announced.key} did not take place"
    second = replace(
        content,
        event=b"",
        ix=told.ix,
        sealed={**content.sealed, "why": why},
        writes=None,
        follows=announced.key,
    )
    await journal.retell(second, told.after_id, told.at)
    return True

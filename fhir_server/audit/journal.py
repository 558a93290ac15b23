"""The journal: an answer goes out only when its trace is durable.

One task a process takes what has gathered, chains it, stores it in one insert (majority, journal) and wakes who waits.
While one insert is under way the next group gathers by itself; nothing waits for company. The chain goes on only when
the insert is acknowledged, so a link never follows one that is not there.

When the database does not say whether a group is stored: look which of it is there, and store the rest one by one under
the same ``_id``. When that does not get an answer either, those who wait get :class:`Unavailable`, and a new run begins
that names the last acknowledged head: the old chain may hold a few traces more than anybody was told, never fewer.

A write is announced before it is made: :meth:`Journal.write`. The writer remembers which announced writes have not come
to an end, and says so in every signed head, so that recovery after a crash has to look at the traces since the last
head only (`audit.recovery`). Nothing is stored for it that an undisturbed write would have to pay for.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from fhir_server.audit.access import Access, Observer
from fhir_server.audit.anchor import Signer, append_line
from fhir_server.audit.chain import head_of, linked, new_run, opening, statement
from fhir_server.audit.event import event
from fhir_server.audit.messages import told
from fhir_server.audit.sealed import Sealed
from fhir_server.fhir.errors import FhirError, Unavailable
from fhir_server.store.trace import Content, Head, Trace, trace_id
from fhir_server.store.trail import Refused, Trail, Uncertain

_log = logging.getLogger(__name__)

CAPACITY: Final = 2000
"""Traces that may wait at once. More means that the database does not keep up: better a 503 than a long queue."""
GROUP: Final = 250
"""Traces of one insert."""
PATIENCE: Final = 5.0
"""Seconds in which what is left of a group may be stored one by one, before those who wait are told that it failed."""
ANCHOR_EVERY: Final = 60.0
"""Seconds between signed heads."""


@dataclass(slots=True)
class _Waiting:
    """What is to be stored, and who waits for it (nobody, for the opening of a run)."""

    at: int
    content: Content | None
    after_id: bytes
    """The event but for its id."""
    said: bytes
    stored: asyncio.Future[Trace] | None
    links: tuple[Head, ...] = ()

    def after(self, head: Head) -> Trace:
        """The link it makes when it follows this one."""
        if self.content is None:
            return opening(head, self.at, self.links)
        id = trace_id(head.writer, head.seq + 1).encode()
        event = b'{"resourceType":"AuditEvent","id":"%b"%b' % (id, self.after_id)
        return linked(head, self.at, replace(self.content, event=event), self.said)

    def tell(self, trace: Trace) -> None:
        """It is durable."""
        if self.stored is not None and not self.stored.done():
            self.stored.set_result(trace)

    def fail(self) -> None:
        """It is not, as far as anybody knows."""
        if self.stored is not None and not self.stored.done():
            self.stored.set_exception(Unavailable(told("nothing-shown")))


class Journal:
    """The trail as one process writes it. Open it before the first request, close it after the last."""

    def __init__(
        self,
        trail: Trail,
        *,
        observer: Observer,
        signer: Signer,
        clock: Callable[[], int],
        anchor_file: Path | None = None,
        capacity: int = CAPACITY,
        anchor_every: float = ANCHOR_EVERY,
    ) -> None:
        """``clock`` gives microseconds since 1970."""
        self.trail: Final = trail
        self.clock: Final = clock
        self.signer: Final = signer
        self._observer = observer
        self._anchor_file = anchor_file
        self._capacity = capacity
        self._anchor_every = anchor_every
        self._run = new_run()
        self._links: tuple[Head, ...] = ()
        self._begun = False
        self._open: set[int] = set()
        self._anchored: tuple[str, int, tuple[int, ...]] = ("", -1, ())
        self._anchor_number = 0
        self._taken_over = ""
        self._queue: deque[_Waiting] = deque()
        self._arrived = asyncio.Event()
        self._closing = False
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def writer(self) -> str:
        """The run now under way."""
        return self._run.writer

    def belong(self, keys: Collection[str], record: str) -> None:
        """Nothing waits here: what had no record when it was written has none in its trace (`audit.delayed`)."""

    @property
    def unsettled(self) -> tuple[int, ...]:
        """The places in the chain of announced writes whose end is not known."""
        return tuple(sorted(self._open))

    async def open(self) -> None:
        """Begin a run that names the heads of those before it; :class:`Unavailable` when that cannot be written."""
        try:
            await self.trail.keep_key(self.signer.fingerprint, self.signer.public, self.clock())
            before = await self.trail.unnamed()
            heads = [await self.trail.head(chain.writer) for chain in before]
            self._links = tuple(head for head in heads if head is not None)
            await self._store([])
            if self._run.head.seq >= 0:
                await self.trail.name([chain.writer for chain in before if chain.closed])
        except Uncertain as error:
            raise Unavailable(told("not-written")) from error
        if self._run.head.seq < 0:
            raise Unavailable(told("not-written"))
        self._tasks = [
            asyncio.create_task(self._keep_storing(), name="trail"),
            asyncio.create_task(self._keep_anchoring(), name="trail anchors"),
        ]

    async def close(self) -> None:
        """Store what waits, sign the last head, and say that the run is over."""
        self._closing = True
        self._arrived.set()
        if self._tasks:
            await asyncio.wait(self._tasks[:1])
        for task in self._tasks[1:]:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        while self._queue:
            self._queue.popleft().fail()
        if self._begun:
            with suppress(Uncertain):
                await self.anchor(closing=not self._open)
                if not self._open:
                    await self.trail.finish(self.writer)

    async def record(self, access: Access, sealed: Sealed) -> str:
        """Keep the trace of an access; the id of its AuditEvent once it is durable, else :class:`Unavailable`."""
        stored = await self._record(access, sealed)
        return trace_id(stored.writer, stored.seq)

    async def announce(self, access: Access, sealed: Sealed, version: int) -> Trace:
        """Keep the trace of a write that is about to be made; who made it stores the trace's `key` with the version.

        Then say how it went: :meth:`made`, :meth:`withdraw`, or nothing when nobody knows: recovery will find out.
        """
        return await self._record(access, sealed, writes=f"{access.target}/{version}")

    def made(self, announced: Trace) -> None:
        """The announced write is durable, or the trail says that it did not take place."""
        if announced.writer == self.writer:
            self._open.discard(announced.seq)

    async def withdraw(self, announced: Trace, access: Access, sealed: Sealed, status: int) -> None:
        """The announced write did not take place: a second trace says so."""
        failed = replace(access, status=status, at=self.clock())
        why = replace(sealed, why=f"the write announced by {announced.key} did not take place")
        await self._record(failed, why, follows=announced.key)
        self.made(announced)

    @asynccontextmanager
    async def write(self, access: Access, sealed: Sealed, version: int) -> AsyncIterator[str]:
        """Announce a write, then let it be made in the body, which is given the key of the trace to store with it.

        When the body raises what says that nothing was written (a :class:`FhirError` other than :class:`Unavailable`),
        a second trace says so. After any other exception nobody knows.
        """
        announced = await self.announce(access, sealed, version)
        try:
            yield announced.key
        except Unavailable:
            raise
        except FhirError as error:
            await self.withdraw(announced, access, sealed, error.status)
            raise
        self.made(announced)

    async def retell(self, content: Content, after_id: bytes, at: int) -> Trace:
        """Keep a trace whose content is already made up: recovery's."""
        stored: asyncio.Future[Trace] = asyncio.get_running_loop().create_future()
        return await self._durable(_Waiting(at, content, after_id, statement(content), stored), stored)

    async def anchor(self, *, closing: bool = False) -> None:
        """Sign the acknowledged head, if there is anything new to sign."""
        head, open = self._run.head, tuple(sorted(self._open))
        if head.seq < 0 or (not closing and self._anchored == (head.writer, head.seq, open)):
            return
        last = self._anchor_number if self._anchored[0] == head.writer else 0
        self._anchor_number = await self.sign(head, after=last, closing=closing, open=open)
        self._anchored = (head.writer, head.seq, open)

    async def sign(self, head: Head, *, after: int, closing: bool, open: tuple[int, ...] = ()) -> int:
        """Sign a head, keep it in the database, and in the file when there is one; its number, the next free one.

        A number is taken when the answer to an earlier attempt was lost.
        """
        number = after + 1
        signed = self.signer.sign(head, number=number, at=self.clock(), closing=closing, open=open)
        while not await self.trail.anchor(signed):
            number += 1
            signed = self.signer.sign(head, number=number, at=self.clock(), closing=closing, open=open)
        if self._anchor_file is not None:
            await asyncio.to_thread(append_line, self._anchor_file, signed)
        return number

    async def _record(
        self, access: Access, sealed: Sealed, *, writes: str | None = None, follows: str | None = None
    ) -> Trace:
        told = event(access, self._observer)
        content = Content(
            event=b"",
            sealed=sealed.stored(),
            ix=told.ix,
            realm=access.realm,
            agent=access.agent.key if access.agent else None,
            record=sealed.record,
            shown=told.shown,
            target=sealed.target or access.target,
            secret=sealed.secret,
            writes=writes,
            follows=follows,
        )
        return await self.retell(content, told.after_id, told.at)

    async def _durable(self, waiting: _Waiting, stored: asyncio.Future[Trace]) -> Trace:
        if self._closing or not self._tasks or len(self._queue) >= self._capacity:
            raise Unavailable(told("full"))
        self._queue.append(waiting)
        self._arrived.set()
        return await stored

    async def _keep_storing(self) -> None:
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while self._queue:
                group = [self._queue.popleft() for _ in range(min(len(self._queue), GROUP))]
                try:
                    await self._store(group)
                except Exception:  # noqa: BLE001 - whatever it is, who waits must be told
                    _log.exception("A group of the trail could not be stored.")
                    self._abandon(group)
            if self._closing:
                return

    async def _store(self, group: list[_Waiting]) -> None:
        """Chain a group and store it; whoever waits for a part of it has been told when this returns."""
        if self._taken_over == self.writer:
            self._abandon([])
        if not self._begun:
            # Make the run known before its first link: who crashes in between leaves an empty run, not an unknown one.
            await self.trail.begin(self.writer, self.clock())
            self._begun = True
        if self._run.head.seq < 0:
            group = [_Waiting(self.clock(), None, b"", b"", None, self._links), *group]
        traces: list[Trace] = []
        head = self._run.head
        for waiting in group:
            traces.append(waiting.after(head))
            head = head_of(traces[-1])
        try:
            await self.trail.append(traces)
        except Uncertain as error:
            _log.warning("The outcome of a group of %d traces is not known: %s", len(group), error)
            await self._one_by_one(group, traces)
            return
        for waiting, trace in zip(group, traces, strict=True):
            self._acknowledge(waiting, trace)

    async def _one_by_one(self, group: list[_Waiting], traces: list[Trace]) -> None:
        """Find out what is stored of a group, and store the rest, as long as one may let people wait."""
        clock = asyncio.get_running_loop().time
        patience = clock() + PATIENCE
        done = 0
        try:
            stored = await self.trail.digests([trace.key for trace in traces])
            for waiting, built in zip(group, traces, strict=True):
                # When the one before was refused, this one takes its place.
                trace = built if built.previous == self._run.head.digest else waiting.after(self._run.head)
                if stored.get(trace.key) != trace.digest:
                    if clock() > patience:
                        break
                    try:
                        await self.trail.append_one(trace)
                    except Refused:
                        _log.exception("The database refuses a trace.")
                        waiting.fail()
                        done += 1
                        continue
                self._acknowledge(waiting, trace)
                done += 1
        except Uncertain as error:
            _log.warning("The trail does not answer: %s", error)
        if done < len(group):
            self._abandon(group[done:])

    def _acknowledge(self, waiting: _Waiting, trace: Trace) -> None:
        self._run.advance(trace)
        if waiting.content is not None and waiting.content.writes is not None:
            self._open.add(trace.seq)
        waiting.tell(trace)

    def _abandon(self, group: list[_Waiting]) -> None:
        """Tell who waits that it failed. A run that was begun ends here; the next names the last head acknowledged."""
        for waiting in group:
            waiting.fail()
        if self._begun:
            if self._run.head.seq >= 0:
                self._links = (self._run.head,)
            self._run = new_run()
            self._begun = False
            self._open = set()

    async def _keep_anchoring(self) -> None:
        while True:
            await asyncio.sleep(self._anchor_every)
            try:
                await self.anchor()
                if self._begun and not await self.trail.seen(self.writer, self.clock()):
                    _log.warning("Another writer took this run for dead; a new one begins.")
                    self._taken_over = self.writer
            except Exception:  # noqa: BLE001 - whatever it is, heads must go on being signed
                _log.exception("The head of the trail could not be signed; it will be tried again.")

"""Transactions with our own deadline: the driver's would retry for two minutes.

At most four at once in a process: ungated, concurrent large ones mostly abort each other (docs/storage.md). Large ones,
of a Bundle, have a gate of their own, so that a write that needs a transaction does not wait until they are done.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final, TypeVar

from pymongo.errors import PyMongoError
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from fhir_server.fhir.errors import TryAgain, Unavailable
from fhir_server.store.messages import told

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pymongo.asynchronous.client_session import AsyncClientSession

    from fhir_server.store.connection import Client

Answer = TypeVar("Answer")

_DEADLINE_SECONDS: Final = 8.0
_FIRST_PAUSE_SECONDS: Final = 0.005
_LONGEST_PAUSE_SECONDS: Final = 0.2
_AT_ONCE: Final = 4
_LARGE_AT_ONCE: Final = 2
"""They are the work of this process: more at once would only make each of them longer, and more often meet another."""
_PATIENCE_SECONDS: Final = 120.0
"""So long one may wait for its turn. The time of the work itself begins with its turn."""


class Transactions:
    """Runs bodies of work, all or nothing."""

    def __init__(self, client: Client) -> None:
        """Use this connection."""
        self._client = client
        self._gate = asyncio.Semaphore(_AT_ONCE)
        self._large = asyncio.Semaphore(_LARGE_AT_ONCE)

    async def run(
        self,
        work: Callable[[AsyncClientSession], Awaitable[Answer]],
        *,
        seconds: float = _DEADLINE_SECONDS,
        large: bool = False,
    ) -> Answer:
        """Do the work in a transaction and commit it; repeat while the database asks for it, within the deadline."""
        gate = self._large if large else self._gate
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                await gate.acquire()
        except TimeoutError:
            raise Unavailable(told("transactions-wait")) from None
        try:
            return await self._repeatedly(work, time.monotonic() + seconds)
        finally:
            gate.release()

    async def _repeatedly(self, work: Callable[[AsyncClientSession], Awaitable[Answer]], deadline: float) -> Answer:
        pause = _FIRST_PAUSE_SECONDS
        while True:
            try:
                return await self._once(work, deadline)
            except (PyMongoError, TryAgain) as error:
                if not _is_transient(error):
                    raise
                if time.monotonic() > deadline:
                    raise Unavailable(told("busy")) from error
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    async def _once(self, work: Callable[[AsyncClientSession], Awaitable[Answer]], deadline: float) -> Answer:
        async with self._client.start_session() as session:
            await session.start_transaction(
                read_concern=ReadConcern("snapshot"), write_concern=WriteConcern(w="majority", j=True)
            )
            try:
                answer = await work(session)
            except BaseException:
                if session.in_transaction:
                    await session.abort_transaction()
                raise
            await self._commit(session, deadline)
            return answer

    @staticmethod
    async def _commit(session: AsyncClientSession, deadline: float) -> None:
        while True:
            try:
                await session.commit_transaction()
            except PyMongoError as error:
                if not error.has_error_label("UnknownTransactionCommitResult") or time.monotonic() > deadline:
                    raise
            else:
                return


class Joined(Transactions):
    """Work that is a part of a transaction under way: it is stored, and repeated, with all of that."""

    def __init__(self, session: AsyncClientSession) -> None:
        """Join the transaction of this session."""
        self._session = session

    async def run(
        self,
        work: Callable[[AsyncClientSession], Awaitable[Answer]],
        *,
        seconds: float = _DEADLINE_SECONDS,  # noqa: ARG002 - the clock is that of the whole
        large: bool = False,  # noqa: ARG002 - and so is the gate
    ) -> Answer:
        """Do the work; ``seconds`` are those of the whole."""
        return await work(self._session)


def _is_transient(error: BaseException) -> bool:
    """Whether the transaction may be begun again: the database says so, or the part of the store that asked it."""
    if isinstance(error, PyMongoError):
        return error.has_error_label("TransientTransactionError")
    return isinstance(error, TryAgain)

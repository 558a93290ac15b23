"""The traces of a transaction: each write is announced before it is made, and what came of all is known at once.

The trail is durable before the writes are (ADR 0007): a trace is stored when its write is prepared, outside of the
transaction. Only when that is committed are the writes made; when it is not, a second trace says so of each.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fhir_server.audit.access import Access
    from fhir_server.audit.journal import Journal
    from fhir_server.audit.sealed import Sealed
    from fhir_server.store.trace import Trace


class Delayed:
    """A journal that waits for the end of a transaction before it says how the writes went."""

    def __init__(self, journal: Journal) -> None:
        """Tell this journal."""
        self._journal = journal
        self._announced: list[tuple[Trace, Access, Sealed]] = []

    async def record(self, access: Access, sealed: Sealed) -> str:
        """Keep the trace of an access, as the journal does."""
        return await self._journal.record(access, sealed)

    @asynccontextmanager
    async def write(self, access: Access, sealed: Sealed, version: int) -> AsyncIterator[str]:
        """Announce a write; the body is given the key of its trace to store with it."""
        announced = await self._journal.announce(access, sealed, version)
        self._announced.append((announced, access, sealed))
        yield announced.key

    def made(self) -> None:
        """The transaction is committed."""
        for announced, _, _ in self._announced:
            self._journal.made(announced)

    async def withdraw(self, status: int) -> None:
        """The transaction was not committed; ``status`` is that of the refusal."""
        told = (
            self._journal.withdraw(announced, access, sealed, status) for announced, access, sealed in self._announced
        )
        await asyncio.gather(*told)

"""The traces of a transaction: they wait for each other, are made durable together, and end as the whole does.

The trail is durable before the writes are (ADR 0007): nothing of a transaction is written before it is committed, or
seen by anybody before its answer, so it is enough that all its traces are stored before that (ADR 0031). Until then a
trace has a name instead of a key. When the transaction is not committed, a second trace says so of each write that was
announced; what was not announced yet is told as what it became, a refusal.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from fhir_server.audit.journal import GROUP

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Coroutine, Mapping, Sequence

    from fhir_server.audit.access import Access
    from fhir_server.audit.journal import Journal
    from fhir_server.audit.sealed import Sealed
    from fhir_server.store.trace import Trace

_TAKEN_BACK: Final = "the transaction that it was a part of did not take place"


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A trace that is not stored yet."""

    name: str
    access: Access
    sealed: Sealed
    version: int | None
    """Of a write; nothing, of what only is told."""


class Delayed:
    """The journal of one transaction, which waits for its end before it says how the writes went."""

    def __init__(self, journal: Journal) -> None:
        """Tell this journal."""
        self._journal = journal
        self._waiting: list[_Waiting] = []
        self._announced: list[tuple[Trace, Access, Sealed]] = []
        self._keys: dict[str, str] = {}
        self._names = 0

    async def record(self, access: Access, sealed: Sealed) -> None:
        """Keep the trace of an access, before the transaction is committed."""
        self._wait(access, sealed, None)

    @asynccontextmanager
    async def write(self, access: Access, sealed: Sealed, version: int) -> AsyncIterator[str]:
        """Announce a write; the body is given what its trace is called until it is stored (:meth:`announced`)."""
        yield self._wait(access, sealed, version)

    def belong(self, keys: Collection[str], record: str) -> None:
        """What was created under these keys (``Type/id``) and had no record turns out to belong to this one."""
        for position, one in enumerate(self._waiting):
            if one.version is not None and one.access.target in keys and one.sealed.record is None:
                access = replace(one.access, patient=f"Patient/{record}")
                self._waiting[position] = replace(one, access=access, sealed=replace(one.sealed, record=record))

    async def announced(self) -> Mapping[str, str]:
        """Make durable what waits; the keys of the traces of all writes, by what they were called."""
        waiting, self._waiting = self._waiting, []
        await in_groups([self._store(one) for one in waiting])
        return self._keys

    def made(self) -> None:
        """The transaction is committed."""
        for announced, _, _ in self._announced:
            self._journal.made(announced)

    async def begin_again(self, status: int) -> None:
        """The transaction is carried out once more: what was announced of it is withdrawn, what waited is forgotten.

        It shows nothing before it is committed, and what is done again is told again.
        """
        self._waiting.clear()
        await self._withdraw(status)

    async def withdraw(self, status: int) -> None:
        """The transaction was not committed; ``status`` is that of the refusal."""
        waiting, self._waiting = self._waiting, []
        await in_groups([self._refuse(one, status) for one in waiting])
        await self._withdraw(status)

    def _wait(self, access: Access, sealed: Sealed, version: int | None) -> str:
        self._names += 1
        self._waiting.append(_Waiting(f"trace {self._names}", access, sealed, version))
        return self._waiting[-1].name

    async def _store(self, one: _Waiting) -> None:
        if one.version is None:
            await self._journal.record(one.access, one.sealed)
            return
        trace = await self._journal.announce(one.access, one.sealed, one.version)
        self._announced.append((trace, one.access, one.sealed))
        self._keys[one.name] = trace.key

    async def _refuse(self, one: _Waiting, status: int) -> None:
        if one.version is None:
            await self._journal.record(one.access, one.sealed)
        else:
            await self._journal.record(replace(one.access, status=status), replace(one.sealed, why=_TAKEN_BACK))

    async def _withdraw(self, status: int) -> None:
        announced, self._announced = self._announced, []
        await in_groups([self._journal.withdraw(*told, status) for told in announced])


async def in_groups(told: Sequence[Coroutine[None, None, None]]) -> None:
    """Await all, as many at once as the trail stores by one insert: others find room beside them.

    One that fails does not stop the others of its group; the first failure is raised when they are done.
    """
    for start in range(0, len(told), GROUP):
        done = await asyncio.gather(*told[start : start + GROUP], return_exceptions=True)
        failed = next((one for one in done if isinstance(one, BaseException)), None)
        if failed is not None:
            for left in told[start + GROUP :]:
                left.close()
            raise failed

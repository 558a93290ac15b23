"""The end of a record: what is stored of it goes, and what the trail says of it (R-64, R-73).

The chain still verifies, for it covers salted hashes and not the contents. Two traces stay that name the record by the
id of its Patient alone: one before anything goes, one that says how much went. They are filed under no record, so that
the auditor reads them and an erasure that is done again does not take them away.

Interrupted at any point it can be done again: a run finds what an earlier one left (`store.erasure`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from fhir_server.audit.access import Access, Agent
from fhir_server.audit.sealed import Sealed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fhir_server.audit.journal import Journal
    from fhir_server.store.erasure import Due, Erasure

_OPERATOR: Final = "operator"
"""Under which key the trail files what a command does."""
_HERE: Final = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Erased:
    """What went of one record."""

    record: str
    resources: int
    versions: int
    traces: int


async def erase(journal: Journal, erasure: Erasure, *, server: str) -> AsyncIterator[Erased]:
    """Erase every record whose time is over; ``server`` is how this one names itself in the trail."""
    for due in [one async for one in erasure.due(journal.clock())]:
        erased = await _erase(journal, erasure, due, server)
        if erased is not None:
            yield erased


async def _erase(journal: Journal, erasure: Erasure, due: Due, server: str) -> Erased | None:
    await _say(journal, due, server, "the record is to be erased (R-73)")
    if not await erasure.begin(due, journal.clock()):
        await _say(journal, due, server, "the record is not erased: it was changed meanwhile")
        return None
    resources, versions = await erasure.remove(due)
    now = journal.clock()
    traces = await journal.trail.erase(due.record, before=now, at=now, persons=due.persons)
    why = f"the record is erased (R-73): {resources} resources, {versions} earlier versions, {traces} traces"
    await _say(journal, due, server, why)
    await erasure.finish(due)
    return Erased(due.record, resources, versions, traces)


async def _say(journal: Journal, due: Due, server: str, why: str) -> None:
    target = f"Patient/{due.record}"
    access = Access(
        interaction="delete",
        status=204,
        at=journal.clock(),
        agent=Agent(key=_OPERATOR, name=f"{server} erase"),
        address=_HERE,
        type="Patient",
        target=target,
        realm=due.realm,
    )
    await journal.record(access, Sealed(target=target, why=why))

"""New resources of a transaction that are not sent yet: they go to the database together.

Nothing of a transaction is seen before it is committed, so when its parts are sent is its own affair, as long as it
sees them itself: they are sent before whatever could miss them, and a look-up by id finds them here. A thousand new
resources then cost the database a few commands, and the trail a few inserts: a resource is stored with the key of the
trace that announced it, so the traces of all that is sent are made durable just before (ADR 0031).

Only what the database will not refuse waits: what has an id that the server gave a moment ago, and is small.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from pymongo.errors import BulkWriteError

from fhir_server.fhir.errors import TryAgain
from fhir_server.store.messages import told
from fhir_server.store.owned import carried

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping

    from pymongo.asynchronous.client_session import AsyncClientSession

    from fhir_server.store.connection import Document

    Announced = Callable[[], Awaitable[Mapping[str, str]]]
    """Makes durable every trace that waits; by what each was called until then, the keys of all there are."""

LARGEST: Final = 1024 * 1024
"""Bytes of the body and the data of a resource that waits. With search entries it is far from what MongoDB stores."""

_DUPLICATE: Final = 11000


class HeldBack:
    """What one transaction has created and not sent."""

    def __init__(
        self,
        resources: Any,  # noqa: ANN401 - the driver's collection
        session: AsyncClientSession,
        turn: asyncio.Lock,
        announced: Announced,
    ) -> None:
        """Send to this collection, in this transaction; ``turn`` is whose turn it is to use the session."""
        self._resources = resources
        self._session = session
        self._turn = turn
        self._announced = announced
        self._sending = asyncio.Lock()
        self._documents: dict[str, Document] = {}
        self.sent = 0
        """How many resources went to the database from here."""

    @staticmethod
    def takes(document: Document) -> bool:
        """Whether a new resource may wait."""
        inline = document.get("content", {}).get("inline", b"")
        return not document.get("made_by_put") and len(document["body"]) + len(inline) <= LARGEST

    def keep(self, document: Document) -> None:
        """Send it later."""
        self._documents[document["_id"]] = document

    def get(self, key: str) -> Document | None:
        """What waits under this key (``Type/id``)."""
        return self._documents.get(key)

    def claim(self, owner: Document, keys: Collection[str]) -> list[str]:
        """Make a document the owner of those among these that wait and have none; which of them are its own.

        As `Writing` does with those that are stored.
        """
        mine: list[str] = []
        for key in keys:
            owned = self._documents.get(key)
            if owned is None:
                continue
            same = owned["realm"] == owner["realm"] and owned["deposit"]["by"] == owner["deposit"]["by"]
            if owned.get("owner") is None and same and owned["record"] in (None, owner["record"]):
                owned |= {"owner": owner["_id"], "record": owner["record"], **carried(owned, owner)}
                owned.pop("unowned", None)
            if owned.get("owner") == owner["_id"]:
                mine.append(key)
        return mine

    async def key_of(self, trace: str) -> str:
        """The key of the trace that is called so; it is durable."""
        return (await self._announced())[trace]

    async def send(self) -> None:
        """Send what waits, once the traces of all of it are durable."""
        async with self._sending:
            waiting = list(self._documents.values())
            if not waiting:
                return
            keys = await self._announced()
            for document in waiting:
                document["trace"] = keys[document["trace"]]
            try:
                async with self._turn:
                    await self._resources.insert_many(waiting, session=self._session)
            except BulkWriteError as error:
                if any(one.get("code") == _DUPLICATE for one in (error.details or {}).get("writeErrors", ())):
                    # two ids of 112 random bits are equal: begun again, it gives others
                    raise TryAgain(told("id-twice")) from error
                raise
            self.sent += len(waiting)
            self._documents.clear()

"""New resources of concurrent requests, sent together.

An insert that the majority has in its journal costs the database some hundred microseconds whatever it holds, and the
driver as much (docs/storage.md). While inserts are under way the next ones gather by themselves, and go as one command;
nothing waits for company. Each is acknowledged, or refused, by itself.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any, Final

import bson.errors
from pymongo.errors import (
    BulkWriteError,
    DocumentTooLarge,
    DuplicateKeyError,
    PyMongoError,
    WriteConcernError,
    WriteError,
    WTimeoutError,
)

from fhir_server.store.held_back import LARGEST

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fhir_server.store.connection import Document

_IN_FLIGHT: Final = 2
"""Commands under way at once: one more would only make them smaller."""
_AT_ONCE: Final = 100
"""Resources of one command."""
_DUPLICATE: Final = 11000
_WRITE_TIMED_OUT: Final = 64
_UNSTORABLE: Final = (bson.errors.BSONError, DocumentTooLarge, UnicodeError, OverflowError)
"""What the driver raises for a document that it cannot send, before it sends anything."""


class Inserter:
    """Turns single inserts into inserts of many."""

    def __init__(self, resources: Any) -> None:  # noqa: ANN401 - the driver's collection
        """Insert into this collection."""
        self._resources = resources
        self._waiting: deque[tuple[Document, asyncio.Future[None]]] = deque()
        self._under_way = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def insert(self, document: Document) -> None:
        """Store it, as the driver's ``insert_one`` would, with what it raises."""
        if len(document["body"]) + len(document.get("content", {}).get("inline", b"")) > LARGEST:
            await self._resources.insert_one(document)
        elif self._under_way < _IN_FLIGHT:
            self._under_way += 1
            try:
                await self._resources.insert_one(document)
            finally:
                self._ended()
        else:
            stored: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append((document, stored))
            await stored

    def _ended(self) -> None:
        """A command has its answer: send what gathered meanwhile."""
        self._under_way -= 1
        if self._waiting:
            group = [self._waiting.popleft() for _ in range(min(len(self._waiting), _AT_ONCE))]
            self._under_way += 1
            task = asyncio.create_task(self._send(group))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _send(self, group: Sequence[tuple[Document, asyncio.Future[None]]]) -> None:
        try:
            outcomes = await self._outcomes([document for document, _ in group])
        except BaseException as error:  # noqa: BLE001 - whatever happened is told to everybody who waits
            outcomes = [error] * len(group)
        finally:
            self._ended()
        for (_, stored), outcome in zip(group, outcomes, strict=True):
            if stored.done():
                continue
            if outcome is None:
                stored.set_result(None)
            else:
                stored.set_exception(outcome)

    async def _outcomes(self, documents: Sequence[Document]) -> list[BaseException | None]:
        """What became of each: nothing to say of one that is stored."""
        try:
            await self._resources.insert_many(documents, ordered=False)
        except BulkWriteError as error:
            return _told(error.details or {}, len(documents))
        except _UNSTORABLE:
            # nothing was sent, and one of them is why
            return [await self._outcome(document) for document in documents]
        return [None] * len(documents)

    async def _outcome(self, document: Document) -> BaseException | None:
        try:
            await self._resources.insert_one(document)
        except (PyMongoError, *_UNSTORABLE) as error:
            return error
        return None


def _told(details: Mapping[str, Any], number: int) -> list[BaseException | None]:
    """Of an answer that is no plain success, what it says of each."""
    unsure = next(iter(details.get("writeConcernErrors", ())), None)
    outcomes: list[BaseException | None] = [None] * number
    if unsure is not None:
        kind = WTimeoutError if unsure.get("code") == _WRITE_TIMED_OUT else WriteConcernError
        outcomes = [kind(str(unsure.get("errmsg")), unsure.get("code"), unsure) for _ in range(number)]
    for one in details.get("writeErrors", ()):
        refused = DuplicateKeyError if one["code"] == _DUPLICATE else WriteError
        outcomes[one["index"]] = refused(str(one.get("errmsg")), one["code"], one)
    return outcomes

"""The files of large contents, in the layout of GridFS, and their life.

https://www.mongodb.com/docs/manual/core/gridfs/

==========  ============================================================================================================
new         being received, or received and not a Binary's yet: the entry is there before the first chunk is
kept        a version of a Binary needs it: set in the transaction that stores the version
loose       a version that needed it went, in the transaction that deleted it: nobody may need it any more
going       nobody does: from then on no Binary can take it up, and it is deleted
==========  ============================================================================================================

A file is let go only in a transaction that finds no version that needs it, and writes what storing such a version
writes: of the two at once one begins again and sees the other. What a crash leaves of an upload is an entry that stayed
new, and goes by that. The driver's own writer of GridFS holds back up to 48 MB and writes the entry last; so it is not
used.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from bson import ObjectId
from bson.binary import Binary

from fhir_server.fhir.date import moment
from fhir_server.fhir.errors import Unavailable
from fhir_server.store.connection import answering
from fhir_server.store.messages import told
from fhir_server.store.sealing import Broken
from fhir_server.store.transaction import Transactions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Mapping, Sequence

    from pymongo.asynchronous.client_session import AsyncClientSession

    from fhir_server.store.connection import Database, Document

FILES: Final = "content.files"
CHUNKS: Final = "content.chunks"
STATE: Final = "metadata.state"
NEW: Final = "new"
KEPT: Final = "kept"
LOOSE: Final = "loose"
GOING: Final = "going"

CHUNK_BYTES: Final = 256 * 1024
"""Of the content in one chunk; sealed, a chunk has 16 bytes more."""
TOGETHER: Final = 4
"""Chunks that are written, and read, at once: what a transfer holds in memory, about twice."""
_OLDER_CHUNK_BYTES: Final = 255 * 1024
"""Of the chunks that an older server wrote."""


class ContentFiles:
    """Writes, reads and lets go the files of contents."""

    def __init__(self, database: Database) -> None:
        """In this database."""
        self._database = database
        self._files = database[FILES]
        self._chunks = database[CHUNKS]

    async def begin(self) -> ObjectId:
        """A new file, without chunks."""
        id = ObjectId()
        entry = {
            "_id": id,
            "length": 0,
            "chunkSize": CHUNK_BYTES,
            "uploadDate": datetime.now(UTC),
            "filename": str(id),
            "metadata": {"state": NEW},
        }
        with answering():
            await self._files.insert_one(entry)
        return id

    async def add(self, id: ObjectId, first: int, chunks: Sequence[bytes]) -> None:
        """Chunks of it, from number ``first`` on."""
        documents = [{"files_id": id, "n": first + place, "data": Binary(data)} for place, data in enumerate(chunks)]
        with answering():
            await self._chunks.insert_many(documents)

    async def finish(self, id: ObjectId, length: int, *, needed: bool = True) -> None:
        """All chunks are there; :class:`Unavailable` for a file that was given up meanwhile.

        One that turned out not to be needed goes with the next sweep.
        """
        change = {"$set": {"length": length, STATE: NEW if needed else GOING}}
        with answering():
            changed = await self._files.update_one({"_id": id, STATE: NEW}, change)
        if changed.matched_count != 1:
            raise Unavailable(told("upload-too-long"))

    async def chunks(self, id: ObjectId, first: int, last: int) -> AsyncIterator[bytes]:
        """The chunks from number ``first`` to ``last``, a few at a time; :class:`Broken` where one is not there."""
        for begin in range(first, last + 1, TOGETHER):
            end = min(begin + TOGETHER, last + 1)
            with answering():
                where = {"files_id": id, "n": {"$gte": begin, "$lt": end}}
                found = await self._chunks.find(where, {"n": 1, "data": 1}).sort("n", 1).to_list()
            if [one["n"] for one in found] != list(range(begin, end)):
                raise Broken(f"chunks of the content {id} are missing")
            for one in found:
                yield bytes(one["data"])

    async def discard(self, id: ObjectId) -> None:
        """Delete a file that no Binary was given; also the chunks of one whose entry the sweep took meanwhile."""
        with answering():
            await self._files.update_one({"_id": id, STATE: NEW}, {"$set": {STATE: GOING}})
            entry = await self._files.find_one({"_id": id})
        if entry is None or entry["metadata"]["state"] == GOING:
            await self._delete(id)

    async def sweep(self, now: int, *, age: int, dead_since: int = 0) -> int:
        """Delete what nobody needs; answer how many.

        What is new is looked at when it is older than ``age``, or when it was begun before ``dead_since``, for whoever
        received it is dead; both in microseconds. So are files of an older server, which say nothing of their life.
        """
        before = ObjectId.from_datetime(moment(max(now - age, dead_since)))
        states: Document = {
            "$or": [{STATE: {"$in": [LOOSE, GOING]}}, {STATE: {"$in": [NEW, None]}, "_id": {"$lt": before}}]
        }
        dropped = 0
        with answering():
            waiting = await self._files.find(states, {"_id": 1, "metadata": 1}).to_list()
        for file in waiting:
            going = file.get("metadata", {}).get("state") == GOING
            if going or await self._let_go(file["_id"]):
                await self._delete(file["_id"])
                dropped += 1
        return dropped

    async def drop_lost_chunks(self, now: int, *, age: int) -> int:
        """Delete chunks without an entry, as an upload that was cut left them on an older server."""
        before = ObjectId.from_datetime(moment(now - age))
        pipeline: list[dict[str, Any]] = [
            {"$match": {"files_id": {"$lt": before}}},
            {"$sort": {"files_id": 1}},
            {"$group": {"_id": "$files_id"}},
            {"$lookup": {"from": FILES, "localField": "_id", "foreignField": "_id", "as": "entry"}},
            {"$match": {"entry": []}},
        ]
        dropped = 0
        with answering():
            async for lost in await self._chunks.aggregate(pipeline):
                await self._chunks.delete_many({"files_id": lost["_id"]})
                dropped += 1
        return dropped

    async def _let_go(self, id: ObjectId) -> bool:
        """Mark a file that no version of a Binary needs; one that is needed is kept."""

        async def work(session: AsyncClientSession) -> bool:
            # written first: storing a version that needs it writes the same entry, so one of the two begins again
            await self._files.update_one({"_id": id}, {"$set": {STATE: GOING}}, session=session)
            for collection in ("resources", "versions"):
                if await self._database[collection].find_one({"content.file": str(id)}, {"_id": 1}, session=session):
                    await self._files.update_one({"_id": id}, {"$set": {STATE: KEPT}}, session=session)
                    return False
            return True

        with answering():
            return await Transactions(self._database.client).run(work)

    async def _delete(self, id: ObjectId) -> None:
        """Chunks first: a file that is half deleted is found by its entry."""
        with answering():
            await self._chunks.delete_many({"files_id": id})
            await self._files.delete_one({"_id": id})


def chunk_bytes(content: Mapping[str, Any]) -> int:
    """How much of a content stands in one chunk."""
    return int(content.get("chunk", _OLDER_CHUNK_BYTES))


def file_of(document: Mapping[str, Any]) -> str | None:
    """The file that a stored version of a Binary needs, if any."""
    content = document.get("content")
    return content.get("file") if content else None


async def keep(database: Database, file: str, session: AsyncClientSession) -> None:
    """A version that needs this file is stored in the same transaction; :class:`Unavailable` where it is going."""
    changed = await database[FILES].update_one(
        {"_id": ObjectId(file), STATE: {"$ne": GOING}},
        {"$set": {STATE: KEPT}, "$inc": {"metadata.given": 1}},  # a write each time, so that letting it go conflicts
        session=session,
    )
    if changed.matched_count != 1:
        raise Unavailable(told("content-removed"))


async def loosen(database: Database, files: Collection[str], session: AsyncClientSession) -> None:
    """Versions that needed these files are deleted in the same transaction."""
    if files:
        where = {"_id": {"$in": [ObjectId(one) for one in sorted(files)]}, STATE: {"$ne": GOING}}
        await database[FILES].update_many(where, {"$set": {STATE: LOOSE}}, session=session)

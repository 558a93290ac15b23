"""Erasing a record whose time is over: everything that is stored of it, as far as nobody else needs it (R-73).

In steps, each of which may be interrupted and done again. First the facts go: from then on nobody reaches the record,
whatever is left of it. What they were is kept beside it until all is gone, and tells the next run where to go on.

A resource that belongs to a second record, too, goes with the first: nobody could read it any more, as it needs both.
A large content goes when nothing else refers to it. Two phases keep it from a request that stores the same bytes now:
it gets another name, so that nobody finds it any more, and is deleted a moment later, unless somebody had found it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from bson import ObjectId
from gridfs.asynchronous import AsyncGridFSBucket

from fhir_server.record.facts import facts_of, new_record
from fhir_server.store.connection import answering

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fhir_server.store.connection import Database, Document

_BATCH: Final = 200
ERASED: Final = "erased/"
"""How the name of a content begins that is about to go."""
GRACE: Final = 10.0
"""Seconds in which a request that found a content before it got its other name has stored what refers to it."""


@dataclass(frozen=True, slots=True)
class Due:
    """A record to be erased."""

    record: str
    realm: str
    persons: tuple[str, ...]
    """The keys of its holder's INS, by which the trail knows what he did himself."""
    since: int
    """From when on it was to be erased, microseconds since 1970."""
    begun: bool
    """An earlier run began and did not come to its end."""


class Erasure:
    """What erasing needs of the database."""

    def __init__(self, database: Database, *, grace: float = GRACE) -> None:
        """Work on this database."""
        self._database = database
        self._bucket = AsyncGridFSBucket(database, bucket_name="content")
        self._grace = grace

    async def due(self, now: int) -> AsyncIterator[Due]:
        """The records whose time is over, and those that an earlier run left half erased."""
        over = {"$or": [{"patient.open": False}, {"erasing": {"$exists": True}}]}
        with answering():
            async for document in self._database["records"].find(over, batch_size=_BATCH):
                if (begun := document.get("erasing")) is not None:
                    told = begun["persons"], begun["since"]
                    yield Due(document["_id"], document["realm"], tuple(told[0]), int(told[1]), begun=True)
                    continue
                facts = facts_of(document)
                if not facts.open and facts.closure.erased_from <= now:
                    since, persons = facts.closure.erased_from, tuple(sorted(facts.persons))
                    yield Due(document["_id"], document["realm"], persons, since, begun=False)

    async def size(self, due: Due) -> tuple[int, int]:
        """How many resources, deleted ones included, and how many earlier versions there are of a record."""
        with answering():
            resources = await self._database["resources"].count_documents(_of(due.record))
            return resources, await self._database["versions"].count_documents({"record": due.record})

    async def begin(self, due: Due, now: int) -> bool:
        """Take the facts away, if the record still is to be erased; nobody reaches it from then on."""
        records = self._database["records"]
        with answering():
            held = await records.find_one({"_id": due.record})
            if held is None:
                return False
            if "erasing" in held:
                return True
            facts = facts_of(held)
            if facts.open or facts.closure.erased_from > now:
                return False  # reopened meanwhile
            empty = {**new_record(due.record, due.realm), "rev": held["rev"] + 1}
            kept = {"at": now, "since": due.since, "persons": list(due.persons)}
            where = {"_id": due.record, "rev": held["rev"]}
            return (await records.replace_one(where, {**empty, "erasing": kept})).matched_count == 1

    async def remove(self, due: Due) -> tuple[int, int]:
        """Delete the resources of a record and their versions; answer how many of each."""
        resources, versions = self._database["resources"], self._database["versions"]
        gone = earlier = 0
        with answering():
            while keys := await self._some_of(due.record):
                # versions first: they are found by the resource, should the next step not be reached
                await self._part_with(versions.find({"of": {"$in": keys}, "content.file": {"$exists": True}}))
                earlier += (await versions.delete_many({"of": {"$in": keys}})).deleted_count
                await self._part_with(resources.find({"_id": {"$in": keys}, "content.file": {"$exists": True}}))
                gone += (await resources.delete_many({"_id": {"$in": keys}})).deleted_count
            # of what an interrupted run deleted, the versions that its last step did not reach
            earlier += (await versions.delete_many({"record": due.record})).deleted_count
        return gone, earlier

    async def finish(self, due: Due) -> None:
        """Forget that the record was being erased: nothing of it is left."""
        with answering():
            await self._database["records"].delete_one({"_id": due.record, "erasing": {"$exists": True}})

    async def drop_contents(self) -> int:
        """Delete the contents that got another name and that nothing refers to; answer how many."""
        files = self._database["content.files"]
        with answering():
            waiting = await files.find({"filename": {"$gte": ERASED, "$lt": "erased0"}}, {"filename": 1}).to_list()
            if waiting:
                await asyncio.sleep(self._grace)
            dropped = 0
            for file in waiting:
                if await self._is_referred_to(file):
                    name = str(file["filename"]).removeprefix(ERASED)
                    await files.update_one({"_id": file["_id"]}, {"$set": {"filename": name}})
                else:
                    await self._bucket.delete(file["_id"])
                    dropped += 1
        return dropped

    async def _some_of(self, record: str) -> list[str]:
        cursor = self._database["resources"].find(_of(record), {"_id": 1}).limit(_BATCH)
        return [str(one["_id"]) for one in await cursor.to_list()]

    async def _part_with(self, cursor: Any) -> None:  # noqa: ANN401 - the driver's cursor
        """Give the large contents of these documents another name, so that nobody stores a reference to them now."""
        ids = {ObjectId(one["content"]["file"]) async for one in cursor}
        async for file in self._database["content.files"].find({"_id": {"$in": list(ids)}}, {"filename": 1}):
            name = str(file["filename"])
            if not name.startswith(ERASED):
                await self._database["content.files"].update_one(
                    {"_id": file["_id"]}, {"$set": {"filename": f"{ERASED}{name}"}}
                )

    async def _is_referred_to(self, file: Document) -> bool:
        name = str(file["filename"]).removeprefix(ERASED)
        where = {"content.hash": name, "content.file": str(file["_id"])}
        for collection in ("resources", "versions"):
            if await self._database[collection].find_one(where, {"_id": 1}) is not None:
                return True
        return False


def _of(record: str) -> Document:
    return {"$or": [{"record": record}, {"also": record}]}

"""Erasing a record whose time is over: everything that is stored of it, as far as nobody else needs it (R-73).

In steps, each of which may be interrupted and done again. First the facts go: from then on nobody reaches the record,
whatever is left of it. What they were is kept beside it until all is gone, and tells the next run where to go on.

A resource that belongs to a second record, too, goes with the first: nobody could read it any more, as it needs both.
First of all the keys of the record's contents are destroyed: where those are encrypted, they are unreadable from then
on, in every copy of the database that was made without the keys. The files of large contents go when no version needs
them any more (`content_files`), which nobody outside of the record could do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from fhir_server.record.facts import facts_of, new_record
from fhir_server.store.connection import answering
from fhir_server.store.content_files import ContentFiles, loosen
from fhir_server.store.keys import forget
from fhir_server.store.transaction import Transactions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pymongo.asynchronous.client_session import AsyncClientSession

    from fhir_server.store.connection import Database, Document

_BATCH: Final = 200
_A_DAY: Final = 24 * 3600 * 1_000_000


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

    def __init__(self, database: Database) -> None:
        """Work on this database."""
        self._database = database

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
        await forget(self._database, due.record)
        gone = earlier = 0
        with answering():
            while keys := await self._some_of(due.record):
                resources, versions = await self._remove(keys)
                gone += resources
                earlier += versions
            # of what an older server deleted and was interrupted, the versions that its last step did not reach
            earlier += (await self._database["versions"].delete_many({"record": due.record})).deleted_count
        return gone, earlier

    async def finish(self, due: Due) -> None:
        """Forget that the record was being erased: nothing of it is left."""
        await forget(self._database, due.record)  # again: what was being stored meanwhile may have made one
        with answering():
            await self._database["records"].delete_one({"_id": due.record, "erasing": {"$exists": True}})

    async def drop_contents(self, now: int) -> int:
        """Delete the files of contents that nobody needs any more; answer how many."""
        return await ContentFiles(self._database).sweep(now, age=_A_DAY)

    async def _some_of(self, record: str) -> list[str]:
        cursor = self._database["resources"].find(_of(record), {"_id": 1}).limit(_BATCH)
        return [str(one["_id"]) for one in await cursor.to_list()]

    async def _remove(self, keys: list[str]) -> tuple[int, int]:
        """Delete some resources with their versions, and say in the same moment that these need no file any more."""
        resources, versions = self._database["resources"], self._database["versions"]
        of_keys, by_key = {"of": {"$in": keys}}, {"_id": {"$in": keys}}

        async def work(session: AsyncClientSession) -> tuple[int, int]:
            files: set[str] = set()
            for collection, where in ((versions, of_keys), (resources, by_key)):
                needed = {**where, "content.file": {"$exists": True}}
                cursor = collection.find(needed, {"content.file": 1}, session=session)
                files |= {str(one["content"]["file"]) for one in await cursor.to_list()}
            earlier = (await versions.delete_many(of_keys, session=session)).deleted_count
            gone = (await resources.delete_many(by_key, session=session)).deleted_count
            await loosen(self._database, files, session)
            return gone, earlier

        return await Transactions(self._database.client).run(work)


def _of(record: str) -> Document:
    return {"$or": [{"record": record}, {"also": record}]}

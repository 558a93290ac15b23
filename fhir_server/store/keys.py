"""The keys of records: each wrapped by a master key that is not in the database, and gone when its record is erased.

::

    content_keys: { _id: "Patient/<id>" | "Binary/<id>", record: "<id>" | null, master, wrapped, made }

A Binary that belongs to no record yet has a key of its own; when a document becomes its owner, that key becomes one of
the document's record, in the transaction that gives the owner. Nothing is encrypted anew.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from bson.binary import Binary
from pymongo.errors import DuplicateKeyError

from fhir_server.store.connection import answering
from fhir_server.store.sealing import Broken, MasterKeys, new_key

if TYPE_CHECKING:
    from fhir_server.store.connection import Database

COLLECTION: Final = "content_keys"
_AT_ONCE: Final = 1000
"""So many keys one sweep wraps anew."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose a content is: a record's, or that of a Binary which belongs to none yet.

    Equal contents of one record are stored once; nothing is shared by two.
    """

    name: str
    record: str | None

    @classmethod
    def of(cls, record: str | None, id: str) -> Scope:
        """Of the Binary with this id, in this record or none."""
        return cls(f"Patient/{record}" if record is not None else f"Binary/{id}", record)


@dataclass(frozen=True, slots=True)
class Wrapped:
    """How many keys a master key wraps."""

    master: str
    keys: int


class ContentKeys:
    """Makes and gives the keys of records."""

    def __init__(self, database: Database, masters: MasterKeys | None) -> None:
        """Under these master keys; without any, nothing is encrypted, and what was is not read."""
        self._database = database
        self._keys = database[COLLECTION]
        self._masters = masters

    @property
    def seal(self) -> bool:
        """Whether what is stored from now on is encrypted."""
        return self._masters is not None

    def within(self, database: Database) -> ContentKeys:
        """The same, in the transaction that this database is bound to."""
        return ContentKeys(database, self._masters)

    async def of(self, scope: Scope) -> bytes:
        """The key of a scope, made on first use."""
        masters = self._given()
        key = new_key()
        made = {
            "record": scope.record,
            "master": masters.first,
            "wrapped": Binary(masters.wrap(key, scope.name)),
            "made": datetime.now(UTC),
        }
        with answering(), suppress(DuplicateKeyError):  # another process made it in the same moment
            await self._keys.update_one({"_id": scope.name}, {"$setOnInsert": made}, upsert=True)
        return await self.named(scope.name)

    async def named(self, name: str) -> bytes:
        """The key of this name; :class:`Broken` where it is gone, as it is after an erasure."""
        masters = self._given()
        with answering():
            held = await self._keys.find_one({"_id": name})
        if held is None:
            raise Broken(f"the key of {name} is gone")
        return masters.unwrap(held["master"], bytes(held["wrapped"]), name)

    async def missing(self) -> list[str]:
        """The ids of master keys that wrap keys here and are not given."""
        known = self._masters.keys if self._masters is not None else {}
        return [one.master for one in await wrapped_by(self._database) if one.master not in known]

    async def wrap_anew(self) -> int:
        """Put keys that an older master key wraps under the first one; answer how many. Some at a time."""
        masters = self._masters
        if masters is None:
            return 0
        done = 0
        with answering():
            older = self._keys.find({"master": {"$ne": masters.first}}).limit(_AT_ONCE)
            for held in await older.to_list():
                name, before = held["_id"], held["wrapped"]
                key = masters.unwrap(held["master"], bytes(before), name)
                change = {"master": masters.first, "wrapped": Binary(masters.wrap(key, name))}
                done += (await self._keys.update_one({"_id": name, "wrapped": before}, {"$set": change})).modified_count
        return done

    def _given(self) -> MasterKeys:
        if self._masters is None:
            raise Broken("a content is encrypted, and no master key is given")
        return self._masters


async def wrapped_by(database: Database) -> list[Wrapped]:
    """Which master keys wrap the keys that are stored."""
    pipeline: list[dict[str, Any]] = [{"$group": {"_id": "$master", "keys": {"$sum": 1}}}, {"$sort": {"_id": 1}}]
    with answering():
        cursor = await database[COLLECTION].aggregate(pipeline)
        return [Wrapped(str(one["_id"]), int(one["keys"])) for one in await cursor.to_list()]


async def forget(database: Database, record: str) -> None:
    """Destroy the keys of a record: what they sealed is unreadable from then on."""
    with answering():
        await database[COLLECTION].delete_many({"record": record})


async def forget_unused(database: Database, before: datetime) -> int:
    """Destroy keys made before this moment for Binaries that were then not stored; answer how many."""
    dropped = 0
    with answering():
        waiting = database[COLLECTION].find({"record": None, "made": {"$lt": before}}, {"_id": 1})
        async for held in waiting:
            if await database["resources"].find_one({"_id": held["_id"]}, {"_id": 1}) is None:
                dropped += (await database[COLLECTION].delete_one({"_id": held["_id"], "record": None})).deleted_count
    return dropped

"""What the store does without a :class:`Visible`: facts, resolutions, keys. No body leaves it this way.

The closed list of callers is checked by `tools/check_gate.py`.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, Final

from fhir_server.record.belonging import REFERRING, gathered
from fhir_server.record.elements import ELEMENTS
from fhir_server.record.labels import INVISIBLE
from fhir_server.search.predicate import Field, Predicate, all_of, one_of
from fhir_server.store.connection import answering
from fhir_server.store.document import SCHEMA
from fhir_server.store.filters import to_filter

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from fhir_server.store.connection import Database

MOST_RECORDS: Final = 20
"""So many records of one person are told; more than one exist in trials only."""

MOST_ASKED: Final = 500
"""A query that names a resource by identifier is decided in at most so many records; more is too costly."""


class Internal:
    """Look-ups for decisions and upkeep, never for answers."""

    def __init__(self, database: Database) -> None:
        """Work on this database."""
        self._database = database

    async def records_of_person(self, person: str, realm: str) -> list[str]:
        """The ids of the records of a person, by ``ins|…`` key, in one realm; more than one only in trials."""
        with answering():
            cursor = self._database["records"].find({"persons": person, "realm": realm}, {"_id": 1}).limit(MOST_RECORDS)
            return [str(document["_id"]) for document in await cursor.to_list()]

    async def records_asked(self, asked: Predicate, types: Collection[str], realm: str) -> list[str | None]:
        """The records of the resources a query names by id or identifier, to decide in each of them.

        At most :data:`MOST_ASKED` and one more, by which the caller knows that there are too many.
        """
        where = to_filter(all_of([asked, one_of(Field.TYPE, *types), one_of(Field.REALM, realm)]))
        pipeline: Sequence[dict[str, Any]] = [
            {"$match": where},
            {"$group": {"_id": "$record"}},
            {"$limit": MOST_ASKED + 1},
        ]
        with answering():
            cursor = await self._database["resources"].aggregate(pipeline, maxTimeMS=10_000)
            return [document["_id"] for document in await cursor.to_list()]

    async def named(
        self, asked: Predicate, types: Collection[str], realm: str, *, records: Collection[str] | None
    ) -> dict[str, str]:
        """What a query names in these records, one of each: of several one that may be hidden from the patient's side.

        A trace of the query is then withheld as a trace of that resource is, found or not (R-25, R-26, R-63).
        """
        place = [one_of(Field.TYPE, *types), one_of(Field.REALM, realm)]
        if records is not None:
            place.append(one_of(Field.RECORD, *records))
        where = to_filter(all_of([asked, *place]))
        labelled = {"$ne": [{"$setIntersection": ["$labels", sorted(INVISIBLE)]}, []]}
        gathers = {"$in": ["$rt", sorted(REFERRING)]}
        rank = {"$cond": [{"$or": [labelled, "$deposit.secret"]}, 0, {"$cond": [gathers, 1, 2]}]}
        pipeline: Sequence[dict[str, Any]] = [
            {"$match": where},
            {"$project": {"record": 1, "rank": rank}},
            {"$sort": {"rank": 1, "_id": 1}},
            {"$group": {"_id": "$record", "named": {"$first": "$_id"}}},
        ]
        with answering():
            cursor = await self._database["resources"].aggregate(pipeline, maxTimeMS=10_000)
            return {str(document["_id"]): str(document["named"]) for document in await cursor.to_list()}

    async def labelled(self, record: str, labels: Collection[str], *, secret: bool, by: str) -> frozenset[str]:
        """Which resources of a record carry one of these labels, deleted ones and Binaries included.

        With ``secret`` also what was deposited in a secret session; always what gathers one of these, however deep, but
        for what the reader himself (``by``) deposited.
        For withholding traces of what is hidden from their reader (R-25, R-26, R-63).
        """
        which: list[dict[str, Any]] = [{"labels": {"$in": sorted(labels)}}]
        if secret:
            which.append({"deposit.secret": True})
        with answering():
            cursor = self._database["resources"].find({"record": record, "$or": which}, {"_id": 1})
            hidden = frozenset(str(document["_id"]) for document in await cursor.to_list())
            return gathered(hidden, await self._gathering(record, by)) if hidden else hidden

    async def beyond(self, record: str, visible: Predicate, *, by: str) -> frozenset[str]:
        """Which resources of a record a decision does not show, and what gathers one of these, however deep.

        What the requester himself (``by``) deposited is not hidden from him for what he referred to.
        """
        with answering():
            cursor = self._database["resources"].find(
                {"record": record, "rt": {"$in": sorted(ELEMENTS.keys() | {"Binary"})}, "$nor": [to_filter(visible)]},
                {"_id": 1},
            )
            hidden = frozenset(str(document["_id"]) for document in await cursor.to_list())
            return gathered(hidden, await self._gathering(record, by))

    async def _gathering(self, record: str, by: str) -> dict[str, Sequence[str]]:
        """What gathers in a record and somebody else deposited, and what each of these refers to."""
        where = {"record": record, "rt": {"$in": sorted(REFERRING)}, "deposit.by": {"$ne": by}}
        cursor = self._database["resources"].find(where, {"refers": 1})
        return {str(document["_id"]): document.get("refers", ()) for document in await cursor.to_list()}

    async def key(self, name: str) -> bytes:
        """A secret of 32 bytes shared by every process through the database, made on first use."""
        with answering():
            keys = self._database["keys"]
            await keys.update_one({"_id": name}, {"$setOnInsert": {"key": secrets.token_bytes(32)}}, upsert=True)
            found = await keys.find_one({"_id": name})
        if found is None:
            raise RuntimeError(f"the key {name} vanished")
        return bytes(found["key"])

    async def holds_real_people(self) -> bool:
        """Whether the database holds anything of the realm `reel`: the demonstration refuses it."""
        with answering():
            return await self._database["resources"].find_one({"realm": "reel"}, {"_id": 1}) is not None

    async def schema_is_newer(self) -> bool:
        """Whether a newer server wrote here: this one would not understand all of it."""
        with answering():
            found = await self._database["resources"].find_one({"schema": {"$gt": SCHEMA}}, {"_id": 1})
        return found is not None

    async def ping(self) -> None:
        """Raise when the database does not answer."""
        with answering():
            await self._database.command("ping")

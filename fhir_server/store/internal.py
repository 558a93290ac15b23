"""What the store does without a :class:`Visible`: facts, resolutions, keys. No body leaves it this way.

The closed list of callers is checked by `tools/check_gate.py`.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, Final

from fhir_server.fhir import json
from fhir_server.record.actors import ID_NAT_PS, RPPS
from fhir_server.record.belonging import gathered, untold
from fhir_server.record.elements import ABOUT, CONTENTS, SEVERAL
from fhir_server.record.labels import INVISIBLE
from fhir_server.record.professions import professions_of
from fhir_server.search.predicate import Field, Predicate, all_of, one_of
from fhir_server.store import indexes
from fhir_server.store.connection import answering
from fhir_server.store.document import SCHEMA, records_in
from fhir_server.store.plan import plan

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from fhir_server.store.connection import Database, Document

MOST_RECORDS: Final = 20
"""So many records of one person are told; more than one exist in trials only."""

MOST_ASKED: Final = 500
"""A query that names a resource by identifier is decided in at most so many records; more is too costly."""

MOST_BESIDE: Final = 200
"""So many other records are decided in for what belongs to several; what belongs to more is not shown."""


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
        wanted = all_of([asked, one_of(Field.TYPE, *types), one_of(Field.REALM, realm)])
        with answering():
            rows = await self._planned(wanted, [{"$group": {"_id": "$record"}}, {"$limit": MOST_ASKED + 1}])
        return list(dict.fromkeys(row["_id"] for row in rows))

    async def named(
        self, asked: Predicate, types: Collection[str], realm: str, *, records: Collection[str] | None
    ) -> dict[str, str]:
        """What a query names in these records, one of each: of several one that may be hidden from the patient's side.

        A trace of the query is then withheld as a trace of that resource is, found or not (R-25, R-26, R-63).
        """
        place = [one_of(Field.TYPE, *types), one_of(Field.REALM, realm)]
        if records is not None:
            place.append(one_of(Field.RECORD, *records))
        labelled = {"$ne": [{"$setIntersection": ["$labels", sorted(INVISIBLE)]}, []]}
        tells = {"$in": ["$rt", sorted(ABOUT)]}
        rank = {"$cond": [{"$or": [labelled, "$deposit.secret"]}, 0, {"$cond": [tells, 1, 2]}]}
        stages: Sequence[dict[str, Any]] = [
            {"$project": {"record": 1, "rank": rank}},
            {"$sort": {"rank": 1, "_id": 1}},
            {"$group": {"_id": "$record", "named": {"$first": "$_id"}, "rank": {"$first": "$rank"}}},
        ]
        with answering():
            rows = await self._planned(all_of([asked, *place]), stages)
        rows.sort(key=lambda row: (row["rank"], row["named"]), reverse=True)
        return {str(row["_id"]): str(row["named"]) for row in rows}

    async def professions(self, rpps: str, realm: str) -> frozenset[tuple[str, str]]:
        """The professions the directory of a realm gives to who has this RPPS; none when it does not know him."""
        names = [f"identifier={system}|{value}" for system, value in ((RPPS, rpps), (ID_NAT_PS, f"8{rpps}"))]
        where = {"rt": "Practitioner", "ix.s": {"$in": names}, "realm": realm, "gone": None}
        with answering():
            cursor = self._database["resources"].find(where, {"body": 1}, hint=indexes.BY_TERM).limit(MOST_RECORDS)
            entries = [json.decode_object(bytes(one["body"])) for one in await cursor.to_list()]
        return frozenset().union(*map(professions_of, entries))

    async def is_there(self, key: str) -> bool:
        """Whether something is stored under this key (``Type/id``)."""
        with answering():
            return await self._database["resources"].find_one({"_id": key}, {"_id": 1}) is not None

    async def labelled(self, record: str, labels: Collection[str], *, secret: bool, by: str) -> frozenset[str]:
        """Which resources of a record carry one of these labels, deleted ones and Binaries included.

        With ``secret`` also what was deposited in a secret session; always what tells of these, however deep, and of
        nothing that is shown, but for what the reader himself (``by``) deposited.
        For withholding traces of what is hidden from their reader (R-25, R-26, R-63).
        """
        which: list[dict[str, Any]] = [{"labels": {"$in": sorted(labels)}}]
        if secret:
            which.append({"deposit.secret": True})
        with answering():
            cursor = self._database["resources"].find({"record": record, "$or": which}, {"_id": 1})
            hidden = frozenset(str(document["_id"]) for document in await cursor.to_list())
            return hidden | await self._telling_of(hidden, record, by) if hidden else hidden

    async def _telling_of(self, hidden: frozenset[str], record: str, by: str) -> frozenset[str]:
        """What tells of something hidden, and of nothing that is in the record and not hidden."""
        telling = await self._telling(record, by)
        about = {key: telling[key] for key in gathered(hidden, telling) - hidden}
        asked = {target for targets in about.values() for target in targets} - hidden - about.keys()
        withdrawn = {"gone": True, "rt": {"$in": sorted(CONTENTS)}}
        where = {"_id": {"$in": sorted(asked)}, "record": record, "$nor": [withdrawn]}
        cursor = self._database["resources"].find(where, {"_id": 1})
        return untold(about, [str(document["_id"]) for document in await cursor.to_list()])

    async def _telling(self, record: str, by: str) -> dict[str, Sequence[str]]:
        """What only tells of other resources in a record and somebody else deposited, and what each tells of."""
        where = {"record": record, "rt": {"$in": sorted(ABOUT)}, "deposit.by": {"$ne": by}}
        cursor = self._database["resources"].find(where, {"about": 1})
        return {str(document["_id"]): document.get("about", ()) for document in await cursor.to_list()}

    async def records_beside(self, record: str) -> list[str]:
        """The other records that resources of this record belong to, to decide in each; at most :data:`MOST_BESIDE`."""
        of_record = {"$or": [{"record": record, "rt": {"$in": sorted(SEVERAL)}}, {"also": record}]}
        pipeline: Sequence[dict[str, Any]] = [
            {"$match": of_record},
            {"$project": {"records": {"$concatArrays": [["$record"], {"$ifNull": ["$also", []]}]}}},
            {"$unwind": "$records"},
            {"$match": {"records": {"$nin": [record, None]}}},
            {"$group": {"_id": "$records"}},
            {"$sort": {"_id": 1}},
            {"$limit": MOST_BESIDE},
        ]
        with answering():
            cursor = await self._database["resources"].aggregate(pipeline, maxTimeMS=10_000)
            return [str(document["_id"]) for document in await cursor.to_list()]

    async def told_of(self, record: str) -> list[str]:
        """What resources of a record tell of where that is all they do (``Type/id``), to decide on each."""
        of_record = {"record": record, "rt": {"$in": sorted(ABOUT)}}
        with answering():
            told = await self._database["resources"].distinct("about", of_record)
        return [str(key) for key in told]

    async def referred_to(self, asked: Predicate) -> list[str]:
        """What the resources that match refer to (``Type/id``), to decide on each, of what nothing matches too."""
        with answering():
            rows = await self._planned(asked, [{"$unwind": "$refers"}, {"$group": {"_id": "$refers"}}])
        return sorted({str(row["_id"]) for row in rows})

    async def _planned(self, wanted: Predicate, stages: Sequence[dict[str, Any]]) -> list[Document]:
        """What the stages make of what is wanted, of each of its plans."""
        rows: list[Document] = []
        for one in (await plan(self._database, wanted, None)).each():
            options: dict[str, Any] = {"maxTimeMS": 10_000, **one.options()}
            cursor = await self._database["resources"].aggregate([{"$match": one.where()}, *stages], **options)
            rows += await cursor.to_list()
        return rows

    async def records_of(self, keys: Collection[str]) -> dict[str, list[str]]:
        """The records of what these keys (``Type/id``) name, by key; what is not there is not among them."""
        with answering():
            where = {"_id": {"$in": sorted(keys)}}
            cursor = self._database["resources"].find(where, {"record": 1, "also": 1})
            return {str(document["_id"]): records_in(document) for document in await cursor.to_list()}

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

"""Work on the whole database: rebuilding index entries, sweeping what nobody will use.

No body leaves the store this way.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pymongo import ReplaceOne
from pymongo.errors import DuplicateKeyError

from fhir_server.fhir import json
from fhir_server.fhir.date import moment
from fhir_server.fhir.errors import FhirError, Unprocessable
from fhir_server.record.elements import OWNED
from fhir_server.record.facts import SHAPE, new_record
from fhir_server.record.telling import TELLING, with_resource
from fhir_server.store.connection import answering
from fhir_server.store.content_files import ContentFiles, file_of, loosen
from fhir_server.store.document import SCHEMA, WITH_REFERENCES, document, keeps_records, records_in
from fhir_server.store.keys import COLLECTION as CONTENT_KEYS
from fhir_server.store.keys import forget_unused
from fhir_server.store.owned import CONSENT_FIELDS, carrying, first_to_point, kept
from fhir_server.store.transaction import Transactions

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta, tzinfo

    from pymongo.asynchronous.client_session import AsyncClientSession

    from fhir_server.search.parameters import Parameters
    from fhir_server.store.connection import Database, Document

_BATCH: Final = 200
UNOWNED_FOR: Final = 24 * 3600 * 1_000_000
"""Microseconds after which a Binary, or a FHIR document, that no document points to is swept."""
_KEPT: Final = ("body", "owner", "owns", "unowned", "content", "trace", "touched", "made_by_put", "digest")
"""Taken over as read; the body too, for the driver reads bytes and not the class that it is given to write."""


@dataclass(frozen=True, slots=True)
class Reindexed:
    """What came of indexing everything anew."""

    resources: int
    """Looked at, by this run and those it continued."""
    refused: tuple[str, ...]
    """``Type/id`` of those that are left as they were, for they cannot be indexed."""


async def reindex(
    database: Database,
    parameters: Parameters,
    told: Callable[[int, int], None],
    *,
    zone: tzinfo,
    authorisation: timedelta,
) -> Reindexed:
    """Rebuild each document from its body, keeping what the body does not tell; then the facts of every record.

    Safe beside a running server: a document that was written meanwhile is left as it is, for it is new already. It
    goes in the order of ``_id`` and remembers how far it came, so that a run that was cut is continued by the next one;
    one for other search parameters begins again.
    """
    resources, shapes = database["resources"], database["shapes"]
    wanted = entries_of(parameters)
    begun = await shapes.find_one({"_id": "reindex", "entries": wanted}) or {"after": "", "done": 0, "refused": []}
    after, done, refused = str(begun["after"]), int(begun["done"]), list(begun["refused"])
    total = await resources.estimated_document_count()
    while batch := await resources.find({"_id": {"$gt": after}, "gone": None}).sort("_id", 1).limit(_BATCH).to_list():
        changes: list[ReplaceOne[Document]] = []
        for stored in batch:
            try:
                again = rebuild(stored, parameters)
            except FhirError:
                refused.append(stored["_id"])
                continue
            if stored["schema"] < WITH_REFERENCES:
                again |= await _owns(database, again)
            if again != stored:
                # a Binary and a FHIR document get an owner, and follow it, without a new version
                names = ("_id", "version", "owner", "owner_labels", *CONSENT_FIELDS)
                same = {name: stored.get(name) for name in names}
                changes.append(ReplaceOne(same, again))
        if changes:
            await resources.bulk_write(changes, ordered=False)
        after, done = str(batch[-1]["_id"]), done + len(batch)
        place = {"entries": wanted, "after": after, "done": done, "refused": refused}
        await shapes.replace_one({"_id": "reindex"}, place, upsert=True)
        for stored in batch:
            if stored["rt"] == "Bundle" and stored["record"] is not None and "owner" not in stored:
                await _own(database, stored)
        told(done, max(done, total))
    told(done, max(done, 1))
    await rebuild_facts(database, zone=zone, authorisation=authorisation)
    await shapes.update_one({"_id": "entries"}, {"$set": {"entries": wanted}}, upsert=True)
    await shapes.delete_one({"_id": "reindex"})
    await ContentFiles(database).drop_lost_chunks(time.time_ns() // 1000, age=UNOWNED_FOR)
    return Reindexed(done, tuple(refused))


def entries_of(parameters: Parameters) -> str:
    """What search entries are made of: the shape of a document and the search parameters."""
    return f"{SCHEMA} {parameters.fingerprint}"


async def entries_are_current(database: Database, parameters: Parameters) -> bool:
    """Whether everything stored is indexed by these parameters; of an empty database it is, and is remembered."""
    shapes, wanted = database["shapes"], entries_of(parameters)
    known = await shapes.find_one({"_id": "entries"})
    if known is None and await database["resources"].find_one({}, {"_id": 1}) is None:
        await shapes.update_one({"_id": "entries"}, {"$setOnInsert": {"entries": wanted}}, upsert=True)
        return True
    return known is not None and known["entries"] == wanted


async def _owns(database: Database, document: Document) -> dict[str, list[str]]:
    """The Binaries that a document of an older shape owns and points to."""
    pointed = [key for key in document["refers"] if key.startswith("Binary/")]
    if not pointed or document["rt"] != "DocumentReference":
        return {}
    cursor = database["resources"].find({"_id": {"$in": pointed}, "owner": document["_id"]}, {"_id": 1})
    owned = sorted([str(one["_id"]) async for one in cursor])
    return {"owns": owned} if owned else {}


async def _own(database: Database, stored: Document) -> None:
    """Give a FHIR document that an older server stored to the document that points to it (ADR 0034)."""
    resources = database["resources"]

    async def work(session: AsyncClientSession) -> None:
        first = await first_to_point(resources, stored, session)
        if first is not None:
            given = {"$set": {"owner": {"$literal": first["_id"]}}}
            await resources.update_one(
                {"_id": stored["_id"], "owner": None, "gone": None}, [given, carrying(first)], session=session
            )

    await Transactions(database.client).run(work)


def rebuild(stored: Document, parameters: Parameters) -> Document:
    """The stored form made anew from the body and from what the body does not tell."""
    body = bytes(stored["body"])
    again = document(
        json.decode_object(body),
        body,
        parameters=parameters,
        version=stored["version"],
        at=stored["at"],
        realm=stored["realm"],
        deposit=stored["deposit"],
        bucket=stored["b"],
        records=records_in(stored) if keeps_records(stored["rt"]) else None,
    )
    again |= {name: stored[name] for name in _KEPT if name in stored}
    if stored["rt"] in OWNED:
        again |= kept(again, stored)
    return again


async def upgrade_facts(database: Database, *, zone: tzinfo, authorisation: timedelta) -> None:
    """Tell the facts of every record anew where an older server told them in another form; before any decision."""
    shapes = database["shapes"]
    known = await shapes.find_one({"_id": "facts"})
    if known is None or known["shape"] < SHAPE:
        await rebuild_facts(database, zone=zone, authorisation=authorisation)
        await shapes.update_one({"_id": "facts"}, {"$set": {"shape": SHAPE}}, upsert=True)


async def rebuild_facts(database: Database, *, zone: tzinfo, authorisation: timedelta) -> None:
    """Make the facts of every record anew; an unchanged record is not written."""
    told: dict[str, dict[str, Any]] = {}
    known = {one["_id"]: one async for one in database["records"].find({})}
    async for stored in database["resources"].find({"rt": {"$in": sorted(TELLING)}, "gone": None}):
        record = stored["record"]
        if record is None:
            continue
        held = told.setdefault(record, new_record(record, stored["realm"]))
        resource = json.decode_object(bytes(stored["body"]))
        with suppress(Unprocessable):  # what an older server accepted and this one does not read decides nothing
            held = with_resource(
                held,
                stored["rt"],
                str(resource["id"]),
                resource,
                granted=stored["at"],
                zone=zone,
                duration=authorisation,
                checked=False,
            )
        told[record] = held
    for record, facts in told.items():
        old = known.get(record, {"rev": 0})
        if {**facts, "rev": old["rev"]} != old:
            try:
                await database["records"].replace_one(
                    {"_id": record, "rev": old["rev"]}, {**facts, "rev": old["rev"] + 1}, upsert=record not in known
                )
            except DuplicateKeyError:
                continue  # a record created meanwhile is right already


async def sweep(database: Database, now: int) -> int:
    """Remove what found no owner within a day, and files that no version needs; answer how many."""
    swept = 0
    with answering():
        old = await database["resources"].find({"unowned": {"$lt": now - UNOWNED_FOR}}, {"_id": 1}).to_list()
    for one in old:
        swept += await _sweep_unowned(database, one["_id"], now)
    await forget_unused(database, moment(now - UNOWNED_FOR))
    return swept + await ContentFiles(database).sweep(now, age=UNOWNED_FOR)


async def sweep_interrupted(database: Database, now: int, *, dead_since: int) -> int:
    """Remove the files of uploads that a crash cut, at the start of a server that has the database for itself."""
    return await ContentFiles(database).sweep(now, age=UNOWNED_FOR, dead_since=dead_since)


async def _sweep_unowned(database: Database, key: str, now: int) -> bool:
    """Remove one, with its versions and its key, unless it was given an owner meanwhile."""
    resources, versions = database["resources"], database["versions"]

    async def work(session: AsyncClientSession) -> bool:
        where = {"_id": key, "unowned": {"$lt": now - UNOWNED_FOR}}
        gone = await resources.find_one_and_delete(where, {"content.file": 1}, session=session)
        if gone is None:
            return False
        past = await versions.find({"of": key}, {"content.file": 1}, session=session).to_list()
        await versions.delete_many({"of": key}, session=session)
        await database[CONTENT_KEYS].delete_many({"_id": key, "record": None}, session=session)
        await loosen(database, {file for one in (gone, *past) if (file := file_of(one)) is not None}, session)
        return True

    with answering():
        return await Transactions(database.client).run(work)

"""Every index the server relies on, declared in one place, made at start, checked by readiness and `doctor`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pymongo import IndexModel

from fhir_server.store.trail import CHAIN_INDEXES, TRAIL_INDEXES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fhir_server.store.connection import Database

BY_KEY: Final = "_id_"
"""Made by MongoDB itself."""
BY_RECORD: Final = "record"
BY_ALSO: Final = "also"
BY_TERM: Final = "term"
BY_RANGE: Final = "range"
BY_CONTAINED: Final = "contained"
BY_ON: Final = "on"
BY_LAST_UPDATED: Final = "last_updated"

INDEXES: Final[Mapping[str, Sequence[IndexModel]]] = {
    "resources": (
        # every patient-scoped search, page and count
        IndexModel([("record", 1), ("rt", 1), ("on", -1), ("_id", 1)], name=BY_RECORD),
        # the same of what belongs to several records
        IndexModel(
            [("also", 1), ("rt", 1), ("on", -1), ("_id", 1)],
            name=BY_ALSO,
            partialFilterExpression={"also": {"$exists": True}},
        ),
        # unscoped tokens, strings, references, uris
        IndexModel([("rt", 1), ("ix.s", 1)], name=BY_TERM),
        # unscoped dates
        IndexModel([("rt", 1), ("ix.r.p", 1), ("ix.r.lo", 1), ("ix.r.hi", 1)], name=BY_RANGE),
        # unscoped chains over what is contained
        IndexModel(
            [("rt", 1), ("ix.c.ix.s", 1)],
            name=BY_CONTAINED,
            partialFilterExpression={"ix.c": {"$exists": True}},
        ),
        # unscoped lists, newest first
        IndexModel([("rt", 1), ("on", -1), ("_id", 1)], name=BY_ON),
        # history and _lastUpdated
        IndexModel([("rt", 1), ("at", -1), ("_id", 1)], name=BY_LAST_UPDATED),
        # the Binaries of a document, and those that wait for one
        IndexModel([("owner", 1)], name="owner", partialFilterExpression={"owner": {"$exists": True}}),
        IndexModel([("unowned", 1)], name="unowned", partialFilterExpression={"unowned": {"$exists": True}}),
        # whether a version still needs a file
        IndexModel(
            [("content.file", 1)], name="content_file", partialFilterExpression={"content.file": {"$exists": True}}
        ),
    ),
    "versions": (
        IndexModel([("of", 1), ("version", -1)], name="of"),
        IndexModel([("rt", 1), ("at", -1), ("_id", 1)], name=BY_LAST_UPDATED),
        IndexModel([("record", 1), ("rt", 1), ("at", -1)], name=BY_RECORD),
        # whether a version still needs a file
        IndexModel(
            [("content.file", 1)], name="content_file", partialFilterExpression={"content.file": {"$exists": True}}
        ),
    ),
    "content.files": (
        # what waits to be looked at; nearly all files are kept
        IndexModel([("metadata.state", 1), ("_id", 1)], name="state"),
    ),
    # under the name the driver gives it, who makes it too when it writes
    "content.chunks": (IndexModel([("files_id", 1), ("n", 1)], name="files_id_1_n_1", unique=True),),
    "content_keys": (
        IndexModel([("record", 1)], name="record"),
        IndexModel([("master", 1)], name="master"),
    ),
    # the claims of conditional creates matter among concurrent ones only
    "claims": (IndexModel([("touched", 1)], name="touched", expireAfterSeconds=24 * 3600),),
    "records": (
        IndexModel([("persons", 1)], name="persons"),
        # whom a carer helps already
        IndexModel([("carers", 1)], name="carers", partialFilterExpression={"carers.0": {"$exists": True}}),
    ),
    "trail": TRAIL_INDEXES,
    "chains": CHAIN_INDEXES,
}


async def create(database: Database) -> None:
    """Make every declared index; those that are there already cost nothing."""
    for collection, models in INDEXES.items():
        await database[collection].create_indexes(list(models))


async def missing(database: Database) -> list[str]:
    """The declared indexes that are not there, as ``collection.name``."""
    absent: list[str] = []
    for collection, models in INDEXES.items():
        there = await database[collection].index_information()
        names = (str(model.document["name"]) for model in models)
        absent += [f"{collection}.{name}" for name in names if name not in there]
    return absent

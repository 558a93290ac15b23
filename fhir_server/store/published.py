"""Keeps what the server publishes itself, profiles and code lists, among the resources, to be read and searched.

The same content is written once, whichever process comes first; a new content is a new version; what is published no
more is deleted. Ids are those of the definitions, in a realm of their own (ADR 0040).
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from pymongo import InsertOne
from pymongo.errors import BulkWriteError

from fhir_server.fhir import json
from fhir_server.identity.requester import SHARED
from fhir_server.store.document import Deposit, bucket_of, document, marker, previous, stamp
from fhir_server.store.upkeep import entries_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fhir_server.fhir.json import JsonObject
    from fhir_server.search.parameters import Parameters
    from fhir_server.store.connection import Database, Document

_BY: Final = "fhir-server"
_DUPLICATE: Final = 11000
_BATCH: Final = 200


async def publish(
    database: Database, wanted: Sequence[JsonObject], *, parameters: Parameters, key: bytes, now: int
) -> int:
    """Make the published resources these; answer how many were written. Each has a type and an id of its own."""
    bodies = {f"{one['resourceType']}/{one['id']}": json.encode(one) for one in wanted}
    told = hashlib.sha256(entries_of(parameters).encode())
    for name, body in sorted(bodies.items()):
        told.update(f"{name} {len(body)} ".encode() + body)
    state = told.hexdigest()
    shapes, resources = database["shapes"], database["resources"]
    known = await shapes.find_one({"_id": "published"})
    if known is not None and known["state"] == state:
        return 0
    there = {str(one["_id"]): one async for one in resources.find({"realm": SHARED})}
    written = await _insert(
        database,
        [
            _document(one, bodies[name], parameters, key, version=1, at=now)
            for one in wanted
            if (name := f"{one['resourceType']}/{one['id']}") not in there
        ],
    )
    by_name = {f"{one['resourceType']}/{one['id']}": one for one in wanted}
    for name, stored in there.items():
        if name in by_name:
            next = _document(by_name[name], bodies[name], parameters, key, version=stored["version"] + 1, at=now)
            if stored["digest"] == next["digest"] and stored["ix"] == next["ix"] and not stored.get("gone"):
                continue
            written += await _swap(database, stored, next)
        elif not stored.get("gone"):
            written += await _swap(database, stored, marker(stored, now))
    await shapes.replace_one({"_id": "published"}, {"state": state}, upsert=True)
    return written


async def _insert(database: Database, documents: Sequence[Document]) -> int:
    """Add what is new; what another process added meanwhile, or a client's resource under that id, stays."""
    added = 0
    for begin in range(0, len(documents), _BATCH):
        batch = [InsertOne(one) for one in documents[begin : begin + _BATCH]]
        try:
            added += (await database["resources"].bulk_write(batch, ordered=False)).inserted_count
        except BulkWriteError as failure:
            if any(one["code"] != _DUPLICATE for one in failure.details["writeErrors"]):
                raise
            added += failure.details["nInserted"]
    return added


async def _swap(database: Database, stored: Document, next: Document) -> int:
    """Replace one version by the next, unless another process did meanwhile."""
    copy = previous(stored)
    await database["versions"].update_one({"_id": copy["_id"]}, {"$setOnInsert": copy}, upsert=True)
    where = {"_id": stored["_id"], "version": stored["version"]}
    return int((await database["resources"].replace_one(where, next)).modified_count)


def _document(
    resource: JsonObject, body: bytes, parameters: Parameters, key: bytes, *, version: int, at: int
) -> Document:
    type, id = str(resource["resourceType"]), str(resource["id"])
    stamped, whole = stamp(body, resource, id=id, version=version, at=at)
    stored = document(
        stamped,
        whole,
        parameters=parameters,
        version=version,
        at=at,
        realm=SHARED,
        deposit=Deposit(_BY, None, at, secret=False),
        bucket=bucket_of(key, type, id, None),
    )
    return {**stored, "digest": hashlib.sha256(body).hexdigest()}

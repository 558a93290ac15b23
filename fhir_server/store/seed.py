"""Puts given resources under given ids into the realm of trials: the demonstration.

Through the same stored form, facts and owners as a write by a client; only the deposit is told instead of read from a
token. Never in a database that holds a resource of the realm `reel`.
"""

from __future__ import annotations

from base64 import b64decode
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from fhir_server.fhir import json
from fhir_server.fhir.reference import local
from fhir_server.record.telling import tells, with_resource
from fhir_server.store.document import Deposit, bucket_of, document, stamp
from fhir_server.store.internal import Internal
from fhir_server.store.keys import Scope
from fhir_server.store.owned import CONSENT_FIELDS
from fhir_server.store.transaction import Transactions
from fhir_server.store.writing import Effects, FactChange, VersionMoved, Writing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from datetime import timedelta, tzinfo

    from fhir_server.search.parameters import Parameters
    from fhir_server.store.binary import Contents
    from fhir_server.store.connection import Client, Database, Document

REALM = "essai"


class RealPeople(Exception):
    """The database holds a resource of the realm `reel`."""


@dataclass(frozen=True, slots=True)
class Seed:
    """A resource with its id, and who is to have deposited it."""

    resource: dict[str, Any]
    by: str
    organisation: str | None


async def seed(
    client: Client,
    database: Database,
    wanted: Sequence[Seed],
    *,
    contents: Contents,
    parameters: Parameters,
    now: int,
    zone: tzinfo,
    authorisation: timedelta,
) -> int:
    """Add what is not there yet, in order; answer how many were added."""
    internal = Internal(database)
    if await internal.holds_real_people():
        raise RealPeople
    there = {
        one["_id"]
        async for one in database["resources"].find(
            {"_id": {"$in": [f"{one.resource['resourceType']}/{one.resource['id']}" for one in wanted]}}, {"_id": 1}
        )
    }
    writing, key = Writing(database, Transactions(client)), await internal.key("routing")
    added = 0
    for position, one in enumerate(wanted):
        if f"{one.resource['resourceType']}/{one.resource['id']}" in there:
            continue
        # a moment of its own for each, so that the order they were written in can be told
        with suppress(VersionMoved):
            async with _candidate(one, database, contents, parameters, key, now + position) as candidate:
                effects = _effects(candidate, json.decode_object(bytes(candidate["body"])), zone, authorisation)
                await writing.create(candidate, effects)
            added += 1
    return added


@asynccontextmanager
async def _candidate(
    one: Seed, database: Database, contents: Contents, parameters: Parameters, key: bytes, at: int
) -> AsyncIterator[Document]:
    """The document to store; the content of a Binary is kept for as long as it is being stored."""
    resource = dict(one.resource)
    if resource["resourceType"] != "Binary":
        yield _document(one, resource, parameters, key, at)
        return
    owner = await _owner(resource, database)
    data, scope = b64decode(resource.pop("data")), Scope.of(owner["record"], resource["id"])
    async with contents.keep(data, resource["contentType"], scope) as content:
        yield {**_document(one, resource, parameters, key, at), **owner, "content": content}


def _document(one: Seed, resource: dict[str, Any], parameters: Parameters, key: bytes, at: int) -> Document:
    stamped, body = stamp(json.encode(resource), resource, id=resource["id"], version=1, at=at)
    type, id = str(stamped["resourceType"]), str(stamped["id"])
    return document(
        stamped,
        body,
        parameters=parameters,
        version=1,
        at=at,
        realm=REALM,
        deposit=Deposit(one.by, one.organisation, at, secret=False),
        bucket=bucket_of(key, type, id, None),
    )


async def _owner(binary: dict[str, Any], database: Database) -> dict[str, Any]:
    target = local(binary["securityContext"]["reference"])
    owner = await database["resources"].find_one({"_id": str(target)})
    if owner is None:
        raise LookupError(f"{binary['id']} comes before its owner {target}")
    return {"owner": owner["_id"], "record": owner["record"], **{name: owner[name] for name in CONSENT_FIELDS}}


def _effects(candidate: Document, resource: json.JsonObject, zone: tzinfo, authorisation: timedelta) -> Effects:
    if not tells(candidate["rt"], resource):
        return Effects()
    apply = partial(
        with_resource,
        type=candidate["rt"],
        id=str(resource["id"]),
        resource=resource,
        granted=candidate["at"],
        zone=zone,
        duration=authorisation,
    )
    return Effects(FactChange(candidate["record"], REALM, apply))

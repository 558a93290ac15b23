"""Puts given resources under given ids into the realm of trials: the demonstration.

Through the same stored form, facts and owners as a write by a client; only the deposit is told instead of read from a
token. Never in a database that holds a resource of the realm `reel`.
"""

from __future__ import annotations

from base64 import b64decode
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from fhir_server.fhir import json
from fhir_server.fhir.reference import local
from fhir_server.record.telling import tells, with_resource
from fhir_server.store.binary import Contents
from fhir_server.store.document import Deposit, bucket_of, document, stamp
from fhir_server.store.internal import Internal
from fhir_server.store.transaction import Transactions
from fhir_server.store.writing import CONSENT_FIELDS, Effects, FactChange, VersionMoved, Writing

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta, tzinfo

    from fhir_server.search.parameters import Parameters
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
    writing, contents, key = Writing(database, Transactions(client)), Contents(database), await internal.key("routing")
    added = 0
    for position, one in enumerate(wanted):
        if f"{one.resource['resourceType']}/{one.resource['id']}" in there:
            continue
        # a moment of its own for each, so that the order they were written in can be told
        candidate = await _candidate(one, database, contents, parameters, key, now + position)
        effects = _effects(candidate, json.decode_object(bytes(candidate["body"])), zone, authorisation)
        try:
            await writing.create(candidate, effects)
        except VersionMoved:
            continue
        added += 1
    return added


async def _candidate(
    one: Seed, database: Database, contents: Contents, parameters: Parameters, key: bytes, at: int
) -> Document:
    resource = dict(one.resource)
    extra: dict[str, Any] = {}
    if resource["resourceType"] == "Binary":
        extra["content"] = await contents.keep(b64decode(resource.pop("data")), resource["contentType"])
        extra |= await _owner(resource, database)
    stamped, body = stamp(json.encode(resource), resource, id=resource["id"], version=1, at=at)
    type, id = str(stamped["resourceType"]), str(stamped["id"])
    return {
        **document(
            stamped,
            body,
            parameters=parameters,
            version=1,
            at=at,
            realm=REALM,
            deposit=Deposit(one.by, one.organisation, at, secret=False),
            bucket=bucket_of(key, type, id, None),
        ),
        **extra,
    }


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

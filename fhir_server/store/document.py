"""The stored form of a resource: what will be answered, next to what may be asked and what consent needs.

Pure, so reindexing is this function over a cursor. One write, one document, one version check: a resource, its index
entries and its labels cannot disagree. The fields are told in docs/storage.md.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from bson.binary import Binary

from fhir_server.fhir import json
from fhir_server.fhir.date import instant, moment
from fhir_server.record.actors import author_keys
from fhir_server.record.belonging import records_of
from fhir_server.record.consents import policy_of, read_actor
from fhir_server.record.kind import category_of, kind_of
from fhir_server.record.labels import labels_of
from fhir_server.record.pointers import about, pointers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fhir_server.fhir.json import JsonObject
    from fhir_server.search.parameters import Index, Parameters

Document: TypeAlias = "dict[str, Any]"

SCHEMA: Final = 5
"""The version of the stored shape. A server refuses a newer one; `reindex` upgrades an older one (docs/storage.md)."""

WITH_REFERENCES: Final = 2
"""Since this version of the shape, ``refers`` is told of every type."""

KEPT: Final = ("deposit", "realm", "owner", "record_of_owner")
"""What the body does not tell: written once, kept by every later write, by reindex, in versions and in markers."""


@dataclass(frozen=True, slots=True)
class Deposit:
    """Who brought a resource in, as his token told; never what the body says (R-21, R-50)."""

    by: str
    organisation: str | None
    at: int
    secret: bool
    """Deposited in the secret session of a minor (C.10)."""


def document(
    resource: JsonObject,
    body: bytes,
    *,
    parameters: Parameters,
    version: int,
    at: int,
    realm: str,
    deposit: Deposit | Mapping[str, Any],
    bucket: int,
    records: Sequence[str] | None = None,
) -> Document:
    """The stored form of one version of a resource. `body` already carries its id and meta (:func:`stamp`).

    ``records`` are those it belongs to where the body alone does not tell (:func:`keeps_records`).
    """
    type, id = str(resource["resourceType"]), str(resource["id"])
    index = parameters.index(type, resource)
    if records is None:
        records = records_of(type, id, resource, parameters.base_url)
    told = about(type, resource, parameters.base_url)
    stored = {
        "_id": f"{type}/{id}",
        "b": bucket,
        "rt": type,
        "schema": SCHEMA,
        "version": version,
        "at": at,
        "realm": realm,
        "record": records[0] if records else None,
        "on": index.on,
        "ix": _entries(index),
        "labels": labels_of(resource),
        "authors": author_keys(resource) if type == "DocumentReference" else [],
        "named": _named(type, resource),
        "refers": pointers(resource, parameters.base_url, records),
        "deposit": _deposit(deposit) if isinstance(deposit, Deposit) else dict(deposit),
        "category": category_of(resource),
        "kind": kind_of(resource),
        "body": Binary(body),
    }
    if type == "Bundle":
        stored["own_labels"] = stored["labels"]  # beside those of its owner (`store.owned`)
    if len(records) > 1:
        stored["also"] = list(records[1:])
    if told:
        stored["about"] = told
    return stored


def keeps_records(type: str) -> bool:
    """Whether the records of a type were looked up when it was written, so that its body alone does not tell them."""
    return type == "Provenance"


def others_in(stored: Mapping[str, Any]) -> list[str]:
    """What a stored resource refers to that has a gate of its own: not its owner, nor the Binaries it owns.

    A FHIR document that it owns is asked for: by a label of its own it may be hidden where its owner is not.
    """
    same = {stored.get("owner"), *(key for key in stored.get("owns", ()) if key.startswith("Binary/"))}
    return [key for key in stored["refers"] if key not in same]


def records_in(stored: Mapping[str, Any]) -> list[str]:
    """The records a stored resource belongs to."""
    first = stored.get("record")
    return [] if first is None else [str(first), *stored.get("also", ())]


def marker(stored: Document, at: int) -> Document:
    """What stays of a deleted resource: enough to decide who may know that it is gone, and nothing to find it by."""
    return {
        **{name: value for name, value in stored.items() if name not in ("body", "content", "ix")},
        "version": stored["version"] + 1,
        "at": at,
        "ix": {"s": [], "r": []},
        "gone": True,
        "body": None,
    }


def previous(stored: Document) -> Document:
    """The immutable copy of a version that is about to be replaced."""
    kept = {name: value for name, value in stored.items() if name != "ix"}
    return {**kept, "_id": f"{stored['_id']}/{stored['version']}", "of": stored["_id"]}


def stamp(body: bytes, resource: JsonObject, *, id: str, version: int, at: int) -> tuple[JsonObject, bytes]:
    """Set id, version and time of last update; everything else keeps the bytes it came with.

    ``body`` is compact. Answers the decoded resource and the body, which agree.
    """
    parts = json.members(body)
    meta = json.members(parts["meta"]) if "meta" in parts else {}
    stamped = {"versionId": str(version), "lastUpdated": instant(moment(at))}
    raw_meta = {name: json.encode(value) for name, value in stamped.items()}
    raw_meta |= {name: raw for name, raw in meta.items() if name not in _STAMPED}
    first = {
        "resourceType": parts["resourceType"],
        "id": json.encode(id),
        "meta": json.join_members(raw_meta),
    }
    rest = {name: raw for name, raw in parts.items() if name not in first and name != "_id"}
    old_meta = resource.get("meta")
    new_meta: JsonObject = {**stamped}
    if isinstance(old_meta, dict):
        new_meta |= {name: value for name, value in old_meta.items() if name not in _STAMPED}
    told: JsonObject = {"resourceType": resource["resourceType"], "id": id, "meta": new_meta}
    told |= {name: value for name, value in resource.items() if name not in told and name != "_id"}
    return told, json.join_members({**first, **rest})


_STAMPED: Final = frozenset({"versionId", "lastUpdated", "_versionId", "_lastUpdated"})

_HEX: Final = frozenset("0123456789abcdef")


def new_id(key: bytes, record: str | None) -> str:
    """A random id, never ordered by time, that begins with the routing bucket of its record: 4 + 28 hex digits."""
    tail = secrets.token_hex(14)
    return f"{bucket(key, record or tail):04x}{tail}"


def bucket(key: bytes, name: str) -> int:
    """16 bits that spread records over shards; keyed, so that nobody reads a patient out of them."""
    return int.from_bytes(hmac.digest(key, name.encode(), hashlib.sha256)[:2])


def bucket_of(key: bytes, type: str, id: str, record: str | None) -> int:
    """The bucket of a resource: of its own id for a Patient, told by an id the server gave, else of its record."""
    if type == "Patient":
        return bucket(key, id)
    if len(id) == 32 and _HEX.issuperset(id):  # noqa: PLR2004 - the length of new_id
        return int(id[:4], 16)
    return bucket(key, record or id)


def _entries(index: Index) -> Document:
    """What it is found by; what few have is not written for the others."""
    rest = {"t": index.texts, "c": index.contained}
    return {"s": index.terms, "r": index.ranges} | {name: held for name, held in rest.items() if held}


def _deposit(deposit: Deposit) -> Document:
    return {"by": deposit.by, "organisation": deposit.organisation, "at": deposit.at, "secret": deposit.secret}


def _named(type: str, resource: JsonObject) -> list[str]:
    """Whom a Consent of ours names: he may read it (access: govern)."""
    if type != "Consent" or policy_of(resource) is None:
        return []
    actor = read_actor(resource)
    return [actor] if actor is not None else []

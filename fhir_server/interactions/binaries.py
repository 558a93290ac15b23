"""A Binary on its way in: its data are kept decoded beside its body, and it is read through its owner's gate.

https://hl7.org/fhir/R4/binary.html

A Binary has one owner, fixed for good: what its ``securityContext`` names, else the first document of the same record
and depositor that points to it (ADR 0012). Until then it is its depositor's alone, and is swept after a day.
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from typing import TYPE_CHECKING, Any

from fhir_server.consent.circumstances import Act
from fhir_server.fhir import json
from fhir_server.fhir.errors import Invalid, Unprocessable
from fhir_server.fhir.outcome import IssueType
from fhir_server.fhir.reference import local
from fhir_server.interactions.messages import told
from fhir_server.interactions.prepare import Draft, check
from fhir_server.record.belonging import is_fhir_document
from fhir_server.store.owned import carried

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fhir_server.fhir.json import JsonObject
    from fhir_server.interactions.exchange import Exchange
    from fhir_server.interactions.natively import Raw
    from fhir_server.store.reading import Stored


def raw_draft(exchange: Exchange, raw: Raw, id: str | None) -> Draft:
    """The Binary that is meant by content sent as what it is; the content comes when it is asked for."""
    resource: JsonObject = {"resourceType": "Binary", "contentType": raw.content_type}
    if id is not None:
        resource["id"] = id
    if raw.security_context is not None:
        resource["securityContext"] = {"reference": raw.security_context}
    return check(exchange, Draft("Binary", resource, json.encode(resource), [], raw.parts))


def take_data(draft: Draft) -> None:
    """Move the data of a Binary out of its body, to be kept beside it."""
    if draft.content is not None:
        return
    encoded = draft.resource.get("data", "")
    try:
        draft.content = b64decode("".join(str(encoded).split()), validate=True)
    except (binascii.Error, ValueError):
        raise Invalid(told("not-base64"), expression=("Binary.data",), code=IssueType.VALUE) from None
    parts = json.members(draft.body)
    parts.pop("data", None)
    draft.body = json.join_members(parts)
    draft.resource = {name: value for name, value in draft.resource.items() if name != "data"}


async def is_same_data(exchange: Exchange, draft: Draft, old: Stored) -> bool:
    """Whether the next version of a Binary has the content of this one; of what is still to come nobody knows."""
    content = old.document["content"]
    if not isinstance(draft.content, bytes) or len(draft.content) != content["size"]:
        return False
    return draft.content == await exchange.server.contents.give(content)


async def owner_fields(exchange: Exchange, draft: Draft) -> dict[str, Any]:
    """What a new Binary takes from the owner its ``securityContext`` names; without one, that it waits for an owner."""
    context = draft.resource.get("securityContext")
    literal = context.get("reference") if isinstance(context, dict) else None
    if not isinstance(literal, str):
        return {"record": None, "unowned": exchange.now}
    target = local(literal, exchange.server.base_url)
    owner = None if target is None else await _owner(exchange, target.type, target.id)
    if owner is None:
        if exchange.is_conformance or str(target) in exchange.arriving:
            # what the same Bundle creates becomes the owner when it points here, as it must
            return {"record": None, "unowned": exchange.now}
        raise Unprocessable(
            told("unknown", key=literal), expression=("Binary.securityContext",), code=IssueType.NOT_FOUND
        )
    return {"owner": owner.key, "record": owner.record, **carried({"rt": "Binary"}, owner.document)}


def waiting_fields(exchange: Exchange, draft: Draft, records: Sequence[str]) -> dict[str, Any]:
    """Of a new Bundle, the record it was placed in; of a FHIR document in none, that it waits for an owner (ADR 0034).

    What a test client stores stays: it is not swept, as little as any other Bundle of its.
    """
    if records or not is_fhir_document(draft.resource):
        return {"record": next(iter(records), None)}
    return {"record": None, **({} if exchange.is_conformance else {"unowned": exchange.now})}


async def _owner(exchange: Exchange, type: str, id: str) -> Stored | None:
    """The resource that may become the owner: one's own deposit, or one that the requester may consult."""
    if type not in ("DocumentReference", "Patient"):
        return None
    held = await exchange.server.reading.hold(type, id)
    facts = await exchange.facts(held.record)
    rules = exchange.account.rules
    found = [held.read(exchange.decide(type, act, facts).visible) for act in (Act.CONSULT, Act.FEED)]
    exchange.account.rules = rules
    return next((one for one in found if one is not None and one.body is not None), None)

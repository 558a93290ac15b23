"""The bytes of what may be shown: stored bytes as they are, a Binary with its data, a trace as far as it is open.

A resource that refers to something hidden from the requester is shown without that (`record.redact`, ADR 0018). His own
deposits are shown whole: what they say, he wrote.
"""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Any

from fhir_server.audit.sealed import unsealed
from fhir_server.consent.circumstances import organisation_key
from fhir_server.consent.decide import sealed
from fhir_server.fhir import json
from fhir_server.identity.requester import Kind
from fhir_server.interactions.natively import MOST_DATA
from fhir_server.record.pointers import pointers
from fhir_server.store.document import WITH_REFERENCES, others_in, records_in
from fhir_server.store.reading import permits

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from fhir_server.consent.decide import Decision
    from fhir_server.interactions.exchange import Exchange
    from fhir_server.record.facts import Facts
    from fhir_server.store.reading import Stored


async def body_of(exchange: Exchange, found: Stored, facts: Facts, decision: Decision | None = None) -> bytes:
    """The resource as it is answered. `found` was read through the gate, and is not deleted."""
    if found.type == "AuditEvent" and decision is not None:
        return await _trace(exchange, found, facts, decision)
    if found.body is None:
        raise RuntimeError(f"{found.key} has no body to show")
    if found.content is not None:
        if found.content.size > exchange.data.left:
            return exchange.server.subsetter.tagged(await _without_hidden(exchange, found.body, found.document))
        exchange.data.left -= found.content.size
    return await as_shown(exchange, found.body, found.document)


async def look_ahead(exchange: Exchange, page: Iterable[Stored]) -> None:
    """Find out at once what of all that a page refers to the requester may know of."""
    await exchange.shown({key for one in page for key in _others(exchange, one.body, one.document)})


async def as_shown(exchange: Exchange, body: bytes, document: Mapping[str, Any]) -> bytes:
    """The body of a stored form, without what the requester may not know of, and with the data of a Binary."""
    return await with_data(exchange, await _without_hidden(exchange, body, document), document)


async def _without_hidden(exchange: Exchange, body: bytes, document: Mapping[str, Any]) -> bytes:
    hidden = await unseen(exchange, body, document)
    if hidden:
        whole = json.decode_lexical(body)
        shown = exchange.server.redaction.of(whole, hidden)
        return body if shown is whole else json.encode_lexical(shown)
    return body


async def unseen(exchange: Exchange, body: bytes, document: Mapping[str, Any]) -> frozenset[str]:
    """What a resource refers to and the requester may not consult, hidden or absent (``Type/id``)."""
    others = _others(exchange, body, document)
    return frozenset(others) - await exchange.shown(others) if others else frozenset()


def _others(exchange: Exchange, body: bytes | None, document: Mapping[str, Any]) -> Sequence[str]:
    """What a resource refers to that the requester may not know of already."""
    if exchange.is_conformance or body is None or document.get("rt") in (None, "AuditEvent"):
        return ()
    if document.get("schema", 1) < WITH_REFERENCES:
        base_url = exchange.server.base_url
        refers: Sequence[str] = pointers(json.decode_object(body), base_url, records_in(document))
    else:
        refers = others_in(document)
    return refers if refers and not _brought(exchange, document["deposit"]) else ()


def _brought(exchange: Exchange, deposit: Mapping[str, Any]) -> bool:
    """Whether the requester himself brought it in: a person by his key, a system by its structure."""
    structure = organisation_key(exchange.requester)
    if exchange.requester.kind in (Kind.ORGANISATION, Kind.FEEDER) and structure is not None:
        return bool(deposit["organisation"] == structure)
    return bool(deposit["by"] == exchange.requester.key)


async def with_data(exchange: Exchange, body: bytes, document: Mapping[str, Any]) -> bytes:
    """The JSON of a Binary with its data put back, unless they are too many; of anything else, the body as it is."""
    if "content" not in document:
        return body
    if document["content"]["size"] > MOST_DATA:
        return exchange.server.subsetter.tagged(body)
    data = await exchange.server.contents.give(document["content"])
    return body[:-1] + b',"data":"' + b64encode(data) + b'"}' if data else body


def note_trace(exchange: Exchange, found: Stored) -> None:
    """That somebody read a trace tells of its target: it is withheld from whom that trace is withheld from."""
    exchange.account.hidden_target = found.document.get("target")
    exchange.account.secret = exchange.account.secret or bool(found.document.get("secret"))


async def _trace(exchange: Exchange, found: Stored, facts: Facts, decision: Decision) -> bytes:
    """A trace with its sealed part where the reader may see that, less what is hidden from him."""
    event = bytes(found.body or b"")
    if not permits(sealed(decision), found.document):
        return event
    # of his own request nothing is left out: that would tell him what of it is there
    own = found.document.get("agent") == exchange.requester.key
    return unsealed(event, found.document["sealed"], frozenset() if own else await exchange.hidden(facts))

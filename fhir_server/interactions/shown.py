"""The bytes of what may be shown: stored bytes as they are, a Binary with its data, a trace as far as it is open."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Any

from fhir_server.audit.sealed import unsealed
from fhir_server.consent.decide import sealed
from fhir_server.store.reading import permits

if TYPE_CHECKING:
    from collections.abc import Mapping

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
    return await with_data(exchange, found.body, found.document)


async def with_data(exchange: Exchange, body: bytes, document: Mapping[str, Any]) -> bytes:
    """The JSON of a Binary with its data put back; of anything else, the body as it is."""
    if "content" not in document:
        return body
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

"""The CodeSystem, ValueSet or ConceptMap that a terminology operation is called on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fhir_server.fhir import json
from fhir_server.fhir.errors import Gone, NotFound
from fhir_server.interactions.messages import told
from fhir_server.interactions.read import hold

if TYPE_CHECKING:
    from fhir_server.fhir.json import JsonObject
    from fhir_server.operations.operation import Invocation
    from fhir_server.terminology.resources import CodeSystem, ConceptMap, ValueSet


async def instance(call: Invocation, type: str) -> JsonObject | ValueSet | CodeSystem | ConceptMap:
    """A stored one that is seen, or one of the server's own; what is hidden is answered as what is not there."""
    exchange, key = call.exchange, f"{type}/{call.id}"
    held, _, decision = await hold(exchange, type, call.id or "")
    found = held.read(decision.visible)
    own = exchange.server.terminology.by_id(type, call.id or "")
    if found is None and own is not None:
        return own
    if found is None:
        raise NotFound(told("unknown", key=key))
    if found.body is None:
        raise Gone(told("deleted", key=key))
    return json.decode_object(found.body)

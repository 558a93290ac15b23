"""FHIR delete: ``DELETE [base]/[type]/[id]``. Logical: hidden from all, its versions and its trace kept (R-51).

https://hl7.org/fhir/R4/http.html#delete
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fhir_server.consent.circumstances import Act
from fhir_server.fhir.errors import NotAllowed, NotFound
from fhir_server.interactions.answer import Answer
from fhir_server.interactions.create import READ_ONLY
from fhir_server.interactions.messages import told
from fhir_server.interactions.update import held_for_change, must_match
from fhir_server.interactions.withdrawing import must_be_his_to_delete, withdraw

if TYPE_CHECKING:
    from fhir_server.interactions.exchange import Exchange


async def delete(exchange: Exchange, type: str, id: str) -> Answer:
    """Withdraw a resource; 204, also when it was deleted before by somebody who could see it."""
    account = exchange.account
    account.type, account.target = type, f"{type}/{id}"
    if type == "AuditEvent":
        raise NotAllowed(told("traces-stay"), headers=READ_ONLY)
    if type == "Consent":
        raise NotAllowed(told("consents-stay"), headers=(("Allow", "GET, HEAD, PUT, PATCH"),))
    exchange.closed(type, Act.DELETE_OWN, "d")
    facts, old = await held_for_change(exchange, type, id)
    if old is None:
        raise NotFound(told("unknown", key=f"{type}/{id}"))
    must_match(exchange, old)
    if old.body is None:
        return Answer(204, version=old.version)
    await must_be_his_to_delete(exchange, facts, old)
    return await withdraw(exchange, old)

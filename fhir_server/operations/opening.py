"""Into which record an operation on a Patient may look, and the one answer for all others.

Unknown, hidden and not the requester's to govern are the same 404; of a professional who writes down a consent, the
same 422 (access: 403 or 404). What is closed to him whatever is stored is 403.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from fhir_server.consent.circumstances import Act
from fhir_server.fhir.errors import NotFound, Unprocessable
from fhir_server.fhir.outcome import IssueType
from fhir_server.interactions.prepare import must_be_open
from fhir_server.operations.messages import told
from fhir_server.record.closure import NOT_CLOSED
from fhir_server.store.reading import permits

if TYPE_CHECKING:
    from fhir_server.interactions.exchange import Exchange
    from fhir_server.operations.operation import Invocation
    from fhir_server.record.facts import Facts

NOT_WRITTEN: Final = told("not-written")
"""One sentence for an unknown record, one of another realm, and a block: none of them may be told apart."""


async def looked_up(invocation: Invocation) -> Facts:
    """The facts of the record of the URL; of one that is not there, those of a record nobody has."""
    exchange, id = invocation.exchange, invocation.id or ""
    facts = await exchange.facts_in_full(id)
    exchange.account.patient = f"Patient/{id}"
    exchange.account.record = facts.record
    exchange.account.sought = True
    return facts


async def governed(invocation: Invocation) -> Facts:
    """The facts of an open record whose Consents the requester writes."""
    exchange = invocation.exchange
    for letter in "cu":
        exchange.closed("Consent", Act.GOVERN, letter)
    return await _open(invocation, Act.GOVERN)


async def consulted(invocation: Invocation) -> Facts:
    """The facts of an open record whose Consents the requester reads."""
    invocation.exchange.closed("Consent", Act.CONSULT, "r")
    return await _open(invocation, Act.CONSULT)


async def collected(invocation: Invocation, letter: str) -> Facts:
    """The facts of an open record in which the requester may write down what the patient decided."""
    exchange = invocation.exchange
    exchange.closed("Consent", Act.COLLECT, letter)
    facts = await looked_up(invocation)
    if not shows(exchange, "Consent", Act.COLLECT, replace(facts, open=True, opposed=False, closure=NOT_CLOSED)):
        raise not_written()
    must_be_open(exchange, facts, "Parameters")
    return facts


async def traced(invocation: Invocation, act: Act) -> Facts:
    """The facts of a record about whose access the requester may ask."""
    invocation.exchange.closed("AuditEvent", act, "r")
    facts = await looked_up(invocation)
    if not facts.exists or not shows(invocation.exchange, "AuditEvent", act, facts):
        raise _not_known(invocation)
    return facts


def shows(exchange: Exchange, type: str, act: Act, facts: Facts) -> bool:
    """Whether the requester may do this act on what nothing particular is known of in this record."""
    decision = exchange.decide(type, act, facts)
    thing: dict[str, object] = {"rt": type, "realm": facts.realm, "record": facts.record, "labels": [], "named": []}
    return permits(decision.visible, thing)


def not_written() -> Unprocessable:
    """The refusal of a consent that somebody else than the patient's side writes down."""
    return Unprocessable(NOT_WRITTEN, expression=("Parameters",), code=IssueType.BUSINESS_RULE)


async def _open(invocation: Invocation, act: Act) -> Facts:
    exchange = invocation.exchange
    facts = await looked_up(invocation)
    permitted = shows(exchange, "Consent", act, facts)
    if shows(exchange, "Patient", Act.CONSULT, facts) and not exchange.is_conformance:
        must_be_open(exchange, facts, "Parameters")
    if not facts.exists or not permitted:
        raise _not_known(invocation)
    return facts


def _not_known(invocation: Invocation) -> NotFound:
    return NotFound(told("no-consents", key=f"Patient/{invocation.id}"))

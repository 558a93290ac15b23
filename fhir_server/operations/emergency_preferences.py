"""``$emergency-preferences``: ``GET`` and ``POST Patient/[id]/$emergency-preferences``.

docs/interactions/operations.md#emergency-preferences

What the patient chose for emergencies (R-41..R-43, R-29): as it holds, and changed where a choice is given. Each choice
is a Consent of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fhir_server.consent.circumstances import Act
from fhir_server.fhir import date, json
from fhir_server.fhir.errors import Forbidden
from fhir_server.identity.requester import Kind
from fhir_server.operations.consents import consent, performer, rewritten, seen, written
from fhir_server.operations.messages import told
from fhir_server.operations.opening import consulted, governed
from fhir_server.operations.operation import Operation, answer, parameter
from fhir_server.record.consents import Policy
from fhir_server.record.facts import EMERGENCY_DEFAULTS

if TYPE_CHECKING:
    from fhir_server.fhir.json import JsonObject
    from fhir_server.interactions.answer import Answer
    from fhir_server.interactions.exchange import Exchange
    from fhir_server.operations.operation import Invocation
    from fhir_server.record.facts import Facts


async def _perform(call: Invocation) -> Answer:
    exchange = call.exchange
    if call.given.nothing:
        return _told(await consulted(call))
    if exchange.requester.kind is Kind.PROFESSIONAL:
        raise Forbidden(told("chooses-not-for-the-patient"))
    facts = await governed(call)
    wanted = {name: choice for name in EMERGENCY_DEFAULTS if (choice := call.given.flag(name)) is not None}
    for name, choice in wanted.items():
        await _choose(exchange, facts, name, permit=choice)
    return _told(await exchange.facts_in_full(facts.record))


OPERATION: Final = Operation("emergency-preferences", "Patient", _perform, reads=True)


async def _choose(exchange: Exchange, facts: Facts, purpose: str, *, permit: bool) -> None:
    """Change the choice that was made, or make it; one that is as it should be stays untouched."""
    type = "permit" if permit else "deny"
    decision = exchange.decide("Consent", Act.CONSULT, facts)
    made = [one for one in facts.consents if one.policy is Policy.URGENCE and one.purpose == purpose and one.active]
    for fact in made:
        found = await seen(exchange, fact, decision)
        if found is None:
            continue
        if fact.permit is not permit:
            before = json.decode_object(found.body or b"{}")["provision"]
            provision: JsonObject = {**before, "type": type} if isinstance(before, dict) else {}
            at = date.instant(date.moment(exchange.now))
            chooser = performer(exchange, facts, collected=False)
            await rewritten(exchange, found, Act.GOVERN, dateTime=at, performer=[chooser], provision=provision)
        return
    await written(exchange, consent(exchange, facts, Policy.URGENCE, type=type, purpose=purpose), Act.GOVERN)


def _told(facts: Facts) -> Answer:
    return answer(*(parameter(name, "Boolean", facts.emergency[name]) for name in EMERGENCY_DEFAULTS))

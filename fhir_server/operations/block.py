"""``$block`` and ``$unblock``: ``POST Patient/[id]/$block``. docs/interactions/operations.md#block

The patient, his representative, or the médecin traitant for him, block a professional (R-10, R-13). What the patient's
side blocked, it alone lifts; nothing that was granted before revives (R-12).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fhir_server.consent.circumstances import Act
from fhir_server.fhir.errors import Unprocessable
from fhir_server.operations.actor import actor_of
from fhir_server.operations.consents import consent, of_actor, reference, rewritten, seen, shown, written
from fhir_server.operations.opening import governed
from fhir_server.operations.operation import Operation, answer
from fhir_server.record.consents import Policy

if TYPE_CHECKING:
    from fhir_server.interactions.answer import Answer
    from fhir_server.interactions.exchange import Exchange
    from fhir_server.operations.actor import Actor
    from fhir_server.operations.operation import Invocation
    from fhir_server.record.facts import Facts
    from fhir_server.store.reading import Stored


async def _block(call: Invocation) -> Answer:
    exchange, actor = call.exchange, actor_of(call.given, structures=False)
    facts = await governed(call)
    found = await _blocks(exchange, facts, actor)
    if found:
        return shown(found[0])
    try:
        return await written(exchange, consent(exchange, facts, Policy.BLOCAGE, type="deny", actor=actor), Act.GOVERN)
    except Unprocessable:
        # somebody else blocked him meanwhile: then it is as it should be
        found = await _blocks(exchange, await exchange.facts_in_full(facts.record), actor)
        if not found:
            raise
        return shown(found[0])


async def _unblock(call: Invocation) -> Answer:
    exchange, actor = call.exchange, actor_of(call.given, structures=False)
    facts = await governed(call)
    found = await _blocks(exchange, facts, actor)
    for one in found:
        await rewritten(exchange, one, Act.GOVERN, status="inactive")
    return answer(*(reference("consent", one.key) for one in found))


BLOCK: Final = Operation("block", "Patient", _block)
UNBLOCK: Final = Operation("unblock", "Patient", _unblock)


async def _blocks(exchange: Exchange, facts: Facts, actor: Actor) -> list[Stored]:
    decision = exchange.decide("Consent", Act.CONSULT, facts)
    wanted = of_actor(facts, {Policy.BLOCAGE}, actor, exchange.now)
    found = [await seen(exchange, fact, decision) for fact in wanted]
    return [one for one in found if one is not None]

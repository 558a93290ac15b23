"""``$revoke``: ``POST Patient/[id]/$revoke``. docs/interactions/operations.md#revoke

Every authorisation of the actor that is in force becomes inactive, and the roles named (R-01, L1111-19). A professional
withdraws his own (R-02).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fhir_server.consent.circumstances import Act
from fhir_server.fhir.errors import Forbidden
from fhir_server.identity.requester import Kind
from fhir_server.operations.actor import actor_of, is_himself
from fhir_server.operations.authorize import policy_of_role
from fhir_server.operations.consents import first_seen, grounds, of_actor, reference, rewritten
from fhir_server.operations.messages import told
from fhir_server.operations.opening import collected, governed
from fhir_server.operations.operation import Operation, answer, parameter
from fhir_server.record.consents import Policy
from fhir_server.record.facts import without

if TYPE_CHECKING:
    from fhir_server.fhir.json import JsonObject
    from fhir_server.interactions.answer import Answer
    from fhir_server.operations.actor import Actor
    from fhir_server.operations.operation import Invocation
    from fhir_server.record.facts import Facts


async def _perform(call: Invocation) -> Answer:
    exchange = call.exchange
    actor = actor_of(call.given, structures=True)
    roles = {policy_of_role(str(one.value), (one.where,)) for one in call.given.all("role")}
    own = exchange.requester.kind is Kind.PROFESSIONAL
    if own and not is_himself(exchange.requester, actor):
        raise Forbidden(told("withdraws-his-own"))
    facts = await (collected(call, "u") if own else governed(call))
    act = Act.COLLECT if own else Act.GOVERN
    by = grounds(exchange, facts, act)
    changed: list[JsonObject] = []
    for fact in of_actor(facts, {Policy.AUTORISATION, *roles}, actor, exchange.now, proposed=True):
        found = await first_seen(exchange, fact, by)
        if found is not None:
            await rewritten(exchange, found, act, status="rejected" if fact.proposed and not own else "inactive")
            changed.append(reference("consent", found.key))
    if own:
        return answer(*changed)
    now = await exchange.facts_in_full(facts.record)
    remaining = _remaining(without(now, await exchange.hidden(now)), actor, exchange.now)
    return answer(*changed, *(parameter("remaining", "Code", ground) for ground in remaining))


OPERATION: Final = Operation("revoke", "Patient", _perform)


def _remaining(facts: Facts, actor: Actor, now: int) -> list[str]:
    """What still gives this actor access, so that nobody believes him gone who is not."""
    roles = (Policy.MEDECIN_TRAITANT, Policy.ADMINISTRATEUR)
    found = [str(role) for role in roles if of_actor(facts, {role}, actor, now)]
    if any(team.covers({actor.key}, now) for team in facts.teams):
        found.append(str(Policy.EQUIPE))
    return found

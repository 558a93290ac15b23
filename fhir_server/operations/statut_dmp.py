"""``$statut-dmp``: ``Patient/[id]/$statut-dmp`` and ``Patient/$statut-dmp?identifier=system|value`` (TD0.2).

docs/interactions/operations.md#statut-dmp

Whether a record exists and is open, and how the requester stands to it: never a trait of the patient, never an id that
was not given. What is unknown, of another realm or closed to the token is `INEXISTANT`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fhir_server.audit.access import Identifier
from fhir_server.consent.authorisation_state import AuthorisationState, is_medecin_traitant, state_of
from fhir_server.consent.circumstances import Act
from fhir_server.fhir.errors import Invalid
from fhir_server.fhir.outcome import IssueType
from fhir_server.identity.requester import Kind
from fhir_server.operations.messages import told
from fhir_server.operations.opening import looked_up, shows
from fhir_server.operations.operation import Operation, answer, parameter
from fhir_server.record.actors import INS, actor_key
from fhir_server.record.facts import NO_RECORD, Facts, Life

if TYPE_CHECKING:
    from fhir_server.interactions.answer import Answer
    from fhir_server.operations.operation import Invocation

_NOT_THERE: Final = frozenset({Life.NONE, Life.ERASED, Life.OPPOSED})
"""Of somebody who opposes it there is no record; what is being erased is gone for everybody else."""
_NONE: Final = "INEXISTANT"
_LONGEST: Final = 200


async def _perform(call: Invocation) -> Answer:
    exchange = call.exchange
    exchange.closed("Patient", Act.STATUS, "r")
    facts = await (_named(call) if call.id is None else looked_up(call))
    if not facts.exists or not shows(exchange, "Patient", Act.STATUS, facts):
        exchange.account.record = facts.record
        facts = NO_RECORD
    status = _status(facts, exchange.now)
    found = [parameter("statut", "Code", status)]
    majority = exchange.server.law.majority
    state = state_of(exchange.requester, facts, exchange.now, majority)
    if state is not None:
        held = state if status != _NONE else AuthorisationState.NON_EXISTE
        found.append(parameter("autorisation", "Code", str(held)))
    if exchange.requester.kind is Kind.PROFESSIONAL:
        named = is_medecin_traitant(exchange.requester, facts, exchange.now, majority)
        found.append(parameter("medecin-traitant", "Boolean", named and status != _NONE))
    return answer(*found)


OPERATION: Final = Operation("statut-dmp", "Patient", _perform)


async def _named(call: Invocation) -> Facts:
    """The facts of the record of an INS in the requester's realm; of several in trials, the first."""
    exchange = call.exchange
    text = call.given.text("identifier")
    if text is None:
        raise Invalid(told("name-the-patient"), code=IssueType.REQUIRED)
    system, bar, value = text.partition("|")
    if system not in INS or not bar or not value or len(text) > _LONGEST:
        raise Invalid(
            told("named-by-ins", systems=", ".join(sorted(INS))),
            expression=call.given.where("identifier"),
            code=IssueType.VALUE,
        )
    exchange.account.patient = Identifier(system, value)
    found = await exchange.server.reading.facts_of_person(actor_key(system, value), exchange.requester.realm.value)
    exchange.account.record, exchange.account.sought = found.record, True
    return await exchange.facts_in_full(found.record)  # of no record too, for that must cost what another costs


def _status(facts: Facts, now: int) -> str:
    life = facts.life(now)
    if life in _NOT_THERE:
        return _NONE
    return "ACTIF" if life is Life.OPEN else "FERME"

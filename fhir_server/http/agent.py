"""The requester as the trail names him."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from fhir_server.audit.access import Agent, Identifier
from fhir_server.audit.coding import Coding
from fhir_server.record.actors import FINESS, RPPS

if TYPE_CHECKING:
    from fhir_server.identity.requester import Requester

_ACT_REASON: Final = "http://terminology.hl7.org/CodeSystem/v3-ActReason"


@lru_cache(maxsize=4096)
def agent_of(requester: Requester) -> Agent:
    """One value a token, so that its part of the event is built once."""
    return Agent(
        key=requester.key,
        identifier=_identifier(requester),
        name=requester.name,
        login=requester.subject,
        roles=tuple(Coding(role.system, role.code, role.display) for role in requester.roles),
        purpose=Coding(_ACT_REASON, requester.purpose.value),
        reason=requester.reason,
        token=requester.token_id,
        organisation=Identifier(requester.organisation_system or FINESS, requester.organisation)
        if requester.organisation
        else None,
    )


def _identifier(requester: Requester) -> Identifier | None:
    if requester.rpps:
        return Identifier(RPPS, requester.rpps)
    for person in (requester.actor, requester.person):
        if person is not None:
            return Identifier(person.system, person.value)
    if requester.organisation:
        return Identifier(requester.organisation_system or FINESS, requester.organisation)
    return None

"""How one actor stands to a record, as the DMP says it (R-01, TD0.2): NON_EXISTE, VALIDE, EXPIRE, INTERDIT.

Pure look-ups over the facts. They tell; they decide nothing: the rules do.
"""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING

from fhir_server.consent.circumstances import Standing, organisation_key, professional_key, standings_of
from fhir_server.fhir import date
from fhir_server.identity.requester import Kind, Purpose
from fhir_server.record.consents import Policy

if TYPE_CHECKING:
    from fhir_server.identity.requester import Requester
    from fhir_server.record.consents import ConsentFact
    from fhir_server.record.facts import Facts

OPENING = frozenset({Policy.AUTORISATION, Policy.MEDECIN_TRAITANT, Policy.ADMINISTRATEUR})
"""The Consents by which an actor may consult."""
_CONSULTS = frozenset({Standing.PROFESSIONAL_AUTHORISED, Standing.TEAM_MEMBER, Standing.MEDECIN_TRAITANT})


class AuthorisationState(StrEnum):
    """https://esante.gouv.fr: the states of an authorisation in the DMP."""

    NON_EXISTE = "NON_EXISTE"
    VALIDE = "VALIDE"
    EXPIRE = "EXPIRE"
    INTERDIT = "INTERDIT"


def state_of(requester: Requester, facts: Facts, now: int, majority: int) -> AuthorisationState | None:
    """The authorisation of the one who asks; nothing for whom the DMP knows no such state."""
    if requester.kind not in (Kind.PROFESSIONAL, Kind.ORGANISATION):
        return None
    person = professional_key(requester)
    if person in facts.blocked:
        return AuthorisationState.INTERDIT
    # in an emergency mode too, the answer is about the authorisation, which that mode does without
    ordinary = replace(requester, purpose=Purpose.TREAT)
    if standings_of(ordinary, facts, now, majority=majority) & _CONSULTS:
        return AuthorisationState.VALIDE
    actors = {key for key in (person, organisation_key(requester)) if key is not None}
    states = {
        state_of_grant(consent, facts, now)
        for consent in facts.consents
        if consent.policy in OPENING and consent.active and consent.actor in actors
    }
    if requester.kind is Kind.ORGANISATION and AuthorisationState.VALIDE in states:
        return AuthorisationState.VALIDE
    expired = AuthorisationState.EXPIRE in states
    return AuthorisationState.EXPIRE if expired else AuthorisationState.NON_EXISTE


def is_medecin_traitant(requester: Requester, facts: Facts, now: int, majority: int) -> bool:
    """Whether the requester is médecin traitant of this record, or administers it with the same rights (R-24)."""
    return Standing.MEDECIN_TRAITANT in standings_of(requester, facts, now, majority=majority)


def state_of_grant(consent: ConsentFact, facts: Facts, now: int) -> AuthorisationState:
    """The state of an active Consent that names an actor.

    Its period, a block of the actor, and a block lifted since it was given (R-10, R-12) decide.
    """
    if consent.actor in facts.blocked:
        return AuthorisationState.INTERDIT
    if consent.end <= now or consent.granted <= facts.unblocked.get(consent.actor or "", date.MIN):
        return AuthorisationState.EXPIRE
    return AuthorisationState.VALIDE if consent.start <= now else AuthorisationState.NON_EXISTE

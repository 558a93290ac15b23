"""Who has access to a record, since when, until when and why (L1111-19), told from the facts alone.

Pure. One entry for each ground of each actor: somebody authorised twice is listed twice, somebody blocked is listed as
such and keeps his other entries, which tell that they do not count.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from fhir_server.consent.authorisation_state import AuthorisationState, state_of_grant
from fhir_server.fhir import date
from fhir_server.record.consents import Policy

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from fhir_server.record.consents import ConsentFact
    from fhir_server.record.facts import Facts


class Ground(StrEnum):
    """On what an access rests, or that it is forbidden."""

    AUTORISATION = "autorisation"
    STRUCTURE = "structure"
    EQUIPE = "equipe"
    MEDECIN_TRAITANT = "medecin-traitant"
    ADMINISTRATEUR = "administrateur"
    PHARMACIEN_CORRESPONDANT = "pharmacien-correspondant"
    SAGE_FEMME_REFERENTE = "sage-femme-referente"
    AIDANT = "aidant"
    REPRESENTANT = "representant"
    BLOCAGE = "blocage"


REASONS: Final[Mapping[Ground, tuple[str, str]]] = {
    Ground.AUTORISATION: (
        "Vous avez autorisé ce professionnel à consulter le dossier.",
        "The patient authorised this professional to consult the record.",
    ),
    Ground.STRUCTURE: (
        "Vous avez autorisé cette structure : ses professionnels peuvent consulter le dossier.",
        "The patient authorised this structure: its professionals may consult the record.",
    ),
    Ground.EQUIPE: (
        "Il fait partie d'une équipe de soins dont vous avez été informé et à laquelle vous ne vous êtes pas opposé.",
        "He is a member of a care team of which the patient was informed and which the patient did not oppose.",
    ),
    Ground.MEDECIN_TRAITANT: (
        "C'est votre médecin traitant : il consulte tout, y compris ce qui est masqué, et peut démasquer et bloquer.",
        "The médecin traitant: consults everything, masked documents too, and may unmask and block.",
    ),
    Ground.ADMINISTRATEUR: (
        "Vous l'avez nommé administrateur du dossier : il a les mêmes droits qu'un médecin traitant.",
        "The patient named this professional to administer the record, with the rights of a médecin traitant.",
    ),
    Ground.PHARMACIEN_CORRESPONDANT: (
        "Vous l'avez désigné pharmacien correspondant ; cela ne lui donne aucun accès à lui seul.",
        "Named as pharmacien correspondant, which by itself gives no access.",
    ),
    Ground.SAGE_FEMME_REFERENTE: (
        "Vous l'avez désignée sage-femme référente ; cela ne lui donne aucun accès à lui seul.",
        "Named as sage-femme référente, which by itself gives no access.",
    ),
    Ground.AIDANT: (
        "Vous lui avez délégué l'accès à votre espace en tant qu'aidant.",
        "The patient delegated access to this carer.",
    ),
    Ground.REPRESENTANT: (
        "C'est le représentant légal du titulaire du dossier.",
        "The legal representative of the holder of the record.",
    ),
    Ground.BLOCAGE: (
        "Vous l'avez bloqué : il ne consulte rien, sauf urgence à laquelle vous ne vous êtes pas opposé.",
        "Blocked: consults nothing, but for an emergency that the patient did not oppose.",
    ),
}
"""Each in French, to the patient, and in English."""

_GROUNDS: Final[Mapping[Policy, Ground]] = {
    Policy.AUTORISATION: Ground.AUTORISATION,
    Policy.MEDECIN_TRAITANT: Ground.MEDECIN_TRAITANT,
    Policy.ADMINISTRATEUR: Ground.ADMINISTRATEUR,
    Policy.PHARMACIEN_CORRESPONDANT: Ground.PHARMACIEN_CORRESPONDANT,
    Policy.SAGE_FEMME_REFERENTE: Ground.SAGE_FEMME_REFERENTE,
    Policy.AIDANT: Ground.AIDANT,
    Policy.BLOCAGE: Ground.BLOCAGE,
}


@dataclass(frozen=True, slots=True)
class Access:
    """One ground of one actor."""

    actor: str
    """A key of `record.actors`."""
    ground: Ground
    state: AuthorisationState
    since: int | None
    until: int | None
    source: str | None
    """``Type/id`` of what it rests on."""


def access_list(facts: Facts, now: int, hidden: Collection[str] = ()) -> list[Access]:
    """Every ground there is, the valid first; without those that rest on what is ``hidden`` from the reader."""
    found = [*_by_consents(facts, now), *_by_teams(facts, now), *_by_representation(facts, now)]
    shown = [one for one in found if one.source not in hidden]
    order = list(AuthorisationState)
    valid_first = (AuthorisationState.VALIDE, AuthorisationState.INTERDIT)
    return sorted(
        shown,
        key=lambda one: (
            valid_first.index(one.state) if one.state in valid_first else len(valid_first) + order.index(one.state),
            one.actor,
            one.ground,
            one.source or "",
        ),
    )


def _by_consents(facts: Facts, now: int) -> Iterator[Access]:
    for consent in facts.consents:
        ground = _GROUNDS.get(consent.policy)
        if ground is None or not consent.active or consent.actor is None:
            continue
        if ground is Ground.AUTORISATION and consent.actor.startswith("finess|"):
            ground = Ground.STRUCTURE
        since = consent.start if consent.start != date.MIN else consent.granted
        until = consent.end if consent.end != date.MAX else None
        state = AuthorisationState.INTERDIT if ground is Ground.BLOCAGE else _state(consent, facts, now)
        yield Access(consent.actor, ground, state, since, until, f"Consent/{consent.id}")


def _state(consent: ConsentFact, facts: Facts, now: int) -> AuthorisationState:
    return state_of_grant(consent, facts, now)


def _by_teams(facts: Facts, now: int) -> Iterator[Access]:
    """The members of the teams that give access, each within the team's time and his own."""
    for team in facts.teams:
        if team.since == date.MAX:
            continue  # the patient was told of nothing yet
        for member in team.members:
            since, until = max(team.start, team.since, member.start), min(team.end, member.end)
            lifted = facts.unblocked.get(member.actor, date.MIN)
            if member.actor in facts.blocked:
                state = AuthorisationState.INTERDIT
            elif until <= now or team.since <= lifted:
                state = AuthorisationState.EXPIRE
            else:
                state = AuthorisationState.VALIDE if since <= now else AuthorisationState.NON_EXISTE
            yield Access(
                member.actor,
                Ground.EQUIPE,
                state,
                since if since != date.MIN else None,
                until if until != date.MAX else None,
                team.key,
            )


def _by_representation(facts: Facts, now: int) -> Iterator[Access]:
    for guardian in facts.guardians:
        begun, over = guardian.start <= now, guardian.end <= now
        state = AuthorisationState.EXPIRE if over else AuthorisationState.VALIDE
        yield Access(
            guardian.person,
            Ground.REPRESENTANT,
            state if begun or over else AuthorisationState.NON_EXISTE,
            guardian.start if guardian.start != date.MIN else None,
            guardian.end if guardian.end != date.MAX else None,
            None,
        )

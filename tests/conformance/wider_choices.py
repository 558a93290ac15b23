"""The Consents beyond contract.md: teams, carers, administrators, choices about the whole record (docs/consent)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tests.conformance.choices import IRCP, actor, consent, day
from tests.conformance.own_record import INS_NIR_TEST, NUMBERS, R260, RPPS

if TYPE_CHECKING:
    from tests.conformance.own_record import OwnRecord

AIDANT: Final = "168077505600306"
"""INS of the carer among the actors."""
INFORMED: Final = "https://fhir.dmp-ens.example/StructureDefinition/equipe-information"
CAREGIVER: Final = {"system": R260, "code": "CAREGIVER"}


def administrator(record: OwnRecord, who: str, **provision: Any) -> dict[str, Any]:
    """Name a professional who administers the record with the patient."""
    told = {"type": "permit", "actor": [actor(who)], "period": {"start": day(-10)}}
    return consent(record, "administrateur", told | provision)


def mark(record: OwnRecord, policy: str, who: str) -> dict[str, Any]:
    """Name the pharmacien correspondant or the sage-femme référente."""
    return consent(record, policy, {"type": "permit", "actor": [actor(who)]})


def team_choice(record: OwnRecord, team: str, type: str) -> dict[str, Any]:
    """Authorise a care team, or oppose it."""
    named = {"role": {"coding": [IRCP]}, "reference": {"reference": f"CareTeam/{team}"}}
    return consent(record, "equipe", {"type": type, "actor": [named]})


def invitation(record: OwnRecord, ins: str = AIDANT, **provision: Any) -> dict[str, Any]:
    """Invite a carer for a month."""
    named = {"role": {"coding": [CAREGIVER]}, "reference": {"identifier": {"system": INS_NIR_TEST, "value": ins}}}
    told = {"type": "permit", "actor": [named], "period": {"end": day(30)}}
    return consent(record, "aidant", told | provision) | {"status": "proposed"}


def choice(record: OwnRecord, policy: str) -> dict[str, Any]:
    """A choice about the whole record: masquage-defaut, masquage-historique, opposition."""
    return consent(record, policy, {"type": "deny"})


def care_team(record: OwnRecord, *members: str, informed: str | None = None, **told: Any) -> dict[str, Any]:
    """A care team of professionals of the demonstration."""
    team: dict[str, Any] = {
        "resourceType": "CareTeam",
        "status": "active",
        "subject": {"reference": f"Patient/{record.id}"},
        "participant": [{"member": {"identifier": {"system": RPPS, "value": NUMBERS[who]}}} for who in members],
    }
    if informed is not None:
        team["extension"] = [{"url": INFORMED, "valueDateTime": informed}]
    return team | told

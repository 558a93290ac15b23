"""The Consents of contract.md, written out as its table has them, independently of the code that reads them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

from tests.conformance.own_record import FINESS, NUMBERS, RPPS

if TYPE_CHECKING:
    from tests.conformance.own_record import OwnRecord

PARIS: Final = ZoneInfo("Europe/Paris")
P: Final = "https://fhir.dmp-ens.example/policy/"
IRCP: Final = {"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": "IRCP"}
PCP: Final = {"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationFunction", "code": "PCP"}
ACT_REASON: Final = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
CHOIX_URGENCE: Final = "https://fhir.dmp-ens.example/CodeSystem/choix-urgence"
EMERGENCY: Final = {
    "ETREAT": {"system": ACT_REASON, "code": "ETREAT"},
    "BTG": {"system": ACT_REASON, "code": "BTG"},
    "MASKED": {"system": CHOIX_URGENCE, "code": "MASKED"},
}


def consent(record: OwnRecord, policy: str, provision: dict[str, Any], by: str = "patient") -> dict[str, Any]:
    """What all Consents have in common."""
    scope = {"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}
    return {
        "resourceType": "Consent",
        "status": "active",
        "scope": {"coding": [scope]},
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
        "patient": {"reference": f"Patient/{record.id}"},
        "dateTime": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "performer": [record.performer(by)],
        "policy": [{"uri": P + policy}],
        "provision": provision,
    }


def authorisation(record: OwnRecord, who: str, by: str = "patient", **provision: Any) -> dict[str, Any]:
    """Authorise a professional (by name or RPPS) or a structure (by FINESS, nine digits)."""
    told = {
        "type": "permit",
        "period": {"start": day(-10)},
        "actor": [actor(who)],
        "purpose": [{"system": ACT_REASON, "code": "TREAT"}],
    }
    return consent(record, "autorisation", told | provision, by)


def block(record: OwnRecord, who: str, by: str = "patient", **provision: Any) -> dict[str, Any]:
    """Block a professional."""
    return consent(record, "blocage", {"type": "deny", "actor": [actor(who)], **provision}, by)


def emergency_choice(
    record: OwnRecord, purpose: str, type: str, by: str = "patient", **provision: Any
) -> dict[str, Any]:
    """Permit or oppose an emergency purpose."""
    return consent(record, "urgence", {"type": type, "purpose": [EMERGENCY[purpose]], **provision}, by)


def medecin_traitant(record: OwnRecord, who: str, by: str = "patient", **provision: Any) -> dict[str, Any]:
    """Name the médecin traitant."""
    return consent(record, "medecin-traitant", {"type": "permit", "actor": [actor(who, PCP)], **provision}, by)


def actor(who: str, role: dict[str, str] = IRCP) -> dict[str, Any]:
    """An actor by identifier: the name of a professional of the demonstration, an RPPS, or a FINESS."""
    value = NUMBERS.get(who, who)
    system = RPPS if len(value) == 11 else FINESS
    return {"role": {"coding": [role]}, "reference": {"identifier": {"system": system, "value": value}}}


def day(days: int) -> str:
    """The date that many days from today in the server's zone: late in the evening in UTC it is tomorrow there."""
    return f"{datetime.now(PARIS) + timedelta(days=days):%Y-%m-%d}"

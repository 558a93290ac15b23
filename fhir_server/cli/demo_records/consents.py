"""What the patients of the demonstration decided.

demo-1 authorised a specialist and a nurse, authorised then blocked a doctor, and named a médecin traitant; the
representative of demo-3 named the same one; demo-4 opposes both kinds of emergency access; demo-2 decided nothing.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from fhir_server.cli.demo_records.people import PEOPLE, PROFESSIONALS, REPRESENTATIVE
from fhir_server.cli.demo_records.record import DemoRecord, at, concept
from fhir_server.record.actors import RPPS
from fhir_server.record.consents import (
    ACT_REASON,
    CONSENT_SCOPE,
    LOINC,
    PARTICIPATION_FUNCTION,
    PARTICIPATION_TYPE,
    POLICY,
    Policy,
)

if TYPE_CHECKING:
    from datetime import datetime

    from fhir_server.cli.demo_records.people import Person, Professional
    from fhir_server.fhir.json import JsonObject

_GIVEN: Final = timedelta(days=90)
"""How long ago the choices were made."""
_BLOCKED: Final = timedelta(days=30)


def consents(now: datetime) -> list[DemoRecord]:
    """Every choice, by the hand of the patient or the representative."""
    given = now - _GIVEN
    helene, lucie, jean = PEOPLE["demo-1"], PEOPLE["demo-3"], PEOPLE["demo-4"]
    family_doctor, blocked = PROFESSIONALS["medecin-traitant"], PROFESSIONALS["bloque"]
    return [
        _record("demo-1-medecin-traitant", helene, Policy.MEDECIN_TRAITANT, given, _names(family_doctor, "PCP")),
        *(_authorisation(helene, PROFESSIONALS[name], given) for name in ("specialiste", "infirmier", "bloque")),
        _record("demo-1-blocage-bloque", helene, Policy.BLOCAGE, now - _BLOCKED, _names(blocked, "IRCP", type="deny")),
        _record(
            "demo-3-medecin-traitant",
            lucie,
            Policy.MEDECIN_TRAITANT,
            given,
            _names(family_doctor, "PCP"),
            performer=f"RelatedPerson/{REPRESENTATIVE}",
            by=helene,
        ),
        *(_opposition(jean, purpose, display, given) for purpose, display in _EMERGENCIES),
    ]


_EMERGENCIES: Final = (("ETREAT", "Emergency Treatment"), ("BTG", "break the glass"))


def _authorisation(patient: Person, professional: Professional, given: datetime) -> DemoRecord:
    """For a year from the day it was given (R-03)."""
    provision = _names(professional, "IRCP") | {
        "period": {"start": at(given), "end": at(given + timedelta(days=365))},
        "purpose": [{"system": ACT_REASON, "code": "TREAT", "display": "treatment"}],
    }
    return _record(f"{patient.id}-autorisation-{professional.id}", patient, Policy.AUTORISATION, given, provision)


def _opposition(patient: Person, purpose: str, display: str, given: datetime) -> DemoRecord:
    """An emergency of this kind opens nothing (R-41, R-42)."""
    provision: JsonObject = {
        "type": "deny",
        "purpose": [{"system": ACT_REASON, "code": purpose, "display": display}],
    }
    return _record(f"{patient.id}-urgence-{purpose.lower()}", patient, Policy.URGENCE, given, provision)


def _names(professional: Professional, role: str, *, type: str = "permit") -> JsonObject:
    system = PARTICIPATION_FUNCTION if role == "PCP" else PARTICIPATION_TYPE
    display = "primary care physician" if role == "PCP" else "information recipient"
    return {
        "type": type,
        "actor": [
            {
                "role": concept(system, role, display),
                "reference": {
                    "type": "Practitioner",
                    "identifier": {"system": RPPS, "value": professional.rpps},
                    "display": f"{professional.given} {professional.family}",
                },
            }
        ],
    }


def _record(
    id: str,
    patient: Person,
    policy: Policy,
    given: datetime,
    provision: JsonObject,
    *,
    performer: str | None = None,
    by: Person | None = None,
) -> DemoRecord:
    subject = f"Patient/{patient.id}"
    resource: JsonObject = {
        "resourceType": "Consent",
        "id": id,
        "status": "active",
        "scope": concept(CONSENT_SCOPE, "patient-privacy", "Privacy Consent"),
        "category": [concept(LOINC, "59284-0", "Attestation de consentement")],
        "patient": {"reference": subject},
        "dateTime": at(given),
        "performer": [{"reference": performer or subject}],
        "policy": [{"uri": POLICY + policy}],
        "provision": provision,
    }
    return DemoRecord(resource, deposit_by=(by or patient).key)

"""The records that are measured: made up, and the same every time but for the routing buckets of their ids.

Each record has a Patient, three Consents and 30 documents of about 3 kB, shaped as PDSm asks
(``pdsm-comprehensive-document-reference``): author and patient contained, custodian, formats, context.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from fhir_server.cli.demo_records.documents import CLASSES, CONFIDENTIALITY, FORMATS, LOINC, PROFILE, SECTORS, SETTINGS
from fhir_server.cli.demo_records.people import HOSPITAL, PRACTICE, PROFESSIONALS, practitioner
from fhir_server.cli.demo_records.record import FR_CORE, at, concept, identifier
from fhir_server.record.actors import INS_NIR_TEST, RPPS
from fhir_server.record.consents import (
    ACT_REASON,
    CONSENT_SCOPE,
    PARTICIPATION_FUNCTION,
    PARTICIPATION_TYPE,
    POLICY,
    Policy,
)

if TYPE_CHECKING:
    from fhir_server.cli.demo_records.people import Professional
    from fhir_server.fhir.json import JsonObject

DOCUMENTS: Final = 30
"""In each record."""
READER: Final = PROFESSIONALS["specialiste"]
"""Whom every patient authorised."""
UNIQUE: Final = "000000000000"
"""Where the load driver writes a number of its own, so that no two documents it creates have equal identifiers."""

_MEDECIN_TRAITANT: Final = PROFESSIONALS["medecin-traitant"]
_BLOCKED: Final = PROFESSIONALS["bloque"]
_NOW: Final = datetime(2026, 1, 1, 8, tzinfo=UTC)
_KINDS: Final = (
    ("34112-3", "CR hospitalier (séjour)", "10", "Compte rendu"),
    ("11488-4", "CR ou fiche de consultation ou de visite", "10", "Compte rendu"),
    ("11502-2", "CR d'examens biologiques", "10", "Compte rendu"),
    ("60591-5", "Synthèse médicale", "11", "Synthèse"),
    ("18748-4", "CR d'imagerie médicale", "31", "Imagerie médicale"),
    ("57833-6", "Prescription de produits de santé", "42", "Prescription"),
)
_FAMILIES: Final = ("Martin", "Bernard", "Le Goff", "Durand", "D'Almeida", "Lefèvre", "Garnier", "Nguyen", "Besançon")
_GIVEN: Final = ("Hélène", "Marc", "Lucie", "Jean", "Odette", "Karim", "Inès", "Paul", "Sophie", "Louis", "Anne")


@dataclass(frozen=True, slots=True)
class Person:
    """The holder of a record, by his number."""

    number: int

    @property
    def id(self) -> str:
        """The id of the Patient."""
        return stable(f"patient {self.number}")[:32]

    @property
    def ins(self) -> str:
        """A test INS with its key."""
        body = 1_700_175_000_000 + self.number
        return f"{body}{97 - body % 97:02d}"

    def identity(self) -> JsonObject:
        """The traits, for the Patient and for the patient contained in a document."""
        family = f"{_FAMILIES[self.number % len(_FAMILIES)]}-{self.number:05d}"
        given = _GIVEN[self.number % len(_GIVEN)]
        return {
            "identifier": [identifier("INS-NIR-TEST", INS_NIR_TEST, self.ins)],
            "name": [{"use": "official", "family": family, "given": [given]}],
            "gender": "female" if self.number % 2 else "male",
            "birthDate": f"{1935 + self.number % 80}-{1 + self.number % 12:02d}-{1 + self.number % 28:02d}",
        }


def stable(name: str) -> str:
    """64 hexadecimal digits that look random and are the same every time."""
    return hashlib.sha256(name.encode()).hexdigest()


def patient(person: Person) -> JsonObject:
    """The Patient."""
    return {
        "resourceType": "Patient",
        "id": person.id,
        "meta": {"profile": [f"{FR_CORE}StructureDefinition/fr-core-patient-ins"]},
        "active": True,
        **person.identity(),
    }


def consents(person: Person) -> list[JsonObject]:
    """An authorisation of the reader, a médecin traitant and a block: what a record in use holds."""
    authorisation: JsonObject = {
        **_provision(READER, "permit", PARTICIPATION_TYPE, "IRCP"),
        "period": {"start": at(_NOW), "end": at(_NOW + timedelta(days=3650))},
        "purpose": [{"system": ACT_REASON, "code": "TREAT"}],
    }
    return [
        _consent(person, Policy.AUTORISATION, authorisation),
        _consent(
            person,
            Policy.MEDECIN_TRAITANT,
            _provision(_MEDECIN_TRAITANT, "permit", PARTICIPATION_FUNCTION, "PCP"),
        ),
        _consent(person, Policy.BLOCAGE, _provision(_BLOCKED, "deny", PARTICIPATION_TYPE, "IRCP")),
    ]


def _consent(person: Person, policy: Policy, provision: JsonObject) -> JsonObject:
    subject: JsonObject = {"reference": f"Patient/{person.id}"}
    return {
        "resourceType": "Consent",
        "id": stable(f"consent {policy} {person.number}")[:32],
        "status": "active",
        "scope": concept(CONSENT_SCOPE, "patient-privacy", "Privacy Consent"),
        "category": [concept(LOINC, "59284-0", "Attestation de consentement")],
        "patient": subject,
        "dateTime": at(_NOW),
        "performer": [subject],
        "policy": [{"uri": POLICY + policy}],
        "provision": provision,
    }


def _provision(professional: Professional, type: str, system: str, role: str) -> JsonObject:
    reference: JsonObject = {"type": "Practitioner", "identifier": {"system": RPPS, "value": professional.rpps}}
    return {"type": type, "actor": [{"role": concept(system, role, role), "reference": reference}]}


def document(person: Person, number: int, *, name: str | None = None) -> JsonObject:
    """One document of a record; ``name`` is what its identifiers are made of, in place of its number."""
    code, display, class_code, class_display = _KINDS[(person.number + number) % len(_KINDS)]
    written = _NOW - timedelta(days=11 * number + person.number % 11, minutes=person.number % 600)
    unique = name or f"{person.number:06d}{number:06d}"
    place = (HOSPITAL, PRACTICE)[number % 2]
    key = stable(f"{person.number} {number}")
    return {
        "resourceType": "DocumentReference",
        "meta": {"profile": [PROFILE]},
        "contained": [
            practitioner(_MEDECIN_TRAITANT if number % 3 else READER, contained_as="auteur"),
            {"resourceType": "Patient", "id": "patient", **person.identity()},
        ],
        "masterIdentifier": {
            "use": "usual",
            "system": "urn:ietf:rfc:3986",
            "value": f"urn:uuid:{key[:8]}-{key[8:12]}-4{key[12:15]}-8{key[15:18]}-{unique}",
        },
        "identifier": [
            {
                "use": "official",
                "system": "urn:ietf:rfc:3986",
                "value": f"urn:uuid:{key[18:26]}-{key[26:30]}-4{key[30:33]}-9{key[33:36]}-{unique}",
            }
        ],
        "status": "current",
        "type": concept(LOINC, code, display),
        "category": [concept(CLASSES, class_code, class_display)],
        "subject": {"reference": f"Patient/{person.id}"},
        "date": at(written + timedelta(hours=1)),
        "author": [{"reference": "#auteur"}],
        "custodian": {"reference": f"Organization/{place.id}", "display": place.name},
        "description": f"{display}, n° {unique}. {_REMARKS[number % len(_REMARKS)]}",
        "securityLabel": [concept(CONFIDENTIALITY, "N", "Normal")],
        "content": [
            {
                "attachment": {
                    "contentType": "application/pdf",
                    "language": "fr-FR",
                    "url": f"https://documents.example/{key}.pdf",
                    "size": 180_000 + number,
                    "hash": "0123456789abcdefghijklmnopQ=",
                    "title": display,
                    "creation": at(written),
                },
                "format": {
                    "system": FORMATS,
                    "code": "urn:ihe:iti:xds-sd:pdf:2008",
                    "display": "Document à corps non structuré en Pdf/A-1",
                },
            }
        ],
        "context": {
            "event": [{"text": "Prise en charge"}],
            "period": {"start": at(written - timedelta(hours=2)), "end": at(written)},
            "facilityType": concept(SECTORS, *place.sector),
            "practiceSetting": concept(SETTINGS, *place.setting),
            "sourcePatientInfo": {"reference": "#patient"},
        },
    }


_REMARKS: Final = (
    "Suites simples, retour à domicile, contrôle prévu dans trois mois avec le médecin traitant.",
    "Pas d'anomalie visible. À confronter à la clinique et aux examens antérieurs.",
    "Traitement poursuivi sans modification, bonne tolérance, prochain bilan dans six mois.",
)

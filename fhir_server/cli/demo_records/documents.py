"""The documents of the demonstration: a fiche and a PDF each, as ``pdsm-comprehensive-document-reference`` asks.

Author and patient are contained, the custodian is a structure, size and hash are those of the PDF. Professionals whom a
record does not authorise wrote nothing in it, so that no one reads a document merely as its author.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from fhir_server.cli.demo_records.pdf import pdf
from fhir_server.cli.demo_records.people import (
    HOSPITAL,
    HOSPITAL_DOCTOR,
    PEOPLE,
    PRACTICE,
    PROFESSIONALS,
    ins_identifier,
    official_name,
    practitioner,
)
from fhir_server.cli.demo_records.record import DemoRecord, at, concept, nos, uuid
from fhir_server.record.labels import INVISIBLE_PATIENT, INVISIBLE_REPRESENTANTS_LEGAUX, MASQUE_PS, TRE_A07

if TYPE_CHECKING:
    from datetime import datetime

    from fhir_server.cli.demo_records.people import Person, Professional, Structure
    from fhir_server.fhir.json import JsonObject

PROFILE: Final = "https://interop.esante.gouv.fr/ig/fhir/pdsm/StructureDefinition/pdsm-comprehensive-document-reference"
LOINC: Final = "http://loinc.org"
CONFIDENTIALITY: Final = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
CLASSES: Final = nos("TRE_A03-ClasseDocument")
FORMATS: Final = nos("TRE_A11-IheFormatCode")
SECTORS: Final = nos("TRE_R02-SecteurActivite")
SETTINGS: Final = nos("TRE_A01-CadreExercice")
PDF_FORMAT: Final = ("urn:ihe:iti:xds-sd:pdf:2008", "Document à corps non structuré en Pdf/A-1")
VISIBILITY: Final = {
    MASQUE_PS: "Masqué aux professionnels de santé",
    INVISIBLE_PATIENT: "Non visible par le patient",
    INVISIBLE_REPRESENTANTS_LEGAUX: "Non visible par représentants légaux du patient",
}


@dataclass(frozen=True, slots=True)
class Kind:
    """Type and class of a document."""

    code: str
    display: str
    class_code: str
    class_display: str


_REPORT: Final = ("10", "Compte rendu")
STAY: Final = Kind("34112-3", "CR hospitalier (séjour)", *_REPORT)
VISIT: Final = Kind("11488-4", "CR ou fiche de consultation ou de visite", *_REPORT)
BIOLOGY: Final = Kind("11502-2", "CR d'examens biologiques", *_REPORT)
EMERGENCY: Final = Kind("15507-7", "CR de passage aux urgences", *_REPORT)
PROCEDURE: Final = Kind("70004-7", "CR d'acte diagnostique (autre)", *_REPORT)
SYNTHESIS: Final = Kind("60591-5", "Synthèse médicale", "11", "Synthèse")
IMAGING: Final = Kind("18748-4", "CR d'imagerie médicale", "31", "Imagerie médicale")
PRESCRIPTION: Final = Kind("57833-6", "Prescription de produits de santé", "42", "Prescription")
VACCINATION: Final = Kind("87273-9", "Note de vaccination", "52", "Certificat, déclaration")


@dataclass(frozen=True, slots=True)
class Document:
    """One document: whose, what, by whom, when, hidden from whom."""

    id: str
    kind: Kind
    title: str
    lines: tuple[str, ...]
    days: int
    """Age of the act it reports."""
    author: Professional | None = None
    """Nobody: the hospital publishes it, signed by a doctor of its own."""
    label: str | None = None

    @property
    def patient(self) -> Person:
        """Whose record it is in."""
        return PEOPLE["-".join(self.id.split("-")[:2])]

    @property
    def place(self) -> Structure:
        """Where it was written."""
        return HOSPITAL if self.author is None else PRACTICE


_FAMILY_DOCTOR: Final = PROFESSIONALS["medecin-traitant"]

DOCUMENTS: Final = (
    Document("demo-1-normal-1", STAY, "CR d'hospitalisation", ("Séjour de cinq jours, suites simples.",), 80),
    Document(
        "demo-1-normal-2",
        PRESCRIPTION,
        "Ordonnance",
        ("Paracétamol 1 g : 1 comprimé si douleur, au plus 3 par jour.",),
        70,
        _FAMILY_DOCTOR,
    ),
    Document("demo-1-normal-3", BIOLOGY, "Bilan biologique", ("Glycémie à jeun : 0,92 g/L.",), 60),
    Document("demo-1-normal-4", IMAGING, "Radiographie du thorax", ("Pas d'anomalie visible.",), 50),
    Document(
        "demo-1-normal-5",
        VACCINATION,
        "Vaccination contre la grippe",
        ("Une dose, bras gauche, bien tolérée.",),
        40,
        _FAMILY_DOCTOR,
    ),
    Document(
        "demo-1-masque",
        VISIT,
        "Consultation masquée",
        ("La titulaire a masqué ce document aux professionnels.",),
        35,
        PROFESSIONALS["specialiste2"],
        MASQUE_PS,
    ),
    Document(
        "demo-1-annonce",
        VISIT,
        "Consultation d'annonce",
        ("Invisible à la titulaire tant que le résultat ne lui est pas annoncé.",),
        10,
        _FAMILY_DOCTOR,
        INVISIBLE_PATIENT,
    ),
    Document(
        "demo-1-efface",
        PROCEDURE,
        "Électrocardiogramme",
        ("Son auteur peut retirer ce document.",),
        20,
        PROFESSIONALS["specialiste"],
    ),
    Document("demo-2-normal-1", EMERGENCY, "Passage aux urgences", ("Entorse de la cheville droite.",), 45),
    Document(
        "demo-3-normal-1",
        VACCINATION,
        "Rappel de vaccination",
        ("Rappel DTP fait ce jour.",),
        55,
        _FAMILY_DOCTOR,
    ),
    Document(
        "demo-3-secret",
        VISIT,
        "Consultation confidentielle",
        ("La mineure a demandé le secret.",),
        15,
        _FAMILY_DOCTOR,
        INVISIBLE_REPRESENTANTS_LEGAUX,
    ),
    Document("demo-4-normal-1", SYNTHESIS, "Synthèse médicale", ("Hypertension traitée, pas d'allergie connue.",), 65),
    Document("demo-5-normal-1", STAY, "CR d'hospitalisation", ("Bilan de chute, retour à domicile.",), 600),
)


def documents(now: datetime) -> list[DemoRecord]:
    """Each fiche, then its Binary."""
    return [record for document in DOCUMENTS for record in _records(document, now)]


def _records(document: Document, now: datetime) -> tuple[DemoRecord, DemoRecord]:
    written = (now - timedelta(days=document.days)).replace(microsecond=0)
    patient = document.patient
    lines = (f"{patient.given[0]} {patient.family}, INS {patient.ins} (INS de test)", f"Le {written:%d/%m/%Y}")
    content = pdf(document.title, (*lines, "", *document.lines))
    by = document.place.key if document.author is None else document.author.key
    organisation = document.place.key if document.author is None else None
    binary: JsonObject = {
        "resourceType": "Binary",
        "id": f"{document.id}-pdf",
        "contentType": "application/pdf",
        "securityContext": {"reference": f"DocumentReference/{document.id}"},
        "data": b64encode(content).decode(),
    }
    return (
        DemoRecord(_fiche(document, written, content), by, organisation),
        DemoRecord(binary, by, organisation),
    )


def _fiche(document: Document, written: datetime, content: bytes) -> JsonObject:
    patient, kind, place = document.patient, document.kind, document.place
    labels = [concept(CONFIDENTIALITY, "N", "Normal")]
    if document.label is not None:
        labels.append(concept(TRE_A07, document.label, VISIBILITY[document.label]))
    system = "urn:ietf:rfc:3986"
    return {
        "resourceType": "DocumentReference",
        "id": document.id,
        "meta": {"profile": [PROFILE]},
        "contained": [practitioner(document.author or HOSPITAL_DOCTOR, contained_as="auteur"), _source(patient)],
        "masterIdentifier": {"use": "usual", "system": system, "value": uuid(f"{document.id}/document")},
        "identifier": [{"use": "official", "system": system, "value": uuid(f"{document.id}/fiche")}],
        "status": "current",
        "type": concept(LOINC, kind.code, kind.display),
        "category": [concept(CLASSES, kind.class_code, kind.class_display)],
        "subject": {"reference": f"Patient/{patient.id}"},
        "date": at(written + timedelta(hours=1)),
        "author": [{"reference": "#auteur"}],
        "custodian": {"reference": f"Organization/{place.id}"},
        "description": document.title,
        "securityLabel": [*labels],
        "content": [
            {
                "attachment": {
                    "contentType": "application/pdf",
                    "language": "fr-FR",
                    "url": f"Binary/{document.id}-pdf",
                    "size": len(content),
                    "hash": _sha1(content),
                    "title": document.title,
                    "creation": at(written),
                },
                "format": {"system": FORMATS, "code": PDF_FORMAT[0], "display": PDF_FORMAT[1]},
            }
        ],
        "context": {
            "period": {"start": at(written - timedelta(hours=2)), "end": at(written)},
            "facilityType": concept(SECTORS, *place.sector),
            "practiceSetting": concept(SETTINGS, *place.setting),
            "sourcePatientInfo": {"reference": "#patient"},
        },
    }


def _source(patient: Person) -> JsonObject:
    """The patient as he was known when the document was written."""
    return {
        "resourceType": "Patient",
        "id": "patient",
        "identifier": [ins_identifier(patient)],
        "name": [official_name(patient)],
        "gender": patient.gender,
        "birthDate": patient.birth_date,
    }


def _sha1(content: bytes) -> str:
    """As Attachment.hash wants it; FHIR R4 chose SHA-1. It finds damage, it proves nothing."""
    return b64encode(hashlib.sha1(content, usedforsecurity=False).digest()).decode()

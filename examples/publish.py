"""Publish a PDF in the record of a patient: IHE MHD ITI-65 as PDSm profiles it. Where a hospital may begin.

    pip install httpx
    python examples/publish.py letter.pdf --base http://127.0.0.1:8080/fhir --token "$(./fhir-server token hopital)" \
        --ins 280057505600117 --family Martin --given Helene --birth-date 1980-05-14 --gender female \
        --author-rpps 89900000002 --author-family Bernard --author-given Marc --title "Lettre de liaison"

It needs Python and httpx, and nothing of the server. One Bundle is sent: the submission set (a List), the fiche (a
DocumentReference) with author and patient contained, and the file (a Binary). All of it is stored, or nothing. Sent
again with the same file for the same patient, it finds what was published and publishes nothing twice: the identifiers
are made of both, and each entry creates unless there is one of its identifier already. The file alone, which has no
identifier, is stored once more, belongs to no document, and is gone after a day.

https://interop.esante.gouv.fr/ig/fhir/pdsm · https://profiles.ihe.net/ITI/MHD/ITI-65.html
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import uuid
from base64 import b64encode
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

PDSM = "https://interop.esante.gouv.fr/ig/fhir/pdsm/StructureDefinition/"
MHD = "https://profiles.ihe.net/ITI/MHD/"
FR_CORE = "https://hl7.fr/ig/fhir/core/StructureDefinition/"
URI = "urn:ietf:rfc:3986"
RPPS = "https://rpps.esante.gouv.fr"
FINESS = "https://finess.esante.gouv.fr"
INS_TEST = "urn:oid:1.2.250.1.213.1.4.10"
"""The INS of trials. In care: ...4.8 (NIR) or ...4.9 (NIA)."""


def nos(name: str) -> str:
    """The URL of a nomenclature of health objects (NOS)."""
    return f"https://mos.esante.gouv.fr/NOS/{name}/FHIR/{name.replace('_', '-')}"


def concept(system: str, code: str, display: str) -> dict[str, Any]:
    """A CodeableConcept."""
    return {"coding": [{"system": system, "code": code, "display": display}]}


def named(told: argparse.Namespace) -> dict[str, str]:
    """The identifiers of what is published, the same whenever this file is published for this patient."""
    content = hashlib.sha256(told.pdf.read_bytes()).hexdigest()
    names = ("document", "fiche", "lot", "lot-fiche")
    made = {name: uuid.uuid5(uuid.NAMESPACE_URL, f"{told.ins} {content} {name}") for name in names}
    # MHD wants an OID for the uniqueId of a submission set
    return {name: f"urn:oid:2.25.{one.int}" if name == "lot" else one.urn for name, one in made.items()}


def patient(told: argparse.Namespace) -> dict[str, Any]:
    """The patient as he was known when the document was written: the INS goes with the traits."""
    return {
        "resourceType": "Patient",
        "id": "patient",
        "identifier": [{"use": "official", "system": told.ins_system, "value": told.ins}],
        "name": [{"use": "official", "family": told.family, "given": [told.given]}],
        "gender": told.gender,
        "birthDate": told.birth_date,
    }


def author(told: argparse.Namespace) -> dict[str, Any]:
    """Who wrote the document."""
    return {
        "resourceType": "Practitioner",
        "id": "auteur",
        "meta": {"profile": [f"{FR_CORE}fr-core-practitioner"]},
        "identifier": [{"system": RPPS, "value": told.author_rpps}],
        "name": [{"family": told.author_family, "given": [told.author_given]}],
    }


def structure(told: argparse.Namespace) -> dict[str, Any]:
    """The structure that keeps and sends the document."""
    return {"identifier": {"system": FINESS, "value": told.finess}, "display": told.structure}


def document_reference(told: argparse.Namespace, names: dict[str, str], file: str, now: str) -> dict[str, Any]:
    """The fiche: every element that `pdsm-comprehensive-document-reference` asks for."""
    content = told.pdf.read_bytes()
    written = told.written or now
    return {
        "resourceType": "DocumentReference",
        "meta": {"profile": [f"{PDSM}pdsm-comprehensive-document-reference"]},
        "contained": [author(told), patient(told)],
        "masterIdentifier": {"use": "usual", "system": URI, "value": names["document"]},
        "identifier": [{"use": "official", "system": URI, "value": names["fiche"]}],
        "status": "current",
        "type": concept("http://loinc.org", told.type, told.type_display),
        "category": [concept(nos("TRE_A03-ClasseDocument"), told.category, told.category_display)],
        # the server completes it by the literal reference to the record of who has this INS
        "subject": {"identifier": {"system": told.ins_system, "value": told.ins}},
        "date": now,
        "author": [{"reference": "#auteur"}],
        "custodian": structure(told),
        "description": told.title,
        "securityLabel": [concept("http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "N", "Normal")],
        "content": [
            {
                "attachment": {
                    "contentType": "application/pdf",
                    "language": "fr-FR",
                    "url": file,
                    "size": len(content),
                    # FHIR R4 chose SHA-1: it finds damage, it proves nothing
                    "hash": b64encode(hashlib.sha1(content, usedforsecurity=False).digest()).decode(),
                    "title": told.title,
                    "creation": written,
                },
                "format": {
                    "system": nos("TRE_A11-IheFormatCode"),
                    "code": "urn:ihe:iti:xds-sd:pdf:2008",
                    "display": "Document à corps non structuré en Pdf/A-1",
                },
            }
        ],
        "context": {
            "period": {"start": told.act or written},
            "facilityType": concept(nos("TRE_R02-SecteurActivite"), "SA01", "Etablissement public de santé"),
            "practiceSetting": concept(nos("TRE_A01-CadreExercice"), "ETABLISSEMENT", "Etablissement de santé"),
            "sourcePatientInfo": {"reference": "#patient"},
        },
    }


def submission_set(told: argparse.Namespace, names: dict[str, str], fiche: str, now: str) -> dict[str, Any]:
    """The lot: what was sent together, by whom, and in which kind of care."""
    source = {
        "resourceType": "PractitionerRole",
        "id": "source",
        "practitioner": {"identifier": {"system": RPPS, "value": told.author_rpps}},
        "organization": structure(told),
    }
    care = concept(nos("TRE_R209-TypeActivite"), "04", "Hospitalisation de jour")
    return {
        "resourceType": "List",
        "meta": {"profile": [f"{PDSM}pdsm-submissionset-comprehensive"]},
        "contained": [source],
        "extension": [
            {"url": f"{MHD}StructureDefinition/ihe-designationType", "valueCodeableConcept": care},
            {
                "url": f"{MHD}StructureDefinition/ihe-sourceId",
                "valueIdentifier": {"system": URI, "value": told.source_id},
            },
        ],
        "identifier": [
            {"use": "usual", "system": URI, "value": names["lot"]},
            {"use": "official", "system": URI, "value": names["lot-fiche"]},
        ],
        "status": "current",
        "mode": "working",
        "title": told.title,
        "code": concept(f"{MHD}CodeSystem/MHDlistTypes", "submissionset", "SubmissionSet as a FHIR List"),
        "subject": {"identifier": {"system": told.ins_system, "value": told.ins}},
        "date": now,
        "source": {"reference": "#source"},
        "entry": [{"item": {"reference": fiche}}],
    }


def bundle(told: argparse.Namespace, now: str) -> dict[str, Any]:
    """The three of them as one transaction; each is called by a name until the server has given it a place."""
    names = named(told)
    fiche, file = uuid.uuid4().urn, uuid.uuid4().urn
    binary = {
        "resourceType": "Binary",
        "contentType": "application/pdf",
        "data": b64encode(told.pdf.read_bytes()).decode(),
    }

    def entry(full_url: str, resource: dict[str, Any], unless: str | None = None) -> dict[str, Any]:
        request = {"method": "POST", "url": resource["resourceType"]}
        condition = {"ifNoneExist": f"identifier={URI}|{unless}"} if unless is not None else {}
        return {"fullUrl": full_url, "resource": resource, "request": request | condition}

    return {
        "resourceType": "Bundle",
        "meta": {"profile": [f"{PDSM}pdsm-comprehensive-provide-document-bundle"]},
        "type": "transaction",
        "entry": [
            entry(uuid.uuid4().urn, submission_set(told, names, fiche, now), names["lot"]),
            entry(fiche, document_reference(told, names, file, now), names["document"]),
            entry(file, binary),
        ],
    }


def main() -> int:
    """Send it, and show what was answered; 0 when it is published."""
    told = arguments()
    now = datetime.now(UTC).isoformat(timespec="seconds")
    answer = httpx.post(
        told.base,
        json=bundle(told, now),
        headers={
            "Authorization": f"Bearer {told.token}",
            "Content-Type": "application/fhir+json",
            "Prefer": "return=minimal",
        },
        timeout=120,
    )
    print(json.dumps(answer.json(), indent=2, ensure_ascii=False))
    return 0 if answer.is_success else 1


def arguments() -> argparse.Namespace:
    """What is told by the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("pdf", type=Path, help="the document")
    parser.add_argument("--base", required=True, help="of the server: http://127.0.0.1:8080/fhir")
    parser.add_argument("--token", required=True, help="of the hospital")
    parser.add_argument("--ins", required=True, help="the national health identity of the patient")
    parser.add_argument("--ins-system", default=INS_TEST, help="what kind of INS it is")
    parser.add_argument("--family", required=True, help="birth name of the patient")
    parser.add_argument("--given", required=True, help="first given name of the patient")
    parser.add_argument("--birth-date", required=True, help="YYYY-MM-DD")
    parser.add_argument("--gender", required=True, choices=["female", "male", "unknown"])
    parser.add_argument("--author-rpps", required=True, help="the number of who wrote the document")
    parser.add_argument("--author-family", required=True)
    parser.add_argument("--author-given", required=True)
    parser.add_argument("--finess", default="990000001", help="the number of the structure")
    parser.add_argument("--structure", default="Centre hospitalier de démonstration", help="its name")
    parser.add_argument("--source-id", default="urn:oid:1.2.250.1.999.1", help="of the system that sends")
    parser.add_argument("--title", required=True)
    parser.add_argument("--type", default="34112-3", help="LOINC code of the kind of document")
    parser.add_argument("--type-display", default="CR hospitalier (séjour)")
    parser.add_argument("--category", default="10", help="class of the document (TRE_A03)")
    parser.add_argument("--category-display", default="Compte rendu")
    parser.add_argument("--written", help="when the document was written: 2026-01-31T10:00:00+01:00; now unless told")
    parser.add_argument("--act", help="when the act began that it tells of; when it was written unless told")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

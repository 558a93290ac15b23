"""Messages of PDSm that are right: a document with its content, a submission set, the Bundle of ITI-65, ITI-105."""

from __future__ import annotations

import copy
from base64 import b64encode
from hashlib import sha1
from typing import Any, Final
from uuid import uuid4

PDSM: Final = "https://interop.esante.gouv.fr/ig/fhir/pdsm/StructureDefinition/"
MHD: Final = "https://profiles.ihe.net/ITI/MHD/StructureDefinition/"
LIST_TYPES: Final = "https://profiles.ihe.net/ITI/MHD/CodeSystem/MHDlistTypes"
INS_TEST: Final = "urn:oid:1.2.250.1.213.1.4.10"
RPPS: Final = "https://rpps.esante.gouv.fr"
FINESS: Final = "https://finess.esante.gouv.fr"
TRE_A07: Final = "https://mos.esante.gouv.fr/NOS/TRE_A07-StatutVisibiliteDocument/FHIR/TRE-A07-StatutVisibiliteDocument"
CONFIDENTIALITY: Final = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
PDF: Final = b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"


def urn() -> str:
    """A new name."""
    return f"urn:uuid:{uuid4()}"


def digest(data: bytes) -> str:
    """As an attachment declares it."""
    return b64encode(sha1(data, usedforsecurity=False).digest()).decode()


def coded(system: str, code: str) -> dict[str, Any]:
    """A concept of one coding."""
    return {"coding": [{"system": system, "code": code}]}


def nos(name: str, code: str) -> dict[str, Any]:
    """A concept of a code system of the NOS."""
    return coded(f"https://mos.esante.gouv.fr/NOS/{name}/FHIR/{name.replace('_', '-', 1)}", code)


def subject(ins: str) -> dict[str, Any]:
    """A reference to a patient by his INS."""
    return {"identifier": {"system": INS_TEST, "value": ins}}


def document(ins: str, url: str = "", *, data: bytes = PDF, **members: Any) -> dict[str, Any]:
    """A DocumentReference that is right by pdsm-comprehensive-document-reference."""
    return {
        "resourceType": "DocumentReference",
        "meta": {"profile": [f"{PDSM}pdsm-comprehensive-document-reference"]},
        "contained": [
            {
                "resourceType": "Practitioner",
                "id": "auteur",
                "identifier": [{"system": RPPS, "value": "89900000002"}],
                "name": [{"family": "Leclerc", "given": ["Sophie"]}],
            },
            {
                "resourceType": "Patient",
                "id": "source",
                "identifier": [{"system": INS_TEST, "value": ins}],
                "name": [{"family": "D'Almeida", "given": ["Hélène"]}],
            },
        ],
        "masterIdentifier": {"use": "usual", "system": "urn:ietf:rfc:3986", "value": urn()},
        "status": "current",
        "type": coded("http://loinc.org", "11488-4"),
        "category": [nos("TRE_A03-ClasseDocument", "10")],
        "subject": subject(ins),
        "date": "2026-11-20T10:00:00+01:00",
        "author": [{"reference": "#auteur"}],
        "custodian": {"identifier": {"system": FINESS, "value": "990000001"}},
        "securityLabel": [coded(CONFIDENTIALITY, "N")],
        "content": [
            {
                "attachment": {
                    "contentType": "application/pdf",
                    "language": "fr-FR",
                    "url": url,
                    "size": len(data),
                    "hash": digest(data),
                    "title": "Compte rendu de consultation",
                    "creation": "2026-11-20T09:30:00+01:00",
                },
                "format": nos("TRE_A11-IheFormatCode", "urn:ihe:iti:xds-sd:pdf:2008")["coding"][0],
            }
        ],
        "context": {
            "period": {"start": "2026-11-20T09:00:00+01:00"},
            "facilityType": nos("TRE_R02-SecteurActivite", "SA01"),
            "practiceSetting": nos("TRE_A01-CadreExercice", "ETABLISSEMENT"),
            "sourcePatientInfo": {"reference": "#source"},
        },
        **members,
    }


def simplified(ins: str, *, data: bytes = PDF, **members: Any) -> dict[str, Any]:
    """A DocumentReference that is right by pdsm-simplified-publish, as ITI-105 sends it."""
    told = document(ins, data=data)
    attachment = told["content"][0]["attachment"]
    del attachment["url"]
    attachment["data"] = b64encode(data).decode()
    return {**told, "meta": {"profile": [f"{PDSM}pdsm-simplified-publish"]}, **members}


def submission(ins: str, items: list[str], **members: Any) -> dict[str, Any]:
    """A List that is right by pdsm-submissionset-comprehensive."""
    return {
        "resourceType": "List",
        "meta": {"profile": [f"{PDSM}pdsm-submissionset-comprehensive"]},
        "contained": [
            {
                "resourceType": "PractitionerRole",
                "id": "source",
                "practitioner": {"identifier": {"system": RPPS, "value": "89900000002"}},
            }
        ],
        "extension": [
            {
                "url": f"{MHD}ihe-designationType",
                "valueCodeableConcept": nos("TRE_R02-SecteurActivite", "SA01"),
            },
            {
                "url": f"{MHD}ihe-sourceId",
                "valueIdentifier": {"system": "urn:ietf:rfc:3986", "value": "urn:oid:1.2.250.1.999.1"},
            },
        ],
        "identifier": [{"use": "usual", "system": "urn:ietf:rfc:3986", "value": f"urn:oid:2.25.{uuid4().int}"}],
        "status": "current",
        "mode": "working",
        "title": "Lot de soumission",
        "code": coded(LIST_TYPES, "submissionset"),
        "subject": subject(ins),
        "date": "2026-11-20T10:05:00+01:00",
        "source": {"reference": "#source"},
        "entry": [{"item": {"reference": one}} for one in items],
        **members,
    }


def binary(data: bytes = PDF, content_type: str = "application/pdf") -> dict[str, Any]:
    """A Binary of these bytes."""
    return {"resourceType": "Binary", "contentType": content_type, "data": b64encode(data).decode()}


def entry(resource: dict[str, Any], method: str = "POST", url: str | None = None, full_url: str | None = None) -> Any:
    """An entry of a transaction."""
    told: dict[str, Any] = {"fullUrl": full_url} if full_url is not None else {}
    return {**told, "resource": resource, "request": {"method": method, "url": url or resource["resourceType"]}}


def bundle(*entries: Any, **members: Any) -> dict[str, Any]:
    """A Bundle of ITI-65."""
    return {
        "resourceType": "Bundle",
        "meta": {"profile": [f"{PDSM}pdsm-comprehensive-provide-document-bundle"]},
        "type": "transaction",
        "entry": list(entries),
        **members,
    }


def provided(ins: str, *, documents: int = 1, data: bytes = PDF, **members: Any) -> dict[str, Any]:
    """A whole ITI-65 message: a submission set, so many documents, and the content of each."""
    entries, names = [], []
    for _ in range(documents):
        name, content = urn(), urn()
        names.append(name)
        entries += [
            entry(document(ins, content, data=data, **members), full_url=name),
            entry(binary(data), full_url=content),
        ]
    return bundle(entry(submission(ins, names), full_url=urn()), *entries)


def superseding() -> dict[str, Any]:
    """The FHIRPath Patch that makes a document superseded."""
    parts = [
        ("type", "Code", "replace"),
        ("path", "String", "DocumentReference.status"),
        ("value", "Code", "superseded"),
    ]
    return {
        "resourceType": "Parameters",
        "meta": {"profile": [f"{MHD}IHE.MHD.Patch.Parameters"]},
        "parameter": [
            {"name": "operation", "part": [{"name": name, f"value{kind}": value} for name, kind, value in parts]}
        ],
    }


def without(resource: dict[str, Any], path: str) -> dict[str, Any]:
    """The same resource without what stands at this path: ``content.0.attachment.hash``."""
    changed = copy.deepcopy(resource)
    holder: Any = changed
    *before, last = path.split(".")
    for name in before:
        holder = holder[int(name)] if name.isdigit() else holder[name]
    del holder[int(last) if last.isdigit() else last]
    return changed


def with_(resource: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """The same resource with another value at this path."""
    changed = copy.deepcopy(resource)
    holder: Any = changed
    *before, last = path.split(".")
    for name in before:
        holder = holder[int(name)] if name.isdigit() else holder[name]
    holder[int(last) if last.isdigit() else last] = value
    return changed

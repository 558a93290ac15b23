"""A record of a test's own: made through the conformance client, spoken to as everybody else speaks to it.

Whatever a test does to such a record, no other test sees. The demonstration records stay as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from random import SystemRandom
from typing import Any, Final
from uuid import uuid4

import httpx

from tests.served import FHIR_JSON, JSON_PATCH, Served

INS_NIR_TEST: Final = "urn:oid:1.2.250.1.213.1.4.10"
RPPS: Final = "https://rpps.esante.gouv.fr"
FINESS: Final = "https://finess.esante.gouv.fr"
TRE_A07: Final = "https://mos.esante.gouv.fr/NOS/TRE_A07-StatutVisibiliteDocument/FHIR/TRE-A07-StatutVisibiliteDocument"
CONFIDENTIALITY: Final = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
R260: Final = "https://mos.esante.gouv.fr/NOS/TRE_R260-HL7RoleClass/FHIR/TRE-R260-HL7RoleClass"
TRE_A03: Final = "https://mos.esante.gouv.fr/NOS/TRE_A03-ClasseDocument/FHIR/TRE-A03-ClasseDocument"
HELENE: Final = "280057505600117"
"""INS of the holder of demo-1, who is the guardian in every record of our own."""
NUMBERS: Final = {
    "medecin-traitant": "89900000001",
    "specialiste": "89900000002",
    "inconnu": "89900000003",
    "bloque": "89900000004",
    "infirmier": "89900000005",
    "specialiste2": "89900000006",
    "samu": "89900000007",
    "urgentiste": "89900000008",
}
"""RPPS of the professionals, as contract.md gives them."""


@dataclass(frozen=True, slots=True)
class OwnRecord:
    """A Patient with a test INS, and a RelatedPerson who is the guardian."""

    served: Served
    id: str
    ins: str

    def as_(self, actor: str, **named: Any) -> httpx.Client:
        """A client of this actor; ``patient`` and ``representant`` are those of this record."""
        if actor in ("patient", "representant", "aidant"):
            named["patient"] = self.ins
        return self.served.as_(actor, **named)

    def performer(self, chooser: str) -> dict[str, str]:
        """The reference that tells who chose."""
        who = f"Patient/{self.id}" if chooser == "patient" else f"RelatedPerson/{self.id}-representant"
        return {"reference": who}

    def deposit(self, *labels: str, by: str = "hopital", **members: Any) -> str:
        """A document in this record; answer its id."""
        answer = self.as_(by).post("/DocumentReference", json=document(self.id, *labels, **members), headers=FHIR_JSON)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def choose(self, consent: dict[str, Any], by: str = "patient") -> httpx.Response:
        """POST a Consent."""
        return self.as_(by).post("/Consent", json=consent, headers=FHIR_JSON)

    def chosen(self, consent: dict[str, Any], by: str = "patient") -> dict[str, Any]:
        """POST a Consent that is accepted; answer it as stored."""
        answer = self.choose(consent, by)
        assert answer.status_code == 201, answer.text
        stored: dict[str, Any] = answer.json()
        return stored

    def change(self, consent: dict[str, Any], by: str = "patient", **members: Any) -> httpx.Response:
        """PUT a stored Consent with other members."""
        return self.as_(by).put(f"/Consent/{consent['id']}", json={**consent, **members}, headers=FHIR_JSON)

    def withdraw(self, consent: dict[str, Any], by: str = "patient") -> None:
        """Make a Consent inactive, as its chooser may."""
        answer = self.change(consent, by, status="inactive")
        assert answer.status_code == 200, answer.text
        assert answer.json()["status"] == "inactive"

    def documents(self, actor: str, **named: Any) -> set[str]:
        """What a search of this actor finds in this record."""
        answer = self.as_(actor, **named).get(f"/DocumentReference?patient={self.id}")
        assert answer.status_code == 200, answer.text
        return ids(answer.json())

    def sees(self, actor: str, document: str, **named: Any) -> bool:
        """Whether this actor reads this document and finds it; the two must agree."""
        read = self.as_(actor, **named).get(f"/DocumentReference/{document}").status_code
        found = document in self.documents(actor, **named)
        assert read == (200 if found else 404), (actor, read, found)
        return found

    def patch(self, document: str, *operations: dict[str, Any], by: str = "patient") -> httpx.Response:
        """A JSON Patch of a document of this record."""
        return self.as_(by).patch(f"/DocumentReference/{document}", json=list(operations), headers=JSON_PATCH)


def own_record(served: Served) -> OwnRecord:
    """A new record, open, about which nobody decided anything."""
    record = OwnRecord(served, f"propre-{uuid4().hex[:12]}", new_ins())
    conformance = served.as_("conformance")
    for resource in (patient(record), guardian(record)):
        path = f"/{resource['resourceType']}/{resource['id']}"
        answer = conformance.put(path, json=resource, headers=FHIR_JSON)
        assert answer.status_code == 201, answer.text
    return record


_numbers = count(SystemRandom().randrange(10**6))
"""A run makes more records than may be given numbers by chance: two would have the same, sooner or later."""


def new_ins() -> str:
    """A test INS with the right key: a girl born in 2012 in a commune that does not exist."""
    number = f"21205{99:02d}{next(_numbers) % 10**6:06d}"
    return f"{number}{97 - int(number) % 97:02d}"


def patient(record: OwnRecord, **members: Any) -> dict[str, Any]:
    """The Patient of a record of our own."""
    return {
        "resourceType": "Patient",
        "id": record.id,
        "identifier": [{"use": "official", "system": INS_NIR_TEST, "value": record.ins}],
        "active": True,
        "name": [{"use": "official", "family": "Essai", "given": ["Alix"]}],
        "gender": "female",
        "birthDate": "2012-05-14",
        **members,
    }


def guardian(record: OwnRecord) -> dict[str, Any]:
    """The RelatedPerson that makes the holder of demo-1 the representative."""
    return {
        "resourceType": "RelatedPerson",
        "id": f"{record.id}-representant",
        "identifier": [{"system": INS_NIR_TEST, "value": HELENE}],
        "active": True,
        "patient": {"reference": f"Patient/{record.id}"},
        "relationship": [{"coding": [{"system": R260, "code": "GUARD"}]}],
    }


def document(patient: str, *labels: str, **members: Any) -> dict[str, Any]:
    """A small DocumentReference of class Compte rendu, with these visibility labels."""
    return {
        "resourceType": "DocumentReference",
        "masterIdentifier": {"system": "urn:ietf:rfc:3986", "value": f"urn:uuid:{uuid4()}"},
        "status": "current",
        "type": {"coding": [{"system": "http://loinc.org", "code": "11488-4"}]},
        "category": [{"coding": [{"system": TRE_A03, "code": "10"}]}],
        "subject": {"reference": f"Patient/{patient}"},
        "date": "2026-03-02T10:15:00+01:00",
        "securityLabel": [{"coding": [{"system": CONFIDENTIALITY, "code": "N"}]}, *map(label, labels)],
        "content": [{"attachment": {"contentType": "text/plain", "data": "Qm9uam91cg=="}}],
        **members,
    }


def label(code: str) -> dict[str, Any]:
    """A visibility label, as contract.md writes it."""
    return {"coding": [{"system": TRE_A07, "code": code}]}


def ids(bundle: dict[str, Any]) -> set[str]:
    """The ids of the resources in a searchset."""
    assert bundle["resourceType"] == "Bundle"
    return {entry["resource"]["id"] for entry in bundle.get("entry", [])}


def everything(client: httpx.Client, path: str) -> list[dict[str, Any]]:
    """The resources of every page of a search."""
    found: list[dict[str, Any]] = []
    url: str | None = path
    while url is not None:
        bundle = client.get(url).raise_for_status().json()
        found += [entry["resource"] for entry in bundle.get("entry", [])]
        url = next((link["url"] for link in bundle["link"] if link["relation"] == "next"), None)
    return found

"""Write `capability_statement.json`: which interactions each resource type of R4 has.

Run it after a new interaction or operation was built: ``python tools/declare_capabilities.py``. Exceptions are data
below.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from fhir_server.definitions.load import load
from fhir_server.definitions.operations import read_operations

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "capability_statement.json"
OPERATIONS = read_operations(ROOT / "profiles" / "OperationDefinition")

EVERY = ("read vread update patch delete history-instance history-type create search-type").split()
ONLY = {
    "AuditEvent": ["read", "vread", "history-instance", "search-type"],
    "Consent": [code for code in EVERY if code != "delete"],
}
DOCUMENTATION = {
    "AuditEvent": "Written by the server alone; who may read which traces: docs/trail.md.",
    "Consent": "Never deleted: make it inactive. Shapes that decide: docs/consent/shapes.md.",
    "Binary": "Read through the gate of its owner; asked for as what it is, it is answered as such.",
    "Patient": "A professional searches by INS; an emergency also by the complete traits.",
}
COMPARTMENTS = ["device", "encounter", "patient", "practitioner", "relatedPerson"]
INSTANTIATES = [
    "https://interop.esante.gouv.fr/ig/fhir/pdsm/CapabilityStatement/PDSm-GestionnaireDePartageDeDocuments|3.1.1"
]
GUIDES = [
    "https://interop.esante.gouv.fr/ig/fhir/pdsm/ImplementationGuide/ans.fhir.fr.pdsm|3.1.1",
    "https://profiles.ihe.net/ITI/MHD/ImplementationGuide/ihe.iti.mhd",
    "https://profiles.ihe.net/ITI/BALP/ImplementationGuide/ihe.iti.balp",
    "https://profiles.ihe.net/ITI/PCF/ImplementationGuide/ihe.iti.pcf",
    "https://hl7.fr/ig/fhir/core/ImplementationGuide/hl7.fhir.fr.core|2.1.0",
]
"""The guides whose profiles are in `profiles/StructureDefinition`."""
SYSTEM = ["batch", "transaction", "search-system", "history-system"]


def resource(type: str) -> dict[str, Any]:
    """The declaration of one resource type."""
    told: dict[str, Any] = {"type": type, "profile": f"http://hl7.org/fhir/StructureDefinition/{type}"}
    if type in DOCUMENTATION:
        told["documentation"] = DOCUMENTATION[type]
    interactions = ONLY.get(type, EVERY)
    told["interaction"] = [{"code": code} for code in interactions]
    told["versioning"] = "versioned-update" if "update" in interactions else "versioned"
    told["readHistory"] = True
    told["updateCreate"] = False
    told["conditionalCreate"] = "create" in interactions
    told["conditionalRead"] = "full-support"
    told["conditionalUpdate"] = "update" in interactions
    told["conditionalDelete"] = "single" if "delete" in interactions else "not-supported"
    told["referencePolicy"] = ["literal", "logical"]
    operations = [{"name": one.code, "definition": one.url} for one in OPERATIONS if one.resource in (type, "Resource")]
    if operations:
        told["operation"] = operations
    return told


def statement() -> dict[str, Any]:
    """The whole declaration."""
    return {
        "resourceType": "CapabilityStatement",
        "url": "https://fhir.dmp-ens.example/CapabilityStatement/server",
        "version": "0.1.0",
        "name": "DmpEnsServer",
        "title": "FHIR R4 server for the DMP and Mon espace santé",
        "status": "active",
        "experimental": True,
        "date": "2026-11-22",
        "description": "FHIR R4 server for the French shared health record (DMP) and Mon espace santé",
        "kind": "instance",
        "instantiates": INSTANTIATES,
        "software": {"name": "fhir-server"},
        "fhirVersion": "4.0.1",
        "format": ["json", "xml", "application/fhir+json", "application/fhir+xml"],
        "implementationGuide": GUIDES,
        "patchFormat": ["application/fhir+json", "application/fhir+xml", "application/json-patch+json"],
        "rest": [
            {
                "mode": "server",
                "documentation": "Every read, search, include and history passes the patient's consent.",
                "security": {
                    "cors": False,
                    "service": [
                        {
                            "coding": [
                                {
                                    "system": "http://terminology.hl7.org/CodeSystem/restful-security-service",
                                    "code": "OAuth",
                                }
                            ]
                        }
                    ],
                    "description": "Bearer JWT signed with RS256 or ES256; what it must say: docs/tokens.md.",
                },
                "resource": [resource(type) for type in load().resource_types],
                "interaction": [{"code": code} for code in SYSTEM],
                "compartment": [f"http://hl7.org/fhir/CompartmentDefinition/{name}" for name in COMPARTMENTS],
            }
        ],
    }


if __name__ == "__main__":
    TARGET.write_text(json.dumps(statement(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"{TARGET.name}: {len(load().resource_types)} resource types")

"""The smallest legal instance of any resource type, made from the compiled definitions.

Every required element is given, a required binding by its first code; what an invariant of the standard asks for
besides is in :data:`MORE`. The same type always gives the same instance.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from fhir_server.definitions.load import load
from fhir_server.definitions.tables import Element, TypeUse

VALUES: Final[Mapping[str, Any]] = {
    "base64Binary": "Qm9uam91cg==",
    "boolean": True,
    "canonical": "https://example.org/fhir/definition|1",
    "code": "en",
    "date": "2026-03-01",
    "dateTime": "2026-03-01T10:00:00Z",
    "decimal": 1.5,
    "id": "a",
    "instant": "2026-03-01T10:00:00.000Z",
    "integer": 1,
    "markdown": "text",
    "oid": "urn:oid:1.2.3",
    "positiveInt": 1,
    "string": "text",
    "time": "10:00:00",
    "unsignedInt": 1,
    "uri": "https://example.org/fhir/thing",
    "url": "https://example.org/fhir/thing",
    "uuid": "urn:uuid:c757873d-ec9a-4326-a141-556f43239520",
    "xhtml": '<div xmlns="http://www.w3.org/1999/xhtml">text</div>',
}
"""A legal value of each primitive type."""

_SOFTWARE: Final = {"software": {"name": "Software"}, "description": "text"}

MORE: Final[Mapping[str, dict[str, Any]]] = {
    "AllergyIntolerance": {
        "clinicalStatus": {
            "coding": [
                {"system": "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical", "code": "active"}
            ]
        }
    },
    "Appointment": {"status": "proposed", "participant": [{"status": "accepted", "actor": {"display": "somebody"}}]},
    "AppointmentResponse": {"actor": {"display": "somebody"}},
    "CapabilityStatement": {"fhirVersion": "4.0.1", "format": ["json"], "rest": [{"mode": "server"}], **_SOFTWARE},
    "Consent": {"policy": [{"uri": "https://example.org/fhir/policy"}]},
    "EventDefinition": {"trigger": [{"type": "named-event", "name": "event"}]},
    "ImmunizationRecommendation": {
        "recommendation": [{"forecastStatus": {"text": "text"}, "vaccineCode": [{"text": "text"}]}]
    },
    "InsurancePlan": {"name": "text"},
    "Linkage": {
        "item": [
            {"type": "source", "resource": {"display": "somebody"}},
            {"type": "alternate", "resource": {"display": "somebody else"}},
        ]
    },
    "Organization": {"name": "text"},
    "StructureDefinition": {"type": "Thing", "differential": {"element": [{"id": "Thing", "path": "Thing"}]}},
    "TerminologyCapabilities": dict(_SOFTWARE),
}
"""By resource type, what its invariants ask for."""

EASIEST: Final = ("string", "boolean", "dateTime", "Reference", "CodeableConcept", "uri")
"""Which types of a choice are taken, the first that it has."""


def minimal(type: str, **more: Any) -> dict[str, Any]:
    """A legal instance of a resource type, with the members given besides (None takes one away)."""
    resource: dict[str, Any] = {"resourceType": type, **_of_structure(type), **MORE.get(type, {}), **more}
    return {name: value for name, value in resource.items() if value is not None}


@cache
def types() -> tuple[str, ...]:
    """The resource types of R4."""
    return load().resource_types


def _of_structure(name: str) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for element in load().structures[name].elements:
        if element.min:
            use = _chosen(element)
            value = _of_use(element, use)
            made[element.json_name(use.code)] = [value] if element.max is None else value
    return made


def _chosen(element: Element) -> TypeUse:
    by_code = {use.code: use for use in element.types}
    return next((by_code[code] for code in EASIEST if code in by_code), element.types[0])


def _of_use(element: Element, use: TypeUse) -> Any:
    codes = element.binding.codes if element.binding is not None else None
    if codes:
        system, code = min(codes)
        match use.code:
            case "Coding":
                return {"system": system, "code": code}
            case "CodeableConcept":
                return {"coding": [{"system": system, "code": code}]}
            case _:
                return code
    if use.code in VALUES:
        return VALUES[use.code]
    match use.code:
        case "Reference":
            return {"display": "somebody"}
        case "CodeableConcept":
            return {"text": "text"}
        case "Coding":
            return {"system": "https://example.org/fhir/codes", "code": "a"}
        case "Identifier":
            return {"system": "https://example.org/fhir/numbers", "value": "1"}
        case _:
            return _of_structure(use.code) or _of_type(use.code)


def _of_type(code: str) -> dict[str, Any]:
    """A data type without required elements still has to say something."""
    told: dict[str, dict[str, Any]] = {
        "Period": {"start": "2026-03-01"},
        "Quantity": {"value": 1.5},
        "Money": {"value": 1.5, "currency": "EUR"},
        "Attachment": {"url": "https://example.org/fhir/thing"},
        "HumanName": {"family": "Rivière"},
        "Range": {"low": {"value": 1}},
        "Timing": {"event": ["2026-03-01"]},
        "ContactPoint": {"system": "phone", "value": "+33100000000"},
    }
    return told.get(
        code, {"id": "a", "extension": [{"url": "https://example.org/fhir/extension", "valueBoolean": True}]}
    )

"""Small resources, and whether a condition finds one."""

from __future__ import annotations

from typing import Any, Final

from tests.differential.elements import Resource
from tests.differential.evaluator import Evaluator

BASE: Final = "http://example.org/fhir"
UCUM: Final = "http://unitsofmeasure.org"
LOINC: Final = "http://loinc.org"
MRN: Final = "http://acme.org/fhir/identifier/mrn"


def coded(code: str, system: str | None = None, **more: str) -> Resource:
    coding = {"code": code, **({"system": system} if system else {}), **more}
    return {"coding": [coding]}


def evaluator(*resources: Resource) -> Evaluator:
    return Evaluator({f"{one['resourceType']}/{one['id']}": one for one in resources}, BASE)


def matches(resource: Resource, name: str, value: str) -> bool:
    """Whether one resource is found by one condition."""
    told = {"id": "a", **resource}
    return bool(evaluator(told).search(told["resourceType"], [(name, value)]))


def observed(**members: Any) -> Resource:
    return {"resourceType": "Observation", **members}


def quantity(value: float, **more: str) -> Resource:
    return observed(valueQuantity={"value": value, **more})

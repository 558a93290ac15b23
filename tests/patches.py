"""FHIRPath Patches, written in a line each: ``parameters(add("Patient", "active", valueBoolean=True))``."""

from __future__ import annotations

import copy
from typing import Any, Final

import pytest

from fhir_server.definitions.load import load
from fhir_server.fhir.errors import FhirError
from fhir_server.fhir.json import JsonObject
from fhir_server.interactions.fhirpath_patch import apply

DEFINITIONS: Final = load()
Part = dict[str, Any]


def part(name: str, **told: Any) -> Part:
    return {"name": name, **told}


def operation(type: str, path: str, *more: Part, **told: Any) -> Part:
    """An operation; its value is told by keyword (``valueCode="a"``), a place by ``index``, ``source`` and so on."""
    parts = [part("type", valueCode=type), part("path", valueString=path)]
    if "name" in told:
        parts.append(part("name", valueString=told.pop("name")))
    places = [name for name in ("index", "source", "destination") if name in told]
    parts += [part(name, valueInteger=told.pop(name)) for name in places]
    if told:
        parts.append(part("value", **told))
    return {"name": "operation", "part": [*parts, *more]}


def add(path: str, name: str, **told: Any) -> Part:
    return operation("add", path, name=name, **told)


def insert(path: str, index: int, **told: Any) -> Part:
    return operation("insert", path, index=index, **told)


def delete(path: str) -> Part:
    return operation("delete", path)


def replace(path: str, **told: Any) -> Part:
    return operation("replace", path, **told)


def move(path: str, source: int, destination: int) -> Part:
    return operation("move", path, source=source, destination=destination)


def parameters(*operations: Any) -> dict[str, Any]:
    return {"resourceType": "Parameters", **({"parameter": list(operations)} if operations else {})}


def patched(resource: dict[str, Any], *operations: Any) -> JsonObject:
    """The resource after the operations; neither it nor they are changed."""
    patch = parameters(*operations)
    before = copy.deepcopy((resource, patch))
    after = apply(resource, patch, DEFINITIONS)
    assert (resource, patch) == before
    return after


def refused(resource: dict[str, Any], *operations: Any) -> FhirError:
    before = copy.deepcopy(resource)
    with pytest.raises(FhirError) as refusal:
        apply(resource, parameters(*operations), DEFINITIONS)
    assert resource == before
    return refusal.value


def patient(**more: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", **more}

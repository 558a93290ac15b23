"""Profiles made for a test, and what stands in their snapshots."""

from __future__ import annotations

from typing import Any

from fhir_server.definitions.structure_definitions import StructureDefinitions, base_definitions

CORE = "http://hl7.org/fhir/StructureDefinition/"
OURS = "https://exemple.fr/StructureDefinition/"


def definitions(*own: dict[str, Any]) -> StructureDefinitions:
    """The standard with these on top."""
    return StructureDefinitions(base_definitions(), own)


def profile(type: str, *elements: dict[str, Any], name: str = "p", base: str = "", **more: Any) -> dict[str, Any]:
    """A profile of a type. An element without a path has the one of its id."""
    return {
        "resourceType": "StructureDefinition",
        "url": OURS + name,
        "type": type,
        "kind": "resource",
        "derivation": "constraint",
        "baseDefinition": base or CORE + type,
        "differential": {"element": [{"path": _path(element), **element} for element in elements]},
        **more,
    }


def _path(element: dict[str, Any]) -> str:
    return ".".join(step.partition(":")[0] for step in element.get("id", "").split("."))


def snapshot_of(one: dict[str, Any], *others: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The elements of the snapshot of a profile, by id."""
    snapshot = definitions(one, *others).snapshot(one["url"])
    return {str(element["id"]): element for element in snapshot.elements}

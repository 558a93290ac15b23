"""Which record a resource belongs to.

The record is named by the id of its Patient. A Binary belongs where its owner does; see `store.binary`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fhir_server.fhir import reference
from fhir_server.record.elements import ELEMENT_NAMES

if TYPE_CHECKING:
    from fhir_server.fhir.json import JsonObject


def record_of(type: str, id: str, resource: JsonObject, base_url: str = "") -> str | None:
    """The id of the Patient the resource is about, or nothing."""
    if type == "Patient":
        return id
    about = resource.get(ELEMENT_NAMES.get(type, ""))
    if not isinstance(about, dict) or not isinstance(literal := about.get("reference"), str):
        return None
    target = reference.local(literal, base_url)
    return target.id if target is not None and target.type == "Patient" else None


def subject_identifier(type: str, resource: JsonObject) -> tuple[str, str] | None:
    """The ``(system, value)`` by which a resource without a literal reference names its patient, or nothing."""
    about = resource.get(ELEMENT_NAMES.get(type, ""))
    if not isinstance(about, dict) or "reference" in about:
        return None
    identifier = about.get("identifier")
    if not isinstance(identifier, dict):
        return None
    system, value = identifier.get("system"), identifier.get("value")
    return (system, value) if isinstance(system, str) and isinstance(value, str) else None

"""Which record a resource belongs to.

The record is named by the id of its Patient. A Binary belongs where its owner does; see `store.binary`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fhir_server.fhir import reference
from fhir_server.record.elements import ELEMENT_NAMES

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from fhir_server.fhir.json import Json, JsonObject


def record_of(type: str, id: str, resource: JsonObject, base_url: str = "") -> str | None:
    """The id of the Patient the resource is about, or nothing."""
    if type == "Patient":
        return id
    about = resource.get(ELEMENT_NAMES.get(type, ""))
    if not isinstance(about, dict) or not isinstance(literal := about.get("reference"), str):
        return None
    target = reference.local(literal, base_url)
    return target.id if target is not None and target.type == "Patient" else None


REFERRING: Final = frozenset({"List", "Composition", "Communication", "DocumentManifest"})
"""Types that gather documents: visible only when all they refer to in the record is visible (access: records)."""


def gathered(hidden: frozenset[str], refers: Mapping[str, Collection[str]]) -> frozenset[str]:
    """What is hidden, and what refers to something hidden, however deep; ``refers`` by what gathers."""
    by_target: dict[str, list[str]] = {}
    for key, targets in refers.items():
        for target in targets:
            by_target.setdefault(target, []).append(key)
    found, waiting = set(hidden), list(hidden)
    while waiting:
        for key in by_target.get(waiting.pop(), ()):
            if key not in found:
                found.add(key)
                waiting.append(key)
    return frozenset(found)


def referred_to(type: str, resource: JsonObject, base_url: str = "") -> list[str]:
    """The ``Type/id`` of this server that a gathering resource points to, wherever it says so; sorted."""
    if type not in REFERRING:
        return []
    return sorted(set(_pointers(resource, base_url)))


def _pointers(value: Json, base_url: str) -> Iterator[str]:
    if isinstance(value, list):
        for part in value:
            yield from _pointers(part, base_url)
    elif isinstance(value, dict):
        for name, part in value.items():
            if name in ("reference", "url") and isinstance(part, str):
                target = reference.local(part, base_url)
                if target is not None:
                    yield str(target)
            else:
                yield from _pointers(part, base_url)


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

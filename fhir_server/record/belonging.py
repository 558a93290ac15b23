"""Which records a resource belongs to.

A record is named by the id of its Patient. A Binary belongs where its owner does; see `store.binary`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fhir_server.fhir import reference
from fhir_server.record.elements import ELEMENT_NAMES, SEVERAL

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from fhir_server.fhir.json import Json, JsonObject


def records_of(type: str, id: str, resource: JsonObject, base_url: str = "") -> list[str]:
    """The ids of the Patients the resource is about, in the order it names them, each once; mostly one."""
    if type == "Patient":
        return [id]
    found: dict[str, None] = {}
    for about in subjects(type, resource):
        literal = about.get("reference")
        target = reference.local(literal, base_url) if isinstance(literal, str) else None
        if target is not None and target.type == "Patient":
            found[target.id] = None
    return list(found)


def record_of(type: str, id: str, resource: JsonObject, base_url: str = "") -> str | None:
    """The first of them, or nothing."""
    return next(iter(records_of(type, id, resource, base_url)), None)


def subjects(type: str, resource: JsonObject) -> list[JsonObject]:
    """The References that tell whom the resource is about."""
    if type not in SEVERAL:
        about = resource.get(ELEMENT_NAMES.get(type, ""))
        return [about] if isinstance(about, dict) else []
    if type == "Bundle":
        return _of_document(resource)
    return list(_at(resource, _NAMES[type]))


def is_fhir_document(resource: JsonObject) -> bool:
    """Whether it is a document in FHIR: a Bundle that begins with a Composition, https://hl7.org/fhir/R4/documents.html."""
    return resource.get("resourceType") == "Bundle" and resource.get("type") == "document"


def patients_inside(bundle: JsonObject) -> set[str]:
    """The ids by which a document names the Patients that it holds itself: their own, and those of their fullUrl."""
    found: set[str] = set()
    for entry in _list(bundle.get("entry")):
        resource = entry.get("resource") if isinstance(entry, dict) else None
        if isinstance(entry, dict) and isinstance(resource, dict) and resource.get("resourceType") == "Patient":
            found |= {str(resource.get("id")), str(entry.get("fullUrl")).rpartition("/")[2]}
    return found


def subject_identifier(about: JsonObject) -> tuple[str, str] | None:
    """The ``(system, value)`` by which a Reference without a literal names a patient, or nothing."""
    identifier = about.get("identifier")
    if "reference" in about or not isinstance(identifier, dict):
        return None
    system, value = identifier.get("system"), identifier.get("value")
    return (system, value) if isinstance(system, str) and isinstance(value, str) else None


def gathered(hidden: frozenset[str], about: Mapping[str, Collection[str]]) -> frozenset[str]:
    """What is hidden, and what tells of something hidden, however deep; ``about`` by what tells."""
    by_target: dict[str, list[str]] = {}
    for key, targets in about.items():
        for target in targets:
            by_target.setdefault(target, []).append(key)
    found, waiting = set(hidden), list(hidden)
    while waiting:
        for key in by_target.get(waiting.pop(), ()):
            if key not in found:
                found.add(key)
                waiting.append(key)
    return frozenset(found)


def untold(about: Mapping[str, Collection[str]], shown: Collection[str]) -> frozenset[str]:
    """Of what tells of others alone, what tells of nothing shown, however deep; ``about`` by what tells."""
    told, waiting = set(shown), dict(about)
    while found := [key for key, targets in waiting.items() if not told.isdisjoint(targets)]:
        told.update(found)
        for key in found:
            del waiting[key]
    return frozenset(waiting)


_NAMES: Final[Mapping[str, tuple[str, ...]]] = {type: tuple(path.split(".")[1:]) for type, path in SEVERAL.items()}


def _at(value: Json, names: tuple[str, ...]) -> Iterator[JsonObject]:
    """The objects at the end of a path, through every list on the way."""
    if isinstance(value, list):
        for part in value:
            yield from _at(part, names)
    elif isinstance(value, dict):
        if names:
            yield from _at(value.get(names[0]), names[1:])
        else:
            yield value


def _list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []


def _of_document(bundle: JsonObject) -> list[JsonObject]:
    """The subject of the Composition that a document begins with; other Bundles are about nobody."""
    entries = bundle.get("entry")
    first = entries[0] if bundle.get("type") == "document" and isinstance(entries, list) and entries else None
    composition = first.get("resource") if isinstance(first, dict) else None
    if not isinstance(composition, dict) or composition.get("resourceType") != "Composition":
        return []
    return subjects("Composition", composition)

"""What of this server a resource points to, wherever it says so: references, attachments, extensions, contained.

Of the directory and of one's own record everybody may know; all else may be hidden from a reader, and is then taken out
of what he is answered (`record.redact`, ADR 0018). A logical reference, by identifier alone, points to nothing here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fhir_server.fhir import reference
from fhir_server.record.belonging import is_fhir_document
from fhir_server.record.elements import ABOUT, DIRECTORY, TYPES

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from fhir_server.fhir.json import Json, JsonObject

MEMBERS: Final = frozenset(
    (
        "reference authority authorizationUrl definition definitionCanonical definitionUri detail endpoint eventUri "
        "fullUrl instantiates instantiatesCanonical instantiatesUri issuer jurisdiction library location measure "
        "moduleCanonical moduleUri policy protocol questionnaire resource source uri url valueCanonical valueUri "
        "valueUrl"
    ).split()
)
"""Members whose text may be the URL of a resource: `Reference.reference`, and what is of type uri, url or canonical.

Not among them: what names a code system, a value set or a profile (`tests/unit/test_record_pointers.py`).
"""


def target(text: str, base_url: str) -> str | None:
    """The ``Type/id`` of a record that a URL points to on this server; nothing for the directory, and elsewhere."""
    found = reference.local(text.partition("|")[0].partition("#")[0], base_url)
    if found is None or found.type in DIRECTORY or found.type not in TYPES:
        return None
    return str(found)


def pointers(resource: JsonObject, base_url: str = "", records: Collection[str] = ()) -> list[str]:
    """The ``Type/id`` that a resource points to, sorted, each once: not itself, nor the Patients of its ``records``.

    Nor, in a FHIR document, what it holds itself: by ``Observation/1`` it means its own entry of that name, and would
    lose it (https://hl7.org/fhir/R4/bundle.html#references).
    """
    own = {f"Patient/{record}" for record in records} | {f"{resource.get('resourceType')}/{resource.get('id')}"}
    if is_fhir_document(resource):
        own |= _held(resource, base_url)
    return sorted({found for text in _urls(resource) if (found := target(text, base_url)) is not None} - own)


def about(type: str, resource: JsonObject, base_url: str = "") -> list[str]:
    """Of what a resource tells (:data:`~fhir_server.record.elements.ABOUT`): the ``Type/id`` of this server, sorted.

    A Patient is not among them: whoever sees what belongs to his record knows of him. Of a List they are what all its
    entries point to, a Patient of another record, too; nothing when one of them points to no record.
    """
    element = resource.get(ABOUT.get(type, ""))
    if element is None:
        return []
    if type == "List":
        return _gathered(element, resource, base_url)
    found = (target(text, base_url) for text in _urls({"element": element}))
    return sorted({one for one in found if one is not None and not one.startswith("Patient/")})


def _gathered(entries: Json, of: JsonObject, base_url: str) -> list[str]:
    """What a List gathers; nothing where one of its entries is shown to whoever sees the record.

    That is one which points to no record of this server: to the directory, elsewhere, to what is contained, or by words
    alone; and one which points to the Patient whose record it is, or to the List itself.
    """
    told = [entry.get("item") for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
    keys = {_target_of(item, base_url) for item in told}
    if keys & {None, _target_of(of.get("subject"), base_url), f"List/{of.get('id')}"}:
        return []
    return sorted(key for key in keys if key is not None)


def _target_of(reference: Json | None, base_url: str) -> str | None:
    """The ``Type/id`` of a record that a Reference points to on this server."""
    literal = reference.get("reference") if isinstance(reference, dict) else None
    return target(literal, base_url) if isinstance(literal, str) else None


def _held(document: JsonObject, base_url: str) -> set[str]:
    """By ``Type/id``, the entries of a document that are no resources of this server, but its own."""
    found: set[str] = set()
    entries = document.get("entry")
    for entry in entries if isinstance(entries, list) else []:
        resource = entry.get("resource") if isinstance(entry, dict) else None
        full_url = entry.get("fullUrl") if isinstance(entry, dict) else None
        if isinstance(resource, dict) and isinstance(full_url, str) and reference.local(full_url, base_url) is None:
            found.add(f"{resource.get('resourceType')}/{resource.get('id')}")
            found.add("/".join(full_url.split("/")[-2:]))
    return found


def _urls(value: Json) -> Iterator[str]:
    """Every text that may be a URL, by the name of its member."""
    waiting: list[Json] = [value]
    while waiting:
        part = waiting.pop()
        if isinstance(part, list):
            waiting += part
        elif isinstance(part, dict):
            for name, one in part.items():
                if isinstance(one, str):
                    if name in MEMBERS:
                        yield one
                elif isinstance(one, list) and name in MEMBERS:
                    yield from (text for text in one if isinstance(text, str))
                    waiting.append(one)
                elif isinstance(one, dict | list):
                    waiting.append(one)

"""The two forms of a patch: JSON Patch and FHIRPath Patch, each with its media type, and each as an entry of a Bundle.

https://hl7.org/fhir/R4/http.html#patch
"""

from __future__ import annotations

from base64 import b64decode
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from fhir_server.fhir import json
from fhir_server.fhir.errors import Invalid, Malformed, TooLarge, UnsupportedMedia
from fhir_server.interactions import fhirpath_patch, json_patch
from fhir_server.interactions.messages import told

if TYPE_CHECKING:
    from fhir_server.definitions.tables import Definitions
    from fhir_server.fhir.json import Json

ENTRY: Final = ("Bundle.entry.resource",)


class PatchFormat(StrEnum):
    """Which patch a body is."""

    JSON_PATCH = "application/json-patch+json"
    FHIRPATH = "application/fhir+json"
    """Or in XML: what is read here is JSON by then."""


_FHIR: Final = frozenset({PatchFormat.FHIRPATH.value, "application/fhir+xml"})


def format_of(content_type: str | None) -> PatchFormat:
    """The form that a media type tells; any that tells none is refused before a body is read."""
    return PatchFormat.FHIRPATH if _media(content_type) in _FHIR else PatchFormat.JSON_PATCH


def of_entry(resource: bytes) -> tuple[PatchFormat, bytes]:
    """The patch an entry of a Bundle tells: a Parameters resource, or a JSON Patch as the data of a Binary."""
    patch = json.decode_object(resource)
    match patch.get("resourceType"):
        case "Parameters":
            return PatchFormat.FHIRPATH, resource
        case "Binary":
            return PatchFormat.JSON_PATCH, _data(patch.get("contentType"), patch.get("data"))
        case _:
            raise Invalid(told("patch-in-bundle"), expression=ENTRY)


def _data(content_type: Json, data: Json) -> bytes:
    if not isinstance(content_type, str) or _media(content_type) != PatchFormat.JSON_PATCH:
        raise UnsupportedMedia(told("patch-in-binary", type=PatchFormat.JSON_PATCH), expression=ENTRY)
    try:
        return b64decode("".join(data.split()) if isinstance(data, str) else "", validate=True)
    except ValueError:
        raise Invalid(told("binary-not-base64"), expression=ENTRY) from None


def _media(content_type: str | None) -> str:
    return (content_type or "").partition(";")[0].strip().lower()


def apply(format: PatchFormat, raw: bytes, body: bytes, definitions: Definitions) -> bytes:
    """The body after the patch; what did not change keeps its bytes."""
    if format is PatchFormat.JSON_PATCH:
        return json_patch.apply(raw, body)
    parameters = json.decode_lexical(raw)
    if not isinstance(parameters, dict):
        raise Malformed(told("patch-no-object"))
    changed = json_patch.as_written(fhirpath_patch.apply(json.decode_lexical(body), parameters, definitions), body)
    if len(changed) > max(json_patch.LARGEST_RESULT, len(body)):
        raise TooLarge(told("patched-too-large"))
    return changed

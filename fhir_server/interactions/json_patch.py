"""JSON Patch on a stored resource, without touching the numbers it does not change.

https://hl7.org/fhir/R4/http.html#patch · RFC 6902
"""

from __future__ import annotations

from typing import Any, Final

import jsonpatch
import jsonpointer

from fhir_server.fhir import json
from fhir_server.fhir.errors import Invalid, TooLarge, Unprocessable
from fhir_server.fhir.outcome import IssueType

MOST_OPERATIONS: Final = 200
LARGEST_RESULT: Final = 8 * 1024 * 1024

_MEMBERS: Final = {
    "add": {"path", "value"},
    "replace": {"path", "value"},
    "test": {"path", "value"},
    "remove": {"path"},
    "move": {"path", "from"},
    "copy": {"path", "from"},
}


def apply(raw: bytes, body: bytes) -> bytes:
    """The body after the patch; 400 for a patch that is none, 422 for one that does not fit the resource."""
    operations = _operations(json.decode_lexical(raw))
    changed: Any = json.decode_lexical(body)
    for position, operation in enumerate(operations):
        try:
            changed = jsonpatch.JsonPatch([operation]).apply(changed, in_place=True)
        except jsonpatch.JsonPatchTestFailed:
            raise Unprocessable(
                f"The test of operation {position} failed: {operation['path']} does not hold that value.",
                code=IssueType.CONFLICT,
            ) from None
        except (jsonpatch.JsonPatchException, jsonpointer.JsonPointerException, TypeError, KeyError, IndexError):
            raise Unprocessable(
                f"Operation {position} ({operation['op']} {operation['path']}) does not fit the resource.",
                code=IssueType.PROCESSING,
            ) from None
        if operation["op"] == "copy" and len(json.encode_lexical(changed)) > LARGEST_RESULT:
            raise TooLarge("The patch makes the resource too large.")
    return json.encode_lexical(changed)


def _operations(patch: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - whatever the client sent
    if not isinstance(patch, list) or not patch:
        raise Invalid("A JSON Patch is an array of operations.")
    if len(patch) > MOST_OPERATIONS:
        raise Invalid(f"The patch has {len(patch)} operations; this server takes {MOST_OPERATIONS}.")
    for position, operation in enumerate(patch):
        told = operation.get("op") if isinstance(operation, dict) else None
        if not isinstance(told, str) or told not in _MEMBERS:
            raise Invalid(f"Operation {position} is none of {', '.join(_MEMBERS)}.")
        missing = _MEMBERS[told] - operation.keys()
        if missing:
            raise Invalid(f"Operation {position} ({told}) lacks {' and '.join(sorted(missing))}.")
        for name in ("path", "from"):
            if name in _MEMBERS[told] and not _is_pointer(operation[name]):
                raise Invalid(f"The {name} of operation {position} is not a JSON Pointer: it begins with a slash.")
    return patch


def _is_pointer(text: object) -> bool:
    return isinstance(text, str) and (not text or text.startswith("/"))

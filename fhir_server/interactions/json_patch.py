"""JSON Patch on a stored resource, without touching the numbers it does not change.

https://hl7.org/fhir/R4/http.html#patch · RFC 6902

FHIR knows no empty array (https://hl7.org/fhir/R4/json.html#null): an element that repeats and is absent is a list of
none. So ``add`` to ``/securityLabel/-`` brings the first value too, and ``remove`` of the last one ends the element.
"""

from __future__ import annotations

from itertools import zip_longest
from typing import Any, Final

import jsonpatch
import jsonpointer

from fhir_server.fhir import json
from fhir_server.fhir.errors import Invalid, TooLarge, Unprocessable
from fhir_server.fhir.joining import both
from fhir_server.fhir.outcome import IssueType
from fhir_server.interactions.messages import told

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
        if operation["op"] == "add":
            _begin_list(changed, operation["path"])
        try:
            changed = jsonpatch.JsonPatch([operation]).apply(changed, in_place=True)
        except jsonpatch.JsonPatchTestFailed:
            message = told("test-failed", position=position, path=operation["path"])
            raise Unprocessable(message, code=IssueType.CONFLICT) from None
        except (jsonpatch.JsonPatchException, jsonpointer.JsonPointerException, TypeError, KeyError, IndexError):
            message = told("does-not-fit", position=position, type=operation["op"], path=operation["path"])
            raise Unprocessable(message, code=IssueType.PROCESSING) from None
        if operation["op"] == "copy" and len(json.encode_lexical(changed)) > LARGEST_RESULT:
            raise TooLarge(told("patched-too-large"))
    for operation in operations:
        if operation["op"] == "remove":
            _end_list(changed, operation["path"])
    return as_written(changed, body)


def _begin_list(resource: Any, path: str) -> None:  # noqa: ANN401 - any JSON
    """Make the empty list that a first value is added to."""
    holder, name = _holder(resource, path.removesuffix("/-"))
    if path.endswith("/-") and isinstance(holder, dict):
        holder.setdefault(name, [])


def _end_list(resource: Any, path: str) -> None:  # noqa: ANN401 - any JSON
    """Drop the empty list that a last value was removed from."""
    holder, name = _holder(resource, path.rpartition("/")[0])
    if isinstance(holder, dict) and holder.get(name) == []:
        del holder[name]


def _holder(resource: Any, path: str) -> tuple[Any, str]:  # noqa: ANN401 - any JSON
    """What holds the element at this path, and the element's name in it."""
    parent, _, name = path.rpartition("/")
    try:
        return jsonpointer.resolve_pointer(resource, parent, None), jsonpointer.unescape(name)
    except (jsonpointer.JsonPointerException, TypeError):
        return None, name


def _operations(patch: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - whatever the client sent
    if not isinstance(patch, list):
        raise Invalid(told("no-array"))
    if len(patch) > MOST_OPERATIONS:
        raise Invalid(told("too-many-operations", number=len(patch), most=MOST_OPERATIONS))
    for position, operation in enumerate(patch):
        type = operation.get("op") if isinstance(operation, dict) else None
        if not isinstance(type, str) or type not in _MEMBERS:
            raise Invalid(told("no-operation", position=position, known=", ".join(_MEMBERS)))
        missing = _MEMBERS[type] - operation.keys()
        if missing:
            raise Invalid(told("operation-lacks", position=position, type=type, names=both(sorted(missing))))
        for name in ("path", "from"):
            if name in _MEMBERS[type] and not _is_pointer(operation[name]):
                raise Invalid(told("no-pointer", name=name, position=position))
    return patch


def _is_pointer(text: object) -> bool:
    return isinstance(text, str) and (not text or text.startswith("/"))


def as_written(value: Any, before: bytes | None) -> bytes:  # noqa: ANN401 - any JSON
    """The value as compact JSON. What is as it was keeps its bytes: an escaped character stays escaped."""
    plain = json.encode_lexical(value)
    if before is None or plain == _plain(before):
        return before or plain
    if isinstance(value, dict) and before.startswith(b"{"):
        parts = json.members(before)
        return json.join_members({name: as_written(one, parts.get(name)) for name, one in value.items()})
    if isinstance(value, list) and before.startswith(b"["):
        places = json.elements(before)
        same = {_plain(one): one for one in places}
        return b"[%b]" % b",".join(
            same.get(json.encode_lexical(one)) or as_written(one, at)
            for one, at in zip_longest(value, places[: len(value)])
        )
    return plain


def _plain(raw: bytes) -> bytes:
    return json.encode_lexical(json.decode_lexical(raw))

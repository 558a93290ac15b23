"""FHIR batch: ``POST [base]`` with a Bundle of type batch; each entry is a request of its own.

https://hl7.org/fhir/R4/http.html#transaction

Each entry is authenticated as the whole, decided, traced and answered by itself; one that fails does not touch the
others. Transactions are not offered yet.
"""

from __future__ import annotations

from dataclasses import dataclass
from email.utils import format_datetime
from typing import TYPE_CHECKING, Final

from fhir_server.fhir import json
from fhir_server.fhir.date import instant, interval, moment
from fhir_server.fhir.errors import FhirError, Invalid, TooLarge, Unprocessable
from fhir_server.fhir.outcome import IssueType, operation_outcome
from fhir_server.interactions.answer import Answer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from fhir_server.fhir.json import Json, JsonObject

MOST_ENTRIES: Final = 1000
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"})
_CONDITIONS: Final = {"ifNoneMatch": "if-none-match", "ifMatch": "if-match", "ifNoneExist": "if-none-exist"}


@dataclass(frozen=True, slots=True)
class Call:
    """One entry as a request."""

    method: str
    url: str
    """Relative to the base."""
    headers: tuple[tuple[str, str], ...]
    body: bytes | None


async def batch(raw: bytes, perform: Callable[[Call], Awaitable[Answer]]) -> Answer:
    """Perform each entry, in order, and answer each."""
    bundle = json.decode_object(raw)
    if bundle.get("resourceType") != "Bundle":
        raise Invalid("A Bundle is expected here.", expression=("resourceType",))
    if bundle.get("type") != "batch":
        raise Unprocessable(
            f"This server takes Bundles of type batch; this one is {bundle.get('type', 'of no type')!r}.",
            expression=("Bundle.type",),
            code=IssueType.NOT_SUPPORTED,
        )
    entries = bundle.get("entry", [])
    if not isinstance(entries, list):
        raise Invalid("Bundle.entry must be an array.", expression=("Bundle.entry",))
    if len(entries) > MOST_ENTRIES:
        raise TooLarge(f"The Bundle has {len(entries)} entries; this server takes {MOST_ENTRIES}.")
    bodies = _bodies(raw)
    parts = [await _perform(entry, bodies, position, perform) for position, entry in enumerate(entries)]
    told = b'{"resourceType":"Bundle","type":"batch-response"'
    return Answer(200, told + (b',"entry":[' + b",".join(parts) + b"]" if parts else b"") + b"}")


def _bodies(raw: bytes) -> list[bytes | None]:
    """The bytes of each entry's resource, as they were written."""
    entries = json.elements(json.members(raw).get("entry", b"[]"))
    return [json.members(entry).get("resource") if entry.lstrip()[:1] == b"{" else None for entry in entries]


async def _perform(
    entry: Json, bodies: list[bytes | None], position: int, perform: Callable[[Call], Awaitable[Answer]]
) -> bytes:
    try:
        answer = await perform(_call(entry, bodies[position], position))
    except FhirError as error:
        outcome = operation_outcome(error.issues)
        return json.encode({"response": {"status": str(error.status), "outcome": outcome}})
    return _entry(answer)


def _call(entry: Json, body: bytes | None, position: int) -> Call:
    request = entry.get("request") if isinstance(entry, dict) else None
    where = f"Bundle.entry[{position}].request"
    if not isinstance(request, dict):
        raise Invalid("The entry has no request.", expression=(where,), code=IssueType.REQUIRED)
    method, url = request.get("method"), request.get("url")
    if not isinstance(method, str) or method not in _METHODS:
        raise Invalid(f"The method must be one of {', '.join(sorted(_METHODS))}.", expression=(f"{where}.method",))
    if not isinstance(url, str) or not url:
        raise Invalid("The entry has no url.", expression=(f"{where}.url",), code=IssueType.REQUIRED)
    return Call(method, url.removeprefix("/"), tuple(_conditions(request)), body)


def _conditions(request: JsonObject) -> list[tuple[str, str]]:
    told = [(header, value) for name, header in _CONDITIONS.items() if isinstance(value := request.get(name), str)]
    since = request.get("ifModifiedSince")
    if since is None:
        return told
    found = interval(since) if isinstance(since, str) else None
    if found is None:
        raise Invalid("ifModifiedSince must be an instant, such as 2026-01-31T10:00:00Z.", code=IssueType.VALUE)
    return [*told, ("if-modified-since", format_datetime(moment(found.low), usegmt=True))]


def _entry(answer: Answer) -> bytes:
    response: dict[str, object] = {"status": str(answer.status)}
    if answer.location is not None:
        response["location"] = answer.location
    if answer.version is not None:
        response["etag"] = f'W/"{answer.version}"'
    if answer.at is not None:
        response["lastModified"] = instant(moment(answer.at))
    resource = b'"resource":%b,' % answer.body if answer.body and answer.content_type is None else b""
    return b"{%b%b}" % (resource, b'"response":' + json.encode(response))

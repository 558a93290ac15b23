"""The entries of a batch or a transaction: read from the Bundle, each as a request; and answered as entries.

https://hl7.org/fhir/R4/bundle.html#transaction
"""

from __future__ import annotations

from dataclasses import dataclass
from email.utils import format_datetime
from typing import TYPE_CHECKING, Final

from fhir_server.fhir import json
from fhir_server.fhir.date import instant, interval, moment
from fhir_server.fhir.errors import Invalid, TooLarge
from fhir_server.fhir.outcome import IssueType, Language, operation_outcome
from fhir_server.interactions.messages import told

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fhir_server.fhir.json import Json, JsonObject
    from fhir_server.interactions.answer import Answer

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
    full_url: str | None = None

    @property
    def conditional(self) -> bool:
        """Whether a search says what it is done to, or that it is to be done."""
        return "?" in self.url or any(name == "if-none-exist" for name, _ in self.headers)

    @property
    def writes(self) -> bool:
        """Whether it writes a resource: of the answer, ``Prefer: return`` then says how much is wanted."""
        last = self.url.partition("?")[0].rpartition("/")[2]
        return self.method not in ("GET", "HEAD") and not last.startswith(("$", "_"))


def entries_of(bundle: JsonObject) -> list[Json]:
    """The entries of a Bundle, not too many."""
    entries = bundle.get("entry", [])
    if not isinstance(entries, list):
        raise Invalid(told("entries-no-array"), expression=("Bundle.entry",))
    if len(entries) > MOST_ENTRIES:
        raise TooLarge(told("too-many-entries", number=len(entries), most=MOST_ENTRIES))
    return entries


def bodies_of(raw: bytes) -> list[bytes | None]:
    """The bytes of each entry's resource, as they were written."""
    entries = json.elements(json.members(raw).get("entry", b"[]"))
    return [json.members(entry).get("resource") if entry.lstrip()[:1] == b"{" else None for entry in entries]


def call_of(entry: Json, body: bytes | None, position: int, base_url: str) -> Call:
    """One entry as a request; its URL may be written with the address of this server."""
    request = entry.get("request") if isinstance(entry, dict) else None
    where = f"Bundle.entry[{position}].request"
    if not isinstance(entry, dict) or not isinstance(request, dict):
        raise Invalid(told("no-request"), expression=(where,), code=IssueType.REQUIRED)
    method, url = request.get("method"), request.get("url")
    if not isinstance(method, str) or method not in _METHODS:
        raise Invalid(told("entry-method", methods=", ".join(sorted(_METHODS))), expression=(f"{where}.method",))
    if not isinstance(url, str) or not url:
        raise Invalid(told("no-url"), expression=(f"{where}.url",), code=IssueType.REQUIRED)
    url = url.removeprefix(f"{base_url}/")
    full_url = _text(entry, "fullUrl", f"Bundle.entry[{position}]")
    return Call(method, url.removeprefix("/"), tuple(_conditions(request, where)), body, full_url)


def response_entry(
    answer: Answer,
    returning: str = "representation",
    *,
    writing: bool = False,
    language: Language = Language.ENGLISH,
) -> bytes:
    """The answer of one entry; of a write as much as the client prefers."""
    response: dict[str, object] = {"status": str(answer.status)}
    if answer.location is not None:
        response["location"] = answer.location
    if answer.version is not None:
        response["etag"] = f'W/"{answer.version}"'
    if answer.at is not None:
        response["lastModified"] = instant(moment(answer.at))
    if writing and (answer.issues or returning == "OperationOutcome"):
        response["outcome"] = operation_outcome(answer.issues, language)
    shown = answer.body if not writing or returning == "representation" else None
    resource = b'"resource":%b,' % shown if shown else b""
    return b"{%b%b}" % (resource, b'"response":' + json.encode(response))


def response_bundle(type: str, parts: Sequence[bytes]) -> bytes:
    """The Bundle that answers, an entry for each entry, in their order."""
    told = b'{"resourceType":"Bundle","type":"%b"' % type.encode()
    return told + (b',"entry":[' + b",".join(parts) + b"]" if parts else b"") + b"}"


def _text(element: JsonObject, name: str, where: str) -> str | None:
    """What a member says that must be a text."""
    value = element.get(name)
    if value is not None and not isinstance(value, str):
        raise Invalid(told("entry-text", name=name), expression=(f"{where}.{name}",), code=IssueType.STRUCTURE)
    return value


def _conditions(request: JsonObject, where: str) -> list[tuple[str, str]]:
    named = ((header, _text(request, name, where)) for name, header in _CONDITIONS.items())
    conditions = [(header, value) for header, value in named if value is not None]
    since = _text(request, "ifModifiedSince", where)
    if since is None:
        return conditions
    found = interval(since)
    if found is None:
        raise Invalid(told("entry-instant"), code=IssueType.VALUE)
    return [*conditions, ("if-modified-since", format_datetime(moment(found.low), usegmt=True))]

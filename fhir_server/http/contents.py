"""Contents of Binaries over HTTP: sent and answered as what they are, in parts, whole or from here to there.

https://hl7.org/fhir/R4/binary.html#rest · https://www.rfc-editor.org/rfc/rfc9110#section-14

A content is somebody else's file. It is never a page of this server: whatever its type, a browser is told to save it,
not to guess what it is, and to let it do nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import msgspec

from fhir_server.fhir.errors import FhirError, Invalid, UnsupportedMedia
from fhir_server.fhir.media import essence, media_type
from fhir_server.fhir.outcome import IssueType
from fhir_server.http.messages import told
from fhir_server.http.negotiation import wish_of
from fhir_server.http.request import CLOSE
from fhir_server.http.response import Response, of_answer
from fhir_server.http.routes import Interaction
from fhir_server.interactions.natively import FHIR, JSON, Natively, Raw

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Container, Mapping

    from fhir_server.http.negotiation import Spoken
    from fhir_server.http.request import Incoming, Request
    from fhir_server.http.routes import Route
    from fhir_server.interactions.answer import Answer
    from fhir_server.interactions.exchange import Exchange
    from fhir_server.interactions.natively import Native

_RANGE: Final = re.compile(r"bytes=([0-9]*)-([0-9]*)", re.IGNORECASE)
_FAR: Final = 10**18
"""Beyond the end of every content."""
_DIGITS: Final = 18
_ENDINGS: Final[Mapping[str, str]] = {
    "application/dicom": ".dcm",
    "application/fhir+json": ".json",
    "application/json": ".json",
    "application/pdf": ".pdf",
    "application/rtf": ".rtf",
    "application/xml": ".xml",
    "application/zip": ".zip",
    "image/gif": ".gif",
    "image/jpeg": ".jpg",
    "image/png": ".png",
    "image/tiff": ".tiff",
    "text/csv": ".csv",
    "text/plain": ".txt",
    "text/xml": ".xml",
}
"""How the name ends under which a content is saved; that of another type has no ending."""
_HARMLESS: Final = (
    (b"content-security-policy", b"default-src 'none'; sandbox"),
    (b"accept-ranges", b"bytes"),
)


class RangeNotSatisfiable(FhirError):
    """A part is asked for that the content does not have."""

    status = 416
    issue = IssueType.PROCESSING


@dataclass(frozen=True, slots=True)
class Stretch:
    """From which byte to before which one."""

    start: int
    stop: int


def natively(request: Request, route: Route) -> Natively | None:
    """How a content may be answered as what it is; nothing where FHIR is asked for, or nothing else is offered."""
    if route.type != "Binary" or route.interaction not in (Interaction.READ, Interaction.VREAD):
        return None
    if any(name == "_format" for name, _ in request.pairs()):
        return None
    return Natively.of(request.headers.get("accept"))


def takes_content(route: Route) -> bool:
    """Whether a content may be sent there, instead of a resource."""
    writes = route.interaction in (Interaction.CREATE, Interaction.UPDATE) and not route.on_condition
    return writes and route.type == "Binary"


def is_raw(route: Route, content_type: str | None) -> bool:
    """Whether a body is the content of a Binary, and not a Binary: when it is of a type that does not mean FHIR."""
    return takes_content(route) and content_type is not None and essence(content_type) not in FHIR | JSON


def is_content(body: bytes, content_type: str, types: Container[str]) -> bool:
    """Whether what was sent to Binary as FHIR is a content all the same: anything but a Binary.

    A FHIR document, then, or any JSON under a type that is not FHIR's own. What is no JSON, or under FHIR's own type
    names no resource type, is a Binary that went wrong.
    """
    try:
        read = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return False
    type = read.get("resourceType") if isinstance(read, dict) else None
    if isinstance(type, str) and type in types:
        return type != "Binary"
    return type is None and essence(content_type) in JSON


async def at_once(body: bytes) -> AsyncIterator[bytes]:
    """A content that is there already."""
    yield body


def take_content(request: Request, exchange: Exchange, spoken: Spoken, parts: AsyncIterator[bytes]) -> None:
    """Note a content that is to be received; 415 for a Content-Type that cannot be read.

    What a content is says nothing of the form in which its Binary is wanted.
    """
    named = request.headers.get("content-type", "")
    plain = media_type(named)
    if plain is None:
        raise UnsupportedMedia(told("no-media-type", found=named[:120]))
    exchange.raw = Raw(plain, request.headers.get("x-security-context"), parts)
    format = dict(reversed(request.pairs())).get("_format")
    spoken.wish = wish_of(request.headers.get("accept"), format, None)


def leave_unread(exchange: Exchange, request: Request, incoming: Incoming, error: FhirError) -> None:
    """A content that is refused is not read to its end: the connection is closed."""
    if exchange.raw is None or incoming.ended:
        return
    if CLOSE not in error.headers:
        error.headers = (*error.headers, CLOSE)
    if "expect" in request.headers and not incoming.asked:
        incoming.ended = True  # who waits for leave to send it is not sending it


def must_not_name_owner(headers: Mapping[str, str]) -> None:
    """Refuse a header that would not be looked at: a Binary that is sent as a resource names its owner itself."""
    if "x-security-context" in headers:
        raise Invalid(
            told("owner-by-header"),
            expression=("Binary.securityContext",),
        )


def _stretch(headers: Mapping[str, str], answer: Answer, native: Native) -> Stretch | None:
    """The part of a content that is asked for, nothing for all of it; 416 for one that it does not have.

    Several parts at once, other units, and what cannot be read are answered whole, as RFC 9110 allows; so is a part of
    another version than ``If-Range`` names. A date names none: a version may have come in the same second.
    """
    wanted = _RANGE.fullmatch(headers.get("range", "").strip())
    condition = headers.get("if-range")
    if (
        wanted is None
        or wanted[0].endswith("=-")
        or (condition is not None and condition.strip() != f'"{answer.version}"')
    ):
        return None
    first, last = (_number(digits) for digits in wanted.groups())
    if first is not None and last is not None and last < first:
        return None
    if first is None:
        start, stop = max(native.size - (last or 0), 0), native.size
    else:
        start, stop = first, native.size if last is None else min(last + 1, native.size)
    if start >= native.size or (first is None and last == 0):
        raise RangeNotSatisfiable(
            told("nothing-at", size=native.size, range=wanted[0]),
            headers=(("Content-Range", f"bytes */{native.size}"),),
        )
    return Stretch(start, stop)


async def of_native(request: Request, answer: Answer, native: Native) -> Response:
    """A content, whole or the part of it that is asked for.

    Its first bytes are read, so that a failure is told and is not a cut answer.
    """
    part = _stretch(request.headers, answer, native) if request.method == "GET" else None
    name = f"{answer.target}{_ENDINGS.get(essence(native.content_type), '')}"
    headers = [
        (b"content-type", native.content_type.encode()),
        (b"content-disposition", f'attachment; filename="{name}"'.encode()),
        *_HARMLESS,
    ]
    whole = of_answer(answer, returning="representation", writing=False)
    start, stop = (0, native.size) if part is None else (part.start, part.stop)
    if part is not None:
        headers.append((b"content-range", f"bytes {start}-{stop - 1}/{native.size}".encode()))
    parts = None if request.method == "HEAD" else await _begun(native.read(start, stop))
    status = HTTPStatus.OK if part is None else HTTPStatus.PARTIAL_CONTENT
    return Response(status, (*whole.headers, *headers), b"", parts, stop - start)


async def _begun(parts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same parts, the first of them read."""
    first = await anext(parts, b"")

    async def all_of() -> AsyncIterator[bytes]:
        yield first
        async for part in parts:
            yield part

    return all_of()


def _number(digits: str) -> int | None:
    if not digits:
        return None
    return int(digits) if len(digits) <= _DIGITS else _FAR

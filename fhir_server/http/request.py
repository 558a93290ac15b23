"""A request as it arrived, taken apart once: path, query, headers, body.

https://hl7.org/fhir/R4/http.html
"""

from __future__ import annotations

import asyncio
import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote_to_bytes

from fhir_server.fhir.errors import FhirError, Malformed, TooLarge, Unauthenticated, UnsupportedMedia
from fhir_server.fhir.outcome import IssueType
from fhir_server.http.messages import told
from fhir_server.interactions.search import parse_pairs

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

CLOSE: Final = ("Connection", "close")
"""Of an answer to who may still be sending."""
Receive = "Callable[[], Awaitable[Any]]"

_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._\-]{1,64}")
_ONCE: Final = frozenset(
    {
        "authorization",
        "content-type",
        "content-length",
        "if-match",
        "if-none-match",
        "if-none-exist",
        "if-modified-since",
        "if-range",
        "range",
        "x-security-context",
    }
)


class ClientGone(Exception):
    """The client closed the connection before its body was whole: there is nobody to answer."""


class BodyTimeout(FhirError):
    """The client paused too long within its body."""

    status = 408
    issue = IssueType.TIMEOUT


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked, before anybody knows who asks."""

    method: str
    path: str
    """As sent, below the base, without the query."""
    segments: tuple[str, ...]
    query: str
    headers: Mapping[str, str]
    address: str
    request_id: str

    @property
    def line(self) -> bytes:
        """The request as the trail keeps it."""
        return f"{self.method} {self.path}{'?' if self.query else ''}{self.query}".encode()

    def pairs(self) -> list[tuple[str, str]]:
        """The query's pairs."""
        return parse_pairs(self.query)


def read_request(scope: Mapping[str, Any], base_path: str, request_id: str) -> Request:
    """Take a request apart; what cannot be read is 400."""
    headers: dict[str, str] = {}
    repeated: str | None = None
    for raw_name, raw_value in scope["headers"]:
        name = raw_name.decode("latin-1")
        if name in headers and name in _ONCE:
            repeated = name
        headers[name] = (
            f"{headers[name]}, {raw_value.decode('latin-1')}" if name in headers else raw_value.decode("latin-1")
        )
    if repeated == "authorization":
        raise Unauthenticated(told("two-authorizations"), headers=(("WWW-Authenticate", "Bearer"),))
    if repeated is not None:
        raise Malformed(told("header-twice", header=repeated))
    raw_path: bytes = scope.get("raw_path") or scope["path"].encode()
    path = raw_path.partition(b"?")[0].decode("latin-1").removeprefix(base_path)
    client = scope.get("client")
    return Request(
        method=scope["method"],
        path=path,
        segments=_segments(path),
        query=scope["query_string"].decode("latin-1"),
        headers=headers,
        address=client[0] if client else "unknown",
        request_id=request_id,
    )


def request_id_of(scope: Mapping[str, Any]) -> str:
    """The client's own id of the request where it is a short plain word, else a new one; known before all else."""
    given = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"x-request-id"), "")
    return given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(16)


def _segments(path: str) -> tuple[str, ...]:
    """The parts between slashes, each decoded by itself: an encoded slash never makes a new part."""
    parts = path.strip("/").split("/") if path.strip("/") else []
    try:
        return tuple(unquote_to_bytes(part).decode() for part in parts)
    except UnicodeDecodeError:
        raise Malformed(told("path-not-utf-8")) from None


class Incoming:
    """The body of a request as it comes, and whether all of it did."""

    def __init__(self, receive: Callable[[], Awaitable[Any]]) -> None:
        """Nothing of it was asked for yet."""
        self._receive = receive
        self.asked = False
        self.ended = False

    async def __call__(self) -> Any:  # noqa: ANN401 - a message of ASGI
        """The next part of it."""
        self.asked = True
        message = await self._receive()
        self.ended = message["type"] == "http.disconnect" or not message.get("more_body", False)
        return message


async def read_body(
    receive: Callable[[], Awaitable[Any]], headers: Mapping[str, str], *, limit: int, pause: float
) -> bytes:
    """The whole body, cut while it is read: 413 over the limit, 408 after a pause too long."""
    return b"".join([part async for part in parts_of(receive, headers, limit=limit, pause=pause)])


async def parts_of(
    receive: Callable[[], Awaitable[Any]], headers: Mapping[str, str], *, limit: int, pause: float
) -> AsyncIterator[bytes]:
    """The same body part by part, for who need not have all of it at once."""
    coding = headers.get("content-encoding", "identity").strip().lower()
    if coding not in ("", "identity"):
        raise UnsupportedMedia(told("content-encoding", coding=coding[:40]))
    length = headers.get("content-length", "0")
    if length.isdigit() and int(length[:15]) > limit:
        raise TooLarge(told("too-long", size=length[:15], limit=limit), headers=(CLOSE,))
    size = 0
    while True:
        try:
            async with asyncio.timeout(pause):
                message = await receive()
        except TimeoutError:
            raise BodyTimeout(told("pause", seconds=pause), headers=(CLOSE,)) from None
        if message["type"] == "http.disconnect":
            raise ClientGone
        part = message.get("body", b"")
        size += len(part)
        if size > limit:
            raise TooLarge(told("longer-than", limit=limit), headers=(CLOSE,))
        yield part
        if not message.get("more_body", False):
            return


def preferences(prefer: str | None) -> dict[str, str]:
    """The ``name=value`` of a Prefer header, lower-case names."""
    if not prefer:
        return {}
    parts = (part.partition("=") for part in prefer.replace(";", ",").split(","))
    return {name.strip().lower(): value.strip().strip('"') for name, _, value in parts}

"""What every answer of the server must be like, and requests that no well-behaved client library would send."""

from __future__ import annotations

import json
import re
import socket
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from fhir_server.definitions.load import load
from fhir_server.definitions.xml_codec import XmlCodec
from fhir_server.fhir.outcome import IssueType, Severity

CODEC: Final = XmlCodec(load())
LEAKS: Final = re.compile(
    r"Traceback|File \"|line \d+, in |pymongo|bson|msgspec|starlette|uvicorn|site-packages|\.py\b"
)
"""Signs of the inside of the server, which no answer may show."""

HYGIENE: Final = {
    "cache-control": "private, no-store",
    "vary": "Accept, Accept-Language, Authorization, Prefer",
    "x-content-type-options": "nosniff",
}
"""Headers of every answer."""


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer taken from a socket."""

    status: int
    headers: dict[str, str]
    content: bytes

    def json(self) -> Any:
        """The body."""
        return json.loads(self.content)

    @property
    def text(self) -> str:
        """The body as text."""
        return self.content.decode()


def hygienic(response: httpx.Response | Answered) -> None:
    """The headers that every answer carries, whatever it says."""
    for name, value in HYGIENE.items():
        assert response.headers.get(name) == value, name
    assert response.headers.get("x-request-id")


def status_of(response: httpx.Response | Answered) -> int:
    """The status code."""
    return response.status if isinstance(response, Answered) else response.status_code


def content(response: httpx.Response | Answered) -> Any:
    """What an answer says, in whichever representation."""
    in_xml = response.headers["content-type"] == "application/fhir+xml;charset=utf-8"
    return json.loads(CODEC.to_json(response.content)) if in_xml else response.json()


def refused(
    response: httpx.Response | Answered, status: int, code: str | None = None, says: str = ""
) -> dict[str, Any]:
    """Check that it is refused as it should be, in words for people; answer the first issue."""
    assert status_of(response) == status, response.text[:2000]
    hygienic(response)
    assert response.headers["content-type"].startswith(("application/fhir+json", "application/fhir+xml"))
    told = content(response)
    assert told["resourceType"] == "OperationOutcome"
    assert response.headers["content-language"] == "en"
    assert "language" not in told
    assert told["issue"]
    for issue in told["issue"]:
        assert issue["severity"] in set(Severity)
        assert issue["code"] in set(IssueType)
        assert len(issue["diagnostics"]) > 10, issue
        assert " " in issue["diagnostics"], issue
    assert LEAKS.search(response.text) is None, response.text[:2000]
    first: dict[str, Any] = told["issue"][0]
    assert first["severity"] in ("error", "fatal")
    if code is not None:
        assert first["code"] == code, first
    assert says in first["diagnostics"], first
    return first


def raw(base: str, request: bytes | str, *, token: str | None = None, body: bytes = b"", wait: float = 10) -> Answered:
    """Send a request line with its headers as written, then a body; the answer until the server closes."""
    head = request.encode("latin-1") if isinstance(request, str) else request
    lines = [head, b"Host: x", b"Connection: close"]
    if token is not None:
        lines.append(b"Authorization: Bearer " + token.encode())
    if body:
        lines.append(b"Content-Length: %d" % len(body))
    with connect(base, wait) as client:
        client.sendall(b"\r\n".join(lines) + b"\r\n\r\n" + body)
        return received(client)


def connect(base: str, wait: float = 10) -> socket.socket:
    """A connection to the server."""
    where = urlsplit(base)
    return socket.create_connection((where.hostname or "", where.port or 80), wait)


def received(client: socket.socket) -> Answered:
    """The answer on a connection that the server closes after it."""
    told = b""
    while more := client.recv(65536):
        told += more
    head, _, content = told.partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return Answered(int(status.split(" ")[1]), headers, content)

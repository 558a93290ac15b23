"""HTTP/1.1 with a time and a size limit on what comes before the body.

uvicorn waits for headers as long as a client likes and keeps as many as it sends; a few hundred slow clients would
hold all connections. https://www.rfc-editor.org/rfc/rfc9110#name-408-request-timeout
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

LONGEST_HEADERS = 64 * 1024
"""Bytes before a body: FHIR searches with long lists use POST beyond this."""


class BoundedProtocol(HttpToolsProtocol):
    """Closes a connection whose headers are late (408) or long (431)."""

    header_timeout: ClassVar[float] = 10.0
    _deadline: asyncio.TimerHandle | None = None
    _received = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as in the parent
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._expect()

    def data_received(self, data: bytes) -> None:
        """Count what comes while headers are incomplete."""
        waiting_since = self._deadline
        super().data_received(data)
        if self._deadline is None:
            return
        # Bytes of an earlier request in the same piece do not count for this one.
        self._received = self._received + len(data) if self._deadline is waiting_since else 1
        if self._received > LONGEST_HEADERS:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "too-long", "The headers are too long.")

    def on_message_begin(self) -> None:
        """Begin to wait for the headers of a further request."""
        super().on_message_begin()
        if self._deadline is None:
            self._expect()

    def on_headers_complete(self) -> None:
        """Stop waiting."""
        self._relax()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._relax()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP with an OperationOutcome like every other failure."""
        self._refuse(HTTPStatus.BAD_REQUEST, "structure", msg)

    def _expect(self) -> None:
        self._received = 0
        self._deadline = self.loop.call_later(
            self.header_timeout, self._refuse, HTTPStatus.REQUEST_TIMEOUT, "timeout", "The headers came too slowly."
        )

    def _relax(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _refuse(self, status: HTTPStatus, code: str, diagnostics: str) -> None:
        self._relax()
        if self.transport.is_closing():
            return
        # A connection that never sent a byte, as browsers open them in advance, is closed without a word.
        if self._received or status is not HTTPStatus.REQUEST_TIMEOUT:
            self.transport.write(_answer(status, code, diagnostics))
        self.transport.close()


def _answer(status: HTTPStatus, code: str, diagnostics: str) -> bytes:
    body = (
        '{"resourceType":"OperationOutcome","issue":[{"severity":"error",'
        f'"code":"{code}","diagnostics":"{diagnostics}"}}]}}'
    ).encode()
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: application/fhir+json; charset=utf-8\r\n"
        f"content-length: {len(body)}\r\ncache-control: private, no-store\r\n"
        "content-language: en\r\nvary: Accept, Accept-Language, Authorization, Prefer\r\n"
        "x-content-type-options: nosniff\r\nconnection: close\r\n\r\n"
    )
    return head.encode("ascii") + body

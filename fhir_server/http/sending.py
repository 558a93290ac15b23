"""How an answer goes out: at once, or while it is read.

https://asgi.readthedocs.io/en/latest/specs/www.html#response-start-send-event
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import structlog

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from fhir_server.http.request import Incoming
    from fhir_server.http.response import Response

    Send: TypeAlias = Callable[[Any], Awaitable[None]]

_logger = structlog.get_logger("fhir_server.http")

_LINGER: Final = 5.0
"""Seconds in which the rest of a refused body is taken in, before the connection is closed."""


async def send_whole(send: Send, incoming: Incoming, response: Response, request_id: str, *, head: bool) -> None:
    """Send an answer whose bytes are there."""
    body = response.body
    await _begin(send, response, len(body) if response.length is None else response.length, request_id)
    body = b"" if head or response.status in (204, 304) else body
    stopped = response.status == HTTPStatus.REQUEST_TIMEOUT  # he sends nothing more
    if not incoming.ended and not stopped and (b"connection", b"close") in response.headers:
        # a connection closed on somebody who still sends is reset, and he may never read why
        await send({"type": "http.response.body", "body": body, "more_body": True})
        await _linger(incoming)
        body = b""
    await send({"type": "http.response.body", "body": body})


async def send_parts(
    send: Send, incoming: Incoming, response: Response, parts: AsyncIterator[bytes], request_id: str
) -> None:
    """Send while it is read; a failure in the middle closes the connection, so that nobody takes it for the whole."""
    await _begin(send, response, response.length or 0, request_id)
    gone = asyncio.create_task(_gone(incoming))
    try:
        async for part in parts:
            if gone.done():
                return
            await send({"type": "http.response.body", "body": part, "more_body": True})
    except Exception:
        _logger.exception("cut short", request=request_id)
        return
    finally:
        gone.cancel()
    await send({"type": "http.response.body", "body": b""})


async def _begin(send: Send, response: Response, length: int, request_id: str) -> None:
    headers = [*response.headers]
    if response.status not in (204, 304):
        headers.append((b"content-length", b"%d" % length))
    headers.append((b"x-request-id", request_id.encode()))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})


async def _gone(incoming: Incoming) -> None:
    """Return when the client closed the connection."""
    while (await incoming())["type"] != "http.disconnect":
        pass


async def _linger(incoming: Incoming) -> None:
    """Take what is still being sent and drop it, for a moment."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_LINGER):
            while not incoming.ended:
                await incoming()

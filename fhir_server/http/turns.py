"""Large Bundles wait for their turn as they came: read, one takes several times its bytes."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from fhir_server.fhir.errors import Unavailable
from fhir_server.http.messages import told

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

LARGE: Final = 1024 * 1024
"""Bytes of a Bundle from which on it waits for others of its size; smaller ones pass it by."""
_AT_ONCE: Final = 2
_PATIENCE_SECONDS: Final = 120.0


class Turns:
    """Whose turn it is, in one process."""

    def __init__(self) -> None:
        """It is anybody's."""
        self._gate = asyncio.Semaphore(_AT_ONCE)

    @asynccontextmanager
    async def of(self, size: int) -> AsyncIterator[None]:
        """Wait for the turn of a Bundle of so many bytes, and have it in the body; 503 when it does not come."""
        if size < LARGE:
            yield
            return
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                await self._gate.acquire()
        except TimeoutError:
            raise Unavailable(told("too-many-bundles")) from None
        try:
            yield
        finally:
            self._gate.release()

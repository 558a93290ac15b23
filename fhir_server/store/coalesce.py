"""Look-ups of concurrent requests, sent together.

Round trips decide what a request costs (docs/storage.md). A batch is sent when everything that the event loop has ready
has run, so requests that arrive or are woken together share it; while batches are under way the next one gathers by
itself. A request never joins a batch already sent, so what it gets was read after it asked: nothing is cached, and no
revocation is outlived.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

Found = TypeVar("Found")

_IN_FLIGHT: Final = 2
"""Batches under way at once: one more would only make them smaller."""
_LARGEST: Final = 200


class Coalescer(Generic[Found]):
    """Turns single look-ups into look-ups of many."""

    def __init__(self, find: Callable[[Sequence[str]], Awaitable[Mapping[str, Found]]]) -> None:
        """``find`` answers what it knows of several keys; an unknown key is not in its answer."""
        self._find = find
        self._waiting: dict[str, list[asyncio.Future[Found | None]]] = {}
        self._under_way = 0
        self._due = False
        self._tasks: set[asyncio.Task[Any]] = set()

    async def get(self, key: str) -> Found | None:
        """What is stored under the key at a moment after this call, or nothing."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Found | None] = loop.create_future()
        self._waiting.setdefault(key, []).append(future)
        if not self._due and self._under_way < _IN_FLIGHT:
            self._due = True
            loop.call_soon(self._send)
        return await future

    def _send(self) -> None:
        """Send what waits, as far as batches may be under way; the rest is sent when one of them ends."""
        self._due = False
        if not self._waiting or self._under_way >= _IN_FLIGHT:
            return
        keys = list(self._waiting)[:_LARGEST]
        batch = {key: self._waiting.pop(key) for key in keys}
        self._under_way += 1
        task = asyncio.create_task(self._look_up(batch))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _look_up(self, batch: dict[str, list[asyncio.Future[Found | None]]]) -> None:
        try:
            found = await self._find(list(batch))
        except BaseException as error:  # noqa: BLE001 - whatever happened is told to everybody who waits
            for future in _open(batch):
                future.set_exception(error)
        else:
            for key, futures in batch.items():
                for future in futures:
                    if not future.done():
                        future.set_result(found.get(key))
        finally:
            self._under_way -= 1
            self._send()


def _open(batch: Mapping[str, list[asyncio.Future[Found | None]]]) -> list[asyncio.Future[Found | None]]:
    return [future for futures in batch.values() for future in futures if not future.done()]

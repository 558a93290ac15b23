"""Things done at the same moment, by threads that wait for each other before they begin; and things done aside."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any, TypeVar

Answer = TypeVar("Answer")


def together(calls: Sequence[Callable[[], Answer]]) -> list[Answer]:
    """Make all these calls at once; their answers in the same order."""
    start = Barrier(len(calls))

    def begin(call: Callable[[], Answer]) -> Answer:
        start.wait(10)
        return call()

    with ThreadPoolExecutor(len(calls)) as threads:
        return [one.result(60) for one in [threads.submit(begin, call) for call in calls]]


def aside(work: Coroutine[Any, Any, Answer]) -> Answer:
    """Do it in a loop of its own: pytest runs one in this thread already."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()

"""The processes that answer requests: this one alone, or several that share one listening socket.

With several, this process keeps the socket and the database, and starts anew a worker that ends by itself. A
connection that arrives meanwhile waits in the socket; it is not lost.
"""

from __future__ import annotations

import gc
import logging
import multiprocessing
import os
import signal
import socket
import time
from collections.abc import Callable
from multiprocessing.connection import wait
from typing import TYPE_CHECKING

import uvicorn

from fhir_server import log
from fhir_server.cli.exits import Exit, Stop
from fhir_server.cli.protocol import BoundedProtocol
from fhir_server.settings import Settings
from fhir_server.store import leash

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.context import SpawnProcess
    from types import FrameType

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_BACKLOG = 2048
_KEEP_ALIVE_SECONDS = 75
_BREATH = 1.0
"""Seconds between two starts of a worker, so that one that cannot live does not take the machine."""
_MARGIN = 10.0

_logger = logging.getLogger(__name__)


def answer_alone(settings: Settings, listening: socket.socket) -> None:
    """Answer requests in this process until a signal ends it, after the requests under way."""
    why_not = _run(settings, listening)
    if why_not:
        raise Stop(f"The server could not start: {why_not}", Exit.START)


def answer_together(settings: Settings, listening: socket.socket, is_ready: Callable[[], bool]) -> None:
    """Answer requests in ``settings.workers`` processes; return never, end by an exception such as a signal's."""
    spawn = multiprocessing.get_context("spawn")
    key = os.urandom(32)
    failures, tell = spawn.Pipe(duplex=False)

    def start() -> SpawnProcess:
        process = spawn.Process(target=_worker, args=(settings, listening, os.getpid(), key, tell))
        process.start()
        return process

    processes: list[SpawnProcess] = []
    try:
        processes += [start() for _ in range(settings.workers)]
        while True:
            wait([process.sentinel for process in processes])
            for place, process in enumerate(processes):
                if process.is_alive():
                    continue
                if not is_ready():
                    why_not = failures.recv() if failures.poll() else f"it ended with {process.exitcode}."
                    raise Stop(f"A worker could not start: {why_not}", Exit.START)
                _logger.warning("worker %s ended by itself with %s; another takes its place", place, process.exitcode)
                time.sleep(_BREATH)
                processes[place] = start()
    finally:
        listening.close()
        for process in processes:
            process.terminate()
        deadline = time.monotonic() + settings.drain_timeout + _MARGIN
        for process in processes:
            process.join(max(0.0, deadline - time.monotonic()))
            if process.is_alive():
                process.kill()
                process.join()


def _worker(settings: Settings, listening: socket.socket, parent: int, key: bytes, tell: Connection[str, str]) -> None:
    os.setsid()  # Ctrl-C is for the parent, which tells us
    leash.tie(parent)
    stop_on_signals()
    log.configure(settings.log_level, key=key)
    why_not = _run(settings, listening)
    if why_not:
        tell.send(why_not)
        raise SystemExit(Exit.START)


def stop_on_signals() -> None:
    """Let SIGTERM and Ctrl-C unwind what is open, rather than end the process where it stands.

    While uvicorn serves they are its own: it ends the requests under way, then raises the signal again.
    """

    def end(_number: int, _frame: FrameType | None) -> None:
        raise SystemExit(Exit.DONE)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)


def _run(settings: Settings, listening: socket.socket) -> str:
    """Serve until told to stop; the reason when it never started."""
    start = _Start(settings)
    protocol = type("Protocol", (BoundedProtocol,), {"header_timeout": settings.header_timeout})
    config = uvicorn.Config(
        start.application,
        factory=True,
        loop="uvloop",
        http=protocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=_BACKLOG,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        # uvicorn takes whole seconds, and nothing is not "no limit" here
        timeout_graceful_shutdown=max(1, round(settings.drain_timeout)),
    )
    server = uvicorn.Server(config)
    try:
        server.run(sockets=[listening])
    except SystemExit:
        if server.started:
            raise
    return "" if server.started else start.failure or "it was stopped before it was ready."


class _Start:
    """The application as uvicorn builds and starts it, and in one sentence why that failed."""

    def __init__(self, settings: Settings) -> None:
        self.failure = ""
        self._settings = settings

    def application(self) -> ASGIApp:
        """Build it; uvicorn calls this once."""
        from fhir_server import app  # noqa: PLC0415 - only workers need it: other commands start faster without

        try:
            built = app.build(self._settings)
        except Exception as error:  # noqa: BLE001 - whatever it is, the operator gets a sentence
            self._failed(f"{type(error).__name__}: {error}", error)
            raise SystemExit(Exit.START) from None

        async def started(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "lifespan":
                await self._lifespan(built, scope, receive, send)
            else:
                await built(scope, receive, send)

        return started

    async def _lifespan(self, built: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        async def shortened(message: Message) -> None:
            if message["type"] == "lifespan.startup.failed":
                # The framework puts a whole traceback here; its last line is the sentence.
                self._failed(str(message.get("message", "")).strip().rpartition("\n")[2], None)
                message = {"type": "lifespan.startup.failed", "message": ""}
            elif message["type"] == "lifespan.startup.complete":
                # What was made until now lives as long as the process: 140,000 objects, through which the garbage
                # collector would go again and again, 50 ms each time, while everybody waits.
                gc.collect()
                gc.freeze()
            await send(message)

        try:
            await built(scope, receive, shortened)
        except Exception as error:
            if not self.failure:
                raise
            _logger.debug("the start failed", exc_info=error)

    def _failed(self, why: str, error: Exception | None) -> None:
        self.failure = why or "the application gave no reason."
        logging.getLogger("uvicorn.error").disabled = True  # it would say that it failed, and not why
        _logger.debug("the start failed", exc_info=error)

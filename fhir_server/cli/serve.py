"""``serve``: everything from an empty folder to a server that answers, and back to nothing running.

The order matters. The port first, because nothing else is worth doing without it; the database before the workers, so
that its URI is known; the announcement last, when ``[base]/metadata`` answers. At the end the workers finish their
requests before the database stops.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import signal
import socket
import time
from pathlib import Path
from typing import Annotated

import typer
from pydantic import SecretStr

from fhir_server import log
from fhir_server.cli.announce import Announcement
from fhir_server.cli.database import own_database
from fhir_server.cli.exits import Exit, Stop, one_sentence
from fhir_server.cli.metrics import exposed
from fhir_server.cli.workers import answer_alone, answer_together, stop_on_signals
from fhir_server.identity.development import write_base_url
from fhir_server.settings import LogLevel, Settings, load_settings
from fhir_server.store.embedded import EmbeddedError
from fhir_server.store.folder import make_private

_logger = logging.getLogger(__name__)

_BUSY_SECONDS = 2.0
"""How long a busy port is tried again: the workers of a killed server need a moment to close theirs."""


def serve_command(
    *,
    demo: Annotated[bool | None, typer.Option("--demo", help="With demonstration records and actors.")] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.", show_default="127.0.0.1")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0: a free one.", show_default="8080")] = None,
    data: Annotated[Path | None, typer.Option(help="Data folder.", show_default="data beside the script")] = None,
    base_url: Annotated[
        str | None, typer.Option(help="The base that clients use.", show_default="http://HOST:PORT/fhir")
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Processes that answer.", show_default="1")] = None,
    mongodb_uri: Annotated[
        str | None, typer.Option(help="A replica set to use instead of the embedded MongoDB (MONGODB_URI).")
    ] = None,
    mongod: Annotated[Path | None, typer.Option(help="The mongod program for a new data folder.")] = None,
    metrics_port: Annotated[int | None, typer.Option(help="Loopback port for Prometheus metrics.")] = None,
    log_level: Annotated[LogLevel | None, typer.Option(help="How much is logged.", show_default="info")] = None,
) -> None:
    """Serve FHIR, with an embedded MongoDB unless another one is named. Other settings: FHIR_* variables."""
    with one_sentence():
        serve(
            load_settings(
                demo=demo,
                host=host,
                port=port,
                data_folder=data,
                base_url=base_url,
                workers=workers,
                mongodb_uri=None if mongodb_uri is None else SecretStr(mongodb_uri),
                mongod=mongod,
                metrics_port=metrics_port,
                log_level=log_level,
            )
        )


def serve(settings: Settings) -> None:
    """Serve until a signal ends it."""
    stop_on_signals()
    log.configure(settings.log_level)
    listening = listen(settings)
    settings = _with_port(settings, listening.getsockname()[1])
    lost = _Lost()
    with listening, own_database(settings, lost.stop) as ready, exposed(ready) as metrics:
        make_private(ready.data_folder)
        write_base_url(ready.data_folder, ready.base_url)
        if ready.demo:
            from fhir_server.cli.demo import ensure_demo  # noqa: PLC0415 - heavy, and only for the demonstration

            asyncio.run(ensure_demo(ready))
        announcement = Announcement(ready, metrics=metrics)
        announcement.start()
        _logger.info("serving with %s workers", ready.workers)
        try:
            if ready.workers == 1:
                answer_alone(ready, listening)
            else:
                answer_together(ready, listening, lambda: announcement.is_ready)
        finally:
            _logger.info("stopped serving")
            if lost.failure is not None:
                raise Stop(str(lost.failure), Exit.DATABASE)


def listen(settings: Settings) -> socket.socket:
    """The bound socket; nobody can connect before a worker listens."""
    deadline = time.monotonic() + _BUSY_SECONDS
    try:
        family, _, _, _, address = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise Stop(f"The address {settings.host} is not known: {error.strerror}.", Exit.PORT) from None
    while True:
        bound = socket.socket(family, socket.SOCK_STREAM)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind(address)
        except OSError as error:
            bound.close()
            if error.errno == errno.EADDRINUSE and time.monotonic() < deadline:
                time.sleep(0.1)
                continue
            why = (
                "is in use by another program; stop it, or choose another with --port"
                if error.errno == errno.EADDRINUSE
                else f"cannot be listened on: {error.strerror}"
            )
            raise Stop(f"Port {settings.port} of {settings.host} {why}.", Exit.PORT) from None
        return bound


class _Lost:
    """Ends the server when the embedded MongoDB is lost for good."""

    def __init__(self) -> None:
        self.failure: EmbeddedError | None = None

    def stop(self, failure: EmbeddedError) -> None:
        self.failure = failure
        os.kill(os.getpid(), signal.SIGTERM)


def _with_port(settings: Settings, port: int) -> Settings:
    """The same settings with the port that the system chose, in the base URL too."""
    if settings.port == port:
        return settings
    base_url = settings.base_url.replace(f":{settings.port}/", f":{port}/", 1)
    return settings.model_copy(update={"port": port, "base_url": base_url})

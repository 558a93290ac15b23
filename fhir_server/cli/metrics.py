"""Prometheus metrics on a port of the loopback address, apart from the records.

Several workers count each in files of their own; the process that started them adds them up. The choice is made by an
environment variable that the library reads when it is first imported, so it has to be set before.

https://prometheus.github.io/client_python/multiprocess/
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from fhir_server.cli.exits import Exit, Stop
from fhir_server.settings import Settings

_SHARED = "PROMETHEUS_MULTIPROC_DIR"
_ADDRESS = "127.0.0.1"


@contextmanager
def exposed(settings: Settings) -> Iterator[str]:
    """Serve the metrics for that time; their URL."""
    counts = tempfile.mkdtemp(prefix="fhir-server-metrics-") if settings.workers > 1 else None
    if counts is not None:
        os.environ[_SHARED] = counts
    try:
        from prometheus_client import REGISTRY, CollectorRegistry, start_http_server  # noqa: PLC0415 - see above
        from prometheus_client.multiprocess import MultiProcessCollector  # noqa: PLC0415

        registry = REGISTRY
        if counts is not None:
            registry = CollectorRegistry()
            MultiProcessCollector(registry, path=counts)  # type: ignore[no-untyped-call]
        try:
            server, thread = start_http_server(settings.metrics_port, addr=_ADDRESS, registry=registry)
        except OSError as error:
            raise Stop(
                f"The metrics cannot listen on {_ADDRESS}:{settings.metrics_port}: {error.strerror}.", Exit.PORT
            ) from None
        try:
            yield f"http://{_ADDRESS}:{server.server_port}/metrics"
        finally:
            server.shutdown()
            thread.join()
    finally:
        if counts is not None:
            shutil.rmtree(counts, ignore_errors=True)

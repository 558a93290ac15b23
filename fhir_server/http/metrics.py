"""Counters for Prometheus; they are exposed on a port of their own (docs/operate/)."""

from __future__ import annotations

import time
from functools import lru_cache
from typing import Final

from prometheus_client import Counter, Histogram

_REQUESTS: Final = Counter("fhir_requests", "Requests answered.", ("interaction", "status"))
_SECONDS: Final = Histogram(
    "fhir_request_seconds",
    "Seconds from the first header to the answer.",
    ("interaction",),
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)


def count(interaction: str, status: int, began: float) -> None:
    """Count one answered request; ``began`` is of `time.perf_counter`."""
    _requests(interaction, status).inc()
    _seconds(interaction).observe(time.perf_counter() - began)


@lru_cache(maxsize=512)
def _requests(interaction: str, status: int) -> Counter:
    return _REQUESTS.labels(interaction, str(status))


@lru_cache(maxsize=64)
def _seconds(interaction: str) -> Histogram:
    return _SECONDS.labels(interaction)

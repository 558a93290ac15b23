"""A real server as its users meet it: a process of its own, real HTTP, real tokens, a real mongod."""

from __future__ import annotations

import os
import re
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from fhir_server.identity.actors import ACTORS, claims_for
from fhir_server.identity.development import DevelopmentIssuer

ROOT = Path(__file__).resolve().parent.parent
FHIR_JSON = {"Content-Type": "application/fhir+json"}
JSON_PATCH = {"Content-Type": "application/json-patch+json"}
PLAIN = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For plain HTTP: spares each client the 40 ms of reading the certificates of the system."""


@dataclass
class Served:
    """A running server with the demonstration records."""

    base: str
    data: Path
    process: subprocess.Popen[bytes]
    log: Path
    _clients: dict[str, httpx.Client] = field(default_factory=dict, repr=False)

    def token(self, actor: str, *, lifetime: int = 3600, extra: dict[str, Any] | None = None, **named: Any) -> str:
        """A token of a demo actor; ``named`` are patient, purpose, reason."""
        issuer = DevelopmentIssuer.existing(self.data)
        claims = claims_for(
            ACTORS[actor],
            base_url=self.base,
            now=time.time(),
            lifetime=lifetime,
            extra_claims=extra,
            **named,
        )
        return issuer.issue(claims)

    def as_(self, actor: str, **named: Any) -> httpx.Client:
        """A client that speaks as this actor; kept for the session."""
        key = f"{actor} {sorted(named.items())}"
        if key not in self._clients:
            self._clients[key] = self.client(self.token(actor, **named))
        return self._clients[key]

    def client(self, token: str | None = None) -> httpx.Client:
        """A client with this token, or without any."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.Client(base_url=self.base, headers=headers, timeout=30, verify=PLAIN)

    def stop(self) -> int:
        """End it as an operator would, and answer its exit code."""
        for client in self._clients.values():
            client.close()
        self._clients.clear()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60)


@contextmanager
def serving(data: Path, *options: str, demo: bool = True, env: dict[str, str] | None = None) -> Iterator[Served]:
    """Start ``serve`` on a free port and wait until ``/metadata`` answers."""
    data.parent.mkdir(parents=True, exist_ok=True)
    log = data.parent / f"{data.name}.log"
    command = [sys.executable, "-m", "fhir_server", "serve", "--port", "0", "--data", str(data), *options]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, *(["--demo"] if demo else [])],
            cwd=ROOT,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(env or {})},
        )
    served = Served(_wait(process, log), data, process, log)
    try:
        yield served
    finally:
        served.stop()


def _wait(process: subprocess.Popen[bytes], log: Path, seconds: float = 90) -> str:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = re.search(r"ready at (http://\S+/fhir)", log.read_text(errors="replace"))
        if found:
            return found[1]
        if process.poll() is not None:
            break
        time.sleep(0.05)
    process.kill()
    raise AssertionError(f"the server did not start:\n{log.read_text(errors='replace')[-4000:]}")

"""What `serve` prints once the server answers: where it is, and what to try first."""

from __future__ import annotations

import http.client
import shlex
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import typer

from fhir_server.cli.folders import DEFAULT_DATA_FOLDER
from fhir_server.identity.actors import ACTORS
from fhir_server.settings import Settings

_EVERY_SECONDS = 0.05
_PATIENCE = 120.0
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - where to knock when the server listens everywhere

_DEPOSIT = (
    "-H 'Content-Type: application/fhir+json' "
    """-d '{"resourceType":"Binary","contentType":"text/plain","data":"Qm9uam91cg=="}' """
)
_TRY = {
    "patient": "AuditEvent?patient=demo-1&_sort=-date",
    "representant": "DocumentReference?patient=demo-3",
    "hopital": "DocumentReference?patient=demo-1",
    "conformance": "Patient?_count=5",
    "support": "AuditEvent?_count=5",
}
_TRY_OTHERWISE = "DocumentReference?patient=demo-1"
_FEEDS_ONLY = "assurance-maladie"


class Announcement:
    """Knocks at the server until it answers, then says so; a thread of its own does it."""

    def __init__(self, settings: Settings, *, metrics: str | None) -> None:
        """Prepare to announce a server with these settings."""
        self._settings = settings
        self._metrics = metrics
        self._ready = threading.Event()

    def start(self) -> None:
        """Begin to knock."""
        threading.Thread(target=self._knock, name="announcement", daemon=True).start()

    @property
    def is_ready(self) -> bool:
        """Whether the server has answered."""
        return self._ready.is_set()

    def _knock(self) -> None:
        host = _EVERYWHERE.get(self._settings.host, self._settings.host)
        path = f"{urlsplit(self._settings.base_url).path}/metadata"
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            if _answers(host, self._settings.port, path):
                self._ready.set()
                typer.echo("\n".join(lines(self._settings, metrics=self._metrics)))
                return
            time.sleep(_EVERY_SECONDS)
        typer.echo(f"The server does not answer {path} with 200 after {_PATIENCE:g} s; see the log.", err=True)


def lines(settings: Settings, *, metrics: str | None) -> list[str]:
    """The announcement."""
    said = [f"FHIR R4 server ready at {settings.base_url}"]
    if metrics:
        said.append(f"Metrics at {metrics}")
    if settings.demo:
        said.append("Demonstration records; try:")
        width = max(map(len, ACTORS))
        for actor in ACTORS.values():
            said += [f"  # {actor.key:<{width}}  {actor.name}, {actor.gloss}", f"  {curl(actor.key, settings)}"]
    said.append("Stop with Ctrl-C.")
    return said


def curl(actor: str, settings: Settings) -> str:
    """A command to paste. The token is made when it runs: none is printed, none expires on the screen."""
    launcher = Path(__file__).resolve().parents[2] / "fhir-server"
    script = "./fhir-server" if Path.cwd() == launcher.parent else shlex.quote(str(launcher))
    folder = settings.data_folder
    data = "" if folder == DEFAULT_DATA_FOLDER else f" --data {shlex.quote(str(folder.absolute()))}"
    target = "Binary" if actor == _FEEDS_ONLY else _TRY.get(actor, _TRY_OTHERWISE)
    body = _DEPOSIT if actor == _FEEDS_ONLY else ""
    return f"curl -s -H \"Authorization: Bearer $({script} token {actor}{data})\" {body}'{settings.base_url}/{target}'"


def _answers(host: str, port: int, path: str) -> bool:
    connection = http.client.HTTPConnection(host, port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()

"""``load PATH...``: send resources from files to a running server, through its front door.

A resource with an id is PUT, another POSTed. Several connections send at once, so a resource may arrive before one it
refers to: what is refused is tried again after all the others, as long as that gets something in.
"""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Annotated, Self
from urllib.parse import SplitResult, urlsplit

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from fhir_server.cli.exits import Exit, Stop, one_sentence
from fhir_server.cli.folders import DEFAULT_DATA_FOLDER
from fhir_server.cli.package import install_terminology
from fhir_server.cli.sources import Item, Unreadable, files, items
from fhir_server.identity.actors import ACTORS, claims_for
from fhir_server.identity.development import DevelopmentIssuer, read_base_url

_TIMEOUT = 60.0
_MOST_SHOWN = 200
_LATER = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY})
"""Refusals that another resource, arriving later, may lift."""


@dataclass(frozen=True, slots=True)
class Reject:
    """What did not get in, and why."""

    source: str
    what: str
    why: str


@dataclass(slots=True)
class Connections:
    """One kept connection for each sending thread."""

    base_url: str
    token: str
    _own: threading.local = field(default_factory=threading.local)
    _all: list[http.client.HTTPConnection] = field(default_factory=list)

    def __enter__(self) -> Self:
        """Nothing is opened before it is needed."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close them all."""
        for connection in self._all:
            connection.close()

    def send(self, item: Item) -> tuple[int, str]:
        """The status of the answer, and the diagnostics when it is a refusal."""
        parts = urlsplit(self.base_url)
        path = f"{parts.path}/{item.type}" + (f"/{item.id}" if item.id else "")
        head = {
            "Authorization": f"Bearer {self.token}",
            "Content-Type": "application/fhir+json",
            "Accept": "application/fhir+json",
            "Prefer": "return=minimal",
        }
        connection = self._connection(parts)
        try:
            connection.request("PUT" if item.id else "POST", path, item.body, head)
            answer = connection.getresponse()
            told = answer.read()
        except ConnectionRefusedError:
            raise Stop(
                f"No server answers at {self.base_url}; start it with ./fhir-server serve.", Exit.START
            ) from None
        except (OSError, http.client.HTTPException, UnicodeError, ValueError) as error:
            connection.close()
            return 0, f"no answer ({type(error).__name__}); whether it was stored is not known"
        if answer.status == HTTPStatus.UNAUTHORIZED:
            raise Stop(f"The server at {self.base_url} does not accept the token: {_diagnostics(told)}", Exit.USAGE)
        return answer.status, "" if answer.status < HTTPStatus.BAD_REQUEST else _diagnostics(told)

    def _connection(self, base: SplitResult) -> http.client.HTTPConnection:
        kept: http.client.HTTPConnection | None = getattr(self._own, "connection", None)
        if kept is None:
            kind = http.client.HTTPSConnection if base.scheme == "https" else http.client.HTTPConnection
            kept = self._own.connection = kind(base.hostname or "", base.port, timeout=_TIMEOUT)
            self._all.append(kept)
        return kept


def load_command(
    paths: Annotated[list[Path], typer.Argument(help="Files (.json, .ndjson) and folders.", exists=True)],
    *,
    data: Annotated[Path, typer.Option(help="Data folder of the server.")] = DEFAULT_DATA_FOLDER,
    base_url: Annotated[
        str | None, typer.Option(help="The server's base.", show_default="what the server of the data folder uses")
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(help="Bearer token.", envvar="FHIR_TOKEN", show_default="the demonstration's conformance client"),
    ] = None,
    connections: Annotated[int, typer.Option(min=1, max=32, help="Connections that send at once.")] = 4,
    terminology: Annotated[
        bool, typer.Option("--terminology", help="The files are FHIR packages (.tgz): install their code lists.")
    ] = False,
) -> None:
    """Send resources from files to the running server."""
    if terminology:
        install_terminology(paths, data, None)
        return
    with one_sentence():
        base = (base_url or read_base_url(data)).rstrip("/")
        if urlsplit(base).scheme not in {"http", "https"} or not urlsplit(base).hostname:
            raise Stop(f"{base} is not an http or https URL.", Exit.USAGE)
        found = list(files(paths))
        if not found:
            raise Stop("No .json or .ndjson file was found there.", Exit.USAGE)
        with Connections(base, token or _conformance_token(data, base)) as sender:
            loaded, rejects = load(found, sender, connections)
        for reject in rejects[:_MOST_SHOWN]:
            typer.echo(f"{reject.source}: {reject.what}: {reject.why}", err=True)
        if len(rejects) > _MOST_SHOWN:
            typer.echo(f"and {len(rejects) - _MOST_SHOWN} more.", err=True)
        typer.echo(f"{loaded} loaded, {len(rejects)} rejected.")
        if rejects:
            raise typer.Exit(Exit.FOUND_FAULTS)


def load(found: list[Path], sender: Connections, connections: int) -> tuple[int, list[Reject]]:
    """How many got in, and what did not."""
    rejects: list[Reject] = []
    loaded = 0
    with _bar() as progress, ThreadPoolExecutor(connections) as threads:
        bar = progress.add_task("load", total=sum(file.stat().st_size for file in found if file.exists()))
        waiting: list[tuple[Item, Reject]] = []
        for item, status, why in _sent(_every(found), sender, threads, connections):
            progress.advance(bar, item.weight)
            if isinstance(item, Unreadable):
                rejects.append(Reject(item.source, "unreadable", item.why))
            elif _is_in(status):
                loaded += 1
            elif status in _LATER:
                waiting.append((item, _reject(item, status, why)))
            else:
                rejects.append(_reject(item, status, why))
        got_in = True
        while waiting and got_in:
            again, waiting, got_in = [item for item, _ in waiting], [], False
            for item, status, why in _sent(again, sender, threads, connections):
                if _is_in(status):
                    loaded, got_in = loaded + 1, True
                elif isinstance(item, Item):
                    waiting.append((item, _reject(item, status, why)))
    return loaded, rejects + [reject for _, reject in waiting]


def _every(found: list[Path]) -> Iterator[Item | Unreadable]:
    for file in found:
        yield from items(file)


def _sent(
    every: Iterable[Item | Unreadable], sender: Connections, threads: ThreadPoolExecutor, connections: int
) -> Iterator[tuple[Item | Unreadable, int, str]]:
    """Send as many at once as there are connections, and give the answers in the order of the files."""
    under_way: deque[tuple[Item, Future[tuple[int, str]]]] = deque()
    for item in every:
        if isinstance(item, Unreadable):
            yield item, 0, item.why
            continue
        under_way.append((item, threads.submit(sender.send, item)))
        if len(under_way) > 2 * connections:
            sent, answer = under_way.popleft()
            yield sent, *answer.result()
    for sent, answer in under_way:
        yield sent, *answer.result()


def _is_in(status: int) -> bool:
    return HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES


def _reject(item: Item, status: int, why: str) -> Reject:
    what = f"{item.type}/{item.id}" if item.id else item.type
    return Reject(item.source, what, f"{status} {why}" if status else why)


def _diagnostics(body: bytes) -> str:
    """What the OperationOutcome says, or the beginning of whatever came instead."""
    try:
        issues = json.loads(body)["issue"]
        said = [_issue(issue) for issue in issues if issue["severity"] in {"error", "fatal"}]
    except (ValueError, KeyError, TypeError):
        return body[:200].decode(errors="replace")
    return "; ".join(said)


def _issue(issue: dict[str, object]) -> str:
    text = str(issue.get("diagnostics") or issue.get("code"))
    where = issue.get("expression")
    return f"{text} ({', '.join(map(str, where))})" if isinstance(where, list) and where else text


def _conformance_token(data: Path, base_url: str) -> str:
    claims = claims_for(ACTORS["conformance"], base_url=base_url, now=time.time())
    return DevelopmentIssuer.existing(data).issue(claims)


def _bar() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )

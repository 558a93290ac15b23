"""``doctor``: looks at the installation, says what is wrong, and how to mend it."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import importlib.metadata
import os
import re
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from pydantic import SecretStr

from fhir_server.cli.database import any_database
from fhir_server.cli.exits import Exit
from fhir_server.settings import Settings, SettingsError, load_settings
from fhir_server.store import mongod
from fhir_server.store.embedded import EmbeddedError
from fhir_server.store.folder import FolderError, owner
from fhir_server.store.keys import Wrapped
from fhir_server.store.reach import Unreachable, content_keys, examine
from fhir_server.store.sealing import MasterKeys

_ROOT = Path(__file__).resolve().parents[2]
_PINNED = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)([^\\]*)", re.MULTILINE)
_SPACE_NEEDED = 1024**3
_SKEW_SECONDS = 5.0
_OLDEST_CLOCK = datetime(2026, 1, 1, tzinfo=UTC)
_OTHERS = 0o077


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, what was seen, and how to mend it when it is not right."""

    subject: str
    seen: str
    mend: str = ""

    @property
    def is_right(self) -> bool:
        """Whether there is nothing to mend."""
        return not self.mend


def doctor_command(
    *,
    data: Annotated[Path | None, typer.Option(help="Data folder.", show_default="data beside the script")] = None,
    mongodb_uri: Annotated[str | None, typer.Option(help="The replica set, if not the embedded MongoDB.")] = None,
    port: Annotated[int | None, typer.Option(help="The port the server is to use.")] = None,
) -> None:
    """Check the installation; say what is wrong and how to mend it."""
    faults = 0
    for finding in findings(data, mongodb_uri, port):
        faults += not finding.is_right
        typer.echo(f"{'ok   ' if finding.is_right else 'WRONG'}  {finding.subject}: {finding.seen}")
        if finding.mend:
            typer.echo(f"       mend: {finding.mend}")
    if faults:
        typer.echo(f"{faults} {'thing is' if faults == 1 else 'things are'} wrong.")
        raise typer.Exit(Exit.FOUND_FAULTS)
    typer.echo("All is well.")


def findings(data: Path | None, mongodb_uri: str | None, port: int | None) -> Iterator[Finding]:
    """Everything that was looked at, in the order in which one would mend it."""
    yield python()
    yield packages()
    try:
        uri = None if mongodb_uri is None else SecretStr(mongodb_uri)
        settings = load_settings(data_folder=data, mongodb_uri=uri, port=port)
    except SettingsError as error:
        yield Finding("settings", str(error), "correct the FHIR_* variable or the option")
        return
    yield Finding("settings", "can be used")
    checks: list[Callable[[Settings], Finding]] = [folder, space, clock, free_port]
    if settings.mongodb_uri is None:
        yield libcurl()
        checks.insert(0, program)
    for check in checks:
        yield check(settings)
    yield from database(settings)


def python() -> Finding:
    """The interpreter."""
    seen = f"{sys.version_info.major}.{sys.version_info.minor}.{sys.version_info.micro} ({sys.executable})"
    right = (3, 11) <= sys.version_info[:2] <= (3, 13)
    return Finding("Python", seen, "" if right else "install Python 3.11, 3.12 or 3.13 and set FHIR_PYTHON to it")


def packages(lock: Path = _ROOT / "requirements.lock") -> Finding:
    """The installed packages against the lock file."""
    if not lock.is_file():
        return Finding("packages", "no lock file here to compare with")
    wrong: list[str] = []
    for name, wanted, marker in _PINNED.findall(lock.read_text()):
        try:
            installed = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            if ";" not in marker:  # with a marker it may be for another system
                wrong.append(f"{name} is missing")
        else:
            if installed != wanted:
                wrong.append(f"{name} is {installed}, not {wanted}")
    if wrong:
        return Finding("packages", ", ".join(wrong), "delete the folder .venv and run ./fhir-server again")
    return Finding("packages", f"as {lock.name} wants them")


def libcurl() -> Finding:
    """The one system library that mongod needs and a small system may lack."""
    try:
        ctypes.CDLL("libcurl.so.4")
    except OSError:
        return Finding("libcurl4", "missing", mongod.APT_LINE)
    return Finding("libcurl4", "installed")


def program(settings: Settings) -> Finding:
    """The mongod program."""
    with tempfile.TemporaryDirectory() as scratch:
        try:
            found = mongod.inspect(settings.mongod or mongod.bundled(Path(scratch)))
        except EmbeddedError as error:
            return Finding("mongod", str(error), "mend what the sentence names, or give another one with --mongod PATH")
    return Finding("mongod", f"{found.version} runs ({found.path})")


def folder(settings: Settings) -> Finding:
    """The data folder: ours, private, and who uses it."""
    path = settings.data_folder
    if not path.exists():
        return Finding("data folder", f"{path} is not there yet; the first start makes it")
    status = path.stat()
    if status.st_uid != os.geteuid():
        return Finding("data folder", f"{path} belongs to user {status.st_uid}", f"sudo chown -R {os.geteuid()} {path}")
    if not os.access(path, os.W_OK | os.X_OK):
        return Finding("data folder", f"{path} cannot be written", f"chmod 700 {path}")
    if status.st_mode & _OTHERS:
        return Finding("data folder", f"{path} can be read by others", f"chmod 700 {path}")
    holder = owner(path)
    return Finding("data folder", f"{path}, " + (f"in use by process {holder}" if holder else "free"))


def space(settings: Settings) -> Finding:
    """Room on the disk."""
    path = settings.data_folder.absolute()
    while not path.exists():
        path = path.parent
    free = shutil.disk_usage(path).free
    seen = f"{free / _SPACE_NEEDED:.1f} GB free for {settings.data_folder}"
    return Finding("disk", seen, "" if free >= _SPACE_NEEDED else "make room, or use another disk with --data")


def clock(_settings: Settings) -> Finding:
    """The time, on which tokens and rights depend."""
    now = datetime.now(UTC)
    seen = f"{now:%Y-%m-%d %H:%M:%S} UTC"
    return Finding("clock", seen, "" if now > _OLDEST_CLOCK else "set the clock: timedatectl set-ntp true")


def free_port(settings: Settings) -> Finding:
    """The port to listen on."""
    subject = f"port {settings.port}"
    with socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            if owner(settings.data_folder) is not None:
                return Finding(subject, "in use, most likely by the server of this data folder")
            return Finding(subject, error.strerror or "cannot be used", "stop what uses it, or choose with --port")
    return Finding(subject, "free")


def database(settings: Settings) -> Iterator[Finding]:
    """The database, its clock, and its indexes."""
    if settings.mongodb_uri is None and not settings.data_folder.exists():
        yield Finding("database", "none yet; the first start makes it")
        return
    with contextlib.ExitStack() as stack:
        try:
            ready = stack.enter_context(any_database(settings))
        except (EmbeddedError, FolderError, Unreachable) as error:
            yield Finding("database", str(error), "mend what the sentence names")
            return
        yield Finding("database", "answers")
        skew, absent = asyncio.run(examine(_uri(ready), ready.database))
        wrapped = asyncio.run(content_keys(_uri(ready), ready.database))
    mend = "set the clocks of both machines: timedatectl set-ntp true"
    yield Finding("database clock", f"{skew:.1f} s from ours", mend if abs(skew) > _SKEW_SECONDS else "")
    if absent:
        yield Finding("indexes", f"missing: {', '.join(absent)}", "start the server: it makes them")
    else:
        yield Finding("indexes", "all there")
    yield encryption(settings.master_keys, wrapped)


def encryption(masters: MasterKeys | None, wrapped: Sequence[Wrapped]) -> Finding:
    """Whether contents are encrypted, and whether those that are can be read."""
    subject = "encryption of contents"
    known = masters.keys if masters is not None else {}
    missing = [one for one in wrapped if one.master not in known]
    if missing:
        told = ", ".join(f"{one.keys} records need the master key {one.master}" for one in missing)
        return Finding(subject, f"{told}, which is not given", "give it with content_key_file or content_keys, too")
    if masters is None:
        return Finding(subject, "off")
    older = ", ".join(f"{one.keys} still under {one.master}" for one in wrapped if one.master != masters.first)
    return Finding(subject, f"on, by the master key {masters.first}{f'; {older}' if older else ''}")


def _uri(settings: Settings) -> str:
    return "" if settings.mongodb_uri is None else settings.mongodb_uri.get_secret_value()

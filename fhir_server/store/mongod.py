"""The mongod program: where it is, which version it is, how it is called, and why it ended.

https://www.mongodb.com/docs/v6.0/reference/program/mongod/
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

APT_LINE = "sudo apt-get install libcurl4"
_WHEEL = ("fiftyone", "db", "bin", "mongod")
_VERSION = re.compile(r"db version v(\d+\.\d+\.\d+)")
_SPACE_NEEDED = 200 * 1024 * 1024


class EmbeddedError(Exception):
    """The embedded MongoDB cannot run; the message is one sentence that says how to mend it."""


@dataclass(frozen=True, slots=True)
class Program:
    """A mongod that answered with its version."""

    path: Path
    version: str
    stamp: str
    """Size and time of the file, by which a changed program is noticed without running it."""

    @property
    def series(self) -> str:
        """``6.0`` of ``6.0.5``: within a series the files are the same."""
        return self.version.rpartition(".")[0]


def bundled(keep: Path) -> Path:
    """The mongod that the installed wheel carries, made runnable; ``keep`` takes a copy where that is not allowed."""
    found = _in_wheel()
    if found is None:
        raise EmbeddedError(
            "No mongod is installed with this server; run ./fhir-server again to complete the installation, "
            "or give one with --mongod PATH, or an external database with --mongodb-uri."
        )
    if os.access(found, os.X_OK):
        return found
    try:
        found.chmod(found.stat().st_mode | 0o111)
    except OSError:
        copy = keep / "mongod"
        if not copy.exists() or copy.stat().st_size != found.stat().st_size:
            draft = keep / ".mongod"
            shutil.copyfile(found, draft)
            draft.chmod(0o700)
            draft.replace(copy)
        return copy
    return found


def inspect(path: Path, known: Program | None = None) -> Program:
    """Ask a mongod for its version; a program already ``known`` and unchanged is not run."""
    try:
        status = path.stat()
    except OSError as error:
        raise EmbeddedError(f"There is no mongod at {path}: {error.strerror}.") from None
    stamp = f"{status.st_size}-{status.st_mtime_ns}"
    if known is not None and known.path == path and known.stamp == stamp:
        return known
    try:
        answer = subprocess.run(  # noqa: S603 - the program the operator chose, no shell
            [path, "--version"], capture_output=True, text=True, timeout=60, check=False, env=environment()
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EmbeddedError(f"The mongod at {path} cannot be run: {error}.") from None
    version = _VERSION.search(answer.stdout)
    if answer.returncode == 0 and version is None:
        raise EmbeddedError(f"The program at {path} is not a mongod.")
    if version is None:
        raise EmbeddedError(why_it_ended(answer.returncode, answer.stderr, [], path.parent))
    return Program(path, version[1], stamp)


def environment() -> dict[str, str]:
    """What mongod gets of our environment: nothing that names secrets."""
    return {name: value for name, value in os.environ.items() if name in {"HOME", "LD_LIBRARY_PATH", "PATH", "TZ"}}


def arguments(*, database: Path, port: int, key_file: Path, log: Path, cache_gb: float, oplog_mb: int) -> list[str]:
    """The command line: one member, this machine only, every connection authenticated."""
    return [
        *("--dbpath", str(database), "--port", str(port), "--bind_ip", "127.0.0.1", "--nounixsocket"),
        *("--replSet", REPLICA_SET, "--keyFile", str(key_file), "--oplogSize", str(oplog_mb)),
        *("--wiredTigerCacheSizeGB", f"{cache_gb:g}", "--logpath", str(log), "--logappend", "--quiet"),
        # Without this, whoever on this machine connects first to a new database could make himself its administrator.
        *("--setParameter", "enableLocalhostAuthBypass=false"),
        # There is no other member to hand over to: waiting for one would only delay the stop by 15 s.
        *("--setParameter", "shutdownTimeoutMillisForSignaledShutdown=0"),
        *("--setParameter", "diagnosticDataCollectionEnabled=false"),
    ]


REPLICA_SET = "fhir"
PORT_TAKEN = 48
"""The exit code of a mongod whose port somebody else took."""


def why_it_ended(code: int, output: str, log: list[str], folder: Path) -> str:
    """Say in one sentence why mongod ended, from its exit code, its output and the end of its log."""
    missing = re.search(r"error while loading shared libraries: (\S+):", output)
    if missing is not None:
        mend = f": {APT_LINE}" if missing[1].startswith("libcurl.") else " with your system's packages"
        return f"The library {missing[1]} is missing, mongod needs it; install it{mend}."
    if code == -signal.SIGILL:
        return (
            "This processor lacks instructions (AVX) that mongod needs; "
            "use an external database with --mongodb-uri, or another mongod with --mongod."
        )
    if code == -signal.SIGKILL:
        return "mongod was killed, most likely because the machine ran out of memory; a smaller cache may help."
    words = [*_fatal(log), output.strip()]
    told = next((word for word in words if word), f"exit code {code}")
    if "No space left on device" in " ".join([*words, *log]) or shutil.disk_usage(folder).free < _SPACE_NEEDED:
        return f"There is no space left on the disk that holds {folder}."
    if code == PORT_TAKEN:
        return "The port of the embedded MongoDB was taken by another program."
    return f"mongod could not run on {folder}: {_one_line(told)}"


def _in_wheel() -> Path | None:
    """Look beside the top package; importing it would load much more than its files."""
    spec = importlib.util.find_spec(_WHEEL[0])
    for place in (spec.submodule_search_locations if spec else None) or ():
        path = Path(place, *_WHEEL[1:])
        if path.is_file():
            return path
    return None


def _fatal(log: list[str]) -> Iterator[str]:
    """The errors in the log, worst first, as far as mongod explains them."""
    entries = [entry for entry in map(_entry, log) if entry is not None]
    for severity in ("F", "E"):
        for entry in entries:
            if entry.get("s") == severity:
                details = entry.get("attr")
                cause = details.get("error") or details.get("reason") if isinstance(details, dict) else None
                yield f"{entry.get('msg')}: {cause}" if cause else str(entry.get("msg"))


def _entry(line: str) -> dict[str, object] | None:
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) else None


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    line = line if len(line) <= 300 else f"{line[:300]}…"  # noqa: PLR2004 - what fits a terminal
    return line if line.endswith((".", "…")) else f"{line}."

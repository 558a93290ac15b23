"""A mongod that outlived its server: it must be gone before the next one opens the same files.

It got a SIGTERM when its server died (see `leash`), so most often it is just ending. Two signs tell that it is there:
its lock on ``mongod.lock``, and the process of that number having this folder on its command line.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import time
from pathlib import Path

from fhir_server.store.mongod import EmbeddedError

_PATIENCE = 60.0


def await_previous(database: Path) -> None:
    """Return when no process has these database files open; end the one that has."""
    lock = database / "mongod.lock"
    if not _is_held(lock):
        return
    pid = _pid(lock)
    if pid is None or not _serves(pid, database):
        raise EmbeddedError(f"The database files {database} are in use by another program (process {pid}).")
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    if _gone(lock, pid):
        return
    # It does not get on any more. What it acknowledged is in its journal.
    if _serves(pid, database):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    if not _gone(lock, pid):
        raise EmbeddedError(f"The previous mongod (process {pid}) on {database} cannot be ended.")


def work_done(pid: int) -> str:
    """A mark that changes while a process works: its processor time and the bytes it moved."""
    with contextlib.suppress(OSError):
        times = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
        with contextlib.suppress(OSError):
            return f"{times} {Path(f'/proc/{pid}/io').read_text()}"
        return str(times)
    return ""


def _gone(lock: Path, pid: int) -> bool:
    done, since = work_done(pid), time.monotonic()
    while _is_held(lock):
        time.sleep(0.05)
        done_now = work_done(pid)
        if done_now != done:
            done, since = done_now, time.monotonic()
        elif time.monotonic() - since > _PATIENCE:
            return False
    return True


def _is_held(lock: Path) -> bool:
    try:
        file = os.open(lock, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(file)
    return False


def _pid(lock: Path) -> int | None:
    try:
        return int(lock.read_text().strip())
    except (OSError, ValueError):
        return None


def _serves(pid: int, database: Path) -> bool:
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    return os.fsencode(database) in command.split(b"\0")

"""The data folder: private to its owner, and used by one server at a time.

The claim is a `flock` on ``lock``: the kernel gives it up when the process ends, however it ends, so there is never a
stale one to remove. The number written in the file only serves to name the owner.
"""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self

LOCK = "lock"


class FolderError(Exception):
    """The data folder cannot be used; the message is one sentence."""


class FolderInUse(FolderError):
    """Another process has claimed it."""


def make_private(folder: Path) -> None:
    """Make the folder, for its owner alone (0700)."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if folder.stat().st_mode & 0o077:
            folder.chmod(0o700)
    except FileExistsError:
        raise FolderError(f"The data folder {folder} is a file; give a folder with --data.") from None
    except OSError as error:
        raise FolderError(f"The data folder {folder} cannot be made private to this user: {error.strerror}.") from None


def write_private(path: Path, text: str) -> None:
    """Write a small file for its owner alone (0600), whole or not at all."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise FolderError(f"{path} cannot be written: {error.strerror}.") from None


def owner(folder: Path) -> str | None:
    """The number of the process that holds the folder now; nothing when it is free."""
    try:
        lock = os.open(folder / LOCK, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return os.pread(lock, 32, 0).decode(errors="replace").strip() or "unknown"
    finally:
        os.close(lock)
    return None


class Claim:
    """The data folder, claimed for this process until released or until the process ends."""

    def __init__(self, folder: Path) -> None:
        """Name the folder; nothing happens before :meth:`take`."""
        self.folder = folder
        self._lock: int | None = None

    def take(self) -> None:
        """Claim the folder, or raise :class:`FolderInUse`."""
        if self._lock is not None:
            return
        make_private(self.folder)
        try:
            lock = os.open(self.folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise FolderError(f"The data folder {self.folder} cannot be written: {error.strerror}.") from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(lock, 0)
            os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        except BlockingIOError:
            holder = os.pread(lock, 32, 0).decode(errors="replace").strip() or "unknown"
            os.close(lock)
            raise FolderInUse(f"The data folder {self.folder} is in use by process {holder}.") from None
        except OSError as error:
            os.close(lock)
            why = "there is no space left" if error.errno == errno.ENOSPC else error.strerror
            raise FolderError(f"The data folder {self.folder} cannot be claimed: {why}.") from None
        self._lock = lock

    def release(self) -> None:
        """Give the folder up."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> Self:
        """Claim it."""
        self.take()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give it up."""
        self.release()

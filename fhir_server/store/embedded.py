"""The embedded MongoDB: a real mongod that starts and stops with this server.

A replica set of one member, so that transactions work, under ``DATA/mongo``. It listens on a free port of the loopback
address only, wants a password from everybody, and belongs to one server at a time. Whatever ended the last one, the
next start goes on from what was acknowledged: mongod's journal sees to that, this file sees to the rest.

    DATA/lock              who uses the folder (see `folder`)
    DATA/mongo/db          the database files
    DATA/mongo/mongod.json which mongod made them, on which port it listens
    DATA/mongo/keyfile     the replica set's own secret
    DATA/mongo/password    of the user this server connects as
    DATA/mongo/mongod.log  what mongod has to say
"""

from __future__ import annotations

import base64
import contextlib
import logging
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread
from types import TracebackType
from typing import Any

from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

from fhir_server.store import leash, mongod
from fhir_server.store.folder import Claim, FolderError, make_private, write_private
from fhir_server.store.mongod import EmbeddedError, Program
from fhir_server.store.orphan import await_previous, work_done
from fhir_server.store.remembered import Remembered

__all__ = ["EmbeddedError", "EmbeddedMongo", "running_uri"]

USER = "fhir"
_ROLES = ["readWriteAnyDatabase", "dbAdminAnyDatabase", "clusterMonitor"]
_PORTS = range(20_000, 32_000)
"""Below the ports that the kernel gives to outgoing connections, so that ours is most likely still free next time."""
_PORT_ATTEMPTS = 5
_PATIENCE = 60.0
"""Seconds without any work done after which a starting mongod is given up. Recovery may take long, but it works."""
_LONGEST_START = 900.0
_SHORT_LIFE = 10.0
_SHORT_LIVES = 3
_LOG_LIMIT = 20 * 1024 * 1024
_AUTHENTICATION_FAILED = 18
_NOT_INITIATED = 94
_USER_EXISTS = 51003

_logger = logging.getLogger(__name__)


@dataclass(slots=True)
class EmbeddedMongo:
    """A mongod on a data folder. Use it as a context, or pair :meth:`start` with :meth:`stop`."""

    folder: Path
    mongod: Path | None = None
    """Another mongod than the bundled one, for a new folder; a folder keeps the one that made it."""
    cache_gb: float = 0.5
    oplog_mb: int = 256
    on_lost: Callable[[EmbeddedError], None] | None = None
    """Called, in another thread, when mongod ended by itself and cannot be started anew."""

    _claim: Claim | None = field(default=None, init=False, repr=False)
    _keeper: Thread | None = field(default=None, init=False, repr=False)
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False, repr=False)
    _answered: Event = field(default_factory=Event, init=False, repr=False)
    _stopping: Event = field(default_factory=Event, init=False, repr=False)
    _failure: EmbeddedError | None = field(default=None, init=False, repr=False)
    _uri: str = field(default="", init=False, repr=False)

    def __post_init__(self) -> None:
        """Make the folder's name independent of the current directory, which mongod does not share."""
        self.folder = self.folder.absolute()

    def start(self) -> str:
        """Claim the folder, start mongod, and give the URI to connect to once it takes writes.

        Raises:
            FolderError: the folder cannot be used; :class:`FolderInUse` when another server has it.
            EmbeddedError: mongod cannot be started.
        """
        self._claim = Claim(self.folder)
        try:
            self._claim.take()
            make_private(self._home)
        except FolderError:
            self._release()
            raise
        self._answered.clear()
        self._stopping.clear()
        self._failure = None
        self._uri = ""
        self._keeper = Thread(target=self._keep, name="mongod keeper", daemon=True)
        self._keeper.start()
        try:
            self._answered.wait()
        except BaseException:
            self.stop()
            raise
        if self._failure is not None:
            self.stop()
            raise self._failure
        return self._uri

    def stop(self) -> None:
        """Let mongod write its checkpoint and end, then give the folder up."""
        self._stopping.set()
        if self._process is not None:
            self._process.terminate()
        if self._keeper is not None:
            self._keeper.join(_PATIENCE)
            if self._keeper.is_alive() and self._process is not None:
                self._process.kill()  # it hangs; what it acknowledged is in its journal
                self._keeper.join()
            self._keeper = None
        self._release()

    @property
    def pid(self) -> int | None:
        """The number of the mongod process."""
        return None if self._process is None else self._process.pid

    def __enter__(self) -> str:
        """Start it and give its URI."""
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it."""
        self.stop()

    @property
    def _home(self) -> Path:
        return self.folder / "mongo"

    @property
    def _database(self) -> Path:
        return self._home / "db"

    def _release(self) -> None:
        if self._claim is not None:
            self._claim.release()
            self._claim = None

    def _keep(self) -> None:
        """Start mongod and start it anew whenever it ends by itself.

        One thread does it for the whole life of the server, because mongod is tied to the thread that starts it.
        """
        short_lives = 0
        while not self._stopping.is_set():
            born = time.monotonic()
            try:
                process = self._launch()
            except EmbeddedError as error:
                self._give_up(error)
                return
            self._answered.set()
            code = process.wait()
            if self._stopping.is_set():
                return
            short_lives = short_lives + 1 if time.monotonic() - born < _SHORT_LIFE else 0
            if short_lives == _SHORT_LIVES:
                self._give_up(EmbeddedError(f"mongod ended {short_lives} times in a row, the last time with {code}."))
                return
            _logger.warning("mongod ended by itself with %s; it is started anew", code)

    def _give_up(self, error: EmbeddedError) -> None:
        self._failure = error
        if self._answered.is_set() and self.on_lost is not None and not self._stopping.is_set():
            self.on_lost(error)
        self._answered.set()

    def _launch(self) -> subprocess.Popen[bytes]:
        try:
            await_previous(self._database)
            remembered = self._remember()
            for _ in range(_PORT_ATTEMPTS):
                port = self._port(remembered)
                process, log_start = self._spawn(remembered.program, port)
                try:
                    self._bring_up(process, port, remembered, log_start)
                except _PortTaken:
                    time.sleep(0.2)
                    continue
                except BaseException:
                    _end(process)
                    raise
                return process
        except (FolderError, OSError) as error:
            raise EmbeddedError(str(error)) from None
        raise EmbeddedError(f"No free port was found for the embedded MongoDB in {_PORT_ATTEMPTS} attempts.")

    def _remember(self) -> Remembered:
        """What is known of the folder, after a look whether mongod may run on it."""
        remembered = Remembered.read(self._home)
        if remembered is None:
            if self._database.exists() and any(self._database.iterdir()):
                raise EmbeddedError(
                    f"{self._database} holds database files, but {self._home / Remembered.NAME}, which says what made "
                    "them, is missing; restore it, or use another data folder."
                )
            program = mongod.inspect(self.mongod.resolve() if self.mongod else mongod.bundled(self._home))
            remembered = Remembered(program, port=None, ready=False)
        else:
            remembered = remembered.with_program(remembered.choose(self.mongod, self._home))
        if not remembered.ready:
            # The first start never came to its end, so nobody was told of a database here: begin again.
            shutil.rmtree(self._database, ignore_errors=True)
            write_private(self._home / "keyfile", base64.b64encode(secrets.token_bytes(512)).decode())
            write_private(self._home / "password", secrets.token_urlsafe(32))
        remembered.write(self._home)
        make_private(self._database)
        return remembered

    def _port(self, remembered: Remembered) -> int:
        if self._uri and remembered.port:
            return remembered.port  # clients know this one already
        if remembered.port and _is_free(remembered.port):
            return remembered.port
        while True:
            port = secrets.choice(_PORTS)
            if _is_free(port):
                return port

    def _spawn(self, program: Program, port: int) -> tuple[subprocess.Popen[bytes], int]:
        log = self._home / "mongod.log"
        log_start = log.stat().st_size if log.exists() else 0
        if log_start > _LOG_LIMIT:
            log.replace(log.with_suffix(".log.1"))
            log_start = 0
        command = mongod.arguments(
            database=self._database,
            port=port,
            key_file=self._home / "keyfile",
            log=log,
            cache_gb=self.cache_gb,
            oplog_mb=self.oplog_mb,
        )
        with (self._home / "mongod.out").open("wb") as output:
            self._process = subprocess.Popen(  # noqa: S603 - our own arguments, no shell
                [sys.executable, "-I", "-S", leash.__file__, str(os.getpid()), str(program.path), *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self._home,
                env=mongod.environment(),
                start_new_session=True,  # Ctrl-C is for the server, which stops mongod after the last request
            )
        return self._process, log_start

    def _bring_up(self, process: subprocess.Popen[bytes], port: int, remembered: Remembered, log_start: int) -> None:
        """Wait until mongod listens, make it a writable primary, and keep what has to be kept."""
        for _ in self._while_it_works(process, log_start):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1.0):
                break
        for _ in self._while_it_works(process, log_start):
            try:
                with self._as_system(port) as client:
                    _make_primary(client, f"127.0.0.1:{port}")
                    if client.admin.command("hello").get("isWritablePrimary"):
                        break
            except OperationFailure as error:
                if error.code == _AUTHENTICATION_FAILED:
                    raise EmbeddedError(f"mongod does not know its own key file {self._home / 'keyfile'}.") from None
            except PyMongoError:
                continue  # not yet, or ended: the loop looks
        password = (self._home / "password").read_text()
        if not remembered.ready:
            with self._as_system(port) as client:
                _make_user(client, password)
        if not remembered.ready or remembered.port != port:
            Remembered(remembered.program, port, ready=True).write(self._home)
        self._uri = _uri(password, port)

    def _while_it_works(self, process: subprocess.Popen[bytes], log_start: int) -> Iterator[None]:
        """Repeat while the process lives and gets on; else say why not."""
        done, since = work_done(process.pid), time.monotonic()
        begun = since
        while True:
            code = process.poll()
            if self._stopping.is_set():
                raise EmbeddedError("mongod was stopped while it started.")
            if code is not None and code == mongod.PORT_TAKEN:
                raise _PortTaken
            if code is not None:
                raise EmbeddedError(self._why_it_ended(code, log_start))
            yield
            time.sleep(0.02)
            done_now = work_done(process.pid)
            if done_now != done:
                done, since = done_now, time.monotonic()
            if time.monotonic() - since > _PATIENCE or time.monotonic() - begun > _LONGEST_START:
                raise EmbeddedError(
                    f"mongod does not get on with starting; see {self._home / 'mongod.log'} for what it waits for."
                )

    def _why_it_ended(self, code: int, log_start: int) -> str:
        output = (self._home / "mongod.out").read_text(errors="replace")
        log: list[str] = []
        with contextlib.suppress(OSError), (self._home / "mongod.log").open("rb") as file:
            file.seek(log_start)
            log = file.read().decode(errors="replace").splitlines()
        return mongod.why_it_ended(code, output, log, self._home)

    def _as_system(self, port: int) -> MongoClient[dict[str, Any]]:
        """A connection as the replica set itself, which the key file allows."""
        return MongoClient(
            "127.0.0.1",
            port,
            username="__system",
            password=(self._home / "keyfile").read_text(),
            authSource="local",
            authMechanism="SCRAM-SHA-256",
            directConnection=True,
            serverSelectionTimeoutMS=5_000,
        )


class _PortTaken(Exception):
    """Somebody took the port between our look and mongod's."""


def running_uri(folder: Path) -> str:
    """The URI of the embedded MongoDB that another process runs on this folder now."""
    home = folder / "mongo"
    remembered = Remembered.read(home)
    if remembered is None or not remembered.ready or remembered.port is None:
        raise EmbeddedError(f"The data folder {folder} has no embedded MongoDB.")
    try:
        return _uri((home / "password").read_text(), remembered.port)
    except OSError as error:
        raise EmbeddedError(f"{error.filename} cannot be read: {error.strerror}.") from None


def _uri(password: str, port: int) -> str:
    return (
        f"mongodb://{USER}:{password}@127.0.0.1:{port}/"
        f"?authSource=admin&replicaSet={mongod.REPLICA_SET}&directConnection=true"
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _make_primary(client: MongoClient[dict[str, Any]], host: str) -> None:
    """Give the set its one member, or its member the port it has today."""
    try:
        config = client.admin.command("replSetGetConfig")["config"]
    except OperationFailure as error:
        if error.code != _NOT_INITIATED:
            raise
        config = {"_id": mongod.REPLICA_SET, "members": [{"_id": 0, "host": host}]}
        client.admin.command("replSetInitiate", config)
        return
    if config["members"][0]["host"] != host:
        # The old port was taken. mongod looks for itself there first, for up to 30 s if the new owner keeps silent.
        config["members"][0]["host"] = host
        config["version"] += 1
        client.admin.command("replSetReconfig", config, force=True)


def _make_user(client: MongoClient[dict[str, Any]], password: str) -> None:
    account: dict[str, Any] = {"pwd": password, "roles": _ROLES, "mechanisms": ["SCRAM-SHA-256"]}
    try:
        client.admin.command("createUser", USER, **account)
    except OperationFailure as error:
        if error.code != _USER_EXISTS:
            raise
        client.admin.command("updateUser", USER, **account)

"""The embedded MongoDB keeps what it acknowledged, whatever ends it, and lets in nobody else."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.errors import AutoReconnect, OperationFailure, PyMongoError

from fhir_server.store import mongod
from fhir_server.store.embedded import EmbeddedError, EmbeddedMongo, running_uri
from fhir_server.store.folder import FolderInUse, owner
from fhir_server.store.remembered import Remembered

ONE = {"_id": 1, "text": "acknowledged"}

SERVER = """
import os, sys
from pathlib import Path
from pymongo import MongoClient
from fhir_server.store.embedded import EmbeddedMongo
embedded = EmbeddedMongo(Path(sys.argv[1]), oplog_mb=64)
client = MongoClient(embedded.start())
for number in range(int(sys.argv[2])):
    client.trial.things.insert_one({"_id": number})
print(embedded.pid, flush=True)
os.kill(os.getpid(), 9)
"""


def embedded(folder: Path, **more: Any) -> EmbeddedMongo:
    return EmbeddedMongo(folder, oplog_mb=64, **more)


def things(uri: str) -> list[dict[str, Any]]:
    with MongoClient[dict[str, Any]](uri) as client:
        return list(client.trial.things.find())


def keep_one(uri: str) -> None:
    with MongoClient[dict[str, Any]](uri) as client:
        client.trial.things.insert_one(dict(ONE))


def eventually(look: Callable[[], bool], seconds: float = 20.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if look():
            return True
        time.sleep(0.05)
    return False


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_what_is_written_is_there_after_a_restart(tmp_path: Path) -> None:
    folder = tmp_path / "a folder"
    first = embedded(folder)
    keep_one(first.start())
    port = Remembered.read(folder / "mongo")
    first.stop()
    assert owner(folder) is None

    with embedded(folder) as uri:
        assert things(uri) == [ONE]
    assert Remembered.read(folder / "mongo") == port


def test_transactions_work(tmp_path: Path) -> None:
    with (
        embedded(tmp_path) as uri,
        MongoClient[dict[str, Any]](uri) as client,
        client.start_session() as session,
    ):
        with session.start_transaction():
            client.trial.things.insert_one(dict(ONE), session=session)
        session.start_transaction()
        client.trial.things.insert_one({"_id": 2}, session=session)
        session.abort_transaction()
        assert things(uri) == [ONE]


def test_everything_is_private(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with embedded(folder) as uri:
        for path in (folder, folder / "mongo", folder / "mongo" / "db"):
            assert stat.S_IMODE(path.stat().st_mode) == 0o700
        for name in ("keyfile", "password", "mongod.json"):
            assert stat.S_IMODE((folder / "mongo" / name).stat().st_mode) == 0o600
        address = uri.partition("@")[2].partition("/")[0]
        assert address.startswith("127.0.0.1:")
        with MongoClient[dict[str, Any]](f"mongodb://{address}/?directConnection=true") as stranger:
            with pytest.raises(OperationFailure):
                stranger.trial.things.find_one()
            with pytest.raises(OperationFailure):
                stranger.admin.command("createUser", "me", pwd="me", roles=["root"])


def test_a_second_server_is_refused(tmp_path: Path) -> None:
    with embedded(tmp_path), pytest.raises(FolderInUse, match=f"in use by process {os.getpid()}"):
        embedded(tmp_path).start()


def test_a_command_finds_the_database_of_the_running_server(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedError, match="has no embedded MongoDB"):
        running_uri(tmp_path)
    with embedded(tmp_path) as uri:
        keep_one(uri)
        assert things(running_uri(tmp_path)) == [ONE]


def test_a_killed_mongod_is_started_anew_without_loss(tmp_path: Path) -> None:
    running = embedded(tmp_path)
    uri = running.start()
    try:
        keep_one(uri)
        killed = running.pid
        assert killed is not None
        os.kill(killed, signal.SIGKILL)

        def is_back() -> bool:
            try:
                return running.pid != killed and things(uri) == [ONE]
            except (AutoReconnect, PyMongoError):
                return False

        assert eventually(is_back)
    finally:
        running.stop()


def test_a_killed_server_takes_its_mongod_along_and_loses_nothing(tmp_path: Path) -> None:
    server = subprocess.run(
        [sys.executable, "-c", SERVER, str(tmp_path), "200"], stdout=subprocess.PIPE, check=False, text=True
    )
    orphan = int(server.stdout)

    with embedded(tmp_path) as uri:
        assert not lives(orphan)
        assert len(things(uri)) == 200


def test_a_killed_server_leaves_no_mongod_behind(tmp_path: Path) -> None:
    server = subprocess.run(
        [sys.executable, "-c", SERVER, str(tmp_path), "1"], stdout=subprocess.PIPE, check=False, text=True
    )
    orphan = int(server.stdout)
    assert eventually(lambda: not lives(orphan))


def test_a_first_start_that_was_cut_short_begins_again(tmp_path: Path) -> None:
    with embedded(tmp_path):
        pass
    known = Remembered.read(tmp_path / "mongo")
    assert known is not None
    Remembered(known.program, None, ready=False).write(tmp_path / "mongo")

    with embedded(tmp_path) as uri:
        keep_one(uri)


def test_another_port_when_the_old_one_is_taken(tmp_path: Path) -> None:
    with embedded(tmp_path) as uri:
        keep_one(uri)
    known = Remembered.read(tmp_path / "mongo")
    assert known is not None
    assert known.port is not None
    # Bound and not listening: nobody answers there, and nobody else can listen there.
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        Remembered(known.program, taken.getsockname()[1], ready=True).write(tmp_path / "mongo")
        with embedded(tmp_path) as uri:
            assert str(taken.getsockname()[1]) not in uri
            assert things(uri) == [ONE]


def test_database_files_of_unknown_origin_are_left_alone(tmp_path: Path) -> None:
    found = tmp_path / "mongo" / "db" / "collection.wt"
    found.parent.mkdir(parents=True)
    found.write_text("somebody's")
    with pytest.raises(EmbeddedError, match=r"mongod\.json.* is missing"):
        embedded(tmp_path).start()
    assert found.exists()
    assert owner(tmp_path) is None


def test_a_folder_of_another_series_is_refused(tmp_path: Path) -> None:
    with embedded(tmp_path):
        pass
    known = Remembered.read(tmp_path / "mongo")
    assert known is not None
    newer = mongod.Program(tmp_path / "gone", "7.0.4", "")
    known.with_program(newer).write(tmp_path / "mongo")
    with pytest.raises(EmbeddedError, match=r"made by mongod 7\.0\.4 .* give a mongod 7\.0 with --mongod"):
        embedded(tmp_path).start()


def test_a_mongod_that_moved_is_replaced_by_one_of_its_series(tmp_path: Path) -> None:
    with embedded(tmp_path) as uri:
        keep_one(uri)
    known = Remembered.read(tmp_path / "mongo")
    assert known is not None
    known.with_program(mongod.Program(tmp_path / "gone", known.program.version, "")).write(tmp_path / "mongo")
    with embedded(tmp_path) as uri:
        assert things(uri) == [ONE]


@pytest.mark.parametrize(
    ("program", "sentence"),
    [
        ("#!/bin/sh\nexit 0\n", "is not a mongod"),
        (
            "#!/bin/sh\necho 'mongod: error while loading shared libraries: libcurl.so.4: cannot open' >&2; exit 127\n",
            r"The library libcurl\.so\.4 is missing.*sudo apt-get install libcurl4",
        ),
        ("#!/bin/sh\nkill -ILL $$\n", "AVX"),
        ("#!/bin/sh\n[ $1 = --version ] && echo 'db version v6.0.5' || { echo 'it burns'; exit 1; }\n", "it burns"),
    ],
)
def test_a_mongod_that_cannot_run_is_explained_in_one_sentence(tmp_path: Path, program: str, sentence: str) -> None:
    path = tmp_path / "mongod"
    path.write_text(program)
    path.chmod(0o700)
    with pytest.raises(EmbeddedError, match=sentence) as told:
        embedded(tmp_path / "data", mongod=path).start()
    assert "\n" not in str(told.value)
    assert owner(tmp_path / "data") is None


def test_without_the_right_to_change_the_wheel_mongod_is_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = tmp_path / "mongod of the wheel"
    wheel.write_text("#!/bin/sh\n")
    wheel.chmod(0o444)
    monkeypatch.setattr(mongod, "_in_wheel", lambda: wheel)

    def refuse(path: Path, mode: int) -> None:
        if path == wheel:
            raise PermissionError
        os.chmod(path, mode)  # noqa: PTH101 - the method is what is replaced

    monkeypatch.setattr(Path, "chmod", refuse)
    keep = tmp_path / "keep"
    keep.mkdir()
    assert mongod.bundled(keep) == keep / "mongod"
    assert os.access(keep / "mongod", os.X_OK)

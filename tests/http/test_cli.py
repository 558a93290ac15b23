"""A start that fails says why in one sentence, with its own exit code, and leaves nothing behind."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fhir_server.cli.exits import Exit
from fhir_server.store.folder import Claim

ROOT = Path(__file__).parents[2]


def run(*arguments: str, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("FHIR_", "MONGODB_"))}
    return subprocess.run(
        [sys.executable, "-P", "-m", "fhir_server", *arguments],
        cwd=cwd,
        env=kept | {"PYTHONPATH": str(ROOT)} | variables,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def sentence(ended: subprocess.CompletedProcess[str], code: Exit) -> str:
    """The one line on standard error of a command that ended so."""
    assert ended.returncode == code, ended.stderr
    assert "Traceback" not in ended.stderr
    lines = ended.stderr.strip().splitlines()
    assert len(lines) == 1, ended.stderr
    assert lines[0].endswith(".")
    return lines[0]


@pytest.fixture
def busy_port() -> Iterator[int]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield taken.getsockname()[1]


def test_a_busy_port(tmp_path: Path, busy_port: int) -> None:
    said = sentence(run("serve", "--port", str(busy_port), cwd=tmp_path), Exit.PORT)
    assert f"Port {busy_port} of 127.0.0.1 is in use" in said
    assert not (tmp_path / "data").exists()


def test_an_unreachable_database(tmp_path: Path, busy_port: int) -> None:
    uri = f"mongodb://me:secret@127.0.0.1:{busy_port}/?serverSelectionTimeoutMS=500"
    said = sentence(run("serve", "--port", "0", "--mongodb-uri", uri, cwd=tmp_path), Exit.DATABASE)
    assert f"MongoDB at 127.0.0.1:{busy_port} does not answer" in said
    assert "secret" not in said


def test_a_uri_that_is_none(tmp_path: Path) -> None:
    said = sentence(run("serve", "--port", "0", cwd=tmp_path, MONGODB_URI="postgres://x"), Exit.DATABASE)
    assert "MongoDB URI cannot be read" in said


def test_a_database_that_refuses_us(tmp_path: Path, mongo_uri: str) -> None:
    address = mongo_uri.partition("@")[2]
    said = sentence(
        run("serve", "--port", "0", "--mongodb-uri", f"mongodb://me:wrong@{address}", cwd=tmp_path), Exit.DATABASE
    )
    assert "refuses us" in said


def test_a_locked_data_folder(tmp_path: Path) -> None:
    with Claim(tmp_path / "data"):
        said = sentence(run("serve", "--port", "0", cwd=tmp_path), Exit.FOLDER)
    assert f"in use by process {os.getpid()}" in said


def test_a_data_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    sentence(run("serve", "--port", "0", "--data", "file", cwd=tmp_path), Exit.FOLDER)


def test_a_mongod_that_is_none(tmp_path: Path) -> None:
    said = sentence(run("serve", "--port", "0", "--mongod", "/bin/true", cwd=tmp_path), Exit.DATABASE)
    assert "is not a mongod" in said


def test_a_wrong_setting(tmp_path: Path) -> None:
    assert "FHIR_WORKER is not a setting" in sentence(run("serve", cwd=tmp_path, FHIR_WORKER="2"), Exit.USAGE)
    assert "port is wrong" in sentence(run("serve", "--port", "70000", cwd=tmp_path), Exit.USAGE)


def test_an_unknown_option(tmp_path: Path) -> None:
    ended = run("serve", "--colour", "blue", cwd=tmp_path)
    assert ended.returncode == Exit.USAGE
    assert "--colour" in ended.stderr


def test_doctor_says_what_to_mend(tmp_path: Path, busy_port: int) -> None:
    ended = run("doctor", "--port", str(busy_port), cwd=tmp_path)
    assert ended.returncode == Exit.FOUND_FAULTS
    assert f"WRONG  port {busy_port}" in ended.stdout
    assert "mend: stop what uses it, or choose with --port" in ended.stdout
    assert "ok     mongod: 6." in ended.stdout


def test_doctor_sees_a_folder_open_to_others(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o755)
    (tmp_path / "data").chmod(0o755)
    ended = run("doctor", "--port", "0", cwd=tmp_path)
    assert "WRONG  data folder" in ended.stdout
    assert "chmod 700" in ended.stdout


def test_load_needs_a_server(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"resourceType": "Patient", "id": "a"}')
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        base = f"http://127.0.0.1:{closed.getsockname()[1]}/fhir"
        ended = run("load", "a.json", "--token", "x", "--base-url", base, cwd=tmp_path)
    assert ended.returncode == Exit.START
    assert f"No server answers at {base}" in ended.stderr


def test_every_exit_code_is_documented() -> None:
    page = (ROOT / "docs/operate/exit-codes.md").read_text()
    for code in Exit:
        assert f"| {code.value} |" in page

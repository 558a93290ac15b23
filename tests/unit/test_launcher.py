"""``./fhir-server`` finds a Python, makes the environment once, and says in one sentence what is missing."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCK = "requirements.lock"
UNPREPARED = 8

PYTHON = """#!/bin/sh
# A Python whose slow or unwanted parts are played.
case "$*" in
*"import venv, ensurepip"*) {ensurepip} ;;
*libcurl.so*) {libcurl} ;;
"-m venv --clear "*) rm -rf "$4" && mkdir -p "$4/bin" && cp "$0" "$4/bin/python" ;;
"-m pip --version") ;;
"-m pip install "*) echo "$*" >>"{log}"; sleep 0.3; {install} ;;
"-P -m fhir_server"*) shift 3; echo "served: $*"; echo "data: $FHIR_DATA_FOLDER"; echo "path: $PYTHONPATH" ;;
*) exec "{real}" "$@" ;;
esac
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A clone with its own lock file, in a folder with a space."""
    clone = tmp_path / "a clone"
    clone.mkdir()
    shutil.copy(ROOT / "fhir-server", clone / "fhir-server")
    for name in (LOCK, "requirements-dev.lock"):
        (clone / name).write_text("")
    return clone


def python(root: Path, *, ensurepip: str = ":", libcurl: str = ":", install: str = ":") -> Path:
    path = root.parent / "python of the system"
    path.write_text(
        PYTHON.format(
            ensurepip=ensurepip, libcurl=libcurl, install=install, real=sys.executable, log=root.parent / "installs"
        )
    )
    path.chmod(0o700)
    return path


def environment(found: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("FHIR_", "MONGODB_"))}
    return kept | {"FHIR_PYTHON": str(found)}


def launch(script: Path, found: Path, *arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(script), *arguments],
        env=environment(found),
        cwd=cwd or script.parent,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def installs(root: Path) -> list[str]:
    log = root.parent / "installs"
    return log.read_text().splitlines() if log.exists() else []


def test_it_sets_up_once_and_hands_over(root: Path) -> None:
    found = python(root)
    first = launch(root / "fhir-server", found, "serve", "--data", "a b")
    assert first.returncode == 0, first.stderr
    assert "served: serve --data a b" in first.stdout
    assert f"data: {root}/data" in first.stdout
    assert f"path: {root}\n" in first.stdout

    second = launch(root / "fhir-server", found, "token")
    assert "served: token" in second.stdout
    assert second.stderr == ""
    (install,) = installs(root)
    assert "--require-hashes" in install


def test_a_changed_lock_is_installed(root: Path) -> None:
    found = python(root)
    launch(root / "fhir-server", found, "token")
    (root / LOCK).write_text("# another\n")
    launch(root / "fhir-server", found, "token")
    assert len(installs(root)) == 2


def test_it_works_from_anywhere_and_through_a_link(root: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "else where"
    elsewhere.mkdir()
    (elsewhere / "fhir").symlink_to(root / "fhir-server")
    (elsewhere / "fhir_server").mkdir()  # must not be taken for ours
    ended = launch(elsewhere / "fhir", python(root), "token", cwd=elsewhere)
    assert f"path: {root}\n" in ended.stdout


def test_two_at_once_install_once(root: Path) -> None:
    found = python(root)
    both = [
        subprocess.Popen([root / "fhir-server", "token"], env=environment(found), stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    assert ["served: token" in one.communicate(timeout=60)[0] for one in both] == [True, True]
    assert len(installs(root)) == 1


def test_an_environment_without_a_working_python_is_made_anew(root: Path) -> None:
    broken = root / ".venv" / "bin" / "python"
    broken.parent.mkdir(parents=True)
    broken.symlink_to("/nowhere/python")
    assert "served: token" in launch(root / "fhir-server", python(root), "token").stdout


def test_an_install_that_failed_is_not_taken_for_done(root: Path) -> None:
    ended = launch(root / "fhir-server", python(root, install="exit 1"), "token")
    assert ended.returncode == UNPREPARED
    assert f"The packages of {LOCK} cannot be installed" in ended.stderr
    shutil.rmtree(root / ".venv")
    assert launch(root / "fhir-server", python(root), "token").returncode == 0


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        ({"ensurepip": "exit 1"}, r"cannot make virtual environments: sudo apt-get install python3\S*-venv libcurl4"),
        ({"libcurl": "exit 1"}, r"libcurl4 is missing.*sudo apt-get install python3\S*-venv libcurl4"),
    ],
)
def test_what_the_system_lacks_is_asked_for_in_one_line(root: Path, missing: dict[str, str], words: str) -> None:
    ended = launch(root / "fhir-server", python(root, **missing), "serve")
    assert ended.returncode == UNPREPARED
    assert re.search(words, ended.stderr)
    assert installs(root) == []


def test_libcurl_is_not_needed_for_another_database(root: Path) -> None:
    ended = launch(root / "fhir-server", python(root, libcurl="exit 1"), "serve", "--mongodb-uri", "mongodb://x")
    assert ended.returncode == 0, ended.stderr


def test_a_python_that_will_not_do(root: Path) -> None:
    ended = launch(root / "fhir-server", Path("/bin/false"), "serve")
    assert ended.returncode == UNPREPARED
    assert ended.stderr == "FHIR_PYTHON=/bin/false is not a Python 3.11, 3.12 or 3.13 that runs.\n"


def test_the_mark_is_the_digest_of_the_lock(root: Path) -> None:
    (root / LOCK).write_text("# some lock\n")
    launch(root / "fhir-server", python(root), "token")
    digest = hashlib.sha256(b"# some lock\n").hexdigest()
    assert digest in (root / ".venv" / f".installed-{LOCK}").read_text()


def test_the_development_lock_holds_the_other_one() -> None:
    pinned = re.compile(r"^\S+==\S+", re.MULTILINE)
    of = {name: set(pinned.findall((ROOT / name).read_text())) for name in (LOCK, "requirements-dev.lock")}
    assert of[LOCK] <= of["requirements-dev.lock"]

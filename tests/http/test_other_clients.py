"""ITI-65 through clients that others wrote: fhirpy, and fhir-kit-client where Node and its package can be had."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest
from fhirpy import SyncFHIRClient

from tests import pdsm
from tests.conformance.own_record import OwnRecord, own_record
from tests.served import ROOT, Served

CLIENTS = ROOT / "tests" / "clients"


@pytest.fixture
def record(served: Served) -> OwnRecord:
    return own_record(served)


@pytest.fixture(scope="module")
def node_modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packages of `tests/clients/package-lock.json`; the tests that want them are skipped where there is no npm."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("Node and npm are not installed here")
    folder = tmp_path_factory.mktemp("clients")
    for name in ("package.json", "package-lock.json", "publish.js"):
        shutil.copy(CLIENTS / name, folder / name)
    fetched = subprocess.run(
        [npm, "ci", "--no-audit", "--no-fund"], cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )
    if fetched.returncode != 0:
        pytest.skip(f"the packages cannot be fetched here: {fetched.stderr[-200:]}")
    return folder


def test_the_client_of_the_readme_lists_documents(served: Served) -> None:
    (program,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    told = {"BASE": served.base, "TOKEN": served.token("patient")}
    ended = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, **told}, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count("\n") > 5


def test_fhirpy_publishes_finds_and_fetches(served: Served, record: OwnRecord) -> None:
    hospital = SyncFHIRClient(served.base, authorization=f"Bearer {served.token('hopital')}")
    answer: dict[str, Any] = hospital.execute("", method="post", data=pdsm.provided(record.ins))
    assert [entry["response"]["status"][:3] for entry in answer["entry"]] == ["201"] * 3

    found = hospital.resources("DocumentReference").search(
        **{"patient.identifier": f"{pdsm.INS_TEST}|{record.ins}", "status": "current"}
    )
    (document,) = found.fetch_all()
    assert document["content"][0]["attachment"]["title"] == "Compte rendu de consultation"
    binary = hospital.reference(reference=document["content"][0]["attachment"]["url"]).to_resource()
    assert b64decode(binary["data"]) == pdsm.PDF


def test_fhir_kit_client_publishes_finds_and_fetches(served: Served, record: OwnRecord, node_modules: Path) -> None:
    ended = subprocess.run(
        ["node", "publish.js", served.base, served.token("hopital"), f"{pdsm.INS_TEST}|{record.ins}"],
        cwd=node_modules,
        input=json.dumps(pdsm.provided(record.ins)),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout)
    assert [status[:3] for status in told["statuses"]] == ["201"] * 3
    assert (told["total"], told["title"]) == (1, "Compte rendu de consultation")
    assert b64decode(told["data"]) == pdsm.PDF
    assert told["fhirVersion"] == "4.0.1"

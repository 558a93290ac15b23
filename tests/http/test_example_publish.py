"""The publisher of `examples/`: a hospital's first document, as PDSm asks, against a served demonstration."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from base64 import b64encode
from pathlib import Path
from typing import Any
from uuid import uuid4

from tests.conformance.own_record import OwnRecord, own_record
from tests.served import ROOT, Served


def publish(served: Served, record: OwnRecord, file: Path, *told: str) -> tuple[int, Any]:
    """Its exit code and the answer that it shows."""
    command = [sys.executable, str(ROOT / "examples" / "publish.py"), str(file), "--base", served.base]
    command += ["--token", served.token("hopital"), "--ins", record.ins, "--family", "Martin", "--given", "Helene"]
    command += ["--birth-date", "1980-05-14", "--gender", "female", "--author-rpps", "89900000002"]
    command += ["--author-family", "Bernard", "--author-given", "Marc", "--title", "Lettre de liaison", *told]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.stdout, done.stderr.decode()
    return done.returncode, json.loads(done.stdout)


def test_what_it_publishes_is_read_by_the_patient(served: Served, tmp_path: Path) -> None:
    record, file = own_record(served), tmp_path / "lettre.pdf"
    content = b"%PDF-1.4 " + uuid4().hex.encode() + b"\n%%EOF\n"
    file.write_bytes(content)
    code, answer = publish(served, record, file)
    assert code == 0, answer
    assert (answer["type"], [one["response"]["status"] for one in answer["entry"]]) == (
        "transaction-response",
        ["201"] * 3,
    )
    listed, fiche, binary = ("/".join(one["response"]["location"].split("/")[-4:-2]) for one in answer["entry"])
    patient = record.as_("patient")
    stored = patient.get(fiche).json()
    (one,) = stored["content"]
    assert stored["subject"]["reference"] == f"Patient/{record.id}"
    assert one["attachment"]["url"] == binary
    assert one["attachment"]["size"] == len(content)
    assert one["attachment"]["hash"] == b64encode(hashlib.sha1(content, usedforsecurity=False).digest()).decode()
    assert patient.get(binary, headers={"Accept": "application/pdf"}).content == content
    assert patient.get(listed).json()["entry"] == [{"item": {"reference": fiche}}]
    again_code, again = publish(served, record, file)
    assert again_code == 0, again
    assert [one["response"]["status"] for one in again["entry"]] == ["200", "200", "201"]
    assert [one["response"]["location"] for one in again["entry"][:2]] == [
        one["response"]["location"] for one in answer["entry"][:2]
    ]
    assert record.documents("patient") == {fiche.partition("/")[2]}


def test_what_is_refused_is_shown(served: Served, tmp_path: Path) -> None:
    file = tmp_path / "lettre.pdf"
    file.write_bytes(b"%PDF-1.4")
    code, answer = publish(served, own_record(served), file, "--ins", "199999999999999")
    assert (code, answer["resourceType"]) == (1, "OperationOutcome")
    assert answer["issue"][0]["expression"][0].startswith("Bundle.entry[")

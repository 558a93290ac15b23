"""The story of docs/ holds, and so does the example it follows."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from base64 import b64decode, b64encode
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests import pdsm
from tests.conformance.own_record import TRE_A07, document, own_record
from tests.served import FHIR_JSON, ROOT, Served

STORY = ROOT / "docs/story"
EXAMPLE = ROOT / "tests/examples/published/pdsm-DocumentReference.json"
"""The example of PDSm (pdsm-comprehensive-document-reference)."""
TOKEN = "import typer; from fhir_server.cli.token import token_command as token; typer.run(token)"


@pytest.fixture
def launcher(tmp_path: Path) -> Path:
    """Makes tokens as ``./fhir-server token`` does, with the Python of this run and nothing imported in vain."""
    script = tmp_path / "fhir-server"
    script.write_text(f'#!/bin/sh\nshift\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -P -c "{TOKEN}" "$@"\n')
    script.chmod(0o700)
    return script


def walk(served: Served, launcher: Path, story: Path = ROOT / "docs/story.sh") -> subprocess.CompletedProcess[str]:
    environment = {"FHIR_SERVER": str(launcher), "FHIR_DATA_FOLDER": str(served.data)}
    ended = subprocess.run(
        [story, served.base],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    for key in re.findall(r"201, ((?:Binary|DocumentReference)/\S+)", ended.stdout):
        served.as_("conformance").delete(f"/{key}")
    return ended


def test_the_story_is_as_told(served: Served, launcher: Path) -> None:
    ended = walk(served, launcher)

    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stdout.endswith("All as told.\n")
    assert [line[0] for line in ended.stdout.splitlines() if re.match(r"\d\. ", line)] == list("1234567")


def test_a_story_that_is_not_true_ends_with_1(served: Served, launcher: Path, tmp_path: Path) -> None:
    """The mask that hides nothing: the script must notice."""
    told = tmp_path / "docs"
    (told / "story").mkdir(parents=True)
    for path in (ROOT / "docs/story.sh", *STORY.iterdir()):
        copy = told / path.relative_to(ROOT / "docs")
        copy.write_bytes(path.read_bytes())
        copy.chmod(0o700)
    harmless = {"op": "test", "path": "/status", "value": "current"}
    (told / "story/mask.json").write_text(json.dumps([harmless]))

    ended = walk(served, launcher, told / "story.sh")

    assert ended.returncode == 1
    assert "NOT AS TOLD: patient: PATCH DocumentReference/" in ended.stderr


def test_the_binary_is_the_pdf_and_the_document_describes_it() -> None:
    pdf = (STORY / "lettre.pdf").read_bytes()
    attachment = json.loads((STORY / "document.json").read_text())["content"][0]["attachment"]

    assert b64decode(json.loads((STORY / "binary.json").read_text())["data"]) == pdf
    assert attachment["size"] == len(pdf)
    assert attachment["hash"] == b64encode(hashlib.sha1(pdf, usedforsecurity=False).digest()).decode()


def test_every_file_of_the_story_is_told() -> None:
    script, page = (ROOT / "docs/story.sh").read_text(), (ROOT / "docs/story.md").read_text()
    for path in STORY.iterdir():
        assert f"story/{path.name}" in script
    for path in re.findall(r"\]\((story/[^)]*)\)", page):
        assert (ROOT / "docs" / path).exists()


def example(patient: str) -> dict[str, Any]:
    """The published example about another patient, its own references left as they are."""
    told: dict[str, Any] = json.loads(EXAMPLE.read_text())
    told["subject"] = told["context"]["sourcePatientInfo"] = {"reference": f"Patient/{patient}"}
    told["masterIdentifier"]["value"] = f"urn:uuid:{uuid4()}"
    return told


def test_the_published_example_is_refused_for_what_is_wrong_in_it(served: Served) -> None:
    """All at once: what it does not contain, a type of another category, size and hash of another Binary."""
    record = own_record(served)
    hospital, body = record.as_("hopital"), example(record.id)
    content = {"resourceType": "Binary", "contentType": "application/pdf", "data": "SGVsbG8gV29ybGQ="}
    location = hospital.post("/Binary", json=content, headers=FHIR_JSON).headers["location"]
    attachment = body["content"][0]["attachment"]
    attachment["url"] = location.partition("/fhir/")[2].partition("/_history/")[0]
    answer = hospital.post("/DocumentReference", json=body, headers=FHIR_JSON)
    assert answer.status_code == 422, answer.text
    assert [one["expression"][0] for one in answer.json()["issue"] if one["severity"] == "error"] == [
        "DocumentReference.author[0].reference",
        "DocumentReference.authenticator.reference",
        "DocumentReference.context.sourcePatientInfo.reference",
        "DocumentReference.category[0]",
        "DocumentReference.content[0].attachment.size",
        "DocumentReference.content[0].attachment.hash",
    ]
    assert "345678" in answer.text
    assert "has 11" in answer.text

    # mended, it is stored as it is, and the label under a system that does not exist is reported
    body["contained"].append({"resourceType": "Patient", "id": "source"})
    body["author"] = [{"reference": "#practitioner-example"}]
    body["context"]["sourcePatientInfo"] = {"reference": "#source"}
    del body["authenticator"]
    body["category"][0]["coding"][0]["code"] = "11"
    attachment |= {"size": 11, "hash": "Ck1VqNd45QIvq3AZd8XYQLvEhtA="}
    answer = hospital.post("/DocumentReference", json=body, headers=FHIR_JSON)
    assert answer.status_code == 201, answer.text
    stored = answer.json()
    told = {**body, "securityLabel": stored["securityLabel"]}
    assert {**stored, "id": 0, "meta": 0} == {**told, "id": 0, "meta": 0}
    assert stored["securityLabel"][:1] == body["securityLabel"]
    assert record.sees("patient", stored["id"])


def test_its_binary_must_be_known(served: Served) -> None:
    """A document that is right but for the Binary it points to, which nobody deposited here."""
    record = own_record(served)
    told = pdsm.document(record.ins, "Binary/6789")
    answer = record.as_("hopital").post("/DocumentReference", json=told, headers=FHIR_JSON)
    assert answer.status_code == 422
    assert answer.json()["issue"][0]["expression"] == ["DocumentReference.content[0].attachment.url"]


@pytest.mark.parametrize(
    ("system", "code", "status"),
    [
        (TRE_A07.replace("Statut", "Status"), "N", 201),
        (TRE_A07.replace("Statut", "Status"), "MASQUE_PS", 422),
        (TRE_A07, "N", 422),
        (TRE_A07, "MASQUE_PS", 201),
    ],
)
def test_labels_under_the_wrong_url(served: Served, system: str, code: str, status: int) -> None:
    record = own_record(served)
    body = document(record.id, securityLabel=[{"coding": [{"system": system, "code": code}]}])
    assert record.as_("hopital").post("/DocumentReference", json=body, headers=FHIR_JSON).status_code == status

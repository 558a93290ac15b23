"""``load`` sends JSON, NDJSON and bundles to a server that runs, and says what was refused and why."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from fhir_server.cli.exits import Exit
from tests.served import ROOT, Served

TEST_INS = "urn:oid:1.2.250.1.213.1.4.10"
REAL_INS = "urn:oid:1.2.250.1.213.1.4.8"


def load(served: Served, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("FHIR_", "MONGODB_"))}
    return subprocess.run(
        [sys.executable, "-m", "fhir_server", "load", *map(str, arguments), "--data", str(served.data)],
        cwd=ROOT,
        env=kept,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def resource(served: Served, path: str) -> dict[str, Any] | None:
    answer = served.as_("conformance").get(f"/{path}")
    told: dict[str, Any] | None = answer.json() if answer.status_code == 200 else None
    return told


@pytest.fixture
def mark() -> str:
    """Begins every id of one test, so that tests do not meet."""
    return f"load-{uuid4().hex[:10]}"


def patient(id: str, system: str = TEST_INS) -> dict[str, Any]:
    return {"resourceType": "Patient", "id": id, "identifier": [{"system": system, "value": uuid4().hex[:15]}]}


def observation(id: str | None, subject: str) -> dict[str, Any]:
    told: dict[str, Any] = {"resourceType": "Observation", "status": "final", "code": {"text": "Pouls"}}
    return told | {"subject": {"reference": subject}} | ({"id": id} if id else {})


def test_a_folder_of_json_ndjson_and_a_bundle(served: Served, tmp_path: Path, mark: str) -> None:
    urn = f"urn:uuid:{uuid4()}"
    (tmp_path / "patient.json").write_text(json.dumps(patient(f"{mark}-json")))
    lines = [observation(f"{mark}-{number}", f"Patient/{mark}-json") for number in range(30)]
    (tmp_path / "lines.ndjson").write_text("\n".join(map(json.dumps, lines)) + "\n\n")
    bundle = {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [
            {"resource": observation(f"{mark}-of-bundle", urn)},
            {"fullUrl": urn, "resource": {**patient(f"{mark}-bundle"), "gender": "female"}},
        ],
    }
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep/bundle.json").write_text(json.dumps(bundle))
    (tmp_path / "notes.txt").write_text("not loaded")

    ended = load(served, tmp_path)

    assert ended.returncode == Exit.DONE, ended.stderr
    assert ended.stdout.splitlines()[-1] == "33 loaded, 0 rejected."
    found = resource(served, f"Observation?patient=Patient/{mark}-json&_summary=count")
    assert found is not None
    assert found["total"] == 30
    of_bundle = resource(served, f"Observation/{mark}-of-bundle")
    assert of_bundle is not None
    assert of_bundle["subject"]["reference"] == f"Patient/{mark}-bundle"


def test_decimals_keep_their_form(served: Served, tmp_path: Path, mark: str) -> None:
    (tmp_path / "patient.json").write_text(json.dumps(patient(mark)))
    text = json.dumps({**observation(mark, f"Patient/{mark}"), "valueQuantity": {"value": 0}})
    (tmp_path / "value.json").write_text(text.replace('"value": 0', '"value": 1.10e2'))

    assert load(served, tmp_path).returncode == Exit.DONE

    assert '"value":1.10e2' in served.as_("conformance").get(f"/Observation/{mark}").text


def test_loaded_again_it_is_the_next_version(served: Served, tmp_path: Path, mark: str) -> None:
    file = tmp_path / "patient.json"
    file.write_text(json.dumps(patient(mark)))

    assert load(served, file).returncode == Exit.DONE
    assert load(served, file).returncode == Exit.DONE

    told = resource(served, f"Patient/{mark}")
    assert told is not None
    assert told["meta"]["versionId"] == "2"


def test_rejects_are_told_with_their_place_and_reason(served: Served, tmp_path: Path, mark: str) -> None:
    lines = [
        json.dumps(patient(f"{mark}-good")),
        "this is no JSON",
        json.dumps({**patient(f"{mark}-gender"), "gender": "unheard"}),
        json.dumps(patient(f"{mark}-real", REAL_INS)),
        json.dumps({"resourceType": "Nothing", "id": "x"}),
        json.dumps(observation(None, f"Patient/{mark}-good")),
    ]
    file = tmp_path / "mixed.ndjson"
    file.write_text("\n".join(lines))

    ended = load(served, file)

    assert ended.returncode == Exit.FOUND_FAULTS
    assert ended.stdout.splitlines()[-1] == "2 loaded, 4 rejected."
    said = {line.partition(": ")[0]: line for line in ended.stderr.splitlines() if line.startswith(str(file))}
    assert sorted(said) == [f"{file}:{number}" for number in (2, 3, 4, 5)]
    assert "not a FHIR resource in JSON" in said[f"{file}:2"]
    assert f"Patient/{mark}-gender: 400" in said[f"{file}:3"]
    assert "Patient.gender" in said[f"{file}:3"]
    assert f"Patient/{mark}-real: 422 A real INS may not be used in trials" in said[f"{file}:4"]
    assert "Nothing/x: 404" in said[f"{file}:5"]
    assert "Traceback" not in ended.stderr
    assert resource(served, f"Patient/{mark}-good") is not None
    assert resource(served, f"Patient/{mark}-gender") is None


def test_with_a_token_of_somebody_who_may_not(served: Served, tmp_path: Path, mark: str) -> None:
    file = tmp_path / "patient.json"
    file.write_text(json.dumps(patient(mark)))

    ended = load(served, file, "--token", served.token("specialiste"))

    assert ended.returncode == Exit.FOUND_FAULTS
    assert f"Patient/{mark}: 403" in ended.stderr
    assert resource(served, f"Patient/{mark}") is None


def test_an_expired_token_ends_it(served: Served, tmp_path: Path, mark: str) -> None:
    file = tmp_path / "patient.json"
    file.write_text(json.dumps(patient(mark)))

    ended = load(served, file, "--token", served.token("conformance", lifetime=-10))

    assert ended.returncode == Exit.USAGE
    assert "does not accept the token: The token has expired." in ended.stderr
    assert "Traceback" not in ended.stderr

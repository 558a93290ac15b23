"""contract.md, Commands: ``serve --demo`` and ``token``, as processes of their own."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from base64 import urlsafe_b64decode
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.served import JSON_PATCH, ROOT, Served, serving

EIGHT_HOURS = 8 * 3600
ACTORS = [
    *("medecin-traitant", "specialiste", "inconnu", "bloque", "infirmier", "specialiste2", "samu", "urgentiste"),
    *("patient", "representant", "aidant", "hopital", "assurance-maladie", "conformance", "support"),
]
CHANGE = [{"op": "replace", "path": "/description", "value": "changé avant l'arrêt"}]


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("FHIR_", "MONGODB_"))}
    return subprocess.run(
        [sys.executable, "-m", "fhir_server", *arguments],
        cwd=ROOT,
        env=kept,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def token(served: Served, *arguments: str) -> str:
    """What a script gets that takes the last line of standard output."""
    ended = command("token", *arguments, "--data", str(served.data))
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.splitlines()[-1]


def claims(token: str) -> dict[str, Any]:
    payload = token.split(".")[1]
    told: dict[str, Any] = json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return told


def status(served: Served, token: str, path: str) -> int:
    with served.client(token) as client:
        return client.get(path).status_code


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def test_serve_keeps_the_demo_data_of_a_folder_and_takes_all_its_options(tmp_path: Path) -> None:
    """--demo a second time changes nothing that is there; --port, --data, --base-url and --workers are followed."""
    data = tmp_path / "folder"
    with serving(data) as first:
        changed = first.as_("conformance").patch("/DocumentReference/demo-1-normal-1", json=CHANGE, headers=JSON_PATCH)
        assert changed.status_code == 200
        gone = first.as_("conformance").delete("/DocumentReference/demo-1-efface")
        assert gone.status_code == 204
        kept = {path: first.as_("conformance").get(path).text for path in ("/Patient/demo-1", "/Consent?_count=100")}
        kept = {path: text.replace(first.base, "") for path, text in kept.items()}
        old_token = first.token("conformance")
        assert first.stop() == 0

    port = free_port()
    base = f"http://localhost:{port}/fhir"
    with serving(data, "--port", str(port), "--base-url", base, "--workers", "2") as second:
        assert second.base == base
        local = f"http://127.0.0.1:{port}/fhir"
        assert httpx.get(f"{local}/metadata").status_code == 200
        document = second.as_("conformance").get("/DocumentReference/demo-1-normal-1")
        assert document.json()["description"] == "changé avant l'arrêt"
        assert document.json()["meta"]["versionId"] == "2"
        assert second.as_("conformance").get("/DocumentReference/demo-1-efface").status_code == 410
        for path, text in kept.items():
            assert second.as_("conformance").get(path).text.replace(base, "") == text
        # links come from --base-url, and so does the audience of tokens
        bundle = second.as_("specialiste").get("/DocumentReference?patient=demo-1").json()
        assert all(entry["fullUrl"].startswith(f"{base}/") for entry in bundle["entry"])
        assert claims(token(second, "patient"))["aud"] == base
        assert status(second, old_token, "/Patient/demo-1") == 401
        assert second.stop() == 0


def test_ready_when_metadata_answers(served: Served) -> None:
    answer = httpx.get(f"{served.base}/metadata")
    assert answer.status_code == 200
    assert answer.json()["resourceType"] == "CapabilityStatement"
    assert answer.json()["implementation"]["url"] == served.base


def test_the_base_is_of_this_host_and_port(served: Served) -> None:
    assert served.base.startswith("http://127.0.0.1:")
    assert served.base.endswith("/fhir")


def test_the_token_stands_alone_on_the_last_line_and_works_while_the_server_runs(served: Served) -> None:
    made = token(served, "patient")

    assert made.count(".") == 2
    assert made.split() == [made]
    assert status(served, made, "/Patient/demo-1") == 200


def test_a_token_holds_eight_hours_unless_told(served: Served) -> None:
    begun = time.time()
    told = claims(token(served, "patient"))

    assert told["exp"] - told["iat"] == EIGHT_HOURS
    assert begun - 2 <= told["iat"] <= time.time() + 1


def test_lifetime_is_in_seconds(served: Served) -> None:
    made = token(served, "patient", "--lifetime", "120")

    assert claims(made)["exp"] - claims(made)["iat"] == 120
    assert status(served, made, "/Patient/demo-1") == 200


def test_a_negative_lifetime_has_already_expired(served: Served) -> None:
    made = token(served, "patient", "--lifetime", "-10")

    answer = httpx.get(f"{served.base}/Patient/demo-1", headers={"Authorization": f"Bearer {made}"})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert answer.json()["issue"][0]["code"] == "expired"


def test_patient_makes_patient_and_representant_somebody_elses(served: Served) -> None:
    patient = token(served, "patient", "--patient", "demo-2")
    assert (status(served, patient, "/Patient/demo-2"), status(served, patient, "/Patient/demo-1")) == (200, 404)

    # she represents nobody there: no RelatedPerson of demo-2 names her
    representant = token(served, "representant", "--patient", "demo-2")
    assert claims(representant)["extensions"]["ihe_iua"]["person_id"] == "162031305500201"
    assert (status(served, representant, "/Patient/demo-2"), status(served, representant, "/Patient/demo-3")) == (
        404,
        404,
    )


def test_purpose(served: Served) -> None:
    told = claims(token(served, "samu", "--purpose", "TREAT"))
    (coding,) = told["extensions"]["ihe_iua"]["purpose_of_use"]
    assert (coding["system"], coding["code"]) == ("http://terminology.hl7.org/CodeSystem/v3-ActReason", "TREAT")


def test_reason(served: Served) -> None:
    broken = token(served, "inconnu", "--purpose", "BTG", "--reason", "Patiente inconsciente à domicile")
    assert claims(broken)["extensions"]["dmp"]["reason"] == "Patiente inconsciente à domicile"
    assert status(served, broken, "/DocumentReference/demo-1-normal-1") == 200
    # without a reason the glass does not break
    silent = token(served, "inconnu", "--purpose", "BTG")
    assert status(served, silent, "/DocumentReference/demo-1-normal-1") == 403


def test_claim_sets_any_claim_as_json(served: Served) -> None:
    made = token(
        served,
        "hopital",
        "--claim",
        'scope="system/DocumentReference.c"',
        "--claim",
        'extensions.dmp={"practice_setting":"AMBULATOIRE"}',
    )
    assert claims(made)["scope"] == "system/DocumentReference.c"
    assert claims(made)["extensions"]["dmp"] == {"practice_setting": "AMBULATOIRE"}
    assert status(served, made, "/DocumentReference?patient=demo-1") == 403


def test_list_names_every_actor() -> None:
    ended = command("token", "--list")
    assert ended.returncode == 0
    assert [line.split()[0] for line in ended.stdout.splitlines()] == ACTORS


@pytest.mark.parametrize("actor", ACTORS)
def test_every_actor_has_a_token_that_the_server_takes(served: Served, actor: str) -> None:
    """Whatever he may do, he is somebody: no 401."""
    assert status(served, served.token(actor), "/Patient/demo-1") in {200, 403, 404}


@pytest.mark.parametrize(
    "arguments",
    [("token",), ("token", "nobody"), ("token", "patient", "--colour", "blue"), ("serve", "--port", "seventy")],
)
def test_a_wrong_command_line_is_2(arguments: tuple[str, ...]) -> None:
    ended = command(*arguments)
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert "Traceback" not in ended.stderr


def test_no_data_folder_is_3(tmp_path: Path) -> None:
    ended = command("token", "patient", "--data", str(tmp_path / "nowhere"))
    assert (ended.returncode, ended.stdout) == (3, "")
    assert len(ended.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "nowhere").exists()


def test_an_actor_may_be_told_after_the_options(served: Served) -> None:
    ended = command("token", "--data", str(served.data), "--lifetime", "60", "patient")
    assert ended.returncode == 0
    assert status(served, ended.stdout.splitlines()[-1], "/Patient/demo-1") == 200

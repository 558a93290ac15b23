"""``./fhir-server token``: the token alone on the last line, exit codes 0, 2 and 3."""

from __future__ import annotations

import json
import time
from base64 import urlsafe_b64decode
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from fhir_server.cli.token import token_command
from fhir_server.fhir.errors import Unauthenticated
from fhir_server.identity.actors import ACTORS, DEMO_PATIENTS
from fhir_server.identity.claims import SECRET_SESSION
from fhir_server.identity.development import DEFAULT_BASE_URL, DevelopmentIssuer, write_base_url
from fhir_server.identity.requester import Purpose, Requester
from fhir_server.identity.token import Verifier
from fhir_server.record.actors import actor_key

APP = typer.Typer()
APP.command("token")(token_command)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    DevelopmentIssuer.create(tmp_path)
    return tmp_path


def run(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(APP, list(arguments))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout, result.stderr


def token(data: Path, *arguments: str) -> str:
    code, out, err = run(*arguments, "--data", str(data))
    assert code == 0, err
    return out.splitlines()[-1]


def told(token: str) -> dict[str, Any]:
    payload = token.split(".")[1]
    claims: dict[str, Any] = json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return claims


def requester(data: Path, *arguments: str, base_url: str = DEFAULT_BASE_URL) -> Requester:
    verifier = Verifier(base_url, [DevelopmentIssuer.existing(data).trusted])
    return verifier.verify(f"Bearer {token(data, *arguments)}", now=time.time())


@pytest.mark.parametrize("actor", sorted(ACTORS))
def test_every_actor_has_a_token_that_holds(data: Path, actor: str) -> None:
    assert requester(data, actor).kind is ACTORS[actor].kind


def test_the_list_names_every_actor() -> None:
    code, out, _ = run("--list")

    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == list(ACTORS)


def test_the_audience_is_the_server_of_the_folder(data: Path) -> None:
    write_base_url(data, "http://127.0.0.1:9090/fhir")

    assert requester(data, "patient", base_url="http://127.0.0.1:9090/fhir").key == "ins|280057505600117"


def test_eight_hours_unless_told(data: Path) -> None:
    for arguments, lifetime in ((("patient",), 8 * 3600), (("patient", "--lifetime", "60"), 60)):
        claims = told(token(data, *arguments))
        assert claims["exp"] - claims["iat"] == lifetime


def test_a_negative_lifetime_has_expired(data: Path) -> None:
    with pytest.raises(Unauthenticated, match="expired"):
        requester(data, "patient", "--lifetime", "-1")


@pytest.mark.parametrize("actor", ["patient", "representant", "aidant"])
@pytest.mark.parametrize("patient", ["demo-2", "demo-4"])
def test_patient_moves_to_another_record(data: Path, actor: str, patient: str) -> None:
    person = requester(data, actor, "--patient", patient).person

    assert person is not None
    assert person.value == DEMO_PATIENTS[patient]


def test_patient_may_be_an_ins(data: Path) -> None:
    assert requester(data, "patient", "--patient", "174093306300485").key == "ins|174093306300485"


def test_purpose_and_reason(data: Path) -> None:
    asked = requester(data, "infirmier", "--purpose", "BTG", "--reason", "Patient inconscient dans la rue")

    assert (asked.purpose, asked.reason) == (Purpose.BTG, "Patient inconscient dans la rue")
    assert requester(data, "urgentiste", "--purpose", "TREAT").reason is None


def test_claims_are_set_and_removed(data: Path) -> None:
    claims = told(
        token(
            data,
            "medecin-traitant",
            "--claim",
            f'extensions.dmp.audience_restriction="{SECRET_SESSION}"',
            "--claim",
            "extensions.dmp.specialty=null",
            "--claim",
            "jti=null",
            "--claim",
            "nothing.here=null",
            "--claim",
            'new.object={"a": [1, 1.50]}',
        )
    )

    assert claims["extensions"]["dmp"] == {"practice_setting": "AMBULATOIRE", "audience_restriction": SECRET_SESSION}
    assert "jti" not in claims
    assert "nothing" not in claims
    assert claims["new"] == {"object": {"a": [1, 1.5]}}


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nobody"],
        ["patient", "--patient", "demo-99"],
        ["samu", "--patient", "demo-1"],
        ["patient", "--purpose", "FUN"],
        ["patient", "--lifetime", "long"],
        ["patient", "--lifetime", "99999999999999"],
        ["patient", "--claim", "sub"],
        ["patient", "--claim", "sub=me"],
        ["patient", "--claim", "=1"],
        ["patient", "--claim", "a..b=1"],
        ["patient", "--unknown"],
    ],
)
def test_a_wrong_command_line_is_2(data: Path, arguments: list[str]) -> None:
    code, out, err = run(*arguments, "--data", str(data))

    assert (code, out) == (2, "")
    assert "Traceback" not in err


def test_no_data_folder_is_3(tmp_path: Path) -> None:
    code, out, err = run("patient", "--data", str(tmp_path / "absent"))

    assert (code, out) == (3, "")
    assert "--demo first" in err


def test_keys_are_spelt_as_records_spell_them(data: Path) -> None:
    """Own deposits are found by key, so tokens and documents must spell it alike."""
    doctor, hospital, feeder = (requester(data, actor) for actor in ("specialiste", "hopital", "assurance-maladie"))

    assert doctor.rpps is not None
    assert doctor.key == actor_key("https://rpps.esante.gouv.fr", doctor.rpps)
    for structure in (hospital, feeder):
        assert structure.organisation_system is not None
        assert structure.organisation is not None
        assert structure.key == actor_key(structure.organisation_system, structure.organisation)

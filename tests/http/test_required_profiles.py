"""What an operator demands of types: profiles of which one is declared and satisfied. docs/validation/README.md"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any, Final

import httpx
import pytest

from tests import pdsm
from tests.answers import refused
from tests.conformance.own_record import OwnRecord, own_record
from tests.served import FHIR_JSON, ROOT, Served, serving

PATIENT_INS: Final = "https://hl7.fr/ig/fhir/core/StructureDefinition/fr-core-patient-ins"
ORGANIZATION: Final = "https://hl7.fr/ig/fhir/core/StructureDefinition/fr-core-organization"


@pytest.fixture(scope="module")
def dmp(mongo_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server in the mode of the DMP, which demands a profile of Organizations besides."""
    environment = {
        "FHIR_PROFILE_MODE": "dmp",
        "FHIR_REQUIRED_PROFILES": json.dumps({"Organization": [ORGANIZATION]}),
        "FHIR_DATABASE": "demanding",
    }
    folder = tmp_path_factory.mktemp("demanding") / "data"
    with serving(folder, "--mongodb-uri", mongo_uri, env=environment) as running:
        yield running


@pytest.fixture
def record(dmp: Served) -> OwnRecord:
    return own_record(dmp)


def of(record: OwnRecord) -> dict[str, Any]:
    return {"subject": {"reference": f"Patient/{record.id}"}}


def sent(client: httpx.Client, resource: dict[str, Any]) -> httpx.Response:
    return client.post(f"/{resource['resourceType']}", json=resource, headers=FHIR_JSON)


def test_a_document_declares_a_profile_of_pdsm_and_satisfies_it(record: OwnRecord) -> None:
    hospital = record.as_("hopital")
    right = pdsm.simplified(record.ins)
    assert sent(hospital, right).status_code == 201
    told = refused(sent(hospital, pdsm.without(pdsm.simplified(record.ins), "meta")), 422, "required")
    assert told["expression"] == ["DocumentReference.meta.profile"]
    assert f"{pdsm.PDSM}pdsm-simplified-publish" in told["diagnostics"]
    of_another = pdsm.simplified(record.ins) | {"meta": {"profile": ["https://example.org/another"]}}
    assert refused(sent(hospital, of_another), 422, "required")["expression"] == ["DocumentReference.meta.profile"]
    lacking = pdsm.without(pdsm.simplified(record.ins), "date")
    assert refused(sent(hospital, lacking), 422)["expression"] == ["DocumentReference.date"]


def test_what_is_declared_is_not_taken_away(record: OwnRecord) -> None:
    hospital, conformance = record.as_("hopital"), record.as_("conformance")
    made = sent(hospital, {"resourceType": "Observation", "status": "final", "code": {"text": "x"}} | of(record)).json()
    assert made["resourceType"] == "Observation", "of a type of which nothing is demanded"
    key = sent(hospital, pdsm.simplified(record.ins)).json()["id"]
    stored = conformance.get(f"/DocumentReference/{key}").json()
    changed = pdsm.without(stored, "meta") | {"docStatus": "final"}
    answer = conformance.put(f"/DocumentReference/{key}", json=changed, headers=FHIR_JSON)
    assert answer.status_code == 200, "conformance clients are excepted"


def test_what_was_stored_before_can_still_be_changed(record: OwnRecord) -> None:
    """A document of before the demand, as the conformance client writes one here, is masked as any other."""
    plain = pdsm.without(pdsm.simplified(record.ins), "meta")
    old = sent(record.as_("conformance"), plain).json()["id"]
    answer = record.as_("patient").post(f"/DocumentReference/{old}/$mask")
    assert answer.status_code == 200, answer.text


def test_a_patient_is_that_of_the_ins(dmp: Served) -> None:
    client = dmp.as_("hopital")
    patient: dict[str, Any] = {"resourceType": "Patient", "gender": "female", "birthDate": "1970-01-01"}
    assert "Patient.meta.profile" in wrong(client, patient)
    declared = wrong(client, patient | {"meta": {"profile": [PATIENT_INS]}})
    assert "Patient.name" in declared
    assert "Patient.meta.profile" not in declared


def wrong(client: httpx.Client, resource: dict[str, Any]) -> set[str]:
    """Where something is wrong with a resource, as $validate tells it."""
    told = client.post(f"/{resource['resourceType']}/$validate", json=resource, headers=FHIR_JSON).json()
    return {place for one in told["issue"] if one["severity"] == "error" for place in one["expression"]}


def test_what_the_operator_demands_besides(dmp: Served) -> None:
    client = dmp.as_("hopital")
    told = client.post("/Organization/$validate", json={"resourceType": "Organization", "name": "x"}, headers=FHIR_JSON)
    wanting = [one for one in told.json()["issue"] if one.get("expression") == ["Organization.meta.profile"]]
    assert [one["severity"] for one in wanting] == ["error"]
    assert ORGANIZATION in wanting[0]["diagnostics"]


def test_conformance_clients_write_base_r4(record: OwnRecord) -> None:
    plain = pdsm.without(pdsm.simplified(record.ins), "meta")
    assert sent(record.as_("conformance"), plain).status_code == 201


@pytest.mark.parametrize("type", ["Patient", "Practitioner"])
def test_a_profile_that_nobody_can_satisfy_stops_the_start(
    mongo_uri: str, tmp_path_factory: pytest.TempPathFactory, type: str
) -> None:
    wrong = {"Patient": "https://example.org/nobody", "Practitioner": PATIENT_INS}[type]
    command = [sys.executable, "-m", "fhir_server", "serve", "--port", "0", "--mongodb-uri", mongo_uri]
    environment = {"FHIR_REQUIRED_PROFILES": json.dumps({type: [wrong]}), "FHIR_DATABASE": "wrong"}
    folder = tmp_path_factory.mktemp("wrong") / "data"
    command += ["--data", str(folder)]
    ended = subprocess.run(command, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, check=False)
    assert ended.returncode != 0
    assert f"{wrong} is no profile of {type} that is known here" in ended.stderr + ended.stdout
    assert "Traceback" not in ended.stderr + ended.stdout

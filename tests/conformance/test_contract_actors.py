"""contract.md, Actors: who each actor of ``token`` is, told by his token and by what the server does for him."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from typing import Any

import pytest

from tests.conformance.own_record import HELENE, NUMBERS, OwnRecord, document, ids, own_record
from tests.served import FHIR_JSON, Served

G15 = "https://mos.esante.gouv.fr/NOS/TRE_G15-ProfessionSante/FHIR/TRE-G15-ProfessionSante"
LUCIE = "210043155500326"
NORMAL = "demo-1-normal-1"
MASKED = "demo-1-masque"


def claims(served: Served, actor: str, **named: Any) -> dict[str, Any]:
    payload = served.token(actor, **named).split(".")[1]
    told: dict[str, Any] = json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return told


def iua(served: Served, actor: str, **named: Any) -> dict[str, Any]:
    told: dict[str, Any] = claims(served, actor, **named)["extensions"]["ihe_iua"]
    return told


def dmp(served: Served, actor: str) -> dict[str, Any]:
    told: dict[str, Any] = claims(served, actor)["extensions"].get("dmp", {})
    return told


def status(served: Served, actor: str, path: str) -> int:
    return served.as_(actor).get(path).status_code


def reads(served: Served, actor: str, id: str) -> bool:
    """He reads it and finds it, or neither."""
    read = status(served, actor, f"/DocumentReference/{id}")
    bundle = served.as_(actor).get("/DocumentReference?patient=demo-1&_count=100")
    assert bundle.status_code == 200
    assert (read == 200) is (id in ids(bundle.json()))
    assert read in {200, 404}
    return read == 200


@pytest.mark.parametrize(("actor", "number"), NUMBERS.items())
def test_professionals_have_their_rpps_and_profession(served: Served, actor: str, number: str) -> None:
    told = iua(served, actor)
    assert told["national_provider_identifier"] == number
    (role,) = told["subject_role"]
    assert (role["system"], role["code"]) == (G15, "60" if actor == "infirmier" else "10")


@pytest.mark.parametrize(
    ("actor", "normal", "masked"),
    [
        ("medecin-traitant", True, True),
        ("specialiste", True, False),
        ("inconnu", False, False),
        ("bloque", False, False),
        ("infirmier", True, False),
        ("specialiste2", False, True),
        ("samu", True, False),
        ("urgentiste", True, False),
        ("patient", True, True),
    ],
)
def test_what_each_reads_of_demo_1(served: Served, actor: str, normal: bool, masked: bool) -> None:
    assert (reads(served, actor, NORMAL), reads(served, actor, MASKED)) == (normal, masked)


def test_the_medecin_traitant_is_so_of_demo_3_too(served: Served) -> None:
    assert status(served, "medecin-traitant", "/DocumentReference/demo-3-secret") == 200
    assert status(served, "medecin-traitant", "/DocumentReference/demo-2-normal-1") == 404


@pytest.mark.parametrize("actor", ["specialiste", "infirmier"])
def test_the_authorised_are_authorised_by_a_consent_they_can_read(served: Served, actor: str) -> None:
    bundle = served.as_(actor).get("/Consent?patient=demo-1").json()
    (consent,) = [entry["resource"] for entry in bundle["entry"]]
    (named,) = consent["provision"]["actor"]
    assert named["reference"]["identifier"]["value"] == NUMBERS[actor]
    assert consent["policy"] == [{"uri": "https://fhir.dmp-ens.example/policy/autorisation"}]


def test_bloque_was_authorised_then_blocked(served: Served) -> None:
    bundle = served.as_("patient").get("/Consent?patient=demo-1").json()
    his = [
        entry["resource"]
        for entry in bundle["entry"]
        if "89900000004" in json.dumps(entry["resource"]["provision"].get("actor", []))
    ]
    dated = sorted((one["dateTime"], one["policy"][0]["uri"].rpartition("/")[2], one["status"]) for one in his)
    assert [(policy, state) for _, policy, state in dated] == [("autorisation", "active"), ("blocage", "active")]


def test_samu_is_on_a_call(served: Served) -> None:
    assert [one["code"] for one in iua(served, "samu")["purpose_of_use"]] == ["ETREAT"]
    assert dmp(served, "samu")["practice_setting"] == "SAMU_SMUR"


def test_urgentiste_breaks_the_glass_with_a_reason(served: Served) -> None:
    assert [one["code"] for one in iua(served, "urgentiste")["purpose_of_use"]] == ["BTG"]
    assert 10 <= len(dmp(served, "urgentiste")["reason"]) <= 500


def test_patient_is_the_holder_of_demo_1(served: Served) -> None:
    assert iua(served, "patient")["person_id"] == HELENE
    assert status(served, "patient", "/Patient/demo-1") == 200
    assert status(served, "patient", "/Patient/demo-3") == 404


def test_representant_is_the_holder_of_demo_1_acting_for_demo_3(served: Served) -> None:
    assert iua(served, "representant")["person_id"] == LUCIE
    assert dmp(served, "representant")["actor_ins"] == HELENE
    assert status(served, "representant", "/Patient/demo-3") == 200
    assert status(served, "representant", "/Patient/demo-1") == 404


def test_aidant_has_no_right_before_he_is_invited_and_accepts(served: Served) -> None:
    """A known requester with no standing: what is there and what is not look alike."""
    for path in ("/Patient/demo-1", f"/DocumentReference/{NORMAL}"):
        assert status(served, "aidant", path) == 404
    found = served.as_("aidant").get("/DocumentReference?patient=demo-1").json()
    assert found["total"] == 0
    assert status(served, "aidant", "/AuditEvent?patient=demo-1") == 403


@pytest.fixture(scope="module")
def record(served: Served) -> OwnRecord:
    return own_record(served)


def test_hopital_feeds_and_reads_its_own(served: Served, record: OwnRecord) -> None:
    assert iua(served, "hopital")["subject_organization_id"] == "https://finess.esante.gouv.fr|990000001"
    others = record.deposit(by="inconnu")
    own = record.deposit(by="hopital")
    assert record.sees("hopital", own)
    assert not record.sees("hopital", others)
    # what the demonstration's hospital published is its own too, what the family doctor wrote is not
    assert (reads(served, "hopital", NORMAL), reads(served, "hopital", "demo-1-normal-2")) == (True, False)


def test_assurance_maladie_feeds_and_every_read_is_403(served: Served, record: OwnRecord) -> None:
    answer = served.as_("assurance-maladie").post("/DocumentReference", json=document(record.id), headers=FHIR_JSON)
    assert answer.status_code == 201
    for path in (
        answer.headers["location"].partition("/fhir")[2],
        f"/DocumentReference?patient={record.id}",
        f"/Patient/{record.id}",
        "/DocumentReference/absent",
        "/AuditEvent?patient=demo-1",
        "/Organization",
    ):
        assert status(served, "assurance-maladie", path) == 403, path


def test_conformance_has_cruds_in_the_realm_of_trials(record: OwnRecord) -> None:
    client = record.as_("conformance")
    observation = {
        "resourceType": "Observation",
        "id": f"{record.id}-o",
        "status": "final",
        "code": {"text": "essai"},
        "subject": {"reference": f"Patient/{record.id}"},
    }
    path = f"/Observation/{record.id}-o"
    assert client.put(path, json=observation, headers=FHIR_JSON).status_code == 201
    assert client.get(path).status_code == 200
    assert client.put(path, json={**observation, "status": "amended"}, headers=FHIR_JSON).status_code == 200
    assert f"{record.id}-o" in ids(client.get(f"/Observation?patient={record.id}").json())
    assert client.delete(path).status_code == 204
    assert client.get(path).status_code == 410


def test_conformance_brings_no_real_ins(served: Served) -> None:
    real = {"resourceType": "Patient", "identifier": [{"system": "urn:oid:1.2.250.1.213.1.4.8", "value": HELENE}]}
    assert served.as_("conformance").post("/Patient", json=real, headers=FHIR_JSON).status_code == 422


def test_support_reads_the_trail_and_nothing_else(served: Served) -> None:
    assert status(served, "support", "/AuditEvent?_count=1") == 200
    for path in ("/Patient/demo-1", "/DocumentReference?patient=demo-1", "/Consent?patient=demo-1", "/Practitioner"):
        assert status(served, "support", path) == 403, path


@pytest.mark.parametrize("actor", ["patient", "representant"])
def test_patient_option_makes_them_somebody_elses(record: OwnRecord, actor: str) -> None:
    assert record.as_(actor).get(f"/Patient/{record.id}").status_code == 200
    assert record.as_(actor).get("/Patient/demo-1").status_code == 404

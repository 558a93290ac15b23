"""contract.md, Records: each demonstration record is exactly as the table says. Nothing here is changed."""

from __future__ import annotations

import hashlib
from base64 import b64decode, b64encode
from typing import Any

import pytest

from tests.conformance.own_record import CONFIDENTIALITY, HELENE, INS_NIR_TEST, NUMBERS, R260, TRE_A07, document, ids
from tests.served import FHIR_JSON, Served

INS = {
    "demo-1": "280057505600117",
    "demo-2": "162031305500201",
    "demo-3": "210043155500326",
    "demo-4": "155026912300472",
    "demo-5": "247024410900553",
}
NORMAL = [f"demo-1-normal-{number}" for number in range(1, 6)]
DOCUMENTS = {
    "demo-1": {*NORMAL, "demo-1-masque", "demo-1-annonce", "demo-1-efface"},
    "demo-2": {"demo-2-normal-1"},
    "demo-3": {"demo-3-normal-1", "demo-3-secret"},
    "demo-4": {"demo-4-normal-1"},
}
LABELS = {
    "demo-1-masque": {"MASQUE_PS"},
    "demo-1-annonce": {"INVISIBLE_PATIENT"},
    "demo-3-secret": {"INVISIBLE_REPRESENTANTS_LEGAUX"},
}
EVERY_DOCUMENT = sorted({one for found in DOCUMENTS.values() for one in found})


def resource(served: Served, path: str, actor: str = "conformance") -> dict[str, Any]:
    answer = served.as_(actor).get(path, headers={"Accept": "application/fhir+json"})
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


def found(served: Served, query: str, actor: str, **named: Any) -> set[str]:
    """What is found of the demonstration: other tests may have deposited more."""
    answer = served.as_(actor, **named).get(query)
    assert answer.status_code == 200, answer.text
    return {id for id in ids(answer.json()) if id.startswith("demo-")}


@pytest.mark.parametrize(("id", "ins"), INS.items())
def test_patients_carry_their_test_ins(served: Served, id: str, ins: str) -> None:
    patient = resource(served, f"/Patient/{id}")

    assert [(one["system"], one["value"]) for one in patient["identifier"]] == [(INS_NIR_TEST, ins)]
    assert patient["active"] is (id != "demo-5")
    assert 97 - int(ins[:13]) % 97 == int(ins[13:])


def test_demo_1_is_an_adult_of_that_name(served: Served) -> None:
    patient = resource(served, "/Patient/demo-1")

    assert patient["name"][0]["family"] == "D'Almeida"
    assert patient["name"][0]["given"][0] == "Hélène"
    assert patient["birthDate"].startswith("1980-05")


def test_demo_3_is_a_minor(served: Served) -> None:
    patient = resource(served, "/Patient/demo-3")

    year, month, day = map(int, patient["birthDate"].split("-"))
    updated = resource(served, "/Patient/demo-3")["meta"]["lastUpdated"]
    assert (year + 18, month, day) > tuple(map(int, updated[:10].split("-")))


@pytest.mark.parametrize("patient", sorted(DOCUMENTS))
def test_the_documents_are_those_named(served: Served, patient: str) -> None:
    assert found(served, f"/DocumentReference?patient={patient}&_count=100", "conformance") == DOCUMENTS[patient]


@pytest.mark.parametrize("id", EVERY_DOCUMENT)
def test_the_labels_are_those_named(served: Served, id: str) -> None:
    told = resource(served, f"/DocumentReference/{id}")
    codings = [coding for concept in told["securityLabel"] for coding in concept["coding"]]
    assert {one["code"] for one in codings if one["system"] == TRE_A07} == LABELS.get(id, set())
    assert {one["system"] for one in codings} <= {TRE_A07, CONFIDENTIALITY}
    assert told["subject"]["reference"] == f"Patient/{id[:6]}"
    assert told["status"] == "current"


@pytest.mark.parametrize(("id", "author"), [("demo-1-masque", "specialiste2"), ("demo-1-efface", "specialiste")])
def test_the_author_deposited_it(served: Served, id: str, author: str) -> None:
    contained = {one["id"]: one for one in resource(served, f"/DocumentReference/{id}")["contained"]}
    (reference,) = resource(served, f"/DocumentReference/{id}")["author"]
    numbers = [one["value"] for one in contained[reference["reference"].removeprefix("#")]["identifier"]]
    assert NUMBERS[author] in numbers
    assert resource(served, f"/DocumentReference/{id}", author)["id"] == id


@pytest.mark.parametrize("id", EVERY_DOCUMENT)
def test_each_document_has_its_binary(served: Served, id: str) -> None:
    (content,) = resource(served, f"/DocumentReference/{id}")["content"]
    attachment = content["attachment"]
    assert attachment["url"] == f"Binary/{id}-pdf"
    assert attachment["contentType"] == "application/pdf"

    native = served.as_("conformance").get(f"/Binary/{id}-pdf", headers={"Accept": "application/pdf"})
    assert native.status_code == 200
    assert native.headers["content-type"] == "application/pdf"
    pdf = native.content
    assert pdf.startswith(b"%PDF-1.")
    assert pdf.rstrip().endswith(b"%%EOF")
    assert len(pdf) == attachment["size"]
    digest = hashlib.sha1(pdf, usedforsecurity=False).digest()
    assert b64encode(digest).decode() == attachment["hash"]

    binary = resource(served, f"/Binary/{id}-pdf")
    assert (binary["resourceType"], binary["id"], binary["contentType"]) == ("Binary", f"{id}-pdf", "application/pdf")
    assert b64decode(binary["data"]) == pdf


def test_the_holder_reads_her_documents_but_not_the_announcement(served: Served) -> None:
    seen = found(served, "/DocumentReference?patient=demo-1&_count=100", "patient")
    assert seen == DOCUMENTS["demo-1"] - {"demo-1-annonce"}
    for path in ("/DocumentReference/demo-1-annonce", "/Binary/demo-1-annonce-pdf"):
        assert served.as_("patient").get(path).status_code == 404


def test_the_authorised_doctor_does_not_see_the_mask(served: Served) -> None:
    seen = found(served, "/DocumentReference?patient=demo-1&_count=100", "specialiste")
    assert seen == DOCUMENTS["demo-1"] - {"demo-1-masque"}


def test_demo_2_authorised_nobody(served: Served) -> None:
    assert found(served, "/Consent?patient=demo-2", "conformance") == set()
    for actor in ("medecin-traitant", "specialiste", "inconnu", "infirmier"):
        assert found(served, "/DocumentReference?patient=demo-2", actor) == set()
    assert found(served, "/DocumentReference?patient=demo-2", "patient", patient="demo-2") == {"demo-2-normal-1"}
    for actor in ("samu", "urgentiste"):
        assert found(served, "/DocumentReference?patient=demo-2", actor) == {"demo-2-normal-1"}


def test_the_guardian_of_demo_3_is_the_holder_of_demo_1(served: Served) -> None:
    (related,) = [entry["resource"] for entry in resource(served, "/RelatedPerson?patient=demo-3").get("entry", [])]
    assert related["active"] is True
    assert (INS_NIR_TEST, HELENE) in [(one["system"], one["value"]) for one in related["identifier"]]
    codings = [coding for concept in related["relationship"] for coding in concept["coding"]]
    assert (R260, "GUARD") in [(one["system"], one["code"]) for one in codings]
    assert INS["demo-1"] == HELENE


def test_the_representant_does_not_see_the_secret(served: Served) -> None:
    assert found(served, "/DocumentReference?patient=demo-3", "representant") == {"demo-3-normal-1"}
    for path in ("/DocumentReference/demo-3-secret", "/Binary/demo-3-secret-pdf"):
        assert served.as_("representant").get(path).status_code == 404
    for actor, named in (("patient", {"patient": "demo-3"}), ("medecin-traitant", {})):
        assert found(served, "/DocumentReference?patient=demo-3", actor, **named) == DOCUMENTS["demo-3"]


def test_demo_4_opposed_both_emergencies(served: Served) -> None:
    for actor in ("samu", "urgentiste"):
        assert found(served, "/DocumentReference?patient=demo-4", actor) == set()
        assert served.as_(actor).get("/DocumentReference/demo-4-normal-1").status_code == 404
        assert served.as_(actor).get("/Patient/demo-4").status_code == 404
    assert found(served, "/DocumentReference?patient=demo-4", "patient", patient="demo-4") == {"demo-4-normal-1"}


class TestDemo5IsClosed:
    def test_the_holder_keeps_his_patient_and_his_trail(self, served: Served) -> None:
        holder = served.as_("patient", patient="demo-5")
        assert holder.get("/Patient/demo-5").json()["active"] is False
        trail = holder.get("/AuditEvent?patient=demo-5")
        assert trail.status_code == 200
        assert trail.json()["total"] > 0

    def test_the_holder_consults_nothing_else(self, served: Served) -> None:
        holder = served.as_("patient", patient="demo-5")
        for type in ("DocumentReference", "Consent", "Observation", "Binary"):
            assert ids(holder.get(f"/{type}").json()) == set()
        for path in ("/DocumentReference/demo-5-normal-1", "/Binary/demo-5-normal-1-pdf"):
            assert holder.get(path).status_code == 404

    @pytest.mark.parametrize("actor", ["medecin-traitant", "specialiste", "inconnu", "samu", "urgentiste", "hopital"])
    def test_nobody_consults_it(self, served: Served, actor: str) -> None:
        assert found(served, "/DocumentReference?patient=demo-5", actor) == set()
        assert served.as_(actor).get("/DocumentReference/demo-5-normal-1").status_code == 404
        assert served.as_(actor).get("/Binary/demo-5-normal-1-pdf").status_code == 404

    @pytest.mark.parametrize("actor", ["medecin-traitant", "inconnu", "hopital", "assurance-maladie", "patient"])
    def test_nobody_feeds_it(self, served: Served, actor: str) -> None:
        named = {"patient": "demo-5"} if actor == "patient" else {}
        answer = served.as_(actor, **named).post("/DocumentReference", json=document("demo-5"), headers=FHIR_JSON)
        assert answer.status_code == 422
        assert "closed" in answer.json()["issue"][0]["diagnostics"]

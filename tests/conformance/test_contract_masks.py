"""contract.md, Masks: by PATCH as it is written there, by PUT of ``securityLabel`` alone, and who may not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.conformance.choices import authorisation, medecin_traitant
from tests.conformance.own_record import CONFIDENTIALITY, TRE_A07, OwnRecord, label, own_record
from tests.served import FHIR_JSON, JSON_PATCH, Served

MASK = (
    '[{"op":"add","path":"/securityLabel/-","value":{"coding":[{"system":'
    '"https://mos.esante.gouv.fr/NOS/TRE_A07-StatutVisibiliteDocument/FHIR/TRE-A07-StatutVisibiliteDocument",'
    '"code":"MASQUE_PS"}]}}]'
)
"""Letter for letter."""
ADD = json.loads(MASK)[0]


@pytest.fixture
def record(served: Served) -> OwnRecord:
    """With an authorised `specialiste` and a `medecin-traitant`."""
    record = own_record(served)
    record.chosen(authorisation(record, "specialiste"))
    record.chosen(medecin_traitant(record, "medecin-traitant"))
    return record


@pytest.fixture(params=["patient", "representant"])
def by(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def current(record: OwnRecord, document: str) -> dict[str, Any]:
    told: dict[str, Any] = record.as_("conformance").get(f"/DocumentReference/{document}").json()
    return told


def test_mask_and_unmask_by_patch(record: OwnRecord, by: str) -> None:
    document = record.deposit()
    before = current(record, document)
    assert record.sees("specialiste", document)

    masked = record.as_(by).patch(f"/DocumentReference/{document}", content=MASK, headers=JSON_PATCH)
    assert masked.status_code == 200
    assert masked.headers["etag"] == 'W/"2"'
    told = masked.json()
    assert told["meta"]["versionId"] == "2"
    assert told["securityLabel"] == [*before["securityLabel"], label("MASQUE_PS")]
    assert {**told, "meta": 0, "securityLabel": 0} == {**before, "meta": 0, "securityLabel": 0}
    assert not record.sees("specialiste", document)
    assert record.sees("patient", document)
    assert record.sees("representant", document)
    assert record.sees("medecin-traitant", document)

    unmasked = record.patch(
        document,
        {"op": "test", "path": "/securityLabel/1", "value": label("MASQUE_PS")},
        {"op": "remove", "path": "/securityLabel/1"},
        by=by,
    )
    assert (unmasked.status_code, unmasked.headers["etag"]) == (200, 'W/"3"')
    assert unmasked.json()["securityLabel"] == before["securityLabel"]
    assert record.sees("specialiste", document)


def test_a_test_that_fails_changes_nothing(record: OwnRecord) -> None:
    document = record.deposit("MASQUE_PS")
    answer = record.patch(
        document,
        {"op": "test", "path": "/securityLabel/0", "value": label("MASQUE_PS")},
        {"op": "remove", "path": "/securityLabel/0"},
    )
    assert answer.status_code == 422
    assert current(record, document)["meta"]["versionId"] == "1"


def test_mask_and_unmask_by_put_of_the_labels_alone(record: OwnRecord, by: str) -> None:
    document = record.deposit()
    told = record.as_(by).get(f"/DocumentReference/{document}").json()

    masked = record.as_(by).put(
        f"/DocumentReference/{document}",
        json={**told, "securityLabel": [*told["securityLabel"], label("MASQUE_PS")]},
        headers=FHIR_JSON,
    )
    assert (masked.status_code, masked.headers["etag"]) == (200, 'W/"2"')
    assert not record.sees("specialiste", document)

    unmasked = record.as_(by).put(f"/DocumentReference/{document}", json=told, headers=FHIR_JSON)
    assert (unmasked.status_code, unmasked.headers["etag"]) == (200, 'W/"3"')
    assert record.sees("specialiste", document)


def test_a_document_without_labels_is_masked_and_unmasked_alike(record: OwnRecord, by: str) -> None:
    """FHIR knows no empty array: the first label brings the element, the last one takes it away."""
    document = record.deposit(securityLabel=[label("MASQUE_PS")])
    test = {"op": "test", "path": "/securityLabel/0", "value": label("MASQUE_PS")}
    unmasked = record.patch(document, test, {"op": "remove", "path": "/securityLabel/0"}, by=by)
    assert unmasked.status_code == 200
    assert "securityLabel" not in unmasked.json()
    assert record.sees("specialiste", document)
    masked = record.patch(document, ADD, by=by)
    assert (masked.status_code, masked.headers["etag"]) == (200, 'W/"3"')
    assert masked.json()["securityLabel"] == [label("MASQUE_PS")]
    assert not record.sees("specialiste", document)


def test_what_is_masked_is_masked_in_every_version(record: OwnRecord) -> None:
    document = record.deposit()
    assert record.patch(document, ADD).status_code == 200
    for path in ("", "/_history", "/_history/1", "/_history/2"):
        assert record.as_("specialiste").get(f"/DocumentReference/{document}{path}").status_code == 404


def test_its_binary_is_masked_with_it(record: OwnRecord) -> None:
    hospital = record.as_("hopital")
    binary = {"resourceType": "Binary", "contentType": "text/plain", "data": "Qm9uam91cg=="}
    stored = hospital.post("/Binary", json=binary, headers=FHIR_JSON).json()["id"]
    content = [{"attachment": {"contentType": "text/plain", "url": f"Binary/{stored}"}}]
    document = record.deposit(content=content)
    assert record.as_("specialiste").get(f"/Binary/{stored}").status_code == 200
    assert record.patch(document, ADD).status_code == 200
    assert record.as_("specialiste").get(f"/Binary/{stored}").status_code == 404
    assert record.as_("patient").get(f"/Binary/{stored}").status_code == 200


def test_its_author_still_sees_it(record: OwnRecord) -> None:
    document = record.deposit(by="specialiste")
    assert record.patch(document, ADD).status_code == 200
    assert record.sees("specialiste", document)


def test_the_medecin_traitant_masks_and_unmasks(record: OwnRecord) -> None:
    document = record.deposit()
    assert record.patch(document, ADD, by="medecin-traitant").status_code == 200
    assert not record.sees("specialiste", document)
    assert (
        record.patch(document, {"op": "remove", "path": "/securityLabel/1"}, by="medecin-traitant").status_code == 200
    )
    assert record.sees("specialiste", document)


def test_an_authorised_doctor_masks_but_does_not_unmask(record: OwnRecord) -> None:
    """From then on he does not see it himself: it is somebody else's deposit."""
    document = record.deposit()
    assert record.patch(document, ADD, by="specialiste").status_code == 200
    assert not record.sees("specialiste", document)
    remove = {"op": "remove", "path": "/securityLabel/1"}
    assert record.patch(document, remove, by="specialiste").status_code == 404
    assert current(record, document)["meta"]["versionId"] == "2"


@pytest.mark.parametrize("actor", ["inconnu", "bloque", "hopital", "aidant"])
def test_who_does_not_see_it_gets_404(record: OwnRecord, actor: str) -> None:
    document = record.deposit(by="specialiste2")
    assert record.patch(document, ADD, by=actor).status_code == 404
    assert record.patch("absent", ADD, by=actor).status_code == 404
    assert current(record, document)["meta"]["versionId"] == "1"


@pytest.mark.parametrize("actor", ["samu", "urgentiste", "assurance-maladie", "support"])
def test_who_may_never_gets_403(record: OwnRecord, actor: str) -> None:
    document = record.deposit()
    assert record.patch(document, ADD, by=actor).status_code == 403
    assert record.patch("absent", ADD, by=actor).status_code == 403
    assert current(record, document)["meta"]["versionId"] == "1"


def test_another_patient_gets_404(record: OwnRecord, served: Served) -> None:
    document = record.deposit()
    answer = served.as_("patient").patch(f"/DocumentReference/{document}", content=MASK, headers=JSON_PATCH)
    assert answer.status_code == 404


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "replace", "path": "/description", "value": "autre chose"},
        {"op": "replace", "path": "/status", "value": "entered-in-error"},
        {"op": "remove", "path": "/securityLabel"},
        {"op": "add", "path": "/securityLabel/-", "value": {"coding": [{"system": CONFIDENTIALITY, "code": "V"}]}},
    ],
)
def test_the_patient_changes_nothing_else_of_what_others_deposited(
    record: OwnRecord, by: str, operation: dict[str, Any]
) -> None:
    document = record.deposit(description="lettre")
    assert record.patch(document, operation, by=by).status_code == 403
    assert record.patch(document, ADD, operation, by=by).status_code == 403
    assert current(record, document)["meta"]["versionId"] == "1"


@pytest.mark.parametrize("code", ["INVISIBLE_PATIENT", "INVISIBLE_REPRESENTANTS_LEGAUX"])
def test_invisible_cannot_be_added_later(record: OwnRecord, code: str) -> None:
    document = record.deposit()
    for actor in ("patient", "medecin-traitant", "hopital"):
        assert record.patch(document, {**ADD, "value": label(code)}, by=actor).status_code == 422


@pytest.mark.parametrize(
    "coding",
    [
        {"system": "https://somebody.example/labels", "code": "MASQUE_PS"},
        {"code": "MASQUE_PS"},
        {"system": TRE_A07, "code": "MASQUE_TOUS"},
    ],
)
def test_a_mask_that_would_not_be_understood_is_422(record: OwnRecord, coding: dict[str, str]) -> None:
    document = record.deposit()
    assert record.patch(document, {**ADD, "value": {"coding": [coding]}}).status_code == 422
    assert record.sees("specialiste", document)

"""The life of a record over HTTP: closed, archived, to be erased, opposed, of somebody deceased (R-70..R-76)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conformance.choices import authorisation, day
from tests.conformance.own_record import HELENE, OwnRecord, document, own_record, patient
from tests.conformance.wider_choices import choice
from tests.served import FHIR_JSON, JSON_PATCH, Served

FERMETURE = "https://interop.esante.gouv.fr/ig/fhir/dmp/StructureDefinition/dmp-fermeture"
SUPPRESSION = "https://fhir.dmp-ens.example/StructureDefinition/suppression-demandee"
R217 = "https://mos.esante.gouv.fr/NOS/TRE_R217-ProtectionJuridique/FHIR/TRE-R217-ProtectionJuridique"


@pytest.fixture
def record(served: Served) -> OwnRecord:
    return own_record(served)


def closing(date: str) -> dict[str, Any]:
    return {"url": FERMETURE, "extension": [{"url": "dateFermeture", "valueDate": date}]}


def change(record: OwnRecord, *operations: dict[str, Any], by: str = "patient") -> int:
    answer = record.as_(by).patch(f"/Patient/{record.id}", json=list(operations), headers=JSON_PATCH)
    return answer.status_code


def close(record: OwnRecord, by: str = "patient", on: str | None = None) -> None:
    told = [{"op": "replace", "path": "/active", "value": False}]
    if on is not None:
        told.append({"op": "add", "path": "/extension", "value": [closing(on)]})
    assert change(record, *told, by=by) == 200


def feeding(record: OwnRecord) -> int:
    return record.as_("hopital").post("/DocumentReference", json=document(record.id), headers=FHIR_JSON).status_code


@pytest.mark.parametrize("by", ["patient", "representant"])
@pytest.mark.parametrize("archived", [False, True], ids=["closed", "archived"])
def test_its_holder_closes_it_and_reopening_brings_all_back(record: OwnRecord, by: str, archived: bool) -> None:
    kept = record.deposit()
    record.chosen(authorisation(record, "specialiste"))
    close(record, by, day(-1) if archived else None)
    for who in ("specialiste", "patient", "representant", "medecin-traitant"):
        assert not record.sees(who, kept)
    assert feeding(record) == 422
    assert record.as_("patient").get(f"/Patient/{record.id}").status_code == 200
    traces = record.as_("patient").get(f"/AuditEvent?patient={record.id}").json()
    assert traces["entry"], "he still sees who looked"
    assert change(record, {"op": "replace", "path": "/active", "value": True}) == 200
    assert record.sees("specialiste", kept)
    assert feeding(record) == 201


def test_whom_he_authorised_cannot_close_it(record: OwnRecord) -> None:
    record.chosen(authorisation(record, "specialiste"))
    assert change(record, {"op": "replace", "path": "/active", "value": False}, by="specialiste") == 403


def test_his_identity_is_not_his_to_change(record: OwnRecord) -> None:
    assert change(record, {"op": "replace", "path": "/birthDate", "value": "1990-01-01"}) == 403
    other = {"url": "https://example.org/other", "valueBoolean": True}
    assert change(record, {"op": "add", "path": "/extension", "value": [other]}) == 403


def test_asked_to_be_erased_more_than_three_months_ago_it_does_not_come_back(record: OwnRecord) -> None:
    erased = {"url": SUPPRESSION, "valueDate": day(-100)}
    told = patient(record, active=False, extension=[erased])
    assert record.as_("conformance").put(f"/Patient/{record.id}", json=told, headers=FHIR_JSON).status_code == 200
    assert change(record, {"op": "replace", "path": "/active", "value": True}) == 409
    assert change(record, {"op": "remove", "path": "/extension"}) == 409


@pytest.mark.parametrize("by", ["patient", "representant"])
@pytest.mark.parametrize("date", ["2001-01-01", "2001", day(-10), day(10), "9999-12-31"])
def test_nobody_dates_back_a_closing_or_a_request_for_erasure(record: OwnRecord, by: str, date: str) -> None:
    kept = record.deposit()
    for one in (closing(date), {"url": SUPPRESSION, "valueDate": date}):
        told: list[dict[str, Any]] = [
            {"op": "replace", "path": "/active", "value": False},
            {"op": "add", "path": "/extension", "value": [one]},
        ]
        assert change(record, *told, by=by) == 422, one
    assert record.sees("patient", kept)


def test_asked_to_be_erased_yesterday_it_does(record: OwnRecord) -> None:
    kept = record.deposit()
    erased = {"url": SUPPRESSION, "valueDate": day(-1)}
    told: list[dict[str, Any]] = [
        {"op": "replace", "path": "/active", "value": False},
        {"op": "add", "path": "/extension", "value": [erased]},
    ]
    assert change(record, *told) == 200
    assert not record.sees("patient", kept)
    assert change(record, {"op": "replace", "path": "/active", "value": True}) == 200
    assert record.sees("patient", kept)
    reopened = record.as_("patient").get(f"/Patient/{record.id}").json()
    assert "extension" not in reopened, "reopening cancels the request: closed again later, nothing is erased for it"


def test_opposed_it_is_shut_and_he_may_change_his_mind(record: OwnRecord) -> None:
    kept = record.deposit()
    record.chosen(authorisation(record, "specialiste"))
    opposed = record.chosen(choice(record, "opposition"))
    assert not record.sees("specialiste", kept)
    assert not record.sees("patient", kept)
    answer = record.as_("hopital").post("/DocumentReference", json=document(record.id), headers=FHIR_JSON)
    assert answer.status_code == 422
    assert "opposes" in answer.json()["issue"][0]["diagnostics"]
    record.withdraw(opposed)
    assert record.sees("specialiste", kept)


def test_of_somebody_deceased_it_is_closed_and_representation_ends(record: OwnRecord) -> None:
    kept = record.deposit()
    record.chosen(authorisation(record, "specialiste"))
    told = patient(record, deceasedDateTime=day(-1))
    assert record.as_("conformance").put(f"/Patient/{record.id}", json=told, headers=FHIR_JSON).status_code == 200
    assert not record.sees("specialiste", kept)
    assert record.as_("representant").get(f"/Patient/{record.id}").status_code == 404
    assert feeding(record) == 422


def test_emergencies_do_not_open_a_closed_record(record: OwnRecord) -> None:
    kept = record.deposit()
    close(record)
    for who in ("samu", "urgentiste"):
        assert not record.sees(who, kept)


@pytest.mark.parametrize(
    ("birth", "protected", "represents"),
    [("2000-01-01", False, False), ("2000-01-01", True, True), ("2015-01-01", False, True)],
    ids=["of age", "protected", "minor"],
)
def test_majority_ends_representation_but_of_a_protected_adult(
    record: OwnRecord, birth: str, protected: bool, represents: bool
) -> None:
    kept = record.deposit()
    conformance = record.as_("conformance")
    told = patient(record, birthDate=birth)
    assert conformance.put(f"/Patient/{record.id}", json=told, headers=FHIR_JSON).status_code == 200
    guardian = conformance.get(f"/RelatedPerson/{record.id}-representant").json()
    assert guardian["identifier"][0]["value"] == HELENE
    if protected:
        guardian["relationship"].append({"coding": [{"system": R217, "code": "TUTEUR"}]})
        assert conformance.put(f"/RelatedPerson/{guardian['id']}", json=guardian, headers=FHIR_JSON).status_code == 200
    assert record.sees("representant", kept) is represents

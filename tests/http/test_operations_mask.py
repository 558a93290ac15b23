"""Documents masked and unmasked by operation (R-20, R-23): one, or a hundred of them, or none."""

from __future__ import annotations

from typing import Any

import pytest

from fhir_server.operations.mask import relabelled
from tests.answers import refused
from tests.conformance import choices
from tests.conformance.own_record import TRE_A07, OwnRecord, own_record
from tests.http.invoking import called, parameters, parts, post
from tests.served import FHIR_JSON, Served

MASK, UNMASK = "/DocumentReference/$mask", "/DocumentReference/$unmask"


@pytest.fixture
def record(served: Served) -> OwnRecord:
    return own_record(served)


def documents(told: dict[str, Any]) -> dict[str, tuple[int, bool]]:
    return {one["id"]: (one["version"], one["changed"]) for one in parts(told, "document")}


def test_several_at_once(record: OwnRecord) -> None:
    record.chosen(choices.authorisation(record, "specialiste"))
    ids = [record.deposit() for _ in range(3)]
    patient = record.as_("patient")
    told = documents(called(post(patient, MASK, id=ids[:2])))
    assert told == {ids[0]: (2, True), ids[1]: (2, True)}
    assert record.documents("specialiste") == {ids[2]}
    assert documents(called(post(patient, MASK, id=ids))) == {ids[0]: (2, False), ids[1]: (2, False), ids[2]: (2, True)}
    assert documents(called(post(patient, UNMASK, id=ids[1:]))) == {ids[1]: (3, True), ids[2]: (3, True)}
    assert record.documents("specialiste") == set(ids[1:])
    assert documents(called(post(patient, UNMASK, id=[ids[1]]))) == {ids[1]: (3, False)}


def test_one_by_its_url(record: OwnRecord) -> None:
    record.chosen(choices.authorisation(record, "specialiste"))
    id = record.deposit()
    patient = record.as_("patient")
    before = patient.get(f"/DocumentReference/{id}").json()
    assert documents(called(patient.post(f"/DocumentReference/{id}/$mask"))) == {id: (2, True)}
    masked = patient.get(f"/DocumentReference/{id}").json()
    assert masked["securityLabel"][-1] == {"coding": [{"system": TRE_A07, "code": "MASQUE_PS"}]}
    assert not record.sees("specialiste", id)
    assert documents(called(patient.post(f"/DocumentReference/{id}/$unmask"))) == {id: (3, True)}
    after = patient.get(f"/DocumentReference/{id}").json()
    assert {**after, "meta": 0} == {**before, "meta": 0}


@pytest.mark.parametrize("hidden", ["absent", "invisible", "another record's", "deleted"])
@pytest.mark.parametrize("operation", [MASK, UNMASK])
def test_one_that_is_not_known_and_nothing_is_done(
    record: OwnRecord, served: Served, hidden: str, operation: str
) -> None:
    mine = record.deposit() if operation == MASK else record.deposit("MASQUE_PS")
    other = "absent"
    if hidden == "invisible":
        other = record.deposit("INVISIBLE_PATIENT")
    elif hidden == "another record's":
        other = own_record(served).deposit()
    elif hidden == "deleted":
        other = record.deposit()
        assert record.as_("conformance").delete(f"/DocumentReference/{other}").status_code == 204
    issue = refused(post(record.as_("patient"), operation, id=[mine, other]), 404, "not-found")
    assert issue["diagnostics"] == f"DocumentReference/{other} is not known."
    assert record.as_("patient").get(f"/DocumentReference/{mine}").json()["meta"]["versionId"] == "1"


def test_one_that_may_not_be_masked_and_nothing_is_done(record: OwnRecord) -> None:
    record.chosen(choices.medecin_traitant(record, "medecin-traitant"))
    first, announced = record.deposit(), record.deposit("INVISIBLE_PATIENT")
    refused(post(record.as_("medecin-traitant"), MASK, id=[first, announced]), 422, "business-rule")
    assert record.as_("patient").get(f"/DocumentReference/{first}").json()["meta"]["versionId"] == "1"


def test_who_may_mask_and_who_unmask(record: OwnRecord) -> None:
    id = record.deposit()
    refused(record.as_("specialiste").post(f"/DocumentReference/{id}/$mask"), 404)
    record.chosen(choices.authorisation(record, "specialiste"))
    assert documents(called(record.as_("specialiste").post(f"/DocumentReference/{id}/$mask"))) == {id: (2, True)}
    refused(record.as_("specialiste").post(f"/DocumentReference/{id}/$unmask"), 404)
    refused(record.as_("hopital").post(f"/DocumentReference/{id}/$unmask"), 403)
    refused(record.as_("assurance-maladie").post(f"/DocumentReference/{id}/$mask"), 403)
    refused(record.as_("support").post(f"/DocumentReference/{id}/$mask"), 403)
    record.chosen(choices.medecin_traitant(record, "medecin-traitant"))
    assert documents(called(record.as_("medecin-traitant").post(f"/DocumentReference/{id}/$unmask"))) == {id: (3, True)}


def test_each_change_is_traced_and_so_is_the_operation(record: OwnRecord) -> None:
    ids = [record.deposit() for _ in range(2)]
    called(post(record.as_("patient"), MASK, id=ids))
    found = record.as_("patient").get(f"/AuditEvent?patient={record.id}&_count=3&_sort=-date").json()["entry"]
    traces = [one["resource"] for one in found]
    assert sorted(one["subtype"][0]["code"] for one in traces) == ["operation", "update", "update"]
    (operation,) = [one for one in traces if one["subtype"][0]["code"] == "operation"]
    assert operation["action"] == "E"
    assert any(entity.get("description") == "POST /DocumentReference/$mask" for entity in operation["entity"])
    named = {entity.get("what", {}).get("reference") for one in traces for entity in one["entity"]}
    assert {f"DocumentReference/{id}/_history/2" for id in ids} <= named


def test_a_trace_tells_the_patient_nothing_of_what_is_hidden_from_him(record: OwnRecord) -> None:
    record.chosen(choices.medecin_traitant(record, "medecin-traitant"))
    announced, other = record.deposit("INVISIBLE_PATIENT"), record.deposit("MASQUE_PS")
    called(post(record.as_("medecin-traitant"), UNMASK, id=[announced, other]))
    found = record.as_("patient").get(f"/AuditEvent?patient={record.id}&_count=100").json()["entry"]
    assert all(announced not in str(one) and "$unmask" not in str(one) for one in found)


@pytest.mark.parametrize(
    ("told", "code"),
    [
        ({}, "required"),
        ({"id": "a/b"}, None),
        ({"id": [f"x{number}" for number in range(101)]}, "invalid"),
        ({"other": "x"}, "not-supported"),
    ],
)
def test_ids_that_are_none(record: OwnRecord, told: dict[str, Any], code: str | None) -> None:
    refused(post(record.as_("patient"), MASK, **told), 400, code)


def test_a_document_is_named_once(record: OwnRecord) -> None:
    id = record.deposit()
    answer = record.as_("patient").post(f"/DocumentReference/{id}/$mask", json=parameters(id=id), headers=FHIR_JSON)
    assert refused(answer, 400)["expression"] == ["Parameters.parameter[0]"]
    assert documents(called(post(record.as_("patient"), MASK, id=[id, id]))) == {id: (2, True)}


def test_the_mask_goes_wherever_it_is() -> None:
    mask, normal = b'{"system":"s","code":"masque_ps"}', b'{"system":"s","code":"N"}'
    body = (
        b'{"resourceType":"DocumentReference","meta":{"versionId":"1","security":[%b]},"securityLabel":'
        b'[{"coding":[%b,%b]},{"coding":[%b]},{"coding":[%b]}],"x":1.10}'
    ) % (mask, normal, mask, mask, normal)
    told = relabelled(body, masked=False)
    assert told == (
        b'{"resourceType":"DocumentReference","meta":{"versionId":"1"},"securityLabel":'
        b'[{"coding":[{"system":"s","code":"N"}]},{"coding":[{"system":"s","code":"N"}]}],"x":1.10}'
    )
    assert relabelled(told, masked=False) is None
    assert relabelled(body, masked=True) is None

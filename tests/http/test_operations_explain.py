"""Why somebody would see something or not: for the patient about his record, for auditors about all."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.answers import refused
from tests.conformance import choices
from tests.conformance.own_record import OwnRecord, own_record
from tests.http.invoking import called, parts, values
from tests.served import FHIR_JSON, Served

G15 = "https://mos.esante.gouv.fr/NOS/TRE_G15-ProfessionSante/FHIR/TRE-G15-ProfessionSante"
DOCTOR = {"name": "profession", "valueCoding": {"system": G15, "code": "10"}}


@pytest.fixture
def record(served: Served) -> OwnRecord:
    return own_record(served)


def path(record: OwnRecord) -> str:
    return f"/Patient/{record.id}/$explain-access"


def who(*told: dict[str, Any], rpps: str | None = "89900000002") -> dict[str, Any]:
    known = [{"name": "rpps", "valueString": rpps}] if rpps else []
    return {"name": "requester", "part": [*(told or (DOCTOR,)), *known]}


def asked(client: httpx.Client, record: OwnRecord, *told: dict[str, Any]) -> httpx.Response:
    body = {"resourceType": "Parameters", "parameter": list(told)}
    return client.post(path(record), json=body, headers=FHIR_JSON)


def document(id: str) -> dict[str, Any]:
    return {"name": "resource", "valueUri": f"DocumentReference/{id}"}


def outcome(answer: httpx.Response) -> str:
    (told,) = values(called(answer), "outcome")
    return str(told)


def rules(answer: httpx.Response) -> list[str]:
    return [one["rule"] for one in parts(called(answer), "reason")]


def test_what_is_explained_is_what_happens(record: OwnRecord) -> None:
    letter, masked = record.deposit(), record.deposit("MASQUE_PS")
    patient = record.as_("patient")
    steps: list[tuple[str, Any]] = [
        ("nobody decided", lambda: None),
        ("authorised", lambda: record.chosen(choices.authorisation(record, "specialiste"))),
        ("named", lambda: record.chosen(choices.medecin_traitant(record, "specialiste"))),
        ("blocked", lambda: record.chosen(choices.block(record, "specialiste"))),
    ]
    told = []
    for step, decide in steps:
        decide()
        for id in (letter, masked):
            explained = outcome(asked(patient, record, document(id), who()))
            assert explained == ("permit" if record.sees("specialiste", id) else "deny"), step
            told.append(explained)
    assert told == ["deny", "deny", "permit", "deny", "permit", "permit", "deny", "deny"]


def test_the_decisive_rule_comes_first_and_speaks_french_and_english(record: OwnRecord) -> None:
    record.chosen(choices.authorisation(record, "specialiste"))
    masked = record.deposit("MASQUE_PS")
    answer = called(asked(record.as_("patient"), record, document(masked), who()))
    first = parts(answer, "reason")[0]
    assert (first["rule"], first["effect"]) == ("mask", "deny")
    assert first["fr"]
    assert first["en"]
    assert first["fr"] != first["en"]
    (summary,) = parts(answer, "summary")
    assert first["fr"] in summary["fr"]


def test_of_a_type_the_rules_are_told(record: OwnRecord) -> None:
    patient, type = record.as_("patient"), {"name": "type", "valueCode": "DocumentReference"}
    administrative = {"name": "type", "valueCode": "Patient"}
    assert outcome(asked(patient, record, administrative, who())) == "deny"
    assert outcome(asked(patient, record, type, who())) == "partly", "what he deposits himself"
    record.chosen(choices.authorisation(record, "specialiste"))
    assert outcome(asked(patient, record, administrative, who())) == "permit"
    before = called(asked(patient, record, type, who()))
    assert values(before, "outcome") == ["partly"]
    record.deposit("INVISIBLE_PATIENT")
    assert called(asked(patient, record, type, who())) == before, "what is stored is not told"


def test_about_oneself_also_by_get(record: OwnRecord) -> None:
    letter = record.deposit()
    answer = record.as_("patient").get(path(record), params={"resource": f"DocumentReference/{letter}"})
    assert outcome(answer) == "permit"
    assert rules(answer)[0] == "own-record"
    refused(record.as_("patient").get(path(record), params={"type": "Patient", "requester": "x"}), 400, says="POST")


@pytest.mark.parametrize("label", ["INVISIBLE_PATIENT", "INVISIBLE_REPRESENTANTS_LEGAUX"])
def test_what_the_caller_may_not_see_is_not_there(record: OwnRecord, label: str) -> None:
    hidden = record.deposit(label)
    by = "patient" if label == "INVISIBLE_PATIENT" else "representant"
    there = refused(asked(record.as_(by), record, document(hidden), who()), 404)
    absent = refused(asked(record.as_(by), record, document("absent"), who()), 404)
    assert there["diagnostics"].replace(hidden, "absent") == absent["diagnostics"]
    elsewhere = own_record(record.served).deposit()
    refused(asked(record.as_(by), record, document(elsewhere), who()), 404)


def test_an_auditor_asks_about_any_record(record: OwnRecord) -> None:
    record.deposit()
    type = {"name": "type", "valueCode": "Observation"}
    told = rules(asked(record.as_("support"), record, type, who()))
    assert "habilitation" in told
    assert "roles" in told, "every rule is told"
    refused(asked(record.as_("support"), record, type), 400, "required")
    refused(asked(record.as_("support"), record, document("x"), who()), 403)
    assert outcome(asked(record.as_("conformance"), record, document(record.deposit()), who())) == "deny"
    elsewhere = own_record(record.served).deposit()
    refused(asked(record.as_("conformance"), record, document(elsewhere), who()), 404, says="in this record")


@pytest.mark.parametrize("by", ["medecin-traitant", "specialiste", "hopital", "assurance-maladie", "aidant"])
def test_nobody_else_asks(record: OwnRecord, by: str) -> None:
    record.chosen(choices.medecin_traitant(record, "medecin-traitant"))
    answer = asked(record.as_(by), record, {"name": "type", "valueCode": "Patient"}, who())
    refused(answer, 403, "forbidden")


def test_of_another_record_one_learns_nothing(record: OwnRecord, served: Served) -> None:
    type = {"name": "type", "valueCode": "Patient"}
    there = refused(asked(served.as_("patient"), record, type, who()), 404)
    assert record.id in there["diagnostics"]


OTHERS = [
    ("a structure", [{"name": "kind", "valueCode": "organisation"}, {"name": "finess", "valueString": "990000001"}]),
    ("the patient", [{"name": "kind", "valueCode": "patient"}]),
    ("a representative", [{"name": "kind", "valueCode": "representative"}]),
    ("a carer nobody named", [{"name": "kind", "valueCode": "carer"}]),
    ("an emergency", [DOCTOR, {"name": "purpose", "valueCode": "BTG"}]),
    (
        "the regulator of a SAMU",
        [DOCTOR, {"name": "purpose", "valueCode": "ETREAT"}, {"name": "practice-setting", "valueCode": "SAMU_SMUR"}],
    ),
]


@pytest.mark.parametrize(("who_asks", "told"), OTHERS, ids=[one[0] for one in OTHERS])
def test_everybody_can_be_described(record: OwnRecord, who_asks: str, told: list[dict[str, Any]]) -> None:
    letter = record.deposit()
    explained = outcome(asked(record.as_("patient"), record, document(letter), who(*told, rpps=None)))
    assert explained == ("deny" if who_asks == "a carer nobody named" else "permit")


@pytest.mark.parametrize(
    ("told", "status"),
    [
        ([who()], 400),
        ([{"name": "type", "valueCode": "Patient"}, document("x"), who()], 400),
        ([{"name": "type", "valueCode": "Unheard"}, who()], 422),
        ([{"name": "resource", "valueUri": "https://elsewhere.example/Patient/1"}, who()], 422),
        ([{"name": "resource", "valueUri": "AuditEvent/1"}, who()], 422),
        ([{"name": "type", "valueCode": "Patient"}, who(rpps="12")], 422),
        ([{"name": "type", "valueCode": "Patient"}, {"name": "requester", "part": []}], 400),
        ([{"name": "type", "valueCode": "Patient"}, who({"name": "kind", "valueCode": "neighbour"})], 422),
        ([{"name": "type", "valueCode": "Patient"}, who({"name": "kind", "valueCode": "patient"})], 422),
        ([{"name": "type", "valueCode": "Patient"}, who({"name": "kind", "valueCode": "professional"})], 422),
        (
            [
                {"name": "type", "valueCode": "Patient"},
                who({"name": "profession", "valueCoding": {"system": "urn:x", "code": "10"}}),
            ],
            422,
        ),
        ([{"name": "type", "valueCode": "Patient"}, who(DOCTOR, {"name": "purpose", "valueCode": "ETREAT"})], 422),
        ([{"name": "type", "valueCode": "Patient"}, who(DOCTOR, {"name": "purpose", "valueCode": "FUN"})], 422),
        ([{"name": "type", "valueCode": "Patient"}, who(DOCTOR, {"name": "shoe-size", "valueCode": "42"})], 400),
        ([{"name": "type", "valueCode": "Patient"}, who(DOCTOR, {"name": "finess", "valueString": "1"})], 422),
        (
            [
                {"name": "type", "valueCode": "Patient"},
                who({"name": "kind", "valueCode": "organisation"}, rpps=None),
            ],
            422,
        ),
    ],
)
def test_questions_that_are_none(record: OwnRecord, told: list[dict[str, Any]], status: int) -> None:
    issue = refused(asked(record.as_("patient"), record, *told), status)
    assert issue["expression"]


def test_what_only_tells_of_others_is_explained_as_it_is_shown(record: OwnRecord) -> None:
    """ADR 0018: the manifest of a masked document is hidden with it."""
    record.chosen(choices.authorisation(record, "specialiste"))
    patient = record.as_("patient")
    for labels, expected in (((), "permit"), (("MASQUE_PS",), "deny")):
        manifest = {
            "resourceType": "DocumentManifest",
            "status": "current",
            "subject": {"reference": f"Patient/{record.id}"},
            "content": [{"reference": f"DocumentReference/{record.deposit(*labels)}"}],
        }
        stored = record.as_("hopital").post("/DocumentManifest", json=manifest, headers=FHIR_JSON)
        assert stored.status_code == 201, stored.text
        id = stored.json()["id"]
        answer = asked(patient, record, {"name": "resource", "valueUri": f"DocumentManifest/{id}"}, who())
        assert outcome(answer) == expected
        assert "refers-to-hidden" not in rules(answer)
        seen = record.as_("specialiste").get(f"/DocumentManifest/{id}").status_code
        assert seen == (200 if expected == "permit" else 404)

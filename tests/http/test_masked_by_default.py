"""A patient who has all new documents masked to professionals, whoever deposits them (R-28)."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import httpx
import pytest

from tests.conformance.choices import authorisation, consent
from tests.conformance.own_record import TRE_A07, OwnRecord, document, label, own_record
from tests.served import FHIR_JSON, Served

MASQUE_PS = "MASQUE_PS"
ANNONCE = "INVISIBLE_PATIENT"


@pytest.fixture
def record(served: Served) -> OwnRecord:
    """A record in which an authorised professional reads, and documents are masked from now on."""
    record = own_record(served)
    record.chosen(authorisation(record, "specialiste"))
    record.chosen(authorisation(record, "specialiste2"))
    return record


def mask_all(record: OwnRecord) -> dict[str, Any]:
    return record.chosen(consent(record, "masquage-defaut", {"type": "deny"}))


def labels(resource: dict[str, Any]) -> list[str]:
    return [
        coding["code"]
        for one in resource.get("securityLabel", [])
        for coding in one["coding"]
        if coding["system"] == TRE_A07
    ]


def current(record: OwnRecord, document: str) -> dict[str, Any]:
    answer = record.as_("patient").get(f"/DocumentReference/{document}")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def put(client: httpx.Client, resource: dict[str, Any]) -> httpx.Response:
    return client.put(f"/DocumentReference/{resource['id']}", json=resource, headers=FHIR_JSON)


@pytest.mark.parametrize("by", ["hopital", "specialiste2", "patient", "representant", "conformance"])
def test_a_deposit_of_anybody_is_masked(record: OwnRecord, by: str) -> None:
    before = record.deposit(by=by)
    mask_all(record)
    after = record.deposit(by=by)
    assert labels(current(record, before)) == [], "what was there stays as it is"
    assert labels(current(record, after)) == [MASQUE_PS]
    assert record.sees("specialiste", before)
    assert not record.sees("specialiste", after)
    assert record.sees(by, after) if by != "conformance" else True, "his own he still reads"


def test_the_answer_says_so_to_whom_asks(record: OwnRecord) -> None:
    mask_all(record)
    told = {**FHIR_JSON, "Prefer": "return=OperationOutcome"}
    answer = record.as_("hopital").post("/DocumentReference", json=document(record.id), headers=told)
    assert answer.status_code == 201, answer.text
    issue = next(one for one in answer.json()["issue"] if MASQUE_PS in one["diagnostics"])
    assert issue["severity"] == "information"
    shown = record.as_("hopital").post("/DocumentReference", json=document(record.id), headers=FHIR_JSON)
    assert labels(shown.json()) == [MASQUE_PS], "and the resource answered is the one that is stored"


def test_what_the_document_says_otherwise_keeps_its_bytes(record: OwnRecord) -> None:
    mask_all(record)
    body = document(record.id, extension=[{"url": "urn:x:weight", "valueDecimal": 0}])
    raw = httpx.Request("POST", "http://x", json=body).content.replace(b'"valueDecimal":0', b'"valueDecimal": 1.10e2')
    answer = record.as_("hopital").post("/DocumentReference", content=raw, headers=FHIR_JSON)
    assert answer.status_code == 201, answer.text
    assert b'"valueDecimal":1.10e2' in answer.content
    without = document(record.id)
    del without["securityLabel"]
    answer = record.as_("hopital").post("/DocumentReference", json=without, headers=FHIR_JSON)
    assert answer.json()["securityLabel"] == [label(MASQUE_PS)]


def test_a_label_is_not_added_twice(record: OwnRecord) -> None:
    mask_all(record)
    assert labels(current(record, record.deposit(MASQUE_PS))) == [MASQUE_PS]


def test_what_waits_for_its_annonce_is_not_masked(record: OwnRecord) -> None:
    mask_all(record)
    waiting = record.deposit(ANNONCE)
    assert record.sees("specialiste", waiting), "masked as well, nobody would be left to read it"


def test_its_binary_is_masked_with_it(record: OwnRecord) -> None:
    mask_all(record)
    publisher = record.as_("hopital")
    binary = {"resourceType": "Binary", "contentType": "text/plain", "data": b64encode(b"lettre").decode()}
    key = f"Binary/{publisher.post('/Binary', json=binary, headers=FHIR_JSON).json()['id']}"
    record.deposit(content=[{"attachment": {"contentType": "text/plain", "url": key}}])
    assert record.as_("specialiste").get(f"/{key}").status_code == 404
    assert publisher.get(f"/{key}").status_code == 200


def test_it_ends_with_the_choice(record: OwnRecord) -> None:
    chosen = mask_all(record)
    masked = record.deposit()
    record.withdraw(chosen)
    assert labels(current(record, record.deposit())) == []
    assert labels(current(record, masked)) == [MASQUE_PS], "what was masked stays masked"


def test_a_later_version_is_as_its_author_makes_it_within_his_rights(record: OwnRecord) -> None:
    mask_all(record)
    masked = current(record, record.deposit())
    publisher = record.as_("hopital")
    assert put(publisher, {**masked, "description": "Corrigé"}).status_code == 200
    unlabelled = {**masked, "securityLabel": [one for one in masked["securityLabel"] if one != label(MASQUE_PS)]}
    assert put(publisher, unlabelled).status_code == 403, "a publisher may not lift a mask"
    assert put(record.as_("patient"), {**unlabelled, "description": "Corrigé"}).status_code == 200
    assert labels(current(record, masked["id"])) == [], "what the patient unmasked stays so"
    assert put(publisher, {**unlabelled, "description": "Encore"}).status_code == 200
    assert labels(current(record, masked["id"])) == []

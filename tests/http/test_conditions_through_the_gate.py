"""Who meets which condition, and what the trail tells of it (ADR 0022).

https://hl7.org/fhir/R4/http.html#cond-update
"""

from __future__ import annotations

from uuid import uuid4

import pytest

from tests.answers import refused
from tests.conformance.choices import authorisation, medecin_traitant
from tests.conformance.own_record import NUMBERS, OwnRecord, document, own_record
from tests.http.conditional import SYSTEM, by, numbered, patch, put
from tests.http.test_gate_regressions import queries, told, trail
from tests.served import FHIR_JSON, JSON_PATCH, Served


@pytest.fixture(scope="module")
def record(served: Served) -> OwnRecord:
    """A record with a médecin traitant and an authorised specialist."""
    record = own_record(served)
    record.chosen(medecin_traitant(record, "medecin-traitant"))
    record.chosen(authorisation(record, "specialiste"))
    return record


@pytest.fixture
def number() -> str:
    """An identifier of this test's own."""
    return uuid4().hex


# Who


def test_who_never_reads_meets_no_condition(served: Served, record: OwnRecord, number: str) -> None:
    """403, whatever is stored: what is there is not told by what it does."""
    record.deposit(identifier=[{"system": SYSTEM, "value": number}])
    scope = {"scope": "system/*.cruds"}
    for token in (served.token("assurance-maladie"), served.token("assurance-maladie", extra=scope)):
        with served.client(token) as feeder:
            for of in (number, "absent"):
                url = f"DocumentReference?patient={record.id}&identifier={SYSTEM}|{of}"
                condition = {**FHIR_JSON, "If-None-Exist": url.partition("?")[2]}
                refused(feeder.post("DocumentReference", json=numbered(record, number), headers=condition), 403)
                refused(put(feeder, url, numbered(record, number)), 403)
                refused(patch(feeder, url), 403)
                refused(feeder.delete(url), 403)


def test_who_may_not_search_meets_no_condition(served: Served, record: OwnRecord, number: str) -> None:
    url = by(number, "DocumentReference")
    with served.client(served.token("hopital", extra={"scope": "system/DocumentReference.crud"})) as client:
        refused(put(client, url, numbered(record, number)), 403, "forbidden", "scopes")
        refused(client.delete(url), 403, "forbidden", "scopes")
    with served.client(served.token("hopital", extra={"scope": "system/DocumentReference.rus"})) as client:
        refused(put(client, url, numbered(record, number)), 404, "not-found", "create none")


def test_a_professional_names_the_patient(record: OwnRecord) -> None:
    doctor = record.as_("medecin-traitant")
    url = "DocumentReference?status=current"
    refused(put(doctor, url, document(record.id)), 403, "forbidden", "Name the patient")
    refused(patch(doctor, url), 403, "forbidden", "Name the patient")
    refused(doctor.delete(url), 403, "forbidden", "Name the patient")


def test_a_publisher_finds_its_own_deposits_and_no_others(record: OwnRecord, number: str) -> None:
    """So it makes no duplicates of what it deposited, and learns nothing of what others did."""
    hospital, url = record.as_("hopital"), by(number, "DocumentReference")
    theirs = record.deposit(by="patient", identifier=[{"system": SYSTEM, "value": number}])
    first = put(hospital, url, numbered(record, number))
    assert first.status_code == 201, "what is hidden from it does not match"
    second = put(hospital, url, numbered(record, number, description="Corrigé"))
    assert (second.status_code, second.json()["id"]) == (200, first.json()["id"])
    assert patch(hospital, url).json()["language"] == "fr"
    condition = {**FHIR_JSON, "If-None-Exist": url.partition("?")[2]}
    again = hospital.post("DocumentReference", json=numbered(record, number), headers=condition)
    assert (again.status_code, again.json()["id"]) == (200, first.json()["id"])
    assert record.as_("patient").get(f"DocumentReference/{theirs}").json()["meta"]["versionId"] == "1"
    refused(record.as_("patient").delete(url), 412, "multiple-matches")


def test_what_is_masked_from_a_doctor_meets_no_condition_of_his(record: OwnRecord, number: str) -> None:
    hidden = record.deposit("MASQUE_PS", identifier=[{"system": SYSTEM, "value": number}])
    doctor = record.as_("specialiste")
    answers = []
    for of in (number, f"{number}-absent"):
        url = f"DocumentReference?patient={record.id}&identifier={SYSTEM}|{of}"
        refused(patch(doctor, url), 404, "not-found")
        refused(doctor.delete(url), 404, "not-found")
        refused(put(doctor, url, document(record.id), If_Match='W/"1"'), 412)
        made = put(doctor, url, document(record.id))
        answers.append((made.status_code, made.headers["etag"]))
        assert doctor.delete(f"DocumentReference/{made.json()['id']}").status_code == 204
    assert answers == [(201, 'W/"1"')] * 2
    assert record.as_("patient").get(f"DocumentReference/{hidden}").json()["meta"]["versionId"] == "1"


def test_a_medecin_traitant_changes_what_he_may(record: OwnRecord, number: str) -> None:
    id = record.deposit(identifier=[{"system": SYSTEM, "value": number}])
    doctor, url = record.as_("medecin-traitant"), f"DocumentReference?patient={record.id}&identifier={SYSTEM}|{number}"
    refused(put(doctor, url, numbered(record, number, description="autre")), 403, "forbidden")
    refused(patch(doctor, url), 403, "forbidden")
    archived = [{"op": "replace", "path": "/status", "value": "superseded"}]
    answer = doctor.patch(url, json=archived, headers=JSON_PATCH)
    assert (answer.status_code, answer.json()["id"], answer.json()["status"]) == (200, id, "superseded")


def test_a_patient_changes_his_contact_details_and_makes_no_patient(record: OwnRecord) -> None:
    holder, url = record.as_("patient"), f"Patient?_id={record.id}"
    own = holder.get(f"Patient/{record.id}").json()
    changed = {name: value for name, value in own.items() if name != "id"}
    changed["telecom"] = [{"system": "phone", "value": "0102030405"}]
    answer = put(holder, url, changed)
    assert (answer.status_code, answer.json()["telecom"]) == (200, changed["telecom"])
    refused(put(holder, url, {**changed, "gender": "male"}), 403, "forbidden")
    for of in ("absent", "demo-1"):
        refused(put(holder, f"Patient?_id={of}", changed), 404, "not-found", "create none")
    refused(holder.delete(url), 403, "forbidden")


def test_a_consent_changes_on_a_condition_as_it_does_by_id(record: OwnRecord) -> None:
    holder, number = record.as_("patient"), uuid4().hex
    given = authorisation(record, "inconnu") | {"identifier": [{"system": SYSTEM, "value": number}]}
    url = by(number, "Consent")
    first = put(holder, url, given)
    assert first.status_code == 201
    assert record.as_("inconnu").get(f"Patient/{record.id}").status_code == 200
    refused(put(holder, url, authorisation(record, "specialiste2")), 422, "business-rule")
    second = put(holder, url, given | {"status": "inactive"})
    assert (second.status_code, second.json()["id"]) == (200, first.json()["id"])
    refused(record.as_("inconnu").get(f"Patient/{record.id}"), 404)


def test_nobody_else_takes_an_id(record: OwnRecord, number: str) -> None:
    """Whether it is free, taken by something hidden, or one's own: the same answer."""
    hospital = record.as_("hopital")
    own, hidden = record.deposit(), record.deposit(by="patient")
    answers = []
    for id in (own, hidden, "absent"):
        answer = put(hospital, by(number, "DocumentReference"), numbered(record, number, id=id))
        refused(answer, 404, "not-found", "leave the id out")
        answers.append(answer.text.replace(id, "id"))
    assert len(set(answers)) == 1
    assert put(hospital, by(number, "DocumentReference"), numbered(record, number)).status_code == 201


def test_who_did_not_deposit_it_does_not_delete_it(record: OwnRecord, number: str) -> None:
    id = record.deposit(identifier=[{"system": SYSTEM, "value": number}])
    url = f"DocumentReference?patient={record.id}&identifier={SYSTEM}|{number}"
    for who in ("patient", "medecin-traitant"):
        refused(record.as_(who).delete(url), 403, "forbidden", "who deposited it")
    refused(record.as_("hopital").delete(url), 403, "forbidden", "scopes")
    assert record.as_("patient").get(f"DocumentReference/{id}").status_code == 200
    own = record.deposit(by="patient", identifier=[{"system": SYSTEM, "value": f"{number}-own"}])
    assert record.as_("patient").delete(f"{url}-own").status_code == 204
    refused(record.as_("patient").get(f"DocumentReference/{own}"), 410)


def test_what_may_not_be_replaced_is_told_of_what_is_seen_alone(record: OwnRecord) -> None:
    hidden, seen, holder = record.deposit("INVISIBLE_PATIENT"), record.deposit(by="patient"), record.as_("patient")
    answers = {}
    for id in (hidden, "absent", seen):
        url, body = f"DocumentReference/{id}", document(record.id, id=id)
        answers[id] = put(holder, url, body, If_None_Match="*")
    refused(answers[seen], 412, "conflict")
    refused(answers[hidden], 404, "not-found")
    assert answers[hidden].text.replace(hidden, "absent") == answers["absent"].text


# The trail


def test_a_condition_is_traced_as_the_search_it_is_and_then_what_follows(record: OwnRecord, number: str) -> None:
    hospital, url = record.as_("hopital"), by(number, "DocumentReference")
    first = put(hospital, url, numbered(record, number))
    key = f"DocumentReference/{first.json()['id']}"
    patch(hospital, url)
    traces = trail(record.as_("patient"), record.id)[:3]
    assert [trace["subtype"][0]["code"] for trace in traces] == ["patch", "search-type", "create"]
    assert told(traces[0]) >= {key}
    assert told(traces[2]) >= {key}
    assert queries(traces) == [f"PATCH /{url}"]
    asked = hospital.get("AuditEvent?_sort=-date&_count=4").json()["entry"]
    assert queries([one["resource"] for one in asked]) == [f"PATCH /{url}", f"PUT /{url}"], "there was no record yet"


def test_a_condition_is_told_where_it_looked_and_what_follows_where_it_is_made(
    record: OwnRecord, served: Served, number: str
) -> None:
    other, doctor = own_record(served), record.as_("medecin-traitant")
    url = f"DocumentReference?patient={record.id}&identifier={SYSTEM}|{number}"
    created = put(doctor, url, document(other.id))
    assert created.status_code == 201
    asked, made = (trail(one.as_("patient"), one.id)[0] for one in (record, other))
    assert (asked["subtype"][0]["code"], queries([asked])) == ("search-type", [f"PUT /{url}"])
    assert not any(created.json()["id"] in one for one in told(asked))
    assert (made["subtype"][0]["code"], queries([made])) == ("create", [])
    assert record.id not in str(made)


def test_a_condition_on_another_record_is_in_the_trail_of_both(record: OwnRecord, served: Served, number: str) -> None:
    """So nobody learns from his own trail whether there is such a record."""
    other, holder = own_record(served), record.as_("patient")
    for of in (other.id, "absent"):
        url = f"DocumentReference?patient={of}&identifier={SYSTEM}|{number}"
        assert put(holder, url, document(record.id)).status_code == 201
        first = {**FHIR_JSON, "If-None-Exist": url.partition("?")[2]}
        assert holder.post("DocumentReference", json=document(record.id), headers=first).status_code == 201
        assert len([one for one in queries(trail(holder, record.id)[:4]) if of in one]) == 2
    theirs = trail(other.as_("patient"), other.id)
    assert len([one for one in queries(theirs) if number in one]) == 2
    assert not any("DocumentReference/" in one for trace in theirs[:2] for one in told(trace))


@pytest.mark.parametrize("named", ["patient={record}&", ""])
def test_a_refused_condition_is_traced_with_what_was_asked(record: OwnRecord, number: str, named: str) -> None:
    doctor = record.as_("medecin-traitant")
    condition = f"{named.format(record=record.id)}identifier={SYSTEM}|{number}"
    url = f"DocumentReference?{condition}"
    condition_alone = {**FHIR_JSON, "If-None-Exist": condition}
    refused(patch(doctor, url), 404)
    refused(doctor.delete(f"{url}&unknown=1"), 400)
    for _ in range(2):
        record.deposit(identifier=[{"system": SYSTEM, "value": number}])
    refused(put(doctor, url, document(record.id)), 412)
    refused(doctor.post("DocumentReference", json=document(record.id), headers=condition_alone), 412)
    own = [one["resource"] for one in doctor.get("AuditEvent?_sort=-date&_count=4").json()["entry"]]
    assert [(one["subtype"][0]["code"], one["outcome"]) for one in own] == [
        ("create", "4"),
        ("update", "4"),
        ("delete", "4"),
        ("patch", "4"),
    ]
    assert queries(own) == [
        f"POST /DocumentReference\nIf-None-Exist: {condition}",
        f"PUT /{url}",
        f"DELETE /{url}&unknown=1",
        f"PATCH /{url}",
    ]


def test_the_holder_is_not_told_by_a_condition_what_waits_for_him(record: OwnRecord, number: str) -> None:
    """A trace of a condition that names what is hidden from its reader is withheld; what was made of it is not."""
    record.deposit("INVISIBLE_PATIENT", identifier=[{"system": SYSTEM, "value": number}])
    doctor = record.as_("specialiste2")  # from whom it is hidden too
    url = f"DocumentReference?patient={record.id}&identifier={SYSTEM}|{number}"
    refused(patch(doctor, url), 404)
    created = put(doctor, url, document(record.id))
    assert created.status_code == 201
    holder = record.as_("patient")
    first = {"If-None-Exist": url.partition("?")[2]}
    assert holder.post("DocumentReference", json=document(record.id), headers=FHIR_JSON | first).status_code == 201
    others = [one for one in trail(holder, record.id) if NUMBERS["specialiste2"] in str(one["agent"])]
    assert not any(number in query for query in queries(others))
    assert any(f"DocumentReference/{created.json()['id']}" in told(one) for one in others)

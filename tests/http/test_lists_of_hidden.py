"""A List of which all that it gathers is hidden is not there: its title and its date would tell (R-22, ADR 0018)."""

from __future__ import annotations

from typing import Any, Final
from uuid import uuid4

import httpx
import pytest

from tests.conformance.choices import authorisation, medecin_traitant
from tests.conformance.own_record import OwnRecord, ids, label, own_record
from tests.served import FHIR_JSON, JSON_PATCH, Served

TITLE: Final = "Consultation d'annonce cancer"
SET: Final = {"system": "https://profiles.ihe.net/ITI/MHD/CodeSystem/MHDlistTypes", "code": "submissionset"}
HIDDEN: Final = {"masked": ("MASQUE_PS", "specialiste"), "invisible": ("INVISIBLE_PATIENT", "patient")}


@pytest.fixture(scope="module")
def record(served: Served) -> OwnRecord:
    made = own_record(served)
    made.chosen(medecin_traitant(made, "medecin-traitant"))
    made.chosen(authorisation(made, "specialiste"))
    return made


def submission(record: OwnRecord, *items: dict[str, Any], by: str = "conformance") -> str:
    """A submission set; answer its id."""
    made = {
        "resourceType": "List",
        "status": "current",
        "mode": "working",
        "title": TITLE,
        "code": {"coding": [SET]},
        "identifier": [{"system": "https://x.example", "value": uuid4().hex}],
        "subject": {"reference": f"Patient/{record.id}"},
    }
    listed = {"entry": [{"item": one} for one in items]} if items else {}
    answer = record.as_(by).post("/List", json=made | listed, headers=FHIR_JSON)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def document(id: str) -> dict[str, Any]:
    return {"reference": f"DocumentReference/{id}"}


def sees(client: httpx.Client, record: OwnRecord, id: str) -> bool:
    """Whether this reader finds the List, at every door alike."""
    found = [client.get(f"/List/{id}{more}").status_code == 200 for more in ("", "/_history", "/_history/1")]
    of_record = f"patient={record.id}"
    for path in (
        f"List?{of_record}&code=submissionset&_count=200",
        f"List?{of_record}&_id={id}",
        f"List?{of_record}&title=Consultation&_count=200",
        f"?_type=List&{of_record}&_count=200",
        f"Patient/{record.id}/List?_count=200",
        f"Patient/{record.id}/$everything?_type=List&_count=200",
    ):
        answer = client.get(f"/{path}")
        assert answer.status_code == 200, answer.text
        found.append(id in ids(answer.json()))
    assert len(set(found)) == 1, found
    return found[0]


@pytest.mark.parametrize("how", HIDDEN)
def test_a_set_of_hidden_documents_is_not_there(record: OwnRecord, how: str) -> None:
    tag, who = HIDDEN[how]
    reader, other = record.as_(who), record.as_("medecin-traitant")
    first, second, shown = record.deposit(tag), record.deposit(tag), record.deposit()
    alone, both = submission(record, document(first)), submission(record, document(first), document(second))
    absent = submission(record, document(first), document("absent"))
    folder = submission(record, {"reference": f"List/{alone}"}, {"reference": f"List/{both}"})
    for id in (alone, both, absent, folder):
        assert not sees(reader, record, id)
        assert sees(other, record, id)
    mixed = submission(record, document(first), document(shown))
    assert sees(reader, record, mixed)
    assert sees(reader, record, submission(record, {"reference": f"List/{alone}"}, {"reference": f"List/{mixed}"}))
    counted = reader.get(f"/List?patient={record.id}&_id={alone},{mixed}&_summary=count").json()["total"]
    assert counted == 1
    gathered = reader.get(f"/DocumentReference?patient={record.id}&_list={alone}")
    assert ids(gathered.json()) == ids(reader.get(f"/DocumentReference?patient={record.id}&_list=absent").json())


@pytest.mark.parametrize(
    "item",
    [
        None,
        {"display": "Courrier sur papier"},
        {"reference": "Practitioner/quelquun"},
        {"reference": "https://elsewhere.example/fhir/DocumentReference/1"},
    ],
)
def test_a_list_that_gathers_something_else_stays(record: OwnRecord, item: dict[str, Any] | None) -> None:
    if item is None:
        assert sees(record.as_("specialiste"), record, submission(record))
        return
    id = submission(record, item, document(record.deposit("MASQUE_PS")))
    assert sees(record.as_("specialiste"), record, id)
    assert record.as_("specialiste").get(f"/List/{id}").json()["entry"] == [{"item": item}]


def test_it_comes_and_goes_with_the_mask(record: OwnRecord) -> None:
    made = record.deposit()
    id, reader = submission(record, document(made)), record.as_("specialiste")
    assert sees(reader, record, id)
    masked = record.patch(made, {"op": "add", "path": "/securityLabel/-", "value": label("MASQUE_PS")})
    assert masked.status_code == 200, masked.text
    assert not sees(reader, record, id)
    place = next(at for at, one in enumerate(masked.json()["securityLabel"]) if one == label("MASQUE_PS"))
    assert record.patch(made, {"op": "remove", "path": f"/securityLabel/{place}"}).status_code == 200
    assert sees(reader, record, id)


def test_a_set_of_deleted_documents_is_not_there(record: OwnRecord) -> None:
    first, second = record.deposit(), record.deposit()
    one, two = submission(record, document(first)), submission(record, document(first), document(second))
    wrong = [{"op": "replace", "path": "/status", "value": "entered-in-error"}]
    gone = record.as_("hopital").patch(f"/DocumentReference/{first}", json=wrong, headers=JSON_PATCH)
    assert gone.status_code == 200, gone.text
    for who in ("specialiste", "medecin-traitant", "patient"):
        reader = record.as_(who)
        assert not sees(reader, record, one)
        assert sees(reader, record, two)
        assert reader.get(f"/List/{two}").json()["entry"] == [{"item": document(second)}]
    assert record.as_("conformance").get(f"/List/{one}").status_code == 200


def test_who_deposited_it_keeps_it(record: OwnRecord) -> None:
    hidden = record.deposit("INVISIBLE_PATIENT")
    assert sees(record.as_("patient"), record, submission(record, document(hidden), by="patient"))


def test_a_trace_of_such_a_list_is_withheld(record: OwnRecord) -> None:
    """The patient is not told that somebody read the set of a result he may not see yet."""
    hidden, shown = record.deposit("INVISIBLE_PATIENT"), record.deposit()
    secret, mixed = submission(record, document(hidden)), submission(record, document(hidden), document(shown))
    free = submission(record, document(hidden), {"display": "Courrier"})
    around, absent = (
        submission(record, {"reference": f"List/{secret}"}),
        submission(record, document(hidden), document("a")),
    )
    doctor = record.as_("medecin-traitant")
    for id in (secret, mixed, free, around, absent):
        assert doctor.get(f"/List/{id}").status_code == 200
    traces = record.as_("patient").get(f"/AuditEvent?patient={record.id}&_sort=-date&_count=50").text
    for id in (mixed, free):
        assert f"List/{id}" in traces, "he sees the list, and who read it (R-63)"
    for id in (secret, around, absent):
        assert f"List/{id}" not in traces


def test_what_tells_where_a_list_came_from_may_stand_before_it(served: Served, record: OwnRecord) -> None:
    """Both are created last, and the Provenance after the List."""
    names = [f"urn:uuid:{uuid4()}" for _ in range(2)]
    listed: dict[str, Any] = {"resourceType": "List", "status": "current", "mode": "working", "title": TITLE}
    listed |= {"subject": {"reference": f"Patient/{record.id}"}}
    provenance = {
        "resourceType": "Provenance",
        "target": [{"reference": names[1]}],
        "recorded": "2026-02-01T10:00:00Z",
        "agent": [{"who": {"display": "Hôpital"}}],
    }
    entries = [
        {"fullUrl": name, "resource": one, "request": {"method": "POST", "url": one["resourceType"]}}
        for name, one in zip(names, (provenance, listed), strict=True)
    ]
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    answer = served.as_("conformance").post("", json=bundle, headers=FHIR_JSON)
    assert answer.status_code == 200, answer.text
    location = answer.json()["entry"][0]["response"]["location"]
    assert record.as_("patient").get(location).status_code == 200, "it belongs to the record of the List"

"""What belongs to several records is found from each, and needs each (docs/consent/how-a-decision-is-made.md)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final
from uuid import uuid4

import httpx
import pytest
from pymongo import MongoClient
from pymongo.database import Database

from fhir_server.store.embedded import running_uri
from tests.conformance.choices import authorisation, block
from tests.conformance.own_record import INS_NIR_TEST, OwnRecord, ids, new_ins, own_record, patient
from tests.served import FHIR_JSON, Served

NEXT: Final = {"status": "booked", "start": "2026-12-01T10:00:00Z", "end": "2026-12-01T10:20:00Z"}


@pytest.fixture
def two(served: Served) -> tuple[OwnRecord, OwnRecord]:
    """Two records; the specialist is authorised in the first."""
    first, second = own_record(served), own_record(served)
    first.chosen(authorisation(first, "specialiste"))
    return first, second


def appointment(*records: OwnRecord, **members: Any) -> dict[str, Any]:
    actors = [{"actor": {"reference": f"Patient/{one.id}"}, "status": "accepted"} for one in records]
    return {"resourceType": "Appointment", **NEXT, "participant": actors, **members}


def create(client: httpx.Client, resource: dict[str, Any]) -> httpx.Response:
    return client.post(f"/{resource['resourceType']}", json=resource, headers=FHIR_JSON)


def found(client: httpx.Client, record: OwnRecord, type: str = "Appointment") -> set[str]:
    answer = client.get(f"/{type}?patient={record.id}")
    assert answer.status_code == 200, answer.text
    return ids(answer.json())


def seen_by(client: httpx.Client, key: str, *records: OwnRecord) -> bool:
    """Whether this is read, and found from each record alike."""
    type, _, id = key.partition("/")
    read: bool = client.get(f"/{key}").status_code == 200
    assert [id in found(client, one, type) for one in records] == [read] * len(records)
    assert bool(client.get(f"/{type}?_id={id}").json().get("total") == 1) is read
    return read


def test_an_appointment_of_two_patients_needs_the_authorisation_of_both(two: tuple[OwnRecord, OwnRecord]) -> None:
    first, second = two
    specialist = first.as_("specialiste")
    made = create(first.as_("hopital"), appointment(first, second))
    assert made.status_code == 201, made.text
    key = f"Appointment/{made.json()['id']}"
    assert not seen_by(specialist, key, first, second)
    given = second.chosen(authorisation(second, "specialiste"))
    assert seen_by(specialist, key, first, second)
    second.withdraw(given)
    assert not seen_by(specialist, key, first, second)
    assert specialist.get(f"/{key}/_history/1").status_code == 404
    assert specialist.get(f"/Patient?_id={first.id}&_revinclude=Appointment:patient").json()["total"] == 1
    second.chosen(authorisation(second, "specialiste"))
    second.chosen(block(second, "specialiste"))
    assert not seen_by(specialist, key, first, second)
    assert seen_by(first.as_("hopital"), key, first, second), "its depositor"


def test_one_patient_does_not_see_it_nor_the_other(two: tuple[OwnRecord, OwnRecord]) -> None:
    first, second = two
    both, own = (create(first.as_("hopital"), appointment(*records)).json()["id"] for records in (two, (first,)))
    holder = first.as_("patient")
    assert found(holder, first) == {own}
    assert holder.get(f"/Appointment/{both}").status_code == 404
    assert both not in holder.get("/Appointment/_history").text
    assert both not in holder.get("/_history?_count=100").text
    assert found(first.served.as_("conformance"), second) == {both}


def test_who_feeds_must_be_able_to_feed_every_record(two: tuple[OwnRecord, OwnRecord]) -> None:
    first, second = two
    publisher = first.as_("hopital")
    nobody = OwnRecord(first.served, "absent", new_ins())
    unknown = create(publisher, appointment(first, nobody))
    assert unknown.status_code == 422
    assert create(first.as_("patient"), appointment(first, second)).content == unknown.content
    closed = patient(second, active=False)
    assert (
        first.served.as_("conformance").put(f"/Patient/{second.id}", json=closed, headers=FHIR_JSON).status_code == 200
    )
    assert create(publisher, appointment(first, second)).status_code == 422
    assert create(publisher, appointment(first)).status_code == 201


def test_a_participant_named_by_number_alone_is_found_by_it(two: tuple[OwnRecord, OwnRecord]) -> None:
    first, second = two
    body = appointment(first)
    by_number = {"identifier": {"system": INS_NIR_TEST, "value": second.ins}}
    body["participant"].append({"actor": by_number, "status": "accepted"})
    made = create(first.as_("hopital"), body)
    assert made.status_code == 201, made.text
    assert made.json()["participant"][1]["actor"] == {"reference": f"Patient/{second.id}", **by_number}
    assert not seen_by(first.as_("specialiste"), f"Appointment/{made.json()['id']}", first, second)


def test_a_participant_may_come_and_not_be_exchanged(two: tuple[OwnRecord, OwnRecord]) -> None:
    first, second = two
    publisher = first.as_("hopital")
    made = create(publisher, appointment(first)).json()
    url = f"/Appointment/{made['id']}"
    more = publisher.put(url, json=made | {"participant": appointment(*two)["participant"]}, headers=FHIR_JSON)
    assert more.status_code == 200, more.text
    assert made["id"] in found(publisher, second)
    other = publisher.put(url, json=made | {"participant": appointment(second)["participant"]}, headers=FHIR_JSON)
    assert other.status_code == 422


# What a Provenance tells of


def provenance(*targets: str) -> dict[str, Any]:
    agent = {"who": {"display": "Hôpital"}}
    told = [{"reference": target} for target in targets]
    return {"resourceType": "Provenance", "target": told, "recorded": "2026-03-01T10:00:00Z", "agent": [agent]}


def test_a_provenance_belongs_where_its_targets_do(two: tuple[OwnRecord, OwnRecord]) -> None:
    first, second = two
    publisher, specialist = first.as_("hopital"), first.as_("specialiste")
    shown, masked = (f"DocumentReference/{first.deposit(*labels)}" for labels in ((), ("MASQUE_PS",)))
    elsewhere = f"DocumentReference/{second.deposit()}"
    told = {}
    for name, targets in (
        ("shown", [shown]),
        ("both", [masked, shown]),
        ("masked", [masked]),
        ("two records", [shown, elsewhere]),
    ):
        made = create(publisher, provenance(*targets))
        assert made.status_code == 201, made.text
        told[name] = made.json()["id"]
    assert found(specialist, first, "Provenance") == {told["shown"], told["both"]}
    both = specialist.get(f"/Provenance/{told['both']}").json()
    assert both["target"] == [{"reference": shown}]
    for name in ("masked", "two records"):
        assert specialist.get(f"/Provenance/{told[name]}").status_code == 404
    assert found(first.as_("patient"), first, "Provenance") == {told["shown"], told["both"], told["masked"]}
    assert found(publisher, first, "Provenance") == set(told.values())


def test_a_provenance_of_what_one_may_not_know_of_is_of_something_unknown(two: tuple[OwnRecord, OwnRecord]) -> None:
    first, _ = two
    specialist, masked = first.as_("specialiste"), first.deposit("MASQUE_PS")
    answers = [create(specialist, provenance(f"DocumentReference/{id}")) for id in (masked, "absent")]
    assert [answer.status_code for answer in answers] == [422, 422]
    assert answers[0].text.replace(masked, "x") == answers[1].text.replace("absent", "x")


# Nothing of nobody


@pytest.mark.parametrize("type", ["Schedule", "Slot", "Group", "Linkage"])
def test_what_belongs_to_no_record_is_closed_to_people(served: Served, type: str) -> None:
    bodies: dict[str, dict[str, Any]] = {
        "Schedule": {"actor": [{"reference": "Practitioner/p"}]},
        "Slot": {"schedule": {"display": "x"}, "status": "free", "start": NEXT["start"], "end": NEXT["end"]},
        "Group": {"type": "device", "actual": True},
        "Linkage": {"item": [{"type": kind, "resource": {"display": "x"}} for kind in ("source", "alternate")]},
    }
    made = {"resourceType": type, "id": f"personne-{uuid4().hex[:8]}", **bodies[type]}
    stored = served.as_("conformance").put(f"/{type}/{made['id']}", json=made, headers=FHIR_JSON)
    assert stored.status_code == 201, stored.text
    for actor in ("patient", "specialiste", "medecin-traitant", "hopital", "samu"):
        assert served.as_(actor).get(f"/{type}/{made['id']}").status_code in (403, 404)
        assert create(served.as_(actor), {key: made[key] for key in made if key != "id"}).status_code in (403, 422)


# In the database


@pytest.fixture(scope="module")
def stored(served: Served) -> Iterator[Database[dict[str, Any]]]:
    with MongoClient[dict[str, Any]](running_uri(served.data)) as client:
        yield client["fhir"]


def test_both_records_are_found_by_their_indexes(
    two: tuple[OwnRecord, OwnRecord], stored: Database[dict[str, Any]]
) -> None:
    first, second = two
    made = create(first.as_("hopital"), appointment(*two)).json()["id"]
    held = stored["resources"].find_one({"_id": f"Appointment/{made}"})
    assert held is not None
    assert (held["record"], held["also"], held["refers"]) == (first.id, [second.id], [])
    where = {"rt": "Appointment", "$or": [{"record": second.id}, {"also": second.id}], "gone": None}
    told = stored["resources"].find(where).sort([("on", -1), ("_id", 1)]).limit(21).explain()
    assert {"record", "also"} <= _indexes(told["queryPlanner"]["winningPlan"])


def _indexes(plan: Any) -> set[str]:
    if isinstance(plan, list):
        return set().union(*map(_indexes, plan)) if plan else set()
    if not isinstance(plan, dict):
        return set()
    own = {plan["indexName"]} if "indexName" in plan else set()
    return own.union(*map(_indexes, plan.values()))

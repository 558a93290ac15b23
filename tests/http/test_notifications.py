"""The patient and his médecin traitant are told of every emergency access, before it is answered (R-45, R1111-48).

Over HTTP, in records of their own; one token after the other, as each of them is told of once.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from pymongo import MongoClient

from fhir_server.identity.requester import Purpose
from fhir_server.record.notification import NOTIFICATION
from fhir_server.store.embedded import running_uri
from tests.conformance.choices import authorisation, emergency_choice, medecin_traitant
from tests.conformance.own_record import (
    NUMBERS,
    RPPS,
    TRE_A07,
    OwnRecord,
    ids,
    own_record,
)
from tests.http.invoking import actor, called, post
from tests.served import FHIR_JSON, Served, serving

REASON: Final = "Patiente inconsciente aux urgences."
SECRET: Final = "INVISIBLE_REPRESENTANTS_LEGAUX"
MINE: Final = "category=acces-urgence&_sort=-sent"


@pytest.fixture
def record(served: Served) -> OwnRecord:
    record = own_record(served)
    record.chosen(medecin_traitant(record, "medecin-traitant"))
    return record


def emergency(served: Served, actor: str = "urgentiste", **extra: Any) -> httpx.Client:
    """A client with an emergency token of its own."""
    named = {"purpose": Purpose.BTG, "reason": REASON} if actor == "urgentiste" else {"purpose": Purpose.ETREAT}
    return served.client(served.token(actor, extra=extra, **named))


def notifications(record: OwnRecord, who: str = "patient") -> list[dict[str, Any]]:
    answer = record.as_(who).get(f"/Communication?patient={record.id}&{MINE}")
    assert answer.status_code == 200, answer.text
    return [entry["resource"] for entry in answer.json().get("entry", [])]


def the_one(record: OwnRecord, who: str = "patient") -> dict[str, Any]:
    found = notifications(record, who)
    assert len(found) == 1, found
    return found[0]


def traces_of(record: OwnRecord, key: str, who: str = "patient") -> list[dict[str, Any]]:
    """The traces that name a resource."""
    answer = record.as_(who).get(f"/AuditEvent?patient={record.id}&entity={key}&_sort=-date")
    assert answer.status_code == 200, answer.text
    return [entry["resource"] for entry in answer.json().get("entry", [])]


# What is told


def test_a_break_glass_is_told_with_who_when_mode_and_reason(record: OwnRecord, served: Served) -> None:
    letter = record.deposit()
    with emergency(served) as client:
        assert client.get(f"/DocumentReference/{letter}").status_code == 200
    told = the_one(record)
    assert told["category"][0]["coding"][0]["system"] == NOTIFICATION
    assert (told["status"], told["subject"]) == ("completed", {"reference": f"Patient/{record.id}"})
    assert told["sender"]["identifier"] == {"system": RPPS, "value": NUMBERS["urgentiste"]}
    assert told["recipient"] == [
        {"reference": f"Patient/{record.id}"},
        {"type": "Practitioner", "identifier": {"system": RPPS, "value": NUMBERS["medecin-traitant"]}},
    ]
    text = told["payload"][0]["contentString"]
    assert REASON in text
    assert "bris de glace" in text
    assert NUMBERS["urgentiste"] in text
    assert letter not in str(told), "it names nothing of what was read: that is what traces are for"


def test_a_regulator_is_told_of_with_his_mode(record: OwnRecord, served: Served) -> None:
    with emergency(served, "samu") as client:
        assert client.get(f"/Patient/{record.id}").status_code == 200
    assert "centre de régulation" in the_one(record)["payload"][0]["contentString"]


def test_the_newest_trace_is_that_of_the_request(record: OwnRecord, served: Served) -> None:
    letter = record.deposit()
    with emergency(served) as client:
        client.get(f"/DocumentReference/{letter}").raise_for_status()
    newest = record.as_("patient").get(f"/AuditEvent?patient={record.id}&_sort=-date&_count=1").json()["entry"][0]
    assert letter in str(newest["resource"]["entity"])


def test_its_creation_is_in_the_trail_as_the_server_s_own_write(record: OwnRecord, served: Served) -> None:
    with emergency(served) as client:
        asked = client.get(f"/Patient/{record.id}")
        key = f"Communication/{the_one(record)['id']}"
        traced = [one for one in traces_of(record, key) if one["action"] == "C"]
        own = client.get(f"/AuditEvent?entity={key}").json()
    assert len(traced) == 1
    user = next(agent for agent in traced[0]["agent"] if agent["requestor"])
    assert user["who"]["display"] == served.base
    assert asked.headers["X-Request-Id"] in str(traced[0]["entity"]), "which request caused it"
    assert ids(own) == set(), "the trace is not the professional's: he wrote nothing"


# How often


def test_one_for_each_token_and_record(record: OwnRecord, served: Served) -> None:
    letters = [record.deposit() for _ in range(3)]
    other = own_record(served)
    other_letter = other.deposit()
    with emergency(served) as client, ThreadPoolExecutor(4) as at_once:
        paths = [f"/DocumentReference/{letter}" for letter in letters] * 3
        assert {answer.status_code for answer in at_once.map(client.get, paths)} == {200}
        key = f"Communication/{the_one(record)['id']}"
        assert [trace["action"] for trace in traces_of(record, key)].count("C") == 1, (
            "written once, not tried nine times"
        )
        assert notifications(other) == []
        assert client.get(f"/DocumentReference/{other_letter}").status_code == 200
    assert len(notifications(other)) == 1
    with emergency(served) as again:
        assert again.get(f"/DocumentReference/{letters[0]}").status_code == 200
    assert len(notifications(record)) == 2


def test_one_over_all_workers(tmp_path: Path) -> None:
    with serving(tmp_path / "data", "--workers", "2") as served:
        record = own_record(served)
        letter = record.deposit()
        token = served.token("urgentiste", purpose=Purpose.BTG, reason=REASON)
        for _ in range(8):  # a connection of its own each time, so that both workers are asked
            with served.client(token) as client:
                assert client.get(f"/DocumentReference/{letter}").status_code == 200
        assert len(notifications(record)) == 1


# When


DOORS: Final = {
    "read": "/DocumentReference/{letter}",
    "vread": "/DocumentReference/{letter}/_history/1",
    "history": "/DocumentReference/{letter}/_history",
    "search": "/DocumentReference?patient={record}",
    "count": "/DocumentReference?patient={record}&_summary=count",
    "search by id": "/DocumentReference?_id={letter}",
    "count by id": "/DocumentReference?_id={letter}&_summary=count",
    "search of the person": "/Patient?identifier=urn:oid:1.2.250.1.213.1.4.10|{ins}",
    "search with what it includes": "/DocumentReference?_id={letter}&_include=DocumentReference:subject",
    "representatives": "/RelatedPerson?patient={record}",
}
"""Every way by which an emergency is answered with something of the record."""


@pytest.mark.parametrize("door", DOORS.values(), ids=DOORS)
@pytest.mark.parametrize("batched", [False, True], ids=["by itself", "in a batch"])
def test_every_door_tells(record: OwnRecord, served: Served, door: str, batched: bool) -> None:
    asked = door.format(letter=record.deposit(), record=record.id, ins=record.ins)
    with emergency(served) as client:
        if batched:
            entry = {"request": {"method": "GET", "url": asked[1:]}}
            bundle = {"resourceType": "Bundle", "type": "batch", "entry": [entry]}
            answer = client.post("", json=bundle, headers=FHIR_JSON)
            assert answer.json()["entry"][0]["response"]["status"].startswith("200"), answer.text
        else:
            answer = client.get(asked)
        assert answer.status_code == 200, answer.text
    assert len(notifications(record)) == 1


def test_what_shows_nothing_tells_nothing(record: OwnRecord, served: Served) -> None:
    masked = record.deposit("MASQUE_PS")
    with emergency(served) as client:
        assert client.get(f"/DocumentReference/{masked}").status_code == 404
        assert ids(client.get(f"/DocumentReference?patient={record.id}").json()) == set()
        assert client.get(f"/DocumentReference?patient={record.id}&_summary=count").json()["total"] == 0
        assert ids(client.get("/Practitioner?_count=1").json()) is not None
        assert client.get(f"/AuditEvent?patient={record.id}").status_code == 200
    assert notifications(record) == []


def test_a_refused_attempt_is_in_the_trail_alone(record: OwnRecord, served: Served) -> None:
    letter = record.deposit()
    record.chosen(emergency_choice(record, "BTG", "deny"))
    with emergency(served) as client:
        assert client.get(f"/DocumentReference/{letter}").status_code == 404
    assert notifications(record) == []
    assert traces_of(record, f"DocumentReference/{letter}")


def test_who_is_authorised_is_not_told_of(record: OwnRecord) -> None:
    letter = record.deposit()
    record.chosen(authorisation(record, "specialiste"))
    assert record.sees("specialiste", letter)
    assert notifications(record) == []


# Who reads it


def test_the_medecin_traitant_reads_it_and_other_professionals_do_not(record: OwnRecord, served: Served) -> None:
    record.chosen(authorisation(record, "specialiste"))
    with emergency(served) as client:
        assert client.get(f"/Patient/{record.id}").status_code == 200
        told = the_one(record)
        assert the_one(record, "medecin-traitant") == told
        assert the_one(record, "representant") == told
        assert client.get(f"/Communication/{told['id']}").status_code == 404, "nor the one it tells of"
    for who in ("specialiste", "inconnu", "hopital"):
        assert record.as_(who).get(f"/Communication/{told['id']}").status_code == 404
    assert notifications(record, "specialiste") == []
    assert record.as_("specialiste").get(f"/Communication?patient={record.id}&_summary=count").json()["total"] == 0


def test_nobody_changes_or_deletes_it(record: OwnRecord, served: Served) -> None:
    with emergency(served) as client:
        client.get(f"/Patient/{record.id}").raise_for_status()
    told = the_one(record)
    path = f"/Communication/{told['id']}"
    for who in ("patient", "representant", "medecin-traitant", "conformance"):
        changed = {**told, "payload": [{"contentString": "Rien."}]}
        masked = {**told, "meta": {"security": [{"system": TRE_A07, "code": "MASQUE_PS"}]}}
        answers = [record.as_(who).put(path, json=body, headers=FHIR_JSON) for body in (changed, masked)]
        answers.append(record.as_(who).delete(path))
        assert {answer.status_code for answer in answers} <= {403, 422}, (who, [one.text for one in answers])
    assert the_one(record) == told


def test_nobody_else_writes_one(record: OwnRecord) -> None:
    forged = {
        "resourceType": "Communication",
        "status": "completed",
        "category": [{"coding": [{"system": NOTIFICATION, "code": "acces-urgence"}]}],
        "subject": {"reference": f"Patient/{record.id}"},
    }
    for who in ("specialiste", "patient", "hopital", "conformance"):
        answer = record.as_(who).post("/Communication", json=forged, headers=FHIR_JSON)
        assert answer.status_code in (403, 422), answer.text
    assert notifications(record) == []


# What a minor keeps secret


def test_a_secret_access_is_not_told_to_the_representative(record: OwnRecord, served: Served) -> None:
    secret = record.deposit(SECRET)
    with emergency(served) as client:
        assert client.get(f"/DocumentReference/{secret}").status_code == 200
        told = the_one(record)
        assert the_one(record, "medecin-traitant") == told
        assert notifications(record, "representant") == []
        assert traces_of(record, f"Communication/{told['id']}", "representant") == []
        # of something else by the same token he is told, and once
        for _ in range(2):
            assert client.get(f"/Patient/{record.id}").status_code == 200
    assert len(notifications(record, "representant")) == 1
    assert len(notifications(record)) == 2


def test_what_was_told_to_all_is_not_told_again_in_secret(record: OwnRecord, served: Served) -> None:
    secret = record.deposit(SECRET)
    with emergency(served) as client:
        assert client.get(f"/Patient/{record.id}").status_code == 200
        assert client.get(f"/DocumentReference/{secret}").status_code == 200
    assert the_one(record) == the_one(record, "representant")


# What somebody else writes down for the patient


def told_of(record: OwnRecord, occasion: str, who: str = "patient") -> list[str]:
    answer = record.as_(who).get(f"/Communication?patient={record.id}&category={NOTIFICATION}|{occasion}&_sort=sent")
    assert answer.status_code == 200, answer.text
    return [entry["resource"]["payload"][0]["contentString"] for entry in answer.json().get("entry", [])]


def authorize(record: OwnRecord, by: str, whom: str, **told: Any) -> httpx.Response:
    return post(record.as_(by), f"/Patient/{record.id}/$authorize", actor=actor(whom), **told)


def test_a_collected_consent_is_told_each_time_it_is_given(record: OwnRecord) -> None:
    called(authorize(record, "inconnu", "inconnu", collected=True))
    called(authorize(record, "inconnu", "infirmier", collected=True))
    himself, colleague = told_of(record, "consentement-recueilli")
    assert "l'autorise à consulter le dossier, jusqu'au" in himself
    assert f"autorise le professionnel RPPS {NUMBERS['infirmier']} à" in colleague
    assert told_of(record, "consentement-recueilli", "medecin-traitant") == [himself, colleague]
    called(authorize(record, "inconnu", "inconnu", collected=True))
    assert len(told_of(record, "consentement-recueilli")) == 3, "renewed: for another year"


def test_what_the_patient_does_himself_is_not_told(record: OwnRecord) -> None:
    called(authorize(record, "patient", "inconnu"))
    called(post(record.as_("patient"), f"/Patient/{record.id}/$revoke", actor=actor("inconnu")))
    called(authorize(record, "inconnu", "inconnu", collected=True))
    called(post(record.as_("inconnu"), f"/Patient/{record.id}/$revoke", actor=actor("inconnu")))
    assert len(told_of(record, "consentement-recueilli")) == 1, "nor that a professional gave his right up"


def test_a_declaration_is_told_and_says_that_it_waits(record: OwnRecord) -> None:
    called(authorize(record, "inconnu", "inconnu", role="medecin-traitant", collected=True))
    (declared,) = told_of(record, "medecin-traitant-declare")
    assert "s'est déclaré médecin traitant" in declared
    assert "confirmée" in declared
    assert told_of(record, "consentement-recueilli") == []


def test_its_creation_is_traced_beside_that_of_the_consent(record: OwnRecord) -> None:
    told = called(authorize(record, "inconnu", "inconnu", collected=True))
    found = record.as_("patient").get(f"/Communication?patient={record.id}").json()["entry"]
    key = f"Communication/{found[0]['resource']['id']}"
    for one in (key, f"Consent/{told['id']}"):
        assert [trace["action"] for trace in traces_of(record, one) if trace["action"] != "R"][-1] == "C"


# No notification, no answer


def test_no_notification_no_answer(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as served:
        record = own_record(served)
        letter = record.deposit()
        with MongoClient[dict[str, Any]](running_uri(served.data)) as mongo, emergency(served) as client:
            database = mongo["fhir"]
            database.command("collMod", "resources", validator={"rt": {"$ne": "Communication"}})
            answer = client.get(f"/DocumentReference/{letter}")
            assert answer.status_code >= 500
            assert letter not in answer.text
            collected = authorize(record, "inconnu", "inconnu", collected=True)
            assert collected.status_code >= 500
            assert ids(record.as_("patient").get(f"/Consent?patient={record.id}").json()) == set(), "nothing half done"
            assert not record.sees("inconnu", letter)
            database.command("collMod", "resources", validator={})
            assert client.get(f"/DocumentReference/{letter}").status_code == 200
            called(authorize(record, "inconnu", "inconnu", collected=True))
        assert len(notifications(record)) == 1
        assert len(told_of(record, "consentement-recueilli")) == 1

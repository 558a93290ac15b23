"""Whether there is a record, and how one stands to it (TD0.2): the least that whoever uses the DMP may know."""

from __future__ import annotations

import httpx
import pytest

from tests.answers import refused
from tests.conformance import choices
from tests.conformance.own_record import INS_NIR_TEST, OwnRecord, new_ins, own_record
from tests.http.invoking import called, values
from tests.served import FHIR_JSON, Served


@pytest.fixture
def record(served: Served) -> OwnRecord:
    return own_record(served)


def told(answer: httpx.Response) -> tuple[str, str | None, bool | None]:
    found = called(answer)
    (status,) = values(found, "statut")
    state, named = values(found, "autorisation"), values(found, "medecin-traitant")
    return status, state[0] if state else None, named[0] if named else None


def asked(client: httpx.Client, record: OwnRecord) -> tuple[str, str | None, bool | None]:
    """By id and by INS: the same."""
    by_id = told(client.get(f"/Patient/{record.id}/$statut-dmp"))
    assert told(client.get("/Patient/$statut-dmp", params={"identifier": f"{INS_NIR_TEST}|{record.ins}"})) == by_id
    return by_id


def test_the_four_states_of_an_authorisation(record: OwnRecord) -> None:
    doctor = record.as_("specialiste")
    assert asked(doctor, record) == ("ACTIF", "NON_EXISTE", False)
    given = record.chosen(choices.authorisation(record, "specialiste"))
    assert asked(doctor, record) == ("ACTIF", "VALIDE", False)
    ended = given["provision"] | {"period": {"start": choices.day(-10), "end": choices.day(-2)}}
    assert record.change(given, provision=ended).status_code == 200
    assert asked(doctor, record) == ("ACTIF", "EXPIRE", False)
    blocked = record.chosen(choices.block(record, "specialiste"))
    assert asked(doctor, record) == ("ACTIF", "INTERDIT", False)
    record.withdraw(blocked)
    assert asked(doctor, record) == ("ACTIF", "EXPIRE", False)
    record.chosen(choices.medecin_traitant(record, "specialiste"))
    assert asked(doctor, record) == ("ACTIF", "VALIDE", True)


def test_of_a_structure(record: OwnRecord) -> None:
    assert asked(record.as_("hopital"), record) == ("ACTIF", "NON_EXISTE", None)
    record.chosen(choices.authorisation(record, "990000001"))
    assert asked(record.as_("hopital"), record) == ("ACTIF", "VALIDE", None)


@pytest.mark.parametrize("by", ["patient", "representant", "conformance"])
def test_of_those_who_need_no_authorisation(record: OwnRecord, by: str) -> None:
    assert asked(record.as_(by), record) == ("ACTIF", None, None)


def test_a_closed_record(record: OwnRecord) -> None:
    record.chosen(choices.authorisation(record, "specialiste"))
    resource = record.as_("patient").get(f"/Patient/{record.id}").json()
    closed = record.as_("conformance").put(
        f"/Patient/{record.id}", json={**resource, "active": False}, headers=FHIR_JSON
    )
    assert closed.status_code == 200
    assert asked(record.as_("specialiste"), record)[0] == "FERME"
    assert asked(record.as_("patient"), record)[0] == "FERME"


def test_no_record_and_none_that_one_may_know_of(record: OwnRecord, served: Served) -> None:
    nobody = told(record.as_("specialiste").get("/Patient/nobody/$statut-dmp"))
    assert nobody == ("INEXISTANT", "NON_EXISTE", False)
    unknown = f"{INS_NIR_TEST}|{new_ins()}"
    assert told(record.as_("specialiste").get("/Patient/$statut-dmp", params={"identifier": unknown})) == nobody
    assert asked(served.as_("patient"), record) == ("INEXISTANT", None, None), "another patient knows his own only"
    elsewhere = served.token("specialiste", extra={"extensions.ihe_iua.person_id": "280057505600117"})
    with served.client(elsewhere) as client:
        assert asked(client, record) == nobody, "a token for another patient"


@pytest.mark.parametrize("by", ["assurance-maladie", "support", "aidant"])
def test_who_may_not_ask(record: OwnRecord, by: str) -> None:
    refused(record.as_(by).get(f"/Patient/{record.id}/$statut-dmp"), 403)


def test_it_tells_no_trait(record: OwnRecord) -> None:
    text = record.as_("inconnu").get(f"/Patient/$statut-dmp?identifier={INS_NIR_TEST}|{record.ins}").text
    for trait in ("Essai", "Alix", "2012", record.ins, record.id):
        assert trait not in text


@pytest.mark.parametrize(
    "identifier", ["", "280057505600117", "|280057505600117", "urn:oid:1.2.3|280057505600117", f"{INS_NIR_TEST}|"]
)
def test_an_identifier_that_names_nobody(served: Served, identifier: str) -> None:
    issue = refused(served.as_("inconnu").get("/Patient/$statut-dmp", params={"identifier": identifier}), 400)
    assert issue["expression"] == ["http.identifier"]


def test_the_patient_must_be_named(served: Served) -> None:
    refused(served.as_("inconnu").get("/Patient/$statut-dmp"), 400, "required")

"""What the patient decides by operations: authorise, revoke, block, unblock, emergencies; and who has access.

Each on a record of its own, through a real server; the effect is seen where it counts: in what others may read.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fhir_server.identity.requester import Purpose
from tests.answers import refused
from tests.conformance import choices
from tests.conformance.own_record import OwnRecord, own_record
from tests.http.invoking import actor, called, parts, post, values
from tests.served import FHIR_JSON, Served


@pytest.fixture
def record(served: Served) -> OwnRecord:
    return own_record(served)


@pytest.fixture
def letter(record: OwnRecord) -> str:
    """A document that the hospital deposited."""
    return record.deposit()


def path(record: OwnRecord, name: str) -> str:
    return f"/Patient/{record.id}/${name}"


def consents(record: OwnRecord) -> list[dict[str, Any]]:
    found = record.as_("patient").get(f"/Consent?patient={record.id}&_count=100").json()
    return [entry["resource"] for entry in found.get("entry", [])]


# $authorize


@pytest.mark.parametrize("by", ["patient", "representant"])
def test_who_is_authorised_reads(record: OwnRecord, letter: str, by: str) -> None:
    assert not record.sees("specialiste", letter)
    told = called(post(record.as_(by), path(record, "authorize"), actor=actor("specialiste")))
    assert (told["status"], told["policy"]) == ("active", [{"uri": choices.P + "autorisation"}])
    assert told["id"] in {one["id"] for one in consents(record)}
    assert record.sees("specialiste", letter)
    assert not record.sees("inconnu", letter)


def test_the_consent_written_is_one_that_could_be_posted(record: OwnRecord) -> None:
    told = called(post(record.as_("patient"), path(record, "authorize"), actor=actor("specialiste")))
    sent = {name: value for name, value in told.items() if name not in ("id", "meta")}
    assert record.choose(sent).status_code == 201


def test_an_authorisation_in_force_is_renewed(record: OwnRecord, letter: str) -> None:
    patient = record.as_("patient")
    first = called(post(patient, path(record, "authorize"), actor=actor("specialiste"), end=choices.day(5)))
    assert first["provision"]["period"]["end"] == choices.day(5)
    again = called(post(patient, path(record, "authorize"), actor=actor("specialiste")))
    assert again["id"] == first["id"]
    assert again["meta"]["versionId"] == "2"
    period = again["provision"]["period"]
    assert period["start"] == first["provision"]["period"]["start"]
    ends = datetime.fromisoformat(period["end"]) - datetime.now(UTC)
    assert timedelta(days=360) < ends < timedelta(days=370)
    assert len(consents(record)) == 1
    assert record.sees("specialiste", letter)


def test_one_that_was_withdrawn_is_not_renewed(record: OwnRecord) -> None:
    patient = record.as_("patient")
    first = called(post(patient, path(record, "authorize"), actor=actor("specialiste")))
    called(post(patient, path(record, "revoke"), actor=actor("specialiste")))
    again = called(post(patient, path(record, "authorize"), actor=actor("specialiste")))
    assert again["id"] != first["id"]


def test_a_structure_is_authorised_by_finess(record: OwnRecord) -> None:
    told = called(post(record.as_("patient"), path(record, "authorize"), actor=actor("990000001")))
    (named,) = told["provision"]["actor"]
    assert named["reference"]["identifier"] == actor("990000001")


def test_an_identifier_of_the_card_is_the_rpps(record: OwnRecord) -> None:
    card = {"system": "urn:oid:1.2.250.1.71.4.2.1", "value": "889900000002"}
    told = called(post(record.as_("patient"), path(record, "authorize"), actor=card))
    assert told["provision"]["actor"][0]["reference"]["identifier"] == actor("specialiste")


def test_a_period_of_ones_own(record: OwnRecord, letter: str) -> None:
    patient = record.as_("patient")
    told = post(patient, path(record, "authorize"), actor=actor("specialiste"), start=choices.day(3), end="2099-01-01")
    assert called(told)["provision"]["period"] == {"start": choices.day(3), "end": "2099-01-01"}
    assert not record.sees("specialiste", letter)


def test_a_date_may_be_told_as_one(record: OwnRecord) -> None:
    end = {"name": "end", "valueDate": choices.day(9)}
    told = called(post(record.as_("patient"), path(record, "authorize"), actor=actor("specialiste"), end=end))
    assert told["provision"]["period"]["end"] == choices.day(9)


@pytest.mark.parametrize(
    "role", ["medecin-traitant", "administrateur", "pharmacien-correspondant", "sage-femme-referente"]
)
def test_a_role_is_given_once(record: OwnRecord, role: str) -> None:
    patient = record.as_("patient")
    told = called(post(patient, path(record, "authorize"), actor=actor("specialiste"), role=role))
    assert told["policy"] == [{"uri": choices.P + role}]
    again = called(post(patient, path(record, "authorize"), actor=actor("specialiste"), role=role))
    assert (again["id"], again["meta"]["versionId"]) == (told["id"], "1")


def test_a_medecin_traitant_sees_what_is_masked(record: OwnRecord) -> None:
    masked = record.deposit("MASQUE_PS")
    called(post(record.as_("patient"), path(record, "authorize"), actor=actor("inconnu"), role="medecin-traitant"))
    assert record.sees("inconnu", masked)


WRONG_ACTORS = [
    ("another system", {"system": "https://example.org", "value": "89900000002"}, "value.system"),
    ("an RPPS too short", {"system": actor("specialiste")["system"], "value": "8990000002"}, "value.value"),
    ("an RPPS with letters", {"system": actor("specialiste")["system"], "value": "8990000000A"}, "value.value"),
    ("a FINESS too long", {"system": actor("990000001")["system"], "value": "9900000011"}, "value.value"),
    ("no value", {"system": actor("specialiste")["system"]}, "value.value"),
    ("no system", {"value": "89900000002"}, "value.system"),
]


@pytest.mark.parametrize("operation", ["authorize", "revoke", "block", "unblock"])
@pytest.mark.parametrize(("why", "wrong", "where"), WRONG_ACTORS, ids=lambda one: one if isinstance(one, str) else "")
def test_an_actor_nobody_could_be(
    record: OwnRecord, operation: str, why: str, wrong: dict[str, str], where: str
) -> None:
    issue = refused(post(record.as_("patient"), path(record, operation), actor=wrong), 422, "value")
    if why.startswith("a FINESS") and operation in ("block", "unblock"):
        where = "value.system"  # only persons are blocked
    assert issue["expression"] == [f"Parameters.parameter[0].{where}"], why
    assert consents(record) == []


@pytest.mark.parametrize(
    ("told", "says"),
    [
        ({"start": "2099-01-02", "end": "2099-01-01"}, "before it begins"),
        ({"end": "2020-01-01"}, "ended already"),
        ({"role": "voisin"}, "not a role"),
    ],
)
def test_what_cannot_be_authorised(record: OwnRecord, told: dict[str, str], says: str) -> None:
    answer = post(record.as_("patient"), path(record, "authorize"), actor=actor("specialiste"), **told)
    issue = refused(answer, 422, says=says)
    assert issue["expression"] == [f"Parameters.parameter[{len(told)}]"]
    assert consents(record) == []


def test_a_structure_has_no_role(record: OwnRecord) -> None:
    told = post(record.as_("patient"), path(record, "authorize"), actor=actor("990000001"), role="medecin-traitant")
    refused(told, 422, "value", says="RPPS".lower())


def test_the_patient_collects_nothing(record: OwnRecord) -> None:
    told = post(record.as_("patient"), path(record, "authorize"), actor=actor("specialiste"), collected=True)
    assert refused(told, 400)["expression"] == ["Parameters.parameter[1]"]


# $revoke


def test_what_is_revoked_is_gone_with_the_next_request(record: OwnRecord, letter: str) -> None:
    patient = record.as_("patient")
    given = [record.chosen(choices.authorisation(record, "specialiste")) for _ in range(2)]
    other = record.chosen(choices.authorisation(record, "specialiste2"))
    told = called(post(patient, path(record, "revoke"), actor=actor("specialiste")))
    assert {one["reference"] for one in values(told, "consent")} == {f"Consent/{one['id']}" for one in given}
    assert values(told, "remaining") == []
    assert not record.sees("specialiste", letter)
    assert record.sees("specialiste2", letter)
    assert patient.get(f"/Consent/{other['id']}").json()["status"] == "active"
    assert called(post(patient, path(record, "revoke"), actor=actor("specialiste"))) == {"resourceType": "Parameters"}


def test_what_remains_is_told_and_a_role_goes_when_it_is_named(record: OwnRecord, letter: str) -> None:
    patient = record.as_("patient")
    record.chosen(choices.authorisation(record, "specialiste"))
    record.chosen(choices.medecin_traitant(record, "specialiste"))
    told = called(post(patient, path(record, "revoke"), actor=actor("specialiste")))
    assert values(told, "remaining") == ["medecin-traitant"]
    assert record.sees("specialiste", letter)
    told = called(post(patient, path(record, "revoke"), actor=actor("specialiste"), role=["medecin-traitant"]))
    assert len(values(told, "consent")) == 1
    assert values(told, "remaining") == []
    assert not record.sees("specialiste", letter)


# $block, $unblock


@pytest.mark.parametrize("by", ["patient", "representant"])
def test_a_block_wins_until_it_is_lifted_and_nothing_revives(record: OwnRecord, letter: str, by: str) -> None:
    client = record.as_(by)
    record.chosen(choices.authorisation(record, "specialiste"))
    told = called(post(client, path(record, "block"), actor=actor("specialiste")))
    assert not record.sees("specialiste", letter)
    assert called(post(client, path(record, "block"), actor=actor("specialiste")))["meta"] == told["meta"]
    lifted = called(post(client, path(record, "unblock"), actor=actor("specialiste")))
    assert values(lifted, "consent") == [{"reference": f"Consent/{told['id']}"}]
    assert called(post(client, path(record, "unblock"), actor=actor("specialiste"))) == {"resourceType": "Parameters"}
    assert not record.sees("specialiste", letter), "R-12: what was granted before does not revive"
    called(post(client, path(record, "authorize"), actor=actor("specialiste")))
    assert record.sees("specialiste", letter)


def test_the_medecin_traitant_blocks_and_lifts_only_what_he_blocked(record: OwnRecord) -> None:
    record.chosen(choices.medecin_traitant(record, "medecin-traitant"))
    doctor, patient = record.as_("medecin-traitant"), record.as_("patient")
    set_by_patient = called(post(patient, path(record, "block"), actor=actor("specialiste")))
    assert called(post(doctor, path(record, "block"), actor=actor("specialiste")))["id"] == set_by_patient["id"]
    refused(post(doctor, path(record, "unblock"), actor=actor("specialiste")), 403, says="patient alone")
    lifted = doctor.put(
        f"/Consent/{set_by_patient['id']}", json={**set_by_patient, "status": "inactive"}, headers=FHIR_JSON
    )
    refused(lifted, 403, says="patient alone")

    own = called(post(doctor, path(record, "block"), actor=actor("specialiste2")))
    assert own["performer"] == [{"type": "Practitioner", "identifier": actor("medecin-traitant")}]
    assert len(values(called(post(doctor, path(record, "unblock"), actor=actor("specialiste2"))), "consent")) == 1
    called(post(doctor, path(record, "block"), actor=actor("specialiste2")))
    assert len(values(called(post(patient, path(record, "unblock"), actor=actor("specialiste2"))), "consent")) == 1


def test_blocked_by_several_at_once_he_is_blocked_once(record: OwnRecord) -> None:
    """Two tabs, one finger: nobody is told that it failed, and one Consent is there to be lifted."""
    client = record.as_("patient")
    with ThreadPoolExecutor(8) as threads:
        asked = [threads.submit(post, client, path(record, "block"), actor=actor("specialiste")) for _ in range(8)]
        told = {called(one.result())["id"] for one in asked}
    assert len(told) == 1
    assert [one["id"] for one in consents(record)] == [*told]


@pytest.mark.parametrize("operation", ["block", "unblock"])
def test_an_authorised_professional_blocks_nobody(record: OwnRecord, operation: str) -> None:
    record.chosen(choices.authorisation(record, "specialiste"))
    told = post(record.as_("specialiste"), path(record, operation), actor=actor("specialiste2"))
    unknown = post(record.as_("specialiste"), f"/Patient/nobody/${operation}", actor=actor("specialiste2"))
    assert refused(told, 404)["diagnostics"].replace(record.id, "nobody") == refused(unknown, 404)["diagnostics"]


# $emergency-preferences


def test_what_holds_when_nothing_was_chosen(record: OwnRecord) -> None:
    url = path(record, "emergency-preferences")
    for answer in (record.as_("patient").get(url), record.as_("patient").post(url), post(record.as_("patient"), url)):
        told = called(answer)
        assert [values(told, name) for name in ("ETREAT", "BTG", "MASKED")] == [[True], [True], [False]]


@pytest.mark.parametrize("by", ["patient", "representant"])
def test_choices_are_made_and_changed(record: OwnRecord, letter: str, by: str) -> None:
    client, url = record.as_(by), path(record, "emergency-preferences")
    emergency = {"purpose": Purpose.BTG, "reason": "Patient inconscient aux urgences."}
    assert record.sees("urgentiste", letter, **emergency)
    told = called(post(client, url, BTG=False, MASKED=True))
    assert [values(told, name) for name in ("ETREAT", "BTG", "MASKED")] == [[True], [False], [True]]
    assert not record.sees("urgentiste", letter, **emergency)
    assert called(client.get(url)) == told
    made = {one["id"]: one["meta"]["versionId"] for one in consents(record)}
    assert len(made) == 2

    called(post(client, url, BTG=True, MASKED=True))
    assert sorted(one["meta"]["versionId"] for one in consents(record)) == ["1", "2"]
    assert record.sees("urgentiste", letter, **emergency)


def test_the_medecin_traitant_reads_the_choices_and_makes_none(record: OwnRecord) -> None:
    record.chosen(choices.medecin_traitant(record, "medecin-traitant"))
    url = path(record, "emergency-preferences")
    called(record.as_("medecin-traitant").get(url))
    refused(post(record.as_("medecin-traitant"), url, BTG=False), 403, "forbidden")
    record.chosen(choices.authorisation(record, "specialiste"))
    refused(record.as_("specialiste").get(url), 404, "not-found")


def test_get_changes_nothing(record: OwnRecord) -> None:
    url = path(record, "emergency-preferences")
    refused(record.as_("patient").get(f"{url}?BTG=false"), 400, says="POST")
    assert consents(record) == []


# $access-list


def test_who_has_access_and_why(record: OwnRecord) -> None:
    patient = record.as_("patient")
    given = called(post(patient, path(record, "authorize"), actor=actor("specialiste"), end=choices.day(30)))
    named = called(post(patient, path(record, "authorize"), actor=actor("medecin-traitant"), role="medecin-traitant"))
    called(post(patient, path(record, "authorize"), actor=actor("990000001")))
    blocked = called(post(patient, path(record, "block"), actor=actor("bloque")))
    later = called(post(patient, path(record, "authorize"), actor=actor("inconnu"), start=choices.day(3)))

    told = called(patient.get(path(record, "access-list")))
    entries = {(one["actor"]["value"], one["kind"]): one for one in parts(told, "entry")}
    assert {(who, kind): one["status"] for (who, kind), one in entries.items()} == {
        ("89900000002", "autorisation"): "VALIDE",
        ("89900000001", "medecin-traitant"): "VALIDE",
        ("990000001", "structure"): "VALIDE",
        ("89900000004", "blocage"): "INTERDIT",
        ("89900000003", "autorisation"): "NON_EXISTE",
        ("280057505600117", "representant"): "VALIDE",
    }
    sources = {who: one["source"]["reference"] for (who, _), one in entries.items() if "source" in one}
    assert sources["89900000002"] == f"Consent/{given['id']}"
    assert sources["89900000001"] == f"Consent/{named['id']}"
    assert sources["89900000004"] == f"Consent/{blocked['id']}"
    assert sources["89900000003"] == f"Consent/{later['id']}"
    assert entries["89900000002", "autorisation"]["until"].startswith(choices.day(30))
    assert "until" not in entries["89900000001", "medecin-traitant"]
    assert entries["89900000002", "autorisation"]["name"], "the directory knows him"
    reason = {one["name"]: one["valueString"] for one in entries["89900000004", "blocage"]["reason"]}
    assert "bloqué" in reason["fr"]
    assert "Blocked" in reason["en"]


def test_it_says_when_an_authorisation_does_not_count(record: OwnRecord) -> None:
    patient = record.as_("patient")
    called(post(patient, path(record, "authorize"), actor=actor("specialiste")))
    called(post(patient, path(record, "block"), actor=actor("specialiste")))

    def states() -> set[tuple[str, str]]:
        told = called(patient.get(path(record, "access-list")))
        return {(one["kind"], one["status"]) for one in parts(told, "entry")} - {("representant", "VALIDE")}

    assert states() == {("autorisation", "INTERDIT"), ("blocage", "INTERDIT")}
    called(post(patient, path(record, "unblock"), actor=actor("specialiste")))
    assert states() == {("autorisation", "EXPIRE")}


@pytest.mark.parametrize("reader", ["representant", "medecin-traitant", "support", "conformance"])
def test_others_who_may_know(record: OwnRecord, reader: str) -> None:
    record.chosen(choices.medecin_traitant(record, "medecin-traitant"))
    told = called(record.as_(reader).get(path(record, "access-list")))
    assert {one["kind"] for one in parts(told, "entry")} == {"medecin-traitant", "representant"}


@pytest.mark.parametrize("reader", ["specialiste", "inconnu", "hopital", "assurance-maladie"])
def test_nobody_else_may(record: OwnRecord, reader: str) -> None:
    record.chosen(choices.authorisation(record, "specialiste"))
    answer = record.as_(reader).get(path(record, "access-list"))
    other = record.as_(reader).get("/Patient/nobody/$access-list")
    assert answer.status_code in (403, 404)
    assert answer.text.replace(record.id, "nobody") == other.text


def test_another_patient_is_told_what_is_told_of_nobody(record: OwnRecord, served: Served) -> None:
    for operation, told in (("authorize", {"actor": actor("inconnu")}), ("access-list", {}), ("block", {})):
        sent = {"actor": actor("inconnu")} if operation != "access-list" else told
        there = post(served.as_("patient"), path(record, operation), **sent)
        nowhere = post(served.as_("patient"), f"/Patient/nobody/${operation}", **sent)
        assert refused(there, 404)["diagnostics"].replace(record.id, "nobody") == refused(nowhere, 404)["diagnostics"]


def test_a_closed_record_is_not_governed(record: OwnRecord) -> None:
    resource = record.as_("patient").get(f"/Patient/{record.id}").json()
    record.as_("conformance").put(f"/Patient/{record.id}", json={**resource, "active": False}, headers=FHIR_JSON)
    for operation in ("authorize", "block", "revoke"):
        answer = post(record.as_("patient"), path(record, operation), actor=actor("specialiste"))
        refused(answer, 422, "business-rule", says="closed")
    called(record.as_("patient").get(path(record, "access-list")))

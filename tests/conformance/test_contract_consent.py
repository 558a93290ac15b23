"""contract.md, Consent: every row of the table by the patient and by the representative, in force on the next request.

What is refused: test_contract_consent_refused.py.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.conformance.choices import authorisation, block, day, emergency_choice, medecin_traitant
from tests.conformance.own_record import FINESS, NUMBERS, OwnRecord, own_record
from tests.served import Served

INSIDE = {"extensions.ihe_iua.subject_organization_id": f"{FINESS}|990000002"}
EMERGENCIES = {"ETREAT": "samu", "BTG": "urgentiste"}


@pytest.fixture
def record(served: Served) -> OwnRecord:
    return own_record(served)


@pytest.fixture(params=["patient", "representant"])
def by(request: pytest.FixtureRequest) -> str:
    """Who chooses."""
    return str(request.param)


def sees_inside(record: OwnRecord, document: str) -> bool:
    """Whether somebody who works in the structure 990000002 reads this document."""
    with record.served.client(record.served.token("inconnu", extra=INSIDE)) as client:
        return client.get(f"/DocumentReference/{document}").status_code == 200


class TestAuthorise:
    def test_in_force_and_revoked_on_the_very_next_request(self, record: OwnRecord, by: str) -> None:
        document = record.deposit()
        assert not record.sees("inconnu", document)
        given = record.chosen(authorisation(record, "inconnu", by), by)
        assert given["status"] == "active"
        assert given["meta"]["versionId"] == "1"
        assert record.sees("inconnu", document)
        record.withdraw(given, by)
        assert not record.sees("inconnu", document)
        assert record.documents("inconnu") == set()

    def test_only_the_one_who_is_named(self, record: OwnRecord, by: str) -> None:
        document = record.deposit()
        record.chosen(authorisation(record, "inconnu", by), by)
        for other in ("specialiste", "medecin-traitant", "infirmier"):
            assert not record.sees(other, document)

    def test_a_structure_by_finess(self, record: OwnRecord, by: str) -> None:
        document = record.deposit()
        given = record.chosen(authorisation(record, "990000002", by), by)
        assert sees_inside(record, document)
        assert not record.sees("inconnu", document)
        record.withdraw(given, by)
        assert not sees_inside(record, document)

    def test_the_masked_stay_masked(self, record: OwnRecord, by: str) -> None:
        masked = record.deposit("MASQUE_PS")
        record.chosen(authorisation(record, "inconnu", by), by)
        assert not record.sees("inconnu", masked)

    @pytest.mark.parametrize(
        ("period", "in_force"),
        [
            ({"start": day(-363)}, True),
            ({"start": day(-367)}, False),  # a year unless told
            ({"start": day(-800), "end": day(2)}, True),
            ({"start": day(-800), "end": day(-2)}, False),
            ({"start": day(2)}, False),
            ({"start": day(-1), "end": f"{day(1)}T00:00:00Z"}, True),
        ],
    )
    def test_its_period(self, record: OwnRecord, period: dict[str, str], in_force: bool) -> None:
        document = record.deposit()
        record.chosen(authorisation(record, "inconnu", period=period))
        assert record.sees("inconnu", document) is in_force

    def test_given_anew_after_it_was_revoked(self, record: OwnRecord, by: str) -> None:
        document = record.deposit()
        record.withdraw(record.chosen(authorisation(record, "inconnu", by), by), by)
        record.chosen(authorisation(record, "inconnu", by), by)
        assert record.sees("inconnu", document)

    def test_the_one_authorised_sees_the_consent_that_names_him_alone(self, record: OwnRecord) -> None:
        given = record.chosen(authorisation(record, "inconnu"))
        other = record.chosen(authorisation(record, "specialiste"))
        assert record.as_("inconnu").get(f"/Consent/{given['id']}").status_code == 200
        assert record.as_("inconnu").get(f"/Consent/{other['id']}").status_code == 404


class TestBlock:
    def test_sees_nothing_at_once(self, record: OwnRecord, by: str) -> None:
        document = record.deposit()
        record.chosen(authorisation(record, "specialiste", by), by)
        assert record.sees("specialiste", document)
        record.chosen(block(record, "specialiste", by), by)
        assert not record.sees("specialiste", document)
        assert record.as_("specialiste").get(f"/Patient/{record.id}").status_code == 404

    def test_unblocking_does_not_revive_and_a_new_authorisation_works(self, record: OwnRecord, by: str) -> None:
        document = record.deposit()
        record.chosen(authorisation(record, "specialiste", by), by)
        blocked = record.chosen(block(record, "specialiste", by), by)
        record.withdraw(blocked, by)
        assert not record.sees("specialiste", document)
        record.chosen(authorisation(record, "specialiste", by), by)
        assert record.sees("specialiste", document)

    def test_an_authorisation_does_not_undo_a_block(self, record: OwnRecord, by: str) -> None:
        document = record.deposit()
        record.chosen(block(record, "specialiste", by), by)
        record.chosen(authorisation(record, "specialiste", by), by)
        assert not record.sees("specialiste", document)

    def test_blocked_is_not_authorised_in_answers_either(self, record: OwnRecord) -> None:
        """Blocked = not authorised: his own deposit too is as if it were not there, and he may go on depositing."""
        own = record.deposit(by="specialiste")
        assert record.sees("specialiste", own)
        record.chosen(block(record, "specialiste"))
        assert not record.sees("specialiste", own)
        assert record.deposit(by="specialiste")

    def test_it_holds_inside_an_authorised_structure(self, record: OwnRecord) -> None:
        document = record.deposit()
        record.chosen(authorisation(record, "990000002"))
        assert sees_inside(record, document)
        record.chosen(block(record, "inconnu"))
        assert not sees_inside(record, document)

    def test_by_the_medecin_traitant(self, record: OwnRecord) -> None:
        document = record.deposit()
        record.chosen(medecin_traitant(record, "medecin-traitant"))
        record.chosen(authorisation(record, "inconnu"))
        by_doctor = {"performer": [{"identifier": {"system": "https://rpps.esante.gouv.fr", "value": "89900000001"}}]}
        blocked = record.chosen({**block(record, "inconnu"), **by_doctor}, "medecin-traitant")
        assert not record.sees("inconnu", document)
        record.withdraw(blocked, "medecin-traitant")
        record.chosen(authorisation(record, "inconnu"))
        assert record.sees("inconnu", document)

    @pytest.mark.parametrize("actor", ["medecin-traitant", "specialiste", "inconnu"])
    def test_not_by_a_doctor_who_is_not_the_medecin_traitant_here(self, record: OwnRecord, actor: str) -> None:
        """Whether he is depends on what is stored, so the answer is that for an unknown record."""
        record.chosen(authorisation(record, "specialiste"))
        here = record.choose(block(record, "infirmier"), actor)
        absent = record.choose({**block(record, "infirmier"), "patient": {"reference": "Patient/absent"}}, actor)
        assert here.status_code == absent.status_code == 422
        assert here.content == absent.content


class TestEmergencyChoice:
    @pytest.mark.parametrize("actor", EMERGENCIES.values())
    def test_nothing_chosen_permits(self, record: OwnRecord, actor: str) -> None:
        assert record.sees(actor, record.deposit())

    @pytest.mark.parametrize(("purpose", "actor"), EMERGENCIES.items())
    def test_opposed_changed_and_withdrawn(self, record: OwnRecord, by: str, purpose: str, actor: str) -> None:
        document = record.deposit()
        other = "urgentiste" if actor == "samu" else "samu"
        opposed = record.chosen(emergency_choice(record, purpose, "deny", by), by)
        assert (record.sees(actor, document), record.sees(other, document)) == (False, True)
        changed = record.change(opposed, by, provision={**opposed["provision"], "type": "permit"})
        assert changed.status_code == 200
        assert record.sees(actor, document)
        assert record.change(opposed, by).status_code == 200
        assert not record.sees(actor, document)
        record.withdraw(opposed, by)
        assert record.sees(actor, document)

    def test_masked_documents(self, record: OwnRecord, by: str) -> None:
        masked = record.deposit("MASQUE_PS")
        assert (record.sees("samu", masked), record.sees("urgentiste", masked)) == (False, False)
        permitted = record.chosen(emergency_choice(record, "MASKED", "permit", by), by)
        assert (record.sees("samu", masked), record.sees("urgentiste", masked)) == (True, True)
        record.chosen(authorisation(record, "specialiste", by), by)
        assert not record.sees("specialiste", masked)
        record.withdraw(permitted, by)
        assert not record.sees("samu", masked)
        record.chosen(emergency_choice(record, "MASKED", "deny", by), by)
        assert not record.sees("samu", masked)

    def test_masked_shows_nothing_where_the_emergency_is_opposed(self, record: OwnRecord) -> None:
        masked = record.deposit("MASQUE_PS")
        record.chosen(emergency_choice(record, "MASKED", "permit"))
        record.chosen(emergency_choice(record, "ETREAT", "deny"))
        assert not record.sees("samu", masked)

    @pytest.mark.parametrize("purpose", ["ETREAT", "BTG", "MASKED"])
    def test_a_second_active_one_is_409(self, record: OwnRecord, by: str, purpose: str) -> None:
        first = record.chosen(emergency_choice(record, purpose, "deny", by), by)
        for type in ("deny", "permit"):
            assert record.choose(emergency_choice(record, purpose, type, by), by).status_code == 409
        record.withdraw(first, by)
        second = record.chosen(emergency_choice(record, purpose, "permit", by), by)
        assert record.change(first, by).status_code == 409
        record.withdraw(second, by)
        assert record.change(first, by).status_code == 200

    def test_one_choice_for_each_purpose(self, record: OwnRecord) -> None:
        for purpose in ("ETREAT", "BTG", "MASKED"):
            record.chosen(emergency_choice(record, purpose, "deny"))

    def test_of_several_at_once_one_is_accepted(self, record: OwnRecord) -> None:
        assert record.as_("patient")  # one client for all threads
        with ThreadPoolExecutor(8) as threads:
            answers = threads.map(record.choose, [emergency_choice(record, "BTG", "deny") for _ in range(8)])
        assert sorted(answer.status_code for answer in answers) == [201] + [409] * 7

    def test_a_block_does_not_stop_an_emergency(self, record: OwnRecord) -> None:
        document = record.deposit()
        record.chosen(block(record, "urgentiste"))
        assert record.sees("urgentiste", document)


class TestMedecinTraitant:
    def test_naming_authorises_and_shows_the_masked(self, record: OwnRecord, by: str) -> None:
        document, masked = record.deposit(), record.deposit("MASQUE_PS")
        assert record.documents("inconnu") == set()
        named = record.chosen(medecin_traitant(record, "inconnu", by), by)
        assert record.documents("inconnu") == {document, masked}
        assert record.sees("inconnu", masked)
        assert record.as_("inconnu").get(f"/Patient/{record.id}").status_code == 200
        record.withdraw(named, by)
        assert record.documents("inconnu") == set()

    def test_a_block_is_stronger(self, record: OwnRecord) -> None:
        document = record.deposit()
        record.chosen(medecin_traitant(record, "inconnu"))
        record.chosen(block(record, "inconnu"))
        assert not record.sees("inconnu", document)

    def test_he_reads_every_trace(self, record: OwnRecord) -> None:
        record.chosen(medecin_traitant(record, "inconnu"))
        record.chosen(authorisation(record, "specialiste"))
        assert record.as_("specialiste").get(f"/Patient/{record.id}").status_code == 200
        trail = record.as_("inconnu").get(f"/AuditEvent?patient={record.id}&_count=100").json()
        agents = str([entry["resource"]["agent"] for entry in trail["entry"]])
        assert NUMBERS["specialiste"] in agents


class TestChanging:
    def test_the_next_version_by_put(self, record: OwnRecord, by: str) -> None:
        given = record.chosen(authorisation(record, "inconnu", by), by)
        answer = record.change(given, by, status="inactive")
        assert (answer.status_code, answer.headers["etag"]) == (200, 'W/"2"')
        versions = record.as_(by).get(f"/Consent/{given['id']}/_history").json()["entry"]
        assert [one["resource"]["status"] for one in versions] == ["inactive", "active"]

    @pytest.mark.parametrize("actor", ["patient", "representant", "conformance", "medecin-traitant", "inconnu"])
    def test_delete_is_405(self, record: OwnRecord, actor: str) -> None:
        given = record.chosen(authorisation(record, "inconnu"))
        answer = record.as_(actor).delete(f"/Consent/{given['id']}")
        assert answer.status_code == 405
        assert "DELETE" not in answer.headers["allow"]
        assert record.as_("patient").get(f"/Consent/{given['id']}").json()["status"] == "active"

    def test_by_one_chooser_what_the_other_chose(self, record: OwnRecord) -> None:
        document = record.deposit()
        given = record.chosen(authorisation(record, "inconnu", "patient"), "patient")
        record.withdraw(given, "representant")
        assert not record.sees("inconnu", document)

    def test_withdrawn_by_a_json_patch(self, record: OwnRecord) -> None:
        document = record.deposit()
        given = record.chosen(authorisation(record, "inconnu"))
        operation: dict[str, Any] = {"op": "replace", "path": "/status", "value": "inactive"}
        answer = record.as_("patient").patch(
            f"/Consent/{given['id']}", json=[operation], headers={"Content-Type": "application/json-patch+json"}
        )
        assert answer.status_code == 200
        assert not record.sees("inconnu", document)

"""Care teams, carers, administrators and marks, over HTTP, on the very next request (R-04, R-24, R-30, A.4)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conformance.choices import authorisation, block, day
from tests.conformance.own_record import OwnRecord, label, new_ins, own_record
from tests.conformance.wider_choices import (
    AIDANT,
    administrator,
    care_team,
    choice,
    invitation,
    mark,
    team_choice,
)
from tests.served import FHIR_JSON, Served


@pytest.fixture
def record(served: Served) -> OwnRecord:
    return own_record(served)


def made(record: OwnRecord, team: dict[str, Any], by: str = "patient") -> dict[str, Any]:
    """POST a CareTeam that is accepted."""
    answer = record.as_(by).post("/CareTeam", json=team, headers=FHIR_JSON)
    assert answer.status_code == 201, answer.text
    stored: dict[str, Any] = answer.json()
    return stored


class TestTeam:
    def test_a_member_of_whom_the_patient_was_told_consults(self, record: OwnRecord) -> None:
        document = record.deposit()
        team = made(record, care_team(record, "inconnu", "infirmier", informed=day(-1)))
        assert record.sees("inconnu", document)
        assert record.sees("infirmier", document)
        assert not record.sees("specialiste2", document)
        answer = record.as_("patient").put(
            f"/CareTeam/{team['id']}", json={**team, "status": "inactive"}, headers=FHIR_JSON
        )
        assert answer.status_code == 200
        assert not record.sees("inconnu", document)

    @pytest.mark.parametrize("informed", [None, day(2)])
    def test_not_before_he_was_told(self, record: OwnRecord, informed: str | None) -> None:
        document = record.deposit()
        made(record, care_team(record, "inconnu", informed=informed))
        assert not record.sees("inconnu", document)

    def test_he_opposes_and_changes_his_mind(self, record: OwnRecord) -> None:
        document = record.deposit()
        team = made(record, care_team(record, "inconnu", informed=day(-1)))
        opposed = record.chosen(team_choice(record, team["id"], "deny"))
        assert not record.sees("inconnu", document)
        assert record.choose(team_choice(record, team["id"], "permit")).status_code == 409
        record.withdraw(opposed)
        assert record.sees("inconnu", document)

    def test_the_same_team_declared_again_does_not_undo_his_opposition(self, record: OwnRecord) -> None:
        document = record.deposit()
        team = care_team(record, "inconnu", informed=day(-1))
        record.chosen(team_choice(record, made(record, team)["id"], "deny"))
        again = made(record, team)
        assert not record.sees("inconnu", document)
        record.chosen(team_choice(record, again["id"], "permit"))
        assert record.sees("inconnu", document), "but he may authorise it himself"

    def test_or_authorises_a_team_he_was_not_told_of(self, record: OwnRecord) -> None:
        document = record.deposit()
        team = made(record, care_team(record, "inconnu"))
        given = record.chosen(team_choice(record, team["id"], "permit"))
        assert record.sees("inconnu", document)
        record.withdraw(given)
        assert not record.sees("inconnu", document)

    def test_a_block_wins_and_lifting_it_does_not_revive_the_team(self, record: OwnRecord) -> None:
        document = record.deposit()
        made(record, care_team(record, "inconnu", informed=day(-1)))
        blocked = record.chosen(block(record, "inconnu"))
        assert not record.sees("inconnu", document)
        record.withdraw(blocked)
        assert not record.sees("inconnu", document), "R-12: he asks again"

    def test_masks_hold_against_the_team(self, record: OwnRecord) -> None:
        masked = record.deposit("MASQUE_PS")
        made(record, care_team(record, "inconnu", informed=day(-1)))
        assert not record.sees("inconnu", masked)

    def test_a_stranger_declares_no_team(self, record: OwnRecord) -> None:
        team = care_team(record, "inconnu", informed=day(-1))
        for who in ("inconnu", "hopital", "samu", "aidant"):
            answer = record.as_(who).post("/CareTeam", json=team, headers=FHIR_JSON)
            assert answer.status_code in (403, 422), (who, answer.text)
        document = record.deposit()
        assert not record.sees("inconnu", document)

    def test_a_team_that_nobody_knows_cannot_be_chosen(self, record: OwnRecord) -> None:
        answer = record.choose(team_choice(record, "no-such-team", "permit"))
        assert answer.status_code == 422
        assert answer.json()["issue"][0]["code"] == "not-found"


class TestCarer:
    def accepted(self, record: OwnRecord) -> dict[str, Any]:
        invited = record.chosen(invitation(record))
        answer = record.change(invited, by="aidant", status="active")
        assert answer.status_code == 200, answer.text
        stored: dict[str, Any] = answer.json()
        return stored

    def test_invited_he_sees_the_invitation_alone(self, record: OwnRecord) -> None:
        document = record.deposit()
        invited = record.chosen(invitation(record))
        assert not record.sees("aidant", document)
        assert record.as_("aidant").get(f"/Patient/{record.id}").status_code == 404
        assert record.as_("aidant").get(f"/Consent/{invited['id']}").status_code == 200
        others = record.chosen(authorisation(record, "specialiste"))
        assert record.as_("aidant").get(f"/Consent/{others['id']}").status_code == 404

    def test_accepted_he_reads_and_leaves(self, record: OwnRecord) -> None:
        document, hidden = record.deposit(), record.deposit("INVISIBLE_PATIENT")
        secret = record.deposit("INVISIBLE_REPRESENTANTS_LEGAUX")
        delegation = self.accepted(record)
        assert record.sees("aidant", document)
        assert not record.sees("aidant", hidden)
        assert not record.sees("aidant", secret)
        assert record.as_("aidant").get(f"/Patient/{record.id}").status_code == 200
        assert record.change(delegation, by="aidant", status="inactive").status_code == 200
        assert not record.sees("aidant", document)

    def test_refused_it_gives_nothing(self, record: OwnRecord) -> None:
        document = record.deposit()
        invited = record.chosen(invitation(record))
        assert record.change(invited, by="aidant", status="rejected").status_code == 200
        assert not record.sees("aidant", document)
        assert record.change(invited, by="aidant", status="active").status_code in (403, 404)

    def test_the_patient_revokes(self, record: OwnRecord) -> None:
        document = record.deposit()
        delegation = self.accepted(record)
        record.withdraw(delegation)
        assert not record.sees("aidant", document)

    def test_nobody_answers_for_him(self, record: OwnRecord) -> None:
        assert record.choose({**invitation(record), "status": "active"}).status_code == 422
        invited = record.chosen(invitation(record))
        assert record.change(invited, status="active").status_code == 422

    def test_he_changes_nothing_else_of_it(self, record: OwnRecord) -> None:
        invited = record.chosen(invitation(record))
        longer = {**invited["provision"], "period": {"end": day(300)}}
        assert record.change(invited, by="aidant", status="active", provision=longer).status_code == 403

    def test_he_governs_nothing(self, record: OwnRecord) -> None:
        self.accepted(record)
        for one in (authorisation(record, "inconnu"), invitation(record, new_ins()), choice(record, "opposition")):
            assert record.choose(one, by="aidant").status_code in (403, 422), one
        patch = [{"op": "add", "path": "/telecom", "value": [{"system": "phone", "value": "0102030405"}]}]
        headers = {"Content-Type": "application/json-patch+json"}
        assert record.as_("aidant").patch(f"/Patient/{record.id}", json=patch, headers=headers).status_code == 403

    def test_at_most_three_for_a_patient(self, record: OwnRecord) -> None:
        for _ in range(2):
            record.chosen(invitation(record, new_ins()))
        third = record.chosen(invitation(record))
        assert record.choose(invitation(record, new_ins())).status_code == 422
        record.withdraw(third)
        record.chosen(invitation(record))

    def test_at_most_five_for_a_carer(self, served: Served) -> None:
        ins = new_ins()
        records = [own_record(served) for _ in range(6)]
        answers = []
        for one in records:
            invited = one.chosen(invitation(one, ins))
            token = served.token("aidant", patient=one.ins, extra={"extensions.dmp.actor_ins": ins})
            with served.client(token) as client:
                changed = {**invited, "status": "active"}
                answers.append(client.put(f"/Consent/{invited['id']}", json=changed, headers=FHIR_JSON).status_code)
        assert answers == [200, 200, 200, 200, 200, 422]

    def test_the_invitation_of_the_same_person_twice(self, record: OwnRecord) -> None:
        record.chosen(invitation(record, AIDANT))
        assert record.choose(invitation(record, AIDANT)).status_code == 422

    def test_an_end_is_required(self, record: OwnRecord) -> None:
        answer = record.choose(invitation(record, period={"start": day(-1)}))
        assert answer.status_code == 422
        assert answer.json()["issue"][0]["expression"] == ["Consent.provision.period.end"]


class TestAdministrator:
    def test_he_stands_as_a_medecin_traitant(self, record: OwnRecord) -> None:
        masked = record.deposit("MASQUE_PS", by="specialiste2")
        given = record.chosen(administrator(record, "infirmier"))
        assert record.sees("infirmier", masked)
        assert record.choose(block(record, "inconnu"), by="infirmier").status_code == 201
        record.withdraw(given)
        assert not record.sees("infirmier", masked)

    @pytest.mark.parametrize("policy", ["pharmacien-correspondant", "sage-femme-referente"])
    def test_a_mark_gives_no_right_and_there_is_one(self, record: OwnRecord, policy: str) -> None:
        document = record.deposit()
        given = record.chosen(mark(record, policy, "inconnu"))
        assert not record.sees("inconnu", document)
        assert record.choose(mark(record, policy, "specialiste")).status_code == 409
        record.withdraw(given)
        record.chosen(mark(record, policy, "specialiste"))


class TestCareHistory:
    def history(self, record: OwnRecord) -> str:
        remb = {
            "coding": [
                {
                    "system": "https://mos.esante.gouv.fr/NOS/TRE_A05-TypeDocComplementaire/FHIR/"
                    "TRE-A05-TypeDocComplementaire",
                    "code": "REMB",
                }
            ]
        }
        return record.deposit(type=remb, category=[{"coding": [{"code": "60"}]}])

    def test_masked_as_a_whole(self, record: OwnRecord) -> None:
        history, other = self.history(record), record.deposit()
        record.chosen(authorisation(record, "specialiste"))
        assert record.sees("specialiste", history)
        masked = record.chosen(choice(record, "masquage-historique"))
        assert not record.sees("specialiste", history)
        assert record.sees("specialiste", other)
        assert record.sees("patient", history)
        assert self.history(record) not in record.documents("specialiste"), "what is fed afterwards too"
        record.withdraw(masked)
        assert record.sees("specialiste", history)


def test_two_blocks_of_one_person_are_refused(record: OwnRecord) -> None:
    record.chosen(block(record, "inconnu"))
    assert record.choose(block(record, "inconnu")).status_code == 422


def test_the_structure_that_deposited_sees_what_was_masked(record: OwnRecord, served: Served) -> None:
    """R1111-49 names the structure: somebody who works there and may consult sees it, others do not."""
    masked = record.deposit("MASQUE_PS")
    record.chosen(authorisation(record, "specialiste"))
    assert not record.sees("specialiste", masked)
    inside = {"extensions.ihe_iua.subject_organization_id": "https://finess.esante.gouv.fr|990000001"}
    with served.client(served.token("specialiste", extra=inside)) as client:
        assert client.get(f"/DocumentReference/{masked}").status_code == 200
    assert label("MASQUE_PS") in record.as_("patient").get(f"/DocumentReference/{masked}").json()["securityLabel"]

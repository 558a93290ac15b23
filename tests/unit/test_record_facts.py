"""The facts of a record: kept by every write, read by every decision."""

from __future__ import annotations

from datetime import UTC
from typing import Any

import pytest

from fhir_server.fhir.errors import Conflict, Unprocessable
from fhir_server.record.closure import SUPPRESSION_DEMANDEE
from fhir_server.record.consents import Policy
from fhir_server.record.facts import (
    EMERGENCY_DEFAULTS,
    NO_RECORD,
    Guardian,
    Life,
    facts_of,
    field_name,
    must_be_single,
    new_record,
    persons_of,
    with_consent,
    with_guardian,
    with_patient,
)
from tests.build import (
    HELENE,
    HOSPITAL,
    MINOR,
    NOW,
    OTHER_DOCTOR,
    SPECIALIST,
    Written,
    authorisation,
    block,
    choice,
    closed_on,
    delegation,
    emergency_choice,
    fact,
    medecin_traitant,
    moment,
    naming,
    record,
    related_person,
    team_choice,
)

INS, INS_REAL = "urn:oid:1.2.250.1.213.1.4.10", "urn:oid:1.2.250.1.213.1.4.8"
PATIENT: dict[str, Any] = {"resourceType": "Patient", "id": "p", "identifier": [{"system": INS, "value": HELENE}]}


def to_erase(day: str) -> dict[str, Any]:
    """The extension by which a holder asks for the erasure of his record (R-73)."""
    return {"url": SUPPRESSION_DEMANDEE, "valueDate": day}


def test_a_record_nobody_has() -> None:
    for unknown in (None, new_record("p", "essai")):
        assert facts_of(unknown) is NO_RECORD
    assert not NO_RECORD.exists
    assert not NO_RECORD.open
    assert NO_RECORD.emergency == EMERGENCY_DEFAULTS


def test_a_patient_opens_the_record_and_its_deletion_ends_it() -> None:
    there = with_patient(new_record("p", "essai"), PATIENT, zone=UTC)
    facts = facts_of(there)
    assert (facts.record, facts.realm, facts.open, facts.exists) == ("p", "essai", True, True)
    assert facts.persons == {f"ins|{HELENE}"}
    assert there["persons"] == [f"ins|{HELENE}"], "by which a patient finds his record"
    gone = with_patient(there, None, zone=UTC)
    assert facts_of(gone) is NO_RECORD
    assert gone["persons"] == []


@pytest.mark.parametrize(("active", "open_"), [(True, True), (False, False), (None, True)])
def test_the_life_of_the_record_is_patient_active(active: bool | None, open_: bool) -> None:
    patient = PATIENT if active is None else {**PATIENT, "active": active}
    assert facts_of(with_patient(new_record("p", "essai"), patient, zone=UTC)).open is open_


def test_only_an_ins_makes_a_person() -> None:
    identifiers = [
        {"system": INS, "value": HELENE},
        {"system": INS_REAL, "value": MINOR},
        {"system": "urn:oid:1.2.250.1.213.1.4.99", "value": "x"},
        {"system": "https://hospital.example/ipp", "value": "1"},
        {"system": INS},
        {"value": "y"},
        None,
    ]
    assert persons_of({**PATIENT, "identifier": identifiers}) == {f"ins|{HELENE}", f"ins|{MINOR}"}  # type: ignore[dict-item]
    assert persons_of({"resourceType": "Patient"}) == set()
    assert persons_of({"resourceType": "Patient", "identifier": "x"}) == set()


def test_consents_become_grants_blocks_and_choices() -> None:
    facts = record(
        consents=[
            authorisation(SPECIALIST, start="2026-01-01T00:00:00Z", written="2026-01-05"),
            authorisation(HOSPITAL),
            authorisation(OTHER_DOCTOR).inactive("2026-02-01"),
            medecin_traitant(OTHER_DOCTOR),
            block("89900000009"),
            emergency_choice("BTG", "deny"),
            emergency_choice("MASKED", "permit"),
            emergency_choice("ETREAT", "deny").inactive("2026-02-01"),
        ]
    )
    assert {grant.actor for grant in facts.authorisations} == {f"rpps|{SPECIALIST}", f"finess|{HOSPITAL}"}
    first = facts.authorisations[0]
    assert (first.start, first.end) == (moment("2026-01-01T00:00:00"), moment("2027-01-01T00:00:00"))
    assert first.granted == moment("2026-01-05T00:00:00")
    assert [grant.actor for grant in facts.medecins_traitants] == [f"rpps|{OTHER_DOCTOR}"]
    assert facts.blocked == {"rpps|89900000009"}
    assert facts.unblocked == {}
    assert facts.emergency == {"ETREAT": True, "BTG": False, "MASKED": True}


def test_a_lifted_block_is_remembered_with_its_last_moment() -> None:
    facts = record(
        consents=[
            block(SPECIALIST, id="one").inactive("2026-04-01"),
            block(SPECIALIST, id="two").inactive("2026-03-01"),
            block(OTHER_DOCTOR),
        ]
    )
    assert facts.unblocked == {f"rpps|{SPECIALIST}": moment("2026-04-01T00:00:00")}
    assert facts.blocked == {f"rpps|{OTHER_DOCTOR}"}


def test_the_same_consent_written_again_replaces_itself() -> None:
    first, again = authorisation(SPECIALIST, id="a"), authorisation(SPECIALIST, id="a", end="2026-03-01")
    assert len(record(consents=[first, again]).authorisations) == 1
    assert record(consents=[first, again]).authorisations[0].end == moment("2026-03-01T23:00:00")


# One active choice for each emergency purpose


def with_choice(kept: dict[str, Any], choice: Written) -> dict[str, Any]:
    must_be_single(kept, fact(choice))
    return with_consent(kept, fact(choice))


def with_choices(*choices: Written) -> dict[str, Any]:
    kept = new_record("p", "essai")
    for one in choices:
        kept = with_choice(kept, one)
    return kept


def test_a_second_active_choice_of_one_purpose_is_a_conflict() -> None:
    kept = with_choices(emergency_choice("BTG", "deny", id="a"))
    with pytest.raises(Conflict) as refusal:
        with_choice(kept, emergency_choice("BTG", "permit", id="b"))
    assert refusal.value.status == 409
    assert refusal.value.issues[0].expression == ("Consent.provision.purpose",)
    assert list(kept["consents"]) == ["a"], "the document is not changed in place"


def test_but_not_of_another_purpose_nor_after_the_first_was_withdrawn_nor_the_same_one() -> None:
    with_choices(*(emergency_choice(purpose, "deny", id=purpose) for purpose in ("BTG", "ETREAT", "MASKED")))
    withdrawn = emergency_choice("BTG", "deny", id="a").inactive("2026-02-01")
    with_choices(withdrawn, emergency_choice("BTG", "permit", id="b"))
    with_choices(emergency_choice("BTG", "deny", id="a"), emergency_choice("BTG", "permit", id="a"))
    with_choices(
        emergency_choice("BTG", "deny", id="a"), emergency_choice("BTG", "deny", id="b").inactive("2026-02-01")
    )


def test_a_withdrawn_choice_does_not_come_back_beside_another() -> None:
    withdrawn = emergency_choice("BTG", "deny", id="a").inactive("2026-02-01")
    kept = with_choices(withdrawn, emergency_choice("BTG", "permit", id="b"))
    with pytest.raises(Conflict):
        with_choice(kept, emergency_choice("BTG", "deny", id="a"))


def test_several_authorisations_of_one_actor_are_no_conflict_two_blocks_are() -> None:
    kept = with_choices(
        authorisation(SPECIALIST, id="a"),
        authorisation(SPECIALIST, id="b"),
        block(SPECIALIST, id="c"),
        block(OTHER_DOCTOR, id="d"),
    )
    assert len(kept["consents"]) == 4
    with pytest.raises(Unprocessable):
        with_choice(kept, block(SPECIALIST, id="e"))


@pytest.mark.parametrize(
    "twice",
    [
        choice(Policy.OPPOSITION),
        choice(Policy.MASQUAGE_DEFAUT),
        choice(Policy.MASQUAGE_HISTORIQUE),
        naming(Policy.PHARMACIEN_CORRESPONDANT),
        naming(Policy.SAGE_FEMME_REFERENTE),
        team_choice("deny"),
    ],
    ids=lambda one: str(one.resource["id"]),
)
def test_what_is_chosen_once_is_changed_and_not_added_to(twice: Written) -> None:
    kept = with_choices(twice)
    with_choice(kept, twice)
    again = Written({**twice.resource, "id": "again"}, twice.at)
    with pytest.raises(Conflict):
        with_choice(kept, again)
    with_choice(with_choices(twice.inactive("2026-02-01")), again)


def test_each_team_is_chosen_for_itself() -> None:
    assert len(with_choices(team_choice("deny", "one"), team_choice("permit", "two"))["consents"]) == 2


def test_a_patient_has_at_most_three_carers_invitations_included() -> None:
    persons = [f"28005750560011{number}" for number in range(4)]
    statuses = ("active", "proposed", "proposed")
    told = [delegation(one, status=status) for one, status in zip(persons, statuses, strict=False)]
    kept = with_choices(*told)
    with pytest.raises(Unprocessable, match="at most 3"):
        with_choice(kept, delegation(persons[3], status="proposed"))
    with pytest.raises(Unprocessable, match="already"):
        with_choice(with_choices(told[0]), delegation(persons[0], status="proposed", id="again"))
    left = with_choice(kept, told[0].inactive("2026-02-01"))
    with_choice(left, delegation(persons[3], status="proposed"))


# The life of a record


@pytest.mark.parametrize(
    ("told", "life"),
    [
        ({}, Life.OPEN),
        ({"active": False}, Life.CLOSED),
        ({"active": False, "extension": closed_on("2026-05-31")}, Life.ARCHIVED),
        ({"active": False, "extension": closed_on("2026-07-01")}, Life.CLOSED),
        ({"active": True, "extension": closed_on("2026-05-31")}, Life.OPEN),
        ({"active": False, "extension": closed_on("2016-05-31")}, Life.ERASED),
        ({"active": False, "extension": closed_on("2016-06-03")}, Life.ARCHIVED),
        ({"active": False, "extension": [to_erase("2026-02-28")]}, Life.ERASED),
        ({"active": False, "extension": [to_erase("2026-03-03")]}, Life.CLOSED),
        ({"active": False, "extension": [*closed_on("2026-02-28"), to_erase("2026-02-28")]}, Life.ERASED),
        ({"active": False, "extension": [*closed_on("2016-05-31"), to_erase("2026-05-31")]}, Life.ERASED),
        ({"active": True, "extension": [to_erase("2026-02-28")]}, Life.OPEN),
        ({"consents": [choice(Policy.OPPOSITION)]}, Life.OPPOSED),
        ({"consents": [choice(Policy.OPPOSITION).inactive("2026-02-01")]}, Life.OPEN),
        ({"deceasedDateTime": "2026-05-20"}, Life.DECEASED),
        ({"deceasedBoolean": True}, Life.DECEASED),
        ({"deceasedBoolean": False}, Life.OPEN),
    ],
)
def test_in_which_state_of_its_life_a_record_is(told: dict[str, Any], life: Life) -> None:
    """R-72..R-75: ten years from its closure, three months from the request, whichever ends first."""
    assert record(**told).life(NOW) is life


# Ids with dots


def test_an_id_with_dots_is_a_field_of_its_own() -> None:
    assert field_name("a.b.c") == "a~b~c"
    kept = with_choices(block(SPECIALIST, id="a.b"), block(OTHER_DOCTOR, id="a-b"))
    assert set(kept["consents"]) == {"a~b", "a-b"}
    facts = facts_of(with_patient(kept, PATIENT, zone=UTC))
    assert facts.blocked == {f"rpps|{SPECIALIST}", f"rpps|{OTHER_DOCTOR}"}
    kept = with_guardian(kept, "g.1", related_person(), zone=UTC)
    assert set(kept["guardians"]) == {"g~1"}
    assert with_guardian(kept, "g.1", None, zone=UTC)["guardians"] == {}


# Guardians


def guardians(*persons: dict[str, Any]) -> tuple[Guardian, ...]:
    kept = with_patient(new_record("p", "essai"), PATIENT, zone=UTC)
    for number, person in enumerate(persons):
        kept = with_guardian(kept, f"g{number}", person, zone=UTC)
    return facts_of(kept).guardians


def test_an_active_guard_with_one_ins_represents() -> None:
    (found,) = guardians(related_person(HELENE, period={"start": "2026-01-01", "end": "2026-12-31"}))
    assert found.person == f"ins|{HELENE}"
    assert found.start <= NOW < found.end
    assert len(guardians(related_person(HELENE), related_person(MINOR))) == 2


@pytest.mark.parametrize(
    "odd",
    [
        related_person(active=False),
        related_person(relationship="CAREGIVER"),
        {**related_person(), "identifier": []},
        {**related_person(), "identifier": [{"system": "https://example.org", "value": HELENE}]},
        {**related_person(), "identifier": [{"system": INS, "value": HELENE}, {"system": INS, "value": MINOR}]},
        {**related_person(), "relationship": [{"coding": [{"system": "https://example.org", "code": "GUARD"}]}]},
        {**related_person(), "relationship": [{"text": "GUARD"}]},
        {"resourceType": "RelatedPerson"},
    ],
)
def test_anybody_else_does_not(odd: dict[str, Any]) -> None:
    assert guardians(odd) == ()


def test_a_related_person_who_ceases_to_be_guard_is_forgotten() -> None:
    kept = with_guardian(new_record("p", "essai"), "g", related_person(), zone=UTC)
    for after in (related_person(active=False), related_person(relationship="CAREGIVER"), None):
        assert with_guardian(kept, "g", after, zone=UTC)["guardians"] == {}
    assert with_guardian(kept, "other", None, zone=UTC)["guardians"].keys() == {"g"}


def test_the_facts_do_not_depend_on_the_order_they_were_written_in() -> None:
    choices = [authorisation(SPECIALIST, id="b"), authorisation(OTHER_DOCTOR, id="a"), block("89900000099", id="c")]
    there, back = with_choices(*choices), with_choices(*reversed(choices))
    assert there["told"] == back["told"]

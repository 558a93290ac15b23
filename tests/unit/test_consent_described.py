"""A described requester is one that a token could make, and nobody else."""

from __future__ import annotations

from typing import Any

import pytest

from fhir_server.consent.described import Description, Impossible, describe_requester
from fhir_server.identity.requester import Coding, Identifier, Kind, Purpose, Realm
from fhir_server.identity.systems import A00, G15, INS_NIR, INS_NIR_TEST, R260
from tests.build import (
    HELENE,
    HOSPITAL,
    MINOR,
    NOW,
    SPECIALIST,
    STRANGER,
    delegation,
    minors_record,
    record,
)

DOCTOR, NURSE = Coding(G15, "10"), Coding(G15, "60")
FACTS = record(ins=[HELENE])
WHOLE: dict[Kind, dict[str, Any]] = {
    Kind.PATIENT: {},
    Kind.REPRESENTATIVE: {"ins": STRANGER},
    Kind.CARER: {"ins": STRANGER},
    Kind.PROFESSIONAL: {"role": DOCTOR, "rpps": SPECIALIST},
    Kind.ORGANISATION: {"finess": HOSPITAL},
    Kind.FEEDER: {"role": Coding(A00, "ALIM_AM")},
    Kind.CONFORMANCE: {},
    Kind.SUPPORT: {},
}


@pytest.mark.parametrize("kind", Kind)
def test_each_kind_can_be_described(kind: Kind) -> None:
    found = describe_requester(Description(kind, **WHOLE[kind]), FACTS, Realm.ESSAI, NOW)
    assert found.kind is kind
    assert found.may("DocumentReference", "r")
    assert found.realm is Realm.ESSAI


def test_each_has_the_key_and_the_persons_of_his_token() -> None:
    doctor = describe_requester(
        Description(Kind.PROFESSIONAL, role=DOCTOR, rpps=SPECIALIST, finess=HOSPITAL), FACTS, Realm.ESSAI, NOW
    )
    assert (doctor.key, doctor.profession, doctor.organisation) == (f"rpps|{SPECIALIST}", "10", HOSPITAL)
    assert doctor.person is None
    carer = describe_requester(Description(Kind.CARER, ins=STRANGER), FACTS, Realm.ESSAI, NOW)
    assert carer.key == f"ins|{STRANGER}"
    assert carer.person == Identifier(INS_NIR_TEST, HELENE)
    assert carer.has_role(R260, "CAREGIVER")
    holder = describe_requester(Description(Kind.PATIENT), FACTS, Realm.REEL, NOW)
    assert (holder.key, holder.person) == (f"ins|{HELENE}", Identifier(INS_NIR, HELENE))
    assert describe_requester(Description(Kind.ORGANISATION, finess=HOSPITAL), FACTS, Realm.REEL, NOW).key == (
        f"finess|{HOSPITAL}"
    )


@pytest.mark.parametrize("part", ["rpps", "finess", "ins", "role"])
@pytest.mark.parametrize("kind", Kind)
def test_what_a_kind_never_has_is_refused_and_what_it_needs_is_missed(kind: Kind, part: str) -> None:
    value: Any = {"rpps": SPECIALIST, "finess": HOSPITAL, "ins": STRANGER, "role": DOCTOR}
    whole = WHOLE[kind]
    without = {name: told for name, told in whole.items() if name != part}
    optional = (kind in (Kind.PROFESSIONAL, Kind.FEEDER) and part == "finess") or (part in whole and part != "role")
    optional = optional and (kind, part) != (Kind.ORGANISATION, "finess")
    asked = without if part in whole else {**whole, part: value[part]}
    if optional:
        describe_requester(Description(kind, **asked), FACTS, Realm.ESSAI, NOW)
        return
    with pytest.raises(Impossible) as refused:
        describe_requester(Description(kind, **asked), FACTS, Realm.ESSAI, NOW)
    assert refused.value.part == part
    assert str(refused.value).endswith(".")


@pytest.mark.parametrize(
    ("kind", "changes", "part"),
    [
        (Kind.PROFESSIONAL, {"rpps": "123"}, "rpps"),
        (Kind.PROFESSIONAL, {"finess": "x"}, "finess"),
        (Kind.PROFESSIONAL, {"role": Coding(A00, "ALIM_AM")}, "role"),
        (Kind.FEEDER, {"role": DOCTOR}, "role"),
        (Kind.CARER, {"ins": "x"}, "ins"),
        (Kind.CARER, {"ins": HELENE}, "ins"),
        (Kind.PATIENT, {"practice_setting": "AMBULATOIRE"}, "practice_setting"),
        (Kind.PATIENT, {"purpose": Purpose.BTG}, "purpose"),
        (Kind.PROFESSIONAL, {"purpose": Purpose.PATRQT}, "purpose"),
        (Kind.PROFESSIONAL, {"purpose": Purpose.ETREAT}, "purpose"),
        (Kind.PROFESSIONAL, {"purpose": Purpose.ETREAT, "practice_setting": "SAMU_SMUR", "role": NURSE}, "purpose"),
        (Kind.SUPPORT, {"purpose": Purpose.ETREAT}, "purpose"),
    ],
)
def test_what_no_token_says_is_refused_with_a_sentence(kind: Kind, changes: dict[str, Any], part: str) -> None:
    with pytest.raises(Impossible) as refused:
        describe_requester(Description(kind, **{**WHOLE[kind], **changes}), FACTS, Realm.ESSAI, NOW)
    assert refused.value.part == part


def test_emergencies_are_described_with_what_they_need() -> None:
    samu = Description(
        Kind.PROFESSIONAL, role=DOCTOR, rpps=SPECIALIST, practice_setting="SAMU_SMUR", purpose=Purpose.ETREAT
    )
    assert describe_requester(samu, FACTS, Realm.ESSAI, NOW).purpose is Purpose.ETREAT
    bedside = Description(Kind.PROFESSIONAL, role=NURSE, rpps=SPECIALIST, purpose=Purpose.BTG)
    assert describe_requester(bedside, FACTS, Realm.ESSAI, NOW).reason


def test_a_conformance_client_does_not_exist_among_real_people() -> None:
    with pytest.raises(Impossible, match="trials"):
        describe_requester(Description(Kind.CONFORMANCE), FACTS, Realm.REEL, NOW)


def test_without_an_ins_nobody_is_its_holder() -> None:
    with pytest.raises(Impossible, match="no INS"):
        describe_requester(Description(Kind.PATIENT), record(ins=()), Realm.ESSAI, NOW)
    assert MINOR not in describe_requester(Description(Kind.PATIENT), FACTS, Realm.ESSAI, NOW).key


def test_whoever_is_not_named_is_the_one_there_is_or_nobody() -> None:
    mother = describe_requester(Description(Kind.REPRESENTATIVE), minors_record(), Realm.ESSAI, NOW)
    assert mother.key == f"ins|{HELENE}"
    helped = record(consents=[delegation(STRANGER)])
    assert describe_requester(Description(Kind.CARER), helped, Realm.ESSAI, NOW).key == f"ins|{STRANGER}"
    for kind in (Kind.REPRESENTATIVE, Kind.CARER):
        assert describe_requester(Description(kind), FACTS, Realm.ESSAI, NOW).key == "ins|" + "0" * 15
    doctor = describe_requester(Description(Kind.PROFESSIONAL, role=DOCTOR), FACTS, Realm.ESSAI, NOW)
    assert doctor.rpps == "0" * 11

"""Who may make a document superseded by a new one (R-52, ADR 0032): his own, and with an authorisation any of these."""

from __future__ import annotations

import pytest

from fhir_server.consent.circumstances import Act
from fhir_server.record.facts import Facts
from tests.build import (
    HELENE,
    HOSPITAL,
    SPECIALIST,
    authorisation,
    block,
    document_reference,
    emergency_doctor,
    hospital,
    nurse,
    patient,
    professional,
    record,
    sees,
)

OWN = f"rpps|{SPECIALIST}"
AUTHORISED = record(consents=[authorisation(SPECIALIST)])
BLOCKED = record(consents=[authorisation(SPECIALIST), block(SPECIALIST)])
MASKED = document_reference(security_label="MASQUE_PS")


@pytest.mark.parametrize("facts", [record(), AUTHORISED, BLOCKED])
def test_his_own_whoever_sees_it(facts: Facts) -> None:
    assert sees(professional(SPECIALIST), document_reference(deposited_by=OWN), facts, Act.REPLACE)


def test_of_others_with_an_authorisation_masked_or_not() -> None:
    for one in (document_reference(), MASKED):
        assert sees(professional(SPECIALIST), one, AUTHORISED, Act.REPLACE)
        assert not sees(professional(SPECIALIST), one, record(), Act.REPLACE)
        assert not sees(professional(SPECIALIST), one, BLOCKED, Act.REPLACE)


def test_not_what_his_profession_does_not_read() -> None:
    management = document_reference(category="95", type="ATTEST-RESID")
    assert not sees(nurse(SPECIALIST), management, AUTHORISED, Act.REPLACE)
    own = document_reference(category="95", type="ATTEST-RESID", deposited_by=OWN)
    assert sees(nurse(SPECIALIST), own, AUTHORISED, Act.REPLACE)


def test_a_structure_its_own_deposits() -> None:
    own = document_reference(deposited_by=f"finess|{HOSPITAL}", organisation=f"finess|{HOSPITAL}")
    assert sees(hospital(HOSPITAL), own, record(), Act.REPLACE)
    assert not sees(hospital(HOSPITAL), document_reference(), record(), Act.REPLACE)


def test_the_patient_his_own_deposits() -> None:
    assert sees(patient(), document_reference(deposited_by=f"ins|{HELENE}"), record(), Act.REPLACE)
    assert not sees(patient(), document_reference(), record(), Act.REPLACE)


def test_an_emergency_replaces_nothing() -> None:
    assert not sees(emergency_doctor(), document_reference(), record(), Act.REPLACE)

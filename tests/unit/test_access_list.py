"""How an actor stands to a record, and who is listed: told from the facts, decided by nobody here."""

from __future__ import annotations

from datetime import UTC

import pytest

from fhir_server.consent.access_list import REASONS, Access, Ground, access_list
from fhir_server.consent.authorisation_state import AuthorisationState, is_medecin_traitant, state_of
from fhir_server.fhir import date
from fhir_server.identity.requester import Requester
from fhir_server.record.facts import NO_RECORD, Facts
from tests.build import (
    EVERYBODY,
    HOSPITAL,
    NOW,
    NURSE,
    OTHER_DOCTOR,
    SPECIALIST,
    authorisation,
    block,
    emergency_doctor,
    hospital,
    medecin_traitant,
    nurse,
    professional,
    record,
    related_person,
)

MAJORITY = 18
ENDED = "2026-03-01"


def states(facts: Facts) -> dict[tuple[str, str], str]:
    return {(one.actor, one.ground): one.state for one in access_list(facts, NOW)}


@pytest.mark.parametrize(
    ("facts", "requester", "state"),
    [
        (NO_RECORD, professional(), "NON_EXISTE"),
        (record(), professional(), "NON_EXISTE"),
        (record(consents=[authorisation()]), professional(), "VALIDE"),
        (record(consents=[authorisation()]), professional(OTHER_DOCTOR), "NON_EXISTE"),
        (record(consents=[authorisation(end=ENDED)]), professional(), "EXPIRE"),
        (record(consents=[authorisation(end=ENDED), authorisation(id="other")]), professional(), "VALIDE"),
        (record(consents=[authorisation(start="2026-08-01")]), professional(), "NON_EXISTE"),
        (record(consents=[authorisation().inactive("2026-02-01")]), professional(), "NON_EXISTE"),
        (record(consents=[authorisation(), block()]), professional(), "INTERDIT"),
        (record(consents=[block()]), professional(), "INTERDIT"),
        (record(consents=[authorisation(), block().inactive("2026-04-01")]), professional(), "EXPIRE"),
        (record(consents=[authorisation(HOSPITAL)]), professional(organisation=HOSPITAL), "VALIDE"),
        (record(consents=[authorisation(HOSPITAL), block()]), professional(organisation=HOSPITAL), "INTERDIT"),
        (record(consents=[authorisation(HOSPITAL)]), hospital(), "VALIDE"),
        (record(consents=[authorisation(HOSPITAL, end=ENDED)]), hospital(), "EXPIRE"),
        (record(consents=[medecin_traitant()]), professional(), "VALIDE"),
        (record(consents=[medecin_traitant(NURSE)]), nurse(), "NON_EXISTE"),
        (record(consents=[authorisation()]), emergency_doctor(), "VALIDE"),
    ],
)
def test_the_state_of_an_authorisation(facts: Facts, requester: Requester, state: str) -> None:
    assert state_of(requester, facts, NOW, MAJORITY) == state


@pytest.mark.parametrize("who", ["patient", "representative", "carer", "feeder", "conformance", "support", "nobody"])
def test_the_dmp_knows_no_such_state_of_others(who: str) -> None:
    assert state_of(EVERYBODY[who], record(), NOW, MAJORITY) is None


def test_who_is_medecin_traitant() -> None:
    named = record(consents=[medecin_traitant()])
    assert is_medecin_traitant(professional(), named, NOW, MAJORITY)
    assert not is_medecin_traitant(professional(OTHER_DOCTOR), named, NOW, MAJORITY)
    assert not is_medecin_traitant(professional(), record(consents=[authorisation()]), NOW, MAJORITY)


def test_one_entry_for_each_ground() -> None:
    facts = record(
        consents=[
            authorisation(),
            authorisation(HOSPITAL, end=ENDED),
            medecin_traitant(OTHER_DOCTOR),
            block(NURSE),
            authorisation(NURSE),
            authorisation("89900000009").inactive("2026-02-01"),
        ],
        related_persons=[related_person()],
    )
    assert states(facts) == {
        (f"rpps|{SPECIALIST}", "autorisation"): "VALIDE",
        (f"finess|{HOSPITAL}", "structure"): "EXPIRE",
        (f"rpps|{OTHER_DOCTOR}", "medecin-traitant"): "VALIDE",
        (f"rpps|{NURSE}", "blocage"): "INTERDIT",
        (f"rpps|{NURSE}", "autorisation"): "INTERDIT",
        ("ins|280057505600117", "representant"): "VALIDE",
    }
    assert [one.state for one in access_list(facts, NOW)] == sorted(
        (one.state for one in access_list(facts, NOW)), key=["VALIDE", "INTERDIT", "NON_EXISTE", "EXPIRE"].index
    )


def test_since_and_until() -> None:
    told = authorisation(start="2026-01-01T00:00:00Z", end="2026-12-01T00:00:00Z")
    (one,) = access_list(record(consents=[told]), NOW)
    assert one == Access(
        f"rpps|{SPECIALIST}",
        Ground.AUTORISATION,
        AuthorisationState.VALIDE,
        date.moment_of("2026-01-01T00:00:00Z", UTC, end=False),
        date.moment_of("2026-12-01T00:00:00Z", UTC, end=True),
        f"Consent/autorisation-{SPECIALIST}",
    )
    (blocked,) = access_list(record(consents=[block()]), NOW)
    assert blocked.until is None
    assert blocked.since is not None, "since it was written"


def test_what_is_hidden_from_the_reader_is_left_out() -> None:
    facts = record(consents=[authorisation(), block(NURSE)])
    shown = access_list(facts, NOW, {f"Consent/autorisation-{SPECIALIST}"})
    assert [one.ground for one in shown] == [Ground.BLOCAGE]


def test_every_ground_has_its_reason_in_both_languages() -> None:
    assert set(REASONS) == set(Ground)
    assert all(french and english and french != english for french, english in REASONS.values())

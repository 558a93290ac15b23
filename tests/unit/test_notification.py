"""Notifications of the server's: what they say, whom they are for, and that nobody else writes or changes one.

R-45, R1111-48; access: médecin traitant, collected consent.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fhir_server.consent.circumstances import Act
from fhir_server.definitions.load import load
from fhir_server.fhir.json import JsonObject
from fhir_server.identity.requester import Purpose
from fhir_server.record.consents import Policy
from fhir_server.record.facts import Facts
from fhir_server.record.notification import (
    NOTIFICATION,
    SERVER,
    Actor,
    Notification,
    Occasion,
    administrators,
    is_forged,
    of_consent,
    of_declaration,
    of_emergency,
)
from fhir_server.search.predicate import Entry
from fhir_server.validation.structure import Validator
from tests.build import (
    EVERYBODY,
    NOW,
    NURSE,
    OTHER_DOCTOR,
    PARIS,
    SPECIALIST,
    authorisation,
    block,
    carer,
    choice,
    delegation,
    emergency_doctor,
    entry,
    medecin_traitant,
    minors_record,
    moment,
    naming,
    nurse,
    patient,
    professional,
    record,
    representative,
    sees,
)

ROOT = Path(__file__).parents[2]
DOCTOR = Actor("Dr Anne Urgence", "https://rpps.esante.gouv.fr", "89900000008", "990000001")
CHANGES = [act for act in Act if act not in (Act.CONSULT, Act.TRACE)]


def told(*, readers: tuple[str, ...] = (), secret: bool = False) -> Notification:
    text = of_emergency(DOCTOR, "BTG", "Patient inconscient.", NOW, PARIS)
    return Notification(Occasion.EMERGENCY, "demo-1", readers, DOCTOR, NOW, text, secret)


def stored(**changes: object) -> Entry:
    """A notification as it is stored."""
    notification = told(secret=bool(changes.get("secret", False)))
    return entry({**notification.resource(), "id": "n1"}, deposited_by=SERVER, **changes)  # type: ignore[arg-type]


# What it says


@pytest.mark.parametrize("secret", [False, True])
def test_it_is_a_legal_communication(secret: bool) -> None:
    resource = {**told(readers=("rpps|89900000001",), secret=secret).resource(), "id": "n1"}
    assert Validator(load()).validate(resource) == []
    assert is_forged("Communication", resource), "so nobody else may write it"


@pytest.mark.parametrize("occasion", Occasion)
def test_each_occasion_is_a_code_of_ours(occasion: Occasion) -> None:
    system = json.loads((ROOT / "terminology" / "CodeSystem" / "notification.json").read_text())
    assert system["url"] == NOTIFICATION
    told = Notification(occasion, "demo-1", (), DOCTOR, NOW, "x", secret=False).resource()
    category: Any = told["category"]
    (coding,) = category[0]["coding"]
    assert coding["display"] == {one["code"]: one["display"] for one in system["concept"]}[coding["code"]]


def test_the_words_of_an_emergency() -> None:
    text = of_emergency(DOCTOR, "BTG", "Patient inconscient.", moment("2026-06-01T22:30:00"), PARIS)
    assert "Le 02/06/2026 à 00:30, Dr Anne Urgence (RPPS 89900000008)" in text, "in the patient's own time"
    assert "structure 990000001" in text
    assert "« Patient inconscient. »" in text
    assert "Aucun motif" in of_emergency(DOCTOR, "ETREAT", None, NOW, PARIS)


def test_the_words_of_a_consent_that_was_written_down() -> None:
    end = moment("2027-06-01T22:00:00")
    text = of_consent(DOCTOR, "Dr Bleu", end, NOW, PARIS)
    assert "autorise Dr Bleu à consulter le dossier, jusqu'au 01/06/2027 inclus" in text, "it ends at midnight in Paris"
    text = of_consent(DOCTOR, None, None, NOW, PARIS)
    assert "l'autorise à consulter" in text
    assert "jusqu'au" not in text
    waiting = of_declaration(DOCTOR, None, NOW, PARIS, waits=True)
    assert "s'est déclaré médecin traitant" in waiting
    assert "confirmée" in waiting
    named = of_declaration(DOCTOR, "Dr Bleu", NOW, PARIS, waits=False)
    assert "a désigné Dr Bleu comme médecin traitant" in named
    assert "confirmée" not in named


def test_who_is_told_beside_the_patient() -> None:
    facts = record(
        consents=[
            medecin_traitant(SPECIALIST),
            medecin_traitant(OTHER_DOCTOR),
            naming(Policy.ADMINISTRATEUR, NURSE),
            naming(Policy.ADMINISTRATEUR, "89900000009", end="2026-02-01"),
            naming(Policy.PHARMACIEN_CORRESPONDANT, "89900000010"),
            authorisation("89900000011"),
            block(OTHER_DOCTOR),
        ]
    )
    assert administrators(facts, NOW) == (f"rpps|{SPECIALIST}", f"rpps|{NURSE}")
    assert administrators(facts, moment("2025-06-01T00:00:00")) == (f"rpps|{SPECIALIST}",)


@pytest.mark.parametrize(
    ("type", "category", "forged"),
    [
        ("Communication", [{"coding": [{"system": NOTIFICATION, "code": "acces-urgence"}]}], True),
        ("Communication", [{"text": "x"}, {"coding": [{"system": "urn:x"}, {"system": NOTIFICATION}]}], True),
        ("Communication", [{"coding": [{"system": "urn:x", "code": "acces-urgence"}]}], False),
        ("Communication", None, False),
        ("CommunicationRequest", [{"coding": [{"system": NOTIFICATION, "code": "acces-urgence"}]}], False),
    ],
)
def test_what_only_the_server_writes(type: str, category: object, forged: bool) -> None:
    assert is_forged(type, {"resourceType": type, "category": category}) is forged  # type: ignore[dict-item]


# Who reads it


def test_the_patient_and_who_administers_with_him_read_it() -> None:
    facts = record(consents=[medecin_traitant(SPECIALIST), naming(Policy.ADMINISTRATEUR, NURSE)])
    assert sees(patient(), stored(), facts)
    assert sees(professional(SPECIALIST), stored(), facts)
    assert sees(nurse(), stored(), facts)
    assert sees(EVERYBODY["conformance"], stored(), facts)


def test_no_other_professional_reads_it() -> None:
    facts = record(consents=[authorisation(SPECIALIST), delegation()])
    other = entry({**told().resource(), "id": "n2", "category": []})
    for requester in (professional(SPECIALIST), carer(), emergency_doctor()):
        assert not sees(requester, stored(), facts), requester
        assert sees(requester, other, facts), "a Communication of somebody else's he does read"


def test_a_blocked_medecin_traitant_does_not() -> None:
    facts = record(consents=[medecin_traitant(SPECIALIST), block(SPECIALIST)])
    assert not sees(professional(SPECIALIST), stored(), facts)


def test_the_secret_of_a_minor_is_not_told_to_his_representative() -> None:
    def minors(secret: bool) -> Entry:
        resource: JsonObject = {
            **told(secret=secret).resource(),
            "id": "n1",
            "subject": {"reference": "Patient/demo-3"},
        }
        return entry(resource, deposited_by=SERVER, secret=secret)

    facts: Facts = minors_record()
    assert sees(representative(), minors(secret=False), facts)
    assert not sees(representative(), minors(secret=True), facts)
    assert sees(patient("210043155500326"), minors(secret=True), facts)


@pytest.mark.parametrize("who", EVERYBODY)
@pytest.mark.parametrize("act", CHANGES)
def test_nobody_changes_it(who: str, act: Act) -> None:
    facts = record(consents=[medecin_traitant(SPECIALIST), choice(Policy.MASQUAGE_DEFAUT)])
    assert not sees(EVERYBODY[who], stored(), facts, act)


def test_the_purposes_have_words() -> None:
    for purpose in (Purpose.BTG, Purpose.ETREAT):
        assert of_emergency(DOCTOR, purpose.value, None, NOW, PARIS)

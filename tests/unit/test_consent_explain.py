"""What people are told: the outcome, the decisive reason, and the sentence that fits it."""

from __future__ import annotations

from typing import Any

import pytest

from fhir_server.consent.circumstances import Act, circumstances
from fhir_server.consent.explain import Explanation, Outcome, explain
from fhir_server.consent.reach import Reach
from fhir_server.identity.requester import Purpose, Requester
from fhir_server.record.consents import Policy
from fhir_server.record.facts import NO_RECORD, Facts
from fhir_server.search.predicate import Entry
from tests.build import (
    HELENE,
    HOSPITAL,
    NOW,
    OTHER_DOCTOR,
    PARIS,
    SPECIALIST,
    STRANGER,
    authorisation,
    block,
    care_team,
    carer,
    choice,
    closed_on,
    delegation,
    document_reference,
    emergency_choice,
    emergency_doctor,
    feeder,
    hospital,
    law,
    medecin_traitant,
    minors_record,
    naming,
    nurse,
    patient,
    professional,
    record,
    representative,
    resource,
    support,
    team_choice,
    trace,
)

LETTER = document_reference()
MASKED = document_reference(security_label="MASQUE_PS")
AUTHORISED = record(consents=[authorisation(SPECIALIST, end="2027-03-03")])


def told(
    who: Requester,
    facts: Facts,
    entry: Entry | None = None,
    *,
    type: str | None = None,
    act: Act = Act.CONSULT,
    whole: bool = False,
    hidden: frozenset[str] = frozenset(),
) -> Explanation:
    asked = type or (entry["rt"] if entry is not None else "DocumentReference")
    seen = circumstances(requester=who, act=act, type=asked, facts=facts, now=NOW, law=law(), hidden=hidden)
    return explain(seen, entry, whole=whole, zone=PARIS)


def authorised(*consents: Any, **members: Any) -> Facts:
    return record(consents=[authorisation(SPECIALIST, end="2027-03-03"), *consents], **members)


CASES: dict[str, tuple[Requester, Facts, Entry | None, str]] = {
    "authorised": (
        professional(),
        AUTHORISED,
        LETTER,
        "Oui. Vous avez autorisé ce professionnel jusqu’au 3 mars 2027.",
    ),
    "his structure": (
        professional(OTHER_DOCTOR, organisation=HOSPITAL),
        record(consents=[authorisation(HOSPITAL, end="2026-12-31")]),
        LETTER,
        "Oui. Vous avez autorisé sa structure jusqu’au 31 décembre 2026.",
    ),
    "never authorised": (
        professional(),
        record(),
        LETTER,
        "Non. Rien ne lui donne accès. Vous n’avez autorisé ni ce professionnel ni sa structure.",
    ),
    "over": (
        professional(),
        record(consents=[authorisation(SPECIALIST, end="2026-05-01")]),
        LETTER,
        "Non. Rien ne lui donne accès. Votre autorisation a pris fin le 1er mai 2026.",
    ),
    "not yet": (
        professional(),
        record(consents=[authorisation(SPECIALIST, start="2026-09-01")]),
        LETTER,
        "Non. Rien ne lui donne accès. Votre autorisation ne commence que le 1er septembre 2026.",
    ),
    "unblocked": (
        professional(),
        authorised(block(SPECIALIST).inactive("2026-03-01")),
        LETTER,
        (
            "Non. Rien ne lui donne accès. Vous aviez autorisé ce professionnel, puis vous l’avez bloqué : "
            "débloquer ne rétablit pas l’autorisation."
        ),
    ),
    "blocked": (professional(), authorised(block(SPECIALIST)), LETTER, "Non. Vous avez bloqué ce professionnel."),
    "masked": (
        professional(),
        AUTHORISED,
        MASKED,
        (
            "Non. Ce document est masqué aux professionnels ; il reste visible par vous, votre médecin traitant "
            "et son auteur."
        ),
    ),
    "masked, his own": (
        professional(),
        AUTHORISED,
        document_reference(security_label="MASQUE_PS", author=SPECIALIST),
        (
            "Oui. Vous avez autorisé ce professionnel jusqu’au 3 mars 2027. Ce document est masqué aux "
            "professionnels, mais il reste visible par son auteur."
        ),
    ),
    "masked, to the médecin traitant": (
        professional(),
        record(consents=[medecin_traitant(SPECIALIST)]),
        MASKED,
        (
            "Oui. Vous avez désigné ce professionnel comme médecin traitant. Ce document est masqué aux "
            "professionnels, mais votre médecin traitant et les administrateurs de votre dossier le voient."
        ),
    ),
    "administrator": (
        professional(profession="50"),
        record(consents=[naming(Policy.ADMINISTRATEUR, end="2026-12-31")]),
        LETTER,
        "Oui. Vous avez désigné ce professionnel comme administrateur de votre dossier jusqu’au 31 décembre 2026.",
    ),
    "team": (
        professional(),
        record(care_teams=[care_team(SPECIALIST)]),
        LETTER,
        (
            "Oui. Ce professionnel fait partie de votre équipe de soins : vous en avez été informé et vous ne "
            "vous y êtes pas opposé."
        ),
    ),
    "matrix": (
        nurse(SPECIALIST),
        AUTHORISED,
        document_reference(category="95"),
        "Non. La matrice d’habilitation n’ouvre pas cette sorte de document à sa profession.",
    ),
    "no role of the DMP": (
        professional(profession="999"),
        AUTHORISED,
        resource("Patient"),
        (
            "Non. Sa profession n’a pas accès au DMP : assureurs, employeurs, banques et professions inconnues "
            "n’entrent jamais, même avec votre accord."
        ),
    ),
    "care history": (
        professional(),
        authorised(choice(Policy.MASQUAGE_HISTORIQUE)),
        document_reference(category="60"),
        "Non. Vous avez masqué votre historique de soins aux professionnels.",
    ),
    "emergency": (
        emergency_doctor(),
        authorised(block(SPECIALIST)),
        LETTER,
        (
            "Oui. Ce professionnel déclare une urgence où vous ne pouvez pas répondre (bris de glace), et vous "
            "ne vous y êtes pas opposé. Vous avez bloqué ce professionnel, mais un blocage n’arrête pas une "
            "urgence à laquelle vous ne vous êtes pas opposé."
        ),
    ),
    "emergency opposed": (
        emergency_doctor(Purpose.ETREAT),
        record(consents=[emergency_choice("ETREAT", "deny")]),
        LETTER,
        "Non. Rien ne lui donne accès. Vous vous êtes opposé à l’accès du SAMU en cas d’appel d’urgence.",
    ),
    "patient": (patient(), record(), LETTER, "Oui. C’est votre dossier."),
    "representative": (
        representative(),
        minors_record(),
        document_reference(subject="demo-3"),
        "Oui. Cette personne est votre représentant légal.",
    ),
    "no representative any more": (
        representative(acting_for=HELENE, ins=STRANGER),
        record(),
        LETTER,
        "Non. Rien ne lui donne accès. Cette personne n’est pas, ou n’est plus, votre représentant légal.",
    ),
    "carer": (
        carer(),
        record(consents=[delegation(end="2026-12-31")]),
        LETTER,
        "Oui. Vous avez donné accès à cette personne comme aidant jusqu’au 31 décembre 2026.",
    ),
    "carer invited": (
        carer(),
        record(consents=[delegation(status="proposed")]),
        LETTER,
        "Non. Rien ne lui donne accès. Cette personne n’est pas, ou n’est plus, votre aidant.",
    ),
    "depositor": (
        hospital(),
        record(),
        document_reference(organisation=f"finess|{HOSPITAL}"),
        "Oui. Cette personne l’a déposé elle-même.",
    ),
    "feeder": (feeder(), record(), LETTER, "Non. Cet acte n’est jamais ouvert à cette sorte de personne."),
    "no record": (professional(), NO_RECORD, LETTER, "Non. Il n’y a pas de dossier."),
    "closed": (
        professional(),
        authorised(active=False),
        LETTER,
        "Non. Votre dossier est fermé : on ne le consulte pas et on n’y dépose rien. Vous pouvez le rouvrir.",
    ),
    "archived": (
        professional(),
        authorised(active=False, extension=closed_on("2026-01-31")),
        LETTER,
        (
            "Non. Votre dossier est fermé et archivé pour dix ans : on ne le consulte pas et on n’y dépose rien. "
            "Vous pouvez le rouvrir."
        ),
    ),
    "opposed": (
        professional(),
        authorised(choice(Policy.OPPOSITION)),
        LETTER,
        "Non. Vous vous êtes opposé à avoir ce dossier. Vous pouvez changer d’avis.",
    ),
    "deceased": (
        professional(),
        authorised(deceasedBoolean=True),
        LETTER,
        "Non. Le dossier d’une personne décédée est fermé.",
    ),
    "a Consent that names somebody else": (
        professional(),
        AUTHORISED,
        resource("Consent"),
        "Non. Rien ne lui donne accès. Ce professionnel est autorisé ; de vos choix, il lit ceux qui le nomment.",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_of_one_entry_the_decisive_reason_is_told(case: str) -> None:
    who, facts, entry, sentence = CASES[case]
    found = told(who, facts, entry)
    assert found.summary.fr == sentence
    assert found.outcome is (Outcome.PERMIT if sentence.startswith("Oui") else Outcome.DENY)


TYPES: dict[str, tuple[Requester, Facts, str, Act, Outcome, list[str]]] = {
    "authorised": (
        professional(),
        AUTHORISED,
        "DocumentReference",
        Act.CONSULT,
        Outcome.PARTLY,
        ["authorisation", "own-deposit", "mask", "habilitation"],
    ),
    "authorised, what is no document": (
        professional(),
        AUTHORISED,
        "Observation",
        Act.CONSULT,
        Outcome.PARTLY,
        ["authorisation", "own-deposit", "mask", "habilitation"],
    ),
    "authorised, Patient": (professional(), AUTHORISED, "Patient", Act.CONSULT, Outcome.PERMIT, ["authorisation"]),
    "authorised, Consent": (professional(), AUTHORISED, "Consent", Act.CONSULT, Outcome.PARTLY, ["authorisation"]),
    "stranger": (
        professional(),
        record(),
        "DocumentReference",
        Act.CONSULT,
        Outcome.PARTLY,
        ["own-deposit", "authorisation", "care-team", "medecin-traitant", "mask", "habilitation"],
    ),
    "blocked": (
        professional(),
        authorised(block(SPECIALIST)),
        "DocumentReference",
        Act.CONSULT,
        Outcome.DENY,
        ["block", "authorisation", "own-deposit"],
    ),
    "médecin traitant": (
        professional(),
        record(consents=[medecin_traitant(SPECIALIST)]),
        "Observation",
        Act.CONSULT,
        Outcome.PERMIT,
        ["medecin-traitant", "authorisation", "own-deposit", "habilitation"],
    ),
    "patient": (
        patient(),
        record(),
        "DocumentReference",
        Act.CONSULT,
        Outcome.PARTLY,
        ["own-record", "own-deposit", "invisible-to-patient"],
    ),
    "opposed emergency": (
        emergency_doctor(),
        record(consents=[emergency_choice("BTG", "deny")]),
        "DocumentReference",
        Act.CONSULT,
        Outcome.DENY,
        ["emergency"],
    ),
    "directory": (professional(), record(), "Organization", Act.CONSULT, Outcome.PERMIT, ["directory"]),
    "own acts": (
        professional(),
        AUTHORISED,
        "AuditEvent",
        Act.TRACE,
        Outcome.PARTLY,
        ["own-acts", "medecin-traitant"],
    ),
    "support": (support(), record(), "AuditEvent", Act.TRACE, Outcome.PERMIT, ["support"]),
    "support, contents": (support(), record(), "Observation", Act.CONSULT, Outcome.DENY, ["acts-table"]),
    "a block, the directory": (
        professional(),
        record(consents=[block(SPECIALIST)]),
        "Practitioner",
        Act.CONSULT,
        Outcome.PERMIT,
        ["directory", "block"],
    ),
    "team permitted by name": (
        professional(),
        record(care_teams=[care_team(SPECIALIST, informed=None)], consents=[team_choice("permit")]),
        "Patient",
        Act.CONSULT,
        Outcome.PERMIT,
        ["care-team"],
    ),
}


@pytest.mark.parametrize("case", TYPES)
def test_of_a_whole_type_the_rules_are_told(case: str) -> None:
    who, facts, type, act, outcome, rules = TYPES[case]
    found = told(who, facts, type=type, act=act)
    assert found.outcome is outcome
    assert [one.rule for one in found.reasons] == rules


def test_a_declared_medecin_traitant_waits_for_the_patient() -> None:
    declared = medecin_traitant(SPECIALIST)
    declared.resource["status"] = "proposed"
    reasons = {one.rule: one.sentence.fr for one in told(professional(), record(consents=[declared]), LETTER).reasons}
    assert reasons["medecin-traitant"].endswith("il attend votre accord.")


def test_a_blocked_medecin_traitant_reads_his_own_acts_only() -> None:
    facts = record(consents=[medecin_traitant(SPECIALIST), block(SPECIALIST)])
    found = told(professional(), facts, trace(agent=f"rpps|{OTHER_DOCTOR}"), act=Act.TRACE)
    assert found.outcome is Outcome.DENY
    assert "Vous avez bloqué ce professionnel" in found.summary.fr


def test_what_only_speaks_of_hidden_things_is_for_auditors() -> None:
    """R-22: a list that names a hidden document, asked about by somebody who may not know of it."""
    hidden = frozenset({"DocumentReference/annonce"})
    about = {"act": Act.TRACE, "hidden": hidden}
    shown = trace(agent=f"rpps|{OTHER_DOCTOR}", target="DocumentReference/annonce")
    own = told(patient(), record(), shown, **about)  # type: ignore[arg-type]
    assert own.outcome is Outcome.DENY
    assert own.summary.fr == "Non. Ce contenu ne lui est pas montré."
    assert [one.rule for one in own.reasons] == ["own-record"]
    auditor = told(patient(), record(), shown, whole=True, **about)  # type: ignore[arg-type]
    assert auditor.reasons[0].rule == "traces-of-hidden"
    assert auditor.reasons[0].rests == ("R-25", "R-26", "R-63")


def test_that_something_waits_for_an_annonce_is_for_auditors() -> None:
    """R-25: as a rule it is no secret; of one document it is."""
    waiting = document_reference(security_label="INVISIBLE_PATIENT")
    assert "annonce" not in told(patient(), record(), waiting).summary.fr
    assert told(patient(), record(), waiting, whole=True).reasons[0].rule == "invisible-to-patient"
    assert told(professional(), AUTHORISED, waiting).reasons == told(professional(), AUTHORISED, LETTER).reasons


def test_both_languages_say_the_same_dates() -> None:
    found = told(professional(), AUTHORISED, LETTER)
    assert found.summary.en == "Yes. You authorised this professional until 3 March 2027."
    assert found.reasons[0].rests == ("R-01", "R-03", "R-05", "R-06", "R-12")
    assert found.reasons[0].law == ("L1111-17", "R1111-46")
    assert found.reasons[0].applies is Reach.ALL

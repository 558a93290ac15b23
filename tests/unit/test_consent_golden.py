"""Decisions as they are taken, on paper: a change of consent shows in review as a diff of these files.

Rewrite them with ``pytest tests/unit/test_consent_golden.py --golden`` and read the difference.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from fhir_server.consent.circumstances import Act
from fhir_server.consent.verdict import Effect, Verdict
from fhir_server.identity.requester import Purpose, Requester
from fhir_server.record.consents import Policy
from fhir_server.record.facts import Facts
from fhir_server.search.predicate import (
    AllOf,
    Always,
    AnyOf,
    Compare,
    Contained,
    Contains,
    Entry,
    Never,
    Not,
    OneOf,
    Predicate,
    Prefix,
    Span,
    Within,
    matches,
)
from fhir_server.store.filters import to_filter
from tests.build import (
    HELENE,
    HOSPITAL,
    NURSE,
    OTHER_DOCTOR,
    SPECIALIST,
    authorisation,
    block,
    care_team,
    carer,
    choice,
    closed_on,
    decision,
    delegation,
    document_reference,
    emergency_choice,
    emergency_doctor,
    feeder,
    hospital,
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

DOCUMENTS = {
    "a letter": document_reference("normal"),
    "a masked letter": document_reference("masque", security_label="MASQUE_PS"),
    "a masked letter he wrote": document_reference("masque-own", security_label="MASQUE_PS", author=SPECIALIST),
    "a result before the annonce": document_reference("annonce", security_label="INVISIBLE_PATIENT"),
    "an administrative document": document_reference("administrative", category="95", type="ATTEST-DROITS-AM"),
    "a deposit of the specialist": document_reference("own", deposited_by=f"rpps|{SPECIALIST}"),
    "a deposit of the patient": document_reference("patients", deposited_by=f"ins|{HELENE}"),
    "a deposit of the hospital": document_reference("hospitals", organisation=f"finess|{HOSPITAL}"),
    "a letter in another record": document_reference("elsewhere", subject="demo-2"),
}
MINORS = {
    "a letter": document_reference("normal", subject="demo-3"),
    "a secret letter": document_reference(
        "secret", subject="demo-3", security_label="INVISIBLE_REPRESENTANTS_LEGAUX", secret=True
    ),
}
TRACES = {
    "an act of the specialist": trace(),
    "an act of another": trace(agent=f"rpps|{OTHER_DOCTOR}"),
    "an act on what is hidden": trace(agent=f"rpps|{OTHER_DOCTOR}", target="DocumentReference/annonce"),
}
AUTHORISED = record(consents=[authorisation(SPECIALIST), authorisation(NURSE)])
BLOCKED = record(consents=[authorisation(SPECIALIST), block(SPECIALIST)])

TEAM = care_team(SPECIALIST, NURSE)

CASES: dict[str, tuple[Requester, Facts, Act, dict[str, Entry], dict[str, Any]]] = {
    "patient": (patient(), record(), Act.CONSULT, DOCUMENTS, {}),
    "patient-deletes": (patient(), record(), Act.DELETE_OWN, DOCUMENTS, {}),
    "representant": (representative(), minors_record(), Act.CONSULT, MINORS, {}),
    "medecin-traitant": (
        professional(SPECIALIST),
        record(consents=[medecin_traitant(SPECIALIST)]),
        Act.CONSULT,
        DOCUMENTS,
        {},
    ),
    "specialiste-authorised": (professional(SPECIALIST), AUTHORISED, Act.CONSULT, DOCUMENTS, {}),
    "specialiste-stranger": (professional(SPECIALIST), record(), Act.CONSULT, DOCUMENTS, {}),
    "specialiste-blocked": (professional(SPECIALIST), BLOCKED, Act.CONSULT, DOCUMENTS, {}),
    "specialiste-blocked-feeds": (professional(SPECIALIST), BLOCKED, Act.FEED, DOCUMENTS, {}),
    "specialiste-closed-record": (
        professional(SPECIALIST),
        record(active=False, consents=[authorisation(SPECIALIST)]),
        Act.CONSULT,
        DOCUMENTS,
        {},
    ),
    "infirmier-authorised": (nurse(), AUTHORISED, Act.CONSULT, DOCUMENTS, {}),
    "btg": (emergency_doctor(Purpose.BTG), BLOCKED, Act.CONSULT, DOCUMENTS, {}),
    "etreat-opposed": (
        emergency_doctor(Purpose.ETREAT),
        record(consents=[emergency_choice("ETREAT", "deny")]),
        Act.CONSULT,
        DOCUMENTS,
        {},
    ),
    "hopital": (hospital(), record(), Act.CONSULT, DOCUMENTS, {}),
    "assurance-maladie": (feeder(), record(), Act.CONSULT, DOCUMENTS, {}),
    "support-reads-traces": (support(), record(), Act.TRACE, TRACES, {}),
    "patient-reads-traces": (patient(), record(), Act.TRACE, TRACES, {"hidden": ["DocumentReference/annonce"]}),
    "specialiste-reads-traces": (professional(SPECIALIST), AUTHORISED, Act.TRACE, TRACES, {}),
    "patient-consents": (patient(), record(), Act.GOVERN, {"a Consent": resource("Consent")}, {}),
    "team-informed": (professional(SPECIALIST), record(care_teams=[TEAM]), Act.CONSULT, DOCUMENTS, {}),
    "team-opposed": (
        professional(SPECIALIST),
        record(care_teams=[TEAM], consents=[team_choice("deny")]),
        Act.CONSULT,
        DOCUMENTS,
        {},
    ),
    "administrator": (
        professional(SPECIALIST),
        record(consents=[naming(Policy.ADMINISTRATEUR)]),
        Act.CONSULT,
        DOCUMENTS,
        {},
    ),
    "unblocked-does-not-revive": (
        professional(SPECIALIST),
        record(consents=[authorisation(SPECIALIST), block(SPECIALIST).inactive("2026-03-01")]),
        Act.CONSULT,
        DOCUMENTS,
        {},
    ),
    "btg-masked-permitted": (
        emergency_doctor(Purpose.BTG),
        record(consents=[block(SPECIALIST), emergency_choice("MASKED", "permit")]),
        Act.CONSULT,
        DOCUMENTS,
        {},
    ),
    "carer": (carer(), record(consents=[delegation()]), Act.CONSULT, DOCUMENTS, {}),
    "carer-invited": (carer(), record(consents=[delegation(status="proposed")]), Act.CONSULT, DOCUMENTS, {}),
    "care-history-masked": (
        professional(SPECIALIST),
        record(consents=[authorisation(SPECIALIST), choice(Policy.MASQUAGE_HISTORIQUE)]),
        Act.CONSULT,
        {**DOCUMENTS, "the care history": document_reference("history", category="60", type="REMB")},
        {},
    ),
    "patient-opposed": (patient(), record(consents=[choice(Policy.OPPOSITION)]), Act.CONSULT, DOCUMENTS, {}),
    "patient-opposed-keeps-his-patient": (
        patient(),
        record(consents=[choice(Policy.OPPOSITION)]),
        Act.CONSULT,
        {"his Patient": resource("Patient")},
        {},
    ),
    "patient-archived-reopens": (
        patient(),
        record(active=False, extension=closed_on("2026-01-01")),
        Act.CHANGE_OWN,
        {"his Patient": resource("Patient")},
        {},
    ),
    "specialiste-deceased-record": (
        professional(SPECIALIST),
        record(consents=[authorisation(SPECIALIST)], deceasedBoolean=True),
        Act.CONSULT,
        DOCUMENTS,
        {},
    ),
    "representant-of-age": (
        representative(),
        minors_record(birthDate="2000-01-01"),
        Act.CONSULT,
        MINORS,
        {},
    ),
    "specialiste-collects": (
        professional(SPECIALIST),
        record(),
        Act.COLLECT,
        {"a Consent": resource("Consent")},
        {},
    ),
    "specialiste-blocked-collects": (
        professional(SPECIALIST),
        BLOCKED,
        Act.COLLECT,
        {"a Consent": resource("Consent")},
        {},
    ),
    "inconnu-asks-the-status": (
        professional(OTHER_DOCTOR),
        record(active=False),
        Act.STATUS,
        {"his Patient": resource("Patient")},
        {},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_decision(case: str, golden: Callable[[str, str], None]) -> None:
    requester, facts, act, entries, told = CASES[case]
    type = next(iter(entries.values()))["rt"]
    found = decision(requester, facts=facts, act=act, type=type, **told)
    paper = {
        "who": str(requester.kind),
        "purpose": str(requester.purpose),
        "act": str(act),
        "type": type,
        "verdicts": [_on_paper(verdict) for verdict in found.verdicts],
        "filter": to_filter(found.visible.predicate),
        "so": {name: _explained(found.verdicts, found.visible.predicate, one) for name, one in entries.items()},
    }
    golden(f"decisions/{case}.json", json.dumps(paper, ensure_ascii=False, indent=2) + "\n")


def _on_paper(verdict: Verdict) -> dict[str, str]:
    return {
        "rule": verdict.rule,
        "effect": str(verdict.effect),
        "where": in_words(verdict.where),
        "because": verdict.because,
    }


def _explained(verdicts: tuple[Verdict, ...], visible: Predicate, entry: Entry) -> str:
    by = {
        effect: [verdict.rule for verdict in verdicts if verdict.effect is effect and matches(verdict.where, entry)]
        for effect in Effect
    }
    outside = [
        verdict.rule for verdict in verdicts if verdict.effect is Effect.LIMIT and verdict.rule not in by[Effect.LIMIT]
    ]
    if matches(visible, entry):
        return f"yes, by {', '.join(by[Effect.PERMIT])}"
    reasons = [
        *([] if by[Effect.PERMIT] else ["no ground"]),
        *(f"outside {rule}" for rule in outside),
        *(f"withdrawn by {rule}" for rule in by[Effect.DENY]),
    ]
    return f"no: {', '.join(reasons)}"


def in_words(predicate: Predicate) -> str:
    """A predicate as a person reads it."""
    match predicate:
        case Always():
            return "everything"
        case Never():
            return "nothing"
        case OneOf(field, values):
            listed = sorted("absent" if value is None else str(value) for value in values)
            return f"{field} is {' or '.join(listed)}"
        case AllOf(parts):
            return "(" + " and ".join(in_words(part) for part in parts) + ")"
        case AnyOf(parts):
            return "(" + " or ".join(in_words(part) for part in parts) + ")"
        case Not(part):
            return f"not {in_words(part)}"
        case Within(field, values):
            return f"{field} is nothing but {', '.join(sorted(map(str, values))) or 'nothing'}"
        case Prefix() | Compare() | Span() | Contains() | Contained():
            raise AssertionError("consent asks for values, never for beginnings or ranges")

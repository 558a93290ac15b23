"""How verdicts become a decision, and what is 403 whatever is stored."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fhir_server.consent.circumstances import Act, Circumstances, standings_of
from fhir_server.consent.decide import closed, sealed, together
from fhir_server.consent.rules import RULES, Rule
from fhir_server.consent.rules.acts_table import acts_table
from fhir_server.consent.verdict import Effect, Verdict, deny, limit, permit, silent
from fhir_server.fhir.errors import Forbidden
from fhir_server.identity.requester import Kind
from fhir_server.record.facts import NO_RECORD
from fhir_server.search.predicate import ALWAYS, NEVER, Field, Predicate, matches, one_of
from tests.build import (
    EVERYBODY,
    NOBODY,
    NOW,
    OTHER_DOCTOR,
    SPECIALIST,
    authorisation,
    binary,
    block,
    carer,
    conformance,
    decision,
    document_reference,
    feeder,
    hospital,
    law,
    medecin_traitant,
    nurse,
    patient,
    professional,
    record,
    resource,
    sees,
    support,
    trace,
    with_scope,
)

HERE, LABELLED = one_of(Field.RECORD, "demo-1"), one_of(Field.LABELS, "MASQUE_PS")
MASKED = document_reference(security_label="MASQUE_PS")


def saying(*verdicts: Verdict) -> list[Rule]:
    def rule(verdict: Verdict) -> Rule:
        def say(_seen: Circumstances) -> Verdict:
            return verdict

        return say

    return [rule(verdict) for verdict in verdicts]


def shown(*verdicts: Verdict) -> Predicate:
    return decision(patient(), facts=record(), rules=saying(*verdicts)).visible.predicate


def test_silence_shows_nothing() -> None:
    assert shown() == NEVER
    assert shown(limit("l", ALWAYS, "")) == NEVER
    assert shown(silent("p", Effect.PERMIT), silent("d", Effect.DENY), limit("l", ALWAYS, "")) == NEVER


def test_grounds_are_ored_limits_anded_withdrawals_subtracted() -> None:
    elsewhere = one_of(Field.RECORD, "demo-2")
    assert matches(shown(permit("a", HERE, ""), permit("b", elsewhere, "")), document_reference())
    assert not matches(shown(permit("a", HERE, ""), limit("b", elsewhere, "")), document_reference())
    assert not matches(shown(permit("a", HERE, ""), limit("b", HERE, ""), limit("c", elsewhere, "")), MASKED)
    assert not matches(shown(permit("a", HERE, ""), deny("b", LABELLED, "")), MASKED)
    assert matches(shown(permit("a", HERE, ""), deny("b", LABELLED, "")), document_reference())
    assert not matches(shown(permit("a", HERE, ""), deny("b", elsewhere, ""), deny("c", LABELLED, "")), MASKED)


def test_no_ground_outweighs_a_limit_or_a_withdrawal() -> None:
    assert shown(permit("a", ALWAYS, ""), limit("b", NEVER, "")) == NEVER
    assert shown(permit("a", ALWAYS, ""), deny("b", ALWAYS, "")) == NEVER


def test_an_exception_in_a_rule_is_not_swallowed() -> None:
    def broken(_seen: Circumstances) -> Verdict:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        decision(patient(), facts=record(), rules=[*RULES, broken])


def test_the_trail_names_the_rules_that_spoke() -> None:
    facts = record(consents=[authorisation(SPECIALIST)])
    assert decision(professional(SPECIALIST), facts=facts).rules == (
        "permit:authorisation",
        "permit:own-deposit",
        "deny:mask",
    )
    assert decision(patient(), facts=record()).rules == (
        "permit:own-record",
        "permit:own-deposit",
        "deny:invisible-to-patient",
    )


def test_the_trail_does_not_name_the_rules_on_hidden_things() -> None:
    """R-22: where one of them spoke, its reader would know that something is hidden."""
    hidden = ["DocumentReference/d1"]
    traces = decision(patient(), facts=record(), act=Act.TRACE, type="AuditEvent", hidden=hidden)
    assert traces.rules == ("permit:own-record",)
    facts = record(consents=[authorisation(SPECIALIST)])
    submission = decision(professional(SPECIALIST), facts=facts, type="Provenance").rules
    appointment = decision(professional(SPECIALIST), facts=facts, type="Appointment").rules
    assert not {"deny:refers-to-hidden", "deny:other-records"} & {*submission, *appointment}


def test_decisions_together_show_what_any_of_them_shows() -> None:
    first = decision(patient(), facts=record(), type="DocumentReference")
    second = decision(patient(), facts=record(), type="Observation")
    both = together([first, second]).predicate
    assert matches(both, document_reference())
    assert matches(both, resource("Observation"))
    assert not matches(both, resource("Condition"))
    assert together([]).predicate == NEVER


def test_own_acts_do_not_open_the_sealed_part() -> None:
    own, others = trace(), trace(agent=f"rpps|{OTHER_DOCTOR}")
    stranger = decision(professional(SPECIALIST), facts=record(), act=Act.TRACE, type="AuditEvent")
    assert matches(stranger.visible.predicate, own)
    assert not matches(sealed(stranger).predicate, own)
    facts = record(consents=[medecin_traitant(SPECIALIST)])
    treating = decision(professional(SPECIALIST), facts=facts, act=Act.TRACE, type="AuditEvent")
    assert matches(sealed(treating).predicate, own)
    assert matches(sealed(treating).predicate, others)
    holder = decision(patient(), facts=record(), act=Act.TRACE, type="AuditEvent", hidden=["DocumentReference/d1"])
    assert matches(sealed(holder).predicate, own)
    assert not matches(sealed(holder).predicate, trace(target="DocumentReference/d1"))


# 403: requester, type and act alone


def refused(who: str, type: str, act: Act, letter: str) -> str:
    try:
        closed(EVERYBODY[who], type, act, law(), letter)
    except Forbidden as refusal:
        return str(refusal)
    return ""


@pytest.mark.parametrize(
    ("who", "type", "act"),
    [
        ("feeder", "DocumentReference", Act.CONSULT),
        ("feeder", "Patient", Act.CONSULT),
        ("feeder", "AuditEvent", Act.TRACE),
        ("hospital", "Patient", Act.CONSULT),
        ("hospital", "Consent", Act.CONSULT),
        ("hospital", "DocumentReference", Act.RELABEL),
        ("support", "DocumentReference", Act.CONSULT),
        ("carer", "Patient", Act.CHANGE_OWN),
        ("carer", "CareTeam", Act.GOVERN),
        ("doctor", "AuditEvent", Act.EXPLAIN),
        ("hospital", "Consent", Act.COLLECT),
        ("patient", "RelatedPerson", Act.GOVERN),
        ("patient", "Patient", Act.FEED),
        ("patient", "Slot", Act.CONSULT),
        ("doctor", "Practitioner", Act.FEED),
        ("doctor", "RelatedPerson", Act.GOVERN),
        ("doctor", "Linkage", Act.CONSULT),
        ("doctor-btg", "DocumentReference", Act.FEED),
        ("doctor-etreat", "Consent", Act.CONSULT),
        ("conformance", "AuditEvent", Act.FEED),
    ],
)
def test_what_none_of_its_standings_may_do_is_closed(who: str, type: str, act: Act) -> None:
    assert "Your role may not" in refused(who, type, act, "r")


@pytest.mark.parametrize(
    ("who", "type", "act", "letter"),
    [
        ("patient", "DocumentReference", Act.CONSULT, "r"),
        ("representative", "DocumentReference", Act.CONSULT, "s"),
        ("doctor", "DocumentReference", Act.CONSULT, "r"),
        ("doctor", "DocumentReference", Act.RELABEL, "u"),
        ("doctor", "Consent", Act.GOVERN, "c"),
        ("nurse", "Patient", Act.CONSULT, "r"),
        ("hospital", "DocumentReference", Act.FEED, "c"),
        ("feeder", "Binary", Act.FEED, "c"),
        ("support", "AuditEvent", Act.TRACE, "s"),
        ("conformance", "Slot", Act.DELETE_OWN, "d"),
    ],
)
def test_what_one_of_its_standings_may_do_is_open(who: str, type: str, act: Act, letter: str) -> None:
    assert refused(who, type, act, letter) == ""


def test_the_scope_closes_by_the_letter_of_the_interaction() -> None:
    narrow = with_scope(patient(), "patient/DocumentReference.r")
    closed(narrow, "DocumentReference", Act.CONSULT, law(), "r")
    for type, letter in (("DocumentReference", "s"), ("DocumentReference", "u"), ("Observation", "r")):
        with pytest.raises(Forbidden, match="scopes of your token"):
            closed(narrow, type, Act.CONSULT, law(), letter)


def test_what_is_closed_shows_nothing_whatever_is_stored() -> None:
    """403 and the decision never disagree: behind a closed door there is nothing to be seen."""
    facts = record(consents=[authorisation(SPECIALIST), medecin_traitant(SPECIALIST)])
    letters = {Act.CONSULT: "r", Act.TRACE: "r", Act.FEED: "c", Act.DELETE_OWN: "d"}
    for name, who in EVERYBODY.items():
        for type in ("DocumentReference", "Patient", "Consent", "AuditEvent", "Practitioner", "Slot", "Binary"):
            for act in Act:
                if refused(name, type, act, letters.get(act, "u")):
                    found = decision(who, facts=facts, act=act, type=type)
                    assert found.visible.predicate == NEVER, (name, type, act)


def test_the_403_does_not_depend_on_what_is_stored() -> None:
    """`closed` is given no facts; the limit of the same table must follow it for every record."""
    for who in EVERYBODY.values():
        for act in Act:
            answers = {
                acts_table(
                    Circumstances(
                        who, act, "DocumentReference", facts, NOW, law(), standings_of(who, facts, NOW, majority=18)
                    )
                )
                for facts in (NO_RECORD, record(), record(active=False), record(consents=[block(SPECIALIST)]))
            }
            assert len(answers) == 1, (who, act)


def test_the_kinds_without_any_standing_are_closed_everywhere() -> None:
    for who in (NOBODY,):
        for type in ("DocumentReference", "Patient", "Practitioner", "AuditEvent"):
            for act in Act:
                with pytest.raises(Forbidden):
                    closed(who, type, act, law(), "r")


def test_every_kind_is_somebody_here() -> None:
    assert {who.kind for who in EVERYBODY.values()} == set(Kind)


# One rule's ground is not another's limit


@pytest.mark.parametrize("who", [nurse(), professional(), hospital(), feeder(), support(), carer(), patient("199")])
def test_no_limit_lets_anybody_in(who) -> None:  # type: ignore[no-untyped-def] # noqa: ANN001
    """With all limits open, a requester without a ground still sees nothing of the record."""
    if who.kind is Kind.SUPPORT:
        assert not sees(who, document_reference(), record())
        return
    facts = record()
    for type in ("DocumentReference", "Patient", "Consent", "Observation", "Binary"):
        assert not sees(who, resource(type), facts), type


def test_conformance_is_a_ground_of_its_own() -> None:
    without = [rule for rule in RULES if rule.__name__ != "conformance"]
    assert sees(conformance(), document_reference(), record())
    assert not sees(conformance(), document_reference(), record(), rules=without)


def test_support_reads_no_binary_that_waits() -> None:
    assert not sees(support(), binary(), NO_RECORD)


def test_an_unknown_kind_of_label_policy_does_not_change_decisions() -> None:
    """R-27 is a rule on writing; reading a document with both labels is hidden from both sides."""
    tables = replace(law(), masked_and_invisible=True)
    both = document_reference(security_label=["MASQUE_PS", "INVISIBLE_PATIENT"])
    facts = record(consents=[authorisation(SPECIALIST)])
    assert not sees(professional(SPECIALIST), both, facts, tables=tables)
    assert not sees(patient(), both, facts, tables=tables)

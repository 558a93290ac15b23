"""What holds of every decision, whoever asks for whatever in whatever record."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from fhir_server.consent.circumstances import Act, Circumstances, circumstances, possible_standings
from fhir_server.consent.decide import decide
from fhir_server.consent.rules import RULES, Rule
from fhir_server.consent.speaks import declared
from fhir_server.consent.verdict import Effect, Verdict, deny, limit
from fhir_server.identity.requester import Kind, Purpose, Realm
from fhir_server.record.facts import NO_RECORD, Facts
from fhir_server.search.predicate import NEVER, Entry, Field, matches, one_of
from tests.build import (
    EVERYBODY,
    HELENE,
    HOSPITAL,
    MINOR,
    NOW,
    OTHER_DOCTOR,
    SPECIALIST,
    authorisation,
    binary,
    block,
    conformance,
    document_reference,
    emergency_choice,
    emergency_doctor,
    hospital,
    law,
    medecin_traitant,
    nurse,
    patient,
    professional,
    record,
    related_person,
    resource,
    trace,
)

# What can be seen at all is drawn more often than what cannot: else most examples are empty and prove nothing.
requesters = st.one_of(
    st.sampled_from([patient(), professional(), nurse(SPECIALIST), emergency_doctor(), hospital(), conformance()]),
    st.sampled_from(
        [*EVERYBODY.values(), professional(organisation=HOSPITAL), professional(OTHER_DOCTOR, person=MINOR)]
    ),
)
acts = st.one_of(st.just(Act.CONSULT), st.sampled_from(Act))
choices = st.lists(
    st.sampled_from(
        [
            authorisation(SPECIALIST),
            authorisation(HOSPITAL),
            authorisation(SPECIALIST, start="2026-01-01", end="2026-02-01", id="past"),
            medecin_traitant(SPECIALIST),
            block(SPECIALIST),
            block(SPECIALIST).inactive("2026-03-01"),
            block(OTHER_DOCTOR),
            emergency_choice("BTG", "deny"),
            emergency_choice("ETREAT", "deny"),
            emergency_choice("MASKED", "permit"),
        ]
    ),
    max_size=4,
)
records = st.one_of(
    st.sampled_from([NO_RECORD, record(), record(consents=[authorisation(SPECIALIST)])]),
    st.builds(
        lambda consents, active, minor: record(
            consents=consents, active=active, ins=MINOR if minor else HELENE, related_persons=[related_person()]
        ),
        choices,
        st.sampled_from([True, True, True, False]),
        st.sampled_from([False, False, False, True]),
    ),
)
depositors = st.sampled_from([who.key for who in EVERYBODY.values()])
labels = st.lists(
    st.sampled_from(["MASQUE_PS", "INVISIBLE_PATIENT", "INVISIBLE_REPRESENTANTS_LEGAUX", "N"]), max_size=2, unique=True
)
documents = st.builds(
    document_reference,
    subject=st.sampled_from(["demo-1", "demo-1", "demo-1", "demo-2", None]),
    security_label=labels,
    category=st.sampled_from(["11", "95", None]),
    author=st.sampled_from([SPECIALIST, None]),
    deposited_by=depositors,
    organisation=st.sampled_from([f"finess|{HOSPITAL}", None]),
    secret=st.booleans(),
    realm=st.sampled_from([Realm.ESSAI, Realm.ESSAI, Realm.ESSAI, Realm.REEL]),
)
entries = st.one_of(
    documents,
    documents,
    documents,
    st.builds(lambda owner, by: binary(owner=owner, deposited_by=by), st.none() | documents, depositors),
    st.builds(
        lambda one, by: resource(one, deposited_by=by),
        st.sampled_from(["Patient", "Consent", "RelatedPerson", "Observation", "Practitioner", "Basic"]),
        depositors,
    ),
    st.builds(
        lambda agent, target, secret: trace(agent=agent, target=target, secret=secret),
        depositors,
        st.sampled_from(["DocumentReference/d1", None]),
        st.booleans(),
    ),
)


class Question:
    """Circumstances, and entries to ask about."""

    def __init__(self, seen: Circumstances, shown: list[Entry]) -> None:
        """Ask about these."""
        self.seen, self.shown = seen, shown

    def __repr__(self) -> str:
        """Without the tables of the law, which would bury all else."""
        seen = self.seen
        who = f"{seen.requester.kind} {seen.requester.key} {seen.requester.purpose}"
        return f"{who}: {seen.act} {seen.type}, {seen.facts}, hidden {set(seen.hidden)}, of {self.shown}"


@st.composite
def questions(draw: st.DrawFn) -> Question:
    """A question, most entries of which are of the type in question."""
    shown = draw(st.lists(entries, min_size=1, max_size=6))
    type = draw(st.sampled_from([one["rt"] for one in shown]))
    facts: Facts = draw(records)
    seen = circumstances(
        requester=draw(requesters),
        act=draw(acts),
        type=type,
        facts=facts,
        now=NOW,
        law=law(),
        hidden=draw(st.frozensets(st.just("DocumentReference/d1"))),
    )
    return Question(seen, shown)


def visible(question: Question, rules: list[Rule]) -> list[bool]:
    predicate = decide(question.seen, rules).visible.predicate
    return [matches(predicate, one) for one in question.shown]


@given(question=questions(), shuffled=st.permutations(RULES))
def test_the_order_of_the_rules_does_not_matter(question: Question, shuffled: list[Rule]) -> None:
    assert visible(question, shuffled) == visible(question, list(RULES))


@given(question=questions())
def test_a_rule_keeps_what_it_declares(question: Question) -> None:
    """It is silent where it says it does not speak, and the record changes nothing where it says so."""
    seen = question.seen
    for rule in RULES:
        told, verdict = declared(rule), rule(seen)
        if seen.requester.kind not in told.kinds or seen.act not in told.acts:
            assert verdict.effect is not Effect.LIMIT, rule
            assert verdict.where == NEVER, rule
        if not told.of_record:
            known = (seen.requester, seen.act, seen.type)
            alone = Circumstances(*known, NO_RECORD, 0, seen.law, possible_standings(seen.requester))
            assert (verdict.effect, verdict.where) == (rule(alone).effect, rule(alone).where), rule


@given(question=questions(), effect=st.sampled_from([Effect.LIMIT, Effect.DENY]), one=st.sampled_from(["d1", "d2"]))
def test_one_more_limit_or_withdrawal_never_shows_more(question: Question, effect: Effect, one: str) -> None:
    say = limit if effect is Effect.LIMIT else deny
    verdict = say("more", one_of(Field.ID, f"DocumentReference/{one}"), "")

    def more(_seen: Circumstances) -> Verdict:
        return verdict

    before, after = visible(question, list(RULES)), visible(question, [*RULES, more])
    assert all(known or not now for known, now in zip(before, after, strict=True))


@given(question=questions(), dropped=st.sampled_from(RULES))
def test_dropping_a_ground_never_shows_more_and_dropping_the_others_never_less(
    question: Question, dropped: Rule
) -> None:
    whole = visible(question, list(RULES))
    without = visible(question, [rule for rule in RULES if rule is not dropped])
    fewer, more = (without, whole) if dropped(question.seen).effect is Effect.PERMIT else (whole, without)
    assert all(b or not a for a, b in zip(fewer, more, strict=True))


@given(question=questions())
def test_what_is_visible_has_a_ground_is_within_every_limit_and_is_not_withdrawn(
    question: Question,
) -> None:
    seen, shown = question.seen, question.shown
    verdicts = decide(seen).verdicts
    for entry, found in zip(shown, visible(question, list(RULES)), strict=True):
        by_effect: dict[Effect, list[bool]] = {effect: [] for effect in Effect}
        for verdict in verdicts:
            by_effect[verdict.effect].append(matches(verdict.where, entry))
        assert found is (
            any(by_effect[Effect.PERMIT]) and all(by_effect[Effect.LIMIT]) and not any(by_effect[Effect.DENY])
        )


@given(question=questions())
def test_what_no_record_and_no_requester_can_change(question: Question) -> None:
    """The promises of access.md, said again without the rules."""
    seen, shown = question.seen, question.shown
    requester = seen.requester
    for entry, found in zip(shown, visible(question, list(RULES)), strict=True):
        if not found:
            continue
        assert entry["rt"] == seen.type
        assert entry["realm"] == requester.realm
        assert requester.kind is not Kind.CARER
        assert requester.kind is not Kind.FEEDER or seen.act in (Act.FEED, Act.COLLECT)
        assert requester.kind is not Kind.SUPPORT or entry["rt"] == "AuditEvent"
        if requester.kind is Kind.CONFORMANCE:
            continue
        _promises(seen, entry)


def _promises(seen: Circumstances, entry: dict[str, Any] | Entry) -> None:
    requester, facts = seen.requester, seen.facts
    if entry["rt"] == "Practitioner":
        return
    if entry["rt"] == "AuditEvent":
        assert requester.kind is Kind.SUPPORT or entry["agent"] == requester.key or entry["record"] == facts.record
        return
    patient_side = requester.kind in (Kind.PATIENT, Kind.REPRESENTATIVE)
    own = entry["deposit"]["by"] in {requester.key} | (facts.persons if patient_side else set())
    by_structure = entry["deposit"]["organisation"] == f"finess|{requester.organisation}"
    waiting = entry["rt"] == "Binary" and entry["record"] is None
    assert entry["record"] == facts.record or (waiting and (own or by_structure))
    assert facts.open or entry["rt"] == "Patient" or entry["record"] is None
    if seen.act in (Act.FEED, Act.DELETE_OWN):
        assert own or by_structure or entry["deposit"]["by"] in facts.persons
    if "INVISIBLE_PATIENT" in entry["labels"]:
        assert requester.kind not in (Kind.PATIENT, Kind.REPRESENTATIVE)
    if "INVISIBLE_REPRESENTANTS_LEGAUX" in entry["labels"] or entry["deposit"]["secret"]:
        assert requester.kind is not Kind.REPRESENTATIVE
    if requester.kind is not Kind.PROFESSIONAL or seen.act in (Act.FEED, Act.STATUS):
        return
    calm = requester.purpose is Purpose.TREAT
    assert not calm or f"rpps|{requester.rpps}" not in facts.blocked or entry["record"] is None
    if seen.act is Act.COLLECT:
        return  # whoever treats the patient writes down what he decided, unless he is blocked
    authorised = bool(facts.authorisations or facts.medecins_traitants)
    assert own or authorised or (not calm and facts.emergency[requester.purpose])
    if "MASQUE_PS" in entry["labels"] and not own and f"rpps|{requester.rpps}" not in entry["authors"]:
        assert facts.medecins_traitants if calm else facts.emergency["MASKED"]
    if requester.profession == "60" and seen.act is Act.CONSULT:
        assert entry["category"] != "95"

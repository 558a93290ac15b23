"""What holds of every explanation, whoever it is about."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from fhir_server.consent.circumstances import Circumstances, Domain
from fhir_server.consent.decide import decide
from fhir_server.consent.explain import OF_HIDDEN, Explanation, Outcome, explain
from fhir_server.consent.reach import Reach, known_of_type
from fhir_server.consent.rules import RULES
from fhir_server.consent.verdict import Effect
from fhir_server.consent.words import words
from fhir_server.search.predicate import Entry, Field, matches
from tests.build import PARIS
from tests.properties.test_every_decision import Question, questions


def explained(seen: Circumstances, entry: Entry | None = None, *, whole: bool = True) -> Explanation:
    return explain(seen, entry, whole=whole, zone=PARIS)


@given(question=questions(), whole=st.booleans())
def test_what_is_explained_as_permitted_is_what_is_visible(question: Question, whole: bool) -> None:
    predicate = decide(question.seen).visible.predicate
    for entry in question.shown:
        told = explained(question.seen, entry, whole=whole)
        assert told.outcome is (Outcome.PERMIT if matches(predicate, entry) else Outcome.DENY)


@given(question=questions())
def test_of_a_whole_type_permitted_is_all_of_it_and_denied_is_none_of_it(question: Question) -> None:
    seen = replace(question.seen, hidden=frozenset())
    predicate, told = decide(seen).visible.predicate, explained(seen)
    for entry in question.shown:
        if is_of_the_type(seen, entry) and told.outcome is not Outcome.PARTLY:
            assert matches(predicate, entry) is (told.outcome is Outcome.PERMIT)


def is_of_the_type(seen: Circumstances, entry: Entry) -> bool:
    """Whether it is what the explanation of a whole type is about: of this record, with what this type carries."""
    known = known_of_type(seen)
    here = entry["rt"] == seen.type and {entry["realm"]} == known[Field.REALM]
    if seen.domain is not Domain.DIRECTORY and entry["record"] != seen.facts.record:
        return False
    labelled = entry.get("labels") or (entry.get("deposit") or {}).get("secret")
    return here and (seen.domain in (Domain.CONTENTS, Domain.TRACE) or not labelled)


@given(question=questions())
def test_an_explanation_of_a_type_tells_nothing_of_what_is_hidden(question: Question) -> None:
    without = replace(question.seen, hidden=frozenset())
    for whole in (True, False):
        assert explained(question.seen, whole=whole) == explained(without, whole=whole)


@given(question=questions())
def test_auditors_are_told_every_rule_and_others_what_mattered(question: Question) -> None:
    for entry in (None, *question.shown):
        everything = explained(question.seen, entry)
        assert {one.rule for one in everything.reasons} == set(words().rules)
        assert len(everything.reasons) == len(RULES)
        part = explained(question.seen, entry, whole=False)
        assert part.outcome is everything.outcome
        assert set(part.reasons) <= set(everything.reasons)
        assert OF_HIDDEN.isdisjoint(one.rule for one in part.reasons)
        if entry is not None:
            assert "invisible-to-patient" not in {one.rule for one in part.reasons}


@given(question=questions())
def test_the_decisive_reason_comes_first_and_opens_the_summary(question: Question) -> None:
    for entry in question.shown:
        told = explained(question.seen, entry)
        by = {one.rule: one for one in told.reasons}
        first = told.reasons[0]
        if told.outcome is Outcome.PERMIT:
            assert (first.effect, first.applies) == (Effect.PERMIT, Reach.ALL)
        elif any(one.effect is Effect.DENY and one.applies is Reach.ALL for one in by.values()):
            assert (first.effect, first.applies) == (Effect.DENY, Reach.ALL)
        elif any(one.effect is Effect.LIMIT and one.applies is Reach.NONE for one in by.values()):
            assert (first.effect, first.applies) == (Effect.LIMIT, Reach.NONE)
        else:
            assert not any(one.effect is Effect.PERMIT and one.applies is Reach.ALL for one in by.values())
            assert told.summary.fr.startswith(f"Non. {words().general.no_ground.fr}")
            continue
        lead = {Outcome.PERMIT: "Oui.", Outcome.DENY: "Non."}[told.outcome]
        assert told.summary.fr.startswith(f"{lead} {first.sentence.fr}")


@given(question=questions(), whole=st.booleans())
def test_every_sentence_is_whole_in_both_languages(question: Question, whole: bool) -> None:
    for entry in (None, *question.shown):
        told = explained(question.seen, entry, whole=whole)
        for sentence in (told.summary, *(one.sentence for one in told.reasons)):
            assert sentence.fr.endswith(".")
            assert sentence.en.endswith(".")
            assert not {"{", "}"} & {*sentence.fr, *sentence.en}

"""What a rule declares of itself holds for every kind of requester, every act and every column of the acts table.

`consent.decide` asks only the rules that declare to speak, and keeps the verdict of those that declare to rest on
nothing of the record: a declaration too narrow would be a rule that is not there. Here none is drawn, all are asked.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Final

import pytest

from fhir_server.consent.circumstances import Act, Circumstances, circumstances, possible_standings
from fhir_server.consent.rules import RULES, Rule
from fhir_server.consent.speaks import declared
from fhir_server.consent.verdict import Effect
from fhir_server.record.consents import Policy
from fhir_server.record.facts import NO_RECORD
from fhir_server.search.predicate import ALWAYS, NEVER
from tests.build import (
    EVERYBODY,
    HOSPITAL,
    MINOR,
    NOW,
    SPECIALIST,
    STRANGER,
    authorisation,
    block,
    care_team,
    carer,
    choice,
    delegation,
    emergency_choice,
    law,
    medecin_traitant,
    professional,
    record,
    related_person,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

REQUESTERS: Final = (
    *EVERYBODY.values(),
    carer(STRANGER),
    professional(organisation=HOSPITAL),
    professional(roles=(), person=MINOR),
)
TYPES: Final = (
    *("DocumentReference", "Binary", "Observation", "Communication", "Provenance", "Appointment"),
    *("Patient", "Consent", "CareTeam", "AuditEvent", "Practitioner", "Slot"),
)
RECORDS: Final = (
    NO_RECORD,
    record(active=False),
    record(
        consents=[
            authorisation(SPECIALIST),
            medecin_traitant(SPECIALIST),
            delegation(),
            emergency_choice("BTG", "permit"),
        ],
        related_persons=[related_person()],
    ),
    record(
        consents=[
            *(authorisation(SPECIALIST), block(SPECIALIST), emergency_choice("BTG", "deny")),
            *(choice(Policy.MASQUAGE_HISTORIQUE), delegation(status="proposed")),
        ],
        care_teams=[care_team(SPECIALIST)],
    ),
    record(care_teams=[care_team(SPECIALIST)]),
)


def asked() -> Iterator[Circumstances]:
    for who, act, type, facts in product(REQUESTERS, Act, TYPES, RECORDS):
        yield circumstances(
            requester=who,
            act=act,
            type=type,
            facts=facts,
            now=NOW,
            law=law(),
            hidden=frozenset({"DocumentReference/d1"}),
            others=(("demo-2", NEVER),),
        )


EVERYTHING: Final = list(asked())


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_a_rule_is_silent_where_it_does_not_declare_to_speak(rule: Rule) -> None:
    told, spoke = declared(rule), False
    for seen in EVERYTHING:
        verdict = rule(seen)
        nothing = ALWAYS if verdict.effect is Effect.LIMIT else NEVER
        spoke = spoke or verdict.where != nothing
        if seen.requester.kind not in told.kinds or seen.act not in told.acts:
            assert verdict.effect is not Effect.LIMIT, "a limit answers for everybody"
            assert verdict.where == NEVER, seen
    assert spoke, "else nothing was proved"


@pytest.mark.parametrize("rule", [one for one in RULES if not declared(one).of_record], ids=lambda rule: rule.__name__)
def test_what_it_declares_not_to_look_at_changes_nothing(rule: Rule) -> None:
    for seen in EVERYTHING:
        standings = possible_standings(seen.requester)
        alone = Circumstances(seen.requester, seen.act, seen.type, NO_RECORD, 0, seen.law, standings)
        assert (rule(seen).effect, rule(seen).where) == (rule(alone).effect, rule(alone).where), seen

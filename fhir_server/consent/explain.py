"""Why somebody would see something or not, in words a patient understands and in rules an auditor can look up.

For one requester, one act and one type, about one stored entry, or about the whole type in this record. Of a whole type
the rules are told, never what is stored: nothing here says whether something exists (:mod:`fhir_server.consent.reach`).

What the reader himself may not know is left out when he is no auditor (``whole=False``): rules that speak only where
something is hidden, and all that did not matter.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from fhir_server.consent.decide import decide
from fhir_server.consent.reach import Reach, known_of_type, of_entry, of_type
from fhir_server.consent.rules import RULES
from fhir_server.consent.telling import BEYOND, BY_STANDING, choose
from fhir_server.consent.verdict import Effect
from fhir_server.consent.words import Outcomes, Sentence, fill, words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import tzinfo

    from fhir_server.consent.circumstances import Circumstances
    from fhir_server.consent.verdict import Verdict
    from fhir_server.search.predicate import Entry, Predicate

OF_HIDDEN: Final = frozenset({"refers-to-hidden", "other-records", "traces-of-hidden"})
"""They speak only where something is hidden, or of somebody else's record: told to auditors alone."""
_OF_LABEL: Final = frozenset({"invisible-to-patient"})
"""Of one entry, told to auditors alone: it is not even seen by anybody else who asks. As a rule it is no secret."""


class Outcome(StrEnum):
    """What follows for one entry: shown or not. For a whole type also: some of it, as the rules say."""

    PERMIT = "permit"
    DENY = "deny"
    PARTLY = "partly"


@dataclass(frozen=True, slots=True)
class Reason:
    """What one rule had to do with it."""

    rule: str
    effect: Effect
    applies: Reach
    """How much of what was asked about its predicate matches. A limit that matches excludes nothing."""
    rests: tuple[str, ...]
    """Rules of the DMP: R-nn."""
    law: tuple[str, ...]
    decided: tuple[str, ...]
    """What else it follows from."""
    sentence: Sentence
    news: bool
    """Worth telling somebody who did not ask about this rule."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """The outcome, what decided it first, and both in a few sentences."""

    outcome: Outcome
    reasons: tuple[Reason, ...]
    summary: Sentence


def explain(seen: Circumstances, entry: Entry | None = None, *, whole: bool, zone: tzinfo) -> Explanation:
    """Explain the decision on one entry, or on the whole type in this record where there is none.

    ``whole`` is for auditors: every rule is told. For others, only those that mattered and that they may know. Whether
    the reader may ask about this entry at all is for the caller to decide. Dates are written as in ``zone``.
    """
    if entry is None:
        # a rule about what is hidden says something only where there is something: of a type, it is not asked
        seen = replace(seen, hidden=frozenset(), others=(), shown=frozenset())
    reach = _reach(seen, entry)
    outcome = _OUTCOMES[reach(decide(seen).visible.predicate)]
    reasons = _in_order([_reason(seen, rule(seen), reach, entry, zone) for rule in RULES])
    parts = _Parts.of(reasons)
    ranked = parts.ranked(outcome)
    if whole:
        return Explanation(outcome, _unique((*ranked, *reasons)), _summary(outcome, parts))
    untold = OF_HIDDEN if entry is None else OF_HIDDEN | _OF_LABEL
    known = _Parts.of([one for one in reasons if one.rule not in untold])
    return Explanation(outcome, known.ranked(outcome), _summary(outcome, known))


def _reach(seen: Circumstances, entry: Entry | None) -> Callable[[Predicate], Reach]:
    if entry is not None:
        return lambda predicate: of_entry(predicate, entry)
    known = known_of_type(seen)
    return lambda predicate: of_type(predicate, known)


def _reason(
    seen: Circumstances, verdict: Verdict, reach: Callable[[Predicate], Reach], entry: Entry | None, zone: tzinfo
) -> Reason:
    told, general = words().rules[verdict.rule], words().general
    applies = reach(verdict.where)
    said = choose(seen, verdict.rule, told, applies, entry)
    if said.key is None:
        sentence = general.beyond if said is BEYOND else general.silent
    else:
        sentence = fill(told.words[said.key], said.moments, zone)
    return Reason(verdict.rule, told.effect, applies, told.rests, told.law, told.decided, sentence, said.news)


@dataclass(frozen=True, slots=True)
class _Parts:
    """The reasons by what they did, each part in the order of the words."""

    granted: tuple[Reason, ...]
    missing: tuple[Reason, ...]
    """Grounds the requester could have had, and has not for this."""
    excluding: tuple[Reason, ...]
    including: tuple[Reason, ...]
    """Limits that matter and exclude nothing."""
    withdrawing: tuple[Reason, ...]
    sparing: tuple[Reason, ...]
    """Withdrawals that are there, and do not hit this."""

    @staticmethod
    def of(reasons: Sequence[Reason]) -> _Parts:
        def those(effect: Effect, *reaches: Reach, news: bool = False) -> tuple[Reason, ...]:
            found = [one for one in reasons if one.effect is effect and one.applies in reaches]
            # what applies to all comes before what applies to some, and news before what another reason says better
            return tuple(
                sorted(
                    (one for one in found if one.news or not news), key=lambda one: (_RANK[one.applies], not one.news)
                )
            )

        return _Parts(
            granted=those(Effect.PERMIT, Reach.ALL, Reach.SOME),
            missing=those(Effect.PERMIT, Reach.NONE, news=True),
            excluding=those(Effect.LIMIT, Reach.SOME, Reach.NONE),
            including=those(Effect.LIMIT, Reach.ALL, news=True),
            withdrawing=those(Effect.DENY, Reach.ALL, Reach.SOME),
            sparing=those(Effect.DENY, Reach.NONE, news=True),
        )

    @property
    def lacking(self) -> tuple[Reason, ...]:
        """The missing grounds, where no other lets the requester into the record."""
        into = any(one.applies is Reach.ALL or one.rule in BY_STANDING for one in self.granted)
        return () if into else self.missing

    def ranked(self, outcome: Outcome) -> tuple[Reason, ...]:
        """What mattered, the decisive first: of a refusal what withdraws, then what excludes, then what is missing."""
        if outcome is Outcome.DENY:
            return (*self.against, *self.lacking, *self.granted)
        restricting = (*self.withdrawing, *self.excluding)
        return (*self.granted, *self.lacking, *restricting, *self.including, *self.sparing)

    @property
    def against(self) -> tuple[Reason, ...]:
        """What refuses all that was asked about: withdrawals, then limits."""
        withdrawn = (one for one in self.withdrawing if one.applies is Reach.ALL)
        return (*withdrawn, *(one for one in self.excluding if one.applies is Reach.NONE))


_RANK: Final = {Reach.ALL: 0, Reach.SOME: 1, Reach.NONE: 2}
_LEADS: Final[Mapping[Outcome, Callable[[Outcomes], Sentence]]] = {
    Outcome.PERMIT: lambda told: told.permit,
    Outcome.DENY: lambda told: told.deny,
    Outcome.PARTLY: lambda told: told.partly,
}
_OUTCOMES: Final = {Reach.ALL: Outcome.PERMIT, Reach.NONE: Outcome.DENY, Reach.SOME: Outcome.PARTLY}


def _summary(outcome: Outcome, parts: _Parts) -> Sentence:
    told = [_LEADS[outcome](words().outcomes), *(_decisive(outcome, parts) or [words().general.unsaid])]
    return Sentence(fr=" ".join(one.fr for one in told), en=" ".join(one.en for one in told))


def _decisive(outcome: Outcome, parts: _Parts) -> list[Sentence]:
    """What to say in a few sentences: what gives access and what restricts it, or what refuses it."""
    if outcome is Outcome.DENY:
        if parts.against or parts.granted:
            return [one.sentence for one in parts.against]
        return [words().general.no_ground, *(one.sentence for one in parts.lacking[:1])]
    restricting = () if parts.lacking else (*parts.withdrawing, *parts.excluding, *parts.sparing)
    return [one.sentence for one in (*parts.granted[:1], *parts.lacking[:1], *restricting)]


def _in_order(reasons: Iterable[Reason]) -> list[Reason]:
    order = {rule: number for number, rule in enumerate(words().rules)}
    return sorted(reasons, key=lambda one: order[one.rule])


def _unique(reasons: Iterable[Reason]) -> tuple[Reason, ...]:
    return tuple({one.rule: one for one in reasons}.values())

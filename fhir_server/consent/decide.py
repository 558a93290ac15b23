"""The decision: every rule speaks, the algebra concludes.

``visible = any_of(permits) AND all_of(limits) AND NOT any_of(denials)``

Silence shows nothing: `any_of([])` is `Never`. Only this module makes a :class:`Visible`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from fhir_server.consent.circumstances import Act, Circumstances, Law, allows, possible_standings
from fhir_server.consent.messages import told
from fhir_server.consent.rules import RULES
from fhir_server.consent.speaks import declared
from fhir_server.consent.verdict import Effect, Verdict
from fhir_server.consent.where import belonging_to
from fhir_server.fhir.errors import Forbidden
from fhir_server.record.facts import NO_RECORD
from fhir_server.search.predicate import ALWAYS, Never, all_of, any_of, negate
from fhir_server.search.visible import Visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from fhir_server.consent.rules import Rule
    from fhir_server.identity.requester import Kind, Requester
    from fhir_server.search.predicate import Predicate

OWN_ACTS: Final = "own-acts"
"""The one ground for reading a trace that does not open its sealed part."""

_OF_HIDDEN: Final = frozenset({"refers-to-hidden", "other-records", "traces-of-hidden"})
"""Withdrawals that speak only where something is hidden: to name them in a trace would tell its reader that (R-22)."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What every rule said, and what follows."""

    verdicts: tuple[Verdict, ...]
    visible: Visible

    @property
    def rules(self) -> tuple[str, ...]:
        """The rules that spoke: the grounds given, then the withdrawals made, for the sealed part of the trail."""
        return tuple(
            f"{effect}:{verdict.rule}"
            for effect in (Effect.PERMIT, Effect.DENY)
            for verdict in self.verdicts
            if verdict.effect is effect and verdict.rule not in _OF_HIDDEN and not isinstance(verdict.where, Never)
        )


def decide(seen: Circumstances, rules: Sequence[Rule] = RULES) -> Decision:
    """Decide one act on one type in one record: every rule that speaks of it does."""
    requester, rules = seen.requester, rules if isinstance(rules, tuple) else tuple(rules)
    fixed = _fixed(requester, seen.act, seen.type, seen.law, rules)
    spoken = [rule(seen) for rule in _speaking(rules, requester.kind, seen.act).of_record]
    place = belonging_to(seen.type, seen.facts.record or "")
    return Decision((*fixed, *spoken), _conclude((*fixed, *spoken), place))


@dataclass(frozen=True, slots=True)
class _Speaking:
    """The rules that speak of one act of one kind of requester: those of the record, and those that never change."""

    of_record: tuple[Rule, ...]
    fixed: tuple[Rule, ...]


@lru_cache(maxsize=1024)
def _speaking(rules: tuple[Rule, ...], kind: Kind, act: Act) -> _Speaking:
    all_rules = [(rule, declared(rule)) for rule in rules]
    heard = [(rule, one) for rule, one in all_rules if kind in one.kinds and act in one.acts]
    return _Speaking(
        of_record=tuple(rule for rule, one in heard if one.of_record),
        fixed=tuple(rule for rule, one in heard if not one.of_record),
    )


@lru_cache(maxsize=8192)
def _fixed(requester: Requester, act: Act, type: str, law: Law, rules: tuple[Rule, ...]) -> tuple[Verdict, ...]:
    """What the rules say that rest on the requester, the act, the type and the law alone."""
    standings = possible_standings(requester)
    seen = Circumstances(requester, act, type, NO_RECORD, 0, law, standings)
    return tuple(rule(seen) for rule in _speaking(rules, requester.kind, act).fixed)


def sealed(decision: Decision) -> Visible:
    """Of a decision on the act trace: for which traces the requester may read the sealed part (docs/trail.md)."""
    return _conclude([verdict for verdict in decision.verdicts if verdict.rule != OWN_ACTS])


def together(decisions: Sequence[Decision]) -> Visible:
    """What any of several decisions shows: of several records, or of several types."""
    shown = any_of([decision.visible.predicate for decision in decisions])
    # the place matters where nothing is shown
    place = any_of([decision.visible.place for decision in decisions]) if isinstance(shown, Never) else ALWAYS
    return Visible(shown, place)


def closed(requester: Requester, type: str, act: Act, law: Law, letter: str) -> None:
    """Raise 403 when the act is closed to this requester whatever is stored.

    ``letter`` is the interaction's letter of a SMART scope. Nothing here depends on stored data (access: 403 or 404).
    """
    standings = possible_standings(requester)
    if not any(allows(law, standing, type, act) for standing in standings):
        raise Forbidden(told("role", type=type))
    if not requester.may(type, letter):
        raise Forbidden(told("scopes", type=type))


def _conclude(verdicts: Iterable[Verdict], place: Predicate = ALWAYS) -> Visible:
    permits, limits, denials = [], [], []
    for verdict in verdicts:
        match verdict.effect:
            case Effect.PERMIT:
                permits.append(verdict.where)
            case Effect.LIMIT:
                limits.append(verdict.where)
            case Effect.DENY:
                denials.append(verdict.where)
    return Visible(all_of([any_of(permits), *limits, negate(any_of(denials))]), place)

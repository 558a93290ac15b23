"""The decision: every rule speaks, the algebra concludes.

``visible = any_of(permits) AND all_of(limits) AND NOT any_of(denials)``

Silence shows nothing: `any_of([])` is `Never`. Only this module makes a :class:`Visible`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from fhir_server.consent.circumstances import Act, Circumstances, Law, allows, possible_standings
from fhir_server.consent.rules import RULES
from fhir_server.consent.verdict import Effect, Verdict
from fhir_server.fhir.errors import Forbidden
from fhir_server.search.predicate import Never, all_of, any_of, negate
from fhir_server.search.visible import Visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from fhir_server.consent.rules import Rule
    from fhir_server.identity.requester import Requester

OWN_ACTS: Final = "own-acts"
"""The one ground for reading a trace that does not open its sealed part."""

_OF_HIDDEN: Final = frozenset({"refers-to-hidden", "traces-of-hidden"})
"""Withdrawals that speak only where something is hidden: to name them in a trace would tell its reader that (R-22)."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What every rule said, and what follows."""

    verdicts: tuple[Verdict, ...]
    visible: Visible

    @property
    def rules(self) -> tuple[str, ...]:
        """The rules that spoke: the grounds given and the withdrawals made, for the sealed part of the trail."""
        return tuple(
            f"{verdict.effect}:{verdict.rule}"
            for verdict in self.verdicts
            if verdict.effect is not Effect.LIMIT
            and verdict.rule not in _OF_HIDDEN
            and not isinstance(verdict.where, Never)
        )


def decide(seen: Circumstances, rules: Sequence[Rule] = RULES) -> Decision:
    """Decide one act on one type in one record."""
    verdicts = tuple(rule(seen) for rule in rules)
    return Decision(verdicts, _conclude(verdicts))


def sealed(decision: Decision) -> Visible:
    """Of a decision on the act trace: for which traces the requester may read the sealed part (docs/trail.md)."""
    return _conclude([verdict for verdict in decision.verdicts if verdict.rule != OWN_ACTS])


def together(decisions: Sequence[Decision]) -> Visible:
    """What any of several decisions shows: of several records, or of several types."""
    return Visible(any_of([decision.visible.predicate for decision in decisions]))


def closed(requester: Requester, type: str, act: Act, law: Law, letter: str) -> None:
    """Raise 403 when the act is closed to this requester whatever is stored.

    ``letter`` is the interaction's letter of a SMART scope. Nothing here depends on stored data (access: 403 or 404).
    """
    standings = possible_standings(requester)
    if not any(allows(law, standing, type, act) for standing in standings):
        raise Forbidden(f"Your role may not do this with {type} resources.")
    if not requester.may(type, letter):
        raise Forbidden(f"The scopes of your token do not cover this interaction with {type} resources.")


def _conclude(verdicts: Iterable[Verdict]) -> Visible:
    permits, limits, denials = [], [], []
    for verdict in verdicts:
        match verdict.effect:
            case Effect.PERMIT:
                permits.append(verdict.where)
            case Effect.LIMIT:
                limits.append(verdict.where)
            case Effect.DENY:
                denials.append(verdict.where)
    return Visible(all_of([any_of(permits), *limits, negate(any_of(denials))]))

"""What a rule answers: one verdict, of one of three kinds.

``visible = any_of(permits) AND all_of(limits) AND NOT any_of(denials)``
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING

from fhir_server.search.predicate import NEVER

if TYPE_CHECKING:
    from fhir_server.search.predicate import Predicate


class Effect(StrEnum):
    """PERMIT is a ground for access, LIMIT a perimeter nothing exceeds, DENY what is withdrawn."""

    PERMIT = "permit"
    LIMIT = "limit"
    DENY = "deny"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer of one rule: its effect, where it applies, and why, in a sentence."""

    rule: str
    effect: Effect
    where: Predicate
    because: str


def permit(rule: str, where: Predicate, because: str) -> Verdict:
    """A ground for access to what `where` matches."""
    return Verdict(rule, Effect.PERMIT, where, because)


def limit(rule: str, where: Predicate, because: str) -> Verdict:
    """A perimeter: nothing outside `where` is visible, whatever the grounds."""
    return Verdict(rule, Effect.LIMIT, where, because)


def deny(rule: str, where: Predicate, because: str) -> Verdict:
    """What `where` matches is withdrawn, whatever the grounds."""
    return Verdict(rule, Effect.DENY, where, because)


@lru_cache(maxsize=256)
def silent(rule: str, effect: Effect, because: str = "") -> Verdict:
    """The rule has nothing to say here: it permits nothing, or denies nothing. A limit may not be silent.

    Most rules are silent most of the time, so each of these verdicts is made once.
    """
    if effect is Effect.LIMIT:
        raise AssertionError(f"the limit {rule} must answer for every requester")
    return Verdict(rule, effect, NEVER, because)

"""Of whom and of what a rule speaks, declared where it is written, so that the others are not asked.

A rule is silent for every kind of requester and every act it does not declare; whatever it does not declare at all, it
speaks of. One that rests on the requester, the act, the type and the law alone says so (``of_record=False``): its
verdict is kept for as long as the requester's token is. A property test holds both promises against every rule asked in
full.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from fhir_server.consent.circumstances import Act
from fhir_server.identity.requester import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

_Rule = TypeVar("_Rule", bound="Callable[..., object]")


@dataclass(frozen=True, slots=True)
class Speaks:
    """When a rule may say more than nothing, and what its verdict rests on."""

    kinds: frozenset[Kind]
    acts: frozenset[Act]
    of_record: bool
    """Its verdict rests on the record or the moment too, not only on the requester, the act, the type and the law."""


_EVERYTHING: Final = Speaks(frozenset(Kind), frozenset(Act), of_record=True)
_DECLARED: Final[dict[object, Speaks]] = {}


def speaks(
    kinds: Collection[Kind] = tuple(Kind), acts: Collection[Act] = tuple(Act), *, of_record: bool = True
) -> Callable[[_Rule], _Rule]:
    """Declare of whom and of what the decorated rule speaks."""

    def declare(rule: _Rule) -> _Rule:
        _DECLARED[rule] = Speaks(frozenset(kinds), frozenset(acts), of_record)
        return rule

    return declare


def declared(rule: object) -> Speaks:
    """What a rule declares; of one that declares nothing, everything."""
    return _DECLARED.get(rule, _EVERYTHING)


def acts_but(*acts: Act) -> frozenset[Act]:
    """All acts but these."""
    return frozenset(Act) - set(acts)

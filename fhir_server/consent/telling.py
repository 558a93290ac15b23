"""Which words of a rule fit what it found, and the dates they hold (`words.toml`).

Most rules speak by their effect alone: granted or not, within or outside, withdrawn or not. Those that can say more
choose here among their variants.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeAlias

from fhir_server.consent.circumstances import Act, Domain, Standing, organisation_key, possible_standings
from fhir_server.consent.circumstances import professional_key as person_key
from fhir_server.consent.reach import Reach
from fhir_server.consent.rules.care_history import CARE_HISTORY
from fhir_server.consent.rules.mask import spares
from fhir_server.consent.verdict import Effect
from fhir_server.fhir import date
from fhir_server.identity.requester import Kind, Purpose
from fhir_server.record.consents import Policy
from fhir_server.record.labels import MASKS
from fhir_server.search.predicate import matches

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from fhir_server.consent.circumstances import Circumstances
    from fhir_server.consent.words import RuleWords
    from fhir_server.record.consents import ConsentFact
    from fhir_server.record.facts import Grant
    from fhir_server.search.predicate import Entry


@dataclass(frozen=True, slots=True)
class Said:
    """The key of the words of a rule and the moments they hold; without a key, something general is said."""

    key: str | None
    moments: Mapping[str, int] = field(default_factory=dict)
    news: bool = True
    """Worth telling somebody who did not ask about this rule."""


SILENT: Final = Said(None, news=False)
BEYOND: Final = Said(None)
"""The requester has what the rule asks for, but that does not reach this."""


def choose(seen: Circumstances, rule: str, told: RuleWords, reach: Reach, entry: Entry | None) -> Said:
    """The words of this rule for what it reached: one entry, or where there is none the whole type."""
    match told.effect:
        case Effect.PERMIT:
            return _ground(seen, rule, told, reach, entry)
        case Effect.LIMIT:
            return _limit(seen, rule, told, reach)
        case Effect.DENY:
            return _withdrawal(seen, rule, told, reach, entry)


# Grounds


def _ground(seen: Circumstances, rule: str, told: RuleWords, reach: Reach, entry: Entry | None) -> Said:
    granted, refused = _GRANTED.get(rule, _granted), _NOT_GRANTED.get(rule)
    if reach is not Reach.NONE:
        return granted(seen, reach)
    if not _concerns(seen, told):
        return SILENT
    said = refused(seen) if refused is not None else Said("not_granted")
    if rule in BY_STANDING and seen.stands(*told.standings) and said.key not in _THOUGH_HE_STANDS:
        elsewhere = entry is not None and entry.get("record") != seen.facts.record
        partly = granted(seen, Reach.SOME)
        return BEYOND if elsewhere or partly.key not in told.words else partly
    return said


def _concerns(seen: Circumstances, told: RuleWords) -> bool:
    """Whether this requester could have had the ground: else its absence is no news."""
    return (
        seen.act in told.acts
        and seen.domain in told.domains
        and any(standing in told.standings and seen.allows(standing) for standing in possible_standings(seen.requester))
    )


BY_STANDING: Final = frozenset(
    "own-record medecin-traitant authorisation care-team carer invitation support conformance".split()
)
"""Grounds that a standing gives by itself; the others look at the thing, too."""
_THOUGH_HE_STANDS: Final = frozenset({"not_granted_blocked"})


def _granted(_seen: Circumstances, reach: Reach) -> Said:
    return Said("granted" if reach is Reach.ALL else "granted_partly")


def _own_record(seen: Circumstances, reach: Reach) -> Said:
    word = "granted_representative" if seen.requester.kind is Kind.REPRESENTATIVE else "granted"
    return Said(f"{word}_partly" if reach is Reach.SOME or _of_own_deposits(seen) else word)


def _of_own_deposits(seen: Circumstances) -> bool:
    return seen.domain is Domain.CONTENTS and seen.act in (Act.FEED, Act.CHANGE_OWN, Act.DELETE_OWN, Act.REPLACE)


def _not_represented(seen: Circumstances) -> Said:
    return Said("not_granted_representative" if seen.requester.kind is Kind.REPRESENTATIVE else "not_granted")


def _authorised(seen: Circumstances, reach: Reach) -> Said:
    if reach is Reach.SOME:
        return Said("granted_partly")
    person, structure = person_key(seen.requester), organisation_key(seen.requester)
    for key, word in ((person, "granted"), (structure, "granted_structure")):
        until = _until(seen, (grant for grant in seen.facts.authorisations if grant.actor == key))
        if until is not None:
            return Said(word, {"until": until})
    return Said("granted_named", news=False)


def _not_authorised(seen: Circumstances) -> Said:
    """Why not: never, not yet, over, or lost by a block."""
    keys = {person_key(seen.requester), organisation_key(seen.requester)} - {None}
    grants = [grant for grant in seen.facts.authorisations if grant.actor in keys]
    lifted = seen.facts.unblocked.get(person_key(seen.requester) or "", date.MIN)
    held = [grant for grant in grants if grant.granted > lifted]
    later = [grant.start for grant in held if grant.start > seen.now]
    if later:
        return Said("not_granted_yet", {"on": min(later)})
    over = [grant.end for grant in held if grant.end <= seen.now]
    if over:
        return Said("not_granted_expired", {"ended": max(over)})
    lost = any(grant.start <= seen.now < grant.end for grant in grants)
    return Said("not_granted_unblocked" if lost else "not_granted")


def _team(seen: Circumstances, reach: Reach) -> Said:
    if reach is Reach.SOME:
        return Said("granted_partly")
    chosen = {one.actor for one in _active(seen, Policy.EQUIPE)}
    actors = {key for key in (person_key(seen.requester), organisation_key(seen.requester)) if key is not None}
    teams = [team for team in seen.facts.teams if team.covers(actors, seen.now)]
    return Said("granted_authorised" if teams and all(team.key in chosen for team in teams) else "granted")


def _named(seen: Circumstances, reach: Reach) -> Said:
    if reach is Reach.SOME or seen.act is Act.DELETE_OWN:
        return Said("granted_partly")
    key = person_key(seen.requester)
    for grants, word in ((seen.facts.medecins_traitants, "granted"), (seen.facts.administrators, _ADMINISTRATOR)):
        until = _until(seen, (grant for grant in grants if grant.actor == key))
        if until is not None:
            return Said(word, {"until": until})
    return Said(_ADMINISTRATOR, {"until": date.MAX})


_ADMINISTRATOR: Final = "granted_administrator"


def _not_named(seen: Circumstances) -> Said:
    key = person_key(seen.requester)
    if seen.act is Act.TRACE and key in seen.facts.blocked and Standing.MEDECIN_TRAITANT in seen.standings:
        return Said("not_granted_blocked")
    declared = (one for one in seen.facts.consents if one.policy is Policy.MEDECIN_TRAITANT and one.proposed)
    return Said("not_granted_waiting" if any(one.actor == key for one in declared) else "not_granted")


def _carer(seen: Circumstances, reach: Reach) -> Said:
    if reach is Reach.SOME or _of_own_deposits(seen) or seen.act is Act.GOVERN:
        return Said("granted_partly")
    actor = f"ins|{seen.requester.actor.value}" if seen.requester.actor is not None else None
    mine = [one for one in seen.facts.carers if one.person == actor and one.accepted and one.start <= seen.now]
    return Said("granted", {"until": max((one.end for one in mine), default=date.MAX)})


def _emergency(seen: Circumstances, _reach: Reach) -> Said:
    return Said("granted_etreat" if seen.requester.purpose is Purpose.ETREAT else "granted_btg")


def _no_emergency(seen: Circumstances) -> Said:
    if seen.facts.emergency.get(seen.requester.purpose, False):
        return BEYOND
    return Said("not_granted_etreat" if seen.requester.purpose is Purpose.ETREAT else "not_granted_btg")


_GRANTED: Final[Mapping[str, Callable[[Circumstances, Reach], Said]]] = {
    "own-record": _own_record,
    "authorisation": _authorised,
    "care-team": _team,
    "medecin-traitant": _named,
    "carer": _carer,
    "emergency": _emergency,
}
_NOT_GRANTED: Final[Mapping[str, Callable[[Circumstances], Said]]] = {
    "own-record": _not_represented,
    "authorisation": _not_authorised,
    "medecin-traitant": _not_named,
    "emergency": _no_emergency,
}


# Limits


def _limit(seen: Circumstances, rule: str, told: RuleWords, reach: Reach) -> Said:
    if reach is Reach.ALL:
        asked = seen.act in told.acts and seen.domain in told.domains
        return Said("within", news=asked and seen.requester.kind in told.kinds)
    if rule == "life-of-record":
        return Said(f"outside_{seen.facts.life(seen.now)}")
    return Said("outside" if reach is Reach.NONE else "outside_partly")


# Withdrawals


def _withdrawal(seen: Circumstances, rule: str, told: RuleWords, reach: Reach, entry: Entry | None) -> Said:
    if reach is not Reach.NONE:
        return Said("withdrawn" if reach is Reach.ALL else "withdrawn_partly")
    spared = _SPARED.get(rule)
    word = spared(seen, entry) if spared is not None else None
    if word is not None:
        return Said(f"not_withdrawn_{word}")
    return Said("not_withdrawn", news=False) if seen.requester.kind in told.kinds else SILENT


def _not_blocked(seen: Circumstances, _entry: Entry | None) -> str | None:
    if person_key(seen.requester) not in seen.facts.blocked:
        return None
    return "emergency" if seen.emergency else "other"


def _not_masked(seen: Circumstances, entry: Entry | None) -> str | None:
    """Why a mask that is there hides nothing here."""
    if entry is None or MASKS.isdisjoint(entry.get("labels") or ()):
        return None
    if seen.requester.kind in _PATIENT_SIDE:
        return "patient"
    if not spares(seen):
        return "author"
    if Standing.MEDECIN_TRAITANT in seen.standings:
        return "named"
    return "emergency" if seen.emergency and seen.facts.emergency.get("MASKED", False) else "other"


def _history_shown(seen: Circumstances, entry: Entry | None) -> str | None:
    if not seen.facts.history_masked or (entry is not None and not matches(CARE_HISTORY, entry)):
        return None
    return "spared" if entry is not None else None


_PATIENT_SIDE: Final = frozenset({Kind.PATIENT, Kind.REPRESENTATIVE, Kind.CARER})
_Spared: TypeAlias = "Callable[[Circumstances, Entry | None], str | None]"
_SPARED: Final[Mapping[str, _Spared]] = {
    "block": _not_blocked,
    "mask": _not_masked,
    "care-history": _history_shown,
}


def _active(seen: Circumstances, policy: Policy) -> list[ConsentFact]:
    return [one for one in seen.facts.consents if one.policy is policy and one.active]


def _until(seen: Circumstances, grants: Iterable[Grant]) -> int | None:
    """When the last of these that is in force ends; nothing when none is."""
    lifted = seen.facts.unblocked.get(person_key(seen.requester) or "", date.MIN)
    ends = [grant.end for grant in grants if grant.start <= seen.now < grant.end and grant.granted > lifted]
    return max(ends, default=None)

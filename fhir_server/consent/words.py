"""What each rule says to people, in French and in English, and what it rests on: `words.toml`, checked at start.

The sentences are data, so that somebody who knows patients, and no Python, can review and change them.
"""

from __future__ import annotations

from datetime import datetime
from functools import cache
from pathlib import Path
from string import Formatter
from typing import TYPE_CHECKING, Final

import msgspec

from fhir_server.consent.circumstances import Act, Domain, Standing
from fhir_server.consent.verdict import Effect
from fhir_server.fhir import date
from fhir_server.identity.requester import Kind

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import tzinfo

TABLE: Final = Path(__file__).with_name("words.toml")

MOMENTS: Final = frozenset({"until", "on", "ended"})
"""The dates a sentence may hold: ``{until}`` is a whole phrase, empty for a right without an end."""

_LEAST: Final[Mapping[Effect, frozenset[str]]] = {
    Effect.PERMIT: frozenset({"granted", "not_granted"}),
    Effect.LIMIT: frozenset({"within", "outside"}),
    Effect.DENY: frozenset({"withdrawn", "not_withdrawn"}),
}
"""What a rule of each effect must be able to say, itself or by variants that begin so."""
_MONTHS: Final = (
    "janvier février mars avril mai juin juillet août septembre octobre novembre décembre".split(),
    "January February March April May June July August September October November December".split(),
)


class InvalidWords(ValueError):
    """The words cannot be honoured as they are written; the server does not start."""


class Sentence(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The same in both languages."""

    fr: str
    en: str


class Outcomes(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The first word of an explanation."""

    permit: Sentence
    deny: Sentence
    partly: Sentence


class General(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is said where no rule has words of its own."""

    silent: Sentence
    beyond: Sentence
    no_ground: Sentence
    unsaid: Sentence


class RuleWords(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One rule: what it is, what it rests on, what it says."""

    effect: Effect
    means: str
    rests: tuple[str, ...] = ()
    """Rules of the DMP: R-nn."""
    law: tuple[str, ...] = ()
    decided: tuple[str, ...] = ()
    """What else it follows from: a decision of ours, a specification."""
    kinds: frozenset[Kind] = frozenset()
    standings: frozenset[Standing] = frozenset()
    acts: frozenset[Act] = frozenset(Act)
    domains: frozenset[Domain] = frozenset(Domain)
    words: dict[str, Sentence]

    @property
    def grounds(self) -> tuple[str, ...]:
        """All it rests on, for the record."""
        return (*self.rests, *self.law, *self.decided)


class Words(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The file."""

    outcomes: Outcomes
    general: General
    rules: dict[str, RuleWords]


@cache
def words() -> Words:
    """The words as shipped, read once; `consent.complete` asks for them when the server starts."""
    return parse(TABLE.read_text(encoding="utf-8"))


def parse(text: str) -> Words:
    """Read the words; :class:`InvalidWords` says in a sentence what is wrong with them."""
    try:
        told = msgspec.toml.decode(text, type=Words)
    except msgspec.DecodeError as error:
        raise InvalidWords(f"The words of the rules cannot be read: {error}") from None
    for rule, one in told.rules.items():
        if not one.grounds:
            raise InvalidWords(f"{rule}: it does not say what it rests on.")
        _check_keys(rule, one)
        for key, sentence in one.words.items():
            if not sentence.fr or not sentence.en or _moments(rule, sentence.fr) != _moments(rule, sentence.en):
                raise InvalidWords(f"{rule}: {key} must say the same in French and in English.")
    return told


def must_speak(told: Words, rules: Mapping[str, Effect]) -> None:
    """Raise :class:`InvalidWords` unless exactly these rules have words, of these effects."""
    effects = {rule: one.effect for rule, one in told.rules.items()}
    if effects != rules:
        wrong = ", ".join(sorted({rule for rule, _ in effects.items() ^ rules.items()}))
        raise InvalidWords(f"Each rule needs its words in {TABLE.name}, of its own effect; these differ: {wrong}.")


def fill(sentence: Sentence, moments: Mapping[str, int], zone: tzinfo) -> Sentence:
    """The sentence with its dates, as the clocks of `zone` show them."""
    if not moments:
        return sentence
    return Sentence(
        fr=sentence.fr.format_map({name: _in_french(name, at, zone) for name, at in moments.items()}),
        en=sentence.en.format_map({name: _in_english(name, at, zone) for name, at in moments.items()}),
    )


def _check_keys(rule: str, one: RuleWords) -> None:
    least = _LEAST[one.effect]
    missing = [stem for stem in least if not any(key == stem or key.startswith(f"{stem}_") for key in one.words)]
    strange = [key for key in one.words if not any(key == stem or key.startswith(f"{stem}_") for stem in least)]
    if missing or strange:
        told = ", ".join(sorted({*missing, *strange}))
        raise InvalidWords(f"{rule}: its words must be of {', '.join(sorted(least))}, and each; these differ: {told}.")


def _moments(rule: str, text: str) -> Collection[str]:
    try:
        names = {name for _, name, _, _ in Formatter().parse(text) if name is not None}
    except ValueError:
        names = {"?"}
    if not names <= MOMENTS:
        raise InvalidWords(f"{rule}: a sentence may hold {', '.join(sorted(MOMENTS))} in braces, and nothing else.")
    return names


def _in_french(name: str, at: int, zone: tzinfo) -> str:
    if name == "until" and at >= date.MAX:
        return ""
    local, has_time = _local(name, at, zone)
    day = "1er" if local.day == 1 else str(local.day)
    told = f"{day} {_MONTHS[0][local.month - 1]} {local.year}"
    if has_time:
        told += f" à {local.hour}\u00a0h\u00a0{local.minute:02d}"
    return f" jusqu’au {told}" if name == "until" else told


def _in_english(name: str, at: int, zone: tzinfo) -> str:
    if name == "until" and at >= date.MAX:
        return ""
    local, has_time = _local(name, at, zone)
    told = f"{local.day} {_MONTHS[1][local.month - 1]} {local.year}"
    if has_time:
        told += f" at {local.hour}:{local.minute:02d}"
    return f" until {told}" if name == "until" else told


def _local(name: str, at: int, zone: tzinfo) -> tuple[datetime, bool]:
    """The moment in the zone, and whether its time matters: a right that ends at midnight lasts the day before."""
    moment = date.moment(min(max(at, date.MIN + _DAY), date.MAX - 2 * _DAY))
    local = moment.astimezone(zone)
    if (local.hour, local.minute, local.second, local.microsecond) != (0, 0, 0, 0):
        return local, True
    if name != "on":
        return date.moment(date.microseconds(moment) - 1).astimezone(zone), False
    return local, False


_DAY: Final = 86_400_000_000

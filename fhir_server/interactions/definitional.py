"""Profiles that clients stored: found through the gate, and compiled with what they rest on.

What the server brings along, and what an operator installed, is known already; it is asked first (ADR 0040, 0041).
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from functools import cached_property, partial
from typing import TYPE_CHECKING, Final, TypeVar

from fhir_server.consent.circumstances import Act
from fhir_server.definitions.bad_profile import BadProfile
from fhir_server.definitions.structure_definitions import canonical_of
from fhir_server.fhir import json
from fhir_server.fhir.errors import Unprocessable
from fhir_server.fhir.outcome import Issue, IssueType, error
from fhir_server.interactions.messages import told
from fhir_server.interactions.value_sets import NEWEST, of_url
from fhir_server.search.predicate import Field, all_of, any_of, one_of
from fhir_server.validation.profiles.checks import MOST_CHECKED, MOST_CHECKED_FOR_CLIENTS, ProfileChecks

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    from fhir_server.definitions.structure_definitions import StructureDefinitions
    from fhir_server.fhir.json import Json, JsonObject
    from fhir_server.interactions.exchange import Exchange

_Told = TypeVar("_Told")

MOST_SOUGHT: Final = 200
"""Stored profiles that one resource or one profile may rest on: 50 declared, each with its version and without, 50 that
are asked for, 50 of resources within."""
MOST_TOLD: Final = 2_000
"""Elements, types and invariants these may tell together: a second. The largest that a guide published tells 120."""
MOST_BYTES: Final = 1_000_000
"""What they tell as JSON. The largest that a guide published has 15,000."""
_MOST_KEPT: Final = 8
_LARGE: Final = 200_000
"""Bytes of a resource that is checked at once: some 30 ms by most profiles."""


class Profiles:
    """The profiles of the server, and those compiled from what clients stored, the last ones used."""

    def __init__(self, known: ProfileChecks, over: Callable[[StructureDefinitions, int], ProfileChecks]) -> None:
        """``over`` makes the checks of other definitions, with a bound for the steps of one validation."""
        self.known = known
        self._over = over
        self._kept: OrderedDict[str, ProfileChecks] = OrderedDict()

    @cached_property
    def aside(self) -> ProfileChecks:
        """The same as those of the server, apart from them: for large resources, which are checked in a thread."""
        return self._over(self.definitions.extended(()), MOST_CHECKED)

    @property
    def definitions(self) -> StructureDefinitions:
        """Those of the server."""
        definitions: StructureDefinitions = self.known.definitions  # type: ignore[assignment]
        return definitions

    def beside(self, stored: Mapping[str, JsonObject]) -> ProfileChecks:
        """The checks of the server with these profiles beside, by their canonical URLs.

        :class:`BadProfile` where they are more than is worked on for a client. What asks them does so by `answered_by`.
        """
        if not stored:
            return self.known
        _must_be_bounded(stored)
        digest = hashlib.sha256()
        for canonical, definition in sorted(stored.items()):
            digest.update(canonical.encode() + json.encode(definition))
        key = digest.hexdigest()
        found = self._kept.get(key)
        if found is None:
            found = self._over(self.definitions.extended(stored.values()), MOST_CHECKED_FOR_CLIENTS)
            self._kept[key] = found
            while len(self._kept) > _MOST_KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return found


async def checks_for(
    exchange: Exchange, canonicals: Iterable[str], resource: JsonObject | None = None
) -> ProfileChecks:
    """The checks in which these profiles are known, as far as the requester may read them; those for this resource."""
    profiles = exchange.server.profiles
    try:
        checks = profiles.beside(await _stored(exchange, canonicals, profiles.definitions))
    except BadProfile as wrong:
        raise Unprocessable(told("profile-unusable", why=wrong.told), code=IssueType.TOO_COSTLY) from None
    is_large = checks is profiles.known and resource is not None and len(json.encode(resource)) > _LARGE
    return profiles.aside if is_large else checks


async def answered_by(exchange: Exchange, checks: ProfileChecks, ask: Callable[[], _Told]) -> _Told:
    """What checks tell. By profiles that clients made, and of large resources, they do so in a thread, one at a time.

    Nobody else waits for these. The others are told at once; what they cache is not made for several threads.
    """
    if checks is exchange.server.profiles.known:
        return ask()
    async with exchange.server.evaluating:
        return await asyncio.to_thread(ask)


async def issues_of_definition(exchange: Exchange, definition: JsonObject) -> list[Issue]:
    """Why a StructureDefinition cannot be used as a profile; nothing where it can, or is no profile."""
    if definition.get("derivation") != "constraint" or not isinstance(definition.get("url"), str):
        return []
    try:
        checks, canonical = await with_definition(exchange, definition)
        await answered_by(exchange, checks, partial(checks.check, canonical))
    except BadProfile as wrong:
        where = f"StructureDefinition.differential.element.where(id = '{wrong.path}')" if wrong.path else ""
        return [error(IssueType.PROCESSING, told("profile-unusable", why=wrong.told), where or "StructureDefinition")]
    except RecursionError:
        return [error(IssueType.TOO_COSTLY, told("profile-too-deep"), "StructureDefinition")]
    return []


async def with_definition(exchange: Exchange, definition: JsonObject) -> tuple[ProfileChecks, str]:
    """The checks in which a definition that was sent is known, and the URL it is known by there.

    :class:`BadProfile` where it is none.
    """
    profiles = exchange.server.profiles
    canonical = canonical_of(definition)
    if profiles.definitions.get(canonical) == definition:
        return profiles.known, canonical
    beside = await _stored(exchange, _rests_on(definition), profiles.definitions)
    return profiles.beside({**beside, canonical: definition}), canonical


async def _stored(exchange: Exchange, canonicals: Iterable[str], known: StructureDefinitions) -> dict[str, JsonObject]:
    """The stored definitions of what is not known, and of what these rest on in turn."""
    found: dict[str, JsonObject] = {}
    sought: set[str] = set()
    missing = _missing(canonicals, known, sought)
    while missing and len(sought) < MOST_SOUGHT:
        missing = missing[: MOST_SOUGHT - len(sought)]
        sought.update(missing)
        fetched = await _fetched(exchange, missing)
        found |= fetched
        missing = _missing((one for each in fetched.values() for one in _rests_on(each)), known, sought)
    return found


def _missing(canonicals: Iterable[str], known: StructureDefinitions, sought: Collection[str]) -> list[str]:
    return [one for one in dict.fromkeys(canonicals) if one not in sought and known.get(one) is None]


async def _fetched(exchange: Exchange, canonicals: Collection[str]) -> dict[str, JsonObject]:
    """Those that are stored and shown, in one query; of several of one URL, the one stored last.

    Not what is called like a type of the standard: everything builds on these.
    """
    visible = exchange.decide("StructureDefinition", Act.CONSULT).visible
    wanted = all_of([one_of(Field.TYPE, "StructureDefinition"), any_of([of_url(one) for one in canonicals])])
    page = await exchange.server.finding.search(wanted, visible=visible, order=NEWEST, limit=MOST_SOUGHT)
    found: dict[str, JsonObject] = {}
    for one in reversed(page.resources):
        definition = json.decode_object(one.body or b"{}")
        known = exchange.server.profiles.definitions.get(str(definition.get("url")))
        if known is None or known.get("derivation") == "constraint":
            found[canonical_of(definition)] = definition
    return found


def _must_be_bounded(stored: Mapping[str, JsonObject]) -> None:
    """That these profiles can be worked on in a moment."""
    number, bytes = 0, 0
    for canonical, definition in stored.items():
        elements = _told_of(definition)
        number += len(elements) + sum(
            len(_objects(one.get(part))) for one in elements for part in ("type", "constraint")
        )
        bytes += len(json.encode(elements))
        if number > MOST_TOLD or bytes > MOST_BYTES:
            raise BadProfile(canonical, "", told("profile-too-large", most=MOST_TOLD, bytes=MOST_BYTES))


def _told_of(definition: JsonObject) -> list[JsonObject]:
    """The elements that its snapshot is made of: a snapshot that came with a profile is not looked at."""
    is_profile = definition.get("derivation") == "constraint" and "differential" in definition
    part = "differential" if is_profile else "snapshot"
    return _objects(_member(definition.get(part), "element"))


def _rests_on(definition: JsonObject) -> Iterator[str]:
    """The definitions that one is made from, or names."""
    base = definition.get("baseDefinition")
    if isinstance(base, str):
        yield base
    for part in ("differential", "snapshot"):
        for element in _objects(_member(definition.get(part), "element")):
            for type in _objects(element.get("type")):
                for name in ("profile", "targetProfile"):
                    named = type.get(name)
                    yield from (one for one in (named if isinstance(named, list) else []) if isinstance(one, str))


def _member(value: Json, name: str) -> Json:
    return value.get(name) if isinstance(value, dict) else None


def _objects(value: Json) -> list[JsonObject]:
    return [one for one in (value if isinstance(value, list) else []) if isinstance(one, dict)]

"""Profiles that clients stored: found through the gate, and compiled with what they rest on.

What the server brings along, and what an operator installed, is known already; it is asked first (ADR 0040, 0041).
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from fhir_server.consent.circumstances import Act
from fhir_server.definitions.bad_profile import BadProfile
from fhir_server.definitions.structure_definitions import canonical_of
from fhir_server.fhir import json
from fhir_server.fhir.outcome import Issue, IssueType, error
from fhir_server.interactions.messages import told
from fhir_server.interactions.value_sets import of_url
from fhir_server.search.predicate import Field, all_of, any_of, one_of
from fhir_server.store.ordering import BY_ID
from fhir_server.validation.profiles.checks import ProfileChecks

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    from fhir_server.definitions.structure_definitions import StructureDefinitions
    from fhir_server.fhir.json import Json, JsonObject
    from fhir_server.interactions.exchange import Exchange

MOST_SOUGHT: Final = 50
"""Stored profiles that one resource or one profile may rest on."""
_MOST_KEPT: Final = 16


class Profiles:
    """The profiles of the server, and those compiled from what clients stored, the last ones used."""

    def __init__(self, known: ProfileChecks, over: Callable[[StructureDefinitions], ProfileChecks]) -> None:
        """``over`` makes the checks of other definitions."""
        self.known = known
        self._over = over
        self._kept: OrderedDict[str, ProfileChecks] = OrderedDict()

    @property
    def definitions(self) -> StructureDefinitions:
        """Those of the server."""
        definitions: StructureDefinitions = self.known.definitions  # type: ignore[assignment]
        return definitions

    def beside(self, stored: Mapping[str, JsonObject]) -> ProfileChecks:
        """The checks of the server with these profiles beside, by their canonical URLs."""
        if not stored:
            return self.known
        digest = hashlib.sha256()
        for canonical, definition in sorted(stored.items()):
            digest.update(canonical.encode() + json.encode(definition))
        key = digest.hexdigest()
        found = self._kept.get(key)
        if found is None:
            found = self._over(self.definitions.extended(stored.values()))
            self._kept[key] = found
            while len(self._kept) > _MOST_KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return found


async def checks_for(exchange: Exchange, canonicals: Iterable[str]) -> ProfileChecks:
    """The checks in which these profiles are known, as far as the requester may read them."""
    profiles = exchange.server.profiles
    return profiles.beside(await _stored(exchange, canonicals, profiles.definitions))


async def issues_of_definition(exchange: Exchange, definition: JsonObject) -> list[Issue]:
    """Why a StructureDefinition cannot be used as a profile; nothing where it can, or is no profile."""
    if definition.get("derivation") != "constraint" or not isinstance(definition.get("url"), str):
        return []
    try:
        checks, canonical = await with_definition(exchange, definition)
        checks.check(canonical)
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
    """Those that are stored and shown, in one query; of several of one URL and version, the last by id."""
    visible = exchange.decide("StructureDefinition", Act.CONSULT).visible
    asked = all_of([one_of(Field.TYPE, "StructureDefinition"), any_of([of_url(one) for one in canonicals])])
    page = await exchange.server.finding.search(asked, visible=visible, order=BY_ID, limit=4 * MOST_SOUGHT)
    found: dict[str, JsonObject] = {}
    for one in page.resources:
        definition = json.decode_object(one.body or b"{}")
        found[canonical_of(definition)] = definition
    return found


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


def _objects(value: Json) -> Iterator[JsonObject]:
    yield from (one for one in (value if isinstance(value, list) else []) if isinstance(one, dict))

"""``$access-list``: ``Patient/[id]/$access-list``. docs/interactions/operations.md#access-list

Who has access to the record, since when, until when and why (L1111-19). A representative is not told what a minor keeps
secret from him.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fhir_server.consent.access_list import REASONS, access_list
from fhir_server.consent.circumstances import Act
from fhir_server.consent.decide import closed
from fhir_server.fhir import date, json
from fhir_server.fhir.errors import Forbidden
from fhir_server.operations.actor import actor_of_key
from fhir_server.operations.opening import traced
from fhir_server.operations.operation import Operation, answer, parameter, parts
from fhir_server.search.predicate import Field, all_of, one_of
from fhir_server.store.ordering import BY_ID

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fhir_server.consent.access_list import Access
    from fhir_server.fhir.json import JsonObject
    from fhir_server.interactions.answer import Answer
    from fhir_server.interactions.exchange import Exchange
    from fhir_server.operations.operation import Invocation

_DIRECTORY: Final = {"rpps": "Practitioner", "finess": "Organization"}
"""By the spelling of an actor, where his name is found."""


async def _perform(call: Invocation) -> Answer:
    exchange = call.exchange
    facts = await traced(call, Act.ACCESS_LIST)
    rules = exchange.account.rules
    found = access_list(facts, exchange.now, await exchange.hidden(facts))
    names = await _names(exchange, {one.actor for one in found})
    exchange.account.rules = rules
    return answer(*(_entry(exchange, one, names) for one in found))


OPERATION: Final = Operation("access-list", "Patient", _perform)


def _entry(exchange: Exchange, access: Access, names: Mapping[str, str]) -> JsonObject:
    told = [parameter("actor", "Identifier", actor_of_key(access.actor, exchange.requester.realm))]
    if access.actor in names:
        told.append(parameter("name", "String", names[access.actor]))
    told += [parameter("kind", "Code", str(access.ground)), parameter("status", "Code", str(access.state))]
    told += [
        parameter(name, "DateTime", date.instant(date.moment(at)))
        for name, at in (("since", access.since), ("until", access.until))
        if at is not None
    ]
    if access.source is not None:
        told.append(parameter("source", "Reference", {"reference": access.source}))
    french, english = REASONS[access.ground]
    reason = parts("reason", parameter("fr", "String", french), parameter("en", "String", english))
    return parts("entry", *told, reason)


async def _names(exchange: Exchange, actors: set[str]) -> dict[str, str]:
    """The names of professionals and structures in the directory, for who may read it."""
    names: dict[str, str] = {}
    for spelt, type in _DIRECTORY.items():
        wanted = {key: actor_of_key(key, exchange.requester.realm) for key in actors if key.startswith(f"{spelt}|")}
        if not wanted or not _may_search(exchange, type):
            continue
        terms = [f"identifier={one['system']}|{one['value']}" for one in wanted.values()]
        page = await exchange.server.finding.search(
            all_of([one_of(Field.TYPE, type), one_of(Field.TERMS, *terms)]),
            visible=exchange.decide(type, Act.CONSULT).visible,
            order=BY_ID,
            limit=len(wanted) * 2,
        )
        for found in page.resources:
            resource = json.decode_object(found.body or b"{}")
            for key, identifier in wanted.items():
                name = _name(resource)
                if name is not None and _carries(resource, identifier):
                    names.setdefault(key, name)
    return names


def _may_search(exchange: Exchange, type: str) -> bool:
    try:
        closed(exchange.requester, type, Act.CONSULT, exchange.server.law, "s")
    except Forbidden:
        return False
    return True


def _carries(resource: JsonObject, identifier: JsonObject) -> bool:
    identifiers = resource.get("identifier")
    return any(
        isinstance(one, dict) and one.get("system") == identifier["system"] and one.get("value") == identifier["value"]
        for one in (identifiers if isinstance(identifiers, list) else [])
    )


def _name(resource: JsonObject) -> str | None:
    """Of a structure its name; of a person prefix, given names and family name of the first there is."""
    told = resource.get("name")
    if isinstance(told, str):
        return told
    first = told[0] if isinstance(told, list) and told else None
    if not isinstance(first, dict):
        return None
    if isinstance(text := first.get("text"), str):
        return text
    words: list[str] = []
    for member in ("prefix", "given"):
        listed = first.get(member)
        words += [one for one in (listed if isinstance(listed, list) else []) if isinstance(one, str)]
    family = first.get("family")
    return " ".join([*words, family] if isinstance(family, str) else words) or None

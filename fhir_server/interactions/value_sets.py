"""What a value set holds, and what lies around a code: by the server's own lists, or by what is stored.

https://hl7.org/fhir/R4/search.html#modifiers: ``:in``, ``:not-in``, ``:above``, ``:below``

The server's own lists come first. A stored ValueSet is found by its URL or its id, through the gate; what it imports,
and the CodeSystem of a code, in the same way.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

from fhir_server.fhir import json
from fhir_server.fhir.errors import Invalid
from fhir_server.fhir.outcome import IssueType
from fhir_server.fhir.reference import local
from fhir_server.interactions.messages import told
from fhir_server.search import terms
from fhir_server.search.predicate import Field, Predicate, all_of, one_of
from fhir_server.search.sorting import SortField, SortKey
from fhir_server.search.types import token
from fhir_server.store.ordering import Order
from fhir_server.terminology import Codes, NotExpandable, expand
from fhir_server.terminology.messages import NotKnown

if TYPE_CHECKING:
    from collections.abc import Callable

    from fhir_server.fhir.json import JsonObject
    from fhir_server.interactions.exchange import Exchange
    from fhir_server.search.types.token import Token
    from fhir_server.search.visible import Visible
    from fhir_server.terminology import Lookup

_Told = TypeVar("_Told")

UNTOLD: Final = (NotExpandable, NotKnown)
"""What says that something cannot be told."""

_MOST_IMPORTED: Final = 50
"""Resources that one value set or hierarchy may rest on."""

_LARGE: Final = 200_000
"""Bytes of stored resources that are worked on at once: some 5 ms."""

NEWEST: Final = Order((SortKey(SortField.LAST_UPDATED, descending=True),))


async def codes_of(exchange: Exchange, url: str, visible: Visible) -> Codes:
    """What the value set of this URL holds, or of this ``ValueSet/id``; 400 for one that is unknown or too large."""
    terminology = exchange.server.terminology
    if terminology.held(url) is not None:
        own = await _searched(exchange, visible, lambda others, systems: terminology.expansion(url, others, systems))
        return own or Codes()
    named = local(url, exchange.server.base_url)
    if named is not None and named.type == "ValueSet":
        value_set = await stored(exchange, one_of(Field.ID, str(named)), visible)
    else:
        value_set = await of_canonical(exchange, url, visible, "ValueSet")
    if value_set is None:
        raise Invalid(told("value-set-unknown", url=url[:200]), code=IssueType.NOT_FOUND)
    return await answered(exchange, visible, lambda others, systems: expand(value_set, terminology, others, systems))


async def around(exchange: Exchange, wanted: Token, visible: Visible, *, below: bool) -> Codes:
    """What lies under a code, or over it. Without a system it is looked for in the server's own alone."""
    terminology, code = exchange.server.terminology, wanted.code or ""
    walk = terminology.below if below else terminology.above
    return await _searched(exchange, visible, lambda _, systems: walk(wanted.system, code, systems))


async def _searched(exchange: Exchange, visible: Visible, tell: Callable[[Lookup, Lookup], _Told]) -> _Told:
    """What is told; of a search, what cannot be told is a 400 that says why."""
    try:
        return await answered(exchange, visible, tell)
    except NotExpandable as error:
        raise Invalid(error.told, code=error.issues[0].code) from None


async def answered(
    exchange: Exchange, visible: Visible, tell: Callable[[Lookup, Lookup], _Told], *, aside: bool = False
) -> _Told:
    """What is told, fetching the value sets and code systems it turns out to need, until no more are asked for.

    What rests on large ones is worked out in a thread, one at a time, so that nobody else waits for it; so is what may
    be as costly as a client wishes (``aside``).
    """
    fetched: dict[tuple[str, str], JsonObject | None] = {}
    size = _LARGE + 1 if aside else 0
    while len(fetched) <= _MOST_IMPORTED:
        missing: list[tuple[str, str]] = []

        def look_up(type: str, missing: list[tuple[str, str]], url: str) -> JsonObject | None:
            if (type, url) not in fetched:
                missing.append((type, url))
            return fetched.get((type, url))

        others, systems = (partial(look_up, type, missing) for type in ("ValueSet", "CodeSystem"))
        try:
            found = await _worked_out(exchange, size, partial(tell, others, systems))
        except UNTOLD:
            if not missing:
                raise
        else:
            if not missing:
                return found
        for type, url in missing:
            body = await _body_of(exchange, url, visible, type)
            size += len(body or b"")
            if body is not None:
                fetched[type, url] = await _worked_out(exchange, len(body), partial(json.decode_object, body))
            else:
                fetched[type, url] = None
    raise NotExpandable(told("rests-on-too-many", most=_MOST_IMPORTED), code=IssueType.TOO_COSTLY)


async def of_canonical(exchange: Exchange, canonical: str, visible: Visible, type: str) -> JsonObject | None:
    """The stored resource of this URL, and version where one is named; the value set of all codes of a code system."""
    body = await _body_of(exchange, canonical, visible, type)
    return json.decode_object(body) if body is not None else None


async def _body_of(exchange: Exchange, canonical: str, visible: Visible, type: str) -> bytes | None:
    body = await _body(exchange, of_url(canonical), visible, type)
    if body is not None or type != "ValueSet":
        return body
    # nobody need publish the value set of which a code system says that it holds all its codes
    whole = await _body(exchange, of_url(canonical, "valueset"), visible, "CodeSystem")
    if whole is None:
        return None
    system = json.decode_object(whole)
    if "url" not in system:
        return None
    told_of = {name: system[name] for name in ("version", "name", "title", "language", "status") if name in system}
    compose: JsonObject = {"include": [{"system": system["url"]}]}
    return json.encode({"resourceType": "ValueSet", "url": canonical.partition("|")[0], **told_of, "compose": compose})


def of_url(canonical: str, parameter: str = "url") -> Predicate:
    """What has this canonical URL, and this version where it names one."""
    url, _, version = canonical.partition("|")
    named = one_of(Field.TERMS, f"{parameter}={terms.bounded(url)}")
    if not version:
        return named
    return all_of([named, token.predicate("version", [token.Token(None, version.casefold())])])


async def stored(exchange: Exchange, asked: Predicate, visible: Visible, type: str = "ValueSet") -> JsonObject | None:
    """The one that is asked for, as far as it is seen; of several the newest."""
    body = await _body(exchange, asked, visible, type)
    return json.decode_object(body) if body is not None else None


async def _body(exchange: Exchange, asked: Predicate, visible: Visible, type: str) -> bytes | None:
    whole = all_of([one_of(Field.TYPE, type), asked])
    page = await exchange.server.finding.search(whole, visible=visible, order=NEWEST, limit=1)
    return page.resources[0].body if page.resources else None


async def _worked_out(exchange: Exchange, size: int, work: Callable[[], _Told]) -> _Told:
    if size <= _LARGE:
        return work()
    async with exchange.server.evaluating:
        return await asyncio.to_thread(work)

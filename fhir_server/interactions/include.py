"""``_include`` and ``_revinclude``, one hop: each goes back through the gate with a decision for its own type.

https://hl7.org/fhir/R4/search.html#include
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fhir_server.consent.circumstances import Act
from fhir_server.consent.decide import closed, together
from fhir_server.fhir import json
from fhir_server.fhir.errors import Forbidden
from fhir_server.fhir.outcome import Issue, IssueType, warning
from fhir_server.fhir.reference import LocalReference
from fhir_server.search.predicate import Field, all_of, any_of, one_of
from fhir_server.store.reading import Order

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fhir_server.interactions.exchange import Exchange
    from fhir_server.interactions.scope import Scope
    from fhir_server.record.facts import Facts
    from fhir_server.search.predicate import Predicate
    from fhir_server.search.query import Include, Query
    from fhir_server.store.reading import Stored

MOST_INCLUDED: Final = 1000


async def included(
    exchange: Exchange, query: Query, matches: Sequence[Stored], scope: Scope
) -> tuple[list[Stored], tuple[Issue, ...]]:
    """The resources around a page of matches that the requester may see, and what was cut."""
    if not matches or not (query.includes or query.revincludes):
        return [], ()
    asked: dict[str, list[Predicate]] = {}
    for include in query.includes:
        for type, predicate in _pointed_to(exchange, include, matches):
            asked.setdefault(type, []).append(predicate)
    for include in query.revincludes:
        asked.setdefault(include.source, []).append(_pointing(exchange, include, matches))
    found: dict[str, Stored] = {}
    there = {one.key for one in matches}
    issues: list[Issue] = []
    for type, predicates in asked.items():
        for one in await _visible(exchange, type, any_of(predicates), scope.facts):
            if one.key not in there:
                found[one.key] = one
    if len(found) > MOST_INCLUDED:
        issues.append(
            warning(
                IssueType.INCOMPLETE,
                f"More than {MOST_INCLUDED} resources would be included; ask for smaller pages (_count).",
                "http._include",
            )
        )
    return list(found.values())[:MOST_INCLUDED], tuple(issues)


def _pointed_to(exchange: Exchange, include: Include, matches: Sequence[Stored]) -> list[tuple[str, Predicate]]:
    keys: dict[str, set[str]] = {}
    for match in matches:
        if match.type != include.source or match.body is None:
            continue
        resource = json.decode_object(match.body)
        for target in exchange.server.parameters.references(include.source, include.parameter, resource):
            if include.target in (None, target.type):
                keys.setdefault(target.type, set()).add(str(target))
    return [(type, one_of(Field.ID, *found)) for type, found in keys.items()]


def _pointing(exchange: Exchange, include: Include, matches: Sequence[Stored]) -> Predicate:
    targets = [LocalReference(match.type, match.id) for match in matches if include.target in (None, match.type)]
    return exchange.server.parameters.refers_to(include.source, include.parameter, targets)


async def _visible(exchange: Exchange, type: str, asked: Predicate, facts: Facts) -> Sequence[Stored]:
    """What is asked of one type, as far as the requester may consult that type in this record."""
    if type == "AuditEvent" or type not in exchange.server.definitions.resource_types:
        return ()
    try:
        closed(exchange.requester, type, Act.CONSULT, exchange.server.law, "s")
    except Forbidden:
        return ()
    rules = exchange.account.rules
    visible = together([await exchange.decide_fully(type, Act.CONSULT, facts)])
    exchange.account.rules = rules
    page = await exchange.server.reading.search(
        all_of([one_of(Field.TYPE, type), asked]),
        visible=visible,
        order=Order("_id", descending=False),
        limit=MOST_INCLUDED + 1,
    )
    return page.resources

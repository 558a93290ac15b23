"""``_include`` and ``_revinclude``, step by step: each goes back through the gate with a decision for its own type.

https://hl7.org/fhir/R4/search.html#include

What is included is looked up in the records that the search itself looks in; what is hidden is not there, neither to be
included nor to lead on. With ``:iterate`` a step begins again at what the step before found.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from fhir_server.fhir import json
from fhir_server.fhir.messages import Told
from fhir_server.fhir.outcome import Issue, IssueType, warning
from fhir_server.fhir.reference import LocalReference
from fhir_server.interactions.messages import told
from fhir_server.search.predicate import Field, all_of, any_of, one_of
from fhir_server.store.ordering import BY_ID

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fhir_server.interactions.exchange import Exchange
    from fhir_server.interactions.hops import Hops
    from fhir_server.search.predicate import Predicate
    from fhir_server.search.query import Include, Query
    from fhir_server.store.reading import Stored

MOST_INCLUDED: Final = 1000
"""Resources that one page may include."""
_FEW_TYPES: Final = 8
MOST_STEPS: Final = 10
"""Times that ``:iterate`` goes on from what was found."""


async def included(
    exchange: Exchange, query: Query, matches: Sequence[Stored], hops: Hops
) -> tuple[list[Stored], tuple[Issue, ...]]:
    """The resources around a page of matches that the requester may see, and what was cut."""
    found: dict[str, Stored] = {one.key: one for one in matches}
    issues: list[Issue] = []
    edge: Sequence[Stored] = matches
    for step in range(MOST_STEPS + 1):
        forward = [one for one in query.includes if step == 0 or one.iterate]
        backward = [one for one in query.revincludes if step == 0 or one.iterate]
        if not edge or not (forward or backward):
            break
        if step == MOST_STEPS:
            issues.append(_cut(told("too-many-steps", most=MOST_STEPS)))
            break
        asked: dict[str, list[Predicate]] = {}
        for type, keys in _pointed_to(exchange, forward, edge).items():
            asked.setdefault(type, []).append(one_of(Field.ID, *(keys - found.keys())))
        for type, predicate in _pointing(exchange, backward, edge):
            asked.setdefault(type, []).append(predicate)
        edge = [one for one in await _answers(asked, hops) if one.key not in found]
        found |= {one.key: one for one in edge}
        if len(found) - len(matches) > MOST_INCLUDED:
            issues.append(_cut(told("too-many-included", most=MOST_INCLUDED)))
            break
    others = list(found.values())[len(matches) :]
    return others[:MOST_INCLUDED], tuple(issues)


def _cut(sentence: Told) -> Issue:
    return warning(IssueType.INCOMPLETE, sentence, "http._include")


def _pointed_to(exchange: Exchange, includes: Iterable[Include], edge: Iterable[Stored]) -> dict[str, set[str]]:
    """By type, what the resources at the edge point to under the parameters asked."""
    keys: dict[str, set[str]] = {}
    parameters = exchange.server.parameters
    for stored in edge:
        wanted = [one for one in includes if one.source in ("*", stored.type)]
        if not wanted or stored.body is None or stored.type == "AuditEvent":
            continue
        resource = json.decode_object(stored.body)
        for include in wanted:
            codes = [include.parameter]
            if include.parameter == "*":
                codes = [one.code for one in parameters.of(stored.type).values() if one.type == "reference"]
            for code in codes:
                for target in parameters.references(stored.type, code, resource):
                    if include.target in (None, target.type):
                        keys.setdefault(target.type, set()).add(str(target))
    return keys


def _pointing(
    exchange: Exchange, includes: Iterable[Include], edge: Sequence[Stored]
) -> Iterable[tuple[str, Predicate]]:
    """By type, which entries point to the resources at the edge under the parameters asked."""
    parameters = exchange.server.parameters
    types = {one.type for one in edge}
    for include in includes:
        sources = parameters.resource_types if include.source == "*" else (include.source,)
        for source in sources:
            for parameter in parameters.of(source).values():
                asked = include.parameter in ("*", parameter.code) and parameter.type == "reference"
                reached = types.intersection(parameter.targets) & ({include.target} if include.target else types)
                if asked and parameter.supported and reached:
                    targets = [LocalReference(one.type, one.id) for one in edge if one.type in reached]
                    yield source, parameters.refers_to(source, parameter.code, targets)


async def _answers(asked: dict[str, list[Predicate]], hops: Hops) -> list[Stored]:
    """What is asked of each type, as far as the requester may consult it in the records searched."""
    conditions = {
        type: all_of([one_of(Field.TYPE, type), any_of(predicates)])
        for type, predicates in asked.items()
        if type != "AuditEvent" and type in hops.exchange.server.definitions.resource_types
    }
    types = sorted(conditions)  # in an order of their own: that of the references would tell of those not shown
    # A few types have an index each; of very many, as a wildcard asks, one query costs less than one for each.
    groups = [[type] for type in types] if len(types) <= _FEW_TYPES else [types]
    found: list[Stored] = []
    for group in groups:
        page = await hops.exchange.server.finding.search(
            any_of([conditions[type] for type in group]),
            visible=await hops.visible(group),
            order=BY_ID,
            limit=MOST_INCLUDED + 1,
        )
        found += page.resources
    return found

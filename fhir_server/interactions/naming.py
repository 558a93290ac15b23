"""What a query names, for its trace: who may not see that may not see the trace (R-25, R-26, R-63).

By ``_id`` or ``identifier``, by an identifier somewhere inside of a chain or a filter, or in the path of a compartment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fhir_server.consent.circumstances import PATIENT_SIDE
from fhir_server.search.naming import named_within
from fhir_server.search.predicate import Field, Predicate, all_of, any_of, one_of

if TYPE_CHECKING:
    from collections.abc import Collection

    from fhir_server.interactions.exchange import Exchange
    from fhir_server.interactions.hops import Hops
    from fhir_server.search.naming import Naming
    from fhir_server.search.query import Query


async def note_named(exchange: Exchange, query: Query, hops: Hops) -> None:
    """Find out what a query names in the records it looks in."""
    named = namings(exchange, query, hops.scope.ready(query))
    if exchange.requester.kind in PATIENT_SIDE:
        # what is hidden from the requester himself must leave the trace in his trail that an absent thing leaves
        named = [(types, all_of([asked, (await hops.visible(types)).predicate])) for types, asked in named]
    records = [facts.record for facts in hops.scope.facts if facts.record is not None]
    await note(exchange, named, records=None if exchange.is_conformance else records or [""])


def namings(exchange: Exchange, query: Query, ready: Predicate) -> list[Naming]:
    """What the text of a query names; ``ready`` are its conditions without its chains.

    With a chain left out, the trace is withheld for a resource that the query may mean. Which traces a search of traces
    names is told by what it finds (`interactions.shown.note_trace`).
    """
    found: list[Naming] = [((key.partition("/")[0],), one_of(Field.ID, key)) for key in sorted(query.around)]
    for clause in query.clauses:
        found += named_within(clause, query.types, exchange.server.parameters)
    if query.names_resource and query.types != ("AuditEvent",):
        found.append((query.types, ready))
    return found


async def note(exchange: Exchange, named: Collection[Naming], *, records: Collection[str] | None) -> None:
    """Find out what is there of it in these records, by one look-up; by none where nothing is named."""
    if named:
        asked = any_of([all_of([one_of(Field.TYPE, *types), one]) for types, one in named])
        types = sorted({type for types, _ in named for type in types})
        exchange.account.named = await exchange.server.internal.named(
            asked, types, exchange.requester.realm.value, records=records
        )

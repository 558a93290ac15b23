"""FHIR search within a compartment: ``GET [base]/Patient/[id]/*``, ``GET [base]/Patient/[id]/[type]?…``, and by POST.

https://hl7.org/fhir/R4/http.html#vsearch · https://hl7.org/fhir/R4/compartmentdefinition.html

The compartment is a condition like any other, and the gate stands before it: of the patient's compartment one sees what
one may see of his record, of any other's what one may see anyway. One around something hidden is empty, as around
something that is not there.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from fhir_server.fhir.errors import NotFound
from fhir_server.interactions.messages import told
from fhir_server.interactions.search import answer, context_of
from fhir_server.search.compartments import members, within
from fhir_server.search.query import parse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fhir_server.interactions.answer import Answer
    from fhir_server.interactions.exchange import Exchange


async def search_compartment(
    exchange: Exchange,
    compartment: str,
    id: str,
    member: str | None,
    pairs: Sequence[tuple[str, str]],
    raw: bytes,
) -> Answer:
    """A page of what is in the compartment, of one type or of all."""
    account, server = exchange.account, exchange.server
    account.type, account.query = member, raw
    among = members(compartment, server.definitions)
    if member is not None and member not in among:
        raise NotFound(told("no-compartment", type=member, compartment=compartment))
    query = parse(member, pairs, strict=exchange.strict, context=context_of(exchange), among=among)
    lying = within(compartment, id, query.types, server.definitions, server.parameters)
    query = replace(
        query,
        clauses=(lying, *query.clauses),
        records=frozenset({id} if compartment == "Patient" else ()),
        around=frozenset({f"{compartment}/{id}"} - {f"Patient/{id}"}),
    )
    return await answer(exchange, query, member, f"{compartment}/{id}/{member or '*'}")

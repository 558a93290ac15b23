"""Whoever acted may read the traces of his own acts (R1111-43, R-62). The sealed part stays closed to him."""

from __future__ import annotations

from fhir_server.consent.circumstances import Act, Circumstances, Domain, possible_standings
from fhir_server.consent.speaks import speaks
from fhir_server.consent.verdict import Effect, Verdict, permit, silent
from fhir_server.identity.requester import Kind
from fhir_server.search.predicate import Field, one_of

RULE = "own-acts"


@speaks(kinds=(Kind.PROFESSIONAL, Kind.ORGANISATION), acts=(Act.TRACE,), of_record=False)
def own_acts(seen: Circumstances) -> Verdict:
    """Permit professionals and publishers the traces of what they did themselves."""
    if (
        seen.domain is not Domain.TRACE
        or seen.act is not Act.TRACE
        or seen.requester.kind not in (Kind.PROFESSIONAL, Kind.ORGANISATION)
        or not any(seen.allows(standing) for standing in possible_standings(seen.requester))
    ):
        return silent(RULE, Effect.PERMIT)
    return permit(RULE, one_of(Field.AGENT, seen.requester.key), "the requester did it himself")

"""Directory and definitional resources tell nothing about anybody's health: whoever uses the server may read them."""

from __future__ import annotations

from fhir_server.consent.circumstances import Act, Circumstances, Domain, possible_standings
from fhir_server.consent.speaks import speaks
from fhir_server.consent.verdict import Effect, Verdict, permit, silent
from fhir_server.search.predicate import Field, one_of

RULE = "directory"


@speaks(acts=(Act.CONSULT,), of_record=False)
def directory(seen: Circumstances) -> Verdict:
    """Permit consulting the directory to every standing the acts table names."""
    if (
        seen.domain is not Domain.DIRECTORY
        or seen.act is not Act.CONSULT
        or not any(seen.allows(standing) for standing in possible_standings(seen.requester))
    ):
        return silent(RULE, Effect.PERMIT)
    return permit(RULE, one_of(Field.TYPE, seen.type), "the directory is open to every user")

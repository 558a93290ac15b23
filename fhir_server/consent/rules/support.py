"""The support professionals of R1111-54 read traces and what explains them, and nothing else (R1111-43)."""

from __future__ import annotations

from fhir_server.consent.circumstances import Act, Circumstances, Domain, Standing
from fhir_server.consent.speaks import speaks
from fhir_server.consent.verdict import Effect, Verdict, permit, silent
from fhir_server.identity.requester import Kind
from fhir_server.search.predicate import Field, one_of

RULE = "support"


@speaks(kinds=(Kind.SUPPORT,), of_record=False)
def support(seen: Circumstances) -> Verdict:
    """Permit support the traces, who has access, and why somebody saw something or not."""
    if (
        seen.domain is not Domain.TRACE
        or seen.act not in (Act.TRACE, Act.ACCESS_LIST, Act.EXPLAIN)
        or not seen.stands(Standing.SUPPORT)
    ):
        return silent(RULE, Effect.PERMIT)
    return permit(RULE, one_of(Field.TYPE, "AuditEvent"), "support professionals read traces")

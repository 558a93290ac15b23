"""Who is invited to help reads his invitation and answers it; he has no other access until he accepts (R-30, A.4)."""

from __future__ import annotations

from fhir_server.consent.circumstances import Circumstances, Standing
from fhir_server.consent.speaks import speaks
from fhir_server.consent.verdict import Effect, Verdict, permit, silent
from fhir_server.consent.where import in_record
from fhir_server.identity.requester import Kind
from fhir_server.search.predicate import Field, all_of, one_of

RULE = "invitation"


@speaks(kinds=(Kind.CARER,))
def invitation(seen: Circumstances) -> Verdict:
    """Permit the invited carer the Consents that name him."""
    if not seen.stands(Standing.CARER_INVITED):
        return silent(RULE, Effect.PERMIT)
    where = all_of([in_record(seen), one_of(Field.NAMED, seen.requester.key)])
    return permit(RULE, where, "the patient invited the requester to be his carer")

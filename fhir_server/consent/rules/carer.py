"""A carer (aidant) sees what the patient sees within his delegation, and adds to it (R-30, A.4).

He does not govern the record: of the Consents he may change his own delegation alone, to leave it. He changes and
deletes what the patient's side deposited, never what a professional did (R-50).
"""

from __future__ import annotations

from fhir_server.consent.circumstances import Act, Circumstances, Domain, Standing
from fhir_server.consent.speaks import speaks
from fhir_server.consent.verdict import Effect, Verdict, permit, silent
from fhir_server.consent.where import deposited_by, in_record
from fhir_server.identity.requester import Kind
from fhir_server.search.predicate import Field, all_of, one_of

RULE = "carer"


@speaks(kinds=(Kind.CARER,))
def carer(seen: Circumstances) -> Verdict:
    """Permit the carer whose delegation is in force."""
    if not seen.stands(Standing.CARER):
        return silent(RULE, Effect.PERMIT)
    where = in_record(seen)
    if seen.act is Act.GOVERN:
        where = all_of([where, one_of(Field.NAMED, seen.requester.key)])
    elif seen.domain is Domain.CONTENTS and seen.act in (Act.FEED, Act.CHANGE_OWN, Act.DELETE_OWN, Act.REPLACE):
        where = all_of([where, deposited_by(seen)])
    return permit(RULE, where, "the patient gave the requester access as his carer")

"""The record is the patient's: he reads it, adds to it, governs it (L1111-13-1, L1111-19, R-50, R-61).

So does his legal representative, while both the token and an active RelatedPerson say so (R1111-40). He changes and
deletes only what he deposited himself (R-50).
"""

from __future__ import annotations

from fhir_server.consent.circumstances import Act, Circumstances, Domain, Standing
from fhir_server.consent.speaks import speaks
from fhir_server.consent.verdict import Effect, Verdict, permit, silent
from fhir_server.consent.where import deposited_by, in_record
from fhir_server.identity.requester import Kind
from fhir_server.search.predicate import all_of

RULE = "own-record"


@speaks(kinds=(Kind.PATIENT, Kind.REPRESENTATIVE))
def own_record(seen: Circumstances) -> Verdict:
    """Permit the holder and his representative."""
    if not seen.stands(Standing.PATIENT, Standing.REPRESENTANT):
        return silent(RULE, Effect.PERMIT)
    where = in_record(seen)
    if seen.domain is Domain.CONTENTS and seen.act in (Act.FEED, Act.CHANGE_OWN, Act.DELETE_OWN, Act.REPLACE):
        where = all_of([where, deposited_by(seen)])
    return permit(RULE, where, "it is the requester's own record, or that of a person he represents")

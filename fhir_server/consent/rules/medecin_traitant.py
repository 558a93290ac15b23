"""The médecin traitant DMP consults, relabels, reads every trace and may block for the patient (R-13, R-20, R-62).

So does a professional whom the patient named to administer his record (R-24).
"""

from __future__ import annotations

from fhir_server.consent.circumstances import Act, Circumstances, Standing, professional_key
from fhir_server.consent.speaks import acts_but, speaks
from fhir_server.consent.verdict import Effect, Verdict, permit, silent
from fhir_server.consent.where import deposited_by, in_record
from fhir_server.identity.requester import Kind
from fhir_server.search.predicate import all_of

RULE = "medecin-traitant"

_OTHER_RULES = (Act.FEED, Act.STATUS, Act.COLLECT)
"""Acts that rest on another ground."""


@speaks(kinds=(Kind.PROFESSIONAL,), acts=acts_but(*_OTHER_RULES))
def medecin_traitant(seen: Circumstances) -> Verdict:
    """Permit the médecin traitant named by the patient; his deletions are of own deposits (R-51)."""
    if seen.act in _OTHER_RULES or not seen.stands(Standing.MEDECIN_TRAITANT):
        return silent(RULE, Effect.PERMIT)
    if seen.act is Act.TRACE and professional_key(seen.requester) in seen.facts.blocked:
        return silent(RULE, Effect.PERMIT, "the patient blocked him: his own acts only")
    where = in_record(seen)
    if seen.act is Act.DELETE_OWN:
        where = all_of([where, deposited_by(seen)])
    return permit(RULE, where, "the patient named the requester his médecin traitant")

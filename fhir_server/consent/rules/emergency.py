"""In an emergency the record opens without authorisation, unless the patient opposed it (L1111-17, R-41, R-42, R-43).

ETREAT is the doctor regulator of a SAMU, BTG the professional at the bedside who gives a reason; whether the token may
declare either was decided when it was read. Nothing lasting comes of it (R-44), and a block is no obstacle (R-11).
"""

from __future__ import annotations

from fhir_server.consent.circumstances import Act, Circumstances, Standing
from fhir_server.consent.speaks import speaks
from fhir_server.consent.verdict import Effect, Verdict, permit, silent
from fhir_server.consent.where import in_record
from fhir_server.identity.requester import Kind

RULE = "emergency"


@speaks(kinds=(Kind.PROFESSIONAL,), acts=(Act.CONSULT,))
def emergency(seen: Circumstances) -> Verdict:
    """Permit consulting in the declared mode when the patient did not oppose that mode."""
    if seen.act is not Act.CONSULT or not seen.stands(Standing.EMERGENCY):
        return silent(RULE, Effect.PERMIT)
    if not seen.facts.emergency.get(seen.requester.purpose, False):
        return silent(RULE, Effect.PERMIT, "the patient opposed this mode of emergency access")
    return permit(RULE, in_record(seen), f"an emergency was declared: {seen.requester.purpose}")

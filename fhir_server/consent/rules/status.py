"""Whether a record exists and is open, and how one stands to it oneself, may be asked by who uses the DMP (TD0.2)."""

from __future__ import annotations

from fhir_server.consent.circumstances import PATIENT_SIDE, Act, Circumstances, possible_standings
from fhir_server.consent.speaks import speaks
from fhir_server.consent.verdict import Effect, Verdict, permit, silent
from fhir_server.consent.where import in_record

RULE = "status"


@speaks(acts=(Act.STATUS,))
def status(seen: Circumstances) -> Verdict:
    """Permit the question to every standing the acts table names; the answer holds no trait of the patient."""
    # the patient's side knows of its own record only; who feeds may know of any (access: 403 or 404)
    grounds = seen.standings if seen.requester.kind in PATIENT_SIDE else possible_standings(seen.requester)
    if seen.act is not Act.STATUS or not any(seen.allows(one) for one in grounds):
        return silent(RULE, Effect.PERMIT)
    return permit(RULE, in_record(seen), "whether a record is open may be asked")

"""Whether a record exists and is open, and how one stands to it oneself, may be asked by who uses the DMP (TD0.2)."""

from __future__ import annotations

from fhir_server.consent.circumstances import Act, Circumstances, possible_standings
from fhir_server.consent.verdict import Effect, Verdict, permit, silent
from fhir_server.consent.where import in_record

RULE = "status"


def status(seen: Circumstances) -> Verdict:
    """Permit the question to every standing the acts table names; the answer holds no trait of the patient."""
    if seen.act is not Act.STATUS or not any(seen.allows(one) for one in possible_standings(seen.requester)):
        return silent(RULE, Effect.PERMIT)
    return permit(RULE, in_record(seen), "whether a record is open may be asked")

"""A member of the équipe de soins is deemed authorised once the patient was told and did not oppose (R-04, R1111-46).

Or once the patient authorised the team itself. Which team is in force, the facts tell (`record.care_team`).
"""

from __future__ import annotations

from fhir_server.consent.circumstances import Act, Circumstances, Standing
from fhir_server.consent.rules.authorisation import consulted
from fhir_server.consent.speaks import speaks
from fhir_server.consent.verdict import Effect, Verdict, permit, silent
from fhir_server.identity.requester import Kind

RULE = "care-team"


@speaks(kinds=(Kind.PROFESSIONAL,), acts=(Act.CONSULT, Act.RELABEL, Act.REPLACE))
def care_team(seen: Circumstances) -> Verdict:
    """Permit the members of the care team to consult and relabel."""
    if seen.act not in (Act.CONSULT, Act.RELABEL, Act.REPLACE) or not seen.stands(Standing.TEAM_MEMBER):
        return silent(RULE, Effect.PERMIT)
    return permit(RULE, consulted(seen), "the requester is a member of the patient's care team")

"""A professional writes down the consent the patient gave him, for himself or a colleague (R-02, R1111-46, L1111-17).

And his own declaration as médecin traitant (R-24). Of those who feed, the Assurance Maladie alone does so, to name the
médecin traitant it knows. What may be written this way, `$authorize` says; a block withdraws it.
"""

from __future__ import annotations

from fhir_server.consent.circumstances import Act, Circumstances, Standing
from fhir_server.consent.speaks import speaks
from fhir_server.consent.verdict import Effect, Verdict, permit, silent
from fhir_server.consent.where import in_record
from fhir_server.identity.requester import Kind
from fhir_server.identity.systems import A00

RULE = "collecting"

_PROFESSIONALS = (
    Standing.PROFESSIONAL,
    Standing.PROFESSIONAL_AUTHORISED,
    Standing.TEAM_MEMBER,
    Standing.MEDECIN_TRAITANT,
)


@speaks(kinds=(Kind.PROFESSIONAL, Kind.FEEDER), acts=(Act.COLLECT,))
def collecting(seen: Circumstances) -> Verdict:
    """Permit professionals, and the Assurance Maladie, to write down what the patient decided."""
    insurance = seen.stands(Standing.FEEDER) and seen.requester.has_role(A00, "ALIM_AM")
    if seen.act is not Act.COLLECT or not (insurance or seen.stands(*_PROFESSIONALS)):
        return silent(RULE, Effect.PERMIT)
    return permit(RULE, in_record(seen), "the requester writes down what the patient decided")

"""A document that waits for a consultation d'annonce is hidden from the patient and his representatives (R-25)."""

from __future__ import annotations

from fhir_server.consent.circumstances import PATIENT_SIDE, Act, Circumstances
from fhir_server.consent.speaks import acts_but, speaks
from fhir_server.consent.verdict import Effect, Verdict, deny, silent
from fhir_server.record.labels import INVISIBLE_PATIENT
from fhir_server.search.predicate import Field, one_of

RULE = "invisible-to-patient"


@speaks(kinds=PATIENT_SIDE, acts=acts_but(Act.TRACE), of_record=False)
def invisible_to_patient(seen: Circumstances) -> Verdict:
    """Deny what is labelled INVISIBLE_PATIENT to the patient's side."""
    if seen.requester.kind not in PATIENT_SIDE or seen.act is Act.TRACE:
        return silent(RULE, Effect.DENY)
    return deny(RULE, one_of(Field.LABELS, INVISIBLE_PATIENT), "it waits for a consultation d'annonce")

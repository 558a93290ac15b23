"""A trace whose target is hidden from its reader is withheld until the label is lifted (R-25, R-26, R-63).

Traces of a secret session stay hidden from representatives.
"""

from __future__ import annotations

from fhir_server.consent.circumstances import PATIENT_SIDE, Act, Circumstances
from fhir_server.consent.speaks import speaks
from fhir_server.consent.verdict import Effect, Verdict, deny, silent
from fhir_server.identity.requester import Kind
from fhir_server.search.predicate import NEVER, Field, any_of, one_of

RULE = "traces-of-hidden"


@speaks(kinds=PATIENT_SIDE, acts=(Act.TRACE,))
def traces_of_hidden(seen: Circumstances) -> Verdict:
    """Deny the patient's side the traces of what it may not see."""
    if seen.act is not Act.TRACE or seen.requester.kind not in PATIENT_SIDE:
        return silent(RULE, Effect.DENY)
    secret = NEVER if seen.requester.kind is Kind.PATIENT else one_of(Field.SECRET, True)  # noqa: FBT003 - a value
    where = any_of([one_of(Field.TARGET, *seen.hidden), secret])
    return deny(RULE, where, "it tells of something that is hidden from the reader")

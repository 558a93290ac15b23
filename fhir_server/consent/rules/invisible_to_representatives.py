"""A minor may keep care secret from his legal representatives (L1111-5, L1111-5-1, R-26, C.10)."""

from __future__ import annotations

from fhir_server.consent.circumstances import Act, Circumstances
from fhir_server.consent.speaks import acts_but, speaks
from fhir_server.consent.verdict import Effect, Verdict, deny, silent
from fhir_server.identity.requester import Kind
from fhir_server.record.labels import INVISIBLE_REPRESENTANTS_LEGAUX
from fhir_server.search.predicate import Field, any_of, one_of

RULE = "invisible-to-representatives"


@speaks(kinds=(Kind.REPRESENTATIVE, Kind.CARER), acts=acts_but(Act.TRACE), of_record=False)
def invisible_to_representatives(seen: Circumstances) -> Verdict:
    """Deny to representatives what is so labelled, and what was deposited in a secret session."""
    if seen.requester.kind not in (Kind.REPRESENTATIVE, Kind.CARER) or seen.act is Act.TRACE:
        return silent(RULE, Effect.DENY)
    where = any_of([one_of(Field.LABELS, INVISIBLE_REPRESENTANTS_LEGAUX), one_of(Field.DEPOSIT_SECRET, True)])  # noqa: FBT003
    return deny(RULE, where, "the minor keeps this secret from his legal representatives")

"""A conformance client may do everything in the realm `essai`, and nothing outside it."""

from __future__ import annotations

from fhir_server.consent.circumstances import Circumstances, Standing
from fhir_server.consent.speaks import speaks
from fhir_server.consent.verdict import Effect, Verdict, permit, silent
from fhir_server.identity.requester import Kind, Realm
from fhir_server.search.predicate import Field, one_of

RULE = "conformance"


@speaks(kinds=(Kind.CONFORMANCE,), of_record=False)
def conformance(seen: Circumstances) -> Verdict:
    """Permit whatever is in the realm of trials."""
    if not seen.stands(Standing.CONFORMANCE):
        return silent(RULE, Effect.PERMIT)
    return permit(RULE, one_of(Field.REALM, Realm.ESSAI.value), "conformance clients own the realm of trials")

"""Every request stays inside its own realm: care (`reel`) and trials (`essai`) never meet."""

from __future__ import annotations

from fhir_server.consent.circumstances import Circumstances
from fhir_server.consent.speaks import speaks
from fhir_server.consent.verdict import Verdict, limit
from fhir_server.search.predicate import Field, one_of

RULE = "realm"


@speaks(of_record=False)
def realm(seen: Circumstances) -> Verdict:
    """Limit to the realm of the issuer that authenticated the requester."""
    return limit(RULE, one_of(Field.REALM, seen.requester.realm.value), "resources of the requester's realm only")

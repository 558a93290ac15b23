"""Every request stays inside its own realm: care (`reel`) and trials (`essai`) never meet."""

from __future__ import annotations

from fhir_server.consent.circumstances import Act, Circumstances, Domain
from fhir_server.consent.speaks import speaks
from fhir_server.consent.verdict import Verdict, limit
from fhir_server.identity.requester import SHARED
from fhir_server.search.predicate import Field, one_of

RULE = "realm"


@speaks(of_record=False)
def realm(seen: Circumstances) -> Verdict:
    """Limit to the realm of the issuer that authenticated the requester; both read what the server publishes."""
    own = seen.requester.realm.value
    if seen.domain is Domain.DIRECTORY and seen.act is Act.CONSULT:
        because = "resources of the requester's realm, and what the server publishes"
        return limit(RULE, one_of(Field.REALM, own, SHARED), because)
    return limit(RULE, one_of(Field.REALM, own), "resources of the requester's realm only")

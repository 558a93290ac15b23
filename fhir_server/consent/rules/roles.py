"""Only the roles of JDV_J65 use a DMP: insurers, employers, banks and unknown professions never (L1111-18, R-08)."""

from __future__ import annotations

from fhir_server.consent.circumstances import Circumstances, Domain
from fhir_server.consent.speaks import speaks
from fhir_server.consent.verdict import Verdict, limit
from fhir_server.identity.requester import Kind
from fhir_server.search.predicate import ALWAYS, NEVER

RULE = "roles"


@speaks(of_record=False)
def roles(seen: Circumstances) -> Verdict:
    """Limit professionals to those whose role the DMP knows; the directory is not the DMP, its trail is (R1111-43)."""
    if seen.requester.kind is not Kind.PROFESSIONAL or seen.domain is Domain.DIRECTORY:
        return limit(RULE, ALWAYS, "no professional role is needed")
    if any((role.system, role.code) in seen.law.roles for role in seen.requester.roles):
        return limit(RULE, ALWAYS, "the role is one of JDV_J65")
    return limit(RULE, NEVER, "the role is not one of JDV_J65")

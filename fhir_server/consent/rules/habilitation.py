"""The matrice d'habilitation: which profession reads which documents (R1111-46, order of 26 October 2023, R-47).

A perimeter of consulting, in emergencies too (R-46); never a ground for access.
"""

from __future__ import annotations

from fhir_server.consent.circumstances import Act, Circumstances, Domain
from fhir_server.consent.speaks import speaks
from fhir_server.consent.verdict import Verdict, limit
from fhir_server.consent.where import brought_by
from fhir_server.identity.requester import Kind
from fhir_server.search.predicate import ALWAYS, any_of

RULE = "habilitation"


@speaks(of_record=False)
def habilitation(seen: Circumstances) -> Verdict:
    """Limit a professional who consults to the documents of his profession."""
    if (
        seen.requester.kind is not Kind.PROFESSIONAL
        or seen.act not in (Act.CONSULT, Act.REPLACE)
        or seen.domain is not Domain.CONTENTS
    ):
        return limit(RULE, ALWAYS, "the matrix limits consulting by professionals only")
    perimeter = seen.law.habilitation.perimeter(seen.requester.profession_system or "", seen.requester.profession or "")
    if seen.act is Act.REPLACE:
        perimeter = any_of([perimeter, brought_by(seen.requester)])  # what he may not read he may not retire either
    return limit(RULE, perimeter, "the matrice d'habilitation of the requester's profession")

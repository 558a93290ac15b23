"""The care history that the Assurance Maladie feeds may be masked as a whole (R-28).

It is told by its class (60) or its type (REMB), whoever brought it, and all that the Assurance Maladie deposits is of
it: the structured copies too, whatever their type. The mask works as that of one document does.
"""

from __future__ import annotations

from typing import Final

from fhir_server.consent.circumstances import Act, Circumstances, Domain
from fhir_server.consent.rules.mask import spares
from fhir_server.consent.speaks import acts_but, speaks
from fhir_server.consent.verdict import Effect, Verdict, deny, silent
from fhir_server.consent.where import written_by
from fhir_server.identity.requester import Kind
from fhir_server.record.actors import ID_NAT_STRUCT, actor_key
from fhir_server.search.predicate import Field, Predicate, all_of, any_of, negate, one_of

RULE = "care-history"

ASSURANCE_MALADIE: Final = actor_key(ID_NAT_STRUCT, "318003502400041")
"""The structure that feeds the care history, by its idNatSt."""
CARE_HISTORY: Final[Predicate] = any_of(
    [
        one_of(Field.CATEGORY, "60"),
        one_of(Field.KIND, "REMB"),
        one_of(Field.DEPOSIT_ORGANISATION, ASSURANCE_MALADIE),
    ]
)
"""Reimbursement data: class 60 of JDV_J57, type REMB of TRE_A05, and what they come with."""


@speaks(kinds=(Kind.PROFESSIONAL, Kind.ORGANISATION), acts=acts_but(Act.FEED, Act.REPLACE, Act.TRACE))
def care_history(seen: Circumstances) -> Verdict:
    """Deny the care history to professionals and publishers when the patient masked it."""
    if not seen.facts.history_masked or seen.domain is not Domain.CONTENTS or spares(seen):
        return silent(RULE, Effect.DENY)
    return deny(RULE, all_of([CARE_HISTORY, negate(written_by(seen.requester))]), "the patient masked the care history")

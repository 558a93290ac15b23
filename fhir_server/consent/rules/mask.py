"""A masked document stays visible to the patient, the médecin traitant and its author (R-20, R-21, R1111-49).

The mask is itself invisible (R-22). In an emergency it holds unless the patient chose otherwise (R-29, R-46).
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from fhir_server.consent.circumstances import Act, Circumstances, Standing
from fhir_server.consent.speaks import acts_but, speaks
from fhir_server.consent.verdict import Effect, Verdict, deny, silent
from fhir_server.consent.where import written_by
from fhir_server.identity.requester import Kind
from fhir_server.record.labels import MASKS
from fhir_server.search.predicate import Field, all_of, negate, one_of

if TYPE_CHECKING:
    from fhir_server.identity.requester import Requester
    from fhir_server.search.predicate import Predicate

RULE = "mask"


@speaks(kinds=(Kind.PROFESSIONAL, Kind.ORGANISATION), acts=acts_but(Act.FEED, Act.REPLACE, Act.TRACE))
def mask(seen: Circumstances) -> Verdict:
    """Deny masked documents to professionals and publishers, but for their own."""
    if spares(seen):
        return silent(RULE, Effect.DENY)
    return deny(RULE, _masked(seen.requester), "the patient masked this document to professionals")


@lru_cache(maxsize=4096)
def _masked(requester: Requester) -> Predicate:
    return all_of([one_of(Field.LABELS, *MASKS), negate(written_by(requester))])


def spares(seen: Circumstances) -> bool:
    """Whether masks hide nothing here: nothing from the patient's side, nothing from the médecin traitant."""
    if seen.requester.kind not in (Kind.PROFESSIONAL, Kind.ORGANISATION) or seen.act in (
        Act.FEED,
        Act.REPLACE,
        Act.TRACE,
    ):
        return True
    if Standing.MEDECIN_TRAITANT in seen.standings:
        return True
    return seen.emergency and seen.facts.emergency.get("MASKED", False)

"""A blocked professional sees nothing of the record, authorised or not, not even his own deposits (R-10, R-11, R-14).

The block hits the person, by RPPS, in all his roles and sites. It does not stop feeding, nor an emergency that the
patient did not oppose.
"""

from __future__ import annotations

from fhir_server.consent.circumstances import Act, Circumstances, professional_key
from fhir_server.consent.speaks import acts_but, speaks
from fhir_server.consent.verdict import Effect, Verdict, deny, silent
from fhir_server.consent.where import deposited_by, in_record
from fhir_server.identity.requester import Kind
from fhir_server.search.predicate import all_of, negate

RULE = "block"


@speaks(kinds=(Kind.PROFESSIONAL,), acts=acts_but(Act.FEED, Act.TRACE, Act.STATUS))
def block(seen: Circumstances) -> Verdict:
    """Deny the record to a professional whom the patient blocked."""
    key = professional_key(seen.requester)
    if key not in seen.facts.blocked or seen.emergency or seen.act in (Act.FEED, Act.TRACE, Act.STATUS):
        return silent(RULE, Effect.DENY)
    where = in_record(seen)
    if seen.act is Act.REPLACE:
        where = all_of([where, negate(deposited_by(seen))])  # what he may feed again he may replace
    return deny(RULE, where, "the patient blocked this professional")

"""What only tells of other resources is hidden while all of these are: it would say that a masked document is there.

The submission set of a document, the provenance of a result, the answer to an appointment (`record.elements.ABOUT`):
with what they tell of taken out, nothing is left but that there is something (R-22, ADR 0018).
"""

from __future__ import annotations

from fhir_server.consent.circumstances import Act, Circumstances
from fhir_server.consent.speaks import acts_but, speaks
from fhir_server.consent.verdict import Effect, Verdict, deny, silent
from fhir_server.consent.where import brought_by
from fhir_server.identity.requester import Kind
from fhir_server.record.elements import ABOUT
from fhir_server.search.predicate import Field, all_of, negate, one_of

RULE = "refers-to-hidden"


@speaks(kinds=frozenset(Kind) - {Kind.CONFORMANCE}, acts=acts_but(Act.FEED, Act.TRACE))
def refers_to_hidden(seen: Circumstances) -> Verdict:
    """Deny what tells of other resources alone, none of which the requester may consult."""
    if seen.requester.kind is Kind.CONFORMANCE or seen.type not in ABOUT or seen.act in (Act.FEED, Act.TRACE):
        return silent(RULE, Effect.DENY)
    nothing_shown = negate(one_of(Field.ABOUT, None, *seen.shown))
    where = all_of([nothing_shown, negate(brought_by(seen.requester))])
    return deny(RULE, where, "all it tells of is hidden from the requester")

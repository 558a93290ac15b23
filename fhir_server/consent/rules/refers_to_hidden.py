"""What gathers documents is hidden while one of them is: a list that names a masked document would betray it (R-22).

Restrictive first: the whole gathering resource is withheld, not the one entry.
"""

from __future__ import annotations

from fhir_server.consent.circumstances import Act, Circumstances
from fhir_server.consent.verdict import Effect, Verdict, deny, silent
from fhir_server.record.belonging import REFERRING
from fhir_server.search.predicate import Field, all_of, negate, one_of

RULE = "refers-to-hidden"


def refers_to_hidden(seen: Circumstances) -> Verdict:
    """Deny gathering resources that refer to something of the record the requester may not consult."""
    if seen.type not in REFERRING or seen.act in (Act.FEED, Act.TRACE):
        return silent(RULE, Effect.DENY)
    # his own deposit tells him nothing new; hidden, it would tell him that what he named is there
    others = negate(one_of(Field.DEPOSIT_BY, seen.requester.key))
    where = all_of([one_of(Field.REFERS, *seen.hidden), others])
    return deny(RULE, where, "it refers to something that is hidden from the requester")

"""What the table of acts does not name is no: the first perimeter, of one act on one type (acts.toml)."""

from __future__ import annotations

from fhir_server.consent.circumstances import Circumstances, possible_standings
from fhir_server.consent.speaks import speaks
from fhir_server.consent.verdict import Verdict, limit
from fhir_server.search.predicate import NEVER, Field, one_of

RULE = "acts-table"


@speaks(of_record=False)
def acts_table(seen: Circumstances) -> Verdict:
    """Limit to this type, and to nothing when no possible standing may do this act on it."""
    if any(seen.allows(standing) for standing in possible_standings(seen.requester)):
        return limit(RULE, one_of(Field.TYPE, seen.type), "the table of acts names this act")
    return limit(RULE, NEVER, "the table of acts does not name this act")

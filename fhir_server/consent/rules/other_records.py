"""What belongs to several records needs each of them: an appointment of two patients is seen by who may see it of both.

So is it written: who feeds must be able to feed every record it names. What belongs to a record in which nothing was
decided is denied, so that one written meanwhile does not slip through.
"""

from __future__ import annotations

from fhir_server.consent.circumstances import Act, Circumstances
from fhir_server.consent.speaks import acts_but, speaks
from fhir_server.consent.verdict import Effect, Verdict, deny, silent
from fhir_server.consent.where import belonging_to
from fhir_server.identity.requester import Kind
from fhir_server.record.elements import SEVERAL
from fhir_server.search.predicate import Field, all_of, any_of, negate, one_of, within

RULE = "other-records"


@speaks(kinds=frozenset(Kind) - {Kind.CONFORMANCE}, acts=acts_but(Act.TRACE))
def other_records(seen: Circumstances) -> Verdict:
    """Deny what belongs also to a record where the requester may not do the same."""
    if seen.requester.kind is Kind.CONFORMANCE or seen.type not in SEVERAL or seen.act is Act.TRACE:
        return silent(RULE, Effect.DENY)
    decided = [seen.facts.record, *(record for record, _ in seen.others)]
    elsewhere = negate(all_of([one_of(Field.RECORD, None, *decided), within(Field.ALSO, *decided)]))
    closed = [all_of([belonging_to(seen.type, record), negate(where)]) for record, where in seen.others]
    return deny(RULE, any_of([elsewhere, *closed]), "it belongs also to a record that is closed to the requester")

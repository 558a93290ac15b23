"""Who deposited may read his deposit again, and withdraw it, without authorisation (R1111-49, R-05, R-51).

A Binary, or a FHIR document, that no document owns yet may belong to no record, and is then its depositor's alone.
"""

from __future__ import annotations

from fhir_server.consent.circumstances import Act, Circumstances, Domain, Standing
from fhir_server.consent.speaks import speaks
from fhir_server.consent.verdict import Effect, Verdict, permit, silent
from fhir_server.consent.where import deposited_by, in_record
from fhir_server.record.elements import OWNED
from fhir_server.search.predicate import Field, all_of, any_of, one_of

RULE = "own-deposit"

_DEPOSITORS = (
    Standing.PROFESSIONAL,
    Standing.PROFESSIONAL_AUTHORISED,
    Standing.PUBLISHER,
    Standing.PATIENT,
    Standing.REPRESENTANT,
    Standing.CARER,
    Standing.TEAM_MEMBER,
)


@speaks(acts=(Act.CONSULT, Act.DELETE_OWN))
def own_deposit(seen: Circumstances) -> Verdict:
    """Permit the depositor to consult and delete what he deposited."""
    if (
        seen.domain is not Domain.CONTENTS
        or seen.act not in (Act.CONSULT, Act.DELETE_OWN)
        or not seen.stands(*_DEPOSITORS)
    ):
        return silent(RULE, Effect.PERMIT)
    places = [in_record(seen)]
    if seen.type in OWNED:
        places.append(one_of(Field.RECORD, None))
    return permit(RULE, all_of([any_of(places), deposited_by(seen)]), "the requester deposited it")

"""Feeding needs no authorisation, and a block does not stop it (R-05, R-11, R1111-47).

It permits adding to a record, and replacing what one deposited oneself: the candidate carries its author's deposit. So
does the document that a new one makes superseded (R-52).
A Binary, or a FHIR document, may be deposited before the document that will own it, so it has no record yet.
"""

from __future__ import annotations

from fhir_server.consent.circumstances import Act, Circumstances, Domain, Standing
from fhir_server.consent.speaks import speaks
from fhir_server.consent.verdict import Effect, Verdict, permit, silent
from fhir_server.consent.where import deposited_by, in_record
from fhir_server.record.elements import OWNED
from fhir_server.search.predicate import Field, all_of, any_of, one_of

RULE = "feeding"

_FEEDERS = (
    Standing.PROFESSIONAL,
    Standing.PROFESSIONAL_AUTHORISED,
    Standing.MEDECIN_TRAITANT,
    Standing.PUBLISHER,
    Standing.FEEDER,
    Standing.PATIENT,
    Standing.REPRESENTANT,
    Standing.CARER,
    Standing.TEAM_MEMBER,
)


@speaks(acts=(Act.FEED, Act.REPLACE))
def feeding(seen: Circumstances) -> Verdict:
    """Permit depositing in a record and replacing own deposits."""
    if seen.domain is not Domain.CONTENTS or seen.act not in (Act.FEED, Act.REPLACE) or not seen.stands(*_FEEDERS):
        return silent(RULE, Effect.PERMIT)
    places = [in_record(seen)]
    if seen.type in OWNED:
        places.append(one_of(Field.RECORD, None))
    return permit(RULE, all_of([any_of(places), deposited_by(seen)]), "feeding needs no authorisation")

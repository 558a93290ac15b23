"""A professional consults when the patient authorised him or his structure (R-01, R-06; R1111-46).

Valid from the start to the end of the period, against the moment of the request (R-03). Of the Consents of the record
he sees those that name him.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fhir_server.consent.circumstances import Act, Circumstances, Domain, Standing, professional_key
from fhir_server.consent.speaks import speaks
from fhir_server.consent.verdict import Effect, Verdict, permit, silent
from fhir_server.consent.where import in_record
from fhir_server.search.predicate import Field, all_of, one_of

if TYPE_CHECKING:
    from fhir_server.search.predicate import Predicate
from fhir_server.identity.requester import Kind

RULE = "authorisation"


@speaks(kinds=(Kind.PROFESSIONAL,), acts=(Act.CONSULT, Act.RELABEL, Act.REPLACE))
def authorisation(seen: Circumstances) -> Verdict:
    """Permit the authorised professional to consult and relabel."""
    if seen.act not in (Act.CONSULT, Act.RELABEL, Act.REPLACE) or not seen.stands(Standing.PROFESSIONAL_AUTHORISED):
        return silent(RULE, Effect.PERMIT)
    return permit(RULE, consulted(seen), "the patient authorised the requester or his structure")


def consulted(seen: Circumstances) -> Predicate:
    """What a professional who may consult sees of the record: of its Consents, those that name him."""
    where = in_record(seen)
    if seen.domain is Domain.GOVERN:
        return all_of([where, one_of(Field.NAMED, professional_key(seen.requester))])
    return where

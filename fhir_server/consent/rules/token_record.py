"""A professional's token may be issued for one patient (IUA `person_id`); it opens no other record.

Nor the traces of another, but for those of his own acts. A Binary, or a FHIR document, may be deposited before the
document that will own it: it belongs to no record yet.
"""

from __future__ import annotations

from fhir_server.consent.circumstances import Circumstances, Domain
from fhir_server.consent.verdict import Verdict, limit
from fhir_server.identity.requester import Kind
from fhir_server.record.elements import OWNED
from fhir_server.search.predicate import ALWAYS, NEVER, Field, one_of

RULE = "token-record"


def token_record(seen: Circumstances) -> Verdict:
    """Limit a professional whose token names a person to that person's record."""
    person = seen.requester.person
    if (
        seen.requester.kind is not Kind.PROFESSIONAL
        or person is None
        or seen.domain is Domain.DIRECTORY
        or f"ins|{person.value}" in seen.facts.persons
    ):
        return limit(RULE, ALWAYS, "the token is not issued for another person")
    if seen.domain is Domain.TRACE:
        where = one_of(Field.AGENT, seen.requester.key)
        return limit(RULE, where, "the token is issued for another person; own acts only")
    if seen.type in OWNED and not seen.facts.exists:
        return limit(RULE, one_of(Field.RECORD, None), "the token is issued for a person; this belongs to none yet")
    return limit(RULE, NEVER, "the token is issued for another person")

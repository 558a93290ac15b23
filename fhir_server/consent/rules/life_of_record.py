"""Only an open record is consulted and fed (R-70..R-75, L1111-18, L1111-21, R1111-36).

Closed, archived, opposed, to be erased or of somebody deceased, it shows nothing, and nothing is added to it. Its
holder keeps his Patient, by which he may reopen it, his traces, and, where he opposed it, the Consent that says so.
Whether a record is open may be asked of any (TD0.2).
"""

from __future__ import annotations

from fhir_server.consent.circumstances import Act, Circumstances, Domain, Standing
from fhir_server.consent.verdict import Verdict, limit
from fhir_server.record.elements import OWNED
from fhir_server.record.facts import Life
from fhir_server.search.predicate import ALWAYS, NEVER, Field, one_of

RULE = "life-of-record"

_HOLDER = frozenset({Standing.PATIENT, Standing.REPRESENTANT})


def life_of_record(seen: Circumstances) -> Verdict:
    """Limit to open records, but for what its holder keeps, the traces, and what belongs to no record."""
    life = seen.facts.life(seen.now)
    if life is Life.OPEN or seen.domain in (Domain.TRACE, Domain.DIRECTORY, Domain.OTHER) or seen.act is Act.STATUS:
        return limit(RULE, ALWAYS, "the record is open, or there is none to close")
    if Standing.CONFORMANCE in seen.standings:
        return limit(RULE, ALWAYS, "a conformance client works on any state of a record")
    if seen.standings & _HOLDER and (
        seen.domain is Domain.PATIENT or (seen.type == "Consent" and life is Life.OPPOSED)
    ):
        return limit(RULE, ALWAYS, "the holder of a closed record keeps his Patient, and may reopen it")
    if seen.type in OWNED:
        return limit(RULE, one_of(Field.RECORD, None), "the record is closed or unknown; this belongs to none yet")
    return limit(RULE, NEVER, f"the record is not open: {life}")

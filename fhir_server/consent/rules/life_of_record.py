"""A closed record is neither consulted nor fed; the holder keeps his Patient and his traces (L1111-21, R-72)."""

from __future__ import annotations

from fhir_server.consent.circumstances import Circumstances, Domain, Standing
from fhir_server.consent.verdict import Verdict, limit
from fhir_server.search.predicate import ALWAYS, NEVER, Field, one_of

RULE = "life-of-record"


def life_of_record(seen: Circumstances) -> Verdict:
    """Limit to open records, but for the holder's Patient, the traces, and what belongs to no record."""
    if seen.facts.open or seen.domain in (Domain.TRACE, Domain.DIRECTORY, Domain.OTHER):
        return limit(RULE, ALWAYS, "the record is open, or there is none to close")
    if Standing.CONFORMANCE in seen.standings:
        return limit(RULE, ALWAYS, "a conformance client works on any state of a record")
    if seen.domain is Domain.PATIENT and seen.standings & {Standing.PATIENT, Standing.REPRESENTANT}:
        return limit(RULE, ALWAYS, "the holder of a closed record keeps his Patient, and may reopen it")
    if seen.type == "Binary":
        return limit(RULE, one_of(Field.RECORD, None), "the record is closed or unknown; this belongs to none yet")
    return limit(RULE, NEVER, "the record is closed or unknown")

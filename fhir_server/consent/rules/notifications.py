"""What the server tells a patient is for who administers the record with him, and stays as it is (R-45, R1111-48).

The holder, his representative and the médecin traitant or administrator read it; a carer and other professionals do
not, not even the one it tells of. Nobody changes or deletes it. A notification is known by its deposit, which the
server alone makes: a label or a category could be written by anybody.
"""

from __future__ import annotations

from typing import Final

from fhir_server.consent.circumstances import Act, Circumstances, Standing
from fhir_server.consent.speaks import acts_but, speaks
from fhir_server.consent.verdict import Effect, Verdict, deny, silent
from fhir_server.record.notification import SERVER
from fhir_server.search.predicate import Field, one_of

RULE = "notifications"

_READERS: Final = frozenset({Standing.PATIENT, Standing.REPRESENTANT, Standing.MEDECIN_TRAITANT, Standing.CONFORMANCE})


@speaks(acts=acts_but(Act.TRACE))
def notifications(seen: Circumstances) -> Verdict:
    """Deny the server's notifications to all but their readers, and every change of them to everybody."""
    if seen.type != "Communication" or seen.act is Act.TRACE:
        return silent(RULE, Effect.DENY)
    if seen.act is Act.CONSULT and seen.standings & _READERS:
        return silent(RULE, Effect.DENY)
    return deny(RULE, one_of(Field.DEPOSIT_BY, SERVER), "the server tells this to the patient, and nobody changes it")

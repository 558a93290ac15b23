"""Which purpose fits whom (R-40 to R-42). What does not fit is refused, never served as ordinary treatment.

ETREAT counts only for a doctor of a SAMU; BTG only for a health professional who authenticated in person and says why.
"""

from __future__ import annotations

from typing import Final

from fhir_server.fhir.messages import Told
from fhir_server.identity.messages import told
from fhir_server.identity.requester import Kind, Purpose, Requester
from fhir_server.identity.systems import G15

IN_PERSON: Final = frozenset({"sc", "mfa"})
"""Authentication methods that need the person there: his card (CPS) or several factors (e-CPS). A password alone, or a
key that a machine may hold (``hwk``, ``swk``), is not enough. https://www.rfc-editor.org/rfc/rfc8176#section-2"""

DOCTOR: Final = "10"
SAMU: Final = "SAMU_SMUR"
SHORTEST_REASON: Final = 10
LONGEST_REASON: Final = 500

_FOR_EVERYBODY = frozenset({Purpose.TREAT})
_BY_KIND = {
    Kind.PATIENT: frozenset({Purpose.TREAT, Purpose.PATRQT}),
    Kind.REPRESENTATIVE: frozenset({Purpose.TREAT, Purpose.FAMRQT}),
    Kind.CARER: frozenset({Purpose.TREAT, Purpose.FAMRQT}),
    Kind.PROFESSIONAL: frozenset({Purpose.TREAT, Purpose.ETREAT, Purpose.BTG}),
}


def misfit(requester: Requester) -> Told | None:
    """The sentence that says why the purpose does not fit the requester; nothing when it does."""
    if requester.purpose not in _BY_KIND.get(requester.kind, _FOR_EVERYBODY):
        return told("purpose-kind", purpose=requester.purpose)
    if requester.purpose is Purpose.ETREAT:
        return _emergency_call(requester)
    if requester.purpose is Purpose.BTG:
        return _break_the_glass(requester)
    return None


def _emergency_call(requester: Requester) -> Told | None:
    if (requester.profession_system, requester.profession) != (G15, DOCTOR):
        return told("etreat-doctor")
    if requester.practice_setting != SAMU:
        return told("etreat-samu")
    return None


def _break_the_glass(requester: Requester) -> Told | None:
    if requester.profession_system != G15:
        return told("btg-professional")
    if not requester.authenticated_in_person:
        return told("btg-in-person")
    if requester.reason is None or not SHORTEST_REASON <= len(requester.reason) <= LONGEST_REASON:
        return told("btg-reason", least=SHORTEST_REASON, most=LONGEST_REASON)
    return None

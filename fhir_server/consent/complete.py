"""Whether the rules are all there: a limit that is missing would open what it should close, so the start-up stops.

Every limit answers for every kind of requester, act and type; this asks them all, once (access: the algebra).
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Final

from fhir_server.consent.circumstances import Act, circumstances
from fhir_server.consent.rules import LIMITS, RULES
from fhir_server.consent.verdict import Effect
from fhir_server.identity.requester import Kind, Purpose, Realm, Requester
from fhir_server.record.facts import NO_RECORD

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fhir_server.consent.circumstances import Law
    from fhir_server.consent.rules import Rule

_TYPES: Final = (
    "DocumentReference",
    "Binary",
    "Observation",
    "List",
    "Patient",
    "Consent",
    "AuditEvent",
    "Organization",
    "Basic",
)


class IncompleteRules(RuntimeError):
    """A limit does not answer; nothing may be decided."""


def must_be_complete(law: Law, rules: Sequence[Rule] = RULES) -> None:
    """Raise :class:`IncompleteRules` unless the declared limits, and no others, answer for every kind and act."""
    for kind, act, type in product(Kind, Act, _TYPES):
        seen = circumstances(requester=_somebody(kind), act=act, type=type, facts=NO_RECORD, now=0, law=law)
        answered = {verdict.rule for rule in rules if (verdict := rule(seen)).effect is Effect.LIMIT}
        if answered != LIMITS:
            wrong = ", ".join(sorted(answered ^ LIMITS))
            raise IncompleteRules(f"The limits on {act} of {type} by {kind} are not complete: {wrong}.")


def _somebody(kind: Kind) -> Requester:
    return Requester(
        kind=kind,
        key=f"somebody|{kind}",
        name="",
        subject="",
        issuer="",
        realm=Realm.ESSAI,
        rpps=None,
        organisation=None,
        organisation_system=None,
        roles=(),
        profession=None,
        profession_system=None,
        specialty=None,
        practice_setting=None,
        purpose=Purpose.TREAT,
        reason=None,
        person=None,
        actor=None,
        audience_restriction=None,
        amr=(),
        authenticated_in_person=False,
        scopes=(),
        token_id="",
        expires=0,
    )

"""Whether the rules are all there: a limit that is missing would open what it should close, so the start-up stops.

Every limit answers for every kind of requester, act and type; this asks them all, once (access: the algebra). And every
rule has its words: nobody is refused by something that cannot be explained (`words.toml`).
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Final

from fhir_server.consent.circumstances import Act, circumstances
from fhir_server.consent.rules import LIMITS, RULES
from fhir_server.consent.verdict import Effect
from fhir_server.consent.words import must_speak, words
from fhir_server.identity.requester import Kind, Purpose, Realm, Requester
from fhir_server.record.facts import NO_RECORD

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fhir_server.consent.circumstances import Law
    from fhir_server.consent.rules import Rule

_TYPES: Final = (
    "DocumentReference",
    "Binary",
    "Bundle",
    "Observation",
    "List",
    "Patient",
    "Consent",
    "AuditEvent",
    "Organization",
    "Appointment",
    "Provenance",
    "Slot",
)


class IncompleteRules(RuntimeError):
    """A limit does not answer; nothing may be decided."""


def must_be_complete(law: Law, rules: Sequence[Rule] = RULES) -> None:
    """Raise :class:`IncompleteRules` unless the declared limits, and no others, answer for every kind and act.

    And :class:`~fhir_server.consent.words.InvalidWords` unless every rule has its words.
    """
    effects: dict[str, Effect] = {}
    for kind, act, type in product(Kind, Act, _TYPES):
        seen = circumstances(requester=_somebody(kind), act=act, type=type, facts=NO_RECORD, now=0, law=law)
        verdicts = [rule(seen) for rule in rules]
        effects |= {verdict.rule: verdict.effect for verdict in verdicts}
        answered = {verdict.rule for verdict in verdicts if verdict.effect is Effect.LIMIT}
        if answered != LIMITS:
            wrong = ", ".join(sorted(answered ^ LIMITS))
            raise IncompleteRules(f"The limits on {act} of {type} by {kind} are not complete: {wrong}.")
    must_speak(words(), effects)


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

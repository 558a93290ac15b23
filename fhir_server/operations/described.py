"""The requester that `$explain-access` is asked about, as the caller describes him (`consent.described`).

He is nobody's token: he is only decided about, and never given anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from fhir_server.consent.described import Description, Impossible, describe_requester
from fhir_server.fhir.errors import Unprocessable
from fhir_server.fhir.outcome import IssueType
from fhir_server.identity.requester import Coding, Kind, Purpose

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fhir_server.identity.requester import Requester
    from fhir_server.interactions.exchange import Exchange
    from fhir_server.operations.parameters import Given
    from fhir_server.record.facts import Facts

_KINDS: Final = {
    str(kind): kind for kind in (Kind.PROFESSIONAL, Kind.ORGANISATION, Kind.PATIENT, Kind.REPRESENTATIVE, Kind.CARER)
}
_PURPOSES: Final = {str(purpose): purpose for purpose in Purpose}
_PARTS: Final = {"role": "profession", "practice_setting": "practice-setting"}
"""Where the name of a part differs from that of the member of a description."""
Choice = TypeVar("Choice", Kind, Purpose)


def described(exchange: Exchange, given: Given, facts: Facts) -> Requester:
    """Somebody with the widest scopes of his kind, of whom the rules know what is told here and nothing else."""
    told = Description(
        kind=_one_of(given, "kind", _KINDS) or Kind.PROFESSIONAL,
        role=_profession(given),
        rpps=given.text("rpps"),
        finess=given.text("finess"),
        practice_setting=given.text("practice-setting"),
        purpose=_one_of(given, "purpose", _PURPOSES) or Purpose.TREAT,
    )
    try:
        return describe_requester(told, facts, exchange.requester.realm, exchange.now)
    except Impossible as error:
        raise _refused(given, _PARTS.get(error.part, error.part), str(error)) from None


def _profession(given: Given) -> Coding | None:
    told = given.one("profession")
    if told is None or not isinstance(told.value, dict):
        return None
    system, code = told.value.get("system"), told.value.get("code")
    if not isinstance(system, str) or not isinstance(code, str):
        raise _refused(given, "profession", "A profession is told by its system and its code.")
    return Coding(system, code)


def _one_of(given: Given, name: str, known: Mapping[str, Choice]) -> Choice | None:
    told = given.text(name)
    if told is None:
        return None
    if told not in known:
        raise _refused(given, name, f"{told[:60]!r} is none of {', '.join(known)}.")
    return known[told]


def _refused(given: Given, name: str, sentence: str) -> Unprocessable:
    where = given.where(name) if name in given.values else ()
    return Unprocessable(sentence, expression=where or ("Parameters",), code=IssueType.VALUE)

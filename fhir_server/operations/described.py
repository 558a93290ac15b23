"""The requester that `$explain-access` is asked about, as the caller describes him (`consent.described`).

He is nobody's token: he is only decided about, and never given anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from fhir_server.consent.described import Description, Impossible, describe_requester
from fhir_server.fhir.errors import Unprocessable
from fhir_server.fhir.outcome import IssueType
from fhir_server.identity.requester import Coding, Kind, Purpose
from fhir_server.operations.messages import told

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fhir_server.fhir.messages import Told
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
    description = Description(
        kind=_one_of(given, "kind", _KINDS) or Kind.PROFESSIONAL,
        role=_profession(given),
        rpps=given.text("rpps"),
        finess=given.text("finess"),
        practice_setting=given.text("practice-setting"),
        purpose=_one_of(given, "purpose", _PURPOSES) or Purpose.TREAT,
    )
    try:
        return describe_requester(description, facts, exchange.requester.realm, exchange.now)
    except Impossible as error:
        raise _refused(given, _PARTS.get(error.part, error.part), error.told) from None


def _profession(given: Given) -> Coding | None:
    coding = given.one("profession")
    if coding is None or not isinstance(coding.value, dict):
        return None
    system, code = coding.value.get("system"), coding.value.get("code")
    if not isinstance(system, str) or not isinstance(code, str):
        raise _refused(given, "profession", told("profession-by-code"))
    return Coding(system, code)


def _one_of(given: Given, name: str, known: Mapping[str, Choice]) -> Choice | None:
    text = given.text(name)
    if text is None:
        return None
    if text not in known:
        raise _refused(given, name, told("none-of", value=text[:60], known=", ".join(known)))
    return known[text]


def _refused(given: Given, name: str, message: Told) -> Unprocessable:
    where = given.where(name) if name in given.values else ()
    return Unprocessable(message, expression=where or ("Parameters",), code=IssueType.VALUE)

"""The actor an operation names: a professional by RPPS, a structure by FINESS (docs/identifiers.md)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from fhir_server.fhir.errors import Unprocessable
from fhir_server.fhir.joining import either
from fhir_server.fhir.outcome import IssueType
from fhir_server.identity.requester import Realm
from fhir_server.operations.messages import told
from fhir_server.record.actors import FINESS, INS_NIR, INS_NIR_TEST, RPPS, actor_key

if TYPE_CHECKING:
    from fhir_server.fhir.json import JsonObject
    from fhir_server.identity.requester import Requester
    from fhir_server.operations.parameters import Given

RPPS_DIGITS: Final = 11
FINESS_CHARACTERS: Final = 9
_SYSTEMS: Final = {"rpps": RPPS, "finess": FINESS}


@dataclass(frozen=True, slots=True)
class Actor:
    """Whom a Consent names."""

    system: str
    value: str

    @property
    def key(self) -> str:
        """As the facts spell him."""
        return actor_key(self.system, self.value)

    @property
    def is_structure(self) -> bool:
        """Whether it is a structure, not a person."""
        return self.system == FINESS

    def identifier(self) -> JsonObject:
        """As FHIR writes it."""
        return {"system": self.system, "value": self.value}


def actor_of(given: Given, *, structures: bool) -> Actor:
    """The parameter ``actor``; 422 for one that no Consent can name."""
    sent, where = given.one("actor"), given.where("actor")
    identifier = sent.value if sent is not None else None
    system, value = ("", "")
    if isinstance(identifier, dict):
        system, value = str(identifier.get("system", "")), str(identifier.get("value", ""))
    spelt, _, number = actor_key(system, value).partition("|")
    allowed = (RPPS, FINESS) if structures else (RPPS,)
    if spelt not in _SYSTEMS or _SYSTEMS[spelt] not in allowed:
        raise Unprocessable(
            told("actor-system", systems=either(allowed)),
            expression=tuple(f"{one}.value.system" for one in where),
            code=IssueType.VALUE,
        )
    if not _is_number(spelt, number):
        digits = spelt == "rpps"
        raise Unprocessable(
            told("actor-digits", number=RPPS_DIGITS) if digits else told("actor-characters", number=FINESS_CHARACTERS),
            expression=tuple(f"{one}.value.value" for one in where),
            code=IssueType.VALUE,
        )
    return Actor(_SYSTEMS[spelt], number)


def actor_of_key(key: str, realm: Realm) -> JsonObject:
    """The identifier behind a key of the facts; an INS, which has several systems, under the usual one of its realm."""
    spelt, _, value = key.partition("|")
    ins = INS_NIR if realm is Realm.REEL else INS_NIR_TEST
    return {"system": {**_SYSTEMS, "ins": ins}.get(spelt, spelt), "value": value}


def is_himself(requester: Requester, actor: Actor) -> bool:
    """Whether the actor is the professional who asks."""
    return requester.rpps is not None and actor == Actor(RPPS, requester.rpps)


def _is_number(spelt: str, number: str) -> bool:
    if spelt == "rpps":
        return number.isascii() and number.isdigit() and len(number) == RPPS_DIGITS
    return number.isascii() and number.isalnum() and len(number) == FINESS_CHARACTERS

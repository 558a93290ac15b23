"""What the server tells a patient by itself: a Communication of his record, in French (R-45, R1111-48, access §10).

Of an emergency access, of a consent that somebody else wrote down for him. No client writes these: what makes one is
its deposit, which no body tells. Pure: what happened in, a resource out.

https://hl7.org/fhir/R4/communication.html
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from fhir_server.fhir.date import instant, moment
from fhir_server.record.actors import FINESS, RPPS
from fhir_server.record.labels import INVISIBLE_REPRESENTANTS_LEGAUX, TRE_A07

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import tzinfo

    from fhir_server.fhir.json import Json, JsonObject
    from fhir_server.record.facts import Facts

NOTIFICATION: Final = "https://fhir.dmp-ens.example/CodeSystem/notification"
SERVER: Final = "server"
"""Under which key the server itself deposits: no token gives it to anybody."""

_SYSTEMS: Final = {"rpps": RPPS, "finess": FINESS}


class Occasion(StrEnum):
    """Of what a patient is told."""

    EMERGENCY = "acces-urgence"
    CONSENT_COLLECTED = "consentement-recueilli"
    MEDECIN_TRAITANT = "medecin-traitant-declare"


_DISPLAYS: Final = {
    Occasion.EMERGENCY: "Accès en urgence",
    Occasion.CONSENT_COLLECTED: "Consentement recueilli",
    Occasion.MEDECIN_TRAITANT: "Médecin traitant déclaré",
}
_MODES: Final = {
    "ETREAT": "centre de régulation (SAMU, centre 15)",
    "BTG": "bris de glace",
}


@dataclass(frozen=True, slots=True)
class Actor:
    """Who caused a notification, as his token tells."""

    name: str
    system: str | None = None
    value: str | None = None
    structure: str | None = None

    def reference(self) -> JsonObject:
        """Named by identifier: whether he is in the directory does not matter."""
        told: JsonObject = {"display": self.name}
        if self.system is None or self.value is None:
            return told
        type = "Practitioner" if self.system == RPPS else "Organization"
        return {"type": type, "identifier": {"system": self.system, "value": self.value}, **told}

    def named(self) -> str:
        """In a sentence."""
        known = {RPPS: "RPPS", FINESS: "FINESS"}.get(self.system or "")
        number = f" ({known} {self.value})" if known is not None else ""
        return f"{self.name}{number}" + (f", structure {self.structure}," if self.structure else "")


@dataclass(frozen=True, slots=True)
class Notification:
    """What is told, to whom."""

    occasion: Occasion
    record: str
    readers: tuple[str, ...]
    """The keys of those who administer the record with the patient (``rpps|…``)."""
    by: Actor
    sent: int
    text: str
    secret: bool
    """It is kept from the legal representatives, as what it tells of is (R-26, R-63)."""

    def resource(self) -> JsonObject:
        """The Communication, without an id."""
        patient = {"reference": f"Patient/{self.record}"}
        coding: JsonObject = {
            "system": NOTIFICATION,
            "code": self.occasion.value,
            "display": _DISPLAYS[self.occasion],
        }
        recipients: list[Json] = [{**patient}, *(_reader(key) for key in self.readers)]
        told: JsonObject = {"resourceType": "Communication"}
        if self.secret:
            told["meta"] = {"security": [{"system": TRE_A07, "code": INVISIBLE_REPRESENTANTS_LEGAUX}]}
        return told | {
            "status": "completed",
            "category": [{"coding": [coding]}],
            "subject": {**patient},
            "sent": instant(moment(self.sent)),
            "recipient": recipients,
            "sender": self.by.reference(),
            "payload": [{"contentString": self.text}],
        }


def administrators(facts: Facts, now: int) -> tuple[str, ...]:
    """The médecins traitants and administrators of a record at this moment: they are told as the patient is (R-45)."""
    grants = (*facts.medecins_traitants, *facts.administrators)
    named = (grant.actor for grant in grants if grant.start <= now < grant.end and grant.actor not in facts.blocked)
    return tuple(dict.fromkeys(named))


def of_emergency(by: Actor, purpose: str, reason: str | None, at: int, zone: tzinfo) -> str:
    """Who, when, in which mode and why (R-45)."""
    why = f"Motif déclaré : « {reason} »." if reason else "Aucun motif n'a été indiqué."
    return (
        f"Le {_when(at, zone)}, {by.named()} a consulté le dossier en urgence, sans autorisation préalable "
        f"(mode : {_MODES[purpose]}). {why} "
        "L'historique des accès dit ce qui a été consulté. Le patient peut s'opposer à ces accès à tout moment."
    )


def of_consent(by: Actor, whom: str | None, end: int | None, at: int, zone: tzinfo) -> str:
    """Who wrote down that the patient authorised whom, himself unless told, until when (access §10)."""
    allows = "l'autorise" if whom is None else f"autorise {whom}"
    # a right that ends at midnight held to the end of the day before
    until = f", jusqu'au {moment(end - 1).astimezone(zone):%d/%m/%Y} inclus" if end is not None else ""
    return (
        f"Le {_when(at, zone)}, {by.named()} a enregistré que le patient {allows} à consulter le dossier{until}. "
        "Le patient peut retirer cette autorisation à tout moment."
    )


def of_declaration(by: Actor, whom: str | None, at: int, zone: tzinfo, *, waits: bool) -> str:
    """Who was declared médecin traitant by whom, himself unless told, and whether it waits for the patient (R-24)."""
    then = (
        "Cette déclaration ne donne aucun droit avant que le patient l'ait confirmée."
        if waits
        else "Le patient peut y mettre fin à tout moment."
    )
    declares = "s'est déclaré médecin traitant" if whom is None else f"a désigné {whom} comme médecin traitant"
    return f"Le {_when(at, zone)}, {by.named()} {declares}. {then}"


def is_forged(type: str, resource: JsonObject) -> bool:
    """Whether a client writes what looks like a notification of the server's."""
    return type == "Communication" and any(
        isinstance(coding, dict) and coding.get("system") == NOTIFICATION
        for concept in _list(resource.get("category"))
        if isinstance(concept, dict)
        for coding in _list(concept.get("coding"))
    )


def _when(at: int, zone: tzinfo) -> str:
    return f"{moment(at).astimezone(zone):%d/%m/%Y à %H:%M}"


def _reader(key: str) -> JsonObject:
    kind, _, value = key.partition("|")
    return {"type": "Practitioner", "identifier": {"system": _SYSTEMS.get(kind, kind), "value": value}}


def _list(value: Json) -> Iterable[Json]:
    return value if isinstance(value, list) else ()

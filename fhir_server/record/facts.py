"""The facts of a record that decisions rest on: one small document a patient, kept true by every write.

Written in the same transaction as the Patient, Consent or RelatedPerson it comes from (docs/adr/0003). Pure: documents
in, documents and :class:`Facts` out.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from fhir_server.fhir import date
from fhir_server.fhir.errors import Conflict
from fhir_server.record.actors import INS, identifier_key
from fhir_server.record.consents import ConsentFact, Policy

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import tzinfo

    from fhir_server.fhir.json import Json, JsonObject

R260: Final = "https://mos.esante.gouv.fr/NOS/TRE_R260-HL7RoleClass/FHIR/TRE-R260-HL7RoleClass"
EMERGENCY_DEFAULTS: Final[Mapping[str, bool]] = {"ETREAT": True, "BTG": True, "MASKED": False}
"""What holds when the patient chose nothing (R-43, R-46)."""

Document: TypeAlias = "dict[str, Any]"
"""A stored `records` document: ``{_id, rev, realm, patient, consents, guardians}``."""


@dataclass(frozen=True, slots=True)
class Grant:
    """An authorisation of one actor, or his naming as médecin traitant, in ``[start, end)``."""

    actor: str
    start: int
    end: int
    granted: int


@dataclass(frozen=True, slots=True)
class Guardian:
    """A legal representative: RelatedPerson GUARD, active, in ``[start, end)``."""

    person: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Facts:
    """What this patient decided and what is known of his record. The default is the record nobody has."""

    record: str | None = None
    realm: str | None = None
    persons: frozenset[str] = frozenset()
    """The keys of the holder's INS, old ones included."""
    open: bool = False
    authorisations: tuple[Grant, ...] = ()
    medecins_traitants: tuple[Grant, ...] = ()
    blocked: frozenset[str] = frozenset()
    unblocked: Mapping[str, int] = field(default_factory=dict)
    """By actor, when his last block was lifted: nothing granted before counts (R-12)."""
    emergency: Mapping[str, bool] = field(default_factory=lambda: EMERGENCY_DEFAULTS)
    guardians: tuple[Guardian, ...] = ()

    @property
    def exists(self) -> bool:
        """Whether there is such a record at all."""
        return self.record is not None


NO_RECORD: Final = Facts()


def facts_of(document: Document | None) -> Facts:
    """The facts of a stored document; of none, the facts of a record nobody has."""
    if document is None or document.get("patient") is None:
        return NO_RECORD
    consents = [
        ConsentFact(**{**stored, "policy": Policy(stored["policy"])}) for stored in document["consents"].values()
    ]
    active = [fact for fact in consents if fact.active]
    unblocked: dict[str, int] = {}
    for fact in consents:
        if fact.policy is Policy.BLOCAGE and not fact.active and fact.actor is not None:
            unblocked[fact.actor] = max(fact.granted, unblocked.get(fact.actor, fact.granted))
    return Facts(
        record=document["_id"],
        realm=document["realm"],
        persons=frozenset(document["patient"]["persons"]),
        open=document["patient"]["open"],
        authorisations=_grants(active, Policy.AUTORISATION),
        medecins_traitants=_grants(active, Policy.MEDECIN_TRAITANT),
        blocked=frozenset(fact.actor for fact in active if fact.policy is Policy.BLOCAGE and fact.actor is not None),
        unblocked=unblocked,
        emergency={
            **EMERGENCY_DEFAULTS,
            **{fact.purpose: fact.permit for fact in active if fact.policy is Policy.URGENCE and fact.purpose},
        },
        guardians=tuple(Guardian(**guardian) for guardian in document["guardians"].values()),
    )


def new_record(id: str, realm: str) -> Document:
    """The document of a record that has no fact yet."""
    return {"_id": id, "rev": 0, "realm": realm, "patient": None, "persons": [], "consents": {}, "guardians": {}}


def with_patient(document: Document, patient: JsonObject | None) -> Document:
    """The document after its Patient was written, or deleted (nothing)."""
    if patient is None:
        return {**document, "patient": None, "persons": []}
    persons = sorted(persons_of(patient))
    told = {"persons": persons, "open": patient.get("active") is not False}
    return {**document, "patient": told, "persons": persons}


def with_consent(document: Document, fact: ConsentFact) -> Document:
    """The document after a deciding Consent was written; 409 for a second active choice of one emergency purpose."""
    for other in document["consents"].values():
        if (
            fact.active
            and fact.policy is Policy.URGENCE
            and other["active"]
            and other["purpose"] == fact.purpose
            and other["id"] != fact.id
        ):
            raise Conflict(
                f"There is already an active choice for {fact.purpose}; change that Consent instead of adding one.",
                expression=("Consent.provision.purpose",),
            )
    return {**document, "consents": {**document["consents"], field_name(fact.id): asdict(fact)}}


def with_guardian(document: Document, id: str, related_person: JsonObject | None, *, zone: tzinfo) -> Document:
    """The document after a RelatedPerson was written, or deleted (nothing); `zone` is that of date-only bounds."""
    guardians = {name: guardian for name, guardian in document["guardians"].items() if name != field_name(id)}
    guardian = _guardian(related_person, zone) if related_person is not None else None
    if guardian is not None:
        guardians[field_name(id)] = asdict(guardian)
    return {**document, "guardians": guardians}


def persons_of(patient: JsonObject) -> set[str]:
    """The ``ins|…`` keys of a Patient."""
    keys: set[str] = set()
    for identifier in _list(patient.get("identifier")):
        if isinstance(identifier, dict) and identifier.get("system") in INS:
            key = identifier_key(identifier)
            if key is not None:
                keys.add(key)
    return keys


def field_name(id: str) -> str:
    """A resource id as a field name: MongoDB reads a dot in a path."""
    return id.replace(".", "~")


def _grants(facts: list[ConsentFact], policy: Policy) -> tuple[Grant, ...]:
    return tuple(
        Grant(fact.actor, fact.start, fact.end, fact.granted)
        for fact in facts
        if fact.policy is policy and fact.permit and fact.actor is not None
    )


def _guardian(related_person: JsonObject, zone: tzinfo) -> Guardian | None:
    """A RelatedPerson is a legal representative when it is active, GUARD, and names a person by INS (A.4)."""
    if related_person.get("active") is False or not _is_guard(related_person):
        return None
    identifiers = [one for one in _list(related_person.get("identifier")) if isinstance(one, dict)]
    persons = [identifier_key(one) for one in identifiers if one.get("system") in INS]
    if len(persons) != 1 or persons[0] is None:
        return None
    period = related_person.get("period")
    start, end = (period.get("start"), period.get("end")) if isinstance(period, dict) else (None, None)
    return Guardian(persons[0], _moment(start, zone, end=False), _moment(end, zone, end=True))


def _is_guard(related_person: JsonObject) -> bool:
    return any(
        isinstance(coding, dict) and coding.get("system") == R260 and coding.get("code") == "GUARD"
        for concept in _list(related_person.get("relationship"))
        if isinstance(concept, dict)
        for coding in _list(concept.get("coding"))
    )


def _moment(text: Json, zone: tzinfo, *, end: bool) -> int:
    interval = date.interval(text) if isinstance(text, str) else None
    if interval is None:
        return date.MAX if end else date.MIN
    return date.bound(str(text), interval, zone, end=end)


def _list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []

"""The facts of a record that decisions rest on: one small document a patient, kept true by every write.

Written in the same transaction as the Patient, Consent or RelatedPerson it comes from (docs/adr/0003). Pure: documents
in, documents and :class:`Facts` out.
"""

from __future__ import annotations

from dataclasses import asdict, astuple, dataclass, field, replace
from enum import StrEnum
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from fhir_server.fhir import date
from fhir_server.fhir.errors import Conflict, Unprocessable
from fhir_server.fhir.outcome import IssueType
from fhir_server.record.actors import INS, identifier_key
from fhir_server.record.care_team import Team, read_team
from fhir_server.record.closure import NOT_CLOSED, Closure, read_closure
from fhir_server.record.consents import CHOICES, MARKS, ConsentFact, Policy
from fhir_server.record.messages import told

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import tzinfo

    from fhir_server.fhir.json import Json, JsonObject

R260: Final = "https://mos.esante.gouv.fr/NOS/TRE_R260-HL7RoleClass/FHIR/TRE-R260-HL7RoleClass"
R217: Final = "https://mos.esante.gouv.fr/NOS/TRE_R217-ProtectionJuridique/FHIR/TRE-R217-ProtectionJuridique"
PROTECTIONS: Final = frozenset({"TUTEUR", "CURATEUR", "MSVG"})
"""Legal protection of an adult: representation that majority does not end."""
MOST_CARERS: Final = 3
"""Carers a patient may have, invitations included (A.4)."""
EMERGENCY_DEFAULTS: Final[Mapping[str, bool]] = {"ETREAT": True, "BTG": True, "MASKED": False}
"""What holds when the patient chose nothing (R-43, R-46)."""

UNKNOWN_RECORD: Final = told("unknown-record")
"""One sentence, whoever finds it out, and whatever is there: hidden, absent and of another realm are alike."""

SHAPE: Final = 3
"""The form in which facts are told; the server tells them anew where they are stored in an older one."""

Document: TypeAlias = "dict[str, Any]"
"""A stored `records` document: ``{_id, rev, realm, persons, patient, consents, guardians, teams, carers, told}``."""


class Life(StrEnum):
    """In which state of its life a record is (R-70..R-76). Only an open one is consulted and fed."""

    NONE = "none"
    OPEN = "open"
    CLOSED = "closed"
    """Not active, and nothing says since when: suspended, or closed by an older system."""
    ARCHIVED = "archived"
    """Closed on a date: kept for ten years; reopening brings everything back (R-73)."""
    ERASED = "erased"
    """Its time is over, or the holder asked for erasure: nothing comes back (R-73)."""
    OPPOSED = "opposed"
    """The person opposes having a space; he may change his mind (R-74)."""
    DECEASED = "deceased"
    """The record of a person who died is closed (R-75)."""


class Grant(NamedTuple):
    """An authorisation of one actor, or his naming as médecin traitant, in ``[start, end)``."""

    actor: str
    start: int
    end: int
    granted: int


class Guardian(NamedTuple):
    """A legal representative: RelatedPerson GUARD, active, in ``[start, end)``."""

    person: str
    start: int
    end: int
    protects: bool = False
    """He represents an adult under legal protection: majority ends nothing (TRE_R217)."""


class Carer(NamedTuple):
    """A delegation to a carer (aidant), or the invitation to one, in ``[start, end)`` (R-30, A.4)."""

    person: str
    start: int
    end: int
    accepted: bool


@dataclass(frozen=True, slots=True)
class Facts:
    """What this patient decided and what is known of his record. The default is the record nobody has."""

    record: str | None = None
    realm: str | None = None
    persons: frozenset[str] = frozenset()
    """The keys of the holder's INS, old ones included."""
    open: bool = False
    """``Patient.active``, which is not all there is to it: :meth:`life`."""
    closure: Closure = NOT_CLOSED
    opposed: bool = False
    birth: int | None = None
    """When the day of birth began; of a partial date, the first day it may be."""
    authorisations: tuple[Grant, ...] = ()
    medecins_traitants: tuple[Grant, ...] = ()
    administrators: tuple[Grant, ...] = ()
    """Professionals the patient named to administer his record: as a médecin traitant (R-24)."""
    teams: tuple[Team, ...] = ()
    """The care teams whose members may consult (R-04): opposed ones are left out."""
    known_teams: frozenset[str] = frozenset()
    """The keys of all active care teams, opposed ones too."""
    carers: tuple[Carer, ...] = ()
    blocked: frozenset[str] = frozenset()
    unblocked: Mapping[str, int] = field(default_factory=dict)
    """By actor, when his last block was lifted: nothing granted before counts (R-12)."""
    emergency: Mapping[str, bool] = field(default_factory=lambda: EMERGENCY_DEFAULTS)
    guardians: tuple[Guardian, ...] = ()
    masked_by_default: bool = False
    """What is deposited is masked to professionals (R-28)."""
    history_masked: bool = False
    """The care history that the Assurance Maladie feeds is masked as a whole (R-28)."""
    kept: Mapping[str, Document] = field(default_factory=dict, repr=False)
    """The Consents as they are kept, where they were read too (`store.reading`): see :attr:`consents`."""

    @property
    def consents(self) -> tuple[ConsentFact, ...]:
        """Every Consent that decides, whatever its status: for the operations that renew, withdraw and list them."""
        return tuple(_consent(one) for one in self.kept.values())

    @property
    def deceased(self) -> bool:
        """Whether the holder died."""
        return self.closure.deceased

    def life(self, now: int) -> Life:
        """In which state of its life the record is at this moment."""
        if not self.exists:
            return Life.NONE
        if self.closure.deceased:
            return Life.DECEASED
        if not self.open and self.closure.erased_from <= now:
            return Life.ERASED
        if self.opposed:
            return Life.OPPOSED
        if self.open:
            return Life.OPEN
        return Life.ARCHIVED if self.closure.closed is not None and self.closure.closed <= now else Life.CLOSED

    def is_of_age(self, now: int, majority: int) -> bool:
        """Whether the holder is known to have reached this age in years."""
        return self.birth is not None and date.years_after(self.birth, majority) <= now

    @property
    def exists(self) -> bool:
        """Whether there is such a record at all."""
        return self.record is not None


NO_RECORD: Final = Facts()


def facts_of(document: Document | None) -> Facts:
    """The facts of a stored document; of none, the facts of a record nobody has."""
    if document is None or document.get("patient") is None:
        return NO_RECORD
    patient = document["patient"]
    told = document["told"]
    choices = told["choices"]
    grants = told["grants"]
    return Facts(
        record=document["_id"],
        realm=document["realm"],
        persons=frozenset(patient["persons"]),
        open=patient["open"],
        closure=Closure(*patient["closure"]),
        opposed=Policy.OPPOSITION in choices,
        birth=patient["birth"],
        authorisations=tuple(map(Grant._make, grants.get(Policy.AUTORISATION, ()))),
        medecins_traitants=tuple(map(Grant._make, grants.get(Policy.MEDECIN_TRAITANT, ()))),
        administrators=tuple(map(Grant._make, grants.get(Policy.ADMINISTRATEUR, ()))),
        teams=tuple(map(Team.of, told["teams"])),
        known_teams=frozenset(told["known_teams"]),
        carers=tuple(map(Carer._make, told["carers"])),
        blocked=frozenset(told["blocked"]),
        unblocked=dict(told["unblocked"]),
        emergency=told["emergency"],
        guardians=tuple(map(Guardian._make, told["guardians"])),
        masked_by_default=Policy.MASQUAGE_DEFAUT in choices,
        history_masked=Policy.MASQUAGE_HISTORIQUE in choices,
        kept=document.get("consents", {}),
    )


def without(facts: Facts, hidden: Collection[str]) -> Facts:
    """The facts as they would be without these Consents and care teams (``Type/id``): what a reader may be told.

    Of facts read in full; others know of no Consent by name.
    """
    kept = {name: one for name, one in facts.kept.items() if f"Consent/{one['id']}" not in hidden}
    teams = tuple(team for team in facts.teams if team.key not in hidden)
    if len(kept) == len(facts.kept) and len(teams) == len(facts.teams):
        return facts
    patient = {"persons": [], "open": facts.open, "closure": [], "birth": facts.birth}
    told = facts_of(digest({**new_record("", ""), "patient": patient, "consents": kept}))
    return replace(
        facts,
        kept=kept,
        teams=teams,
        authorisations=told.authorisations,
        medecins_traitants=told.medecins_traitants,
        administrators=told.administrators,
        carers=told.carers,
        blocked=told.blocked,
        unblocked=told.unblocked,
        emergency=told.emergency,
    )


def digest(document: Document) -> Document:
    """The document with what decisions read told anew from the Consents, teams and representatives kept in it.

    What is told is lists in the order of the fields of :class:`Grant`, :class:`Guardian` and :class:`Carer`: a decision
    reads it at each request, and reads nothing else of a patient who wrote fifty Consents. The same whatever order they
    were written in.
    """
    consents = sorted(_consents(document), key=attrgetter("id"))
    active = [fact for fact in consents if fact.active]
    grants: dict[str, list[Grant]] = {}
    unblocked: dict[str, int] = {}
    for fact in consents:
        if fact.policy in _GRANTS and fact.active and fact.permit and fact.actor is not None:
            grants.setdefault(fact.policy.value, []).append(Grant(fact.actor, fact.start, fact.end, fact.granted))
        elif fact.policy is Policy.BLOCAGE and not fact.active and fact.actor is not None:
            unblocked[fact.actor] = max(fact.granted, unblocked.get(fact.actor, fact.granted))
    teams = dict(sorted(document["teams"].items()))
    told: Document = {
        "grants": {policy: [list(one) for one in given] for policy, given in grants.items()},
        "blocked": sorted(fact.actor for fact in active if fact.policy is Policy.BLOCAGE and fact.actor is not None),
        "unblocked": [[actor, at] for actor, at in sorted(unblocked.items())],
        "emergency": {
            **EMERGENCY_DEFAULTS,
            **{fact.purpose: fact.permit for fact in active if fact.policy is Policy.URGENCE and fact.purpose},
        },
        "choices": sorted(fact.policy.value for fact in active if fact.policy in CHOICES),
        "carers": [
            [fact.actor, fact.start, fact.end, fact.active]
            for fact in consents
            if fact.policy is Policy.AIDANT and fact.actor is not None and (fact.active or fact.proposed)
        ],
        "guardians": [list(guardian.values()) for _, guardian in sorted(document["guardians"].items())],
        "teams": [team.stored() for team in _teams(teams, active)],
        "known_teams": sorted(team["key"] for team in teams.values()),
    }
    helping = sorted({carer[0] for carer in told["carers"] if carer[3]})
    return {**document, "told": told, "carers": helping}


_GRANTS: Final = frozenset({Policy.AUTORISATION, Policy.MEDECIN_TRAITANT, Policy.ADMINISTRATEUR})


def new_record(id: str, realm: str) -> Document:
    """The document of a record that has no fact yet."""
    empty = {"_id": id, "rev": 0, "realm": realm, "patient": None, "persons": []}
    return digest({**empty, "consents": {}, "guardians": {}, "teams": {}})


def with_patient(document: Document, patient: JsonObject | None, *, zone: tzinfo) -> Document:
    """The document after its Patient was written, or deleted (nothing); `zone` is that of dates without a time."""
    if patient is None:
        return {**document, "patient": None, "persons": []}
    persons = sorted(persons_of(patient))
    born = date.moment_of(patient.get("birthDate"), zone, end=False, unknown=date.MAX)
    told = {
        "persons": persons,
        "open": patient.get("active") is not False,
        "closure": list(astuple(read_closure(patient, zone))),
        "birth": born if born != date.MAX else None,
    }
    return {**document, "patient": told, "persons": persons}


def with_consent(document: Document, fact: ConsentFact) -> Document:
    """The document after a deciding Consent was written; :func:`must_be_single` said whether it may stand."""
    return digest({**document, "consents": {**document["consents"], field_name(fact.id): asdict(fact)}})


def with_guardian(document: Document, id: str, related_person: JsonObject | None, *, zone: tzinfo) -> Document:
    """The document after a RelatedPerson was written, or deleted (nothing); `zone` is that of date-only bounds."""
    guardians = {name: guardian for name, guardian in document["guardians"].items() if name != field_name(id)}
    guardian = _guardian(related_person, zone) if related_person is not None else None
    if guardian is not None:
        guardians[field_name(id)] = guardian._asdict()
    return digest({**document, "guardians": guardians})


def with_team(document: Document, id: str, care_team: JsonObject | None, *, zone: tzinfo) -> Document:
    """The document after a CareTeam was written, or deleted (nothing); `zone` is that of date-only bounds."""
    teams = {name: team for name, team in document["teams"].items() if name != field_name(id)}
    team = read_team(id, care_team, zone) if care_team is not None else None
    if team is not None:
        teams[field_name(id)] = team.stored()
    return digest({**document, "teams": teams})


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


def _consents(document: Document) -> list[ConsentFact]:
    return [_consent(stored) for stored in document["consents"].values()]


def _consent(stored: Document) -> ConsentFact:
    return ConsentFact(**{**stored, "policy": Policy(stored["policy"])})


def must_be_single(document: Document, fact: ConsentFact) -> None:
    """Raise when a choice that is made once is made twice: 409, or 422 (contract: Consent; A.4)."""
    if not (fact.active or fact.proposed):
        return
    same = [
        other
        for other in _consents(document)
        if other.policy is fact.policy and other.id != fact.id and (other.active or other.proposed)
    ]
    if fact.policy is Policy.URGENCE and any(other.purpose == fact.purpose for other in same):
        raise Conflict(
            told("choice-twice", purpose=fact.purpose),
            expression=("Consent.provision.purpose",),
        )
    if fact.policy in CHOICES | MARKS and same:
        raise Conflict(
            told("consent-twice", policy=fact.policy),
            expression=("Consent.policy",),
        )
    if fact.policy is Policy.EQUIPE and any(other.actor == fact.actor for other in same):
        raise Conflict(
            told("team-twice"),
            expression=("Consent.provision.actor",),
        )
    if fact.policy in (Policy.BLOCAGE, Policy.AIDANT) and any(other.actor == fact.actor for other in same):
        raise Unprocessable(
            told("blocked-already") if fact.policy is Policy.BLOCAGE else told("carer-already"),
            expression=("Consent.provision.actor",),
            code=IssueType.BUSINESS_RULE,
        )
    if fact.policy is Policy.AIDANT and len(same) >= MOST_CARERS:
        raise Unprocessable(
            told("too-many-carers", most=MOST_CARERS),
            expression=("Consent.provision.actor",),
            code=IssueType.BUSINESS_RULE,
        )


def _teams(stored: Mapping[str, Document], active: list[ConsentFact]) -> tuple[Team, ...]:
    """The teams that may consult, each since when: authorised by the patient, or he was told and did not oppose.

    Whom he opposed in one team is deemed authorised by no other, else the same team declared again would undo it.
    """
    choices = {fact.actor: fact for fact in active if fact.policy is Policy.EQUIPE}
    known = [Team.of(told) for told in stored.values()]
    opposed = {
        member.actor
        for team in known
        if team.key in choices and not choices[team.key].permit
        for member in team.members
    }
    teams: list[Team] = []
    for team in known:
        choice = choices.get(team.key)
        if choice is None:
            teams.append(team.but(opposed))
        elif choice.permit:
            teams += team.authorised(choice.start, choice.end, choice.granted)
    return tuple(teams)


def _guardian(related_person: JsonObject, zone: tzinfo) -> Guardian | None:
    """A RelatedPerson is a legal representative when it is active, GUARD, and names a person by INS (A.4)."""
    roles = _roles(related_person)
    if related_person.get("active") is False or (R260, "GUARD") not in roles:
        return None
    identifiers = [one for one in _list(related_person.get("identifier")) if isinstance(one, dict)]
    persons = [identifier_key(one) for one in identifiers if one.get("system") in INS]
    if len(persons) != 1 or persons[0] is None:
        return None
    period = related_person.get("period")
    start, end = (period.get("start"), period.get("end")) if isinstance(period, dict) else (None, None)
    protects = any(system == R217 and code in PROTECTIONS for system, code in roles)
    return Guardian(persons[0], date.moment_of(start, zone, end=False), date.moment_of(end, zone, end=True), protects)


def _roles(related_person: JsonObject) -> set[tuple[Json, Json]]:
    return {
        (coding.get("system"), coding.get("code"))
        for concept in _list(related_person.get("relationship"))
        if isinstance(concept, dict)
        for coding in _list(concept.get("coding"))
        if isinstance(coding, dict)
        if isinstance(coding.get("system"), str) and isinstance(coding.get("code"), str)
    }


def _list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []

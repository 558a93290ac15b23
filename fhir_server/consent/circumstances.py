"""Everything a decision rests on, as one value: who asks for what and why, what this patient decided, and when.

Rules see nothing else: no clock, no store, no request.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from fhir_server.consent.habilitation import Habilitation
from fhir_server.fhir import date
from fhir_server.identity.requester import Kind, Purpose, Requester
from fhir_server.record.actors import actor_key
from fhir_server.record.elements import CONTENTS, DIRECTORY, GOVERN
from fhir_server.record.facts import Facts, Grant

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fhir_server.search.predicate import Predicate

G15: Final = "https://mos.esante.gouv.fr/NOS/TRE_G15-ProfessionSante/FHIR/TRE-G15-ProfessionSante"


PATIENT_SIDE: Final = frozenset({Kind.PATIENT, Kind.REPRESENTATIVE, Kind.CARER})
"""Who acts for the person the record is about."""


class Act(StrEnum):
    """What somebody wants to do; a decision is for one act."""

    CONSULT = "consult"
    FEED = "feed"
    RELABEL = "relabel"
    CHANGE_OWN = "change-own"
    DELETE_OWN = "delete-own"
    REPLACE = "replace"
    """Make a document superseded by another one that one deposits (R-52)."""
    GOVERN = "govern"
    TRACE = "trace"
    STATUS = "status"
    """Ask whether a record exists and is open, and how one stands to it oneself (TD0.2): never traits."""
    COLLECT = "collect"
    """Write down a consent that the patient gave (R-02, R-46), or one's own declaration as médecin traitant (R-24)."""
    ACCESS_LIST = "access-list"
    """Ask who has access, since when, until when and why (L1111-19)."""
    EXPLAIN = "explain"
    """Ask why somebody would see something or not."""


class Domain(StrEnum):
    """The columns of the acts table."""

    CONTENTS = "contents"
    PATIENT = "Patient"
    GOVERN = "govern"
    TRACE = "AuditEvent"
    DIRECTORY = "directory"
    OTHER = "other"


def domain_of(type: str) -> Domain:
    """The column of the acts table a resource type belongs to."""
    if type == "Patient":
        return Domain.PATIENT
    if type == "AuditEvent":
        return Domain.TRACE
    if type in GOVERN:
        return Domain.GOVERN
    if type in CONTENTS:
        return Domain.CONTENTS
    return Domain.DIRECTORY if type in DIRECTORY else Domain.OTHER


class Standing(StrEnum):
    """The rows of the acts table: how the requester stands to this record."""

    PATIENT = "patient"
    REPRESENTANT = "representant"
    CARER = "carer"
    CARER_INVITED = "carer-invited"
    """Invited to help, and has not answered yet: he may read that invitation and answer it."""
    MEDECIN_TRAITANT = "medecin-traitant"
    PROFESSIONAL_AUTHORISED = "professional-authorised"
    TEAM_MEMBER = "team-member"
    PROFESSIONAL = "professional"
    EMERGENCY = "emergency"
    PUBLISHER = "publisher"
    FEEDER = "feeder"
    CONFORMANCE = "conformance"
    SUPPORT = "support"


@dataclass(frozen=True, slots=True, eq=False)
class Law:
    """The tables and parameters decisions are made by, loaded once at start; there is one."""

    acts: Mapping[Standing, Mapping[str, frozenset[Act]]]
    """By standing, then resource type or column: `acts.toml`."""
    habilitation: Habilitation
    roles: frozenset[tuple[str, str]]
    """``(system, code)`` of JDV_J65: who may use a DMP at all (R-08)."""
    masked_and_invisible: bool = False
    """``cumul-invisible_patient-masque_ps`` (R-27)."""
    majority: int = 18
    """``age-majorite``, in years: representation of a minor ends (R-76)."""


@dataclass(frozen=True, slots=True)
class Circumstances:
    """Who asks, for which act on which type of resource, what this patient decided, now."""

    requester: Requester
    act: Act
    type: str
    facts: Facts
    now: int
    """Microseconds since 1970: time is a fact given to rules."""
    law: Law
    standings: frozenset[Standing]
    """How the requester stands to this record now; see :func:`circumstances`."""
    hidden: frozenset[str] = frozenset()
    """What of this record (``Type/id``) is hidden from the requester: for the act trace."""
    others: tuple[tuple[str, Predicate], ...] = ()
    """Other records, each with what the requester may do there of the same act and type: of what belongs to several."""
    shown: frozenset[str] = frozenset()
    """Of what is told of (``Type/id``), what the requester may consult: of what only tells of other resources."""

    @property
    def domain(self) -> Domain:
        """The column of the acts table."""
        return domain_of(self.type)

    @property
    def emergency(self) -> bool:
        """Whether the requester declared one of the two emergency modes (R-40)."""
        return self.requester.purpose in (Purpose.ETREAT, Purpose.BTG)

    def allows(self, standing: Standing) -> bool:
        """Whether the acts table lets this standing do this act on this type of resource."""
        return allows(self.law, standing, self.type, self.act)

    def stands(self, *standings: Standing) -> bool:
        """Whether the requester has one of these standings and the acts table lets it do this act on this type."""
        return any(standing in self.standings and self.allows(standing) for standing in standings)

    @property
    def own_keys(self) -> frozenset[str]:
        """Under which keys the requester deposits: on the patient side also as the person acted for."""
        keys = {self.requester.key}
        if self.requester.kind in PATIENT_SIDE:
            keys |= self.facts.persons
        return frozenset(keys)


def allows(law: Law, standing: Standing, type: str, act: Act) -> bool:
    """Whether the acts table lets this standing do this act on this type: a line for the type wins over its column."""
    row = law.acts[standing]
    allowed = row.get(type)
    return act in (row.get(domain_of(type), frozenset()) if allowed is None else allowed)


def circumstances(
    *,
    requester: Requester,
    act: Act,
    type: str,
    facts: Facts,
    now: int,
    law: Law,
    hidden: frozenset[str] = frozenset(),
    others: tuple[tuple[str, Predicate], ...] = (),
    shown: frozenset[str] = frozenset(),
) -> Circumstances:
    """The circumstances of one request on one record, with the standing they give."""
    standings = standings_of(requester, facts, now, majority=law.majority)
    return Circumstances(requester, act, type, facts, now, law, standings, hidden, others, shown)


def standings_of(requester: Requester, facts: Facts, now: int, *, majority: int) -> frozenset[Standing]:
    """How this requester stands to this record at this moment; ``majority`` in years ends representation (R-76)."""
    match requester.kind:
        case Kind.PATIENT:
            return frozenset({Standing.PATIENT} if _is_holder(requester, facts) else ())
        case Kind.REPRESENTATIVE:
            return frozenset({Standing.REPRESENTANT} if _represents(requester, facts, now, majority) else ())
        case Kind.CARER:
            return _carer(requester, facts, now)
        case Kind.PROFESSIONAL:
            return _professional(requester, facts, now)
        case _:
            return POSSIBLE[requester.kind]


POSSIBLE: Final[Mapping[Kind, frozenset[Standing]]] = {
    Kind.PATIENT: frozenset({Standing.PATIENT}),
    Kind.REPRESENTATIVE: frozenset({Standing.REPRESENTANT}),
    Kind.CARER: frozenset({Standing.CARER, Standing.CARER_INVITED}),
    Kind.PROFESSIONAL: frozenset(
        {
            Standing.PROFESSIONAL,
            Standing.PROFESSIONAL_AUTHORISED,
            Standing.TEAM_MEMBER,
            Standing.MEDECIN_TRAITANT,
        }
    ),
    Kind.ORGANISATION: frozenset({Standing.PUBLISHER}),
    Kind.FEEDER: frozenset({Standing.FEEDER}),
    Kind.CONFORMANCE: frozenset({Standing.CONFORMANCE}),
    Kind.SUPPORT: frozenset({Standing.SUPPORT}),
}
"""Every standing a kind of requester could have to some record: what none of them may do is 403 whatever is stored."""


def possible_standings(requester: Requester) -> frozenset[Standing]:
    """The standings this requester could have; in an emergency mode, that one alone (R-47)."""
    if requester.kind is Kind.PROFESSIONAL and requester.purpose in (Purpose.ETREAT, Purpose.BTG):
        return frozenset({Standing.EMERGENCY})
    return POSSIBLE[requester.kind]


def _person_key(requester: Requester) -> str | None:
    return f"ins|{requester.person.value}" if requester.person is not None else None


def _actor_key(requester: Requester) -> str | None:
    return f"ins|{requester.actor.value}" if requester.actor is not None else None


def _is_holder(requester: Requester, facts: Facts) -> bool:
    return facts.exists and _person_key(requester) in facts.persons


def _represents(requester: Requester, facts: Facts, now: int, majority: int) -> bool:
    """Named in the token *and* an active RelatedPerson GUARD in the record, of a minor or a protected adult (R-76).

    Representation ends with the life of the person represented.
    """
    actor = _actor_key(requester)
    return (
        _is_holder(requester, facts)
        and not facts.deceased
        and any(
            guardian.person == actor
            and guardian.start <= now < guardian.end
            and (guardian.protects or not facts.is_of_age(now, majority))
            for guardian in facts.guardians
        )
    )


def _carer(requester: Requester, facts: Facts, now: int) -> frozenset[Standing]:
    """A carer by a delegation he accepted, until it ends; one invited, until he answers (R-30, A.4)."""
    actor = _actor_key(requester)
    if not _is_holder(requester, facts) or facts.deceased:
        return frozenset()
    mine = [carer for carer in facts.carers if carer.person == actor and carer.start <= now < carer.end]
    standings = {Standing.CARER if carer.accepted else Standing.CARER_INVITED for carer in mine}
    return frozenset(standings)


def _professional(requester: Requester, facts: Facts, now: int) -> frozenset[Standing]:
    if requester.purpose in (Purpose.ETREAT, Purpose.BTG):
        return frozenset({Standing.EMERGENCY})
    standings = {Standing.PROFESSIONAL}
    person = professional_key(requester)
    if requester.purpose is not Purpose.TREAT or person is None:
        return frozenset(standings)
    structure = organisation_key(requester)
    actors = {person, structure} if structure else {person}
    lifted = facts.unblocked.get(person, date.MIN)
    if any(_in_force(grant, actors, now, lifted) for grant in facts.authorisations):
        standings.add(Standing.PROFESSIONAL_AUTHORISED)
    if any(team.covers(actors, now) and team.since > lifted for team in facts.teams):
        standings.add(Standing.TEAM_MEMBER)
    named = facts.medecins_traitants if is_doctor(requester) else ()
    if any(_in_force(grant, {person}, now, lifted) for grant in (*named, *facts.administrators)):
        standings |= {Standing.PROFESSIONAL_AUTHORISED, Standing.MEDECIN_TRAITANT}
    return frozenset(standings)


def _in_force(grant: Grant, actors: set[str], now: int, lifted: int) -> bool:
    """A grant in force now, given after the last time a block of this person was lifted (R-12)."""
    return grant.actor in actors and grant.start <= now < grant.end and grant.granted > lifted


def professional_key(requester: Requester) -> str | None:
    """The key under which a professional is blocked, authorised or named: his RPPS."""
    return f"rpps|{requester.rpps}" if requester.rpps else None


def organisation_key(requester: Requester) -> str | None:
    """The key under which the requester's structure is authorised and deposits. A SIREN of nine digits is no FINESS."""
    if requester.organisation is None or requester.organisation_system is None:
        return None
    return actor_key(requester.organisation_system, requester.organisation)


def is_doctor(requester: Requester) -> bool:
    """Whether the token tells a doctor (G15 10)."""
    return requester.profession == "10" and requester.profession_system == G15

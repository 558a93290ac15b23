"""What tests speak of: requesters, records, resources. Named as FHIR and the tokens name them; nobody by default.

A record is built from the Consents, RelatedPersons and Patient it would hold, and an entry from its resource, by the
code that does so in the server. A test then reads as the rule does::

    mine = record(consents=[authorisation(SPECIALIST)])
    assert sees(professional(SPECIALIST), document_reference(), mine)
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import fhir_server.consent
from fhir_server.consent import acts, habilitation
from fhir_server.consent.circumstances import Act, Law, circumstances
from fhir_server.consent.decide import Decision, decide
from fhir_server.consent.rules import RULES, Rule
from fhir_server.definitions.load import load
from fhir_server.fhir import date
from fhir_server.fhir.json import Json, JsonObject
from fhir_server.identity.requester import Coding, Identifier, Kind, Purpose, Realm, Requester
from fhir_server.identity.scope import scopes
from fhir_server.identity.systems import A00, FINESS, G15, INS_NIR_TEST, R260, ROLES, RPPS
from fhir_server.record.actors import author_keys
from fhir_server.record.belonging import records_of
from fhir_server.record.care_team import EQUIPE_INFORMATION
from fhir_server.record.closure import DMP_FERMETURE
from fhir_server.record.consents import (
    ACT_REASON,
    CHOIX_URGENCE,
    CONSENT_SCOPE,
    LOINC,
    PARTICIPATION_FUNCTION,
    PARTICIPATION_TYPE,
    POLICY,
    ConsentFact,
    Policy,
    policy_of,
    read_actor,
    read_consent,
)
from fhir_server.record.facts import R217, Document, Facts, facts_of, new_record
from fhir_server.record.kind import TRE_A03, category_of, kind_of
from fhir_server.record.labels import TRE_A07, labels_of
from fhir_server.record.pointers import about, pointers
from fhir_server.record.telling import with_resource
from fhir_server.search.predicate import Entry, Predicate, matches
from fhir_server.terminology import Terminology

PARIS: Final = ZoneInfo("Europe/Paris")
YEAR: Final = timedelta(days=365)
JDV_J65: Final = "https://mos.esante.gouv.fr/NOS/JDV_J65-SubjectRole-DMP/FHIR/JDV-J65-SubjectRole-DMP"

SPECIALIST, OTHER_DOCTOR, NURSE = "89900000002", "89900000003", "89900000005"
"""RPPS numbers."""
HOSPITAL, OTHER_HOSPITAL = "990000001", "990000002"
"""FINESS numbers."""
HELENE, MINOR, STRANGER = "280057505600117", "210043155500326", "162031305500201"
"""INS numbers; Hélène is the mother of the minor."""


def moment(text: str) -> int:
    """Microseconds since 1970 of a moment written in ISO 8601, UTC when it names no zone."""
    at = datetime.fromisoformat(text)
    return date.microseconds(at if at.tzinfo else at.replace(tzinfo=UTC))


NOW: Final = moment("2026-06-01T12:00:00")


@cache
def law() -> Law:
    """The tables as they are shipped."""
    terminology = Terminology.load()
    return Law(
        acts=acts.load(Path(fhir_server.consent.__file__).with_name("acts.toml"), load().resource_types),
        habilitation=habilitation.load(habilitation.TABLE, terminology),
        roles=frozenset((concept.system, concept.code) for concept in terminology.codes(JDV_J65)),
    )


# Requesters


def requester(kind: Kind, key: str, scope: str = "", **claims: Any) -> Requester:
    """A requester who has what is said here, and nothing else."""
    told: dict[str, Any] = {
        "name": key,
        "subject": key,
        "issuer": "https://issuer.example",
        "realm": Realm.ESSAI,
        "roles": (),
        "purpose": Purpose.TREAT,
        "amr": (),
        "authenticated_in_person": False,
        "token_id": "jti",
        "expires": 0,
        **dict.fromkeys(
            (
                "rpps organisation organisation_system profession profession_system specialty practice_setting reason "
                "person actor audience_restriction"
            ).split()
        ),
    }
    return Requester(kind=kind, key=key, scopes=scopes(scope), **{**told, **claims})


NOBODY: Final = requester(Kind.CARER, "nobody")
"""Whom no record knows, with a token for nothing."""


def patient(ins: str = HELENE, *, scope: str = "patient/*.cruds", **claims: Any) -> Requester:
    """The holder of a record."""
    return requester(Kind.PATIENT, f"ins|{ins}", scope, person=Identifier(INS_NIR_TEST, ins), **claims)


def representative(
    ins: str = HELENE, *, acting_for: str = MINOR, scope: str = "patient/*.cruds", **claims: Any
) -> Requester:
    """A person who says he is the legal representative of another."""
    return requester(
        Kind.REPRESENTATIVE,
        f"ins|{ins}",
        scope,
        person=Identifier(INS_NIR_TEST, acting_for),
        actor=Identifier(INS_NIR_TEST, ins),
        roles=(Coding(R260, "GUARD"),),
        **claims,
    )


def carer(ins: str = STRANGER, *, acting_for: str = HELENE, scope: str = "patient/*.cruds") -> Requester:
    """An aidant."""
    return requester(
        Kind.CARER,
        f"ins|{ins}",
        scope,
        person=Identifier(INS_NIR_TEST, acting_for),
        actor=Identifier(INS_NIR_TEST, ins),
        roles=(Coding(R260, "CAREGIVER"),),
    )


def professional(
    rpps: str = SPECIALIST,
    *,
    profession: str = "10",
    profession_system: str = G15,
    scope: str = "user/*.cruds",
    organisation: str | None = None,
    organisation_system: str = FINESS,
    person: str | None = None,
    **claims: Any,
) -> Requester:
    """A doctor, unless another profession of the G15 is told."""
    return requester(
        Kind.PROFESSIONAL,
        f"rpps|{rpps}",
        scope,
        **{
            "rpps": rpps,
            "profession": profession,
            "profession_system": profession_system,
            "roles": (Coding(profession_system, profession),),
            "organisation": organisation,
            "organisation_system": organisation_system if organisation else None,
            "person": Identifier(INS_NIR_TEST, person) if person else None,
            **claims,
        },
    )


def nurse(rpps: str = NURSE, **claims: Any) -> Requester:
    return professional(rpps, profession="60", **claims)


def emergency_doctor(purpose: Purpose = Purpose.BTG, rpps: str = SPECIALIST, **claims: Any) -> Requester:
    """A doctor who declared an emergency, as `identity` let him."""
    return professional(rpps, purpose=purpose, reason="Patient inconscient aux urgences.", **claims)


def hospital(finess: str = HOSPITAL, *, scope: str = "system/*.cruds", **claims: Any) -> Requester:
    """The system of a structure that publishes documents."""
    return requester(
        Kind.ORGANISATION, f"finess|{finess}", scope, organisation=finess, organisation_system=FINESS, **claims
    )


def feeder(finess: str = "318003502", *, scope: str = "system/*.cruds", **claims: Any) -> Requester:
    """The Assurance Maladie."""
    return requester(
        Kind.FEEDER,
        f"finess|{finess}",
        scope,
        organisation=finess,
        organisation_system=FINESS,
        roles=(Coding(A00, "ALIM_AM"),),
        **claims,
    )


def conformance(*, scope: str = "system/*.cruds", **claims: Any) -> Requester:
    return requester(
        Kind.CONFORMANCE, "client|issuer|conformance", scope, roles=(Coding(ROLES, "CONFORMANCE"),), **claims
    )


def support(*, scope: str = "user/*.cruds", **claims: Any) -> Requester:
    return requester(Kind.SUPPORT, "client|issuer|support", scope, roles=(Coding(ROLES, "SUPPORT"),), **claims)


EVERYBODY: Final[Mapping[str, Requester]] = {
    "nobody": NOBODY,
    "patient": patient(),
    "representative": representative(),
    "carer": carer(),
    "doctor": professional(),
    "nurse": nurse(),
    "doctor-etreat": emergency_doctor(Purpose.ETREAT),
    "doctor-btg": emergency_doctor(),
    "hospital": hospital(),
    "feeder": feeder(),
    "conformance": conformance(),
    "support": support(),
}
"""One of every kind, and a professional in every mode."""


# Consents, as contract.md writes them


def consent(policy: str, provision: JsonObject, *, id: str, patient: str, status: str = "active") -> JsonObject:
    return {
        "resourceType": "Consent",
        "id": id,
        "status": status,
        "scope": {"coding": [{"system": CONSENT_SCOPE, "code": "patient-privacy"}]},
        "category": [{"coding": [{"system": LOINC, "code": "59284-0"}]}],
        "patient": {"reference": f"Patient/{patient}"},
        "dateTime": "2026-01-01T00:00:00Z",
        "performer": [{"reference": f"Patient/{patient}"}],
        "policy": [{"uri": f"{POLICY}{policy}"}],
        "provision": provision,
    }


@dataclass(frozen=True, slots=True)
class Written:
    """A Consent, and when it was written."""

    resource: JsonObject
    at: int

    def inactive(self, at: str) -> Written:
        """The same Consent withdrawn."""
        return Written({**self.resource, "status": "inactive"}, moment(at))


def actor(value: str, *, system: str | None = None, role: tuple[str, str] = (PARTICIPATION_TYPE, "IRCP")) -> JsonObject:
    """A provision's actor, by RPPS or, of nine characters, by FINESS."""
    named = system or (FINESS if len(value) == len(HOSPITAL) else RPPS)
    return {
        "role": {"coding": [{"system": role[0], "code": role[1]}]},
        "reference": {"identifier": {"system": named, "value": value}},
    }


def authorisation(
    who: str = SPECIALIST,
    *,
    start: str = "2026-01-01",
    end: str | None = None,
    written: str = "2026-01-01",
    id: str = "",
    patient: str = "demo-1",
) -> Written:
    """The patient lets a professional or a structure consult, from the start of the year unless told."""
    period: JsonObject = {"start": start} if end is None else {"start": start, "end": end}
    provision: JsonObject = {
        "type": "permit",
        "period": period,
        "actor": [actor(who)],
        "purpose": [{"system": ACT_REASON, "code": "TREAT"}],
    }
    return Written(
        consent(Policy.AUTORISATION, provision, id=id or f"autorisation-{who}", patient=patient), moment(written)
    )


def block(who: str = SPECIALIST, *, written: str = "2026-02-01", id: str = "", patient: str = "demo-1") -> Written:
    """The patient blocks a professional."""
    provision: JsonObject = {"type": "deny", "actor": [actor(who)]}
    return Written(consent(Policy.BLOCAGE, provision, id=id or f"blocage-{who}", patient=patient), moment(written))


def emergency_choice(
    purpose: str, type: str, *, written: str = "2026-01-01", id: str = "", patient: str = "demo-1"
) -> Written:
    """The patient permits or denies ETREAT, BTG or MASKED."""
    system = CHOIX_URGENCE if purpose == "MASKED" else ACT_REASON
    provision: JsonObject = {"type": type, "purpose": [{"system": system, "code": purpose}]}
    return Written(consent(Policy.URGENCE, provision, id=id or f"urgence-{purpose}", patient=patient), moment(written))


def medecin_traitant(
    who: str = SPECIALIST, *, written: str = "2026-01-01", id: str = "", patient: str = "demo-1"
) -> Written:
    """The patient names a doctor his médecin traitant."""
    provision: JsonObject = {"type": "permit", "actor": [actor(who, role=(PARTICIPATION_FUNCTION, "PCP"))]}
    return Written(consent(Policy.MEDECIN_TRAITANT, provision, id=id or f"mt-{who}", patient=patient), moment(written))


def naming(
    policy: Policy,
    who: str = SPECIALIST,
    *,
    start: str = "2026-01-01",
    end: str | None = None,
    written: str = "2026-01-01",
    id: str = "",
    patient: str = "demo-1",
) -> Written:
    """The patient names a professional his administrator, or gives him one of the marks (R-24)."""
    period: JsonObject = {"start": start} if end is None else {"start": start, "end": end}
    provision: JsonObject = {"type": "permit", "period": period, "actor": [actor(who)]}
    return Written(consent(policy, provision, id=id or f"{policy}-{who}", patient=patient), moment(written))


def team_choice(type: str, team: str = "team", *, written: str = "2026-01-01", patient: str = "demo-1") -> Written:
    """The patient permits a care team, or opposes its deemed consent (R-04)."""
    role: JsonObject = {"coding": [{"system": PARTICIPATION_TYPE, "code": "IRCP"}]}
    named: JsonObject = {"role": role, "reference": {"reference": f"CareTeam/{team}"}}
    told = consent(Policy.EQUIPE, {"type": type, "actor": [named]}, id=f"equipe-{team}", patient=patient)
    return Written(told, moment(written))


def delegation(
    ins: str = STRANGER,
    *,
    status: str = "active",
    end: str = "2026-12-31",
    written: str = "2026-01-01",
    id: str = "",
    patient: str = "demo-1",
) -> Written:
    """The patient invites a carer, who accepted unless told (A.4)."""
    named = actor(ins, system=INS_NIR_TEST, role=(R260, "CAREGIVER"))
    provision: JsonObject = {"type": "permit", "period": {"end": end}, "actor": [named]}
    told = consent(Policy.AIDANT, provision, id=id or f"aidant-{ins}", patient=patient, status=status)
    return Written(told, moment(written))


def choice(policy: Policy, *, written: str = "2026-01-01", patient: str = "demo-1") -> Written:
    """The patient opposes having a record, masks his care history, or all that will be deposited (R-28, R-74)."""
    return Written(consent(policy, {"type": "deny"}, id=str(policy), patient=patient), moment(written))


def care_team(
    *members: str,
    id: str = "team",
    informed: str | None = "2026-01-01",
    status: str = "active",
    period: JsonObject | None = None,
    member_period: JsonObject | None = None,
    patient: str = "demo-1",
) -> JsonObject:
    """A care team of these RPPS or FINESS numbers, of which the patient was informed unless told (R-04)."""
    participants: list[Json] = []
    for value in members:
        system = FINESS if len(value) == len(HOSPITAL) else RPPS
        participant: JsonObject = {"member": {"identifier": {"system": system, "value": value}}}
        participants.append(participant if member_period is None else {**participant, "period": member_period})
    told: JsonObject = {
        "resourceType": "CareTeam",
        "id": id,
        "status": status,
        "subject": {"reference": f"Patient/{patient}"},
        "participant": participants,
    }
    if informed is not None:
        told["extension"] = [{"url": EQUIPE_INFORMATION, "valueDateTime": informed}]
    if period is not None:
        told["period"] = period
    return told


def closed_on(day: str) -> list[Json]:
    """The extensions of a Patient whose record was closed on a day (R-72)."""
    return [{"url": DMP_FERMETURE, "extension": [{"url": "dateFermeture", "valueDate": day}]}]


def related_person(
    ins: str = HELENE,
    *,
    id: str = "guard",
    relationship: str = "GUARD",
    protection: str | None = None,
    active: bool | None = True,
    period: JsonObject | None = None,
    patient: str = "demo-1",
) -> JsonObject:
    """A legal representative; with a protection (TRE_R217), of an adult under it."""
    relationships: list[Json] = [{"coding": [{"system": R260, "code": relationship}]}]
    if protection is not None:
        relationships.append({"coding": [{"system": R217, "code": protection}]})
    told: JsonObject = {
        "resourceType": "RelatedPerson",
        "id": id,
        "patient": {"reference": f"Patient/{patient}"},
        "identifier": [{"system": INS_NIR_TEST, "value": ins}],
        "relationship": relationships,
    }
    if active is not None:
        told["active"] = active
    if period is not None:
        told["period"] = period
    return told


# Records


def record(
    id: str = "demo-1",
    *,
    ins: str | Sequence[str] = HELENE,
    active: bool = True,
    realm: Realm = Realm.ESSAI,
    consents: Iterable[Written] = (),
    related_persons: Iterable[JsonObject] = (),
    care_teams: Iterable[JsonObject] = (),
    **patient: Json,
) -> Facts:
    """The facts of a record that holds these resources, by the code that keeps them; further members of its Patient."""
    identifiers = [ins] if isinstance(ins, str) else ins
    holder: JsonObject = {
        "resourceType": "Patient",
        "id": id,
        "active": active,
        "identifier": [{"system": INS_NIR_TEST, "value": value} for value in identifiers],
        **patient,
    }
    kept = new_record(id, realm.value)
    for resource in (holder, *related_persons, *care_teams):
        kept = _told(kept, resource, NOW)
    for one in consents:
        kept = _told(kept, one.resource, one.at)
    return facts_of(kept)


def _told(kept: Document, resource: JsonObject, at: int) -> Document:
    type, id = str(resource["resourceType"]), str(resource["id"])
    return with_resource(kept, type, id, resource, granted=at, zone=PARIS, duration=YEAR)


def fact(written: Written) -> ConsentFact:
    """What a Consent says; it must be one that is accepted."""
    read = read_consent(written.resource, granted=written.at, zone=PARIS, duration=YEAR)
    assert isinstance(read, ConsentFact), read
    return read


def minors_record(**told: Any) -> Facts:
    """The record of the minor, with his mother as legal representative unless told otherwise."""
    return record("demo-3", **{"ins": MINOR, "related_persons": [related_person(patient="demo-3")], **told})


# Resources, and the entries they are stored as


def document_reference(
    id: str = "d1",
    *,
    subject: str | None = "demo-1",
    security_label: str | Collection[str] = (),
    category: str | None = "11",
    type: str | None = "11502-2",
    author: str | None = None,
    deposited_by: str = f"rpps|{OTHER_DOCTOR}",
    organisation: str | None = None,
    secret: bool = False,
    realm: Realm = Realm.ESSAI,
) -> Entry:
    """A document, deposited by another doctor unless told."""
    labels = [security_label] if isinstance(security_label, str) else security_label
    resource: JsonObject = {
        "resourceType": "DocumentReference",
        "id": id,
        "status": "current",
        "securityLabel": [{"coding": [{"system": TRE_A07, "code": label}]} for label in labels],
    }
    if subject is not None:
        resource["subject"] = {"reference": f"Patient/{subject}"}
    if category is not None:
        resource["category"] = [{"coding": [{"system": TRE_A03, "code": category}]}]
    if type is not None:
        resource["type"] = {"coding": [{"system": LOINC, "code": type}]}
    if author is not None:
        identifier: Json = {"system": RPPS, "value": author}
        resource["contained"] = [{"resourceType": "Practitioner", "id": "a", "identifier": [identifier]}]
        resource["author"] = [{"reference": "#a"}]
    return entry(resource, deposited_by=deposited_by, organisation=organisation, secret=secret, realm=realm)


def entry(
    resource: JsonObject,
    *,
    deposited_by: str = f"rpps|{OTHER_DOCTOR}",
    organisation: str | None = None,
    secret: bool = False,
    realm: Realm = Realm.ESSAI,
    **changes: Any,
) -> Entry:
    """The fields of the stored form that consent speaks of."""
    type, id = str(resource["resourceType"]), str(resource["id"])
    records = records_of(type, id, resource)
    actor_named = read_actor(resource) if type == "Consent" and policy_of(resource) else None
    return {
        "_id": f"{type}/{id}",
        "rt": type,
        "realm": realm.value,
        "record": next(iter(records), None),
        **({"also": records[1:]} if len(records) > 1 else {}),
        "labels": labels_of(resource),
        "authors": author_keys(resource),
        "refers": pointers(resource, records=records),
        **({"about": told} if (told := about(type, resource)) else {}),
        "named": [actor_named] if actor_named else [],
        "deposit": {"by": deposited_by, "organisation": organisation, "at": NOW, "secret": secret},
        "category": category_of(resource),
        "kind": kind_of(resource),
        **changes,
    }


def resource(type: str, id: str = "x1", *, patient: str | None = "demo-1", **told: Any) -> Entry:
    """A resource of any type, about this patient."""
    if type == "Patient":
        return entry({"resourceType": type, "id": patient or id}, **told)
    about: JsonObject = {} if patient is None else {"reference": f"Patient/{patient}"}
    return entry({"resourceType": type, "id": id, "subject": about, "patient": about}, **told)


def binary(id: str = "b1", *, owner: Entry | None = None, deposited_by: str = f"rpps|{OTHER_DOCTOR}") -> Entry:
    """A Binary, which carries what consent needs of its owner; without one it belongs to no record."""
    carried = ("record", "labels", "authors", "category", "kind")
    taken: dict[str, Any] = {name: owner[name] for name in carried} | {"owner": owner["_id"]} if owner else {}
    return entry({"resourceType": "Binary", "id": id}, deposited_by=deposited_by, **taken)


def trace(
    *, agent: str = f"rpps|{SPECIALIST}", patient: str = "demo-1", target: str | None = None, secret: bool = False
) -> Entry:
    """A trace of the trail."""
    return {
        "_id": "AuditEvent/w-000000000001",
        "rt": "AuditEvent",
        "realm": Realm.ESSAI.value,
        "agent": agent,
        "record": patient,
        "target": target,
        "secret": secret,
    }


# Decisions


def decision(
    requester: Requester = NOBODY,
    *,
    facts: Facts,
    act: Act = Act.CONSULT,
    type: str = "DocumentReference",
    now: int = NOW,
    hidden: Collection[str] = (),
    others: Collection[tuple[str, Predicate]] = (),
    shown: Collection[str] = (),
    tables: Law | None = None,
    rules: Sequence[Rule] = RULES,
) -> Decision:
    """What the rules say of one act on one type in one record."""
    seen = circumstances(
        requester=requester,
        act=act,
        type=type,
        facts=facts,
        now=now,
        law=tables or law(),
        hidden=frozenset(hidden),
        others=tuple(others),
        shown=frozenset(shown),
    )
    return decide(seen, rules)


def sees(requester: Requester, entry: Entry, facts: Facts, act: Act | None = None, **told: Any) -> bool:
    """Whether the requester may do this with the entry; unless told, consult it, or read it if it is a trace."""
    usual = Act.TRACE if entry["rt"] == "AuditEvent" else Act.CONSULT
    found = decision(requester, facts=facts, act=act or usual, type=entry["rt"], **told)
    return matches(found.visible.predicate, entry)


def with_scope(requester: Requester, scope: str) -> Requester:
    """The same requester with a token for other scopes."""
    return replace(requester, scopes=scopes(scope))

"""Every row of ``tests/golden/consent-table.csv``, written from the law by hand, against what the server decides.

The facts are read from Consents, RelatedPersons, CareTeams and Patients by the code that reads them in the server, the
requesters and documents are those of ``tests/build.py``. What a door checks besides the decision (may this label be
lifted, is this Consent his to write) is asked of the same functions the door asks.
"""

from __future__ import annotations

import csv
from types import SimpleNamespace
from typing import Any, Final, cast

import pytest

from fhir_server.consent.circumstances import Act
from fhir_server.consent.decide import closed
from fhir_server.consent.rules.care_history import ASSURANCE_MALADIE
from fhir_server.fhir.errors import FhirError
from fhir_server.fhir.json import Json, JsonObject
from fhir_server.identity.purpose import misfit
from fhir_server.identity.requester import Kind, Purpose, Realm, Requester
from fhir_server.identity.systems import A00, G15, R94, R95, R260, R291
from fhir_server.interactions import change, prepare
from fhir_server.record.consents import Policy
from fhir_server.record.facts import NO_RECORD, Facts
from fhir_server.record.labels import TRE_A07, labels_of
from fhir_server.search.predicate import Entry, matches
from tests.build import (
    HELENE,
    HOSPITAL,
    MINOR,
    NOW,
    OTHER_DOCTOR,
    OTHER_HOSPITAL,
    SPECIALIST,
    STRANGER,
    Written,
    authorisation,
    binary,
    block,
    care_team,
    carer,
    choice,
    closed_on,
    conformance,
    decision,
    delegation,
    document_reference,
    emergency_choice,
    entry,
    feeder,
    hospital,
    law,
    medecin_traitant,
    naming,
    patient,
    professional,
    record,
    related_person,
    representative,
    requester,
    resource,
    support,
    team_choice,
    trace,
)
from tests.golden.consent_law import Case
from tests.golden.make_consent_table import COLUMNS, ORDINARY, TABLE, table

ROWS: Final = list(csv.DictReader(TABLE.read_text(encoding="utf-8").splitlines()))

PROFESSIONS: Final = {
    "doctor": (G15, "10"),
    "samu-doctor": (G15, "10"),
    "no-card-doctor": (G15, "10"),
    "no-reason-doctor": (G15, "10"),
    "nurse": (G15, "60"),
    "pharmacist": (G15, "21"),
    "dentist": (G15, "40"),
    "podiatrist": (G15, "80"),
    "physiotherapist": (G15, "70"),
    "dental-assistant": (G15, "31"),
    "social-worker": (R94, "41"),
    "psychologist": (R95, "93"),
    "actor-with-role": (R291, "99"),
    "unknown-profession": (G15, "999"),
    "insurer": ("https://mos.esante.gouv.fr/NOS/TRE_R02-SecteurActivite/FHIR/TRE-R02-SecteurActivite", "SA24"),
}
PATIENT_SIDE: Final = (Kind.PATIENT, Kind.REPRESENTATIVE, Kind.CARER)
SYSTEMS: Final = (Kind.ORGANISATION, Kind.FEEDER)
BY_STRUCTURE: Final = ("structure", "structure-expired", "structure-elsewhere", "team-by-structure")
POLICIES: Final = {
    "authorise": Policy.AUTORISATION,
    "block-a-professional": Policy.BLOCAGE,
    "choose-emergency": Policy.URGENCE,
    "name-medecin-traitant": Policy.MEDECIN_TRAITANT,
    "oppose": Policy.OPPOSITION,
    "withdraw-opposition": Policy.OPPOSITION,
    "mask-history": Policy.MASQUAGE_HISTORIQUE,
    "invite-carer": Policy.AIDANT,
    "answer-invitation": Policy.AIDANT,
}
"""Which Consent an act writes."""


# Who asks


def asks(case: Case) -> Requester:
    """The requester of a row; a professional is always the specialist, of the profession the row tells."""
    match case.requester:
        case "patient":
            return patient(_ins(case))
        case "representative":
            return representative(acting_for=_ins(case))
        case "carer":
            return carer(STRANGER, acting_for=_ins(case))
        case "trusted-person" | "emergency-contact":
            role = "NOK" if case.requester == "trusted-person" else "ECON"
            told = representative(STRANGER, acting_for=_ins(case))
            return _with(told, roles=(type(told.roles[0])(R260, role),))
        case "hospital":
            return hospital()
        case "assurance-maladie":
            return feeder()
        case "device":
            device = feeder("990000099")
            return _with(device, roles=(type(device.roles[0])(A00, "DISPOSITIF"),))
        case "conformance":
            return conformance()
        case "support":
            return support()
    return _professional(case)


def _professional(case: Case) -> Requester:
    system, profession = PROFESSIONS[case.requester]
    in_structure = case.ground in BY_STRUCTURE or case.author in ("structure", "colleague")
    emergency: dict[str, Any] = {}
    if case.mode != "normal":
        emergency = {
            "purpose": Purpose(case.mode),
            "reason": None if case.requester == "no-reason-doctor" else "Patient inconscient.",
            "authenticated_in_person": case.requester != "no-card-doctor",
            "practice_setting": "SAMU_SMUR" if case.requester == "samu-doctor" else "AMBULATOIRE",
        }
    return professional(
        profession=profession,
        profession_system=system,
        organisation=HOSPITAL if in_structure else None,
        **emergency,
    )


def _with(told: Requester, **claims: Any) -> Requester:
    kept = {"person": told.person, "actor": told.actor, "organisation": told.organisation}
    kept |= {"organisation_system": told.organisation_system}
    return requester(told.kind, told.key, "patient/*.cruds system/*.cruds", **{**kept, **claims})


def _ins(case: Case) -> str:
    return MINOR if case.person == "minor" else HELENE


# What the patient decided


def facts(case: Case) -> Facts:
    """The facts of the record of a row."""
    if case.life == "none":
        return NO_RECORD
    members: dict[str, Any] = {"birthDate": "2015-03-01" if case.person == "minor" else "1980-05-14"}
    if case.person == "unknown age":
        members = {}
    if case.life in ("archived", "erased"):
        members["extension"] = closed_on("2025-01-15" if case.life == "archived" else "2010-01-15")
    if case.life.startswith("deceased"):
        members |= {"deceasedBoolean": True} if case.life == "deceased" else {"deceasedDateTime": "2026-05-20"}
    if case.ground == "naming-in-the-body":
        identifier: JsonObject = {"system": "https://rpps.esante.gouv.fr", "value": SPECIALIST}
        members["generalPractitioner"] = [{"identifier": identifier}]
    return record(
        ins=_ins(case),
        active=case.life not in ("closed", "archived", "erased"),
        consents=[*_ground(case), *_choices(case)],
        related_persons=_related_persons(case),
        care_teams=_care_teams(case),
        **members,
    )


def _ground(case: Case) -> list[Written]:
    permit, other = authorisation(SPECIALIST), authorisation(OTHER_DOCTOR)
    administrator, treating = Policy.ADMINISTRATEUR, medecin_traitant()
    past = authorisation(end="2026-02-01", id="past")
    old, older = "2025-07-01", "2025-05-01"
    consents: dict[str, list[Written]] = {
        "valid": [permit],
        "another": [other],
        "last-day": [authorisation(end="2026-06-01")],
        "renewed": [past, permit],
        "within-default-year": [authorisation(start=old, written=old)],
        "expired-by-default": [authorisation(start=older, written=older)],
        "given-again": [permit, authorisation(start="2026-04-01", written="2026-04-01", id="again")],
        "expired": [past],
        "not-yet": [authorisation(start="2026-07-01")],
        "revoked": [permit.inactive("2026-03-01")],
        "structure": [authorisation(HOSPITAL)],
        "structure-expired": [authorisation(HOSPITAL, end="2026-02-01")],
        "structure-elsewhere": [authorisation(OTHER_HOSPITAL)],
        "team-permitted": [team_choice("permit")],
        "team-permitted-again": [team_choice("permit", written="2026-04-01")],
        "team-opposed": [team_choice("deny")],
        "team-opposed-but-valid": [team_choice("deny"), permit],
        "medecin-traitant": [treating],
        "mt-withdrawn": [treating.inactive("2026-03-01")],
        "mt-proposed": [_as(treating, "proposed")],
        "mt-rejected": [_as(treating, "rejected")],
        "administrator": [naming(administrator)],
        "administrator-ended": [naming(administrator, end="2026-02-01")],
        "administrator-not-yet": [naming(administrator, start="2026-07-01")],
        "administrator-withdrawn": [naming(administrator).inactive("2026-03-01")],
        "pharmacien-correspondant": [naming(Policy.PHARMACIEN_CORRESPONDANT)],
        "sage-femme-referente": [naming(Policy.SAGE_FEMME_REFERENTE)],
    }
    carers: dict[str, list[Written]] = {
        "accepted": [delegation()],
        "invited": [delegation(status="proposed")],
        "refused": [delegation(status="rejected")],
        "left": [delegation(status="inactive")],
        "ended": [delegation(end="2026-02-01")],
        "of-another": [delegation(HELENE)],
    }
    return (carers if case.requester == "carer" else consents).get(case.ground, [])


def _as(written: Written, status: str) -> Written:
    return Written({**written.resource, "status": status}, written.at)


def _choices(case: Case) -> list[Written]:
    blocks = {
        "blocked": [block()],
        "lifted": [block().inactive("2026-03-01")],
        "of-another": [block(OTHER_DOCTOR)],
        "none": [],
    }
    chosen = blocks[case.block]
    if case.emergencies != "default":
        for word in case.emergencies.split():
            purpose, what = word.split("-")
            chosen.append(emergency_choice(purpose, {"denied": "deny", "permitted": "permit"}[what]))
    if case.history == "masked":
        chosen.append(choice(Policy.MASQUAGE_HISTORIQUE))
    if case.life == "opposed":
        chosen.append(choice(Policy.OPPOSITION))
    return chosen


def _care_teams(case: Case) -> list[JsonObject]:
    teams: dict[str, JsonObject] = {
        "team-informed": care_team(SPECIALIST),
        "team-permitted": care_team(SPECIALIST, informed=None),
        "team-permitted-again": care_team(SPECIALIST),
        "team-by-structure": care_team(HOSPITAL),
        "team-opposed": care_team(SPECIALIST),
        "team-opposed-but-valid": care_team(SPECIALIST),
        "team-not-informed": care_team(SPECIALIST, informed=None),
        "team-informed-later": care_team(SPECIALIST, informed="2026-07-01"),
        "team-ended": care_team(SPECIALIST, period={"end": "2026-02-01"}),
        "team-left": care_team(SPECIALIST, member_period={"end": "2026-02-01"}),
        "team-of-others": care_team(OTHER_DOCTOR, OTHER_HOSPITAL),
    }
    return [teams[case.ground]] if case.ground in teams else []


def _related_persons(case: Case) -> list[JsonObject]:
    if case.requester in ("trusted-person", "emergency-contact"):
        role = "NOK" if case.requester == "trusted-person" else "ECON"
        return [related_person(STRANGER, relationship=role)]
    if case.requester != "representative":
        return []
    protection = "TUTEUR" if case.person == "protected" else None
    guards: dict[str, list[JsonObject]] = {
        "guard": [related_person(protection=protection)],
        "inactive": [related_person(active=False)],
        "ended": [related_person(period={"end": "2026-02-01"})],
        "not-yet": [related_person(period={"start": "2026-07-01"})],
        "of-another": [related_person(STRANGER)],
        "none": [],
    }
    return guards[case.ground]


# What is asked about


def about(case: Case, who: Requester) -> Entry:
    """The stored form of what a row asks about."""
    match case.target:
        case "document":
            return _document(case, who)
        case "binary":
            return binary(owner=_document(case, who))
        case "entry":
            about = None if case.place == "no record" else "demo-2" if case.place == "other record" else "demo-1"
            return resource("Observation", patient=about, realm=_realm(case), **_deposit(case, who))
        case "consent":
            return entry({**_consent(case, who), "id": "c1"}, **_deposit(case, who))
        case "trace" | "access":
            secret = case.label in ("secret", "secret-lifted")
            agent = who.key if case.author == "own" else f"rpps|{OTHER_DOCTOR}"
            target = "DocumentReference/d1"
            return {**trace(agent=agent, target=target, secret=secret), "realm": _realm(case).value}
    types = {
        "patient": "Patient",
        "related-person": "RelatedPerson",
        "practitioner": "Practitioner",
        "unlisted": "Subscription",
    }
    return resource(types[case.target])


def _document(case: Case, who: Requester) -> Entry:
    category, _, type = case.document.partition("/")
    label = {"secret": "INVISIBLE_REPRESENTANTS_LEGAUX", "secret-lifted": "none"}.get(case.label, case.label)
    return document_reference(
        subject={"this record": "demo-1", "other record": "demo-2", "no record": None}.get(case.place, "demo-1"),
        security_label=() if label == "none" else label,
        category=None if category == "none" else category,
        type=None if type == "unknown" else type,
        author=SPECIALIST if case.author == "contained" else None,
        secret=case.label in ("secret", "secret-lifted"),
        realm=_realm(case),
        **_deposit(case, who),
    )


def _realm(case: Case) -> Realm:
    return Realm.REEL if case.place == "other realm" else Realm.ESSAI


def _deposit(case: Case, who: Requester) -> dict[str, Any]:
    structure, insurance = f"finess|{HOSPITAL}", ASSURANCE_MALADIE
    if case.target == "consent":
        return {"deposited_by": f"ins|{_ins(case)}"}
    deposits: dict[str, dict[str, Any]] = {
        "own": {"deposited_by": who.key, "organisation": who.key if who.kind in SYSTEMS else None},
        "structure": {"deposited_by": structure, "organisation": structure},
        "colleague": {"organisation": structure},
        "patient": {"deposited_by": f"ins|{_ins(case)}"},
        "feeder": {"deposited_by": insurance, "organisation": insurance},
    }
    return deposits.get(case.author, {})


def _consent(case: Case, who: Requester) -> JsonObject:
    """The Consent that is read or written: it names the requester where the row says so."""
    named = who.rpps if case.author == "own" and who.rpps else OTHER_DOCTOR
    carer_named = STRANGER if case.author == "own" else MINOR
    policy = POLICIES.get(case.act, Policy.AIDANT if case.requester == "carer" else Policy.AUTORISATION)
    match policy:
        case Policy.AIDANT:
            return delegation(carer_named, status="proposed").resource
        case Policy.BLOCAGE:
            return block(named).resource
        case Policy.URGENCE:
            return emergency_choice("BTG", "deny").resource
        case Policy.MEDECIN_TRAITANT:
            return medecin_traitant(named).resource
        case Policy.OPPOSITION | Policy.MASQUAGE_HISTORIQUE:
            return choice(policy).resource
        case _:
            return authorisation(named).resource


# What the server answers


class Asked:
    """One row put to the server."""

    def __init__(self, case: Case) -> None:
        """Make the requester, the record and what is asked about."""
        self.case, self.who = case, asks(case)
        self.facts = facts(case)
        self.entry = about(case, self.who)

    def may(self, *acts: Act) -> bool:
        """Whether one of these acts on it is permitted."""
        return any(self._permits(act) for act in acts)

    def _permits(self, act: Act) -> bool:
        found = decision(
            self.who,
            facts=self.facts,
            act=act,
            type=self.entry["rt"],
            hidden=self._hidden() if act is Act.TRACE else (),
        )
        return matches(found.visible.predicate, self.entry)

    def _hidden(self) -> list[str]:
        """The targets whose traces are withheld from the patient's side."""
        holder, label = self.who.kind is Kind.PATIENT, self.case.label
        withheld = label == "INVISIBLE_PATIENT" or (
            label in {"secret", "INVISIBLE_REPRESENTANTS_LEGAUX"} and not holder
        )
        return ["DocumentReference/d1"] if withheld and self.who.kind in PATIENT_SIDE else []

    def may_ask_status(self) -> bool:
        """Whether ``$statut-dmp`` answers him; of a record nobody has it says so."""
        try:
            closed(self.who, "Patient", Act.STATUS, law(), "r")
        except FhirError:
            return False
        return not self.facts.exists or self.may(Act.STATUS)

    def may_change(self, before: JsonObject, after: JsonObject) -> bool:
        """Whether it is his to change in this way: what an update asks besides the decision."""
        server = SimpleNamespace(base_url="https://server.example/fhir", law=law())
        exchange: Any = SimpleNamespace(
            requester=self.who, now=NOW, server=server, is_conformance=self.who.kind is Kind.CONFORMANCE
        )
        changed = change.changed_members(before, after)
        type = self.entry["rt"]
        relabelling = change.is_relabelling(before, after, changed)
        if not self.may(Act.CONSULT) or not self.may(*change.acts_of_update(exchange, type, relabelling=relabelling)):
            return False
        stored = SimpleNamespace(type=type, id="d1", document=self.entry)
        try:
            if type == "Consent":
                prepare.refuse_consent_of_professional(exchange, after)
            change.must_be_legal(exchange, self.facts, cast("Any", stored), before, after, changed)
        except FhirError:
            return False
        return True


def answer(case: Case) -> bool:
    """What the server answers to a row."""
    asked = Asked(case)
    if misfit(asked.who):
        return False
    plain: dict[str, tuple[Act, ...]] = {
        "consult": (Act.CONSULT,),
        "feed": (Act.FEED,),
        "read-trace": (Act.TRACE,),
        "collect": (Act.COLLECT,),
        "tell-medecin-traitant": (Act.COLLECT,),
        "access-list": (Act.ACCESS_LIST,),
        "explain": (Act.EXPLAIN,),
    }
    if case.act in plain:
        return asked.may(*plain[case.act])
    if case.act == "status":
        return asked.may_ask_status()
    if case.act == "delete":
        return asked.may(Act.CONSULT) and asked.may(Act.DELETE_OWN)
    if case.act in POLICIES:
        return _governs(asked)
    return asked.may_change(*_change(case, asked.entry))


def _governs(asked: Asked) -> bool:
    written = _consent(asked.case, asked.who)
    if asked.case.act == "answer-invitation":
        before = {**written, "status": "active" if asked.case.ground == "accepted" else "proposed"}
        return asked.may_change(
            before, {**written, "status": "inactive" if asked.case.ground == "accepted" else "active"}
        )
    if asked.case.act == "withdraw-opposition":
        return asked.may_change(written, {**written, "status": "inactive"})
    if not asked.may(Act.GOVERN):
        return False
    exchange: Any = SimpleNamespace(requester=asked.who)
    try:
        prepare.refuse_consent_of_professional(exchange, written)
    except FhirError:
        return False
    return True


def _change(case: Case, entry: Entry) -> tuple[JsonObject, JsonObject]:
    """What is stored, and what the act makes of it."""
    if case.target == "patient":
        before: JsonObject = {"resourceType": "Patient", "id": "demo-1", "active": case.act != "reopen"}
        return before, {**before, "active": case.act == "reopen"} if case.act != "contact-details" else {
            **before,
            "telecom": [{"system": "phone", "value": "0123456789"}],
        }
    before = {"resourceType": "DocumentReference", "id": "d1", "subject": {"reference": "Patient/demo-1"}}
    labelled = _labelled(before, list(entry["labels"]))
    match case.act:
        case "mask":
            return labelled, _labelled(before, [*entry["labels"], "MASQUE_PS"])
        case "unmask" | "reveal":
            return labelled, before
        case "archive":
            return labelled, {**labelled, "extension": [{"url": change.IS_ARCHIVED, "valueBoolean": True}]}
    assert case.act == "edit", case.act
    return labelled, {**labelled, "description": "Un autre titre"}


def _labelled(resource: JsonObject, labels: list[str]) -> JsonObject:
    told: list[Json] = [{"coding": [{"system": TRE_A07, "code": label}]} for label in labels]
    labelled = {**resource, "securityLabel": told} if told else resource
    assert set(labels_of(labelled)) == set(labels)
    return labelled


# The rows


def case_of(row: dict[str, str]) -> Case:
    return Case(**{name: row[name] or word for name, word in ORDINARY.items()})


def row_id(row: dict[str, str]) -> str:
    said = " ".join(row[name] for name in ORDINARY if row[name])
    return f"{said} = {row['expected']}"


@pytest.mark.parametrize("row", ROWS, ids=row_id)
def test_row(row: dict[str, str]) -> None:
    assert answer(case_of(row)) is (row["expected"] == "yes"), f"{row['because']} ({row['cites']}, {row['basis']})"


def test_the_table_is_what_its_law_says() -> None:
    assert TABLE.read_text(encoding="utf-8") == table()


def test_every_row_cites_what_it_rests_on() -> None:
    assert list(ROWS[0]) == COLUMNS
    assert len(ROWS) >= 600
    assert len({row_id(row).rpartition(" = ")[0] for row in ROWS}) == len(ROWS)
    assert all(row["cites"] and row["because"] and row["basis"] in ("reference", "assumed") for row in ROWS)

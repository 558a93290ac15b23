"""The perimeters nothing exceeds: acts, realm, token, role, life of the record, matrice d'habilitation."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from fhir_server.consent import acts
from fhir_server.consent.circumstances import Act, Circumstances, Domain, Standing, circumstances, domain_of
from fhir_server.consent.rules import LIMITS as DECLARED
from fhir_server.consent.rules import RULES, Rule
from fhir_server.consent.rules.acts_table import acts_table
from fhir_server.consent.rules.habilitation import habilitation
from fhir_server.consent.rules.life_of_record import life_of_record
from fhir_server.consent.rules.realm import realm
from fhir_server.consent.rules.roles import roles
from fhir_server.consent.rules.scope import scope
from fhir_server.consent.rules.token_record import token_record
from fhir_server.consent.verdict import Effect, silent
from fhir_server.identity.requester import SHARED, Coding, Kind, Realm
from fhir_server.record.facts import NO_RECORD
from fhir_server.search.predicate import NEVER, matches
from tests.build import (
    EVERYBODY,
    HELENE,
    HOSPITAL,
    OTHER_DOCTOR,
    SPECIALIST,
    STRANGER,
    authorisation,
    binary,
    conformance,
    decision,
    document_reference,
    emergency_doctor,
    hospital,
    law,
    medecin_traitant,
    minors_record,
    nurse,
    patient,
    professional,
    record,
    representative,
    resource,
    sees,
    trace,
    with_scope,
)

LIMITS: tuple[Rule, ...] = (acts_table, realm, scope, token_record, roles, life_of_record, habilitation)
TYPES = {
    Domain.CONTENTS: "DocumentReference",
    Domain.PATIENT: "Patient",
    Domain.GOVERN: "Consent",
    Domain.TRACE: "AuditEvent",
    Domain.DIRECTORY: "Practitioner",
    Domain.OTHER: "Slot",
}
OPEN = record(consents=[authorisation(SPECIALIST), authorisation(HOSPITAL)])


def seen(who: str, act: Act, type: str) -> Circumstances:
    return circumstances(requester=EVERYBODY[who], act=act, type=type, facts=OPEN, now=0, law=law())


@pytest.mark.parametrize("rule", LIMITS)
def test_every_limit_answers_for_everybody(rule: Rule) -> None:
    for who in EVERYBODY:
        for act in Act:
            for type in (*TYPES.values(), "Binary", "Observation", "RelatedPerson"):
                assert rule(seen(who, act, type)).effect is Effect.LIMIT, (who, act, type)


def test_all_limits_are_at_work() -> None:
    """A limit that is not asked is a hole."""
    for who in EVERYBODY:
        verdicts = decision(EVERYBODY[who], facts=OPEN).verdicts
        limits = [verdict.rule for verdict in verdicts if verdict.effect is Effect.LIMIT]
        assert sorted(limits) == sorted(DECLARED)


def test_every_rule_has_its_file_and_its_name() -> None:
    folder = Path(acts.__file__).with_name("rules")
    assert {file.stem for file in folder.glob("*.py")} - {"__init__"} == {rule.__name__ for rule in RULES}
    names = {rule(seen("doctor", Act.CONSULT, "DocumentReference")).rule for rule in RULES}
    assert names == {rule.__name__.replace("_", "-") for rule in RULES}


def test_a_limit_is_never_silent() -> None:
    with pytest.raises(AssertionError, match="must answer"):
        silent("some-limit", Effect.LIMIT)


# Realm


def test_care_and_trials_never_meet() -> None:
    for who in (patient(), professional(SPECIALIST), emergency_doctor(), hospital(), conformance()):
        in_care = replace(who, realm=Realm.REEL)
        key = f"finess|{HOSPITAL}" if who.kind is Kind.ORGANISATION else who.key
        trial = document_reference(deposited_by=key, organisation=key)
        care = document_reference(deposited_by=key, organisation=key, realm=Realm.REEL)
        assert sees(who, trial, OPEN), who
        assert not sees(who, care, OPEN), who
        assert not sees(in_care, trial, OPEN), who
        assert not sees(in_care, care, OPEN), who  # the record itself is one of trials
        assert sees(in_care, care, replace(OPEN, realm="reel")) is (who.kind is not Kind.CONFORMANCE), who


def test_the_directory_and_the_traces_have_a_realm_too() -> None:
    assert not sees(patient(), resource("Practitioner", patient=None, realm=Realm.REEL), NO_RECORD)
    assert not sees(patient(), {**trace(), "realm": "reel"}, OPEN)


def test_what_the_server_publishes_is_read_in_both_realms_and_changed_in_none() -> None:
    published = {**resource("ValueSet", patient=None), "realm": SHARED}
    for who in (
        patient(),
        professional(SPECIALIST),
        conformance(),
        replace(professional(SPECIALIST), realm=Realm.REEL),
    ):
        assert sees(who, published, NO_RECORD), who
        for act in (Act.FEED, Act.CHANGE_OWN, Act.DELETE_OWN, Act.RELABEL):
            assert not sees(who, published, NO_RECORD, act), (who, act)


def test_the_shared_realm_is_for_the_directory_alone() -> None:
    shared = {**document_reference(deposited_by=conformance().key), "realm": SHARED}
    for who in (patient(), professional(SPECIALIST), conformance()):
        assert not sees(who, shared, OPEN), who


# Scope of the token


@pytest.mark.parametrize(
    ("letters", "open_to"),
    [
        ("r", {Act.CONSULT}),
        ("s", {Act.CONSULT}),
        ("c", {Act.FEED, Act.REPLACE}),
        # a patch that says a document was entered in error deletes it; DELETE itself asks for its own letter
        ("u", {Act.FEED, Act.RELABEL, Act.CHANGE_OWN, Act.DELETE_OWN}),
        ("d", {Act.DELETE_OWN}),
    ],
)
def test_nothing_outside_the_letters_of_the_token(letters: str, open_to: set[Act]) -> None:
    own = document_reference(deposited_by=f"ins|{HELENE}")
    holder = patient(scope=f"patient/*.{letters}")
    every_act = (Act.CONSULT, Act.FEED, Act.REPLACE, Act.RELABEL, Act.CHANGE_OWN, Act.DELETE_OWN)
    assert {act for act in every_act if sees(holder, own, record(), act)} == open_to


def test_nothing_outside_the_types_of_the_token() -> None:
    narrow = with_scope(professional(SPECIALIST), "user/DocumentReference.rs user/Patient.u")
    assert sees(narrow, document_reference(), OPEN)
    assert not sees(narrow, resource("Observation"), OPEN)
    assert not sees(narrow, resource("Patient"), OPEN)
    assert not sees(narrow, trace(), OPEN)
    assert not sees(with_scope(professional(SPECIALIST), ""), document_reference(), OPEN)


# A token issued for one patient


def test_a_token_for_one_patient_opens_no_other_record() -> None:
    both = [authorisation(SPECIALIST), medecin_traitant(SPECIALIST)]
    for_helene = professional(SPECIALIST, person=HELENE)
    other = record("demo-2", ins=STRANGER, consents=both)
    assert sees(for_helene, document_reference(), OPEN)
    assert not sees(for_helene, document_reference(subject="demo-2"), other)
    assert not sees(for_helene, resource("Patient", patient="demo-2"), other)
    assert not sees(for_helene, document_reference(subject="demo-2", deposited_by=for_helene.key), other, Act.FEED)
    assert not sees(emergency_doctor(person=HELENE), document_reference(subject="demo-2"), other)


def test_nor_the_traces_of_another_but_for_own_acts() -> None:
    facts = record("demo-2", ins=STRANGER, consents=[medecin_traitant(SPECIALIST)])
    for_helene, for_all = professional(SPECIALIST, person=HELENE), professional(SPECIALIST)
    others = trace(agent=f"rpps|{OTHER_DOCTOR}", patient="demo-2")
    assert sees(for_all, others, facts)
    assert not sees(for_helene, others, facts)
    assert sees(for_helene, trace(patient="demo-2"), facts)


def test_it_may_name_the_patient_by_an_old_ins() -> None:
    facts = record(ins=[HELENE, STRANGER], consents=[authorisation(SPECIALIST)])
    assert sees(professional(SPECIALIST, person=STRANGER), document_reference(), facts)


def test_the_directory_is_the_same_for_every_patient() -> None:
    assert sees(professional(person=HELENE), resource("Practitioner", patient=None), NO_RECORD)


def test_a_token_for_one_patient_deposits_no_binary_into_another_record() -> None:
    own = binary(owner=document_reference(subject="demo-2"), deposited_by=f"rpps|{SPECIALIST}")
    other = record("demo-2", ins=STRANGER)
    assert not sees(professional(SPECIALIST, person=HELENE), own, other, Act.FEED)
    loose = binary(deposited_by=f"rpps|{SPECIALIST}")
    assert not sees(professional(SPECIALIST, person=HELENE), loose, other, Act.FEED)


# Roles: JDV_J65


@pytest.mark.parametrize(
    "role",
    [
        Coding("https://mos.esante.gouv.fr/NOS/TRE_R999-Assurance/FHIR/TRE-R999-Assurance", "ASSUREUR"),
        Coding("https://mos.esante.gouv.fr/NOS/TRE_G15-ProfessionSante/FHIR/TRE-G15-ProfessionSante", "999"),
        Coding("https://example.org/other", "10"),
    ],
)
def test_an_insurer_or_an_unknown_role_has_nothing_even_with_consent(role: Coding) -> None:
    everything = record(consents=[authorisation(SPECIALIST), authorisation(HOSPITAL), medecin_traitant(SPECIALIST)])
    insurer = professional(
        SPECIALIST, profession=role.code, profession_system=role.system, roles=(role,), organisation=HOSPITAL
    )
    own = document_reference(deposited_by=f"rpps|{SPECIALIST}")
    for act in Act:
        assert not sees(insurer, own, everything, act), act
        assert not sees(insurer, resource("Patient"), everything, act), act


def test_a_token_without_a_role_has_nothing() -> None:
    assert not sees(professional(SPECIALIST, roles=()), document_reference(), OPEN)
    assert not sees(professional(SPECIALIST, roles=()), resource("Patient"), OPEN)


# Life of the record: L1111-21, R-72, R-73

CLOSED = record(active=False, consents=[authorisation(SPECIALIST), medecin_traitant(OTHER_DOCTOR)])


@pytest.mark.parametrize("who", [patient(), professional(SPECIALIST), professional(OTHER_DOCTOR), emergency_doctor()])
def test_a_closed_record_is_neither_consulted_nor_fed(who) -> None:  # type: ignore[no-untyped-def] # noqa: ANN001
    own = document_reference(deposited_by=who.key)
    for act in (Act.CONSULT, Act.FEED, Act.RELABEL, Act.CHANGE_OWN, Act.DELETE_OWN):
        assert not sees(who, own, CLOSED, act), act
    assert not sees(who, binary(owner=own, deposited_by=who.key), CLOSED)
    for act in (Act.CONSULT, Act.GOVERN):
        assert not sees(who, resource("Consent"), CLOSED, act), act


def test_a_closed_record_is_not_fed_by_structures() -> None:
    key = f"finess|{HOSPITAL}"
    own = document_reference(deposited_by=key, organisation=key)
    assert not sees(hospital(), own, CLOSED)
    assert not sees(hospital(), own, CLOSED, Act.FEED)


def test_the_holder_of_a_closed_record_keeps_his_patient_and_his_traces() -> None:
    assert sees(patient(), resource("Patient"), CLOSED)
    assert sees(patient(), trace(), CLOSED)
    assert not sees(professional(SPECIALIST), resource("Patient"), CLOSED)
    closed = minors_record(active=False)
    assert sees(representative(), resource("Patient", patient="demo-3"), closed)


def test_a_binary_without_record_is_of_no_closed_record() -> None:
    own = f"rpps|{SPECIALIST}"
    assert sees(professional(SPECIALIST), binary(deposited_by=own), CLOSED)
    assert not sees(professional(SPECIALIST), binary(owner=document_reference(), deposited_by=own), CLOSED)


# Matrice d'habilitation: R-47. It limits and never lets in.


def test_an_unauthorised_nurse_sees_nothing() -> None:
    """Written as a ground, the matrix would let every nurse into every record."""
    for category in ("11", "44", "95"):
        assert not sees(nurse(), document_reference(category=category), record())
    assert not sees(nurse(), resource("Observation"), record())


def test_the_matrix_withholds_what_a_profession_does_not_read() -> None:
    facts = record(consents=[authorisation(SPECIALIST)])
    administrative = document_reference(category="95", type="ATTEST-DROITS-AM")
    assert sees(professional(SPECIALIST), administrative, facts)
    assert not sees(nurse(SPECIALIST), administrative, facts)
    assert sees(nurse(SPECIALIST), document_reference(), facts)


def test_the_matrix_does_not_limit_feeding() -> None:
    own = document_reference(category="95", deposited_by=f"rpps|{SPECIALIST}")
    assert sees(nurse(SPECIALIST), own, record(), Act.FEED)


def test_the_matrix_speaks_of_professionals_only() -> None:
    administrative = document_reference(category="95", type="ATTEST-RESID")
    assert sees(patient(), administrative, record())
    verdict = habilitation(seen("hospital", Act.CONSULT, "DocumentReference"))
    assert matches(verdict.where, administrative)


def test_a_profession_the_matrix_does_not_know_reads_nothing() -> None:
    tables = replace(law(), habilitation=replace(law().habilitation, perimeters={}))
    facts = record(consents=[authorisation(SPECIALIST)])
    assert not sees(professional(SPECIALIST), document_reference(), facts, tables=tables)


# The table of acts


def test_an_act_the_table_does_not_name_is_no() -> None:
    emptied = replace(law(), acts={standing: {} for standing in Standing})
    everything = record(consents=[authorisation(SPECIALIST), medecin_traitant(SPECIALIST)])
    for name, who in EVERYBODY.items():
        for act in Act:
            shown = decision(who, facts=everything, act=act, tables=emptied)
            assert shown.visible.predicate == NEVER, (name, act)


def test_a_decision_is_for_one_type() -> None:
    shown = decision(patient(), facts=record(), type="Observation").visible
    assert matches(shown.predicate, resource("Observation"))
    assert not matches(shown.predicate, document_reference())


@pytest.mark.parametrize(
    ("type", "domain"),
    [
        ("Patient", Domain.PATIENT),
        ("AuditEvent", Domain.TRACE),
        ("Consent", Domain.GOVERN),
        ("CareTeam", Domain.GOVERN),
        ("RelatedPerson", Domain.GOVERN),
        ("Binary", Domain.CONTENTS),
        ("List", Domain.CONTENTS),
        ("DocumentReference", Domain.CONTENTS),
        ("Coverage", Domain.CONTENTS),
        ("Organization", Domain.DIRECTORY),
        ("Person", Domain.CONTENTS),
        ("Provenance", Domain.CONTENTS),
        ("Slot", Domain.OTHER),
        ("Unheard", Domain.OTHER),
    ],
)
def test_domains(type: str, domain: Domain) -> None:
    assert domain_of(type) is domain


ROWS = "\n".join(f"[{standing}]" for standing in Standing)


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        (ROWS.replace("[support]", ""), "the rows must be exactly"),
        (f"{ROWS}\n[insurer]\ncontents = ['consult']", "the rows must be exactly"),
        (ROWS.replace("[patient]", "[patient]\ncontent = ['consult']"), "neither a domain nor a type"),
        (ROWS.replace("[patient]", "[patient]\nConsents = ['consult']"), "neither a domain nor a type"),
        (ROWS.replace("[patient]", "[patient]\ncontents = ['look']"), "look"),
    ],
)
def test_a_table_of_acts_that_cannot_be_honoured_stops_the_start(tmp_path: Path, table: str, complaint: str) -> None:
    file = tmp_path / "acts.toml"
    file.write_text(table)
    with pytest.raises(ValueError, match=complaint):
        acts.load(file, ["Consent"])


def test_a_line_for_a_type_wins_over_its_column(tmp_path: Path) -> None:
    file = tmp_path / "acts.toml"
    file.write_text(ROWS.replace("[patient]", "[patient]\ngovern = ['consult', 'govern']\nRelatedPerson = []"))
    tables = replace(law(), acts=acts.load(file, ["RelatedPerson"]))
    assert sees(patient(), resource("CareTeam"), record(), Act.GOVERN, tables=tables)
    assert not sees(patient(), resource("RelatedPerson"), record(), Act.GOVERN, tables=tables)
    assert not sees(patient(), resource("RelatedPerson"), record(), tables=tables)

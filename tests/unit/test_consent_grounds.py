"""The grounds for access, rule by rule. Each says who comes in, and who still does not."""

from __future__ import annotations

import pytest

from fhir_server.consent.circumstances import Act
from fhir_server.fhir.date import MAX
from fhir_server.fhir.json import JsonObject
from fhir_server.identity.requester import Kind, Purpose, Realm
from fhir_server.record.facts import NO_RECORD
from tests.build import (
    EVERYBODY,
    HELENE,
    HOSPITAL,
    MINOR,
    NOBODY,
    NOW,
    NURSE,
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
    conformance,
    decision,
    document_reference,
    emergency_choice,
    emergency_doctor,
    entry,
    feeder,
    hospital,
    medecin_traitant,
    minors_record,
    moment,
    nurse,
    patient,
    professional,
    record,
    related_person,
    representative,
    requester,
    resource,
    sees,
    support,
    team_choice,
    trace,
)

OWN = f"rpps|{SPECIALIST}"


@pytest.mark.parametrize("act", list(Act))
@pytest.mark.parametrize("type", ["DocumentReference", "Patient", "Consent", "Practitioner", "AuditEvent", "Slot"])
def test_nobody_may_do_anything(type: str, act: Act) -> None:
    shown = decision(NOBODY, facts=record(), type=type, act=act)
    grounds = {rule for rule in shown.rules if rule.startswith("permit:")}
    assert grounds <= {"permit:directory"}, "which is for everybody whose token covers it"
    assert not sees(NOBODY, resource(type), record(), act)


# Own record: L1111-13-1, L1111-19, R-50, R-61


def test_the_holder_reads_his_record() -> None:
    for type in ("DocumentReference", "Observation", "Patient", "Consent", "RelatedPerson"):
        assert sees(patient(), resource(type), record()), type


def test_the_holder_is_known_by_any_of_his_ins() -> None:
    mine = record(ins=[STRANGER, HELENE])
    assert sees(patient(HELENE), document_reference(), mine)
    assert sees(patient(STRANGER), document_reference(), mine)
    assert not sees(patient(MINOR), document_reference(), mine)


def test_the_holder_reads_nobody_elses_record() -> None:
    assert not sees(patient(STRANGER), document_reference(), record())
    assert not sees(patient(), document_reference(subject="demo-2"), record())


def test_a_record_that_nobody_has_shows_nothing() -> None:
    for who in EVERYBODY.values():
        if who.kind is not Kind.CONFORMANCE:
            assert not sees(who, document_reference(deposited_by="other"), NO_RECORD), who


def test_the_patient_changes_and_deletes_own_deposits_only() -> None:
    own, others = document_reference(deposited_by=f"ins|{HELENE}"), document_reference()
    for act in (Act.FEED, Act.CHANGE_OWN, Act.DELETE_OWN):
        assert sees(patient(), own, record(), act), act
        assert not sees(patient(), others, record(), act), act


def test_a_deposit_under_an_old_ins_stays_the_patients_own() -> None:
    mine = record(ins=[STRANGER, HELENE])
    assert sees(patient(), document_reference(deposited_by=f"ins|{STRANGER}"), mine, Act.DELETE_OWN)


def test_the_patient_may_relabel_what_others_deposited() -> None:
    assert sees(patient(), document_reference(), record(), Act.RELABEL)


def test_the_patient_governs_by_consents_and_care_teams() -> None:
    assert sees(patient(), resource("Consent"), record(), Act.GOVERN)
    assert not sees(patient(), resource("RelatedPerson"), record(), Act.GOVERN)
    assert sees(patient(), resource("CareTeam"), record(), Act.GOVERN)


def test_the_patient_changes_his_patient_and_no_more() -> None:
    assert sees(patient(), resource("Patient"), record(), Act.CHANGE_OWN)
    assert not sees(patient(), resource("Patient"), record(), Act.DELETE_OWN)
    assert not sees(patient(), resource("Patient"), record(), Act.FEED)


def test_the_patient_reads_his_trail() -> None:
    assert sees(patient(), trace(), record())
    assert not sees(patient(), trace(patient="demo-2"), record())


# Representatives: the token and an active RelatedPerson GUARD


def test_a_guardian_reads_the_record_of_the_minor() -> None:
    assert sees(representative(), document_reference(subject="demo-3"), minors_record())
    assert sees(representative(), resource("Patient", patient="demo-3"), minors_record())


def test_the_token_alone_makes_nobody_a_guardian() -> None:
    without = minors_record(related_persons=[])
    assert not sees(representative(), document_reference(subject="demo-3"), without)


def test_the_related_person_alone_makes_nobody_a_guardian() -> None:
    assert not sees(representative(STRANGER), document_reference(subject="demo-3"), minors_record())
    assert not sees(patient(HELENE), document_reference(subject="demo-3"), minors_record())


@pytest.mark.parametrize("told", [{"active": False}, {"relationship": "CAREGIVER"}, {"relationship": "guard"}])
def test_only_an_active_guard_represents(told: dict[str, object]) -> None:
    weak = minors_record(related_persons=[related_person(patient="demo-3", **told)])  # type: ignore[arg-type]
    assert not sees(representative(), document_reference(subject="demo-3"), weak)


@pytest.mark.parametrize(
    ("period", "represents"),
    [
        ({"start": "2026-01-01", "end": "2026-12-31"}, True),
        ({"start": "2026-01-01"}, True),
        ({"end": "2026-06-01"}, True),
        ({"start": "2026-06-02"}, False),
        ({"end": "2026-05-31"}, False),
        ({"end": "2026-06-01T11:59:59Z"}, False),
    ],
)
def test_a_guardian_represents_within_the_dates(period: dict[str, str], represents: bool) -> None:
    dated = minors_record(related_persons=[related_person(patient="demo-3", period=dict(period))])
    assert sees(representative(), document_reference(subject="demo-3"), dated) is represents


def test_a_guardian_of_one_child_is_not_the_guardian_of_another() -> None:
    token_for_another = representative(acting_for=STRANGER)
    assert not sees(token_for_another, document_reference(subject="demo-3"), minors_record())


def test_a_guardian_acts_as_the_patient() -> None:
    own = document_reference(subject="demo-3", deposited_by=f"ins|{HELENE}")
    childs = document_reference(subject="demo-3", deposited_by=f"ins|{MINOR}")
    for act in (Act.FEED, Act.CHANGE_OWN, Act.DELETE_OWN):
        assert sees(representative(), own, minors_record(), act), act
        assert sees(representative(), childs, minors_record(), act), act
        assert not sees(representative(), document_reference(subject="demo-3"), minors_record(), act), act
    assert sees(representative(), resource("Consent", patient="demo-3"), minors_record(), Act.GOVERN)


def test_a_carer_without_a_delegation_has_nothing() -> None:
    helped = record(related_persons=[related_person(STRANGER, relationship="CAREGIVER")])
    guarded = record(related_persons=[related_person(STRANGER)])
    for facts in (helped, guarded):
        for type in ("DocumentReference", "Patient", "Consent", "AuditEvent"):
            for act in Act:
                assert not sees(carer(), resource(type), facts, act), (type, act)


# Authorisation


def test_an_authorised_doctor_consults() -> None:
    authorised = record(consents=[authorisation(SPECIALIST)])
    assert sees(professional(SPECIALIST), document_reference(), authorised)
    assert sees(professional(SPECIALIST), resource("Observation"), authorised)
    assert sees(professional(SPECIALIST), resource("Patient"), authorised)


def test_no_other_doctor_does() -> None:
    authorised = record(consents=[authorisation(SPECIALIST)])
    assert not sees(professional(NURSE), document_reference(), authorised)
    assert not sees(professional(NURSE), resource("Patient"), authorised)
    assert not sees(professional(SPECIALIST), document_reference(), record())


def test_an_authorisation_opens_one_record() -> None:
    authorised = record(consents=[authorisation(SPECIALIST)])
    assert not sees(professional(SPECIALIST), document_reference(subject="demo-2"), authorised)


@pytest.mark.parametrize(
    ("start", "end", "now", "open_"),
    [
        ("2026-01-01", None, "2026-12-31T22:59:59Z", True),
        ("2026-01-01", None, "2026-12-31T23:00:00Z", False),
        ("2026-01-01", "2026-05-31", "2026-05-31T21:59:59Z", True),
        ("2026-01-01", "2026-05-31", "2026-05-31T22:00:00Z", False),
        ("2026-06-01", None, "2026-05-31T22:00:00Z", True),
        ("2026-06-01", None, "2026-05-31T21:59:59Z", False),
        ("2026-06-01T12:00:00Z", "2026-06-01T12:30:00Z", "2026-06-01T12:30:00Z", True),
        ("2026-06-01T12:00:00Z", "2026-06-01T12:30:00Z", "2026-06-01T12:30:01Z", False),
    ],
)
def test_an_authorisation_holds_within_its_period(start: str, end: str | None, now: str, open_: bool) -> None:
    """Days are days of Europe/Paris, where the clock is two hours ahead in summer and one in winter."""
    authorised = record(consents=[authorisation(SPECIALIST, start=start, end=end)])
    assert sees(professional(SPECIALIST), document_reference(), authorised, now=moment(now)) is open_


def test_a_withdrawn_authorisation_counts_no_more() -> None:
    withdrawn = record(consents=[authorisation(SPECIALIST).inactive("2026-05-01")])
    assert not sees(professional(SPECIALIST), document_reference(), withdrawn)


def test_a_structure_may_be_authorised() -> None:
    authorised = record(consents=[authorisation(HOSPITAL)])
    assert sees(professional(SPECIALIST, organisation=HOSPITAL), document_reference(), authorised)
    assert not sees(professional(SPECIALIST, organisation=OTHER_HOSPITAL), document_reference(), authorised)
    assert not sees(professional(SPECIALIST), document_reference(), authorised)


def test_a_company_number_is_no_finess() -> None:
    """A SIREN has nine digits as a FINESS has; the structure is another one."""
    authorised = record(consents=[authorisation(HOSPITAL)])
    company = professional(SPECIALIST, organisation=HOSPITAL, organisation_system="https://sirene.fr")
    assert not sees(company, document_reference(), authorised)


def test_a_finess_may_be_told_as_id_nat_struct() -> None:
    authorised = record(consents=[authorisation(HOSPITAL)])
    same = professional(SPECIALIST, organisation=f"1{HOSPITAL}", organisation_system="urn:oid:1.2.250.1.71.4.2.2")
    assert sees(same, document_reference(), authorised)


def test_an_authorised_structure_does_not_read_by_its_system() -> None:
    """The authorisation of a structure is for its professionals; its publishing system reads its own deposits."""
    assert not sees(hospital(HOSPITAL), document_reference(), record(consents=[authorisation(HOSPITAL)]))


def test_of_the_consents_an_authorised_doctor_sees_those_that_name_him() -> None:
    mine, others = authorisation(SPECIALIST), authorisation(OTHER_DOCTOR)
    facts = record(consents=[mine, others])
    assert sees(professional(SPECIALIST), entry(mine.resource), facts)
    assert not sees(professional(SPECIALIST), entry(others.resource), facts)
    assert not sees(professional(SPECIALIST), resource("RelatedPerson"), facts)
    assert not sees(professional(SPECIALIST), entry(mine.resource), facts, Act.GOVERN)


def test_what_he_collects_goes_into_the_record_it_was_asked_for() -> None:
    facts = record()
    assert sees(professional(SPECIALIST), resource("Consent"), facts, Act.COLLECT)
    assert not sees(professional(SPECIALIST), resource("Consent", patient="demo-2"), facts, Act.COLLECT)
    assert not sees(professional(SPECIALIST), resource("Consent", patient=None), facts, Act.COLLECT)


@pytest.mark.parametrize("period", [{"end": "2026-02-01"}, {"start": "2026-07-01"}])
def test_an_express_consent_to_a_team_only_adds_to_the_deemed_one(period: JsonObject) -> None:
    """R-04: who was told of the team and did not oppose goes on being deemed to agree."""
    express = team_choice("permit")
    provision = express.resource["provision"]
    assert isinstance(provision, dict)
    bounded = Written({**express.resource, "provision": {**provision, "period": period}}, express.at)
    told, untold = care_team(SPECIALIST), care_team(SPECIALIST, informed=None)
    assert sees(professional(SPECIALIST), document_reference(), record(consents=[bounded], care_teams=[told]))
    assert not sees(professional(SPECIALIST), document_reference(), record(consents=[bounded], care_teams=[untold]))


def test_an_authorised_doctor_relabels_but_does_not_delete_what_others_deposited() -> None:
    facts = record(consents=[authorisation(SPECIALIST)])
    assert sees(professional(SPECIALIST), document_reference(), facts, Act.RELABEL)
    assert not sees(professional(SPECIALIST), document_reference(), facts, Act.DELETE_OWN)
    assert not sees(professional(SPECIALIST), document_reference(), facts, Act.CHANGE_OWN)
    assert not sees(professional(SPECIALIST), document_reference(), facts, Act.FEED)


def test_another_purpose_than_treatment_opens_nothing() -> None:
    facts = record(consents=[authorisation(SPECIALIST), medecin_traitant(SPECIALIST)])
    assert not sees(professional(SPECIALIST, purpose=Purpose.PATRQT), document_reference(), facts)


# Médecin traitant


def test_the_medecin_traitant_consults_relabels_and_reads_every_trace() -> None:
    facts = record(consents=[medecin_traitant(SPECIALIST)])
    doctor = professional(SPECIALIST)
    assert sees(doctor, document_reference(), facts)
    assert sees(doctor, document_reference(), facts, Act.RELABEL)
    assert sees(doctor, resource("RelatedPerson"), facts)
    assert sees(doctor, entry(authorisation(OTHER_DOCTOR).resource), facts)
    assert sees(doctor, trace(agent=f"rpps|{OTHER_DOCTOR}"), facts)
    assert sees(doctor, resource("Consent"), facts, Act.GOVERN)


def test_the_medecin_traitant_deletes_own_deposits_only() -> None:
    facts = record(consents=[medecin_traitant(SPECIALIST)])
    assert sees(professional(SPECIALIST), document_reference(deposited_by=OWN), facts, Act.DELETE_OWN)
    assert not sees(professional(SPECIALIST), document_reference(), facts, Act.DELETE_OWN)


def test_only_a_doctor_is_medecin_traitant() -> None:
    facts = record(consents=[medecin_traitant(SPECIALIST)])
    assert not sees(nurse(SPECIALIST), document_reference(), facts)
    in_training = professional(
        SPECIALIST,
        profession_system="https://mos.esante.gouv.fr/NOS/TRE_G16-ProfessionFormation/FHIR/TRE-G16-ProfessionFormation",
    )
    assert not sees(in_training, document_reference(), facts)


def test_there_may_be_several_medecins_traitants() -> None:
    facts = record(consents=[medecin_traitant(SPECIALIST), medecin_traitant(OTHER_DOCTOR)])
    for rpps in (SPECIALIST, OTHER_DOCTOR):
        assert sees(professional(rpps), document_reference(security_label="MASQUE_PS", deposited_by="else"), facts)


def test_a_withdrawn_medecin_traitant_is_one_no_more() -> None:
    facts = record(consents=[medecin_traitant(SPECIALIST).inactive("2026-05-01")])
    assert not sees(professional(SPECIALIST), document_reference(), facts)


# Emergencies, access §7


@pytest.mark.parametrize("purpose", [Purpose.ETREAT, Purpose.BTG])
def test_an_emergency_opens_the_record_without_authorisation(purpose: Purpose) -> None:
    assert sees(emergency_doctor(purpose), document_reference(), record())
    assert sees(emergency_doctor(purpose), resource("Patient"), record())
    assert sees(emergency_doctor(purpose), resource("RelatedPerson"), record())


@pytest.mark.parametrize("purpose", [Purpose.ETREAT, Purpose.BTG])
def test_an_emergency_only_consults(purpose: Purpose) -> None:
    """The opposition covers feeding too, so there is none in this mode; consents are none of its business."""
    everything = record(consents=[authorisation(SPECIALIST), medecin_traitant(SPECIALIST)])
    own = document_reference(deposited_by=OWN)
    for act in (Act.FEED, Act.RELABEL, Act.CHANGE_OWN, Act.DELETE_OWN):
        assert not sees(emergency_doctor(purpose), own, everything, act), act
    assert not sees(emergency_doctor(purpose), resource("Consent"), everything)
    assert not sees(emergency_doctor(purpose), resource("CareTeam"), everything)
    assert not sees(emergency_doctor(purpose), resource("Consent"), everything, Act.GOVERN)


@pytest.mark.parametrize(("opposed", "other"), [("ETREAT", "BTG"), ("BTG", "ETREAT")])
def test_an_opposed_emergency_shows_nothing(opposed: str, other: str) -> None:
    """Not even what an authorisation would open: the purpose asked for is refused, not replaced by treatment."""
    facts = record(
        consents=[emergency_choice(opposed, "deny"), authorisation(SPECIALIST), medecin_traitant(SPECIALIST)]
    )
    own = document_reference(deposited_by=OWN)
    assert not sees(emergency_doctor(Purpose(opposed)), document_reference(), facts)
    assert not sees(emergency_doctor(Purpose(opposed)), own, facts)
    assert sees(emergency_doctor(Purpose(other)), document_reference(), facts)
    assert sees(professional(SPECIALIST), document_reference(), facts)


def test_an_opposition_withdrawn_opposes_no_more() -> None:
    facts = record(consents=[emergency_choice("BTG", "deny").inactive("2026-05-01")])
    assert sees(emergency_doctor(Purpose.BTG), document_reference(), facts)


def test_an_emergency_passes_a_block_and_not_an_opposition() -> None:
    """A block does not stop an emergency that is not opposed (R-11)."""
    blocked = record(consents=[block(SPECIALIST)])
    opposed = record(consents=[block(SPECIALIST), emergency_choice("BTG", "deny")])
    assert sees(emergency_doctor(Purpose.BTG), document_reference(), blocked)
    assert not sees(emergency_doctor(Purpose.BTG), document_reference(), opposed)


@pytest.mark.parametrize("purpose", [Purpose.ETREAT, Purpose.BTG])
def test_the_mask_holds_in_an_emergency_unless_the_patient_chose_otherwise(purpose: Purpose) -> None:
    masked = document_reference(security_label="MASQUE_PS")
    assert not sees(emergency_doctor(purpose), masked, record())
    assert not sees(emergency_doctor(purpose), masked, record(consents=[emergency_choice("MASKED", "deny")]))
    assert sees(emergency_doctor(purpose), masked, record(consents=[emergency_choice("MASKED", "permit")]))


def test_the_choice_for_masked_documents_is_for_emergencies_only() -> None:
    facts = record(consents=[emergency_choice("MASKED", "permit"), authorisation(SPECIALIST)])
    assert not sees(professional(SPECIALIST), document_reference(security_label="MASQUE_PS"), facts)


def test_even_the_medecin_traitant_has_the_mask_in_an_emergency() -> None:
    """In that mode he is an emergency and nothing else (R-47)."""
    facts = record(consents=[medecin_traitant(SPECIALIST)])
    assert not sees(emergency_doctor(), document_reference(security_label="MASQUE_PS"), facts)


def test_what_waits_for_an_annonce_is_no_obstacle_in_an_emergency() -> None:
    assert sees(emergency_doctor(), document_reference(security_label="INVISIBLE_PATIENT"), record())


def test_the_matrix_holds_in_an_emergency() -> None:
    administrative = document_reference(category="95", type="ATTEST-DROITS-AM")
    nurse_in_emergency = emergency_doctor(rpps=NURSE, profession="60", roles=nurse().roles)
    assert sees(nurse_in_emergency, document_reference(), record())
    assert not sees(nurse_in_emergency, administrative, record())


def test_nothing_lasting_comes_of_an_emergency() -> None:
    assert not sees(professional(SPECIALIST), document_reference(), record())


def test_only_professionals_have_emergencies() -> None:
    for who in (patient(STRANGER), hospital(), carer(), feeder(), support()):
        declared = requester(who.kind, who.key, "user/*.cruds", purpose=Purpose.BTG, organisation=who.organisation)
        assert not sees(declared, document_reference(), record())


# Own deposits: R1111-49, R-05, R-51


def test_the_depositor_reads_and_withdraws_what_he_deposited() -> None:
    own = document_reference(deposited_by=OWN)
    for act in (Act.CONSULT, Act.DELETE_OWN):
        assert sees(professional(SPECIALIST), own, record(), act), act
        assert not sees(professional(OTHER_DOCTOR), own, record(), act), act


def test_to_be_named_as_author_is_no_deposit() -> None:
    """Whoever writes a name into a body gives no right: only the token tells who deposited."""
    claimed = document_reference(author=SPECIALIST)
    for act in (Act.CONSULT, Act.DELETE_OWN, Act.FEED):
        assert not sees(professional(SPECIALIST), claimed, record(), act), act


def test_a_publisher_reads_the_deposits_of_its_structure() -> None:
    own = document_reference(deposited_by=f"finess|{HOSPITAL}", organisation=f"finess|{HOSPITAL}")
    of_a_doctor_there = document_reference(deposited_by=OWN, organisation=f"finess|{HOSPITAL}")
    for one in (own, of_a_doctor_there):
        assert sees(hospital(HOSPITAL), one, record())
        assert not sees(hospital(OTHER_HOSPITAL), one, record())
    assert not sees(hospital(HOSPITAL), document_reference(), record())


def test_a_company_number_is_nobody_elses_deposit() -> None:
    own = document_reference(deposited_by=f"finess|{HOSPITAL}", organisation=f"finess|{HOSPITAL}")
    named_by_sirene = requester(
        Kind.ORGANISATION,
        f"https://sirene.fr|{HOSPITAL}",
        "system/*.cruds",
        organisation=HOSPITAL,
        organisation_system="https://sirene.fr",
    )
    assert not sees(named_by_sirene, own, record())


def test_an_own_deposit_of_another_record_stays_there() -> None:
    assert not sees(professional(SPECIALIST), document_reference(subject="demo-2", deposited_by=OWN), record())


# Feeding, R1111-47


@pytest.mark.parametrize("who", ["doctor", "nurse", "hospital", "feeder", "patient"])
def test_feeding_needs_no_authorisation(who: str) -> None:
    requester = EVERYBODY[who]
    organisation = f"finess|{requester.organisation}" if requester.organisation else None
    candidate = document_reference(deposited_by=requester.key, organisation=organisation)
    assert sees(requester, candidate, record(), Act.FEED)


@pytest.mark.parametrize("who", ["nobody", "carer", "support", "doctor-etreat", "doctor-btg", "representative"])
def test_these_do_not_feed(who: str) -> None:
    requester = EVERYBODY[who]
    assert not sees(requester, document_reference(deposited_by=requester.key), record(), Act.FEED)


def test_feeding_replaces_nobody_elses_deposit() -> None:
    assert not sees(professional(SPECIALIST), document_reference(), record(), Act.FEED)
    assert not sees(hospital(), document_reference(), record(), Act.FEED)


def test_feeding_goes_into_records_that_there_are() -> None:
    assert not sees(professional(SPECIALIST), document_reference(deposited_by=OWN), NO_RECORD, Act.FEED)
    no_record = document_reference(subject=None, deposited_by=OWN)
    assert not sees(professional(SPECIALIST), no_record, record(), Act.FEED)


def test_nobody_feeds_patients_or_consents() -> None:
    for type in ("Patient", "Consent", "RelatedPerson", "Practitioner", "AuditEvent", "Slot"):
        for who in ("doctor", "hospital", "feeder", "patient"):
            candidate = resource(type, deposited_by=EVERYBODY[who].key)
            assert not sees(EVERYBODY[who], candidate, record(), Act.FEED), (type, who)


def test_a_feeder_reads_nothing_not_even_its_own_deposits() -> None:
    own = document_reference(deposited_by=feeder().key, organisation=feeder().key)
    for act in (Act.CONSULT, Act.DELETE_OWN, Act.RELABEL, Act.CHANGE_OWN):
        assert not sees(feeder(), own, record(), act), act
    for type in ("Patient", "Consent", "AuditEvent", "Practitioner", "Binary"):
        assert not sees(feeder(), resource(type, deposited_by=feeder().key), record()), type


# Binaries without a record


def test_a_binary_that_waits_for_its_document_is_its_depositors_alone() -> None:
    own = binary(deposited_by=OWN)
    assert sees(professional(SPECIALIST), own, NO_RECORD)
    assert sees(professional(SPECIALIST), own, NO_RECORD, Act.FEED)
    assert sees(professional(SPECIALIST), own, NO_RECORD, Act.DELETE_OWN)
    for rpps in (OTHER_DOCTOR, NURSE):
        assert not sees(professional(rpps), own, NO_RECORD)
        assert not sees(professional(rpps), own, NO_RECORD, Act.FEED)


def test_a_token_for_one_patient_may_deposit_the_binary_first() -> None:
    """The document that will point to it is not there yet, so the record is not known."""
    for_helene = professional(SPECIALIST, person=HELENE)
    assert sees(for_helene, binary(deposited_by=OWN), NO_RECORD, Act.FEED)
    assert sees(for_helene, binary(deposited_by=OWN), NO_RECORD)
    assert not sees(for_helene, binary(), NO_RECORD)


def test_the_feeder_deposits_a_binary_and_does_not_read_it_back() -> None:
    deposit = {"by": feeder().key, "organisation": feeder().key}
    own = {**binary(deposited_by=feeder().key), "deposit": deposit}
    assert sees(feeder(), own, NO_RECORD, Act.FEED)
    assert not sees(feeder(), own, NO_RECORD)


def test_a_binary_is_read_through_its_owners_gate() -> None:
    facts = record(consents=[authorisation(SPECIALIST)])
    assert sees(professional(SPECIALIST), binary(owner=document_reference()), facts)
    assert not sees(professional(SPECIALIST), binary(owner=document_reference(security_label="MASQUE_PS")), facts)
    assert not sees(patient(), binary(owner=document_reference(security_label="INVISIBLE_PATIENT")), facts)
    assert not sees(nurse(SPECIALIST), binary(owner=document_reference(category="95")), facts)
    assert not sees(professional(OTHER_DOCTOR), binary(owner=document_reference(), deposited_by=OWN), facts)


# Directory


@pytest.mark.parametrize("type", ["Practitioner", "Organization", "ValueSet", "StructureDefinition"])
@pytest.mark.parametrize("who", ["patient", "representative", "doctor", "nurse", "doctor-btg", "hospital"])
def test_the_directory_is_open(type: str, who: str) -> None:
    assert sees(EVERYBODY[who], resource(type, patient=None), NO_RECORD)


@pytest.mark.parametrize("type", ["Practitioner", "Organization"])
@pytest.mark.parametrize("who", ["nobody", "feeder", "support"])
def test_the_directory_is_closed_to_these(type: str, who: str) -> None:
    assert not sees(EVERYBODY[who], resource(type, patient=None), NO_RECORD)


def test_nobody_writes_the_directory() -> None:
    for who in ("patient", "doctor", "hospital", "feeder", "support"):
        own = resource("Practitioner", patient=None, deposited_by=EVERYBODY[who].key)
        for act in (Act.FEED, Act.CHANGE_OWN, Act.DELETE_OWN):
            assert not sees(EVERYBODY[who], own, NO_RECORD, act), (who, act)


# What belongs to no record, and other types


@pytest.mark.parametrize("type", ["Slot", "PaymentNotice", "Evidence", "Linkage", "Parameters"])
def test_other_types_are_closed_to_all_but_conformance(type: str) -> None:
    facts = record(consents=[authorisation(SPECIALIST), medecin_traitant(SPECIALIST)])
    for name, who in EVERYBODY.items():
        for act in Act:
            own = resource(type, deposited_by=who.key)
            expected = name == "conformance" and act in (Act.CONSULT, Act.FEED, Act.CHANGE_OWN, Act.DELETE_OWN)
            assert sees(who, own, facts, act) is expected, (name, act)


def test_contents_without_a_record_are_closed() -> None:
    facts = record(consents=[authorisation(SPECIALIST)])
    for who in (patient(), professional(SPECIALIST), emergency_doctor()):
        assert not sees(who, resource("Observation", patient=None), facts)
        assert not sees(who, resource("Observation", patient=None), NO_RECORD)


# Traces


def test_a_professional_reads_the_traces_of_his_own_acts() -> None:
    assert sees(professional(SPECIALIST), trace(), record())
    assert not sees(professional(OTHER_DOCTOR), trace(), record())
    authorised = record(consents=[authorisation(OTHER_DOCTOR)])
    assert not sees(professional(OTHER_DOCTOR), trace(), authorised)


def test_own_traces_stay_readable_whatever_became_of_the_record() -> None:
    for facts in (record(consents=[block(SPECIALIST)]), record(active=False), NO_RECORD):
        assert sees(professional(SPECIALIST), trace(), facts)


def test_a_publisher_reads_the_traces_of_its_own_acts() -> None:
    assert sees(hospital(HOSPITAL), trace(agent=f"finess|{HOSPITAL}"), record())
    assert not sees(hospital(OTHER_HOSPITAL), trace(agent=f"finess|{HOSPITAL}"), record())


def test_support_reads_traces_and_nothing_else() -> None:
    assert sees(support(), trace(), record())
    for type in ("DocumentReference", "Patient", "Consent", "Practitioner", "Observation"):
        for act in Act:
            assert not sees(support(), resource(type), record(), act), (type, act)


def test_the_feeder_reads_no_trace() -> None:
    assert not sees(feeder(), trace(agent=feeder().key), record())


@pytest.mark.parametrize("act", [act for act in Act if act not in (Act.TRACE, Act.ACCESS_LIST, Act.EXPLAIN)])
def test_nobody_consults_or_writes_traces(act: Act) -> None:
    facts = record(consents=[medecin_traitant(SPECIALIST)])
    for name, who in EVERYBODY.items():
        assert not sees(who, trace(agent=who.key), facts, act), name


# Conformance clients


def test_a_conformance_client_does_everything_in_trials_and_nothing_in_care() -> None:
    facts = record(active=False)
    for type in ("DocumentReference", "Patient", "Practitioner", "Slot", "Binary"):
        for act in (Act.CONSULT, Act.FEED, Act.CHANGE_OWN, Act.DELETE_OWN):
            if type == "Patient" or act is not Act.GOVERN:
                assert sees(conformance(), resource(type), facts, act), (type, act)
                assert not sees(conformance(), resource(type, realm=Realm.REEL), facts, act), (type, act)


def test_a_conformance_client_of_the_realm_of_care_would_see_nothing() -> None:
    assert not sees(conformance(realm=Realm.REEL), resource("Patient", realm=Realm.REEL), record())


def test_now_is_a_fact_and_the_end_of_time_is_no_exception() -> None:
    facts = record(consents=[authorisation(SPECIALIST)])
    assert sees(professional(SPECIALIST), document_reference(), facts, now=NOW)
    assert not sees(professional(SPECIALIST), document_reference(), facts, now=MAX)

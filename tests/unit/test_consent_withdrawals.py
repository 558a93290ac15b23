"""What is withdrawn, whatever the grounds: blocks, masks, what waits for an annonce, the secret of a minor."""

from __future__ import annotations

import pytest

from fhir_server.consent.circumstances import Act
from fhir_server.consent.rules import OF_ONE_RECORD
from fhir_server.consent.rules.care_history import ASSURANCE_MALADIE
from fhir_server.fhir.json import Json
from fhir_server.identity.requester import Kind, Requester
from fhir_server.record.consents import Policy
from fhir_server.record.facts import Facts
from fhir_server.search.predicate import Entry, Predicate
from tests.build import (
    HELENE,
    HOSPITAL,
    MINOR,
    OTHER_DOCTOR,
    OTHER_HOSPITAL,
    SPECIALIST,
    STRANGER,
    authorisation,
    binary,
    block,
    choice,
    conformance,
    decision,
    document_reference,
    emergency_doctor,
    entry,
    hospital,
    medecin_traitant,
    minors_record,
    patient,
    professional,
    record,
    related_person,
    representative,
    requester,
    resource,
    sees,
    support,
    trace,
)

OWN = f"rpps|{SPECIALIST}"


# Block


def blocked(**told: object) -> Facts:
    everything = [authorisation(SPECIALIST), authorisation(HOSPITAL), medecin_traitant(SPECIALIST), block(SPECIALIST)]
    return record(**{"consents": everything, **told})  # type: ignore[arg-type]


def test_a_blocked_professional_sees_nothing_of_the_record() -> None:
    for type in ("DocumentReference", "Observation", "Patient", "Consent", "RelatedPerson", "CareTeam"):
        assert not sees(professional(SPECIALIST), resource(type), blocked()), type
        assert not sees(professional(SPECIALIST, organisation=HOSPITAL), resource(type), blocked()), type


def test_not_even_his_own_deposits() -> None:
    own = document_reference(deposited_by=OWN)
    for act in (Act.CONSULT, Act.RELABEL, Act.CHANGE_OWN, Act.DELETE_OWN):
        assert not sees(professional(SPECIALIST), own, blocked(), act), act
    assert not sees(professional(SPECIALIST), binary(owner=own, deposited_by=OWN), blocked())


def test_nor_the_consent_that_blocks_him() -> None:
    for consent in (block(SPECIALIST), authorisation(SPECIALIST)):
        assert not sees(professional(SPECIALIST), entry(consent.resource), blocked())
        assert not sees(professional(SPECIALIST), entry(consent.resource), blocked(), Act.GOVERN)


def test_he_may_still_deposit() -> None:
    assert sees(professional(SPECIALIST), document_reference(deposited_by=OWN), blocked(), Act.FEED)


def test_the_block_hits_the_person_in_all_his_roles_and_sites() -> None:
    facts = record(consents=[block(SPECIALIST), authorisation(OTHER_HOSPITAL)])
    elsewhere = professional(SPECIALIST, profession="60", organisation=OTHER_HOSPITAL)
    assert not sees(elsewhere, document_reference(), facts)


def test_the_block_hits_nobody_else() -> None:
    facts = record(consents=[block(SPECIALIST), authorisation(OTHER_DOCTOR), authorisation(HOSPITAL)])
    assert sees(professional(OTHER_DOCTOR), document_reference(), facts)
    assert sees(professional("89900000009", organisation=HOSPITAL), document_reference(), facts)


def test_the_block_is_of_one_record() -> None:
    facts = record("demo-2", consents=[authorisation(SPECIALIST)])
    assert sees(professional(SPECIALIST), document_reference(subject="demo-2"), facts)


def test_a_block_does_not_stop_the_hospitals_own_deposits() -> None:
    key = f"finess|{HOSPITAL}"
    assert sees(hospital(), document_reference(deposited_by=key, organisation=key), blocked())


def test_lifting_a_block_does_not_revive_what_was_granted_before() -> None:
    """R-12: the old authorisation counts no more; the professional asks again."""
    lifted = block(SPECIALIST, written="2026-02-01").inactive("2026-03-01")
    before = [
        authorisation(SPECIALIST, written="2026-01-01"),
        authorisation(HOSPITAL, written="2026-01-01"),
        medecin_traitant(SPECIALIST, written="2026-01-01"),
    ]
    doctor = professional(SPECIALIST, organisation=HOSPITAL)
    assert not sees(doctor, document_reference(), record(consents=[*before, lifted]))
    during = authorisation(SPECIALIST, written="2026-02-15", id="during")
    assert not sees(doctor, document_reference(), record(consents=[*before, lifted, during]))
    at_once = authorisation(SPECIALIST, written="2026-03-01", id="at-once")
    assert not sees(doctor, document_reference(), record(consents=[*before, lifted, at_once]))


@pytest.mark.parametrize("grant", [authorisation, medecin_traitant])
def test_what_is_granted_after_the_lift_counts(grant) -> None:  # type: ignore[no-untyped-def] # noqa: ANN001
    lifted = block(SPECIALIST, written="2026-02-01").inactive("2026-03-01")
    after = grant(SPECIALIST, written="2026-03-02")
    assert sees(professional(SPECIALIST), document_reference(), record(consents=[lifted, after]))


def test_a_structure_authorised_after_the_lift_counts_and_others_of_it_never_lost_it() -> None:
    lifted = block(SPECIALIST, written="2026-02-01").inactive("2026-03-01")
    early, late = authorisation(HOSPITAL, written="2026-01-01"), authorisation(HOSPITAL, written="2026-03-02")
    of_it = professional(SPECIALIST, organisation=HOSPITAL)
    assert not sees(of_it, document_reference(), record(consents=[lifted, early]))
    assert sees(of_it, document_reference(), record(consents=[lifted, late]))
    colleague = professional(OTHER_DOCTOR, organisation=HOSPITAL)
    assert sees(colleague, document_reference(), record(consents=[lifted, early]))


def test_of_several_blocks_the_last_one_lifted_counts() -> None:
    first = block(SPECIALIST, id="first").inactive("2026-03-01")
    second = block(SPECIALIST, id="second").inactive("2026-04-01")
    between = authorisation(SPECIALIST, written="2026-03-15")
    for order in ([first, second, between], [second, first, between]):
        assert not sees(professional(SPECIALIST), document_reference(), record(consents=order))


def test_of_several_blocks_one_is_enough() -> None:
    lifted = block(SPECIALIST, id="lifted").inactive("2026-03-01")
    facts = record(consents=[lifted, block(SPECIALIST, id="held"), authorisation(SPECIALIST, written="2026-04-01")])
    assert not sees(professional(SPECIALIST), document_reference(), facts)


def test_after_the_lift_own_deposits_are_readable_again() -> None:
    facts = record(consents=[block(SPECIALIST).inactive("2026-03-01")])
    assert sees(professional(SPECIALIST), document_reference(deposited_by=OWN), facts)


# Mask, R1111-49

MASKS = ["MASQUE_PS", "MASQUE_PSOCIAL", "MASQUE_PT"]


@pytest.mark.parametrize("label", MASKS)
def test_a_masked_document_is_hidden_from_an_authorised_professional(label: str) -> None:
    facts = record(consents=[authorisation(SPECIALIST)])
    for act in (Act.CONSULT, Act.RELABEL):
        assert not sees(professional(SPECIALIST), document_reference(security_label=label), facts, act)


@pytest.mark.parametrize("label", MASKS)
def test_it_stays_visible_to_the_patient_his_representative_and_the_medecin_traitant(label: str) -> None:
    masked = document_reference(security_label=label)
    assert sees(patient(), masked, record())
    assert sees(professional(SPECIALIST), masked, record(consents=[medecin_traitant(SPECIALIST)]))
    of_the_minor = document_reference(subject="demo-3", security_label=label)
    assert sees(representative(), of_the_minor, minors_record())


def test_it_stays_visible_to_its_author() -> None:
    authorised = record(consents=[authorisation(SPECIALIST)])
    deposited = document_reference(security_label="MASQUE_PS", deposited_by=OWN)
    written = document_reference(security_label="MASQUE_PS", author=SPECIALIST)
    assert sees(professional(SPECIALIST), deposited, authorised)
    assert sees(professional(SPECIALIST), deposited, record())
    assert sees(professional(SPECIALIST), written, authorised)
    assert not sees(professional(SPECIALIST), written, record()), "no ground: he did not deposit it"
    of_somebody_else = document_reference(security_label="MASQUE_PS", author=OTHER_DOCTOR)
    assert not sees(professional(SPECIALIST), of_somebody_else, authorised)


def test_the_depositing_structure_reads_what_was_masked_later() -> None:
    key = f"finess|{HOSPITAL}"
    masked = document_reference(security_label="MASQUE_PS", deposited_by=key, organisation=key)
    assert sees(hospital(), masked, record())
    colleague = professional(SPECIALIST, organisation=HOSPITAL)
    assert sees(colleague, masked, record(consents=[authorisation(HOSPITAL)]))
    assert not sees(colleague, masked, record())
    elsewhere = professional(SPECIALIST, organisation=OTHER_HOSPITAL)
    assert not sees(elsewhere, masked, record(consents=[authorisation(OTHER_HOSPITAL)]))


def test_a_blocked_author_does_not_see_his_masked_document() -> None:
    assert not sees(
        professional(SPECIALIST), document_reference(security_label="MASQUE_PS", deposited_by=OWN), blocked()
    )


def test_a_mask_on_any_type_masks() -> None:
    facts = record(consents=[authorisation(SPECIALIST)])
    label = {"meta": {"security": [{"system": "https://somewhere.else", "code": "masque_ps"}]}}
    observation = entry(
        {"resourceType": "Observation", "id": "o", "subject": {"reference": "Patient/demo-1"}, **label}  # type: ignore[dict-item]
    )
    assert not sees(professional(SPECIALIST), observation, facts)
    assert sees(patient(), observation, facts)


def test_the_mask_hides_nothing_else() -> None:
    facts = record(consents=[authorisation(SPECIALIST)])
    for label in ("N", "R", "INVISIBLE_PATIENT", "INVISIBLE_REPRESENTANTS_LEGAUX"):
        assert sees(professional(SPECIALIST), document_reference(security_label=label), facts), label


def test_a_masked_document_may_be_deposited() -> None:
    own = document_reference(security_label="MASQUE_PS", deposited_by=OWN)
    assert sees(professional(SPECIALIST), own, record(), Act.FEED)


def test_conformance_clients_see_what_is_masked() -> None:
    assert sees(conformance(), document_reference(security_label="MASQUE_PS"), record())


# The care history, masked as a whole: R-28

REIMBURSEMENTS: tuple[Entry, ...] = (
    document_reference(category="60"),
    {**document_reference(), "kind": "REMB"},
    document_reference(organisation=ASSURANCE_MALADIE),
    {**resource("Observation"), "deposit": document_reference(organisation=ASSURANCE_MALADIE)["deposit"]},
)
HISTORY_MASKED = [choice(Policy.MASQUAGE_HISTORIQUE), authorisation(SPECIALIST)]


@pytest.mark.parametrize("one", REIMBURSEMENTS, ids=["class", "type", "depositor", "structured"])
def test_each_mark_of_the_care_history_is_enough_to_hide_it(one: Entry) -> None:
    facts = record(consents=HISTORY_MASKED)
    assert not sees(professional(SPECIALIST), one, facts)
    assert sees(professional(SPECIALIST), one, record(consents=HISTORY_MASKED[1:])), "not chosen, not hidden"
    assert sees(patient(), one, facts)
    assert sees(professional(SPECIALIST), one, record(consents=[*HISTORY_MASKED, medecin_traitant(SPECIALIST)]))
    assert sees(professional(SPECIALIST), document_reference(), facts), "nothing else is hidden"


def test_who_wrote_it_reads_it() -> None:
    facts = record(consents=HISTORY_MASKED)
    assert sees(professional(SPECIALIST), document_reference(category="60", deposited_by=OWN), facts)
    assert sees(professional(SPECIALIST), document_reference(category="60", author=SPECIALIST), facts)


# What waits for a consultation d'annonce: R-25


def test_what_waits_for_an_annonce_is_hidden_from_the_patient_side() -> None:
    waiting = document_reference(security_label="INVISIBLE_PATIENT")
    for act in (Act.CONSULT, Act.RELABEL, Act.DELETE_OWN, Act.CHANGE_OWN):
        assert not sees(patient(), waiting, record(), act), act
    of_the_minor = document_reference(subject="demo-3", security_label="INVISIBLE_PATIENT")
    assert not sees(representative(), of_the_minor, minors_record())


def test_it_is_visible_to_professionals() -> None:
    waiting = document_reference(security_label="INVISIBLE_PATIENT")
    assert sees(professional(SPECIALIST), waiting, record(consents=[authorisation(SPECIALIST)]))
    assert sees(professional(SPECIALIST), waiting, record(consents=[medecin_traitant(SPECIALIST)]))
    assert not sees(professional(SPECIALIST), waiting, record())


# The secret of a minor: R-26, L1111-5


@pytest.mark.parametrize("how", [{"security_label": "INVISIBLE_REPRESENTANTS_LEGAUX"}, {"secret": True}])
def test_the_secret_of_a_minor_is_hidden_from_his_representatives(how: dict[str, object]) -> None:
    secret = document_reference(subject="demo-3", **how)  # type: ignore[arg-type]
    facts = minors_record(consents=[authorisation(SPECIALIST, patient="demo-3")])
    assert not sees(representative(), secret, facts)
    assert sees(patient(MINOR), secret, facts)
    assert sees(professional(SPECIALIST), secret, facts)


# What only tells of something hidden: R-22


def telling(type: str, *targets: str, by: str = f"rpps|{OTHER_DOCTOR}") -> Entry:
    holder: Json = {"reference": "Patient/demo-1"}
    told: list[Json] = [{"reference": target} for target in targets]
    member = {"DocumentManifest": "content", "Provenance": "target"}.get(type, "entry")
    made: dict[str, Json] = {"resourceType": type, "id": "m", "subject": holder, member: told}
    return entry(made, deposited_by=by, record="demo-1")


@pytest.mark.parametrize("type", ["DocumentManifest", "Provenance"])
def test_what_only_tells_of_hidden_things_is_hidden(type: str) -> None:
    """With what is hidden taken out of it, it would still tell that there is something."""
    both = telling(type, "DocumentReference/d1", "DocumentReference/masked")
    for who, facts in (
        (professional(SPECIALIST), record(consents=[authorisation(SPECIALIST)])),
        (patient(), record()),
        (emergency_doctor(), record()),
    ):
        assert sees(who, both, facts, shown=["DocumentReference/d1"])
        assert not sees(who, both, facts, shown=["DocumentReference/d2"])
        assert not sees(who, both, facts)
        assert not sees(who, both, facts, Act.RELABEL)
        assert sees(who, telling(type), facts), "it tells of nothing of this server"
        assert sees(who, telling(type, "Patient/demo-1"), facts), "of the patient whoever sees his record may know"
    assert sees(conformance(), both, record())


def test_what_one_told_oneself_stays_visible() -> None:
    own = telling("DocumentManifest", "DocumentReference/masked", by=OWN)
    assert sees(professional(SPECIALIST), own, record())
    of_holder = telling("DocumentManifest", "DocumentReference/masked", by=f"ins|{HELENE}")
    assert sees(patient(HELENE), of_holder, record())
    facts = record(related_persons=[related_person(STRANGER)], birthDate="2015-01-01")
    assert not sees(representative(STRANGER, acting_for=HELENE), of_holder, facts), "nobody else of the patient's side"


def test_only_what_tells_and_does_nothing_else_is_withheld_so() -> None:
    facts = record(consents=[authorisation(SPECIALIST)])
    for type in ("List", "Observation", "Composition"):
        assert sees(professional(SPECIALIST), telling(type, "DocumentReference/masked"), facts)


# What belongs to several records needs each of them


def appointment(*patients: str, by: str = f"rpps|{OTHER_DOCTOR}") -> Entry:
    actors: list[Json] = [{"actor": {"reference": f"Patient/{id}"}} for id in patients]
    return entry({"resourceType": "Appointment", "id": "a", "participant": actors}, deposited_by=by)


def beside(who: Requester, *others: Facts, act: Act = Act.CONSULT) -> list[tuple[str, Predicate]]:
    """What the requester may do in each of the other records."""
    told = [
        (one.record or "", decision(who, facts=one, act=act, type="Appointment", rules=OF_ONE_RECORD)) for one in others
    ]
    return [(record, found.visible.predicate) for record, found in told]


def test_an_appointment_of_two_patients_needs_both() -> None:
    doctor, both = professional(SPECIALIST), appointment("demo-1", "demo-2")
    first, second = (
        record(id, ins=ins, consents=[authorisation(SPECIALIST, patient=id)])
        for id, ins in (("demo-1", HELENE), ("demo-2", STRANGER))
    )
    closed = record("demo-2", ins=STRANGER)
    assert sees(doctor, both, first, others=beside(doctor, second))
    assert sees(doctor, both, second, others=beside(doctor, first)), "found from either"
    assert not sees(doctor, both, first, others=beside(doctor, closed))
    assert not sees(doctor, both, closed, others=beside(doctor, first))
    assert not sees(doctor, both, first), "nothing was decided in the other record"
    assert not sees(doctor, appointment("demo-1", "demo-2", "demo-3"), first, others=beside(doctor, second))
    assert sees(doctor, appointment("demo-1"), first)
    assert sees(conformance(), both, first)


def test_a_patient_does_not_see_what_is_another_patients_too() -> None:
    holder, other = patient(HELENE), record("demo-2", ins=STRANGER)
    assert sees(holder, appointment("demo-1"), record())
    assert not sees(holder, appointment("demo-1", "demo-2"), record(), others=beside(holder, other))


def test_who_feeds_must_be_able_to_feed_every_record() -> None:
    doctor = professional(SPECIALIST)
    own, facts = appointment("demo-1", "demo-2", by=OWN), record()
    for other, able in ((record("demo-2", ins=STRANGER), True), (record("demo-2", ins=STRANGER, active=False), False)):
        assert sees(doctor, own, facts, Act.FEED, others=beside(doctor, other, act=Act.FEED)) is able


def test_a_block_in_one_record_hides_what_is_of_both() -> None:
    doctor = professional(SPECIALIST)
    facts = record(consents=[authorisation(SPECIALIST)])
    choices = [authorisation(SPECIALIST, patient="demo-2"), block(SPECIALIST, patient="demo-2")]
    other = record("demo-2", ins=STRANGER, consents=choices)
    both = appointment("demo-1", "demo-2", by=OWN)
    assert not sees(doctor, both, facts, others=beside(doctor, other))
    assert not sees(doctor, both, other, others=beside(doctor, facts))


# Traces of what is hidden


def test_a_trace_of_something_hidden_is_withheld_from_the_patient() -> None:
    waiting = trace(target="DocumentReference/d1")
    assert sees(patient(), waiting, record())
    assert not sees(patient(), waiting, record(), hidden=["DocumentReference/d1"])
    assert sees(patient(), trace(target="DocumentReference/d2"), record(), hidden=["DocumentReference/d1"])
    assert sees(patient(), trace(target=None), record(), hidden=["DocumentReference/d1"])


def test_professionals_and_support_read_it() -> None:
    waiting = trace(target="DocumentReference/d1", agent=f"rpps|{OTHER_DOCTOR}")
    facts = record(consents=[medecin_traitant(SPECIALIST)])
    assert sees(professional(SPECIALIST), waiting, facts, hidden=["DocumentReference/d1"])
    assert sees(professional(OTHER_DOCTOR), waiting, facts, hidden=["DocumentReference/d1"])
    assert sees(support(), waiting, facts, hidden=["DocumentReference/d1"])


def test_traces_of_a_secret_session_are_not_for_representatives() -> None:
    secret = trace(patient="demo-3", secret=True)
    assert not sees(representative(), secret, minors_record())
    assert sees(representative(), trace(patient="demo-3"), minors_record())
    assert sees(patient(MINOR), secret, minors_record())


def test_a_mask_does_not_withhold_traces_from_the_patient() -> None:
    assert sees(patient(), trace(target="DocumentReference/masked"), record())


def test_a_patient_with_another_kind_of_token_is_no_patient() -> None:
    """The kind decides, not the number: an organisation that carries the patient's INS is no holder."""
    odd = requester(Kind.ORGANISATION, f"ins|{HELENE}", "system/*.cruds", person=patient().person)
    assert not sees(odd, document_reference(), record())
    assert not sees(emergency_doctor(person=MINOR), document_reference(), record())

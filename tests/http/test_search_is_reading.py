"""Through the doors: what somebody finds is what he can read one by one, choice after choice of the patient.

Each example is a record of its own with a document of every kind, and everybody is asked again after each choice.
"""

from __future__ import annotations

from typing import Any, Final

from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_server.record.consents import Policy
from tests.build import Written, authorisation, block, choice, emergency_choice, medecin_traitant, naming
from tests.conformance.own_record import NUMBERS, OwnRecord, ids, own_record
from tests.served import Served

ASKING: Final = ("specialiste", "infirmier", "inconnu", "urgentiste", "samu", "patient", "representant", "hopital")
people = st.sampled_from([NUMBERS[name] for name in ("specialiste", "inconnu", "infirmier", "urgentiste")])
permits = st.one_of(
    st.builds(authorisation, people),
    st.builds(medecin_traitant, people),
    st.builds(naming, st.just(Policy.ADMINISTRATEUR), people),
    st.builds(emergency_choice, st.sampled_from(["MASKED", "BTG"]), st.just("permit")),
)
denies = st.one_of(
    st.builds(block, people),
    st.builds(emergency_choice, st.sampled_from(["ETREAT", "BTG"]), st.just("deny")),
    st.just(choice(Policy.MASQUAGE_HISTORIQUE)),
    st.just(choice(Policy.OPPOSITION)),
)


def furnished(served: Served) -> OwnRecord:
    """A record with a document of every label and of several depositors."""
    record = own_record(served)
    record.deposit()
    record.deposit("MASQUE_PS")
    record.deposit("INVISIBLE_PATIENT")
    record.deposit("INVISIBLE_REPRESENTANTS_LEGAUX")
    record.deposit("MASQUE_PS", by="inconnu")
    record.deposit(by="patient")
    return record


def shown(record: OwnRecord) -> dict[str, set[str]]:
    """By actor, the documents he finds; he reads each of them, and no other of the record."""
    everything = record.documents("conformance")
    told: dict[str, set[str]] = {}
    for actor in ASKING:
        client = record.as_(actor)
        search = client.get(f"/DocumentReference?patient={record.id}")
        assert search.status_code == 200, search.text
        told[actor] = ids(search.json())
        assert told[actor] == {id for id in everything if client.get(f"/DocumentReference/{id}").status_code == 200}
    return told


def write(record: OwnRecord, written: Written) -> None:
    """The patient writes this choice, if it does not contradict another and he has not opposed the record."""
    consent: dict[str, Any] = {name: told for name, told in written.resource.items() if name != "id"}
    about = {"reference": f"Patient/{record.id}"}
    answer = record.choose({**consent, "patient": about, "performer": [about]})
    assert answer.status_code in (201, 404, 409, 422), answer.text


@settings(max_examples=3)
@given(choices=st.lists(st.tuples(st.booleans(), permits, denies), min_size=1, max_size=3))
def test_what_is_found_is_what_is_read_a_deny_only_takes_away_and_a_permit_only_gives(
    served: Served, choices: list[tuple[bool, Written, Written]]
) -> None:
    record = furnished(served)
    before = shown(record)
    for taking, permit, deny in choices:
        write(record, deny if taking else permit)
        after = shown(record)
        for actor in ASKING:
            less, more = (after[actor], before[actor]) if taking else (before[actor], after[actor])
            assert less <= more, (actor, "denied" if taking else "permitted")
        before = after

"""What a professional writes down for the patient, and what the Assurance Maladie names (R-02, R-24, R-46)."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from fhir_server.identity.requester import Purpose
from fhir_server.identity.systems import G15
from fhir_server.record.labels import INVISIBLE_REPRESENTANTS_LEGAUX as SECRET
from tests.answers import refused
from tests.conformance import choices
from tests.conformance.own_record import OwnRecord, own_record
from tests.http.invoking import actor, called, parts, post, values
from tests.served import FHIR_JSON, Served, serving

RECUEILLI_PAR = "https://fhir.dmp-ens.example/StructureDefinition/recueilli-par"
INSURANCE = {"scope": "system/Consent.c system/DocumentReference.c"}


@pytest.fixture
def record(served: Served) -> OwnRecord:
    return own_record(served)


def authorize(record: OwnRecord) -> str:
    return f"/Patient/{record.id}/$authorize"


def test_a_professional_writes_down_the_consent_he_was_given(record: OwnRecord) -> None:
    letter = record.deposit()
    doctor = record.as_("inconnu")
    told = called(post(doctor, authorize(record), actor=actor("inconnu"), collected=True))
    assert told["performer"] == [{"reference": f"Patient/{record.id}"}]
    assert told["extension"] == [{"url": RECUEILLI_PAR, "valueIdentifier": actor("inconnu")}]
    assert record.sees("inconnu", letter)
    again = called(post(doctor, authorize(record), actor=actor("inconnu"), collected=True))
    assert (again["id"], again["meta"]["versionId"]) == (told["id"], "2")

    listed = record.as_("patient").get(f"/Consent?patient={record.id}").json()["entry"]
    assert [entry["resource"]["id"] for entry in listed] == [told["id"]], "the patient sees what was written for him"
    taken = called(post(record.as_("patient"), authorize(record), actor=actor("inconnu")))
    assert (taken["id"], "extension" in taken) == (told["id"], False)


def test_for_a_named_colleague(record: OwnRecord) -> None:
    letter = record.deposit()
    called(post(record.as_("inconnu"), authorize(record), actor=actor("infirmier"), collected=True))
    assert record.sees("infirmier", letter)
    assert not record.sees("inconnu", letter)


def test_for_a_named_colleague_nothing_of_others_is_renewed(record: OwnRecord) -> None:
    """What the patient wrote for the colleague stays as it is: who writes for him cannot even see it."""
    given = record.chosen(choices.authorisation(record, "infirmier"))
    told = called(post(record.as_("inconnu"), authorize(record), actor=actor("infirmier"), collected=True))
    assert told["id"] != given["id"]


@pytest.mark.parametrize("told", [{}, {"collected": False}])
def test_not_by_his_own_will(record: OwnRecord, told: dict[str, bool]) -> None:
    refused(post(record.as_("inconnu"), authorize(record), actor=actor("inconnu"), **told), 403, says="collected=true")


def test_no_structure_and_no_role_of_others(record: OwnRecord) -> None:
    client = record.as_("inconnu")
    refused(post(client, authorize(record), actor=actor("990000001"), collected=True), 403)
    for role in ("administrateur", "pharmacien-correspondant", "sage-femme-referente"):
        refused(post(client, authorize(record), actor=actor("inconnu"), role=role, collected=True), 403)
    other = post(client, authorize(record), actor=actor("infirmier"), role="medecin-traitant", collected=True)
    refused(other, 403)


def test_a_nurse_is_no_medecin_traitant(record: OwnRecord) -> None:
    nurse = record.as_("infirmier")
    told = post(nurse, authorize(record), actor=actor("infirmier"), role="medecin-traitant", collected=True)
    refused(told, 403)


def test_a_block_an_unknown_record_and_another_realm_are_one_refusal(record: OwnRecord) -> None:
    record.chosen(choices.block(record, "bloque"))
    himself = post(record.as_("bloque"), authorize(record), actor=actor("bloque"), collected=True)
    colleague = post(record.as_("inconnu"), authorize(record), actor=actor("bloque"), collected=True)
    by_blocked = post(record.as_("bloque"), authorize(record), actor=actor("inconnu"), collected=True)
    nobody = post(record.as_("inconnu"), "/Patient/nobody/$authorize", actor=actor("inconnu"), collected=True)
    assert {refused(one, 422, "business-rule")["diagnostics"] for one in (himself, colleague, by_blocked, nobody)} == {
        refused(nobody, 422)["diagnostics"]
    }


def test_not_in_an_emergency(record: OwnRecord) -> None:
    client = record.as_("urgentiste", purpose=Purpose.BTG, reason="Patient inconscient aux urgences.")
    refused(post(client, authorize(record), actor=actor("urgentiste"), collected=True), 403)


def test_a_professional_withdraws_his_own_and_no_others(record: OwnRecord) -> None:
    letter = record.deposit()
    for who in ("inconnu", "specialiste"):
        record.chosen(choices.authorisation(record, who))
    url = f"/Patient/{record.id}/$revoke"
    refused(post(record.as_("inconnu"), url, actor=actor("specialiste")), 403)
    told = called(post(record.as_("inconnu"), url, actor=actor("inconnu")))
    assert len(values(told, "consent")) == 1
    assert not record.sees("inconnu", letter)
    assert record.sees("specialiste", letter)
    assert called(post(record.as_("inconnu"), url, actor=actor("inconnu"))) == {"resourceType": "Parameters"}


def test_what_he_writes_by_rest_stays_refused(record: OwnRecord) -> None:
    refused(record.choose(choices.authorisation(record, "inconnu"), "inconnu"), 403)


# The médecin traitant's own declaration


def declared(client: httpx.Client, record: OwnRecord) -> dict[str, str]:
    told = post(client, authorize(record), actor=actor("inconnu"), role="medecin-traitant", collected=True)
    found: dict[str, str] = called(told)
    return found


def test_a_declaration_waits_for_the_patient(record: OwnRecord) -> None:
    masked = record.deposit("MASQUE_PS")
    told = declared(record.as_("inconnu"), record)
    assert told["status"] == "proposed"
    assert not record.sees("inconnu", masked)
    assert declared(record.as_("inconnu"), record)["meta"] == told["meta"], "said twice, it is written once"
    confirmed = called(post(record.as_("patient"), authorize(record), actor=actor("inconnu"), role="medecin-traitant"))
    assert (confirmed["id"], confirmed["status"]) == (told["id"], "active")
    assert record.sees("inconnu", masked)
    assert declared(record.as_("inconnu"), record)["status"] == "active"


def test_a_declaration_prolongs_nothing(record: OwnRecord) -> None:
    """Named until a day, he declares himself for longer: that waits too, and what holds stays as it is."""
    named = record.chosen(choices.medecin_traitant(record, "inconnu", period={"end": choices.day(3)}))
    told = post(
        record.as_("inconnu"),
        authorize(record),
        actor=actor("inconnu"),
        role="medecin-traitant",
        collected=True,
        end="2099-01-01",
    )
    assert called(told)["meta"] == named["meta"]


def test_the_patient_refuses_it(record: OwnRecord) -> None:
    told = declared(record.as_("inconnu"), record)
    answer = post(
        record.as_("patient"), f"/Patient/{record.id}/$revoke", actor=actor("inconnu"), role="medecin-traitant"
    )
    assert values(called(answer), "consent") == [{"reference": f"Consent/{told['id']}"}]
    assert record.as_("patient").get(f"/Consent/{told['id']}").json()["status"] == "rejected"


def test_he_takes_it_back(record: OwnRecord) -> None:
    told = declared(record.as_("inconnu"), record)
    url = f"/Patient/{record.id}/$revoke"
    answer = called(post(record.as_("inconnu"), url, actor=actor("inconnu"), role="medecin-traitant"))
    assert values(answer, "consent") == [{"reference": f"Consent/{told['id']}"}]
    assert record.as_("patient").get(f"/Consent/{told['id']}").json()["status"] == "inactive"


def test_what_was_collected_in_a_secret_session_is_not_told_to_the_representative(
    record: OwnRecord, served: Served
) -> None:
    secret = served.token("inconnu", extra={"extensions.dmp.audience_restriction": "INVISIBLE_REPRESENTANTS_LEGAUX"})
    with served.client(secret) as client:
        called(post(client, authorize(record), actor=actor("inconnu"), collected=True))
    url = f"/Patient/{record.id}/$access-list"
    minor, guardian = (parts(called(record.as_(who).get(url)), "entry") for who in ("patient", "representant"))
    assert {one["kind"] for one in minor} == {"autorisation", "representant"}
    assert {one["kind"] for one in guardian} == {"representant"}


@pytest.fixture(scope="module")
def immediate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server where a declaration counts at once."""
    folder = tmp_path_factory.mktemp("declared") / "data"
    with serving(folder, env={"FHIR_MT_DECLARATION": "immediate"}) as running:
        yield running


def test_where_the_setting_says_so_it_counts_at_once(immediate: Served) -> None:
    record = own_record(immediate)
    masked = record.deposit("MASQUE_PS")
    assert declared(record.as_("inconnu"), record)["status"] == "active"
    assert record.sees("inconnu", masked)


# The Assurance Maladie


def insurance(served: Served) -> httpx.Client:
    return served.client(served.token("assurance-maladie", extra=INSURANCE))


def test_the_assurance_maladie_names_the_medecin_traitant(record: OwnRecord, served: Served) -> None:
    masked = record.deposit("MASQUE_PS")
    with insurance(served) as client:
        told = called(post(client, authorize(record), actor=actor("inconnu"), role="medecin-traitant"))
        assert told["status"] == "active"
        again = called(post(client, authorize(record), actor=actor("inconnu"), role="medecin-traitant"))
        assert again["id"] == told["id"]
        refused(client.get(f"/Consent/{told['id']}"), 403)
    assert record.sees("inconnu", masked)


def test_it_does_not_bring_back_whom_the_patient_withdrew(record: OwnRecord, served: Served) -> None:
    masked = record.deposit("MASQUE_PS")
    with insurance(served) as client:
        told = called(post(client, authorize(record), actor=actor("inconnu"), role="medecin-traitant"))
        record.withdraw(told)
        again = called(post(client, authorize(record), actor=actor("inconnu"), role="medecin-traitant"))
    assert again["status"] == "proposed", "the patient decides"
    assert not record.sees("inconnu", masked)


def test_it_confirms_a_declaration(record: OwnRecord, served: Served) -> None:
    told = declared(record.as_("inconnu"), record)
    with insurance(served) as client:
        confirmed = called(post(client, authorize(record), actor=actor("inconnu"), role="medecin-traitant"))
    assert (confirmed["id"], confirmed["status"]) == (told["id"], "active")


def test_and_nothing_else(record: OwnRecord, served: Served) -> None:
    with insurance(served) as client:
        refused(post(client, authorize(record), actor=actor("inconnu")), 403)
        refused(post(client, authorize(record), actor=actor("inconnu"), role="administrateur"), 403)
        refused(post(client, f"/Patient/{record.id}/$revoke", actor=actor("inconnu")), 403)
    refused(
        post(record.as_("assurance-maladie"), authorize(record), actor=actor("inconnu"), role="medecin-traitant"), 403
    )


def asked_by_representative(record: OwnRecord) -> str:
    """What the representative is told of a doctor: why he sees documents or not, and what a revocation leaves him."""
    described = [
        {"name": "kind", "valueCode": "professional"},
        {"name": "rpps", "valueString": "89900000003"},
        {"name": "profession", "valueCoding": {"system": G15, "code": "10"}},
    ]
    asked = {
        "resourceType": "Parameters",
        "parameter": [{"name": "type", "valueCode": "DocumentReference"}, {"name": "requester", "part": described}],
    }
    client = record.as_("representant")
    explained = client.post(f"/Patient/{record.id}/$explain-access", json=asked, headers=FHIR_JSON)
    assert explained.status_code == 200, explained.text
    revoked = post(client, f"/Patient/{record.id}/$revoke", actor=actor("inconnu"))
    assert revoked.status_code == 200, revoked.text
    return explained.text + revoked.text


def test_nor_is_it_by_an_explanation_or_by_what_a_revocation_leaves(record: OwnRecord, served: Served) -> None:
    document, before = record.deposit(), asked_by_representative(record)
    with served.client(served.token("inconnu", extra={"extensions.dmp.audience_restriction": SECRET})) as doctor:
        called(post(doctor, authorize(record), actor=actor("inconnu"), collected=True))
        assert doctor.get(f"/DocumentReference/{document}").status_code == 200
    assert asked_by_representative(record) == before
    assert record.sees("inconnu", document), "and what he does not know of, he did not revoke"


def test_a_renewal_at_the_end_of_time_is_no_failure(record: OwnRecord) -> None:
    path, client = authorize(record), record.as_("patient")
    called(post(client, path, actor=actor("inconnu")))
    again = post(client, path, actor=actor("inconnu"), start="9999-06-01")
    assert again.status_code in (200, 422), again.text

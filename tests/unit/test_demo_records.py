"""The records of the demonstration are those outside tests count on, complete and dated before now."""

from __future__ import annotations

import re
from base64 import b64decode
from datetime import UTC, datetime, timedelta
from hashlib import sha1
from typing import Any, cast

import pytest
from fhir.resources.R4B import get_fhir_model_class

from fhir_server.cli.demo_records import DemoRecord, records
from fhir_server.cli.demo_records.pdf import pdf
from fhir_server.definitions import load as definitions
from fhir_server.fhir.date import interval, microseconds
from fhir_server.identity.actors import ACTORS, DEMO_PATIENTS
from fhir_server.record import facts as record_facts
from fhir_server.record.actors import INS_NIR_TEST, author_keys
from fhir_server.record.belonging import record_of
from fhir_server.record.consents import ConsentFact, Policy, read_consent
from fhir_server.record.labels import label_issues, labels_of
from fhir_server.terminology import Terminology
from fhir_server.validation.structure import Validator

NOW = datetime(2026, 11, 22, 12, 30, 15, 123456, tzinfo=UTC)
RECORDS = records(NOW)
YEAR = timedelta(days=365)
MOMENTS = ("date", "dateTime", "creation", "start", "recorded", "birthDate", "valueDate")

DOCUMENTS = {
    "demo-1-normal-1",
    "demo-1-normal-2",
    "demo-1-normal-3",
    "demo-1-normal-4",
    "demo-1-normal-5",
    "demo-1-masque",
    "demo-1-annonce",
    "demo-1-efface",
    "demo-2-normal-1",
    "demo-3-normal-1",
    "demo-3-secret",
    "demo-4-normal-1",
    "demo-5-normal-1",
}


def of(type: str) -> dict[str, DemoRecord]:
    return {cast("str", one.resource["id"]): one for one in RECORDS if one.resource["resourceType"] == type}


def body(type: str, id: str) -> dict[str, Any]:
    return cast("dict[str, Any]", of(type)[id].resource)


def every(value: Any) -> Any:
    """Every object of a tree."""
    if isinstance(value, dict):
        yield value
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from every(part)


def rpps(actor: str) -> str:
    return f"rpps|{ACTORS[actor].rpps}"


def facts(patient: str) -> list[ConsentFact]:
    found = []
    for one in of("Consent").values():
        if record_of("Consent", cast("str", one.resource["id"]), one.resource) == patient:
            fact = read_consent(one.resource, granted=microseconds(NOW), zone=UTC, duration=YEAR)
            assert isinstance(fact, ConsentFact), fact
            found.append(fact)
    return found


@pytest.mark.parametrize("one", RECORDS, ids=lambda one: f"{one.resource['resourceType']}-{one.resource['id']}")
def test_each_is_a_valid_resource(one: DemoRecord) -> None:
    get_fhir_model_class(cast("str", one.resource["resourceType"])).model_validate(one.resource)


def test_each_passes_the_validation_of_every_write() -> None:
    validator = Validator(definitions.load())
    assert validator.validate({"resourceType": "Patient", "gender": "autre"})
    for one in RECORDS:
        assert validator.validate(one.resource) == [], one.resource["id"]


def test_ids_are_those_of_the_contract() -> None:
    assert len({(one.resource["resourceType"], one.resource["id"]) for one in RECORDS}) == len(RECORDS)
    assert set(of("Patient")) == set(DEMO_PATIENTS)
    assert set(of("DocumentReference")) == DOCUMENTS
    assert set(of("Binary")) == {f"{id}-pdf" for id in DOCUMENTS}


def test_the_same_moment_gives_the_same_records() -> None:
    assert records(NOW) == RECORDS


def test_references_lead_to_records_or_contained_resources() -> None:
    known = {f"{one.resource['resourceType']}/{one.resource['id']}" for one in RECORDS}
    for one in RECORDS:
        contained = {f"#{part['id']}" for part in cast("list[Any]", one.resource.get("contained", []))}
        for each in every(one.resource):
            target = each.get("reference")
            if isinstance(target, str):
                assert target in known | contained, (one.resource["id"], target)


def test_nothing_happened_after_now() -> None:
    for one in RECORDS:
        for each in every(one.resource):
            for name in MOMENTS:
                told = each.get(name)
                if isinstance(told, str):
                    covered = interval(told)
                    assert covered is not None, (name, told)
                    assert covered.high <= microseconds(NOW), (one.resource["id"], name, told)


def test_every_code_of_our_lists_has_their_display() -> None:
    terminology = Terminology.load()
    for one in RECORDS:
        for each in every(one.resource):
            system, code, display = each.get("system"), each.get("code"), each.get("display")
            if isinstance(display, str) and terminology.known_system(system or ""):
                known = terminology.concept(system, code)
                if known is None:
                    assert system.startswith("http://terminology.hl7.org/"), (system, code)
                    continue
                assert display in (known.display, "primary care physician"), (system, code)
                assert known.ended is None


# People


@pytest.mark.parametrize("id", sorted(DEMO_PATIENTS))
def test_an_ins_comes_with_its_five_traits_and_agrees_with_them(id: str) -> None:
    patient = body("Patient", id)
    ins = patient["identifier"][0]
    assert (ins["system"], ins["value"], ins["use"]) == (INS_NIR_TEST, DEMO_PATIENTS[id], "official")
    sex, year, month = ins["value"][0], ins["value"][1:3], ins["value"][3:5]
    assert patient["gender"] == {"1": "male", "2": "female"}[sex]
    assert patient["birthDate"][2:7] == f"{year}-{month}"
    place = next(one for one in patient["extension"] if one["url"].endswith("/patient-birthPlace"))
    assert place["valueAddress"]["extension"][0]["valueCoding"]["code"] == ins["value"][5:10]
    name = patient["name"][0]
    assert name["use"] == "official"
    assert name["extension"][0]["valueString"].startswith(name["given"][0])
    assert name["family"]


def test_demo_3_is_a_minor_and_the_others_are_not() -> None:
    majority = f"{NOW.year - 18}-{NOW:%m-%d}"
    assert {id for id in DEMO_PATIENTS if body("Patient", id)["birthDate"] > majority} == {"demo-3"}


def test_demo_5_alone_is_closed_and_says_why() -> None:
    assert {id for id in DEMO_PATIENTS if not body("Patient", id)["active"]} == {"demo-5"}
    closures = {
        id for id in DEMO_PATIENTS for one in body("Patient", id)["extension"] if one["url"].endswith("/dmp-fermeture")
    }
    assert closures == {"demo-5"}


def test_every_professional_is_in_the_directory() -> None:
    for actor in ACTORS.values():
        if actor.rpps is not None:
            practitioner = body("Practitioner", actor.key)
            assert practitioner["identifier"][0]["value"] == actor.rpps
            assert practitioner["name"][0]["family"] in actor.name
            assert "qualification" not in practitioner, "so that a token may give him any profession (--claim)"
    assert body("Organization", "hopital")["identifier"][0]["value"] == "990000001"


def test_the_holder_of_demo_1_represents_demo_3() -> None:
    document = record_facts.new_record("demo-3", "essai")
    related = of("RelatedPerson")["demo-3-representant"].resource
    guardians = record_facts.with_guardian(document, "demo-3-representant", related, zone=UTC)["guardians"]
    assert record_of("RelatedPerson", "demo-3-representant", related) == "demo-3"
    assert [one["person"] for one in guardians.values()] == [f"ins|{DEMO_PATIENTS['demo-1']}"]


# Consents


def test_demo_1_decided_as_the_contract_says() -> None:
    told = {(fact.policy, fact.permit, fact.actor) for fact in facts("demo-1")}
    assert told == {
        (Policy.MEDECIN_TRAITANT, True, rpps("medecin-traitant")),
        (Policy.AUTORISATION, True, rpps("specialiste")),
        (Policy.AUTORISATION, True, rpps("infirmier")),
        (Policy.AUTORISATION, True, rpps("bloque")),
        (Policy.BLOCAGE, False, rpps("bloque")),
    }


def test_an_authorisation_holds_a_year_and_now() -> None:
    for fact in facts("demo-1"):
        assert fact.active
        assert fact.start <= microseconds(NOW) < fact.end
        if fact.policy is Policy.AUTORISATION:
            # The second that ends the period still belongs to it.
            assert fact.end - fact.start == (YEAR + timedelta(seconds=1)) // timedelta(microseconds=1)


def test_the_others_decided_as_the_contract_says() -> None:
    assert facts("demo-2") == []
    assert [(fact.policy, fact.actor) for fact in facts("demo-3")] == [
        (Policy.MEDECIN_TRAITANT, rpps("medecin-traitant"))
    ]
    assert {(fact.policy, fact.permit, fact.purpose) for fact in facts("demo-4")} == {
        (Policy.URGENCE, False, "ETREAT"),
        (Policy.URGENCE, False, "BTG"),
    }
    assert facts("demo-5") == []


def test_choices_are_deposited_by_who_made_them() -> None:
    for id, one in of("Consent").items():
        patient = record_of("Consent", id, one.resource)
        person = "demo-1" if patient == "demo-3" else patient
        assert one.deposit_by == f"ins|{DEMO_PATIENTS[cast('str', person)]}"


# Documents


@pytest.mark.parametrize("id", sorted(DOCUMENTS))
def test_a_fiche_is_complete_and_describes_its_pdf(id: str) -> None:
    """Cardinalities of pdsm-comprehensive-document-reference."""
    fiche, binary = body("DocumentReference", id), body("Binary", f"{id}-pdf")
    content = b64decode(binary["data"])
    attachment = fiche["content"][0]["attachment"]
    assert len(fiche["content"]) == 1
    assert (attachment["contentType"], attachment["language"]) == ("application/pdf", "fr-FR")
    assert attachment["url"] == f"Binary/{id}-pdf"
    assert attachment["size"] == len(content)
    assert b64decode(attachment["hash"]) == sha1(content, usedforsecurity=False).digest()
    assert attachment["title"]
    assert attachment["creation"]
    assert "data" not in attachment
    assert binary["contentType"] == "application/pdf"
    assert binary["securityContext"]["reference"] == f"DocumentReference/{id}"
    assert fiche["status"] == "current"
    assert fiche["masterIdentifier"]["value"].startswith("urn:uuid:")
    assert fiche["subject"]["reference"] == f"Patient/{id[:6]}"
    assert fiche["custodian"]["reference"].startswith("Organization/")
    assert fiche["author"] == [{"reference": "#auteur"}]
    context = fiche["context"]
    assert context["period"]["start"]
    assert context["sourcePatientInfo"]["reference"] == "#patient"
    patient = next(part for part in fiche["contained"] if part["id"] == "patient")
    assert patient["identifier"][0]["value"] == DEMO_PATIENTS[id[:6]]
    assert "docStatus" not in fiche


@pytest.mark.parametrize("id", sorted(DOCUMENTS))
def test_a_fiche_takes_its_codes_from_the_lists_of_the_dmp(id: str) -> None:
    terminology = Terminology.load()
    nos = "https://mos.esante.gouv.fr/NOS/"
    fiche = body("DocumentReference", id)
    bound = [
        ("JDV_J66-TypeCode-DMP", fiche["type"]["coding"][0]),
        ("JDV_J57-ClassCode-DMP", fiche["category"][0]["coding"][0]),
        ("JDV_J60-FormatCode-DMP", fiche["content"][0]["format"]),
        ("JDV_J61-HealthcareFacilityTypeCode-DMP", fiche["context"]["facilityType"]["coding"][0]),
        ("JDV_J62-PracticeSettingCode-DMP", fiche["context"]["practiceSetting"]["coding"][0]),
        *(("JDV_J58-ConfidentialityCode-DMP", label["coding"][0]) for label in fiche["securityLabel"]),
    ]
    for name, coding in bound:
        url = f"{nos}{name}/FHIR/{name.replace('_', '-', 1)}"
        assert terminology.member(url, coding["system"], coding["code"]), (name, coding)
    type, document_class = bound[0][1], bound[1][1]
    found = terminology.translate(
        nos + "ASS_X16-CorrespondanceType-Classe-DMP/FHIR/ASS-X16-CorrespondanceType-Classe-DMP",
        type["system"],
        type["code"],
    )
    assert found == (document_class["system"], document_class["code"])


def test_labels_are_those_of_the_contract() -> None:
    hidden = {}
    for id, one in of("DocumentReference").items():
        assert label_issues(one.resource, masked_and_invisible=False) == []
        hidden[id] = [label for label in labels_of(one.resource) if label != "N"]
    assert {id: labels for id, labels in hidden.items() if labels} == {
        "demo-1-masque": ["MASQUE_PS"],
        "demo-1-annonce": ["INVISIBLE_PATIENT"],
        "demo-3-secret": ["INVISIBLE_REPRESENTANTS_LEGAUX"],
    }


def test_authors_are_those_of_the_contract_and_deposited_themselves() -> None:
    found = of("DocumentReference")
    assert found["demo-1-masque"].deposit_by == rpps("specialiste2")
    assert found["demo-1-efface"].deposit_by == rpps("specialiste")
    for one in found.values():
        if one.deposit_organisation is None:
            assert one.deposit_by in author_keys(one.resource)
        else:
            assert one.deposit_by == one.deposit_organisation == "finess|990000001"


def test_who_is_not_authorised_wrote_nothing() -> None:
    """Else he would read his own deposit, and nobody could tell why."""
    strangers = {rpps(actor) for actor in ("inconnu", "bloque", "samu", "urgentiste")}
    for one in of("DocumentReference").values():
        assert not strangers & {one.deposit_by, *author_keys(one.resource)}


def test_types_are_varied() -> None:
    kinds = {one.resource["type"]["coding"][0]["code"] for one in of("DocumentReference").values()}  # type: ignore[index,call-overload]
    assert len(kinds) >= 7


# The PDF


def test_a_pdf_is_well_formed() -> None:
    """Every offset of the table leads to its object, the stream has its declared length, the text is there."""
    content = pdf("Titre (accentué)", ["Œdème \\ fini", ""])
    assert content.startswith(b"%PDF-1.4\n")
    assert content.endswith(b"%%EOF\n")
    start = int(content.rsplit(b"startxref\n", 1)[1].split(b"\n")[0])
    assert content[start : start + 4] == b"xref"
    offsets = [int(line[:10]) for line in content[start:].splitlines() if line.endswith(b" n ")]
    assert [content[offset:].split(b" ", 1)[0] for offset in offsets] == [b"%d" % n for n in range(1, len(offsets) + 1)]
    stream = re.search(rb"/Length (\d+) >>\nstream\n(.*)\nendstream", content, re.DOTALL)
    assert stream is not None
    assert int(stream[1]) == len(stream[2])
    assert r"(Titre \(accentué\))".encode("cp1252") in stream[2]
    assert r"(Œdème \\ fini)".encode("cp1252") in stream[2]


def test_the_same_lines_give_the_same_bytes() -> None:
    assert pdf("a", ["b"]) == pdf("a", ["b"])
    assert pdf("a", ["b"]) != pdf("a", ["c"])

"""What a resource tells of itself: its record, its authors, its labels, its category and kind."""

from __future__ import annotations

from typing import Any

import pytest

from fhir_server.definitions.load import load
from fhir_server.record.actors import actor_key, author_keys, identifier_key
from fhir_server.record.belonging import record_of, records_of, subject_identifier, subjects
from fhir_server.record.elements import DIRECTORY, ELEMENTS, GOVERN, SEVERAL, TYPES, WITHOUT_RECORD
from fhir_server.record.kind import category_of, kind_of
from fhir_server.record.labels import TRE_A07, label_issues, labels_of

BASE = "https://dmp.example/fhir"
RPPS, ID_NAT_PS = "https://rpps.esante.gouv.fr", "urn:oid:1.2.250.1.71.4.2.1"

# Which record


@pytest.mark.parametrize(
    ("type", "element"),
    [
        ("DocumentReference", "subject"),
        ("Observation", "subject"),
        ("Consent", "patient"),
        ("Immunization", "patient"),
        ("Coverage", "beneficiary"),
        ("EnrollmentRequest", "candidate"),
        ("ResearchSubject", "individual"),
    ],
)
def test_a_resource_belongs_to_the_patient_it_is_about(type: str, element: str) -> None:
    holder: Any = {"reference": "Patient/demo-1"}
    assert record_of(type, "1", {element: holder}) == "demo-1"
    assert record_of(type, "1", {"performer": holder}) is None


def test_a_patient_is_its_own_record() -> None:
    assert record_of("Patient", "demo-1", {"link": [{"other": {"reference": "Patient/2"}}]}) == "demo-1"


@pytest.mark.parametrize(
    ("reference", "record"),
    [
        ("Patient/demo-1", "demo-1"),
        ("Patient/demo-1/_history/3", "demo-1"),
        (f"{BASE}/Patient/demo-1", "demo-1"),
        ("https://elsewhere.example/fhir/Patient/demo-1", None),
        ("Group/demo-1", None),
        ("#p", None),
        ("urn:uuid:6b1e9c1e-7b0a-4a60-8e0a-0d6a3c1f0001", None),
        ("", None),
    ],
)
def test_only_a_patient_of_this_server_is_a_record(reference: str, record: str | None) -> None:
    assert record_of("Observation", "1", {"subject": {"reference": reference}}, BASE) == record


@pytest.mark.parametrize("about", [None, "Patient/1", [], {}, {"reference": 3}, {"identifier": {"value": "x"}}])
def test_a_resource_that_does_not_say_belongs_to_no_record(about: Any) -> None:
    assert record_of("Observation", "1", {"subject": about}) is None


@pytest.mark.parametrize("type", ["Binary", "Practitioner", "Bundle", "Slot", "AuditEvent", "Provenance"])
def test_a_type_without_a_line_belongs_to_no_record(type: str) -> None:
    about: Any = {"reference": "Patient/demo-1"}
    assert record_of(type, "1", {"subject": about, "patient": about}) is None


def test_every_line_is_a_reference_that_may_be_a_patient() -> None:
    definitions = load()
    for type, path in ELEMENTS.items():
        element = next(one for one in definitions.structures[type].elements if one.name == path.partition(".")[2])
        assert element.max == 1, path
        assert any(not use.targets or "Patient" in use.targets for use in element.types), path
    assert ELEMENTS.keys() >= GOVERN


def test_every_type_of_the_standard_is_in_one_table() -> None:
    tables = [ELEMENTS.keys(), SEVERAL.keys(), DIRECTORY, WITHOUT_RECORD, {"Patient", "AuditEvent", "Binary"}]
    assert sum(len(table) for table in tables) == len(TYPES)
    assert set(load().resource_types) == TYPES


@pytest.mark.parametrize(
    ("type", "told"),
    [
        ("Appointment", {"participant": [{"actor": {"reference": f"Patient/{id}"}} for id in ("a", "b", "a")]}),
        ("Group", {"member": [{"entity": {"reference": f"Patient/{id}"}} for id in ("a", "b")]}),
        ("Schedule", {"actor": [{"reference": one} for one in ("Patient/a", "Practitioner/p", "Patient/b")]}),
        ("Person", {"link": [{"target": {"reference": "Patient/a"}}, {"target": {"reference": f"{BASE}/Patient/b"}}]}),
        ("Account", {"subject": [{"reference": "Patient/a"}, {"reference": "Patient/b"}]}),
        ("Provenance", {"target": [{"reference": "Patient/a"}, {"reference": "Patient/b"}, {"reference": "List/l"}]}),
    ],
)
def test_a_resource_may_belong_to_several_records(type: str, told: Any) -> None:
    assert records_of(type, "1", told, BASE) == ["a", "b"]
    assert records_of(type, "1", {}, BASE) == []


def test_a_document_belongs_to_the_record_of_its_composition() -> None:
    composition: Any = {"resourceType": "Composition", "subject": {"reference": "Patient/a"}}
    other: Any = {"resource": {**composition, "subject": {"reference": "Patient/b"}}}
    entry: Any = [{"resource": composition}, other]
    assert records_of("Bundle", "1", {"type": "document", "entry": entry}) == ["a"]
    assert records_of("Bundle", "1", {"type": "collection", "entry": entry}) == []
    odds: list[Any] = [[], [{}], [{"resource": {**composition, "resourceType": "List"}}], None]
    for odd in odds:
        assert records_of("Bundle", "1", {"type": "document", "entry": odd}) == []


def test_a_subject_named_by_identifier_alone() -> None:
    named: Any = {"identifier": {"system": "urn:oid:1.2.250.1.213.1.4.10", "value": "1"}}
    assert [subject_identifier(one) for one in subjects("Observation", {"subject": named})] == [
        ("urn:oid:1.2.250.1.213.1.4.10", "1")
    ]
    odd: list[Any] = [{**named, "reference": "Patient/1"}, {"identifier": {"value": "1"}}, {"identifier": "x"}, {}]
    for about in odd:
        assert subject_identifier(about) is None
    assert subjects("Practitioner", {"subject": named}) == []
    assert subjects("Observation", {"subject": None}) == []


# Actors: one spelling


@pytest.mark.parametrize(
    ("system", "value", "key"),
    [
        (RPPS, "89900000002", "rpps|89900000002"),
        (ID_NAT_PS, "889900000002", "rpps|89900000002"),
        (ID_NAT_PS, "089900000002", f"{ID_NAT_PS}|089900000002"),
        (ID_NAT_PS, "8899000000", f"{ID_NAT_PS}|8899000000"),
        ("https://finess.esante.gouv.fr", "990000001", "finess|990000001"),
        ("urn:oid:1.2.250.1.71.4.2.2", "1990000001", "finess|990000001"),
        ("urn:oid:1.2.250.1.71.4.2.2", "318003502400041", "urn:oid:1.2.250.1.71.4.2.2|318003502400041"),
        ("https://sirene.fr", "990000001", "https://sirene.fr|990000001"),
        ("urn:oid:1.2.250.1.213.1.4.8", "1", "ins|1"),
        ("urn:oid:1.2.250.1.213.1.4.11", "1", "ins|1"),
        ("https://example.org", "1", "https://example.org|1"),
    ],
)
def test_an_actor_has_one_key(system: str, value: str, key: str) -> None:
    assert actor_key(system, value) == key
    assert identifier_key({"system": system, "value": value}) == key


@pytest.mark.parametrize("identifier", [None, {}, {"system": RPPS}, {"value": "1"}, {"system": 1, "value": "1"}, "x"])
def test_an_incomplete_identifier_is_nobody(identifier: Any) -> None:
    assert identifier_key(identifier) is None


def practitioner(value: str, id: str = "a", system: str = RPPS) -> dict[str, Any]:
    return {"resourceType": "Practitioner", "id": id, "identifier": [{"system": system, "value": value}]}


def authored(*contained: dict[str, Any], by: str = "#a", **told: Any) -> dict[str, Any]:
    return {"resourceType": "DocumentReference", "contained": list(contained), "author": [{"reference": by}], **told}


def test_the_contained_authors_are_the_authors() -> None:
    assert author_keys(authored(practitioner("89900000002"))) == ["rpps|89900000002"]
    assert author_keys(authored(practitioner("889900000002", system=ID_NAT_PS))) == ["rpps|89900000002"]
    role = {"resourceType": "PractitionerRole", "id": "r", "practitioner": {"reference": "#a"}}
    assert author_keys(authored(practitioner("89900000002"), role, by="#r")) == ["rpps|89900000002"]
    by_identifier = {**role, "practitioner": {"identifier": {"system": RPPS, "value": "89900000003"}}}
    assert author_keys(authored(by_identifier, by="#r")) == ["rpps|89900000003"]
    two = authored(practitioner("2", "b"), practitioner("1", "a"), author=[{"reference": "#b"}, {"reference": "#a"}])
    assert author_keys(two) == ["rpps|1", "rpps|2"]


def test_nobody_else_is() -> None:
    assert author_keys(authored(practitioner("1"), by="#other")) == []
    assert author_keys(authored(by="Practitioner/1")) == []
    assert author_keys(authored(practitioner("1"), author=[], custodian={"reference": "#a"})) == []
    assert author_keys(authored(practitioner("1"), author="#a")) == []
    assert author_keys({"author": [{"identifier": {"system": RPPS, "value": "1"}}]}) == []
    related = {"resourceType": "RelatedPerson", "id": "a", "identifier": [{"system": RPPS, "value": "1"}]}
    assert author_keys(authored(related)) == []
    loop = {"resourceType": "PractitionerRole", "id": "a", "practitioner": {"reference": "#a"}}
    assert author_keys(authored(loop)) == []


# Labels


def labelled(*codings: dict[str, Any], meta: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    resource: dict[str, Any] = {
        "resourceType": "DocumentReference",
        "securityLabel": [{"coding": [one]} for one in codings],
    }
    return resource if meta is None else {**resource, "meta": {"security": meta}}


@pytest.mark.parametrize(
    "resource",
    [
        labelled({"system": TRE_A07, "code": "MASQUE_PS"}),
        labelled({"system": "https://misspelt.example", "code": "masque_ps"}),
        labelled({"code": "Masque_PS"}),
        labelled(meta=[{"system": TRE_A07, "code": "MASQUE_PS"}]),
        {"resourceType": "Observation", "meta": {"security": [{"code": "MASQUE_PS"}]}},
        {"resourceType": "DocumentReference", "securityLabel": [{"coding": [{"code": "N"}, {"code": "MASQUE_PS"}]}]},
        {"resourceType": "DocumentReference", "securityLabel": [{"system": TRE_A07, "code": "MASQUE_PS"}]},
    ],
)
def test_a_label_counts_wherever_it_stands_and_however_it_is_spelt(resource: dict[str, Any]) -> None:
    assert "MASQUE_PS" in labels_of(resource)


@pytest.mark.parametrize(
    "odd",
    [
        {},
        {"meta": "x", "securityLabel": "x"},
        {"meta": {"security": "x"}, "securityLabel": [None, "x", {"coding": "x"}, {"coding": [None, {"code": 1}]}]},
        {"type": {"coding": [{"code": "MASQUE_PS"}]}},
    ],
)
def test_what_is_no_label(odd: dict[str, Any]) -> None:
    assert labels_of(odd) == []


def test_labels_are_sorted_and_each_is_there_once() -> None:
    both = labelled({"code": "R"}, {"code": "N"}, {"code": "n"}, meta=[{"code": "R"}])
    assert labels_of(both) == ["N", "R"]


def issues(resource: dict[str, Any], *, cumulated: bool = False) -> list[str]:
    found = label_issues(resource, masked_and_invisible=cumulated)
    return [expression for issue in found for expression in issue.expression]


def test_a_visibility_code_comes_from_its_own_system() -> None:
    good = {"system": TRE_A07, "code": "MASQUE_PS"}
    assert issues(labelled(good)) == []
    assert issues(labelled({"code": "MASQUE_PS"})) == ["DocumentReference.securityLabel[0].coding[0]"]
    assert issues(labelled(good, {"system": "https://x", "code": "INVISIBLE_PATIENT"}))[0] == (
        "DocumentReference.securityLabel[1].coding[0]"
    )
    assert issues(labelled(meta=[{"system": "https://x", "code": "masque_pt"}])) == [
        "DocumentReference.meta.security[0]"
    ]


def test_its_own_system_has_visibility_codes_alone() -> None:
    assert issues(labelled({"system": TRE_A07, "code": "MASQUE"})) == ["DocumentReference.securityLabel[0].coding[0]"]
    assert issues(labelled({"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "N"})) == []


def test_masked_and_invisible_together_need_the_setting() -> None:
    """R-27."""
    both = labelled({"system": TRE_A07, "code": "MASQUE_PS"}, meta=[{"system": TRE_A07, "code": "INVISIBLE_PATIENT"}])
    assert issues(both) == ["DocumentReference.securityLabel"]
    assert issues(both, cumulated=True) == []


# Category and kind

A03 = "https://mos.esante.gouv.fr/NOS/TRE_A03-ClasseDocument/FHIR/TRE-A03-ClasseDocument"


def of(*codings: dict[str, Any]) -> dict[str, Any]:
    return {
        "resourceType": "DocumentReference",
        "category": [{"coding": list(codings)}],
        "type": {"coding": list(codings)},
    }


def test_the_one_code_there_is() -> None:
    assert category_of(of({"system": A03, "code": "11"})) == "11"
    assert category_of(of({"system": "https://other", "code": "11"})) == "11"
    assert kind_of(of({"system": "http://loinc.org", "code": "11502-2"})) == "11502-2"
    assert kind_of(of({"code": "expPat_1"})) == "EXPPAT_1"


def test_the_known_system_wins() -> None:
    assert category_of(of({"system": A03, "code": "11"}, {"system": "https://other", "code": "99"})) == "11"
    assert (
        kind_of(of({"system": "http://loinc.org", "code": "11502-2"}, {"system": "https://x", "code": "y"}))
        == "11502-2"
    )


def test_codes_that_disagree_are_no_code() -> None:
    """What is unknown, the matrix reads restrictively; to take the first would let a client choose."""
    assert category_of(of({"system": A03, "code": "11"}, {"system": A03, "code": "95"})) is None
    assert kind_of(of({"system": "https://x", "code": "a"}, {"system": "https://y", "code": "b"})) is None
    several: Any = {
        "resourceType": "DocumentReference",
        "category": [{"coding": [{"code": "1"}]}, {"coding": [{"code": "2"}]}],
    }
    assert category_of(several) is None


@pytest.mark.parametrize("odd", [{}, {"category": "x", "type": "x"}, {"category": [None], "type": None}])
def test_what_has_no_code(odd: dict[str, Any]) -> None:
    assert category_of({"resourceType": "DocumentReference", **odd}) is None
    assert kind_of({"resourceType": "DocumentReference", **odd}) is None


def test_only_a_document_has_them() -> None:
    assert category_of({**of({"code": "laboratory"}), "resourceType": "Observation"}) is None
    assert kind_of({**of({"code": "11502-2"}), "resourceType": "Composition"}) is None

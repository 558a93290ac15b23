"""References: their form, the type they point to, and contained resources."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Told = list[tuple[str, str]]
Validate = Callable[[Any], Told]

PERSON: dict[str, Any] = {"resourceType": "Practitioner", "id": "p"}


def letter(**members: Any) -> dict[str, Any]:
    content: Any = [{"attachment": {"url": "Binary/1"}}]
    return {"resourceType": "DocumentReference", "status": "current", "content": content, **members}


@pytest.mark.parametrize(
    "reference",
    [
        {"reference": "Patient/1"},
        {"reference": "Patient/1/_history/2"},
        {"reference": "Group/a.b-c"},
        {"reference": "https://autre.example/fhir/Patient/1"},
        {"reference": "http://autre.example:8080/fhir/Device/1/_history/3"},
        {"reference": "https://autre.example/dossier/12"},
        {"reference": "https://autre.example/Dossier/12"},
        {"reference": "urn:uuid:c757873d-ec9a-4326-a141-556f43239520"},
        {"reference": "urn:oid:1.2.3"},
        {"reference": "Patient/1", "type": "Patient"},
        {"reference": "Patient/1", "type": "http://hl7.org/fhir/StructureDefinition/Patient"},
        {"type": "Patient", "identifier": {"system": "urn:oid:1.2.250.1.213.1.4.8", "value": "1"}},
        {"identifier": {"value": "1"}},
        {"display": "Mme Durand"},
        {"type": "urn:logical:model", "display": "x"},
    ],
)
def test_valid(errors: Validate, reference: Any) -> None:
    assert errors(letter(subject=reference)) == []


@pytest.mark.parametrize(
    ("reference", "told"),
    [
        ({"reference": "Organization/1"}, [("DocumentReference.subject.reference", "value")]),
        ({"reference": "https://x.example/fhir/Organization/1"}, [("DocumentReference.subject.reference", "value")]),
        ({"reference": "Patients/1"}, [("DocumentReference.subject.reference", "value")]),
        ({"reference": "patient/1"}, [("DocumentReference.subject.reference", "value")]),
        ({"reference": "Patient/"}, [("DocumentReference.subject.reference", "value")]),
        ({"reference": "Patient"}, [("DocumentReference.subject.reference", "value")]),
        ({"reference": "Patient/a b"}, [("DocumentReference.subject.reference", "value")]),
        ({"reference": "Patient/1\n"}, [("DocumentReference.subject.reference", "value")]),
        ({"reference": "../Patient/1"}, [("DocumentReference.subject.reference", "value")]),
        ({"reference": f"Patient/{'1' * 65}"}, [("DocumentReference.subject.reference", "value")]),
        ({"reference": "Patient?identifier=x"}, [("DocumentReference.subject.reference", "value")]),
        ({"reference": "#nobody"}, [("DocumentReference.subject.reference", "value")]),
        ({"reference": ""}, [("DocumentReference.subject.reference", "value")]),
        ({"reference": 1}, [("DocumentReference.subject.reference", "structure")]),
        ({"reference": "Patient/1", "type": "Group"}, [("DocumentReference.subject.type", "value")]),
        ({"type": "Organization", "display": "x"}, [("DocumentReference.subject.type", "value")]),
        ({}, [("DocumentReference.subject", "invariant")]),
        ("Patient/1", [("DocumentReference.subject", "structure")]),
    ],
)
def test_broken(errors: Validate, reference: Any, told: Told) -> None:
    assert errors(letter(subject=reference)) == told


def test_the_form_is_checked_where_any_type_may_be_the_target(errors: Validate) -> None:
    assert errors(letter(context={"related": [{"reference": "Basic/1"}]})) == []
    related = [{"reference": "Basic/1"}, {"reference": "Nothing/1"}]
    assert errors(letter(context={"related": related})) == [("DocumentReference.context.related[1].reference", "value")]


def test_a_conditional_reference_is_for_transactions(errors: Validate) -> None:
    entry = {
        "resource": letter(subject={"reference": "Patient?identifier=x"}),
        "request": {"method": "POST", "url": "x"},
    }
    assert errors({"resourceType": "Bundle", "type": "transaction", "entry": [entry]}) == []
    assert errors({"resourceType": "Bundle", "type": "batch", "entry": [entry]}) == [
        ("Bundle.entry[0].resource.subject.reference", "value")
    ]
    entry["resource"] = letter(subject={"reference": "Organization?identifier=x"})
    assert errors({"resourceType": "Bundle", "type": "transaction", "entry": [entry]}) == [
        ("Bundle.entry[0].resource.subject.reference", "value")
    ]


def test_a_fragment_points_into_the_container(errors: Validate, warnings: Validate) -> None:
    valid = letter(contained=[PERSON], author=[{"reference": "#p"}])
    assert errors(valid) == []
    assert warnings(valid) == []
    assert errors(letter(contained=[PERSON], custodian={"reference": "#p"}, author=[{"reference": "#p"}])) == [
        ("DocumentReference.custodian.reference", "value")
    ]


def test_contained_resources_may_refer_to_each_other_and_to_their_container(errors: Validate) -> None:
    role: Any = {"resourceType": "PractitionerRole", "id": "r", "practitioner": {"reference": "#p"}}
    assert errors(letter(contained=[role, PERSON], author=[{"reference": "#r"}])) == []
    back: Any = {
        "resourceType": "Provenance",
        "id": "v",
        "target": [{"reference": "#"}],
        "recorded": "2024-01-01T00:00:00Z",
    }
    assert errors(letter(contained=[{**back, "agent": [{"who": {"display": "x"}}]}])) == []


def test_each_entry_of_a_bundle_is_a_container_of_its_own(errors: Validate) -> None:
    entries: Any = [
        {"resource": letter(contained=[PERSON], author=[{"reference": "#p"}])},
        {"resource": letter(author=[{"reference": "#p"}])},
    ]
    assert errors({"resourceType": "Bundle", "type": "collection", "entry": entries}) == [
        ("Bundle.entry[1].resource.author[0].reference", "value")
    ]


@pytest.mark.parametrize(
    ("contained", "told"),
    [
        ([{"resourceType": "Practitioner"}], [("DocumentReference.contained[0].id", "required")]),
        ([PERSON, PERSON], [("DocumentReference.contained[1].id", "duplicate")]),
        ([{**PERSON, "contained": [PERSON]}], [("DocumentReference.contained[0].contained", "invariant")]),
        (
            [{**PERSON, "meta": {"security": [{"code": "R"}]}}],
            [("DocumentReference.contained[0].meta.security", "invariant")],
        ),
        ([{"resourceType": "Nobody", "id": "p"}], [("DocumentReference.contained[0].resourceType", "structure")]),
        ([{"id": "p"}], [("DocumentReference.contained[0].resourceType", "required")]),
        ([{**PERSON, "gender": "x"}], [("DocumentReference.contained[0].gender", "code-invalid")]),
        ([{**PERSON, "id": "#p"}], [("DocumentReference.contained[0].id", "value")]),
        ([{**PERSON, "id": ["p"]}], [("DocumentReference.contained[0].id", "structure")]),
        (["x"], [("DocumentReference.contained[0]", "structure")]),
        ([None], [("DocumentReference.contained[0]", "structure")]),
        ([], [("DocumentReference.contained", "structure")]),
        (PERSON, [("DocumentReference.contained", "structure")]),
    ],
)
def test_contained(errors: Validate, contained: Any, told: Told) -> None:
    assert errors(letter(contained=contained)) == told


def test_what_harms_nobody_is_a_warning(errors: Validate, warnings: Validate) -> None:
    """The published example of PDSm contains a dated resource that nothing refers to."""
    published = letter(contained=[{**PERSON, "meta": {"lastUpdated": "2025-04-28T18:19:26.335+02:00"}}])
    assert errors(published) == []
    assert sorted(warnings(published)) == [
        ("DocumentReference.contained[0]", "invariant"),
        ("DocumentReference.contained[0].meta.lastUpdated", "invariant"),
    ]


def test_a_canonical_may_be_a_fragment(errors: Validate) -> None:
    answers: Any = {
        "resourceType": "QuestionnaireResponse",
        "status": "completed",
        "questionnaire": "#q",
        "contained": [{"resourceType": "Questionnaire", "id": "q", "status": "active"}],
    }
    assert errors(answers) == []

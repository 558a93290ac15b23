"""Elements, cardinalities, choices, nulls, bindings, containers, and that nothing makes the validator fail."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.fhir.json import decode
from fhir_server.fhir.outcome import fails
from fhir_server.validation.finding import MOST_ISSUES
from fhir_server.validation.structure import Validator

Told = list[tuple[str, str]]
Validate = Callable[[Any], Told]

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
ABSENT = {"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}


def patient(**members: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", **members}


def letter(**members: Any) -> dict[str, Any]:
    return {
        "resourceType": "DocumentReference",
        "status": "current",
        "content": [{"attachment": {"contentType": "application/pdf", "url": "Binary/1"}}],
        **members,
    }


@pytest.mark.parametrize(
    ("resource", "told"),
    [
        # types and cardinalities
        (patient(birthDate=["1980"]), [("Patient.birthDate", "structure")]),
        (patient(birthDate=None), [("Patient.birthDate", "structure")]),
        (patient(name={"family": "Durand"}), [("Patient.name", "structure")]),
        (patient(name=["Durand"]), [("Patient.name[0]", "structure")]),
        (patient(name=[]), [("Patient.name", "structure")]),
        (patient(name=[None]), [("Patient.name[0]", "structure")]),
        (patient(name=[{"given": ["A", 1]}]), [("Patient.name[0].given[1]", "structure")]),
        (patient(active="true"), [("Patient.active", "structure")]),
        (patient(maritalStatus="M"), [("Patient.maritalStatus", "structure")]),
        (patient(name=[{}]), [("Patient.name[0]", "invariant")]),
        (patient(name=[{"id": "a"}]), [("Patient.name[0]", "invariant")]),
        (patient(birthDate=""), [("Patient.birthDate", "value")]),
        (patient(id="x" * 65), [("Patient.id", "value")]),
        (letter(content=None), [("DocumentReference.content", "structure")]),
        ({"resourceType": "DocumentReference", "status": "current"}, [("DocumentReference.content", "required")]),
        (letter(content=[{"format": {"code": "a"}}]), [("DocumentReference.content[0].attachment", "required")]),
        (
            letter(content=[{"attachment": {"contentType": "a/b", "size": -1}}]),
            [("DocumentReference.content[0].attachment.size", "value")],
        ),
        # unknown elements
        (patient(colour="red"), [("Patient.colour", "structure")]),
        (patient(_name=[{"id": "x"}]), [("Patient._name", "structure")]),
        (patient(name=[{"resourceType": "HumanName"}]), [("Patient.name[0].resourceType", "structure")]),
        (patient(fhir_comments=["x"]), [("Patient.fhir_comments", "structure")]),
        (patient(**{"$where": "1"}), [("Patient", "structure")]),
        (patient(**{"a.b": {"$gt": ""}}), [("Patient", "structure")]),
        (patient(name=[{"family": {"$ne": "x"}}]), [("Patient.name[0].family", "structure")]),
        # choices
        (patient(deceasedBoolean=True, deceasedDateTime="2024"), [("Patient.deceased", "structure")]),
        (patient(deceasedString="yes"), [("Patient.deceasedString", "structure")]),
        (patient(deceased=True), [("Patient.deceased", "structure")]),
        (patient(deceasedBoolean="true"), [("Patient.deceased", "structure")]),
        (
            patient(_deceasedBoolean={"extension": [ABSENT]}, deceasedDateTime="2024"),
            [("Patient.deceased", "structure")],
        ),
        (
            {"resourceType": "MedicationRequest", "status": "active", "intent": "order", "subject": {"display": "x"}},
            [("MedicationRequest.medication", "required")],
        ),
        # required bindings
        (patient(gender="homme"), [("Patient.gender", "code-invalid")]),
        (patient(gender=["male"]), [("Patient.gender", "structure")]),
        (patient(gender={"a": 1}), [("Patient.gender", "structure")]),
        (patient(gender=""), [("Patient.gender", "value")]),
        (letter(status="active"), [("DocumentReference.status", "code-invalid")]),
        (
            letter(relatesTo=[{"code": "x", "target": {"display": "y"}}]),
            [("DocumentReference.relatesTo[0].code", "code-invalid")],
        ),
        (
            {
                "resourceType": "AllergyIntolerance",
                "patient": {"reference": "Patient/1"},
                "clinicalStatus": {"coding": [{"system": "urn:x", "code": "active"}], "text": "actif"},
            },
            [("AllergyIntolerance.clinicalStatus", "code-invalid")],
        ),
        # extensions
        (patient(extension=[{"valueString": "x"}]), [("Patient.extension[0].url", "required")]),
        (patient(extension=[{"url": "urn:x"}]), [("Patient.extension[0]", "invariant")]),
        (
            patient(extension=[{"url": "urn:x", "valueString": "x", "extension": [ABSENT]}]),
            [("Patient.extension[0]", "invariant")],
        ),
        (
            patient(extension=[{"url": "urn:x", "valueString": "x", "valueCode": "y"}]),
            [("Patient.extension[0].value", "structure")],
        ),
        (patient(extension=[{"url": "urn:x", "valueNumber": 1}]), [("Patient.extension[0].valueNumber", "structure")]),
        (patient(extension=[{"url": "", "valueCode": "x"}]), [("Patient.extension[0].url", "value")]),
        (
            patient(extension=[{"url": "u", "extension": [{"url": "v"}]}]),
            [("Patient.extension[0].extension[0]", "invariant")],
        ),
        # what is said about primitives
        (patient(_birthDate={"id": "a"}), [("Patient.birthDate", "invariant")]),
        (patient(_birthDate={}), [("Patient.birthDate", "invariant")]),
        (patient(birthDate="1980", _birthDate={}), [("Patient.birthDate", "invariant")]),
        (patient(_birthDate=None), [("Patient.birthDate", "structure")]),
        (patient(_birthDate={"extension": []}), [("Patient.birthDate.extension", "structure")]),
        (patient(_birthDate={"extension": [{"url": "u"}]}), [("Patient.birthDate.extension[0]", "invariant")]),
        (
            patient(_birthDate={"value": "x"}),
            [("Patient.birthDate.value", "structure")],
        ),
        (patient(_id={"extension": [ABSENT]}), [("Patient._id", "structure")]),
        (patient(name=[{"given": ["A", None]}]), [("Patient.name[0].given[1]", "structure")]),
        (patient(name=[{"given": [None], "_given": [None]}]), [("Patient.name[0].given[0]", "structure")]),
        (
            patient(name=[{"given": ["A"], "_given": [None, {"extension": [ABSENT]}]}]),
            [("Patient.name[0].given", "structure")],
        ),
        (patient(name=[{"_given": [None]}]), [("Patient.name[0].given[0]", "structure")]),
        (patient(name=[{"given": ["A"], "_given": [{}]}]), [("Patient.name[0].given[0]", "invariant")]),
        (patient(name=[{"_given": [{"id": "x"}]}]), [("Patient.name[0].given[0]", "invariant")]),
        (patient(name=[{"given": ["A"], "_given": {"id": "x"}}]), [("Patient.name[0].given", "structure")]),
        # the resource itself
        ({}, [("Resource.resourceType", "required")]),
        ({"resourceType": 1}, [("Resource.resourceType", "required")]),
        ({"resourceType": "Patients"}, [("Resource.resourceType", "structure")]),
        ({"resourceType": "DomainResource"}, [("Resource.resourceType", "structure")]),
        ({"resourceType": "HumanName", "family": "x"}, [("Resource.resourceType", "structure")]),
        ([], [("Resource", "structure")]),
        (None, [("Resource", "structure")]),
        ("Patient", [("Resource", "structure")]),
        # profiles of quantities, and invariants of one use
        (
            {
                "resourceType": "Observation",
                "status": "final",
                "code": {"text": "x"},
                "referenceRange": [{"low": {"value": 1, "comparator": "<"}}],
            },
            [("Observation.referenceRange[0].low.comparator", "invariant")],
        ),
        (
            {
                "resourceType": "Organization",
                "name": "x",
                "telecom": [{"system": "phone", "value": "1"}, {"use": "home", "system": "phone", "value": "2"}],
            },
            [("Organization.telecom[1]", "invariant")],
        ),
    ],
)
def test_broken(errors: Validate, resource: Any, told: Told) -> None:
    before = copy.deepcopy(resource)

    assert sorted(errors(resource)) == sorted(told)
    assert sorted(errors(resource)) == sorted(told), "a second time, nothing was kept from the first"
    assert resource == before


@pytest.mark.parametrize(
    "resource",
    [
        patient(),
        patient(active=False, multipleBirthInteger=2, deceasedDateTime="2024-05-01T10:00:00+02:00"),
        patient(_birthDate={"extension": [ABSENT]}),
        patient(birthDate="1980", _birthDate={"id": "a"}),
        patient(name=[{"given": ["A", None], "_given": [None, {"extension": [ABSENT]}]}]),
        patient(name=[{"given": ["A", "B"], "_given": [{"id": "a"}, None]}]),
        patient(name=[{"_given": [{"extension": [ABSENT]}]}]),
        patient(deceasedBoolean=True, _deceasedBoolean={"id": "d"}),
        patient(contact=[{"name": {"text": "x"}}]),
        letter(status="superseded", docStatus="final", securityLabel=[{"text": "x"}]),
        {
            "resourceType": "DocumentReference",
            "_status": {"extension": [ABSENT]},
            "content": [{"attachment": {"extension": [ABSENT]}}],
        },
        {
            "resourceType": "Observation",
            "status": "final",
            "code": {"text": "Poids"},
            "valueQuantity": {
                "value": Decimal("72.50"),
                "unit": "kg",
                "system": "http://unitsofmeasure.org",
                "code": "kg",
            },
        },
        {"resourceType": "Binary", "contentType": "application/pdf", "data": "JVBERi0="},
        {
            "resourceType": "Parameters",
            "parameter": [
                {"name": "a", "valueInteger": 1},
                {"name": "b", "resource": patient()},
                {"name": "c", "part": [{"name": "d", "valueCode": "x"}]},
            ],
        },
    ],
)
def test_valid(validator: Validator, resource: Any) -> None:
    assert validator.validate(resource) == []


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.json")), ids=lambda path: path.stem)
def test_the_examples_of_the_other_tests_are_valid(validator: Validator, path: Path) -> None:
    assert not fails(validator.validate(decode(path.read_bytes())))


def test_resources_in_bundles_and_parameters_are_validated(errors: Validate) -> None:
    bundle = {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [{"resource": patient(gender="male")}, {"resource": patient(gender="x")}, {"resource": {"a": 1}}],
    }
    assert errors(bundle) == [
        ("Bundle.entry[1].resource.gender", "code-invalid"),
        ("Bundle.entry[2].resource.resourceType", "required"),
    ]
    parameters = {"resourceType": "Parameters", "parameter": [{"name": "r", "resource": patient(name="x")}]}
    assert errors(parameters) == [("Parameters.parameter[0].resource.name", "structure")]


def test_all_defects_are_told_at_once(errors: Validate) -> None:
    broken = letter(status="x", subject={"reference": "Patient/a b"}, date="hier", language=3, foo=1)
    assert sorted(expression for expression, _ in errors(broken)) == [
        "DocumentReference.date",
        "DocumentReference.foo",
        "DocumentReference.language",
        "DocumentReference.status",
        "DocumentReference.subject.reference",
    ]


def test_diagnostics_name_the_codes_that_are_allowed(validator: Validator) -> None:
    (issue,) = validator.validate(letter(status="actif"))
    assert issue.diagnostics == "'actif' is not one of current, entered-in-error, superseded."


def test_a_long_list_of_defects_is_cut_and_says_so(validator: Validator) -> None:
    issues = validator.validate(patient(**{f"x{n}": 1 for n in range(5000)}))
    assert len(issues) == MOST_ISSUES + 1
    assert str(issues[-1].severity) == "information"
    assert "more issues" in issues[-1].diagnostics
    assert len(validator.validate(patient(**{f"x{n}": 1 for n in range(MOST_ISSUES)}))) == MOST_ISSUES


def test_warnings_do_not_push_an_error_out(validator: Validator) -> None:
    contained = [{"resourceType": "Patient", "id": f"p{n}", "meta": {"versionId": "1"}} for n in range(1000)]
    entries: Any = [{"resource": patient(contained=contained)}, {"resource": patient(gender="x")}]
    issues = validator.validate({"resourceType": "Bundle", "type": "collection", "entry": entries})
    assert fails(issues)
    assert issues[0].expression == ("Bundle.entry[1].resource.gender",)


@pytest.mark.parametrize(
    "members",
    [
        {"name": [{"x": ""}] * 100_000},
        {"name": [{"given": [""] * 100_000}]},
        {"name": [{"given": [None] * 100_000}]},
        {f"x{n}": 1 for n in range(100_000)},
    ],
)
def test_a_defect_in_every_byte_ends_the_search_early(validator: Validator, members: Any) -> None:
    started = time.process_time()
    assert len(validator.validate(patient(**members))) == MOST_ISSUES + 1
    assert time.process_time() - started < 0.2


def test_nesting_without_end_is_answered(validator: Validator) -> None:
    extension: Any = {"url": "u", "valueCode": "x"}
    for _ in range(5000):
        extension = {"url": "u", "extension": [extension]}
    (issue,) = validator.validate(patient(extension=[extension]))
    assert str(issue.code) == "too-costly"


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.decimals(),
    st.text(st.characters()),
    st.sampled_from(["#a", "male", "2024"]),
)
NAMES = """resourceType id extension url valueString _given given name contained meta text div status entry resource
type reference subject period start end low high coding system code value item linkId concept component valueQuantity
_birthDate"""
names = st.one_of(st.text(st.characters()), st.sampled_from(NAMES.split()))
trees = st.recursive(
    scalars,
    lambda below: st.one_of(st.lists(below, max_size=3), st.dictionaries(names, below, max_size=4)),
    max_leaves=25,
)
types = st.sampled_from(["Patient", "Bundle", "Observation", "Parameters", "Questionnaire", "Condition", "Appointment"])


@given(trees)
def test_any_json_is_answered(validator: Validator, tree: Any) -> None:
    assert validator.validate(tree)


@given(types, st.dictionaries(names, trees, max_size=5))
def test_any_members_of_a_resource_are_answered(validator: Validator, name: str, members: dict[str, Any]) -> None:
    issues = validator.validate({**members, "resourceType": name})
    assert all(issue.expression[0].startswith(name) for issue in issues if issue.expression)


@given(st.data())
def test_any_change_to_a_real_document_is_answered(validator: Validator, data: st.DataObject) -> None:
    """One value anywhere in a real resource replaced by anything: an answer, and the expression leads to the change."""
    document = decode((EXAMPLES / "DocumentReference-lettre.json").read_bytes())
    at: Any = document
    while isinstance(at, (dict, list)) and at:
        key = data.draw(st.sampled_from(sorted(at) if isinstance(at, dict) else range(len(at))))
        inner = at[key]
        if not isinstance(inner, (dict, list)) or not data.draw(st.booleans()):
            at[key] = data.draw(trees)
            break
        at = inner
    validator.validate(document)


ODD: list[Any] = [None, Decimal("1e400"), "", "\ud800", [], [[]], [None], {}, {"id": []}, {"": {}}]


def places(tree: Any) -> Iterator[tuple[Any, Any]]:
    """Every container of a tree with each of its keys."""
    keys = list(tree) if isinstance(tree, dict) else list(range(len(tree))) if isinstance(tree, list) else []
    for key in keys:
        yield tree, key
        yield from places(tree[key])


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.json")), ids=lambda path: path.stem)
def test_values_that_are_never_right_are_refused_at_every_place(validator: Validator, path: Path) -> None:
    resource: Any = decode(path.read_bytes())
    for container, key in list(places(resource)):
        kept = container[key]
        for odd in ODD:
            container[key] = odd
            told = validator.validate(resource)
            assert told, f"{key}={odd!r} was accepted"
        container[key] = kept

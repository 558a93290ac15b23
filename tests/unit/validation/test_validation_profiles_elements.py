"""How often an element is there, of which type, and which value it has."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.unit.validation.profiling import CORE, Said, checks, element, issues, profile, said


def patient(**members: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", **members}


def observation(**members: Any) -> dict[str, Any]:
    return {"resourceType": "Observation", "status": "final", "code": {"text": "x"}, **members}


MARITAL = "http://terminology.hl7.org/CodeSystem/v3-MaritalStatus"
MARRIED = {"coding": [{"system": MARITAL, "code": "M"}]}


@pytest.mark.parametrize(
    ("elements", "good", "bad", "where", "rule"),
    [
        # how often
        ([element("Patient.birthDate", min=1)], patient(birthDate="1980"), patient(), "birthDate", "min"),
        (
            [element("Patient.birthDate", min=1)],
            patient(_birthDate={"extension": [{"url": "urn:x", "valueCode": "unknown"}]}),
            patient(),
            "birthDate",
            "min",
        ),
        ([element("Patient.name", min=2)], patient(name=[{}, {}]), patient(name=[{}]), "name", "min"),
        ([element("Patient.name", max=1)], patient(name=[{}]), patient(name=[{}, {}]), "name", "max"),
        ([element("Patient.photo", max=0)], patient(), patient(photo=[{}]), "photo", "max"),
        ([element("Patient.active", max=0)], patient(), patient(_active={"id": "a"}), "active", "max"),
        ([element("Patient.deceased[x]", min=1)], patient(deceasedDateTime="2024"), patient(), "deceased", "min"),
        ([element("Patient.deceased[x]", max=0)], patient(), patient(deceasedBoolean=False), "deceased", "max"),
        (
            [element("Patient.name.family", min=1)],
            patient(name=[{"family": "A"}, {"family": "B"}]),
            patient(name=[{"family": "A"}, {"given": ["B"]}]),
            "name[1].family",
            "min",
        ),
        (
            [element("Patient.contact.name.given", min=1, max=2)],
            patient(contact=[{"gender": "male"}, {"name": {"given": ["A"]}}]),
            patient(contact=[{"name": {"given": ["A", "B", "C"]}}]),
            "contact[0].name.given",
            "max",
        ),
        (
            [element("Patient.birthDate.extension", min=1)],
            patient(birthDate="1980", _birthDate={"extension": [{"url": "urn:x", "valueCode": "y"}]}),
            patient(birthDate="1980"),
            "birthDate.extension",
            "min",
        ),
        (
            [element("Patient.birthDate.value", min=1)],
            patient(birthDate="1980"),
            patient(_birthDate={"extension": [{"url": "urn:x", "valueCode": "unknown"}]}),
            "birthDate",
            "min",
        ),
        # of which type
        (
            [element("Patient.deceased[x]", type=[{"code": "boolean"}])],
            patient(deceasedBoolean=True),
            patient(deceasedDateTime="2024"),
            "deceased",
            "type",
        ),
        (
            [element("Patient.contained", type=[{"code": "Organization"}])],
            patient(contained=[{"resourceType": "Organization"}]),
            patient(contained=[{"resourceType": "Organization"}, {"resourceType": "Patient"}]),
            "contained[1]",
            "type",
        ),
        # which value
        (
            [element("Patient.gender", fixedCode="male")],
            patient(gender="male"),
            patient(gender="other"),
            "gender",
            "fixed",
        ),
        (
            [element("Patient.active", fixedBoolean=True)],
            patient(active=True),
            patient(active=False),
            "active",
            "fixed",
        ),
        (
            [element("Patient.multipleBirth[x]", type=[{"code": "integer"}], fixedInteger=1)],
            patient(multipleBirthInteger=1),
            patient(multipleBirthInteger=2),
            "multipleBirth",
            "fixed",
        ),
        (
            [element("Patient.maritalStatus", fixedCodeableConcept=MARRIED)],
            patient(maritalStatus=MARRIED),
            patient(maritalStatus={**MARRIED, "text": "married"}),
            "maritalStatus",
            "fixed",
        ),
        (
            [element("Patient.maritalStatus", patternCodeableConcept=MARRIED)],
            patient(
                maritalStatus={
                    "coding": [{"code": "x"}, {"system": MARITAL, "code": "M", "display": "y"}],
                    "text": "married",
                }
            ),
            patient(maritalStatus={"coding": [{"system": MARITAL, "code": "S"}]}),
            "maritalStatus",
            "pattern",
        ),
        (
            [element("Patient.name", patternHumanName={"given": ["A", "B"]})],
            patient(name=[{"given": ["B", "C", "A"]}]),
            patient(name=[{"given": ["A"]}]),
            "name[0]",
            "pattern",
        ),
        # in which bounds
        (
            [element("Patient.birthDate", minValueDate="1900-01-01")],
            patient(birthDate="1900-01-01"),
            patient(birthDate="1899-12-31"),
            "birthDate",
            "range",
        ),
        (
            [element("Patient.birthDate", maxValueDate="2000-01-01")],
            patient(birthDate="2000"),
            patient(birthDate="2000-01-02"),
            "birthDate",
            "range",
        ),
        (
            [element("Patient.multipleBirth[x]", type=[{"code": "integer"}], maxValueInteger=9)],
            patient(multipleBirthInteger=9),
            patient(multipleBirthInteger=10),
            "multipleBirth",
            "range",
        ),
        (
            [element("Patient.name.family", maxLength=3)],
            patient(name=[{"family": "Éve"}]),
            patient(name=[{"family": "Adam"}]),
            "name[0].family",
            "length",
        ),
    ],
)
def test_an_element(
    elements: list[dict[str, Any]], good: dict[str, Any], bad: dict[str, Any], where: str, rule: str
) -> None:
    asked = profile("asked", "Patient", *elements)
    assert said(good, asked) == []
    assert said(bad, asked) == [Said(f"Patient.{where}", rule)]


def quantity(value: str, **members: Any) -> dict[str, Any]:
    return {"value": Decimal(value), "system": "http://unitsofmeasure.org", "code": "kg", **members}


def test_numbers_are_equal_by_value() -> None:
    asked = profile("asked", "Observation", element("Observation.value[x]", patternQuantity={"value": Decimal("1.10")}))
    assert said(observation(valueQuantity=quantity("1.1")), asked) == []
    assert said(observation(valueQuantity=quantity("1.2")), asked) == [Said("Observation.value", "pattern")]


def test_quantities_are_compared_in_the_same_unit_only() -> None:
    asked = profile(
        "asked",
        "Observation",
        element("Observation.value[x]", type=[{"code": "Quantity"}], minValueQuantity=quantity("2")),
    )
    assert said(observation(valueQuantity=quantity("2.0")), asked) == []
    assert said(observation(valueQuantity=quantity("1.9")), asked) == [Said("Observation.value", "range")]
    assert said(observation(valueQuantity=quantity("1.9", code="t")), asked) == []


def test_a_boolean_is_no_number() -> None:
    asked = profile("asked", "Patient", element("Patient.active", fixedBoolean=True))
    assert said(patient(active=1), asked) == [Said("Patient.active", "fixed")]


def test_a_profile_is_about_one_type() -> None:
    """Who sends something else need not read what it lacks."""
    asked = profile("asked", "Patient", element("Patient.birthDate", min=1))
    assert said(observation(), asked) == [Said("Observation", "type")]


def test_a_type_has_a_profile() -> None:
    whole = profile("whole", "HumanName", element("HumanName.family", min=1))
    asked = profile(
        "asked", "Patient", element("Patient.name", type=[{"code": "HumanName", "profile": [whole["url"]]}])
    )
    assert said(patient(name=[{"family": "A"}]), asked, whole) == []
    (told,) = issues(patient(name=[{"text": "A"}]), asked, whole)
    assert told.expression == ("Patient.name[0].family",)
    assert told.profile == f"{whole['url']}|1.0"


def test_one_of_several_profiles_is_enough() -> None:
    first = profile("first", "HumanName", element("HumanName.family", min=1))
    second = profile("second", "HumanName", element("HumanName.text", min=1))
    either = [{"code": "HumanName", "profile": [first["url"], second["url"]]}]
    asked = profile("asked", "Patient", element("Patient.name", type=either))
    known = (asked, first, second)
    assert said(patient(name=[{"text": "A"}, {"family": "A"}]), *known) == []
    assert said(patient(name=[{"given": ["A"]}]), *known) == [Said("Patient.name[0]", "profile")]


def test_the_profile_of_a_type_may_be_a_type() -> None:
    """https://hl7.org/fhir/R4/elementdefinition-definitions.html#ElementDefinition.type.profile"""
    one = {"code": "Resource", "profile": [f"{CORE}Device"]}
    asked = profile("asked", "Bundle", element("Bundle.entry.resource", type=[one]))
    held = [{"resource": {"resourceType": "Patient"}}, {"resource": {"resourceType": "Device"}}]
    bad = {"resourceType": "Bundle", "type": "collection", "entry": held}
    assert said(bad, asked) == [Said("Bundle.entry[0].resource", "type")]
    active = profile("active", "Patient", element("Patient.active", min=1))
    either = {"code": "Patient", "profile": [active["url"], f"{CORE}Patient"]}
    assert said(bad, profile("any", "Bundle", element("Bundle.entry.resource", type=[either])), active) == [
        Said("Bundle.entry[1].resource", "type")
    ]


def test_an_invariant_of_an_inner_resource_is_asked_by_the_outer_one() -> None:
    """``%resource`` is the resource whose profile asks; what is within the inner one is asked by that."""
    held = {"key": "held-1", "severity": "error", "human": "held"}
    outer = "%context is Practitioner and %resource is Patient and %rootResource is Patient"
    inner = "%context is HumanName and %resource is Practitioner and %rootResource is Patient"
    asked = profile(
        "asked",
        "Patient",
        element("Patient.contained", type=[{"code": "Practitioner"}], constraint=[{**held, "expression": outer}]),
        element("Patient.contained.name", constraint=[{**held, "key": "held-2", "expression": inner}]),
    )
    doctor = {"resourceType": "Practitioner", "id": "p", "name": [{"text": "Dr"}]}
    assert said(patient(contained=[doctor]), asked) == []
    points = "managingOrganization.resolve().exists()"
    bundle = profile(
        "bundle", "Bundle", element("Bundle.entry.resource", constraint=[{**held, "expression": f"{points} or id='o'"}])
    )
    one = {"resourceType": "Patient", "id": "1", "managingOrganization": {"reference": "Organization/o"}}
    entries = [
        {"fullUrl": "https://a.example/Patient/1", "resource": one},
        {"fullUrl": "https://a.example/Organization/o", "resource": {"resourceType": "Organization", "id": "o"}},
    ]
    assert said({"resourceType": "Bundle", "type": "collection", "entry": entries}, bundle) == []


def test_simple_quantity_is_a_profile_of_a_type() -> None:
    simple = [{"code": "Quantity", "profile": [f"{CORE}SimpleQuantity"]}]
    asked = profile("asked", "Observation", element("Observation.value[x]", type=simple))
    assert said(observation(valueQuantity=quantity("1")), asked) == []
    bad = observation(valueQuantity=quantity("1", comparator="<"))
    assert said(bad, asked) == [Said("Observation.value", "sqty-1"), Said("Observation.value.comparator", "max")]


def test_every_defect_is_told() -> None:
    asked = profile(
        "asked", "Patient", element("Patient.name.family", min=1), element("Patient.gender", min=1, fixedCode="male")
    )
    bad = patient(name=[{"text": "A"}, {"text": "B"}])
    assert [one.where for one in said(bad, asked)] == [
        "Patient.name[0].family",
        "Patient.name[1].family",
        "Patient.gender",
    ]


def test_what_two_profiles_ask_for_is_told_by_the_one_that_refines_the_other() -> None:
    general = profile("general", "Patient", element("Patient.birthDate", min=1))
    special = profile("special", "Patient", element("Patient.gender", min=1), base=general["url"])
    for known in ((general, special), (special, general)):
        told = issues(patient(), *known, by=2)
        assert {(one.rule, one.expression[0], one.profile) for one in told} == {
            ("min", "Patient.birthDate", f"{special['url']}|1.0"),
            ("min", "Patient.gender", f"{special['url']}|1.0"),
        }


def test_two_profiles_that_have_nothing_to_do_with_each_other_both_tell() -> None:
    first = profile("first", "Patient", element("Patient.gender", fixedCode="male"))
    second = profile("second", "Patient", element("Patient.gender", fixedCode="female"))
    assert len(issues(patient(gender="other"), first, second, by=2)) == 2


def test_what_a_profile_asks_of_an_element_is_not_asked_of_one_that_refers_to_it() -> None:
    """A ``contentReference`` is to the element as FHIR has it: items of items, parts of parameters are free."""
    ranges = profile("ranges", "Observation", element("Observation.referenceRange.text", min=1))
    within = [{"code": {"text": "x"}, "referenceRange": [{"text": "a"}, {"low": quantity("1")}]}]
    assert said(observation(component=within), ranges) == []
    items = profile("items", "Questionnaire", element("Questionnaire.item.text", min=1))
    item = {"linkId": "1", "type": "group", "text": "x"}
    nested = {"resourceType": "Questionnaire", "status": "draft", "item": [{**item, "item": [{"linkId": "2"}]}]}
    assert said(nested, items) == []
    below = profile("below", "Questionnaire", element("Questionnaire.item.item.text", min=1))
    assert said(nested, below) == [Said("Questionnaire.item[0].item[0].text", "min")]


def test_what_must_be_supported_is_recorded_and_not_asked() -> None:
    asked = profile("asked", "Patient", element("Patient.birthDate", mustSupport=True))
    assert checks(asked).check(asked["url"]).must_support == {"Patient.birthDate"}
    assert said(patient(), asked) == []


def test_a_profile_is_named_with_or_without_its_version() -> None:
    asked = profile("asked", "Patient", element("Patient.birthDate", min=1))
    engine = checks(asked)
    assert engine.check(asked["url"]) is engine.check(f"{asked['url']}|1.0")
    (told,) = engine.issues(patient(), [asked["url"], f"{asked['url']}|1.0"])
    assert told.diagnostics == "Patient.birthDate is missing; asked requires it."
    assert told.french == "Patient.birthDate est absent ; asked l'exige."


def test_an_unknown_profile_is_told_of() -> None:
    (told,) = checks().issues(patient(), ["https://example.org/none"])
    assert (told.severity, told.rule) == ("warning", "profile")
    assert "https://example.org/none" in told.diagnostics

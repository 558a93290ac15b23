"""Bindings by their strength, and invariants."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.validation.profiling import CORE, checks, element, issues, profile, said

CLASSES = "https://mos.esante.gouv.fr/NOS/JDV_J57-ClassCode-DMP/FHIR/JDV-J57-ClassCode-DMP"
SYSTEM = "https://mos.esante.gouv.fr/NOS/TRE_A03-ClasseDocument/FHIR/TRE-A03-ClasseDocument"
UNKNOWN = "https://example.org/fhir/ValueSet/none"
WIDEST = f"{CORE}elementdefinition-maxValueSet"


def letter(*codes: str, text: str = "", **members: Any) -> dict[str, Any]:
    category: dict[str, Any] = {"coding": [{"system": SYSTEM, "code": one} for one in codes]} if codes else {}
    if text:
        category["text"] = text
    return {"resourceType": "DocumentReference", "category": [category], **members}


def bound(strength: str, value_set: str = CLASSES, **members: Any) -> dict[str, Any]:
    binding = {"strength": strength, "valueSet": value_set, **members}
    return profile("bound", "DocumentReference", element("DocumentReference.category", binding=binding))


@pytest.mark.parametrize(
    ("strength", "severity"), [("required", "error"), ("extensible", "warning"), ("preferred", "information")]
)
def test_a_code_outside_is_as_grave_as_the_binding_is_strong(strength: str, severity: str) -> None:
    asked = bound(strength)
    assert issues(letter("10"), asked) == []
    assert issues(letter("none", "10"), asked) == []
    for bad in (letter("none"), letter(text="a letter")):
        (told,) = issues(bad, asked)
        assert (told.severity, told.code, told.rule) == (severity, "code-invalid", "binding")
        assert told.expression == ("DocumentReference.category[0]",)


def test_beneath_a_slice_the_value_set_of_the_profile_stands_for_the_one_of_fhir() -> None:
    """A new slice begins with what FHIR has, and every item is asked for what the profile has: one of both is meant."""
    asked = profile(
        "numbered",
        "Patient",
        element(
            "Patient.identifier",
            slicing={"discriminator": [{"type": "value", "path": "system"}], "rules": "open"},
        ),
        element("Patient.identifier.type", binding={"strength": "extensible", "valueSet": CLASSES}),
        element("Patient.identifier:own", min=0, max="1"),
        element("Patient.identifier:own.system", min=1, patternUri="urn:x"),
    )

    def patient(code: str) -> dict[str, Any]:
        of = {"coding": [{"system": SYSTEM, "code": code}]}
        return {"resourceType": "Patient", "identifier": [{"system": "urn:x", "type": of}]}

    assert issues(patient("10"), asked) == []
    (told,) = issues(patient("none"), asked)
    assert CLASSES in told.diagnostics


def test_the_value_set_of_a_slice_stands_for_the_one_of_fhir() -> None:
    asked = profile(
        "related",
        "Patient",
        element(
            "Patient.contact.relationship",
            slicing={"discriminator": [{"type": "value", "path": "coding.system"}], "rules": "open"},
        ),
        element(
            "Patient.contact.relationship:own", min=0, max="1", binding={"strength": "extensible", "valueSet": CLASSES}
        ),
        element("Patient.contact.relationship:own.coding.system", min=1, patternUri=SYSTEM),
    )

    def patient(code: str) -> dict[str, Any]:
        of = {"coding": [{"system": SYSTEM, "code": code}]}
        return {"resourceType": "Patient", "contact": [{"relationship": [of]}]}

    assert issues(patient("10"), asked) == []
    (told,) = issues(patient("none"), asked)
    assert CLASSES in told.diagnostics


def test_an_example_binds_nobody() -> None:
    assert issues(letter("none"), bound("example")) == []


@pytest.mark.parametrize("strength", ["required", "extensible", "preferred"])
def test_what_cannot_be_told_is_told_as_such(strength: str) -> None:
    (told,) = issues(letter("10"), bound(strength, UNKNOWN))
    assert (told.severity, told.rule) == ("information", "binding")
    assert UNKNOWN in told.diagnostics


def test_beyond_the_widest_value_set_is_nothing() -> None:
    asked = bound("preferred", UNKNOWN, extension=[{"url": WIDEST, "valueCanonical": CLASSES}])
    assert said(letter("10"), asked) == []
    assert [one.severity for one in said(letter("none"), asked)] == ["error"]


@pytest.mark.parametrize(
    ("type", "good", "bad"),
    [
        ("code", {"valueCode": "10"}, {"valueCode": "none"}),
        ("string", {"valueString": "10"}, {"valueString": "none"}),
        ("uri", {"valueUri": "10"}, {"valueUri": "none"}),
        (
            "Coding",
            {"valueCoding": {"system": SYSTEM, "code": "10"}},
            {"valueCoding": {"system": "urn:x", "code": "10"}},
        ),
        (
            "Quantity",
            {"valueQuantity": {"system": SYSTEM, "code": "10"}},
            {"valueQuantity": {"system": SYSTEM, "code": "none"}},
        ),
    ],
)
def test_whatever_has_a_code_is_bound(type: str, good: dict[str, Any], bad: dict[str, Any]) -> None:
    asked = profile(
        "asked",
        "Extension",
        element("Extension.url", fixedUri="https://example.org/fhir/StructureDefinition/asked"),
        element("Extension.value[x]", type=[{"code": type}], binding={"strength": "required", "valueSet": CLASSES}),
        context=[{"type": "element", "expression": "Element"}],
    )

    def patient(value: dict[str, Any]) -> dict[str, Any]:
        return {"resourceType": "Patient", "extension": [{"url": asked["url"], **value}]}

    assert said(patient(good), asked, by=0) == []
    assert [one.rule for one in said(patient(bad), asked, by=0)] == ["binding"]


def test_a_missing_value_is_in_no_value_set() -> None:
    """Why it is missing is told by an extension; whether it may be missing is a matter of cardinality."""
    asked = profile(
        "asked", "Patient", element("Patient.gender", binding={"strength": "required", "valueSet": CLASSES})
    )
    absent = {"url": f"{CORE}data-absent-reason", "valueCode": "unknown"}
    told = issues({"resourceType": "Patient", "_gender": {"extension": [absent]}}, asked)
    assert [one for one in told if one.expression == ("Patient.gender",)] == []


def invariant(key: str, expression: str, severity: str = "error", **members: Any) -> dict[str, Any]:
    return {"key": key, "severity": severity, "human": f"What {key} says.", "expression": expression, **members}


@pytest.mark.parametrize(
    ("path", "expression", "good", "bad", "where"),
    [
        ("Patient", "name.exists() or active", {"active": True}, {"gender": "male"}, "Patient"),
        (
            "Patient.name",
            "family.exists()",
            {"name": [{"family": "A"}]},
            {"name": [{}, {"text": "A"}]},
            "Patient.name[1]",
        ),
        (
            "Patient.birthDate",
            "$this <= @2000-01-01",
            {"birthDate": "1999"},
            {"birthDate": "2001"},
            "Patient.birthDate",
        ),
        (
            "Patient.contact",
            "relationship.exists() and %resource.active",
            {"active": True, "contact": [{"relationship": [{"text": "x"}]}]},
            {"active": False, "contact": [{"relationship": [{"text": "x"}]}]},
            "Patient.contact[0]",
        ),
        (
            "Patient.managingOrganization",
            "resolve().name.exists()",
            {
                "contained": [{"resourceType": "Organization", "id": "o", "name": "x"}],
                "managingOrganization": {"reference": "#o"},
            },
            {"contained": [{"resourceType": "Organization", "id": "o"}], "managingOrganization": {"reference": "#o"}},
            "Patient.managingOrganization",
        ),
    ],
)
def test_an_invariant_is_named_with_its_key_and_words(
    path: str, expression: str, good: dict[str, Any], bad: dict[str, Any], where: str
) -> None:
    asked = profile("asked", "Patient", element(path, constraint=[invariant("ex-1", expression)]))
    if path == "Patient":
        asked["differential"]["element"].pop(0)
    patient = {"resourceType": "Patient"}
    assert issues(patient | good, asked) == []
    told = [one for one in issues(patient | bad, asked) if one.expression == (where,)]
    assert [(one.severity, one.code, one.rule) for one in told] == [("error", "invariant", "ex-1")]
    assert told[0].diagnostics == f"ex-1: What ex-1 says ({path}, asked)."


def test_an_invariant_may_be_a_warning() -> None:
    asked = profile(
        "asked", "Patient", element("Patient.name", constraint=[invariant("ex-1", "family.exists()", "warning")])
    )
    assert [one.severity for one in said({"resourceType": "Patient", "name": [{"text": "A"}]}, asked)] == ["warning"]


def test_an_invariant_speaks_french_where_the_profile_does() -> None:
    parts = [{"url": "lang", "valueCode": "fr"}, {"url": "content", "valueMarkdown": "Le nom est requis."}]
    translation = {"extension": [{"url": f"{CORE}translation", "extension": parts}]}
    told = invariant("ex-1", "family.exists()", _human=translation)
    asked = profile("asked", "Patient", element("Patient.name", constraint=[told]))
    (issue,) = issues({"resourceType": "Patient", "name": [{"text": "A"}]}, asked)
    assert issue.french == "ex-1 : Le nom est requis (Patient.name, asked)."


def test_an_invariant_without_an_expression_is_for_people() -> None:
    told = {"key": "ex-1", "severity": "error", "human": "Only people can tell."}
    asked = profile("asked", "Patient", element("Patient.name", constraint=[told]))
    assert checks(asked).check(asked["url"]).unchecked == (("Patient.name", "ex-1"),)
    assert issues({"resourceType": "Patient", "name": [{"text": "A"}]}, asked) == []


def test_an_invariant_that_cannot_be_evaluated_is_told_with_the_reason() -> None:
    """``given`` repeats, and only one text has a length."""
    asked = profile("asked", "Patient", element("Patient.name", constraint=[invariant("ex-1", "given.length() > 1")]))
    (told,) = issues({"resourceType": "Patient", "name": [{"given": ["A", "B"]}]}, asked)
    assert told.rule == "ex-1"
    assert "could not be evaluated" in told.diagnostics


def test_what_fhir_asks_for_itself_is_not_asked_again() -> None:
    """Structural validation has seen to it: nothing is told twice."""
    asked = profile("asked", "Patient", element("Patient.contact", min=1))
    bad = {"resourceType": "Patient", "contact": [{}], "gender": "none", "link": [{}]}
    assert said(bad, asked) == []

"""Every expression of R4 compiles; each form finds what the standard says."""

from __future__ import annotations

import pytest

from fhir_server.definitions.load import load
from fhir_server.fhir.json import Json, JsonObject
from fhir_server.search.path import Outside, alternatives, compile_path

DEFINITIONS = load()


def found(expression: str, resource: JsonObject) -> list[tuple[Json, str]]:
    path = compile_path(expression, str(resource["resourceType"]), DEFINITIONS)
    assert path is not None
    return path.walk(resource)


def test_every_expression_of_every_type_compiles() -> None:
    """And each parameter finds something in each type it is defined for: none is compiled to nothing."""
    compiled = 0
    for type in DEFINITIONS.resource_types:
        for parameter in DEFINITIONS.search_parameters[type].values():
            if not parameter.expression or parameter.type == "composite":
                continue
            paths = [compile_path(text, type, DEFINITIONS) for text in alternatives(parameter.expression)]
            assert any(path is not None for path in paths), (type, parameter.url)
            compiled += 1
    assert compiled > 2000


OBSERVATION: JsonObject = {
    "resourceType": "Observation",
    "id": "o",
    "status": "final",
    "valueQuantity": {"value": 3},
    "subject": {"reference": "Patient/1"},
    "performer": [{"reference": "https://elsewhere.example/fhir/Practitioner/2/_history/1"}, {"type": "Patient"}],
    "component": [{"valueString": "a"}, {"valueQuantity": {"value": 4}}, {}],
    "note": [{"text": "x"}],
}
TELECOM: JsonObject = {
    "resourceType": "Patient",
    "telecom": [{"system": "phone", "value": "1"}, {"system": "email", "value": "2"}, {"value": "3"}],
    "extension": [{"url": "https://a.example", "valueCode": "x"}, {"url": "https://b.example", "valueString": "y"}],
    "name": [{"given": ["A", None, "B"], "_given": [None, {"id": "g"}, None]}, {"given": ["C"]}],
}


@pytest.mark.parametrize(
    ("expression", "resource", "expected"),
    [
        ("Observation.status", OBSERVATION, [("final", "code")]),
        ("Resource.id", OBSERVATION, [("o", "id")]),
        ("DomainResource.id", OBSERVATION, [("o", "id")]),
        ("Observation.value", OBSERVATION, [({"value": 3}, "Quantity")]),
        ("(Observation.value as Quantity)", OBSERVATION, [({"value": 3}, "Quantity")]),
        ("Observation.value.ofType(Quantity).value", OBSERVATION, [(3, "decimal")]),
        ("Observation.value.as(string)", OBSERVATION, []),
        ("Observation.component.value", OBSERVATION, [("a", "string"), ({"value": 4}, "Quantity")]),
        ("(Observation.component.value as string)", OBSERVATION, [("a", "string")]),
        (
            "Observation.value | Observation.component[1].value",
            OBSERVATION,
            [({"value": 3}, "Quantity"), ({"value": 4}, "Quantity")],
        ),
        ("Observation.status | Patient.active", OBSERVATION, [("final", "code")]),
        ("Observation.subject.where(resolve() is Patient)", OBSERVATION, [({"reference": "Patient/1"}, "Reference")]),
        ("Observation.subject.where(resolve() is Group)", OBSERVATION, []),
        (
            "Observation.performer.where(resolve() is Practitioner).reference",
            OBSERVATION,
            [("https://elsewhere.example/fhir/Practitioner/2/_history/1", "string")],
        ),
        ("Observation.performer.where(resolve() is Patient)", OBSERVATION, [({"type": "Patient"}, "Reference")]),
        ("Patient.telecom.where(system='phone').value", TELECOM, [("1", "string")]),
        ("Patient.telecom.where(system != 'phone').value", TELECOM, [("2", "string")]),
        ("Patient.telecom.where(system = 'phone' and value = '2')", TELECOM, []),
        ("Patient.telecom.where(system.exists())[1].value", TELECOM, [("2", "string")]),
        ("Patient.extension('https://a.example')", TELECOM, [("x", "code")]),
        ("extension.where(url='https://b.example').value", TELECOM, [("y", "string")]),
        ("Patient.where(hasExtension('https://a.example')).telecom[0].value", TELECOM, [("1", "string")]),
        ("Patient.where(hasExtension('https://c.example')).telecom", TELECOM, []),
        ("Patient.deceased.exists()", {"resourceType": "Patient"}, [(False, "boolean")]),
        ("Patient.telecom.where(system.exists() = false).value", TELECOM, [("3", "string")]),
        ("Patient.multipleBirth != true", {"resourceType": "Patient", "multipleBirthInteger": 1}, [(True, "boolean")]),
        ("(Patient.telecom).value", TELECOM, [("1", "string"), ("2", "string"), ("3", "string")]),
        ("Patient.telecom.as(ContactPoint)[0].value", TELECOM, [("1", "string")]),
        ("(Patient)", {"resourceType": "Patient"}, [({"resourceType": "Patient"}, "Patient")]),
        (
            "Patient.contact.name.where(family='A').given",
            {"resourceType": "Patient", "contact": ["x", {"name": {"family": "A", "given": ["B", "C"]}}, {"name": 3}]},
            [("B", "string"), ("C", "string")],
        ),
        (
            "Patient.contact.name.family",
            {"resourceType": "Patient", "contact": ["x", {"name": {"family": "A"}}, {"name": 3}, {}]},
            [("A", "string")],
        ),
        ("Patient.contact.name.family", {"resourceType": "Patient", "contact": [{}]}, []),
        ("Patient.name.given", TELECOM, [("A", "string"), ("B", "string"), ("C", "string")]),
        ("Patient.deceased.exists() and Patient.deceased != false", TELECOM, [(False, "boolean")]),
        (
            "Patient.deceased.exists() and Patient.deceased != false",
            {"resourceType": "Patient", "deceasedBoolean": False},
            [(False, "boolean")],
        ),
        (
            "Patient.deceased.exists() and Patient.deceased != false",
            {"resourceType": "Patient", "deceasedDateTime": "2020"},
            [(True, "boolean")],
        ),
    ],
)
def test_forms(expression: str, resource: JsonObject, expected: list[tuple[Json, str]]) -> None:
    assert found(expression, resource) == expected


def test_reference_targets_are_narrowed_by_resolve() -> None:
    path = compile_path("DocumentReference.subject.where(resolve() is Patient)", "DocumentReference", DEFINITIONS)
    assert path is not None
    assert [use.targets for use in path.uses] == [("Patient",)]


def test_alternatives_of_another_type_are_nothing() -> None:
    assert compile_path("Patient.active", "Observation", DEFINITIONS) is None
    assert compile_path("(Patient.deceased as boolean)", "Observation", DEFINITIONS) is None
    assert compile_path("DomainResource.id", "Bundle", DEFINITIONS) is None
    assert compile_path("Patient.name.where(use='x')", "Bundle", DEFINITIONS) is None


@pytest.mark.parametrize(
    "expression",
    [
        "Patient.nom",
        "Patient.birthDate.ofType(Quantity)",
        "Patient.name.all(family.exists())",
        "Patient.name.first()",
        "Patient.name.where(family='a'",
        "Patient.name.",
        "Patient.name family",
        "Patient.name + 'x'",
        "Patent.name",
        "Patient.telecom[x]",
        "Patient.extension(url)",
        "",
    ],
)
def test_outside_the_subset(expression: str) -> None:
    with pytest.raises(Outside):
        compile_path(expression, "Patient", DEFINITIONS)


def test_alternatives() -> None:
    assert alternatives("(A.b) + (C.d)") == ("(A.b) + (C.d)",)
    assert alternatives("(A.b as x) | ((A.c)) | A.where(d='|(').e|(A.f).g") == (
        "A.b as x",
        "A.c",
        "A.where(d='|(').e",
        "(A.f).g",
    )


@pytest.mark.parametrize("odd", [None, 3, "x", [], [3, None], [{}], {"given": 3}])
def test_what_is_not_of_the_type_finds_nothing_and_breaks_nothing(odd: Json) -> None:
    """Entries are made of valid resources; an old one that is not must still be read."""
    walked = found("Patient.name.where(use='x').given", {"resourceType": "Patient", "name": odd})
    assert walked == []

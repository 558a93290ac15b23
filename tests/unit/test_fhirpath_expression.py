"""An expression gives what the language says, of elements of FHIR and of values of its own."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Final

import pytest

from fhir_server.definitions.load import load
from fhir_server.fhir.json import Json, JsonObject
from fhir_server.fhirpath.effort import Effort
from fhir_server.fhirpath.expression import Environment, compile_expression
from fhir_server.fhirpath.model import Model
from fhir_server.fhirpath.node import Node

MODEL: Final = Model(load())

PATIENT: Final[JsonObject] = {
    "resourceType": "Patient",
    "id": "p",
    "active": True,
    "birthDate": "1980-05-17",
    "_birthDate": {"id": "b", "extension": [{"url": "https://a.example", "valueTime": "10:00:00"}]},
    "deceasedDateTime": "2020-03-01T10:00:00+01:00",
    "_gender": {"extension": [{"url": "https://unknown.example", "valueCode": "unknown"}]},
    "multipleBirthInteger": 2,
    "name": [
        {"use": "official", "family": "Martin", "given": ["Anne", None], "_given": [None, {"id": "g"}]},
        {"use": "old", "family": "Durand", "given": ["Anne"]},
    ],
    "telecom": [
        {"system": "phone", "value": "1", "rank": 1},
        {"system": "email", "value": "a@b.example", "rank": 2, "period": {"start": "2020-05"}},
        {"system": "phone", "value": "3"},
    ],
    "contact": [{"name": {"text": "a"}}, {"telecom": [{"value": "9"}]}],
    "extension": [
        {"url": "https://a.example", "valueQuantity": {"value": 3, "unit": "mg", "code": "mg"}},
        {"url": "https://b.example", "valueString": "x"},
    ],
    "contained": [{"resourceType": "Organization", "id": "two", "name": "Clinic"}, {"resourceType": "Unheard"}],
    "managingOrganization": {"reference": "#two"},
    "text": {"status": "empty", "div": "<div/>"},
}
ROOT: Final = Node(PATIENT, "Patient")


def resolve(reference: str) -> Node | None:
    return Node({"resourceType": "Organization", "name": "Clinic"}, "Organization") if reference == "#two" else None


ENVIRONMENT: Final = Environment(
    resource=ROOT,
    root=ROOT,
    context=ROOT,
    resolve=resolve,
    member_of=lambda node, value_set: node.value == "phone" if value_set == "https://v.example" else None,
    conforms_to=lambda node, profile: node.type == profile,
    now=lambda: "2026-12-01T10:11:12.345Z",
)


def values(text: str) -> list[Json]:
    """What an expression gives of the Patient."""
    found = compile_expression(text, MODEL, types=("Patient",)).evaluate(ROOT, ENVIRONMENT, Effort())
    unknown = compile_expression(text, MODEL).evaluate(ROOT, ENVIRONMENT, Effort())
    assert [node.value for node in found] == [node.value for node in unknown]
    return [node.value for node in found]


PATHS: Final[list[tuple[str, list[Json]]]] = [
    ("id", ["p"]),
    ("Patient.id", ["p"]),
    ("Resource.id | DomainResource.id", ["p"]),
    ("name.family", ["Martin", "Durand"]),
    ("name.given", ["Anne", None, "Anne"]),
    ("name.given.where(hasValue())", ["Anne", "Anne"]),
    ("`name`.`family`.first()", ["Martin"]),
    ("deceased", ["2020-03-01T10:00:00+01:00"]),
    ("deceased.ofType(boolean)", []),
    ("deceased as dateTime", ["2020-03-01T10:00:00+01:00"]),
    ("(multipleBirth as integer) + 1", [3]),
    ("multipleBirth is integer", [True]),
    ("multipleBirth is Integer", [False]),
    ("extension('https://a.example').value.unit", ["mg"]),
    ("extension.where(url = 'https://b.example').value.ofType(string)", ["x"]),
    ("birthDate.extension('https://a.example').value", ["10:00:00"]),
    ("birthDate.id", ["b"]),
    ("gender.exists()", [True]),
    ("gender.hasValue()", [False]),
    ("gender = 'male'", []),
    ("gender.extension.exists()", [True]),
    ("contained.ofType(Organization).name", ["Clinic"]),
    ("contained.name", ["Clinic"]),
    ("contained[1].exists()", [True]),
    ("managingOrganization.resolve().name", ["Clinic"]),
    ("managingOrganization.resolve() is Organization", [True]),
    ("managingOrganization.reference.resolve().exists()", [True]),
    ("telecom[1].value", ["a@b.example"]),
    ("telecom[7].value", []),
    ("telecom.where($index = 2).value", ["3"]),
    ("telecom.select($index + rank)", [1, 3]),
    ("%resource.id | %rootResource.id | %context.id", ["p"]),
    ("%ucum & '|' & %sct", ["http://unitsofmeasure.org|http://snomed.info/sct"]),
    ('%`vs-a` & %"ext-b"', ["http://hl7.org/fhir/ValueSet/ahttp://hl7.org/fhir/StructureDefinition/b"]),
    ("telecom.where(system.memberOf('https://v.example')).count()", [2]),
    ("telecom.first().system.memberOf('https://w.example')", []),
    ("conformsTo('Patient')", [True]),
    ("text.div.htmlChecks()", [True]),
    ("contact.children().count()", [2]),
    ("contact.telecom.descendants().count()", [1]),
]


@pytest.mark.parametrize(("text", "expected"), PATHS)
def test_a_path_gives_the_elements(text: str, expected: list[Json]) -> None:
    assert values(text) == expected


def test_an_element_goes_before_the_type_of_the_same_name() -> None:
    """A value may be of the type code; ``code`` is the element of the Quantity all the same."""
    assert values("extension.value.where(code = 'mg').unit") == ["mg"]


def test_the_whole_resource_has_all_its_descendants() -> None:
    """Nothing is left out, and the type of the resource is no element."""
    assert values("descendants().count()") == [60]


def test_decimals_are_exact() -> None:
    assert values("0.1 + 0.2") == [Decimal("0.3")]
    assert json.dumps(str(values("1 / 3")[0])) == '"0.3333333333333333333333333333"'

"""An expression gives what the language says, of elements of FHIR and of values of its own."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Final

import pytest

from fhir_server.definitions.load import load
from fhir_server.fhir.json import Json, JsonObject
from fhir_server.fhirpath.effort import Effort
from fhir_server.fhirpath.expression import Environment, compile_expression
from fhir_server.fhirpath.model import Model
from fhir_server.fhirpath.node import Node
from fhir_server.fhirpath.refused import NotUnderstood, TooMuch

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
    assert str(values("1 / 3")[0]) == "0.3333333333333333333333333333"


LARGE: Final[JsonObject] = {
    "resourceType": "Questionnaire",
    "title": "a" * 10_000,
    "item": [{"linkId": str(number), "text": "x", "item": [{"linkId": f"{number}.1"}]} for number in range(2_000)],
}


@pytest.mark.parametrize(
    "text",
    [
        "item.where(%resource.item.where(linkId = 'a').exists())",
        "item.all(%resource.descendants().count() > 0)",
        "item.select(%resource.item).count() > 0",
        "item.select(%resource.item.exists(text = 'y')).exists()",
        "item.aggregate($total | %resource.item.linkId, 'a')",
        "item.exists(%resource.item.linkId contains 'none')",
        "item.where(%resource.item.select(linkId).isDistinct().not())",
        "item.where(%resource.item.linkId ~ %resource.item.linkId.skip(1))",
        "item.repeat(%resource.item | %resource.item.item).where(%resource.item.repeat(item).empty())",
        "item.aggregate($total & %resource.title, '').length()",
        "item.linkId.select(%resource.title.replace('a', %resource.title)).count()",
        "item.select(%resource.title.toChars()).count()",
        "item.select(%resource.title.split('a')).count()",
        "item.where(%resource.title.matches('(a|aa)+$' & linkId))",
        "item.select(%resource.title.replaceMatches('a*?', 'bb')).count()",
        "item.where(%resource.title ~ (%resource.title & 'a'))",
        "item.where(%resource.item.resolve().empty())",
    ],
)
def test_what_asks_to_look_too_often_is_cut(text: str) -> None:
    """Each of these would look at millions of elements, or make millions of characters."""
    node = Node(LARGE, "Questionnaire")
    environment = replace(ENVIRONMENT, resource=node)
    expression = compile_expression(text.replace("%resource", "iif(true, %resource)"), MODEL, types=("Questionnaire",))
    with pytest.raises(TooMuch):
        expression.evaluate(node, environment, Effort(20_000))


@pytest.mark.parametrize(
    "text",
    [
        "item.where(%resource.item.where(linkId = 'a').exists()).empty()",
        "item.all(%resource.descendants().count() > 0)",
        "item.all(linkId.startsWith(%resource.item.first().linkId) or %resource.item.linkId.tail().exists())",
        "item.all(%resource.item.exists(linkId = '7') and (linkId.matches('^[0-9]+$')))",
    ],
)
def test_what_is_the_same_for_each_element_is_found_once(text: str) -> None:
    node = Node(LARGE, "Questionnaire")
    environment = replace(ENVIRONMENT, resource=node)
    assert compile_expression(text, MODEL, types=("Questionnaire",)).holds(node, environment, Effort(60_000))


def test_what_looks_at_each_element_once_is_not_cut() -> None:
    node = Node(LARGE, "Questionnaire")
    environment = replace(ENVIRONMENT, resource=node)
    text = (
        "descendants().linkId.isDistinct() and item.all(linkId.exists() and text = 'x') and repeat(item).count() = 4000"
    )
    assert compile_expression(text, MODEL, types=("Questionnaire",)).holds(node, environment, Effort(100_000))


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("active", True),
        ("active.not()", False),
        ("{}", False),
        ("name", True),
        ("name.where(use = 'none')", False),
        ("name.count()", True),
        ("contact.where(false).count()", False),
        ("gender = 'male'", False),
        ("'false'", True),
        ("gender", True),
    ],
)
def test_an_invariant_is_satisfied_by_what_is_true_or_there(text: str, *, holds: bool) -> None:
    assert compile_expression(text, MODEL, types=("Patient",)).holds(ROOT, ENVIRONMENT, Effort()) is holds


def test_what_an_evaluation_gives_can_be_changed_without_harm() -> None:
    """Collections are shared between evaluations; what is handed out is not."""
    expression = compile_expression("true", MODEL)
    expression.evaluate(ROOT, ENVIRONMENT, Effort()).clear()
    assert [node.value for node in expression.evaluate(ROOT, ENVIRONMENT, Effort())] == [True]


def test_the_time_is_asked_for_once() -> None:
    asked: list[str] = []

    def now() -> str:
        asked.append("")
        return f"2026-12-01T10:00:0{len(asked)}Z"

    environment = replace(ENVIRONMENT, now=now)
    assert compile_expression("now() = now()", MODEL).holds(ROOT, environment, Effort())
    assert compile_expression("true", MODEL).holds(ROOT, environment, Effort())
    assert len(asked) == 1


def test_narratives_are_checked_by_who_evaluates() -> None:
    expression = compile_expression("text.div.htmlChecks()", MODEL, types=("Patient",))
    assert expression.holds(ROOT, replace(ENVIRONMENT, is_narrative=lambda text: text == "<div/>"), Effort())
    assert not expression.holds(ROOT, replace(ENVIRONMENT, is_narrative=lambda _: False), Effort())


def test_an_element_of_unknown_type_has_the_names_of_its_json() -> None:
    """A logical model, or a type of another version."""
    node = Node({"part": [{"size": 3}, {"size": 4}], "when": "2020"}, "Unheard")
    expression = compile_expression("Unheard.part.where(size > 3).size + 1", MODEL, types=("Unheard",))
    assert [found.value for found in expression.evaluate(node, ENVIRONMENT, Effort())] == [5]
    assert compile_expression("children().count() = 3", MODEL).holds(node, ENVIRONMENT, Effort())


def test_the_deepest_expression_is_compiled_and_evaluated() -> None:
    text = "id" + ".where($this" * 38 + ".exists()" + ")" * 38 + ".exists()"
    assert compile_expression(text, MODEL, types=("Patient",)).holds(ROOT, ENVIRONMENT, Effort())


def test_long_rows_of_operands_are_not_deep() -> None:
    text = " or ".join(f"id = '{number}'" for number in range(500)) + " or id = 'p'"
    assert compile_expression(text, MODEL, types=("Patient",)).holds(ROOT, ENVIRONMENT, Effort())


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("name.given1", "HumanName has no element given1."),
        (
            "deceasedDateTime",
            "Patient has no element deceasedDateTime: a path names a choice without its type, deceased.",
        ),
        ("contact.name.where(old)", "HumanName has no element old."),
    ],
)
def test_a_name_the_type_does_not_have_is_refused(text: str, sentence: str) -> None:
    """Only where the types are told: without them, it is an element that is not there."""
    with pytest.raises(NotUnderstood) as refused:
        compile_expression(text, MODEL, types=("Patient",))
    assert str(refused.value) == sentence
    assert compile_expression(text, MODEL).evaluate(ROOT, ENVIRONMENT, Effort()) == []


def test_a_type_the_expression_tells_is_known() -> None:
    with pytest.raises(NotUnderstood, match="Period has no element begin"):
        compile_expression("extension.value.ofType(Period).begin", MODEL)

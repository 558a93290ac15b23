"""FHIRPath Patch: what each operation does to a resource.

The situations are those of the test suite of FHIR for this patch, and what its page says besides.
https://hl7.org/fhir/R4/fhirpatch.html
"""

from __future__ import annotations

import copy
from typing import Any, Final

import pytest

from fhir_server.fhir.errors import Unprocessable
from fhir_server.fhir.json import JsonObject, decode_lexical, encode_lexical
from fhir_server.fhir.outcome import IssueType
from fhir_server.interactions.fhirpath_patch import apply
from fhir_server.validation.structure import Validator
from tests.patches import DEFINITIONS, Part, add, delete, insert, move, part, patched, patient, refused, replace


def numbers(*values: str) -> dict[str, Any]:
    """A patient with identifiers of these values."""
    return patient(identifier=[{"system": "https://a.example", "value": value} for value in values])


def values_of(resource: JsonObject) -> list[str]:
    listed: Any = resource["identifier"]
    return [one["value"] for one in listed]


# What the test suite of FHIR covers


@pytest.mark.parametrize("resource", [patient(birthDate="1950-02-03"), numbers("a", "b")])
def test_a_patch_without_operations_changes_nothing(resource: dict[str, Any]) -> None:
    assert patched(resource) == resource


@pytest.mark.parametrize(
    ("before", "change", "after"),
    [
        # a primitive
        (
            patient(birthDate="1950"),
            replace("Patient.birthDate", valueDate="1951-01-01"),
            patient(birthDate="1951-01-01"),
        ),
        (patient(birthDate="1950"), delete("Patient.birthDate"), patient()),
        (patient(), add("Patient", "birthDate", valueDate="1950-01-01"), patient(birthDate="1950-01-01")),
        # a primitive of an element
        (
            patient(contact=[{"name": {"text": "x"}, "gender": "male"}]),
            replace("Patient.contact[0].gender", valueCode="other"),
            patient(contact=[{"name": {"text": "x"}, "gender": "other"}]),
        ),
        (
            patient(contact=[{"name": {"text": "x"}, "gender": "male"}]),
            replace("Patient.contact[0].name.text", valueString="y"),
            patient(contact=[{"name": {"text": "y"}, "gender": "male"}]),
        ),
        (
            patient(contact=[{"name": {"text": "x"}, "gender": "male"}]),
            delete("Patient.contact[0].gender"),
            patient(contact=[{"name": {"text": "x"}}]),
        ),
        # its name has nothing left, and goes
        (
            patient(contact=[{"name": {"text": "x"}, "gender": "male"}]),
            delete("Patient.contact[0].name.text"),
            patient(contact=[{"gender": "male"}]),
        ),
        (
            patient(contact=[{"name": {"text": "x"}}]),
            add("Patient.contact[0]", "gender", valueCode="male"),
            patient(contact=[{"name": {"text": "x"}, "gender": "male"}]),
        ),
        # a complex element
        (
            patient(),
            add("Patient", "maritalStatus", valueCodeableConcept={"text": "x"}),
            patient(maritalStatus={"text": "x"}),
        ),
        (
            patient(maritalStatus={"id": "1", "text": "x"}),
            replace("Patient.maritalStatus", valueCodeableConcept={"id": "2", "text": "y"}),
            patient(maritalStatus={"id": "2", "text": "y"}),
        ),
        (patient(maritalStatus={"text": "x"}), delete("Patient.maritalStatus"), patient()),
        # an element whose type has no name
        (
            patient(),
            add("Patient", "contact", part=[part("name", valueHumanName={"text": "x"})]),
            patient(contact=[{"name": {"text": "x"}}]),
        ),
        (patient(contact=[{"name": {"text": "x"}}]), delete("Patient.contact[0]"), patient()),
        # the first of an array
        (patient(), add("Patient", "identifier", valueIdentifier={"value": "x"}), patient(identifier=[{"value": "x"}])),
    ],
)
def test_an_operation_on_an_element(before: dict[str, Any], change: Part, after: JsonObject) -> None:
    assert patched(before, change) == after


@pytest.mark.parametrize(
    ("before", "changes", "after"),
    [
        ("ab", [insert("Patient.identifier", 2, valueIdentifier={"value": "c"})], "abc"),
        ("ab", [insert("Patient.identifier", 1, valueIdentifier={"value": "c"})], "acb"),
        ("ab", [insert("Patient.identifier", 0, valueIdentifier={"value": "c"})], "cab"),
        ("ab", [add("Patient", "identifier", valueIdentifier={"value": "c"})], "abc"),
        ("abc", [delete("Patient.identifier[0]")], "bc"),
        ("abc", [delete("Patient.identifier[1]")], "ac"),
        ("abc", [delete("Patient.identifier[2]")], "ab"),
        ("abcd", [move("Patient.identifier", 3, 1)], "adbc"),
        ("abcd", [move("Patient.identifier", 3, 0)], "dabc"),
        ("abcd", [move("Patient.identifier", 3, 2)], "abdc"),
        ("abcd", [move("Patient.identifier", 0, 3)], "bcda"),
        ("abcd", [move("Patient.identifier", 1, 1)], "abcd"),
        ("abcd", [move("Patient.identifier", 1, 0), move("Patient.identifier", 2, 1)], "bcad"),
        ("abcd", [move("Patient.identifier", 3, place) for place in (0, 1, 2)], "dcba"),
        (
            "ab",
            [
                replace("Patient.identifier[0].value", valueString="b"),
                replace("Patient.identifier[1].value", valueString="a"),
            ],
            "ba",
        ),
    ],
)
def test_operations_on_an_array(before: str, changes: list[Part], after: str) -> None:
    assert values_of(patched(numbers(*before), *changes)) == [*after]


def test_nothing_is_added_to_an_element_that_is_not_there() -> None:
    resource = patient(identifier=[{"use": "official", "value": "1"}])
    path = "Patient.identifier.where(use = 'official').period"
    error = refused(resource, add(path, "end", valueDateTime="2021-12-01"))
    assert isinstance(error, Unprocessable)
    assert str(error) == f"Operation 0 (add {path}): The path selects no element."
    assert error.issues[0].expression == ("Parameters.parameter[0]",)
    assert error.issues[0].code is IssueType.PROCESSING


def test_the_narrative_is_told_as_a_string_and_all_else_stays_as_it_is() -> None:
    resource = patient(
        id="example",
        text={"status": "generated", "div": "<div>a</div>"},
        name=[{"family": "A", "given": ["B", "C"]}, {"given": ["D"]}],
        birthDate="1974-12-25",
        _birthDate={"extension": [{"url": "https://time.example", "valueDateTime": "1974-12-25T14:35:45-05:00"}]},
        contact=[{"name": {"family": "E", "_family": {"id": "e"}}, "period": {"start": "2012"}}],
    )
    after = patched(
        resource,
        replace("Patient.text.div", valueString="<div>b</div>"),
        replace("Patient.name[0].family", valueString="F"),
    )
    expected = copy.deepcopy(resource)
    expected["text"]["div"] = "<div>b</div>"
    expected["name"][0]["family"] = "F"
    assert after == expected
    assert [*after] == [*expected], "in their order"


def test_each_operation_meets_what_the_one_before_left() -> None:
    after = patched(
        patient(),
        add("Patient", "contact", part=[part("gender", valueCode="male")]),
        add("Patient.contact[0]", "name", valueHumanName={"family": "A"}),
        add("Patient.contact[0].name", "given", valueString="B"),
        insert("Patient.contact[0].name.given", 0, valueString="C"),
        add("Patient", "contact", part=[part("gender", valueCode="female")]),
        move("Patient.contact", 1, 0),
        delete("Patient.contact.where(gender = 'female').gender"),
    )
    assert after == patient(contact=[{"gender": "male", "name": {"family": "A", "given": ["C", "B"]}}])


# Values


def test_parts_within_parts() -> None:
    question = [
        part("linkId", valueString="1"),
        part("type", valueCode="group"),
        part("code", valueCoding={"code": "a"}),
        part("code", valueCoding={"code": "b"}),
        part(
            "item",
            part=[
                part("linkId", valueString="1.1"),
                part("type", valueCode="choice"),
                part("answerOption", part=[part("value", valueCoding={"code": "x"})]),
            ],
        ),
        part(
            "item",
            part=[
                part("linkId", valueString="1.2"),
                part("type", valueCode="display"),
                part("text", _valueString={"id": "t"}, valueString="t"),
            ],
        ),
    ]
    assert patched(
        {"resourceType": "Questionnaire", "status": "draft"}, add("Questionnaire", "item", part=question)
    ) == {
        "resourceType": "Questionnaire",
        "status": "draft",
        "item": [
            {
                "linkId": "1",
                "type": "group",
                "code": [{"code": "a"}, {"code": "b"}],
                "item": [
                    {"linkId": "1.1", "type": "choice", "answerOption": [{"valueCoding": {"code": "x"}}]},
                    {"linkId": "1.2", "type": "display", "text": "t", "_text": {"id": "t"}},
                ],
            }
        ],
    }


@pytest.mark.parametrize(
    ("change", "after"),
    [
        (add("Patient", "deceased", valueBoolean=True), {"deceasedBoolean": True}),
        (add("Patient", "deceased", valueDateTime="2020"), {"deceasedDateTime": "2020"}),
        (add("Patient", "deceased", valueDate="2020"), {"deceasedDateTime": "2020"}),
        (add("Patient", "multipleBirth", valuePositiveInt=2), {"multipleBirthInteger": 2}),
        (add("Patient", "language", valueCode="fr"), {"language": "fr"}),
        (add("Patient", "photo", valueAttachment={"size": 1}), {"photo": [{"size": 1}]}),
        (add("Patient", "implicitRules", valueUrl="https://a.example"), {"implicitRules": "https://a.example"}),
        (
            add("Patient", "extension", part=[part("url", valueUri="https://a.example"), part("value", valueCode="x")]),
            {"extension": [{"url": "https://a.example", "valueCode": "x"}]},
        ),
        (
            add("Patient", "text", part=[part("status", valueCode="empty"), part("div", valueString="<div/>")]),
            {"text": {"status": "empty", "div": "<div/>"}},
        ),
        (
            add("Patient", "contained", resource={"resourceType": "Organization", "id": "a"}),
            {"contained": [{"resourceType": "Organization", "id": "a"}]},
        ),
        (
            add("Patient", "birthDate", _valueDate={"extension": [{"url": "x"}]}),
            {"_birthDate": {"extension": [{"url": "x"}]}},
        ),
        (
            add("Patient", "birthDate", valueDate="2020", _valueDate={"id": "x"}),
            {"birthDate": "2020", "_birthDate": {"id": "x"}},
        ),
        (add("Patient", "birthDate", valueDate="2020", id="of the part"), {"birthDate": "2020"}),
    ],
)
def test_a_value_is_written_as_the_element_is(change: Part, after: JsonObject) -> None:
    assert patched(patient(), change) == patient(**after)


def test_another_type_of_a_choice_takes_the_place_of_the_first() -> None:
    before = patient(active=True, deceasedBoolean=True, _deceasedBoolean={"id": "x"}, gender="male")
    after = patched(before, replace("Patient.deceased", valueDateTime="2020-01-01"))
    assert after == patient(active=True, deceasedDateTime="2020-01-01", gender="male")
    assert [*after] == ["resourceType", "active", "deceasedDateTime", "gender"]
    observation = {"resourceType": "Observation", "valueString": "x"}
    assert patched(observation, replace("Observation.value", valueQuantity={"value": 1})) == {
        "resourceType": "Observation",
        "valueQuantity": {"value": 1},
    }
    assert patched(observation, delete("Observation.value")) == {"resourceType": "Observation"}


def test_numbers_stay_as_they_were_written() -> None:
    resource = decode_lexical(
        b'{"resourceType":"Observation","valueQuantity":{"value":1.10},"component":[{"valueQuantity":{"value":1.0e2}}]}'
    )
    text = (
        b'{"resourceType":"Parameters","parameter":[{"name":"operation","part":[{"name":"type","valueCode":"replace"},'
        b'{"name":"path","valueString":"Observation.component[0].value.value"},{"name":"value","valueDecimal":2.500}]},'
        b'{"name":"operation","part":[{"name":"type","valueCode":"add"},{"name":"path","valueString":"Observation"},'
        b'{"name":"name","valueString":"component"},'
        b'{"name":"value","part":[{"name":"value","valueQuantity":{"value":30.0E-1}}]}]}]}'
    )
    assert encode_lexical(apply(resource, decode_lexical(text), DEFINITIONS)) == (
        b'{"resourceType":"Observation","valueQuantity":{"value":1.10},'
        b'"component":[{"valueQuantity":{"value":2.500}},{"valueQuantity":{"value":30.0E-1}}]}'
    )


def test_what_was_added_is_not_shared_with_the_patch() -> None:
    value = {"family": "A", "given": ["B"]}
    changes = (
        add("Patient", "name", valueHumanName=value),
        add("Patient", "contained", resource={"resourceType": "Patient", "name": [value]}),
        add("Patient.name[0]", "given", valueString="C"),
        delete("Patient.contained[0].name[0].given"),
    )
    after = patched(patient(), *changes)
    assert value == {"family": "A", "given": ["B"]}
    assert after == patient(
        name=[{"family": "A", "given": ["B", "C"]}],
        contained=[{"resourceType": "Patient", "name": [{"family": "A"}]}],
    )


# Primitives, and what stands beside them

GIVEN: Final = {"given": ["A", None, "C"], "_given": [None, {"id": "b"}, {"id": "c"}]}


def given(resource: JsonObject) -> Any:
    name: Any = resource.get("name")
    return name[0] if name else None


@pytest.mark.parametrize(
    ("change", "after"),
    [
        (delete("Patient.name.given[0]"), {"given": [None, "C"], "_given": [{"id": "b"}, {"id": "c"}]}),
        (delete("Patient.name.given[1]"), {"given": ["A", "C"], "_given": [None, {"id": "c"}]}),
        (delete("Patient.name.given[2]"), {"given": ["A", None], "_given": [None, {"id": "b"}]}),
        (
            replace("Patient.name.given[1]", valueString="B"),
            {"given": ["A", "B", "C"], "_given": [None, None, {"id": "c"}]},
        ),
        (
            replace("Patient.name.given[2]", valueString="c"),
            {"given": ["A", None, "c"], "_given": [None, {"id": "b"}, None]},
        ),
        (
            replace("Patient.name.given[0]", _valueString={"id": "a"}),
            {"given": [None, None, "C"], "_given": [{"id": "a"}, {"id": "b"}, {"id": "c"}]},
        ),
        (
            insert("Patient.name.given", 1, valueString="x"),
            {"given": ["A", "x", None, "C"], "_given": [None, None, {"id": "b"}, {"id": "c"}]},
        ),
        (
            insert("Patient.name.given", 3, _valueString={"id": "x"}),
            {"given": ["A", None, "C", None], "_given": [None, {"id": "b"}, {"id": "c"}, {"id": "x"}]},
        ),
        (
            add("Patient.name", "given", valueString="x"),
            {"given": ["A", None, "C", "x"], "_given": [None, {"id": "b"}, {"id": "c"}, None]},
        ),
        (move("Patient.name.given", 2, 0), {"given": ["C", "A", None], "_given": [{"id": "c"}, None, {"id": "b"}]}),
        (delete("Patient.name.given[1].id"), {"given": ["A", "C"], "_given": [None, {"id": "c"}]}),
        (delete("Patient.name.given[2].id"), {"given": ["A", None, "C"], "_given": [None, {"id": "b"}, None]}),
        (
            add("Patient.name.given[0]", "id", valueString="a"),
            {"given": ["A", None, "C"], "_given": [{"id": "a"}, {"id": "b"}, {"id": "c"}]},
        ),
        (
            replace("Patient.name.given[2].id", valueString="d"),
            {"given": ["A", None, "C"], "_given": [None, {"id": "b"}, {"id": "d"}]},
        ),
    ],
)
def test_what_stands_beside_a_value_of_an_array_goes_with_it(change: Part, after: dict[str, Any]) -> None:
    assert given(patched(patient(name=[GIVEN]), change)) == after


def test_arrays_of_primitives_of_which_one_side_is_there() -> None:
    values, beside = patient(name=[{"given": ["A", "B"]}]), patient(name=[{"_given": [{"id": "a"}, {"id": "b"}]}])
    assert given(patched(values, insert("Patient.name.given", 1, _valueString={"id": "x"}))) == {
        "given": ["A", None, "B"],
        "_given": [None, {"id": "x"}, None],
    }
    assert given(patched(beside, insert("Patient.name.given", 2, valueString="x"))) == {
        "given": [None, None, "x"],
        "_given": [{"id": "a"}, {"id": "b"}, None],
    }
    assert given(patched(beside, move("Patient.name.given", 0, 1))) == {"_given": [{"id": "b"}, {"id": "a"}]}
    assert given(patched(values, delete("Patient.name.given[0]"), delete("Patient.name.given[0]"))) is None
    assert given(patched(beside, delete("Patient.name.given[0]"), delete("Patient.name.given[0]"))) is None


def test_what_stands_beside_a_primitive() -> None:
    told = {"url": "https://a.example", "valueCode": "x"}
    parts = [part("url", valueUri="https://a.example"), part("value", valueCode="x")]
    plain, both = patient(birthDate="1980"), patient(birthDate="1980", _birthDate={"extension": [told]})
    assert patched(plain, add("Patient.birthDate", "extension", part=parts)) == both
    assert patched(both, delete("Patient.birthDate.extension[0]")) == plain
    assert patched(both, delete("Patient.birthDate")) == patient()
    assert patched(both, replace("Patient.birthDate", valueDate="1981")) == patient(birthDate="1981")
    assert patched(both, replace("Patient.birthDate.extension('https://a.example').value", valueCode="y")) == patient(
        birthDate="1980", _birthDate={"extension": [told | {"valueCode": "y"}]}
    )
    alone = patient(_birthDate={"extension": [told]})
    assert patched(alone, delete("Patient.birthDate.extension[0]")) == patient()
    assert patched(alone, replace("Patient.birthDate", valueDate="1981")) == patient(birthDate="1981")
    assert "is there already" in str(refused(alone, add("Patient", "birthDate", valueDate="1981")))


def test_what_has_nothing_left_goes() -> None:
    deep = patient(contact=[{"name": {"period": {"start": "2020"}}}], active=True)
    assert patched(deep, delete("Patient.contact.name.period.start")) == patient(active=True)
    within = patient(extension=[{"url": "a", "extension": [{"url": "b"}]}])
    assert patched(within, delete("Patient.extension.extension")) == patient(extension=[{"url": "a"}])
    labels = patient(meta={"security": [{"code": "x"}]})
    assert patched(labels, delete("Patient.meta.security.where(code = 'x')")) == patient()


def test_what_is_not_there_is_deleted_already() -> None:
    for path in (
        "Patient.birthDate",
        "Patient.name[7]",
        "Patient.contact.where(gender = 'male').name",
        "Patient.photo.url",
    ):
        assert patched(patient(active=True), delete(path)) == patient(active=True)


def test_resources_within_a_resource() -> None:
    held = {"resourceType": "Practitioner", "id": "a", "active": True}
    resource = patient(contained=[held])
    assert patched(resource, replace("Patient.contained[0].id", valueId="b"))["contained"] == [held | {"id": "b"}]
    assert patched(resource, delete("Patient.contained[0].active"))["contained"] == [
        {"resourceType": "Practitioner", "id": "a"}
    ]
    other = {"resourceType": "Organization", "id": "a"}
    assert patched(resource, replace("Patient.contained[0]", resource=other))["contained"] == [other]
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": patient(id="x")}]}
    after = patched(bundle, add("Bundle.entry[0].resource.ofType(Patient)", "active", valueBoolean=False))
    assert after["entry"] == [{"resource": patient(id="x", active=False)}]


# The result is a legal resource where the values are


def test_a_patched_resource_is_valid() -> None:
    after = patched(
        {"resourceType": "Observation", "status": "preliminary", "code": {"text": "x"}},
        replace("Observation.status", valueCode="final"),
        add("Observation", "value", valueQuantity={"value": 1, "unit": "g"}),
        add(
            "Observation",
            "component",
            part=[part("code", valueCodeableConcept={"text": "y"}), part("value", valueBoolean=True)],
        ),
        add("Observation", "note", valueAnnotation={"text": "z"}),
    )
    assert Validator(DEFINITIONS).validate(after) == []


def test_no_element_repeats_and_is_a_choice() -> None:
    """What repeats keeps its JSON name, whatever takes its place."""
    assert not [
        one.path for all in DEFINITIONS.structures.values() for one in all.elements if one.choice and one.max != 1
    ]

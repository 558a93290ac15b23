"""A path selects the elements it names, with where they are; what it cannot mean is refused with a sentence."""

from __future__ import annotations

import time
from decimal import Decimal
from typing import Any, Final

import pytest

from fhir_server.definitions.load import load
from fhir_server.fhir.json import JsonObject, decode_lexical
from fhir_server.fhirpath.effort import MOST_LOOKED_AT, Effort
from fhir_server.fhirpath.model import Model
from fhir_server.fhirpath.node import Node
from fhir_server.fhirpath.path import DEEPEST, LONGEST, compile_path
from fhir_server.fhirpath.refused import Misfit, NotUnderstood, TooMuch

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
        {"use": "old", "family": "Du'rand", "given": ["Anne"]},
    ],
    "telecom": [
        {"system": "phone", "value": "1", "rank": 1},
        {"system": "email", "value": "a@b.example", "rank": 2, "period": {"start": "2020-05"}},
        {"system": "phone", "value": "3"},
    ],
    "contact": [{"name": {"text": "a"}}, {"telecom": [{"value": "9"}]}, {"telecom": [{"value": "8"}]}],
    "extension": [
        {"url": "https://a.example", "valueQuantity": {"value": 3}},
        {"url": "https://b.example", "valueString": "x"},
        {"url": "https://b.example", "extension": [{"url": "c", "valueDate": "2020"}]},
    ],
    "contained": [
        {"resourceType": "Practitioner", "id": "one", "birthDate": "1970"},
        {"resourceType": "Organization", "id": "two", "name": "Clinic"},
        {"resourceType": "Unheard", "id": "three"},
    ],
    "text": {"status": "empty", "div": "<div/>"},
}
OBSERVATION: Final[JsonObject] = {
    "resourceType": "Observation",
    "status": "final",
    "issued": "2020-01-01T10:00:00.000Z",
    "valueQuantity": {"value": Decimal("1.10"), "unit": "mmol/L"},
    "component": [{"valueString": "a"}, {"valueQuantity": {"value": 4}}, {"valueBoolean": True}, {"valueInteger": -2}],
    "note": [{"text": "one"}, {"text": "one two", "time": "2020-01-01T10:00:00Z"}],
}


def place(node: Node) -> str:
    """Where an element is, in the words of JSON."""
    if node.parent is None:
        return node.type
    return f"{place(node.parent)}.{node.name}{'' if node.index is None else f'[{node.index}]'}"


def selected(path: str, resource: JsonObject = PATIENT) -> list[str]:
    type = str(resource["resourceType"])
    return [
        place(node).removeprefix(f"{type}.")
        for node in compile_path(path, type, MODEL).select(resource, type, Effort())
    ]


@pytest.mark.parametrize(
    ("path", "places"),
    [
        # names
        ("Patient", ["Patient"]),
        ("Resource", ["Patient"]),
        ("DomainResource.text.div", ["text.div"]),
        ("$this", ["Patient"]),
        ("Patient.birthDate", ["birthDate"]),
        ("birthDate", ["birthDate"]),
        ("`birthDate`", ["birthDate"]),
        ("Patient.`contact`.name", ["contact[0].name"]),
        (" Patient . name . family ", ["name[0].family", "name[1].family"]),
        ("Patient.photo.title", []),
        # what stands beside a primitive belongs to it
        ("Patient.gender", ["gender"]),
        ("Patient.gender.extension", ["gender.extension[0]"]),
        ("Patient.birthDate.id", ["birthDate.id"]),
        ("Patient.name.given", ["name[0].given[0]", "name[0].given[1]", "name[1].given[0]"]),
        ("Patient.name.given.id", ["name[0].given[1].id"]),
        # choices
        ("Patient.deceased", ["deceasedDateTime"]),
        ("Patient.deceased.ofType(dateTime)", ["deceasedDateTime"]),
        ("Patient.deceased.ofType(boolean)", []),
        ("Patient.multipleBirth as integer", ["multipleBirthInteger"]),
        ("(Patient.multipleBirth as integer)", ["multipleBirthInteger"]),
        ("Patient.extension.value", ["extension[0].valueQuantity", "extension[1].valueString"]),
        ("Patient.extension.value.as(Quantity).value", ["extension[0].valueQuantity.value"]),
        ("(Patient.extension.value as Quantity).value", ["extension[0].valueQuantity.value"]),
        ("Patient.extension.value.unit", []),
        # places
        ("Patient.name[1]", ["name[1]"]),
        ("Patient.name[2]", []),
        ("Patient.name.given[2]", ["name[1].given[0]"]),
        ("Patient.name.first()", ["name[0]"]),
        ("Patient.name.last().given.last()", ["name[1].given[0]"]),
        ("Patient.photo.first()", []),
        ("Patient.photo.last()", []),
        # extensions
        ("Patient.extension('https://a.example')", ["extension[0]"]),
        ("extension('https://b.example').extension('c').value", ["extension[2].extension[0].valueDate"]),
        ("Patient.birthDate.extension('https://a.example').value", ["birthDate.extension[0].valueTime"]),
        # conditions
        ("Patient.name.where(use = 'old')", ["name[1]"]),
        ("Patient.name.where(use != 'old').family", ["name[0].family"]),
        ("Patient.name.where('old' = $this.use)", ["name[1]"]),
        ("Patient.name.where(family = 'Du\\'rand')", ["name[1]"]),
        ("Patient.name.where(family = 'Du\\u0027rand')", ["name[1]"]),
        ("Patient.name.where(use = 'old' or use = 'official')", ["name[0]", "name[1]"]),
        ("Patient.telecom.where(system = 'phone' and value = '3')", ["telecom[2]"]),
        ("Patient.telecom.where(rank.exists())", ["telecom[0]", "telecom[1]"]),
        ("Patient.telecom.where(rank.exists().not())", ["telecom[2]"]),
        ("Patient.telecom.where(rank.exists() = false)", ["telecom[2]"]),
        ("Patient.telecom.where(rank = 2)", ["telecom[1]"]),
        ("Patient.telecom.where(rank = 2.0)", ["telecom[1]"]),
        ("Patient.telecom.where(rank != 2)", ["telecom[0]"]),
        ("Patient.telecom.where((rank = 2).not())", ["telecom[0]"]),
        ("Patient.telecom.where(rank = -2)", []),
        ("Patient.telecom.where(rank = 1 or system = 'email')", ["telecom[0]", "telecom[1]"]),
        ("Patient.telecom.where(rank = 1 or rank = 7)", ["telecom[0]"]),
        ("Patient.telecom.where(true or rank = 7)", ["telecom[0]", "telecom[1]", "telecom[2]"]),
        ("Patient.telecom.where(rank = 7 and true)", []),
        ("Patient.telecom.where((rank = 7 and false).not())", ["telecom[0]", "telecom[1]", "telecom[2]"]),
        ("Patient.telecom.where((system = 'fax' or rank = 1).not())", ["telecom[1]"]),
        ("Patient.telecom.where(system = 'phone' or system = 'x' and rank = 2)", ["telecom[0]", "telecom[2]"]),
        ("Patient.telecom.where((system = 'phone' or system = 'x') and rank = 1)", ["telecom[0]"]),
        ("Patient.name.where(given contains 'Anne')", ["name[0]", "name[1]"]),
        ("Patient.name.where(given contains 'Jean')", []),
        ("Patient.name.where(given contains suffix)", []),
        ("Patient.name.where(family.contains('art'))", ["name[0]"]),
        ("Patient.name.where(text.contains('art'))", []),
        ("Patient.telecom.where(rank.contains('1'))", []),
        ("Patient.name.where(given.exists($this = 'Anne'))", ["name[0]", "name[1]"]),
        ("Patient.contact.where(telecom.where(value = '8').exists())", ["contact[2]"]),
        ("Patient.where(active).name[0]", ["name[0]"]),
        ("Patient.where(active.not()).name", []),
        ("Patient.name.where(given = 'Anne')", ["name[1]"]),
        ("Patient.name.where($this = $this)", ["name[0]", "name[1]"]),
        ("Patient.where(name = name).id", ["id"]),
        ("Patient.where(name[0] = name[1]).id", []),
        ("Patient.where(name[0].given = name[1].given).id", []),
        ("Patient.where(contact[1] = contact[2]).id", []),
        ("Patient.where(telecom[0] = telecom[1]).id", []),
        ("Patient.where(active = 'true').id", []),
        ("Patient.where(multipleBirth = active).id", []),
        ("Patient.where(name[0].given[1] = name[0].given[1]).id", ["id"]),
        # dates
        ("Patient.where(birthDate = @1980-05-17).id", ["id"]),
        ("Patient.where(birthDate = '1980-05-17').id", ["id"]),
        ("Patient.where(birthDate = @1980-05).id", []),
        ("Patient.where((birthDate = @1980-05).not()).id", []),
        ("Patient.where(birthDate != @1981).id", ["id"]),
        ("Patient.where(deceased = @2020-03-01T09:00:00Z).id", ["id"]),
        ("Patient.where(deceased = @2020-03-01T09:00:00.000Z).id", ["id"]),
        ("Patient.where(deceased = @2020-03-01T10:00Z).id", []),
        ("Patient.telecom.where(period.start = @2020-05T)", ["telecom[1]"]),
        # resources within
        ("Patient.contained", ["contained[0]", "contained[1]", "contained[2]"]),
        ("Patient.contained.where(id = 'two')", ["contained[1]"]),
        ("Patient.contained.name", ["contained[1].name"]),
        ("Patient.contained.birthDate", ["contained[0].birthDate"]),
        ("Patient.contained.ofType(Practitioner)", ["contained[0]"]),
        ("Patient.contained.where(Organization.name = 'Clinic')", ["contained[1]"]),
        ("Patient.contained.name.where(use.exists())", []),
    ],
)
def test_what_a_path_selects(path: str, places: list[str]) -> None:
    assert selected(path) == places


@pytest.mark.parametrize(
    ("path", "places"),
    [
        ("Observation.value", ["valueQuantity"]),
        ("Observation.value.ofType(Quantity).value", ["valueQuantity.value"]),
        ("Observation.where(value.ofType(Quantity).value = 1.1).status", ["status"]),
        ("Observation.where(value.ofType(Quantity).value = 1).status", []),
        (
            "Observation.component.value",
            [f"component[{n}].value{t}" for n, t in enumerate(("String", "Quantity", "Boolean", "Integer"))],
        ),
        ("Observation.component.value.ofType(boolean)", ["component[2].valueBoolean"]),
        ("Observation.component.where(value = 'a')", ["component[0]"]),
        ("Observation.component.where(value = true)", ["component[2]"]),
        ("Observation.component.where(value = -2)", ["component[3]"]),
        ("Observation.component.where(value.ofType(integer) = 2)", []),
        ("Observation.component.where(value.ofType(Quantity).value = 4)", ["component[1]"]),
        ("Observation.note.where(text.contains('two'))", ["note[1]"]),
        ("Observation.note.where(time = @2020-01-01T10:00:00.000Z)", ["note[1]"]),
        ("Observation.where(issued = note.time).status", ["status"]),
    ],
)
def test_what_a_path_selects_of_an_observation(path: str, places: list[str]) -> None:
    assert selected(path, OBSERVATION) == places


def test_a_quantity_of_a_special_kind_is_a_quantity() -> None:
    onset: JsonObject = {"resourceType": "Condition", "onsetAge": {"value": 3}}
    assert selected("Condition.onset.ofType(Quantity)", onset) == ["onsetAge"]


def test_numbers_are_equal_by_value_however_they_are_written() -> None:
    text = (
        b'{"resourceType":"Observation","valueQuantity":{"value":1.10e1},"component":[{"valueQuantity":{"value":11}}]}'
    )
    resource = decode_lexical(text)
    assert selected("Observation.where(value = component.value).value", resource) == ["valueQuantity"]
    assert selected("Observation.where(value.ofType(Quantity).value = 11.0).value", resource) == ["valueQuantity"]


def test_a_date_that_is_none_is_compared_as_it_is_written() -> None:
    broken: JsonObject = {"resourceType": "Patient", "birthDate": "1980-02-31"}
    assert selected("Patient.where(birthDate = @1980-02-28).birthDate", broken) == []
    assert selected("Patient.where(birthDate = birthDate).birthDate", broken) == ["birthDate"]


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("", "ends where an element or a value is expected"),
        ("Patient.", "ends where a name is expected"),
        ("Patient..name", ". is not understood in a path; a name is expected"),
        ("Patient.name[", "ends where an index, such as [0] is expected"),
        ("Patient.name[x]", "x is not understood in a path; an index"),
        ("Patient.name[1.5]", "1.5 is not understood"),
        ("Patient.name[-1]", "- is not understood"),
        ("Patient.name[0", "ends where ] is expected"),
        ("(Patient", "ends where ) is expected"),
        ("Patient)", ") is not understood"),
        ("Patient name", "name is not understood"),
        ("Patient.name.where(use = 'old)", "' is not understood"),
        ("Patient.name.where(use ~ 'old')", "~ is not understood in a path."),
        ("Patient.name.where(use > 'old')", "> is not understood"),
        ("Patient.name | Patient.contact", "| is not understood"),
        ("Patient.name.where(use is code)", "is is not understood"),
        ("Patient.name.where(use = 'a' xor true)", "xor is not understood"),
        ("Patient.name.where(use in given)", "in is not understood"),
        ("Patient.name.where(true implies true)", "implies is not understood"),
        ("Patient.telecom.where(rank + 1 = 2)", "+ is not understood"),
        ("Patient.where(true = true = true)", "= is not understood"),
        ("Patient.where(id contains 'a' contains 'b')", "contains is not understood in a path; ) is expected"),
        ("%resource.name", "%resource is not understood"),
        ("Patient.name.where($index = 1)", "$index is not understood"),
        ("Patient.name.where(@T10:00 = use)", "@ is not understood"),
        ("Patient.name.where({} = use)", "{ is not understood"),
        ("Patient.name.where(- 'a' = use)", "'a' is not understood"),
        ("Patient.name.where(-@2020 = use)", "@2020 is not understood"),
        ("Patient.where(birthDate = @2020-02-30)", "@2020-02-30 is not in the calendar"),
        ("Patient.name.where(family = 'a\\q')", "\\q is no escape"),
        ("Patient.extension(url)", "url is not understood in a path; a text in quotes is expected"),
        ("Patient.resolve()", "resolve() is not understood in a path; where, exists"),
        ("iif(true, name, contact)", "iif() is not understood"),
        ("Patient.name.exists()", "computes a value"),
        ("'text'", "computes a value"),
        ("true", "computes a value"),
        ("Patient.name = Patient.name", "computes a value"),
        ("Patient.active and true", "computes a value"),
        ("Patient.where(" * DEEPEST + "active" + ")" * DEEPEST, f"more than {DEEPEST} parentheses"),
        ("(" * 500, f"more than {DEEPEST} parentheses"),
        ("Patient.name".ljust(LONGEST + 1), f"{LONGEST + 1} characters"),
    ],
)
def test_what_is_not_understood_is_named(path: str, says: str) -> None:
    with pytest.raises(NotUnderstood) as refused:
        selected(path)
    assert says in str(refused.value)


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("Patient.unheard", "Patient has no element unheard."),
        ("unheard", "Patient has no element unheard."),
        ("Patient.photo.unheard", "Attachment has no element unheard."),
        ("Patient.contact.unheard", "Patient.contact has no element unheard."),
        ("Patient.resourceType", "Patient has no element resourceType."),
        ("Patient.birthDate.value", "date has no element value."),
        ("Patient.deceasedBoolean", "a path names a choice without its type, deceased."),
        ("Patient.extension.valueString", "a path names a choice without its type, value."),
        ("Patient.contained.unheard", "Resource has no element unheard."),
        ("Patient.extension.value.unheard", "base64Binary or boolean or canonical or another has no element unheard."),
        (f"Patient.{'x' * 99}", f"Patient has no element {'x' * 40}..."),
        ("Observation.status", "Patient is never of the type Observation."),
        ("Unheard.status", "There is no type Unheard."),
        ("Patient.name.where(HumanName.use.exists() and Patient.active)", "HumanName is never of the type Patient."),
        ("Patient.deceased.ofType(string)", "boolean or dateTime is never of the type string."),
        ("Patient.deceased.ofType(Unheard)", "There is no type Unheard."),
        ("Patient.name.where(use)", "where() takes a condition; code is none."),
        ("Patient.name.where($this)", "where() takes a condition; HumanName is none."),
        ("Patient.name.where(use or true)", "or takes a condition; code is none."),
        ("Patient.name.where(true and use)", "and takes a condition; code is none."),
        ("Patient.name.exists(use)", "exists() takes a condition; code is none."),
        ("Patient.name.where(use.not())", "not() takes a condition; code is none."),
        ("Patient.where(name.given.contains('a'))", "There are 3 elements where contains() looks into one."),
        ("Patient.where('a' contains name.given)", "There are 3 elements where contains looks for one."),
        ("Patient.where(communication.preferred)", ""),
    ],
)
def test_what_does_not_go_with_the_type_or_the_resource_is_told(path: str, says: str) -> None:
    spoken: list[Any] = [{"preferred": True}, {"preferred": False}]
    with pytest.raises(Misfit) as refused:
        selected(path, PATIENT | {"communication": spoken})
    assert says in str(refused.value)


def test_names_are_checked_where_there_is_nothing_to_look_at() -> None:
    nothing: JsonObject = {"resourceType": "Patient"}
    assert selected("Patient.contact.telecom.where(system = 'phone').value", nothing) == []
    with pytest.raises(Misfit):
        selected("Patient.contact.telecom.where(sistem = 'phone').value", nothing)


@pytest.mark.parametrize(
    "broken",
    [
        {"name": "Anne"},
        {"name": [None, 1, "Anne", [[]]]},
        {"name": {"family": ["a"]}},
        {"name": [{"given": "a", "_given": "b"}]},
        {"_name": {"family": "a"}},
        {"extension": [{"valueQuantity": 3, "value": 4, "_": 5}]},
        {"contained": [{"resourceType": ["Patient"]}, "x", {}]},
        {"active": "yes"},
    ],
)
def test_a_resource_that_is_none_is_looked_at_all_the_same(broken: JsonObject) -> None:
    for path in ("name.family", "name.given.extension", "extension.value.value", "contained.id", "where(active).id"):
        compile_path(path, "Patient", MODEL).select({"resourceType": "Patient", **broken}, "Patient", Effort())


def test_a_long_path_is_no_deep_one() -> None:
    assert selected("$this" + ".where(true)" * 80) == ["Patient"]
    assert selected("Patient.where(" + " and ".join(["true"] * 100) + ")") == ["Patient"]


def test_the_work_for_one_request_is_bounded() -> None:
    many: JsonObject = {"resourceType": "Patient", "name": [{"family": "a"} for _ in range(5_000)]}
    path = "Patient.name.where(" + " or ".join(["family = 'b'"] * 60) + ")"
    before = time.process_time()
    with pytest.raises(TooMuch, match="more elements"):
        selected(path, many)
    assert time.process_time() - before < 20


def test_looking_into_a_long_text_is_work_too() -> None:
    resource: JsonObject = {"resourceType": "Patient", "name": [{"family": "a" * 100_000}]}
    path = compile_path("Patient.name.where(family.contains('b'))", "Patient", MODEL)
    assert path.select(resource, "Patient", Effort(1_000)) == []
    with pytest.raises(TooMuch):
        path.select(resource, "Patient", Effort(100))


def test_the_time_is_linear() -> None:
    def took(number: int) -> int:
        names: list[Any] = [{"family": f"a{one}", "given": ["b", "c"]} for one in range(number)]
        effort = Effort()
        path = compile_path("Patient.name.where(given.where($this = 'c').exists()).family", "Patient", MODEL)
        path.select({"resourceType": "Patient", "name": names}, "Patient", effort)
        return MOST_LOOKED_AT - effort._left

    assert took(2_000) < 2.1 * took(1_000)

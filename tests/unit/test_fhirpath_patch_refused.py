"""FHIRPath Patch: what is refused, with the operation it is about and a sentence; and its limits."""

from __future__ import annotations

import time
from typing import Any, Final

import pytest

from fhir_server.fhir.errors import Invalid, Unprocessable
from fhir_server.fhir.json import MAX_DEPTH, JsonObject, decode_lexical, encode_lexical
from fhir_server.fhir.outcome import IssueType
from fhir_server.fhirpath.node import Node
from fhir_server.interactions.fhirpath_edits import holder_of
from fhir_server.interactions.fhirpath_operations import MOST_OPERATIONS
from fhir_server.interactions.fhirpath_patch import apply
from tests.patches import (
    DEFINITIONS,
    Part,
    add,
    delete,
    insert,
    move,
    operation,
    parameters,
    part,
    patched,
    patient,
    refused,
    replace,
)

FULL: Final = patient(
    id="a",
    meta={"versionId": "1", "lastUpdated": "2020-01-01T00:00:00Z", "security": [{"code": "x"}]},
    active=True,
    deceasedBoolean=False,
    name=[{"family": "A", "given": ["B"]}, {"family": "C", "given": ["D", "E"]}],
    contact=[{"telecom": [{"value": "1"}]}, {"telecom": [{"value": "2"}]}],
)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        # what the path selects
        (replace("Patient.birthDate", valueDate="1980"), "The path selects no element."),
        (insert("Patient.photo", 0, valueAttachment={"size": 1}), "The path selects no element; add brings the first"),
        (move("Patient.photo", 0, 0), "The path selects no element; add brings the first"),
        (add("Patient.name", "use", valueCode="old"), "The path selects 2 elements; it must select one."),
        (replace("Patient.name.family", valueString="x"), "The path selects 2 elements; it must select one."),
        (delete("Patient.name"), "The path selects 2 elements; it must select one."),
        (insert("Patient.contact.telecom", 0, valueContactPoint={"value": "x"}), "elements of several arrays"),
        (insert("Patient.name.given", 0, valueString="x"), "elements of several arrays"),
        (insert("Patient.name[0]", 0, valueHumanName={"text": "x"}), "selects 1 of 2 elements"),
        (move("Patient.name.where(family = 'A')", 0, 0), "selects 1 of 2 elements"),
        (insert("Patient.active", 0, valueBoolean=True), "Patient.active does not repeat."),
        (move("Patient.active", 0, 0), "Patient.active does not repeat."),
        (move("Patient", 0, 0), "The path selects the whole resource"),
        (delete("Patient"), "The path selects the whole resource"),
        (replace("Patient", resource=patient()), "The path selects the whole resource"),
        # places
        (
            insert("Patient.name", 3, valueHumanName={"text": "x"}),
            "The index 3 is out of range: the array has 2 elements.",
        ),
        (insert("Patient.name[0].given", 2, valueString="x"), "The index 2 is out of range: the array has 1 element."),
        (insert("Patient.name", -1, valueHumanName={"text": "x"}), "The index -1 is out of range"),
        (move("Patient.name", 2, 0), "The source 2 is out of range"),
        (move("Patient.name", 0, 2), "The destination 2 is out of range"),
        (move("Patient.name", -1, 0), "The source -1 is out of range"),
        # names
        (add("Patient", "unheard", valueString="x"), "Patient has no element unheard."),
        (add("Patient", "deceasedBoolean", valueBoolean=True), "a choice without its type, deceased."),
        (add("Patient.contact[0]", "birthDate", valueDate="1980"), "Patient.contact has no element birthDate."),
        (add("Patient.active", "value", valueBoolean=True), "boolean has no element value."),
        (delete("Patient.unheard"), "Patient has no element unheard."),
        (delete("Observation.status"), "Patient is never of the type Observation."),
        # what is there already
        (add("Patient", "active", valueBoolean=True), "Patient.active does not repeat, and is there already"),
        (add("Patient", "deceased", valueDateTime="2020"), "Patient.deceased[x] does not repeat, and is there already"),
        # the type of the value
        (replace("Patient.active", valueString="true"), "Patient.active has the type boolean, not string."),
        (
            replace("Patient.active", valueBoolean="true"),
            "The value for Patient.active is not written as a boolean is.",
        ),
        (replace("Patient.active", valueBoolean=None), "The value for Patient.active is not written as a boolean is."),
        (
            replace("Patient.name[0]", valueHumanName="x"),
            "is not written as a HumanName is.",
        ),
        (
            replace("Patient.name[0]", valueHumanName={"text": "x"}, _valueHumanName={"id": "x"}),
            "is not written as a HumanName is.",
        ),
        (replace("Patient.active", valueBoolean=True, _valueBoolean="x"), "is not written as a boolean is."),
        (
            replace("Patient.deceased", valueInteger=1),
            "Patient.deceased[x] has the type boolean or dateTime, not integer.",
        ),
        (add("Patient", "gender", valueString="male"), "Patient.gender has the type code, not string."),
        (add("Patient", "birthDate", valueDateTime="2020-01-01"), "Patient.birthDate has the type date, not dateTime."),
        (add("Patient", "multipleBirth", valueInteger=True), "is not written as a integer is."),
        (add("Patient", "multipleBirth", valueInteger="1"), "is not written as a integer is."),
        (add("Patient", "gender", valueCode=1), "is not written as a code is."),
        (add("Patient", "contact", valueHumanName={}), "Patient.contact has the type Patient.contact, not HumanName."),
        (add("Patient", "extension", valueExtension={"url": "x"}), "valueExtension is no value[x] of Parameters in R4"),
        (
            add("Patient", "extension", part=[part("value", valueString="x"), part("value", valueString="y")]),
            "Extension.value[x] does not repeat",
        ),
        (add("Patient", "contact", part=[]), "The value for Patient.contact has no part."),
        (add("Patient", "contact", part={}), "The value for Patient.contact has no part."),
        (add("Patient", "contact", part=[1]), "A part of the value for Patient.contact has no name."),
        (add("Patient", "contact", part=[{"name": 1}]), "A part of the value for Patient.contact has no name."),
        (add("Patient", "contact", part=[part("x", valueCode="y")]), "Patient.contact has no element x."),
        (
            add("Patient", "contact", part=[part("gender")]),
            "for Patient.contact.gender must be told once; it is told by nothing.",
        ),
        (replace("Patient.active", part=[part("x", valueCode="y")]), "Patient.active is not told by parts."),
        (replace("Patient.deceased", part=[part("x", valueCode="y")]), "Patient.deceased[x] is not told by parts."),
        (add("Patient", "contained", part=[part("id", valueCode="y")]), "contained is not told by parts."),
        (add("Patient", "contained", valueString="y"), "contained has the type Resource, not string."),
        (add("Patient", "contained", resource={"resourceType": "Unheard"}), "is no resource of R4."),
        (add("Patient", "contained", resource={"resourceType": ["Patient"]}), "is no resource of R4."),
        (add("Patient", "contained", resource="Patient"), "is no resource of R4."),
        (add("Patient", "photo", resource=patient()), "Patient.photo does not hold a resource."),
        (
            add("Patient", "gender", valueCode="male", valueString="x"),
            "must be told once; it is told by valueCode, valueString.",
        ),
        (add("Patient", "gender", valueCode="male", part=[]), "must be told once; it is told by part, valueCode."),
        (add("Patient", "gender", _part=[]), "part is no value[x]"),
        # what is the server's
        (replace("Patient.id", valueId="b"), "The id of a resource is not changed by a patch."),
        (delete("Patient.id"), "The id of a resource is not changed by a patch."),
        (add("Patient", "id", valueId="b"), "The id of a resource is not changed by a patch."),
        (
            add("Patient.id", "extension", part=[part("url", valueUri="x")]),
            "The id of a resource is not changed by a patch.",
        ),
        (delete("Patient.meta"), "meta is not replaced or deleted as a whole"),
        (replace("Patient.meta", valueMeta={"versionId": "2"}), "meta is not replaced or deleted as a whole"),
        (
            replace("Patient.meta.versionId", valueId="2"),
            "The versionId of meta of a resource is not changed by a patch.",
        ),
        (delete("Patient.meta.lastUpdated"), "The lastUpdated of meta of a resource is not changed by a patch."),
        (delete("Patient.resourceType"), "Patient has no element resourceType."),
    ],
)
def test_what_does_not_fit_the_resource(change: Part, says: str) -> None:
    error = refused(FULL, delete("Patient.photo"), change)
    assert isinstance(error, Unprocessable)
    assert says in str(error)
    assert str(error).startswith("Operation 1 (")
    assert error.issues[0].expression == ("Parameters.parameter[1]",)


def test_meta_is_changed_in_its_parts() -> None:
    after = patched(
        FULL,
        add("Patient.meta", "security", valueCoding={"code": "y"}),
        add("Patient.meta", "tag", valueCoding={"code": "z"}),
        add("Patient.meta", "profile", valueCanonical="https://a.example"),
    )
    meta: Any = after["meta"]
    assert (meta["security"], meta["tag"], meta["profile"]) == (
        [{"code": "x"}, {"code": "y"}],
        [{"code": "z"}],
        ["https://a.example"],
    )
    assert patched(patient(), add("Patient", "meta", valueMeta={"tag": [{"code": "x"}]})) == patient(
        meta={"tag": [{"code": "x"}]}
    )


def test_a_path_that_is_not_understood() -> None:
    error = refused(FULL, delete("Patient.photo"), delete("Patient.name.repeat(given)"))
    assert isinstance(error, Invalid)
    assert "Operation 1 (delete Patient.name.repeat(given)): repeat() is not understood in a path" in str(error)
    assert error.issues[0].expression == ("Parameters.parameter[1]",)
    # said before anything is looked at
    assert isinstance(refused(FULL, delete("Patient.name"), delete("Patient.")), Invalid)
    long = refused(FULL, delete(f"Patient.{'name.' * 300}"))
    assert "1,508" not in str(long)
    assert "characters" in str(long)
    assert len(str(long)) < 300


FIRST: Final = "Parameters.parameter[0]"


def told(*parts: Any) -> dict[str, Any]:
    """A patch of one operation of these parts."""
    return parameters({"name": "operation", "part": [*parts]})


@pytest.mark.parametrize(
    ("patch", "says", "where"),
    [
        ({}, "the body is no FHIR resource", "resourceType"),
        ({"resourceType": 1}, "the body is no FHIR resource", "resourceType"),
        (patient(), "the body is a Patient", "resourceType"),
        ({"resourceType": "Parameters", "contained": []}, "contained is not read here", "Parameters.contained"),
        ({"resourceType": "Parameters", "parameter": []}, "an array of operations", "Parameters.parameter"),
        ({"resourceType": "Parameters", "parameter": {}}, "an array of operations", "Parameters.parameter"),
        ({"resourceType": "Parameters", "parameter": None}, "an array of operations", "Parameters.parameter"),
        (parameters(1), "has the name operation", f"{FIRST}.name"),
        (parameters({}), "has the name operation", f"{FIRST}.name"),
        (parameters({"name": "change", "part": []}), "has the name operation", f"{FIRST}.name"),
        (parameters({"name": "operation"}), "told by its parts alone", FIRST),
        (parameters({"name": "operation", "valueCode": "add"}), "told by its parts alone", FIRST),
        (parameters({"name": "operation", "part": [], "extension": []}), "by its parts alone", FIRST),
        (parameters({"name": "operation", "part": {}}), "are an array", f"{FIRST}.part"),
        (told(), "The part type is missing", FIRST),
        (told(1), "Each part has a name", f"{FIRST}.part[0]"),
        (told({"name": 1}), "Each part has a name", f"{FIRST}.part[0]"),
        (
            parameters(operation("explode", "Patient")),
            "'explode' is none of add, insert, delete, replace, move.",
            FIRST,
        ),
        (
            parameters(delete("Patient.name"), operation("delete", "Patient", part("path", valueString="x"))),
            "'path' is told twice",
            "Parameters.parameter[1].part[2]",
        ),
        (parameters(operation("delete", "Patient", index=1)), "delete takes no part 'index'; it takes path.", FIRST),
        (
            parameters(operation("delete", "Patient", part("unheard", valueString="x"))),
            "takes no part 'unheard'",
            FIRST,
        ),
        (
            parameters(operation("move", "Patient.name", source=1)),
            "The part destination is missing, which move needs",
            FIRST,
        ),
        (parameters(operation("move", "Patient.name", destination=1)), "The part source is missing", FIRST),
        (parameters(operation("insert", "Patient.name", valueHumanName={})), "The part index is missing", FIRST),
        (parameters(operation("insert", "Patient.name", index=1)), "The part value is missing", FIRST),
        (parameters(operation("replace", "Patient.name")), "The part value is missing", FIRST),
        (parameters(operation("add", "Patient", valueString="x")), "The part name is missing", FIRST),
        (told(part("type", valueCode="delete")), "The part path is missing", FIRST),
        (told(part("type", valueString="delete")), "The part type is told by valueCode.", f"{FIRST}.part[0]"),
        (told(part("type")), "The part type is told by valueCode.", f"{FIRST}.part[0]"),
        (told(part("type", valueCode=1)), "The part type is told by valueCode.", f"{FIRST}.part[0]"),
        (
            told(part("type", valueCode="delete"), part("path", valueString="")),
            "The part path is told by valueString.",
            f"{FIRST}.part[1]",
        ),
        (
            parameters(operation("insert", "Patient.name", part("index", valueDecimal=1), valueHumanName={})),
            "The part index is told by valueInteger.",
            f"{FIRST}.part[3]",
        ),
        (
            parameters(operation("insert", "Patient.name", part("index", valueInteger=True), valueHumanName={})),
            "The part index is told by valueInteger.",
            f"{FIRST}.part[3]",
        ),
        (parameters(operation("delete", "Patient", part("x" * 99, valueString="x"))), f"'{'x' * 60}'", FIRST),
    ],
)
def test_what_is_no_patch(patch: JsonObject, says: str, where: str) -> None:
    with pytest.raises(Invalid) as refusal:
        apply(FULL, patch, DEFINITIONS)
    assert says in str(refusal.value)
    assert refusal.value.issues[0].expression == (where,)


def test_a_patch_may_say_what_a_resource_may() -> None:
    patch = {**parameters(delete("Patient.active")), "id": "x", "meta": {}, "language": "fr"}
    assert "active" not in apply(FULL, patch, DEFINITIONS)
    special = operation("insert", "Patient.name", part("index", valuePositiveInt=2), valueHumanName={"text": "x"})
    assert len(patched(FULL, special)["name"]) == 3  # type: ignore[arg-type]


@pytest.mark.parametrize("resource", [{}, {"resourceType": "Unheard"}, {"resourceType": ["Patient"]}])
def test_what_is_no_resource(resource: JsonObject) -> None:
    assert "no resource of R4" in str(refused(resource, delete("Patient.name")))


def test_a_resource_has_no_place_in_another() -> None:
    with pytest.raises(ValueError, match="a member of nothing"):
        holder_of(Node({}, "Patient"))


# Limits


def test_the_number_of_operations_is_bounded() -> None:
    assert patched(FULL, *[delete("Patient.photo")] * MOST_OPERATIONS) == FULL
    error = refused(FULL, *[delete("Patient.photo")] * (MOST_OPERATIONS + 1))
    assert str(error) == "The patch has 101 operations; this server takes 100."
    assert error.issues[0].code is IssueType.TOO_COSTLY


def nested(levels: int) -> dict[str, Any]:
    """An extension so many objects deep."""
    told: dict[str, Any] = {"url": "x"}
    for _ in range(levels - 1):
        told = {"url": "x", "extension": [told]}
    return told


def test_the_result_is_nested_no_deeper_than_a_body_may_be() -> None:
    half = (MAX_DEPTH - 1) // 2
    deepest = ".".join(["Patient", *["extension[0]"] * half])
    resource = patient(extension=[nested(half)])
    fits = patched(
        resource,
        add(".".join(["Patient", *["extension[0]"] * (half - 1)]), "extension", part=[part("url", valueUri="y")]),
    )
    decode_lexical(encode_lexical(fits))
    for change in (
        add(deepest, "extension", part=[part("url", valueUri="y")]),
        add(deepest, "value", valueCodeableConcept={"coding": [{"code": "x"}]}),
        replace(f"{deepest}.url", valueUri="y", _valueUri={"extension": [{"url": "x", "extension": [{"url": "x"}]}]}),
    ):
        error = refused(resource, change)
        assert "nested deeper than this server accepts" in str(error)
        assert error.issues[0].code is IssueType.TOO_COSTLY
    parts: list[Part] = [part("url", valueUri="y")]
    for _ in range(40):
        parts = [part("extension", part=parts)]
    assert "nested deeper" in str(refused(patient(), add("Patient", "extension", part=parts)))
    assert "nested too deeply to be patched" in str(refused(patient(extension=[nested(60)]), delete("Patient.photo")))


def test_the_work_of_all_paths_together_is_bounded() -> None:
    many = patient(name=[{"family": "a"} for _ in range(2_000)])
    costly = delete("Patient.name.where(" + " or ".join(["family = 'b'"] * 20) + ")")
    assert patched(many, costly) == many
    error = refused(many, *[costly] * 20)
    assert "more elements of the resource than this server does at once" in str(error)
    assert error.issues[0].code is IssueType.TOO_COSTLY


def test_a_value_of_many_parts_takes_time_in_proportion() -> None:
    def took(number: int) -> float:
        parts = [part("given", valueString="a") for _ in range(number)]
        began = time.process_time()
        apply(patient(), parameters(add("Patient", "name", part=parts)), DEFINITIONS)
        return time.process_time() - began

    took(100)
    assert took(40_000) < 20 * took(10_000) + 0.5


def test_an_element_is_added_to_an_object_alone() -> None:
    broken = patient(contact=["x"])
    assert "is not written as a Patient.contact is" in str(
        refused(broken, add("Patient.contact[0]", "gender", valueCode="x"))
    )

"""The capability statement against reality: what it declares is done, what it does not is refused.

https://hl7.org/fhir/R4/capabilitystatement.html
"""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from fhir.resources.R4B.capabilitystatement import CapabilityStatement

from fhir_server.definitions.load import load
from fhir_server.fhir.json import decode
from fhir_server.http.routes import ON_CONDITION, SHAPES, Interaction
from fhir_server.validation.structure import Validator
from tests.answers import refused
from tests.minimal import minimal, types
from tests.served import FHIR_JSON, Served

VALUES = {
    "token": "a",
    "reference": "a",
    "string": "a",
    "date": "2026",
    "uri": "urn:a",
    "number": "5",
    "quantity": "5",
}
"""A value that a parameter of each type can take."""

COMPOSITES = {
    "quantity": "a$5",
    "coordinate": "a$5$5",
    "date": "a$2026",
    "relationship": "a$DocumentReference/a",
}
"""The same of composites, by the last word of their name; of all others two codes."""


@pytest.fixture(scope="module")
def client(served: Served) -> httpx.Client:
    return served.as_("conformance")


@pytest.fixture(scope="module")
def answer(served: Served) -> httpx.Response:
    with served.client() as nobody:
        return nobody.get("metadata")


@pytest.fixture(scope="module")
def rest(answer: httpx.Response) -> Any:
    (one,) = answer.json()["rest"]
    return one


def interactions(declared: dict[str, Any]) -> set[str]:
    return {one["code"] for one in declared["interaction"]}


def on_condition(declared: dict[str, Any]) -> set[str]:
    """What a type declares to do on a condition; R4 has no flag for patch."""
    told: set[str] = set()
    if declared["conditionalUpdate"]:
        told |= {"update", "patch"} & interactions(declared)
    return told if declared["conditionalDelete"] == "not-supported" else told | {"delete"}


def test_it_is_a_valid_resource(answer: httpx.Response) -> None:
    assert Validator(load()).validate(decode(answer.content)) == []
    statement = CapabilityStatement.model_validate(json.loads(answer.content))
    assert (statement.kind, statement.fhirVersion) == ("instance", "4.0.1")


def test_it_names_this_server(served: Served, answer: httpx.Response) -> None:
    assert answer.json()["implementation"]["url"] == served.base


def test_it_declares_every_type_once(rest: dict[str, Any]) -> None:
    assert [one["type"] for one in rest["resource"]] == list(types())


@pytest.mark.parametrize("type", types())
def test_an_interaction_is_offered_exactly_when_declared(client: httpx.Client, rest: dict[str, Any], type: str) -> None:
    """By the Allow of each path, which `OPTIONS` (never offered) asks for."""
    resource = next(one for one in rest["resource"] if one["type"] == type)
    declared = interactions(resource)
    conditional = [ON_CONDITION[Interaction(code)] for code in on_condition(resource)]
    paths = {"type": type, "type/_search": f"{type}/_search", "type/_history": f"{type}/_history"}
    paths |= {shape: shape.replace("type/id", f"{type}/a") for shape in ("type/id", "type/id/_history")}
    paths["type/id/_history/vid"] = f"{type}/a/_history/1"
    for shape, path in paths.items():
        shapes = [one for code in declared for one in SHAPES[Interaction(code)]]
        expected = {method for method, where in (*shapes, *conditional) if where == shape}
        response = client.options(path)
        if expected:
            refused(response, 405, "not-supported")
            assert set(response.headers["allow"].split(", ")) == expected, path
        else:
            refused(response, 404, "not-found")


def test_interactions_of_the_system(client: httpx.Client, rest: dict[str, Any]) -> None:
    assert interactions(rest) == {"batch", "transaction", "search-system", "history-system"}
    assert set(client.options("").headers["allow"].split(", ")) == {"GET", "HEAD", "POST"}
    assert client.get("", params={"_id": "absent"}).status_code == 200
    assert client.get("_history", params={"_count": "1"}).status_code == 200


@pytest.mark.parametrize("type", types())
def test_a_search_parameter_is_taken_exactly_when_declared(
    client: httpx.Client, rest: dict[str, Any], type: str
) -> None:
    """All those declared in one search; those of R4 that are not declared in another, each of them refused."""
    declared = next(one for one in rest["resource"] if one["type"] == type)
    names: dict[str, str] = {one["name"]: one["type"] for one in declared["searchParam"]}
    composites = {name: COMPOSITES.get(name.rpartition("-")[2], "a$a") for name in names}
    asked: list[tuple[str, str | int | float | bool | None]] = [
        (name, VALUES.get(kind, composites[name])) for name, kind in names.items()
    ]
    strict = {"Prefer": "handling=strict"}
    for first in range(0, len(asked), 90):
        answer = client.get(type, params=asked[first : first + 90], headers=strict)
        assert answer.status_code == 200, answer.text
        assert [issue for entry in answer.json().get("entry", []) for issue in entry.get("issue", [])] == []

    everywhere = {one["name"] for one in rest["searchParam"]}
    others = [name for name in load().search_parameters[type] if name not in names and name not in everywhere]
    answer = client.get(type, params=[(name, "1") for name in others], headers=strict)
    refused(answer, 400, "not-supported")
    told = answer.json()["issue"]
    assert {issue["code"] for issue in told} == {"not-supported"}
    assert sorted(issue["expression"][0] for issue in told) == sorted(f"http.{name}" for name in others)


def test_what_every_search_takes(client: httpx.Client, rest: dict[str, Any]) -> None:
    values = {"_filter": "_id eq a", "_has:Observation:subject:status": "final", "_list": "a", "_type": "Patient,Group"}
    declared = {one["name"] for one in rest["searchParam"]}
    asked: list[tuple[str, str | int | float | bool | None]] = [
        *((name, values.pop(name, "2026")) for name in sorted(declared) if name != "_has"),
        *values.items(),
    ]
    answer = client.get("", params=asked, headers={"Prefer": "handling=strict"})
    assert answer.status_code == 200, answer.text
    assert answer.json()["total"] == 0


@pytest.mark.parametrize("type", ["Device", "Encounter", "Patient", "Practitioner", "RelatedPerson"])
def test_a_compartment_is_declared_and_there(client: httpx.Client, rest: dict[str, Any], type: str) -> None:
    name = type[0].lower() + type[1:]
    assert f"http://hl7.org/fhir/CompartmentDefinition/{name}" in rest["compartment"]
    for path in (f"{type}/absent/*", f"{type}/absent/Communication"):
        assert client.get(path).json()["total"] == 0
    refused(client.get(f"{type}/absent/Binary"), 404, "not-found")


def test_what_is_no_compartment_is_not_there(client: httpx.Client, rest: dict[str, Any]) -> None:
    assert len(rest["compartment"]) == 5
    refused(client.get("Organization/absent/Encounter"), 404, "not-found")
    refused(client.get("Organization/absent/*"), 404, "not-found")


@pytest.mark.parametrize("type", ["Patient", "DocumentReference", "Observation", "List", "Practitioner"])
def test_what_may_be_included(client: httpx.Client, rest: dict[str, Any], type: str) -> None:
    declared = next(one for one in rest["resource"] if one["type"] == type)
    strict = {"Prefer": "handling=strict"}
    for name, told in (("_include", "searchInclude"), ("_revinclude", "searchRevInclude")):
        wanted = [(name, value) for value in declared.get(told, ())]
        for first in range(0, len(wanted), 90):
            answer = client.get(type, params=[("_id", "absent"), *wanted[first : first + 90]], headers=strict)
            assert answer.status_code == 200, answer.text


def test_what_is_offered_on_a_condition(rest: dict[str, Any]) -> None:
    """Whatever can be updated, patched or deleted by id; nothing of the trail, and no Consent is ever deleted."""
    told = {one["type"]: on_condition(one) for one in rest["resource"]}
    assert (told.pop("AuditEvent"), told.pop("Consent")) == (set(), {"update", "patch"})
    assert all(one == {"update", "patch", "delete"} for one in told.values())


def test_flags_of_a_type(client: httpx.Client, rest: dict[str, Any]) -> None:
    """What the statement says besides the interactions is what `conditional create` and the others do."""
    (declared,) = (one for one in rest["resource"] if one["type"] == "Basic")
    assert declared["versioning"] == "versioned-update"
    assert declared["conditionalCreate"] is True
    assert declared["conditionalUpdate"] is True
    assert declared["conditionalDelete"] == "single"
    refused(client.delete("Basic?code=http-flags"), 404, "not-found")
    assert declared["conditionalRead"] == "full-support"
    assert declared["readHistory"] is True


@pytest.mark.parametrize(
    "operation", ["$everything", "Group/demo-1/$everything", "Patient/$match", "$meta", "Basic/$x"]
)
def test_an_operation_that_is_not_declared_is_not_there(client: httpx.Client, operation: str) -> None:
    refused(client.get(operation), 404, "not-found")
    refused(client.post(operation, json=minimal("Parameters"), headers=FHIR_JSON), 404, "not-found")

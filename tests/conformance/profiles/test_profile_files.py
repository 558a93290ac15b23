"""The profiles as files, and whether a case breaks each of their constraints."""

from __future__ import annotations

from typing import Any

import pytest

from fhir_server.fhir import json
from tests.conformance.profiles.harness import (
    CASES,
    DEFINITIONS,
    Table,
    constraints,
    definitions,
    is_told_there,
    tables,
)

FILES = sorted(DEFINITIONS.glob("*.json"))
README = DEFINITIONS.parent / "README.md"
DEFINED = list(definitions().values())
OTHERS = [
    json.decode_object(file.read_bytes())
    for kind in ("SearchParameter", "OperationDefinition")
    for file in sorted((DEFINITIONS.parent / kind).glob("*.json"))
]


def name_of(definition: dict[str, Any]) -> str:
    return str(definition["id"])


@pytest.mark.parametrize("definition", DEFINED, ids=name_of)
def test_a_definition_is_a_differential_with_its_own_words(definition: dict[str, Any]) -> None:
    assert definition["resourceType"] == "StructureDefinition"
    assert "snapshot" not in definition
    assert definition["url"].rpartition("/")[2] == definition["id"]
    assert definition["fhirVersion"] == "4.0.1"
    for required in ("version", "name", "title", "status", "description", "kind", "type", "baseDefinition"):
        assert definition[required], required
    assert definition["derivation"] == "constraint"
    root = definition["differential"]["element"][0]
    assert root["id"] == root["path"] == definition["type"]


def test_a_file_is_named_for_its_definition() -> None:
    assert {file.stem for file in FILES} == {definition["id"] for definition in DEFINED}
    assert len(FILES) == len(DEFINED)


@pytest.mark.parametrize("definition", [*DEFINED, *OTHERS], ids=name_of)
def test_the_readme_names_a_definition_and_its_version(definition: dict[str, Any]) -> None:
    lines = [line for line in README.read_text(encoding="utf-8").splitlines() if f"| `{definition['id']}` |" in line]

    assert len(lines) == 1
    assert f"| {definition['version']} |" in lines[0]


@pytest.mark.parametrize("definition", DEFINED, ids=name_of)
def test_ids_of_elements_follow_their_paths(definition: dict[str, Any]) -> None:
    for element in definition["differential"]["element"]:
        steps = [step.partition(":")[0] for step in element["id"].split(".")]
        assert ".".join(steps) == element["path"]
        assert element.get("sliceName", "") == element["id"].rpartition(".")[2].partition(":")[2]


@pytest.mark.parametrize("definition", DEFINED, ids=name_of)
def test_a_definition_has_cases(definition: dict[str, Any]) -> None:
    assert (CASES / f"{definition['id']}.json").exists()


@pytest.mark.parametrize("table", tables(), ids=lambda table: table.url.rpartition("/")[2])
def test_each_constraint_has_a_case_that_breaks_it(table: Table) -> None:
    asked = set(constraints(definitions()[table.url]))
    broken = {constraint for case in table.rejected for constraint in case.breaks}

    assert table.accepted
    assert asked - broken == set(table.left), "no case breaks these, or a case breaks what is said to be left"
    assert broken <= asked, "nothing asks for these"
    assert all(table.left.values())


@pytest.mark.parametrize("table", tables(), ids=lambda table: table.url.rpartition("/")[2])
def test_a_case_breaks_what_it_says(table: Table) -> None:
    claims = [(constraint, case) for case in table.rejected for constraint in case.breaks]

    assert [
        (constraint, case.rule, case.at) for constraint, case in claims if not is_told_there(case, constraint)
    ] == []

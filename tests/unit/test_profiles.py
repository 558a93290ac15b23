"""The SearchParameters of PDSm, MHD and TdE that the server adds to those of R4."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fhir.resources.R4B.searchparameter import SearchParameter

from fhir_server.definitions import load as definitions

FOLDER = Path(__file__).parents[2] / "profiles" / "SearchParameter"
FILES = sorted(FOLDER.glob("*.json"))


def read(path: Path) -> dict[str, Any]:
    resource: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return resource


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_each_is_a_complete_search_parameter(path: Path) -> None:
    resource = read(path)
    SearchParameter.model_validate(resource)
    assert resource["id"] == path.stem == resource["url"].rpartition("/")[2]
    assert resource["status"] == "active"
    # Each alternative is rooted in a base type, in their order, so that it compiles for that type alone.
    roots = [alternative.strip().partition(".")[0] for alternative in resource["expression"].split("|")]
    assert list(dict.fromkeys(roots)) == resource["base"]


def test_codes_are_those_of_the_transactions() -> None:
    """ITI-66, ITI-67, the search of traces, uniqueId, names of roles, appointments, value sets of code systems."""
    found = {(base, each["code"], each["type"]) for each in map(read, FILES) for base in each["base"]}
    assert found == {
        ("DocumentReference", "isArchived", "token"),
        ("List", "isArchived", "token"),
        ("DocumentReference", "period-start", "date"),
        ("DocumentReference", "period-end", "date"),
        ("DocumentReference", "creation", "date"),
        ("List", "designationType", "token"),
        ("List", "sourceId", "token"),
        ("List", "authorOrg", "reference"),
        ("AuditEvent", "period-start", "date"),
        ("DocumentReference", "masterIdentifier", "token"),
        ("PractitionerRole", "name", "string"),
        ("PractitionerRole", "family", "string"),
        ("PractitionerRole", "given", "string"),
        ("Appointment", "created", "date"),
        ("Appointment", "description", "string"),
        ("Appointment", "priority", "number"),
        ("Appointment", "start", "date"),
        ("CodeSystem", "valueset", "uri"),
    }


def test_none_takes_the_place_of_a_parameter_of_r4() -> None:
    standard = definitions.load().search_parameters
    for each in map(read, FILES):
        for base in each["base"]:
            assert each["code"] not in standard[base], (base, each["code"])

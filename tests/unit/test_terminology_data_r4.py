"""The code systems and value sets of R4 that `tools/compile_r4.py` takes from the package of HL7."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from fhir_server.definitions import rows
from fhir_server.definitions.load import committed, load
from tools import r4_terminology

ABSENT = {
    "http://hl7.org/fhir/ValueSet/dicom-cid29",
    "http://hl7.org/fhir/ValueSet/usps-state",
}
"""Value sets that those of the package name and that it does not hold."""

NOT_OF_HL7 = {"http://loinc.org/vs/LL379-9"}
"""Required of MolecularSequence.structureVariant.variantType, and published by LOINC alone."""


@pytest.fixture(scope="module")
def resources() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(gzip.decompress(committed(rows.TERMINOLOGY)))
    return found


@pytest.fixture(scope="module")
def by_url(resources: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {resource["url"]: resource for resource in resources}


def test_everything_of_the_package_is_there_and_each_url_once(
    resources: list[dict[str, Any]], by_url: dict[str, dict[str, Any]]
) -> None:
    kinds = [resource["resourceType"] for resource in resources]
    assert (kinds.count("CodeSystem"), kinds.count("ValueSet")) == (1062, 1316)
    assert len(by_url) == len(resources)
    assert all(resource["status"] in {"active", "draft"} for resource in resources)


def test_value_sets_import_only_what_is_there(by_url: dict[str, dict[str, Any]]) -> None:
    imported = {
        canonical.partition("|")[0]
        for resource in by_url.values()
        for part in resource.get("compose", {}).get("include", [])
        for canonical in part.get("valueSet", [])
    }
    assert imported - by_url.keys() == ABSENT


def test_every_required_binding_of_a_type_is_there(by_url: dict[str, dict[str, Any]]) -> None:
    bound = {
        element.binding.value_set
        for structure in load().structures.values()
        for element in structure.elements
        if element.binding is not None
    }
    assert bound
    assert bound - by_url.keys() == NOT_OF_HL7


def test_what_a_code_means_is_kept_and_what_explains_it_is_not(by_url: dict[str, dict[str, Any]]) -> None:
    gender = by_url["http://hl7.org/fhir/administrative-gender"]
    assert gender["content"] == "complete"
    assert gender["caseSensitive"] is True
    assert {"code": "female", "display": "Female"} in gender["concept"]
    assert {"system": "urn:ietf:rfc:3986", "value": "urn:oid:2.16.840.1.113883.4.642.4.2"} in gender["identifier"]


def test_a_hierarchy_is_kept(by_url: dict[str, dict[str, Any]]) -> None:
    """ETREAT and BTG are beneath TREAT's parent; a value set of purposes of use says so with `is-a`."""
    system = by_url["http://terminology.hl7.org/CodeSystem/v3-ActReason"]
    purpose = by_url["http://terminology.hl7.org/ValueSet/v3-PurposeOfUse"]
    assert {"ETREAT", "BTG", "TREAT"} <= set(codes(below(system["concept"], "PurposeOfUse")))
    assert purpose["compose"]["include"][0]["filter"] == [
        {"property": "concept", "op": "is-a", "value": "PurposeOfUse"}
    ]


def test_a_system_that_is_not_shipped_says_so(by_url: dict[str, dict[str, Any]]) -> None:
    assert by_url["http://snomed.info/sct"]["content"] == "not-present"
    assert "http://loinc.org" not in by_url


def below(concepts: list[dict[str, Any]], code: str) -> list[dict[str, Any]]:
    for concept in concepts:
        if concept["code"] == code:
            return [concept]
        if found := below(concept.get("concept", []), code):
            return found
    return []


def codes(concepts: list[dict[str, Any]]) -> list[str]:
    return [code for each in concepts for code in [each["code"], *codes(each.get("concept", []))]]


# The tool


def test_a_resource_is_cut_to_what_is_read() -> None:
    package: dict[str, dict[str, Any]] = {
        "CodeSystem": {
            "u": {
                "resourceType": "CodeSystem",
                "url": "u",
                "text": {"status": "generated"},
                "content": "complete",
                "property": [{"code": "p", "type": "code", "description": "d"}],
                "concept": [{"code": "a", "definition": "d", "concept": [{"code": "b", "designation": []}]}],
            }
        },
        "ValueSet": {
            "v": {
                "resourceType": "ValueSet",
                "url": "v",
                "compose": {
                    "inactive": False,
                    "include": [{"system": "u", "version": "1", "concept": [{"code": "a", "designation": []}]}],
                    "exclude": [{"valueSet": ["w"]}],
                },
            }
        },
    }
    assert list(r4_terminology.terminology(package)) == [
        {
            "resourceType": "CodeSystem",
            "url": "u",
            "content": "complete",
            "property": [{"code": "p", "type": "code"}],
            "concept": [{"code": "a", "concept": [{"code": "b"}]}],
        },
        {
            "resourceType": "ValueSet",
            "url": "v",
            "compose": {
                "inactive": False,
                "include": [{"system": "u", "version": "1", "concept": [{"code": "a"}]}],
                "exclude": [{"valueSet": ["w"]}],
            },
        },
    ]


def test_an_include_that_is_not_understood_stops_the_tool() -> None:
    with pytest.raises(SystemExit, match="copyright"):
        r4_terminology.part_of_composition({"system": "u", "copyright": "c"})


def test_the_same_content_gives_the_same_bytes_whatever_the_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    first = r4_terminology.compressed(b"content")
    monkeypatch.setattr("time.time", lambda: 2_000_000_000.0)
    assert r4_terminology.compressed(b"content") == first

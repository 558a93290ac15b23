"""FHIR packages are read strictly: what cannot be installed is refused with the file that is wrong."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fhir_server.definitions import packages
from fhir_server.definitions.packages import TERMINOLOGY, BadPackage, read_package
from tests.packing import VALUE_SET, packed


def test_what_defines_is_kept_and_the_rest_is_not() -> None:
    package = read_package(
        packed(
            {
                "ValueSet-x.json": VALUE_SET,
                "Patient-x.json": {"resourceType": "Patient", "id": "x"},
                ".index.json": {"files": []},
                "example/ValueSet-y.json": VALUE_SET | {"id": "y"},
                "ImplementationGuide-x.json": {"resourceType": "ImplementationGuide", "id": "x", "url": "urn:ig"},
            }
        )
    )
    assert (package.name, package.version) == ("an.example", "1.2.3")
    assert [one.key for one in package.definitions] == ["ImplementationGuide/x", "ValueSet/x"]
    assert [one.key for one in package.only(TERMINOLOGY).definitions] == ["ValueSet/x"]


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"no archive", "not a .tgz"),
        (packed({}, manifest=None), "no package/package.json"),
        (packed({}, manifest={"name": "a"}), "package.json: it has no name or no version"),
        (packed({}, manifest={"name": "a", "version": "1", "fhirVersions": ["5.0.0"]}), "is for FHIR 5.0.0"),
        (packed({"a.json": VALUE_SET | {"id": None}}), "a.json: it has no id"),
        (packed({"a.json": VALUE_SET | {"url": None}}), "a.json: it has no url"),
        (packed({"a.json": VALUE_SET, "b.json": VALUE_SET}), "b.json: ValueSet/x is in a.json already"),
        (packed({"a.json": b"{"}), "a.json: "),
        (packed({"a.json": b"[]"}), "a.json: "),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_what_is_no_package_is_refused(data: bytes, sentence: str) -> None:
    with pytest.raises(BadPackage, match=sentence):
        read_package(data)


@pytest.mark.parametrize(("limit", "sentence"), [("MOST_BYTES", "unpacks to more"), ("MOST_OF_ONE", "can be kept")])
def test_what_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch, limit: str, sentence: str) -> None:
    data = packed({"a.json": VALUE_SET})
    monkeypatch.setattr(packages, limit, 40)
    with pytest.raises(BadPackage, match=sentence):
        read_package(data)


def test_numbers_keep_their_form() -> None:
    told: dict[str, Any] = VALUE_SET | {"expansion": "put in below"}
    body = json.dumps(told).replace(
        '"put in below"', '{"timestamp":"2026-01-01","parameter":[{"name":"n","valueDecimal":1.10}]}'
    )
    (one,) = read_package(packed({"a.json": body.encode()})).definitions
    assert "1.10" in str(one.resource["expansion"])

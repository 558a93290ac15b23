"""What a resource points to: every place where a URL may stand is looked at."""

from __future__ import annotations

from typing import Any, Final

import pytest

from fhir_server.definitions.load import load
from fhir_server.record.elements import ABOUT, DIRECTORY
from fhir_server.record.pointers import MEMBERS, about, pointers, target

BASE: Final = "https://dmp.example/fhir"
OF_DEFINITIONS: Final = frozenset(
    (
        "code contentReference defaultValueCanonical defaultValueUri defaultValueUrl fixedCanonical fixedUri fixedUrl "
        "implicitRules patternCanonical patternUri patternUrl profile system targetProfile type valueSet"
    ).split()
)
"""Members that name a code system, a value set, a profile, or a value in a definition."""


def test_every_member_that_may_hold_a_url_is_known() -> None:
    uses = {
        element.json_name(use.code)
        for structure in load().structures.values()
        if structure.name.partition(".")[0] not in DIRECTORY
        for element in structure.elements
        for use in element.types
        if use.code in {"uri", "url", "canonical"}
    }
    assert uses == (MEMBERS - {"reference"}) | OF_DEFINITIONS | {"reference"}


def test_what_is_of_a_record_and_not_the_own_one_is_pointed_to() -> None:
    told: Any = {
        "resourceType": "List",
        "id": "l",
        "subject": {"reference": "Patient/a"},
        "source": {"reference": "Practitioner/p"},
        "entry": [
            {"item": {"reference": "DocumentReference/b"}},
            {"item": {"reference": f"{BASE}/DocumentReference/a/_history/2"}},
            {"item": {"reference": "https://elsewhere.example/DocumentReference/c"}},
            {"item": {"reference": "#contained"}},
            {"item": {"reference": "List/l"}},
            {"item": {"reference": "Patient/other"}},
            {"item": {"identifier": {"value": "DocumentReference/d"}, "display": "DocumentReference/e"}},
        ],
        "contained": [{"resourceType": "List", "id": "c", "entry": [{"item": {"reference": "Binary/x"}}]}],
        "extension": [{"url": "https://x.example", "valueAttachment": {"url": "Binary/y"}}],
        "instantiatesUri": ["Task/t", "https://x.example"],
    }
    assert pointers(told, BASE, ["a"]) == [
        "Binary/x", "Binary/y", "DocumentReference/a", "DocumentReference/b", "Patient/other", "Task/t",
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["Nothing/1", "urn:uuid:1", "#a", "", "documents/1", "Organization/1", "List/1/2"])
def test_what_points_to_no_record(text: str) -> None:
    assert target(text, BASE) is None


def test_what_a_resource_is_about() -> None:
    document: Any = {
        "content": [{"reference": "List/b"}, {"reference": "List/a"}],
        "related": [{"reference": "List/c"}],
    }
    assert about("DocumentManifest", document) == ["List/a", "List/b"]
    assert about("List", document) == []
    assert about("Observation", document) == []
    assert about("DocumentManifest", {}) == []
    assert about("Provenance", {"target": [{"reference": "Patient/p"}, {"reference": "List/a"}]}) == ["List/a"]


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        ([], []),
        (
            [{"reference": "List/b"}, {"reference": f"{BASE}/DocumentReference/a/_history/2"}],
            ["DocumentReference/a", "List/b"],
        ),
        ([{"reference": "List/b"}, {"display": "en papier"}], []),
        ([{"reference": "List/b"}, {"identifier": {"value": "1"}}], []),
        ([{"reference": "List/b"}, {"reference": "#contained"}], []),
        ([{"reference": "List/b"}, {"reference": "Practitioner/p"}], []),
        ([{"reference": "List/b"}, {"reference": "https://elsewhere.example/List/c"}], []),
        ([{"reference": "List/b"}, {"reference": "Patient/own"}], []),
        ([{"reference": "List/b"}, {"reference": "Patient/other"}], ["List/b", "Patient/other"]),
        ([{"reference": "List/itself"}, {"reference": "List/b"}], []),
        ([{"reference": "List/b", "extension": [{"url": "x", "valueReference": {"reference": "List/c"}}]}], ["List/b"]),
    ],
)
def test_what_a_list_gathers(items: list[Any], expected: list[str]) -> None:
    """Nothing, when an entry is shown to whoever sees the record."""
    made: Any = {"id": "itself", "subject": {"reference": "Patient/own"}, "entry": [{"item": one} for one in items]}
    assert about("List", made, BASE) == expected


def test_what_only_tells_of_others_must_point_to_something() -> None:
    for type, name in ABOUT.items():
        if type == "List":
            continue  # without an entry it says that there is nothing
        element = next(one for one in load().structures[type].elements if one.name == name)
        assert element.min == 1, type
        assert {use.code for use in element.types} == {"Reference"}, type

"""A profile that cannot be used stops the start, with its file, the element and the reason."""

from __future__ import annotations

from typing import Any, Final

import pytest

from fhir_server.declared import declare
from fhir_server.definitions.packages import Definition
from fhir_server.settings import Settings

HERE: Final = "https://example.org/StructureDefinition/"


def profile(name: str, *elements: dict[str, Any], base: str = "http://hl7.org/fhir/StructureDefinition/Patient") -> Any:
    return {
        "resourceType": "StructureDefinition",
        "id": name,
        "url": f"{HERE}{name}",
        "name": "P",
        "status": "active",
        "kind": "resource",
        "abstract": False,
        "type": "Patient",
        "baseDefinition": base,
        "derivation": "constraint",
        "differential": {"element": [{"id": "Patient", "path": "Patient"}, *elements]},
    }


NAMES: Final = {"id": "Patient.name:a", "path": "Patient.name", "sliceName": "a", "min": 1}
OTHERS: Final = NAMES | {"id": "Patient.name:b", "sliceName": "b"}
WRONG: Final[list[tuple[str, list[Any], str]]] = [
    ("a cycle", [profile("a", base=f"{HERE}b"), profile("b", base=f"{HERE}a")], f"{HERE}a"),
    ("of itself", [profile("a", base=f"{HERE}a")], f"{HERE}a"),
    ("an unknown base", [profile("a", base=f"{HERE}never")], f"its base {HERE}never"),
    ("no such element", [profile("a", {"id": "Patient.x", "path": "Patient.x"})], "Patient.x"),
    ("slices that nothing tells apart", [profile("a", NAMES, OTHERS)], "Patient.name"),
    (
        "a discriminator that leads nowhere",
        [
            profile(
                "a",
                {
                    "id": "Patient.name",
                    "path": "Patient.name",
                    "slicing": {"discriminator": [{"type": "value", "path": "never"}], "rules": "open"},
                },
                NAMES,
            )
        ],
        "never",
    ),
    ("an invariant that is none", [profile("a", {"id": "Patient.name", "path": "Patient.name", "constraint": [
        {"key": "x-1", "severity": "error", "human": "x", "expression": "where(("}]})], "x-1"),
]  # fmt: skip


@pytest.mark.parametrize(("profiles", "says"), [one[1:] for one in WRONG], ids=[one[0] for one in WRONG])
def test_it_stops_the_start(profiles: list[Any], says: str) -> None:
    told = [Definition(f"StructureDefinition-{one['id']}.json", one) for one in profiles]
    with pytest.raises(ValueError, match=r"StructureDefinition-a\.json|StructureDefinition-b\.json") as stopped:
        declare(Settings(), told)
    assert "is not a profile that can be used" in str(stopped.value)
    assert says in str(stopped.value)


def test_without_it_the_server_starts() -> None:
    right = Definition(
        "StructureDefinition-a.json", profile("a", {"id": "Patient.gender", "path": "Patient.gender", "min": 1})
    )
    assert declare(Settings(), [right]).profiles.definitions.get(f"{HERE}a") is not None

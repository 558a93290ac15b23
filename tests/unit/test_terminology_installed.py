"""Code lists of packages beside those of the server. docs/operate/packages.md"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fhir_server.terminology import Terminology
from fhir_server.terminology.catalogue import Catalogue
from fhir_server.terminology.messages import NotKnown

LOINC, CCAM = "http://loinc.org", "urn:oid:1.2.250.1.213.2.5"
GENDER = "http://hl7.org/fhir/administrative-gender"


def system(url: str, *concepts: str | dict[str, Any], **more: Any) -> dict[str, Any]:
    listed = [{"code": each, "display": f"Installed {each}"} if isinstance(each, str) else each for each in concepts]
    return {"resourceType": "CodeSystem", "id": "s", "url": url, "content": "complete", "concept": listed, **more}


def value_set(url: str, *includes: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"resourceType": "ValueSet", "id": "v", "url": url, "compose": {"include": list(includes)}, **more}


def theirs() -> bytes:
    return json.dumps([system(GENDER, "male"), value_set("u:hl7", {"system": GENDER})]).encode()


def loaded(folder: Path, *installed: dict[str, Any], own: tuple[dict[str, Any], ...] = ()) -> Terminology:
    """A terminology of these files, of these packages, and of a small HL7."""
    for at, each in enumerate(own):
        place = folder / each["resourceType"]
        place.mkdir(exist_ok=True)
        (place / f"{at}.json").write_text(json.dumps(each))
    return Terminology.load(folder, Catalogue(theirs), installed)


def test_what_is_not_here_is_added(tmp_path: Path) -> None:
    known = loaded(tmp_path, system("u:s", "a", "b"), value_set("u:v", {"system": "u:s", "concept": [{"code": "a"}]}))
    assert known.lookup("u:s", "a")[1].display == "Installed a"
    assert known.validate("u:v", "u:s", "a") is True
    assert known.validate("u:v", "u:s", "b") is False
    assert known.validate("u:v", None, "a") is True
    with pytest.raises(NotKnown):
        known.lookup("u:s", "c")


def test_a_system_that_is_here_in_part_is_completed(tmp_path: Path) -> None:
    part = system(LOINC, {"code": "1", "display": "Un"}, content="fragment", language="fr")
    whole = value_set("u:all", {"system": LOINC})
    assert loaded(tmp_path, own=(part, whole)).validate("u:all", LOINC, "2") is None
    known = loaded(tmp_path, system(LOINC, "1", "2", language="en"), own=(part, whole))
    assert known.validate("u:all", LOINC, "2") is True
    assert known.validate("u:all", LOINC, "3") is False
    concept = known.lookup(LOINC, "1")[1]
    assert (concept.display, concept.called("en")) == ("Un", "Installed 1")


@pytest.mark.parametrize("url", [GENDER, "u:own"])
def test_what_the_server_has_whole_stays(tmp_path: Path, url: str) -> None:
    known = loaded(tmp_path, system(url, "other"), own=(system("u:own", "mine"),))
    with pytest.raises(NotKnown):
        known.lookup(url, "other")


@pytest.mark.parametrize("url", ["u:hl7", "u:own"])
def test_a_value_set_of_the_server_stays(tmp_path: Path, url: str) -> None:
    other = value_set(url, {"system": "u:x", "concept": [{"code": "x"}]})
    known = loaded(tmp_path, other, own=(value_set("u:own", {"system": GENDER}),))
    assert known.validate(url, "u:x", "x") is False
    assert known.validate(url, GENDER, "male") is True


def test_of_two_packages_the_first_counts(tmp_path: Path) -> None:
    known = loaded(tmp_path, system("u:s", "a"), system("u:s", "b"), value_set("u:v", {"system": "u:s"}))
    assert known.validate("u:v", "u:s", "b") is False


def test_the_names_of_a_system_are_learned(tmp_path: Path) -> None:
    names = [{"type": "uri", "value": "u:s"}, {"type": "uri", "value": "u:other", "preferred": True}]
    naming = {"resourceType": "NamingSystem", "id": "n", "name": "n", "kind": "codesystem"}
    oid = [*names, {"type": "oid", "value": "1.2.3"}]
    known = loaded(tmp_path, naming | {"uniqueId": oid}, system("u:s", "a"))
    assert {known.system(each) for each in ("u:s", "u:other", "urn:oid:1.2.3")} == {"u:other"}
    assert known.lookup("urn:oid:1.2.3", "a")[1].display == "Installed a"
    only_an_oid = naming | {"uniqueId": [{"type": "oid", "value": "1.2.4"}]}
    of_people = naming | {"kind": "identifier", "uniqueId": oid}
    assert loaded(tmp_path, only_an_oid, of_people).system("urn:oid:1.2.3") == "urn:oid:1.2.3"


def test_a_name_that_the_server_knows_stays_the_one(tmp_path: Path) -> None:
    def naming(*uris: str) -> dict[str, Any]:
        named = [{"type": "uri", "value": each} for each in uris]
        return {"resourceType": "NamingSystem", "name": "n", "kind": "codesystem", "uniqueId": named}

    known = loaded(tmp_path, naming("u:new", "u:old"), own=(naming("u:one", "u:old"),))
    assert {known.system(each) for each in ("u:one", "u:old", "u:new")} == {"u:one"}


def test_all_codes_of_a_system_are_the_value_set_that_it_names(tmp_path: Path) -> None:
    """https://hl7.org/fhir/R4/codesystem-definitions.html#CodeSystem.valueSet"""
    known = loaded(tmp_path, system("u:s", "a", valueSet="u:all", version="2"))
    assert known.validate("u:all|2", "u:s", "a") is True
    assert known.validate("u:all", "u:s", "b") is False
    published = value_set("u:all", {"system": "u:s", "concept": [{"code": "b"}]})
    assert loaded(tmp_path, system("u:s", "a", valueSet="u:all"), published).validate("u:all", "u:s", "a") is False


@pytest.mark.parametrize(
    "wrong",
    [
        system("u:s", {"code": "a", "property": [{"code": "parent", "valueString": "b"}]}),
        system("u:s", "a", modifierExtension=[{"url": "u:x", "valueBoolean": True}]),
        system("u:s", {"display": "no code"}),
    ],
)
def test_what_cannot_be_read_is_left_out_and_logged(
    tmp_path: Path, wrong: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """One odd list of a thousand must not keep a server from its start."""
    known = loaded(tmp_path, wrong, system("u:other", "a"))
    assert known.content("u:s") is None
    assert known.content("u:other") is not None
    assert "the installed CodeSystem/s is not used" in caplog.text


def test_a_map_is_added_and_that_of_the_server_stays(tmp_path: Path) -> None:
    def concept_map(url: str, to: str) -> dict[str, Any]:
        rows = [{"code": "a", "target": [{"code": to, "equivalence": "equal"}]}]
        return {
            "resourceType": "ConceptMap",
            "id": "m",
            "url": url,
            "group": [{"source": "u:s", "target": "u:t", "element": rows}],
        }

    known = loaded(
        tmp_path, concept_map("u:new", "new"), concept_map("u:own", "new"), own=(concept_map("u:own", "old"),)
    )
    assert {known.translate(url, "u:s", "a") for url in ("u:new", "u:own")} == {("u:t", "new"), ("u:t", "old")}
    assert known.translate("u:own", "u:s", "a") == ("u:t", "old")

"""``package install`` and its like: what is installed is there when a server starts; what is wrong changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from fhir_server.cli.exits import Exit
from tests.http.test_cli import run, sentence
from tests.packing import VALUE_SET, packed
from tests.served import FHIR_JSON, serving

if TYPE_CHECKING:
    from pathlib import Path

COLOUR: dict[str, Any] = {
    "resourceType": "SearchParameter",
    "id": "colour",
    "url": "https://example.org/SearchParameter/colour",
    "name": "Colour",
    "status": "active",
    "description": "colour",
    "code": "colour",
    "base": ["Patient"],
    "type": "token",
    "expression": "Patient.extension('https://example.org/colour').value",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder; no server runs on it."""
    return tmp_path_factory.mktemp("packages")


def package(folder: Path, name: str, files: dict[str, Any], **manifest: Any) -> str:
    path = folder / f"{name}.tgz"
    path.write_bytes(packed(files, manifest={"name": name, "version": "1.0.0", **manifest}))
    return str(path)


def command(folder: Path, *arguments: str) -> tuple[int, str]:
    ended = run(*arguments, "--data", str(folder / "data"), cwd=folder)
    assert "Traceback" not in ended.stderr
    return ended.returncode, ended.stdout


def test_what_is_installed_is_served_found_by_and_removed(folder: Path) -> None:
    guide: dict[str, Any] = {
        "resourceType": "ImplementationGuide",
        "id": "g",
        "url": "https://example.org/ImplementationGuide/g",
    }
    guide |= {"version": "1.0.0", "name": "G", "status": "active", "packageId": "an.example", "fhirVersion": ["4.0.1"]}
    files = {"ValueSet-x.json": VALUE_SET, "SearchParameter-colour.json": COLOUR, "ImplementationGuide-g.json": guide}
    file = package(folder, "an.example", files)
    code, told = command(folder, "package", "install", file)
    assert code == 0
    assert "3 definitions installed" in told
    assert "run reindex" in told
    assert command(folder, "package", "list") == (0, "an.example 1.0.0: 3 definitions\n")
    with serving(folder / "data") as served:
        client = served.as_("conformance")
        assert client.get("/ValueSet/x").json()["url"] == VALUE_SET["url"]
        assert client.get("/Patient?colour=red", headers={"Prefer": "handling=strict"}).status_code == 200
        stated = client.get("/metadata").json()
        assert "https://example.org/ImplementationGuide/g|1.0.0" in stated["implementationGuide"]
        told = stated["rest"][0]["resource"]
        assert any(one["name"] == "colour" for each in told for one in each.get("searchParam", ()))
    assert command(folder, "package", "remove", "an.example")[0] == 0
    with serving(folder / "data") as served:
        client = served.as_("conformance")
        assert client.get("/ValueSet/x").status_code == 410
        assert client.get("/Patient?colour=red", headers={"Prefer": "handling=strict"}).status_code == 400


def test_what_a_server_could_not_start_with_is_not_installed(folder: Path) -> None:
    wrong = COLOUR | {"expression": "Patient.extension.where(no sense"}
    file = package(folder, "wrong.example", {"a.json": wrong, "b.json": VALUE_SET | {"id": "wrong"}})
    said = sentence(run("package", "install", file, "--data", str(folder / "data"), cwd=folder), Exit.FOUND_FAULTS)
    assert "https://example.org/SearchParameter/colour cannot be served" in said
    assert "nothing was installed" in said
    assert command(folder, "package", "list") == (0, "")


PROFILE: dict[str, Any] = {
    "resourceType": "StructureDefinition",
    "id": "asked",
    "url": "https://example.org/StructureDefinition/asked",
    "name": "Asked",
    "status": "active",
    "kind": "resource",
    "abstract": False,
    "type": "Basic",
    "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Basic",
    "derivation": "constraint",
    "differential": {"element": [{"id": "Basic.author", "path": "Basic.author", "min": 1}]},
}


def test_what_cannot_be_used_may_be_left_out(folder: Path) -> None:
    """One that rests on what is left out is, too; what is usable binds after the start."""
    wrong = PROFILE | {"id": "wrong", "url": "https://example.org/wrong", "baseDefinition": "https://example.org/no"}
    after = PROFILE | {"id": "after", "url": "https://example.org/after", "baseDefinition": wrong["url"]}
    files = {"a.json": PROFILE, "b.json": wrong, "c.json": after, "d.json": COLOUR | {"expression": "Patient.where(no"}}
    file = package(folder, "partly.example", files)
    said = sentence(run("package", "install", file, "--data", str(folder / "data"), cwd=folder), Exit.FOUND_FAULTS)
    assert "With --usable what cannot be used is left out." in said
    assert command(folder, "package", "list") == (0, "")
    code, told = command(folder, "package", "install", "--usable", file)
    assert code == 0
    left = [line for line in told.splitlines() if line.startswith("Left out: ")]
    assert len(left) == 3
    assert all(any(name in line for line in left) for name in ("SearchParameter/colour", "b.json", "c.json"))
    assert "partly.example 1.0.0: 1 definitions installed." in told
    with serving(folder / "data") as served:
        basic = {"resourceType": "Basic", "code": {"text": "x"}, "meta": {"profile": [PROFILE["url"]]}}
        answer = served.as_("conformance").post("/Basic", json=basic, headers=FHIR_JSON)
        assert answer.status_code == 422
        assert answer.json()["issue"][0]["expression"] == ["Basic.author"]
    assert command(folder, "package", "remove", "partly.example")[0] == 0


def test_a_file_that_is_no_package(folder: Path) -> None:
    (folder / "no.tgz").write_bytes(b"no")
    said = sentence(run("package", "install", "no.tgz", "--data", str(folder / "data"), cwd=folder), Exit.FOUND_FAULTS)
    assert "not a .tgz" in said
    empty = package(folder, "empty", {"Patient-x.json": {"resourceType": "Patient", "id": "x"}})
    said = sentence(run("package", "install", empty, "--data", str(folder / "data"), cwd=folder), Exit.FOUND_FAULTS)
    assert "defines nothing" in said


def test_one_that_is_not_installed_cannot_be_removed(folder: Path) -> None:
    said = sentence(run("package", "remove", "nobody", "--data", str(folder / "data"), cwd=folder), Exit.USAGE)
    assert "nobody" in said


def test_code_lists_alone(folder: Path) -> None:
    file = package(folder, "lists", {"a.json": VALUE_SET, "b.json": COLOUR})
    code, told = command(folder, "load", "--terminology", file)
    assert code == 0
    assert "1 definitions installed" in told
    assert command(folder, "package", "remove", "lists")[0] == 0


def test_code_lists_bind_and_are_asked_about_after_a_start(folder: Path) -> None:
    """A system that the server has a part of is whole then, and what a profile binds to it is told."""
    ccam = "https://example.org/CodeSystem/actes"
    profile = {
        "resourceType": "StructureDefinition",
        "id": "acte",
        "url": "https://example.org/StructureDefinition/acte",
        "name": "Acte",
        "status": "active",
        "kind": "resource",
        "abstract": False,
        "type": "Procedure",
        "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Procedure",
        "derivation": "constraint",
        "differential": {
            "element": [
                {"id": "Procedure", "path": "Procedure"},
                {
                    "id": "Procedure.code",
                    "path": "Procedure.code",
                    "min": 1,
                    "binding": {"strength": "required", "valueSet": "https://example.org/ValueSet/actes"},
                },
            ]
        },
    }
    system = {
        "resourceType": "CodeSystem",
        "id": "actes",
        "url": ccam,
        "valueSet": "https://example.org/ValueSet/actes",
        "status": "active",
        "content": "complete",
        "concept": [{"code": "DEQP003", "display": "Électrocardiographie"}],
    }
    naming = {
        "resourceType": "NamingSystem",
        "id": "actes",
        "name": "Actes",
        "status": "active",
        "kind": "codesystem",
        "date": "2026-01-01",
        "uniqueId": [{"type": "uri", "value": ccam}, {"type": "oid", "value": "1.2.250.1.999"}],
    }
    lists = package(folder, "actes.example", {"a.json": system, "b.json": naming})
    assert command(folder, "load", "--terminology", lists)[0] == 0
    assert command(folder, "package", "install", package(folder, "acte.example", {"c.json": profile}))[0] == 0
    with serving(folder / "data") as served:
        client = served.as_("conformance")
        for name in (ccam, "urn:oid:1.2.250.1.999"):
            told = client.get("/CodeSystem/$lookup", params={"system": name, "code": "DEQP003"}).json()
            assert {"name": "display", "valueString": "Électrocardiographie"} in told["parameter"]
        listed = client.get("/ValueSet/$expand", params={"url": "https://example.org/ValueSet/actes"}).json()
        assert [each["code"] for each in listed["expansion"]["contains"]] == ["DEQP003"]
        stated = client.get("/metadata?mode=terminology").json()
        assert ccam in {each["uri"] for each in stated["codeSystem"]}
        procedure = {"resourceType": "Procedure", "status": "completed", "subject": {"reference": "Patient/demo-1"}}
        for code, wrong in (("DEQP003", False), ("NONE001", True)):
            coded = procedure | {"code": {"coding": [{"system": ccam, "code": code}]}}
            answer = client.post(f"/Procedure/$validate?profile={profile['url']}", json=coded, headers=FHIR_JSON)
            assert answer.status_code == 200, answer.text
            errors = [one for one in answer.json()["issue"] if one["severity"] == "error"]
            assert bool(errors) == wrong, answer.text

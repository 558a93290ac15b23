"""The code lists: what the tool writes, and what the server answers from it."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fhir.resources.R4B import get_fhir_model_class

from fhir_server.identity.systems import A00, PROFESSIONS, R260, ROLES
from fhir_server.record.consents import CHOIX_URGENCE, PARTICIPATION_FUNCTION
from fhir_server.record.labels import TRE_A07, VISIBILITY
from fhir_server.terminology import NotExpandable, Terminology, UnknownList
from fhir_server.terminology.terminology import FOLDER

NOS = "https://mos.esante.gouv.fr/NOS/"
TOOL = Path(__file__).parents[2] / "tools" / "compile_terminology.py"
FILES = sorted(FOLDER.glob("*/*.json"))
LOINC = "http://loinc.org"


def nos(name: str) -> str:
    return f"{NOS}{name}/FHIR/{name.replace('_', '-', 1)}"


J58 = nos("JDV_J58-ConfidentialityCode-DMP")
J66 = nos("JDV_J66-TypeCode-DMP")
ASS_X16 = nos("ASS_X16-CorrespondanceType-Classe-DMP")


@pytest.fixture(scope="module")
def terminology() -> Terminology:
    return Terminology.load()


def test_a_code_is_a_member_of_its_value_set_and_of_no_other(terminology: Terminology) -> None:
    assert terminology.member(J66, LOINC, "34112-3")
    assert terminology.member(J66 + "|20240927120000", LOINC, "34112-3")
    assert not terminology.member(J66, LOINC, "42348-3")
    assert not terminology.member(J66, nos("TRE_A05-TypeDocComplementaire"), "34112-3")


@pytest.mark.parametrize(
    "system",
    [
        "http://terminology.hl7.org/CodeSystem/v3-Confidentiality",
        nos("TRE_A08-HL7Confidentiality"),
        "urn:oid:2.16.840.1.113883.5.25",
    ],
)
def test_a_system_published_under_several_names_is_one_system(terminology: Terminology, system: str) -> None:
    assert terminology.member(J58, system, "N")
    assert terminology.display(system, "V") == "Très restreint"


def test_the_wrong_url_of_the_published_example_is_unknown(terminology: Terminology) -> None:
    """The PDSm example writes TRE_A07-StatusVisibilite for Statut."""
    assert not terminology.known_system(TRE_A07.replace("Statut", "Status"))
    assert terminology.known_system(TRE_A07)


def test_codes_of_a_system_that_ignores_case_are_found_in_any_case(terminology: Terminology) -> None:
    assert terminology.member(J58, TRE_A07, "masque_ps")
    assert terminology.display(TRE_A07, "Masque_Ps") == "Masqué aux professionnels de santé"


def test_codes_of_other_systems_keep_their_case(terminology: Terminology) -> None:
    assert not terminology.member(J58, nos("TRE_A08-HL7Confidentiality"), "n")


def test_an_ended_code_is_known_with_its_end(terminology: Terminology) -> None:
    """QUAL gave way to NOK: read both, write NOK."""
    ended, in_force = terminology.concept(R260, "QUAL"), terminology.concept(R260, "NOK")
    assert ended is not None
    assert ended.ended == "2024-03-29"
    assert in_force is not None
    assert in_force.ended is None


def test_the_class_of_a_document_type_is_the_published_one(terminology: Terminology) -> None:
    assert terminology.translate(ASS_X16, LOINC, "34112-3") == (nos("TRE_A03-ClasseDocument"), "10")
    assert terminology.translate(ASS_X16, LOINC, "28617-9") is None


def test_an_unknown_list_is_an_error_and_not_an_empty_list(terminology: Terminology) -> None:
    with pytest.raises(UnknownList, match="nowhere"):
        terminology.member("https://example.org/nowhere", LOINC, "34112-3")
    with pytest.raises(UnknownList, match="nowhere"):
        terminology.translate("https://example.org/nowhere", LOINC, "34112-3")


def test_what_the_server_speaks_of_is_in_the_lists(terminology: Terminology) -> None:
    """Names that other packages hold as constants must be those of the lists."""
    assert all(terminology.display(TRE_A07, code) for code in VISIBILITY)
    assert all(terminology.known_system(system) for system in PROFESSIONS)
    assert terminology.display(PARTICIPATION_FUNCTION, "PCP") == "Médecin traitant"
    assert terminology.display(A00, "ALIM_AM")
    assert terminology.display(CHOIX_URGENCE, "MASKED")
    assert terminology.display(ROLES, "SUPPORT")
    assert terminology.display(ROLES, "CONFORMANCE")


def test_every_type_has_one_class_at_most_and_it_is_of_j57(terminology: Terminology) -> None:
    for concept in terminology.codes(J66):
        found = terminology.translate(ASS_X16, concept.system, concept.code)
        assert found is None or terminology.member(nos("JDV_J57-ClassCode-DMP"), *found)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_file_is_a_valid_resource(path: Path) -> None:
    resource = json.loads(path.read_text(encoding="utf-8"))
    assert (path.parent.name, path.stem) == (resource["resourceType"], resource["id"])
    get_fhir_model_class(resource["resourceType"]).model_validate(resource)


def written(folder: Path, resource: dict[str, Any]) -> Path:
    (folder / "ValueSet").mkdir()
    (folder / "ValueSet" / "x.json").write_text(json.dumps({"resourceType": "ValueSet", "url": "u", **resource}))
    return folder


def test_a_file_that_cannot_be_read_stops_the_start(tmp_path: Path) -> None:
    """What changes the meaning of a value set must not be overlooked."""
    include = {"system": LOINC, "modifierExtension": [{"url": "u:x", "valueBoolean": True}]}
    with pytest.raises(ValueError, match=r"x\.json: It has a modifier extension or implicit rules"):
        Terminology.load(written(tmp_path, {"compose": {"include": [include]}}))


def test_a_file_may_choose_by_what_is_not_here_and_then_nothing_is_told_of_the_rest(tmp_path: Path) -> None:
    """A filter that is overlooked would make a value set hold more or less than it says."""
    include = [
        {"system": LOINC, "filter": [{"property": "CLASS", "op": "=", "value": "DOC"}]},
        {"system": LOINC, "concept": [{"code": "34112-3"}]},
    ]
    terminology = Terminology.load(written(tmp_path, {"compose": {"include": include}}))
    assert terminology.validate("u", LOINC, "34112-3") is True
    assert terminology.validate("u", LOINC, "11488-4") is None
    assert terminology.validate("u", "urn:other", "34112-3") is False
    assert not terminology.member("u", LOINC, "11488-4")
    with pytest.raises(NotExpandable, match=r"The content of the code system http://loinc.org is not known here"):
        terminology.codes("u")


# The tool


@pytest.fixture(scope="module")
def tool() -> Any:
    spec = importlib.util.spec_from_file_location("compile_terminology", TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def facts(tool: Any, tmp_path: Path) -> Path:
    """A folder with every list, each of one concept but those a test speaks of."""
    folder = tmp_path / "facts"
    folder.mkdir()
    for name in tool.LISTS:
        kind = "ValueSet" if name.startswith("JDV") else "CodeSystem"
        canonical = nos(f"{name.replace('-', '_')}-X")
        concepts = [{"system": nos("TRE_A03-Classe"), "systemOid": "1.3", "code": "10", "display": "Dix"}]
        if name == "JDV-J66":
            concepts[0]["classCode"] = "10"
        if name == "TRE-R95":
            concepts[0]["dateFin"] = "20200529120000"
        if name == "JDV-J01":
            concepts.append({"system": nos("TRE_R85-Role"), "systemOid": "1.95", "code": "71", "display": "Ostéopathe"})
        content = {"kind": kind, "canonical": canonical, "oid": None, "complete": True, "concepts": concepts}
        if name == "TRE-R95":
            content["oid"] = "1.95"
        (folder / f"{name}-X.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


def run(facts: Path, out: Path) -> dict[str, bytes]:
    subprocess.run([sys.executable, str(TOOL), str(facts), "--out", str(out)], check=True, capture_output=True)
    return {str(path.relative_to(out)): path.read_bytes() for path in out.glob("*/*.json")}


def test_the_same_facts_give_the_same_bytes(facts: Path, tmp_path: Path) -> None:
    first, second = run(facts, tmp_path / "1"), run(facts, tmp_path / "2")
    assert first == second
    assert Terminology.load(tmp_path / "1").member(nos("JDV_J57-X"), nos("TRE_A03-Classe"), "10")


def test_the_oid_decides_when_the_url_is_that_of_another_system(facts: Path, tmp_path: Path) -> None:
    written = json.loads(run(facts, tmp_path / "1")["ValueSet/JDV-J01-X.json"])
    assert [include["system"] for include in written["compose"]["include"]] == [
        nos("TRE_A03-Classe"),
        nos("TRE_R95-X"),
    ]


def test_an_ended_concept_keeps_its_end(facts: Path, tmp_path: Path) -> None:
    written = json.loads(run(facts, tmp_path / "1")["CodeSystem/TRE-R95-X.json"])
    assert {"code": "dateFin", "valueDateTime": "2020-05-29"} in written["concept"][0]["property"]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"complete": False}, "JDV-J58 is not complete"),
        ({"count": 2}, "announces 2 concepts and holds 1"),
        ({"concepts": [{"code": "N"}]}, "missing required field `system`"),
    ],
)
def test_facts_that_cannot_be_trusted_are_refused(
    tool: Any, facts: Path, change: dict[str, object], sentence: str
) -> None:
    path = facts / "JDV-J58-X.json"
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | change), encoding="utf-8")
    with pytest.raises(SystemExit, match=sentence):
        list(tool.compile_folder(facts))

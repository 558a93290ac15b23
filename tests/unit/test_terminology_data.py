"""The files of `terminology/`: what is in them, and that the tools make the same bytes again."""

from __future__ import annotations

import csv
import gzip
import importlib.util
import io
import json
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import pytest

from fhir_server.consent.circumstances import G15
from fhir_server.definitions import rows
from fhir_server.definitions.load import committed
from fhir_server.fhir.outcome import RULES
from fhir_server.identity import systems
from fhir_server.terminology import Terminology
from fhir_server.terminology.terminology import FOLDER
from fhir_server.validation.sharing import rules as sharing

ROOT = Path(__file__).parents[2]
TOOLS = ROOT / "tools"
TABLE: Final = ROOT / "tests" / "golden" / "terminology.csv"
COLUMNS: Final = ("kind", "url", "version", "oid", "content", "codes", "open")
NOS = "https://mos.esante.gouv.fr/NOS/"
FR_CORE = "https://hl7.fr/ig/fhir/core/"
SNOMED = "http://snomed.info/sct"


def nos(name: str) -> str:
    return f"{NOS}{name}/FHIR/{name.replace('_', '-', 1)}"


def files() -> dict[str, dict[str, Any]]:
    found = {}
    for path in sorted(FOLDER.glob("*/*.json")):
        found[f"{path.parent.name}/{path.stem}"] = json.loads(path.read_text(encoding="utf-8"))
    return found


FILES: Final = files()
LISTS: Final = {name: each for name, each in FILES.items() if each["resourceType"] in {"CodeSystem", "ValueSet"}}


@pytest.fixture(scope="module")
def hl7() -> dict[str, dict[str, Any]]:
    return {each["url"]: each for each in json.loads(gzip.decompress(committed(rows.TERMINOLOGY)))}


@pytest.fixture(scope="module")
def terminology() -> Terminology:
    return Terminology.load()


def parts(value_set: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from value_set["compose"]["include"]
    yield from value_set["compose"].get("exclude", [])


def row(resource: dict[str, Any]) -> tuple[str, ...]:
    """One line of the table; ``open`` counts what a value set takes by a rule and not code by code."""
    oid = next((each["value"].removeprefix("urn:oid:") for each in resource.get("identifier", [])), "")
    if resource["resourceType"] == "CodeSystem":
        codes, by_rule = len(resource.get("concept", [])), 0
    else:
        codes = sum(len(part.get("concept", [])) for part in parts(resource))
        by_rule = sum("concept" not in part for part in parts(resource))
    told = (resource["url"], resource.get("version", ""), oid, resource.get("content", ""), codes, by_rule or "")
    return (resource["resourceType"], *map(str, told))


def table() -> str:
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(sorted(map(row, LISTS.values())))
    return written.getvalue()


def test_the_table_of_all_lists(request: pytest.FixtureRequest) -> None:
    """URL, version, OID and number of codes of each list, so that a change of a source shows as a difference."""
    if request.config.getoption("--golden"):
        TABLE.write_text(table(), encoding="utf-8")
    assert table() == TABLE.read_text(encoding="utf-8")


def test_no_two_files_have_one_url() -> None:
    urls = Counter(each["url"] for each in FILES.values() if "url" in each)
    assert [url for url, times in urls.items() if times > 1] == []


def test_what_hl7_publishes_is_not_repeated(hl7: dict[str, dict[str, Any]]) -> None:
    """But for SNOMED CT, of which HL7 says only that it is not there and the French lists name some codes."""
    assert {each["url"] for each in LISTS.values()} & hl7.keys() == {SNOMED}
    assert hl7[SNOMED]["content"] == "not-present"


def test_every_system_of_a_value_set_is_declared(hl7: dict[str, dict[str, Any]]) -> None:
    declared = {each["url"] for each in (*FILES.values(), *hl7.values()) if each["resourceType"] == "CodeSystem"}
    for name, each in LISTS.items():
        if each["resourceType"] == "ValueSet":
            assert {part["system"] for part in parts(each) if "system" in part} - declared == set(), name


def test_every_value_set_that_is_imported_is_there(hl7: dict[str, dict[str, Any]]) -> None:
    there = {each["url"] for each in (*LISTS.values(), *hl7.values())}
    for name, each in LISTS.items():
        if each["resourceType"] == "ValueSet":
            assert {url for part in parts(each) for url in part.get("valueSet", [])} - there == set(), name


def test_a_code_stands_once_in_a_system_and_once_in_an_include() -> None:
    for name, each in LISTS.items():
        if each["resourceType"] == "CodeSystem":
            listed = [each.get("concept", [])]
        else:
            listed = [part.get("concept", []) for part in parts(each)]
        for concepts in listed:
            codes = Counter(concept["code"] for concept in concepts)
            assert [code for code, times in codes.items() if times > 1] == [], name


def test_a_complete_system_has_every_code_that_a_value_set_takes_from_it() -> None:
    whole = {each["url"]: each for each in LISTS.values() if each.get("content") == "complete"}
    for name, each in LISTS.items():
        if each["resourceType"] != "ValueSet":
            continue
        for part in parts(each):
            if part.get("system") in whole:
                defined = {concept["code"] for concept in whole[part["system"]]["concept"]}
                assert {concept["code"] for concept in part.get("concept", [])} - defined == set(), name


@pytest.mark.parametrize(
    "url", ["http://loinc.org", SNOMED, "http://unitsofmeasure.org", "http://hl7.org/fhir/sid/icd-10"]
)
def test_of_a_large_system_only_what_the_lists_name_is_shipped(url: str) -> None:
    system = next(each for each in LISTS.values() if each["url"] == url)
    named = {
        concept["code"]
        for each in LISTS.values()
        if each["resourceType"] == "ValueSet"
        for part in parts(each)
        if part.get("system") == url
        for concept in part.get("concept", [])
    }
    assert system["content"] == "fragment"
    assert {concept["code"] for concept in system["concept"]} == named


def test_a_system_that_is_not_held_says_so(terminology: Terminology) -> None:
    system = next(each for each in LISTS.values() if each["url"] == nos("TRE_R13-CommuneOM"))
    assert system["content"] == "not-present"
    assert "concept" not in system
    assert terminology.validate(FR_CORE + "ValueSet/fr-core-vs-insee-code", system["url"], "75056") is None


def test_english_words_are_given_where_hl7_publishes_the_same_codes() -> None:
    role = next(each for each in FILES["CodeSystem/TRE-R216-HL7RoleCode"]["concept"] if each["code"] == "MTH")
    assert (role["display"], role["designation"]) == ("Mère", [{"language": "en", "value": "mother"}])


def test_but_not_where_the_french_meaning_is_another() -> None:
    """NOK is HL7's next of kin, and the French "personne de confiance"."""
    assert all("designation" not in each for each in FILES["CodeSystem/TRE-R260-HL7RoleClass"]["concept"])


@pytest.mark.parametrize(
    ("value_set", "system", "code", "answer"),
    [
        ("fr-core-vs-identity-reliability", FR_CORE + "CodeSystem/fr-core-cs-v2-0445", "VALI", True),
        ("fr-core-vs-identity-reliability", FR_CORE + "CodeSystem/fr-core-cs-v2-0445", "QUAL", False),
        ("fr-core-vs-patient-gender-INS", "http://hl7.org/fhir/administrative-gender", "female", True),
        ("fr-core-vs-patient-gender-INS", "http://hl7.org/fhir/administrative-gender", "other", False),
        ("fr-core-vs-civility-rass", nos("TRE_R81-Civilite"), "MME", True),
        ("fr-core-vs-marital-status", "http://terminology.hl7.org/CodeSystem/v3-MaritalStatus", "M", True),
        ("fr-core-vs-encounter-class", "http://terminology.hl7.org/CodeSystem/v3-ActCode", "VR", True),
        ("fr-core-vs-practitioner-specialty", nos("TRE_R38-SpecialiteOrdinale"), "SM26", True),
        ("fr-core-vs-practitioner-specialty", nos("TRE_R38-SpecialiteOrdinale"), "SP01", None),
    ],
)
def test_value_sets_of_fr_core(
    terminology: Terminology, value_set: str, system: str, code: str, answer: bool | None
) -> None:
    assert terminology.validate(f"{FR_CORE}ValueSet/{value_set}", system, code) is answer


@pytest.mark.parametrize(
    ("value_set", "system", "code", "answer"),
    [
        ("MHD/ValueSet/DocumentReferenceStats", "http://hl7.org/fhir/document-reference-status", "superseded", True),
        (
            "MHD/ValueSet/DocumentReferenceStats",
            "http://hl7.org/fhir/document-reference-status",
            "entered-in-error",
            False,
        ),
        (
            "BALP/ValueSet/AuthZsubTypeVS",
            "https://profiles.ihe.net/ITI/BALP/CodeSystem/AuthZsubType",
            "AuthZ-Consent",
            True,
        ),
        ("BALP/ValueSet/DataSources", "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "IRCP", False),
        ("PCF/ValueSet/BasicPurposeVS", "http://terminology.hl7.org/CodeSystem/v3-ActReason", "ETREAT", False),
        ("PCF/ValueSet/AdvancedSecurityTagVS", nos("TRE_A08-HL7Confidentiality"), "R", True),
    ],
)
def test_value_sets_of_ihe(terminology: Terminology, value_set: str, system: str, code: str, answer: bool) -> None:
    assert terminology.validate(f"https://profiles.ihe.net/ITI/{value_set}", system, code) is answer


def test_a_system_is_found_by_its_oid_and_by_either_url(terminology: Terminology) -> None:
    j163 = nos("JDV_J163-GlucoseUnits-ENS")
    for system in ("http://unitsofmeasure.org", nos("TRE_R247-UcumUniteMesure"), "urn:oid:2.16.840.1.113883.6.8"):
        assert terminology.validate(j163, system, "mg/dL") is True
    j107 = nos("JDV_J107-EnsembleSavoirFaire-RASS")
    for system in (nos("TRE_R97-DroitExerciceCompl"), "urn:oid:1.2.250.1.213.1.6.1.111"):
        assert terminology.validate(j107, system, "DEC01") is True


def test_the_value_sets_that_the_server_speaks_of_are_there(terminology: Terminology) -> None:
    named = (*sharing.BOUND.values(), sharing.CONFIDENTIALITY)
    assert [url for url in named if terminology.held(url) is None] == []
    assert terminology.held(nos("JDV_J65-SubjectRole-DMP")) is not None


def test_the_systems_that_the_server_speaks_of_are_there(hl7: dict[str, dict[str, Any]]) -> None:
    declared = {each["url"] for each in (*LISTS.values(), *hl7.values()) if each["resourceType"] == "CodeSystem"}
    named = {G15, systems.G16, systems.R94, systems.R95, systems.R291, systems.A00, systems.R260, systems.ROLES, RULES}
    assert named - declared == set()


def test_the_codes_that_profiles_impose_have_a_french_name(terminology: Terminology) -> None:
    assert terminology.display("http://loinc.org", "8867-4") == "Fréquence cardiaque"
    assert terminology.display(RULES, "closed") == "Élément qui n'est d'aucune tranche d'un découpage fermé"


# The tool of the guides


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("compile_guides", TOOLS / "compile_guides.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.glob("*/*.json")}


def test_the_tool_writes_the_committed_files_again(tmp_path: Path) -> None:
    out = tmp_path / "terminology"
    shutil.copytree(FOLDER, out)
    command = [sys.executable, str(TOOLS / "compile_guides.py"), "--out", str(out)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert len(said.splitlines()) > 100
    assert content(out) == content(FOLDER)


def test_what_it_wrote_before_does_not_matter(tmp_path: Path) -> None:
    """Fragments follow from the value sets, not from older fragments."""
    out = tmp_path / "terminology"
    shutil.copytree(FOLDER, out)
    path = out / "CodeSystem" / "loinc.json"
    fragment = json.loads(path.read_text(encoding="utf-8"))
    fragment["concept"] = [{"code": "0-0"}]
    path.write_text(json.dumps(fragment), encoding="utf-8")
    (out / "CodeSystem" / "snomed-ct.json").unlink()
    subprocess.run(
        [sys.executable, str(TOOLS / "compile_guides.py"), "--out", str(out)], check=True, capture_output=True
    )
    assert content(out) == content(FOLDER)


def test_a_system_without_facts_stops_the_tool(tool: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "ValueSet").mkdir()
    include = [{"system": "urn:nobody", "concept": [{"code": "a"}]}]
    (tmp_path / "ValueSet" / "x.json").write_text(json.dumps({"compose": {"include": include}}))
    with pytest.raises(SystemExit, match="urn:nobody is named by a value set"):
        list(tool.fragments(tmp_path))


def test_facts_that_cannot_be_read_stop_the_tool(tool: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "guide.json").write_text('{"guide": "x"}')
    with pytest.raises(SystemExit, match=r"guide\.json: Object missing required field `base`"):
        tool.read(tmp_path / "guide.json")

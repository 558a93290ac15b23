"""The compiled tables hold what the standard says, and compiling again gives the same bytes."""

from __future__ import annotations

import hashlib
import importlib.util
import os
from pathlib import Path
from types import ModuleType

import msgspec
import pytest

from fhir_server.definitions import rows
from fhir_server.definitions.load import committed, load
from fhir_server.definitions.tables import Element

ROOT = Path(__file__).parent.parent.parent


def compiler() -> ModuleType:
    spec = importlib.util.spec_from_file_location("compile_r4", ROOT / "tools" / "compile_r4.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def element(path: str) -> Element:
    structure, _, name = path.rpartition(".")
    return next(e for e in load().structures[structure].elements if e.name == name)


def codes(path: str) -> set[str]:
    binding = element(path).binding
    assert binding is not None
    assert binding.codes is not None
    return {code for _, code in binding.codes}


def test_all_types_are_there() -> None:
    definitions = load()

    assert len(definitions.resource_types) == 146
    assert "Resource" not in definitions.resource_types
    assert "DomainResource" not in definitions.resource_types
    assert sorted(definitions.resource_types) == list(definitions.resource_types)
    kinds = [structure.kind for structure in definitions.structures.values()]
    assert kinds.count("resource") == 148
    assert kinds.count("primitive-type") == 20
    assert kinds.count("complex-type") == 41
    assert kinds.count("backbone") == 473


@pytest.mark.parametrize(
    ("path", "low", "high", "types"),
    [
        ("Patient.birthDate", 0, 1, ["date"]),
        ("Patient.id", 0, 1, ["id"]),
        ("Patient.contact", 0, None, ["Patient.contact"]),
        ("Patient.contact.relationship", 0, None, ["CodeableConcept"]),
        ("Patient.contained", 0, None, ["Resource"]),
        ("DocumentReference.content", 1, None, ["DocumentReference.content"]),
        ("DocumentReference.content.attachment", 1, 1, ["Attachment"]),
        ("Bundle.entry.resource", 0, 1, ["Resource"]),
        ("Bundle.entry.link", 0, None, ["Bundle.link"]),
        ("Questionnaire.item.item", 0, None, ["Questionnaire.item"]),
        ("Contract.term.group", 0, None, ["Contract.term"]),
        ("Narrative.div", 1, 1, ["xhtml"]),
        ("Extension.url", 1, 1, ["uri"]),
        ("Element.id", 0, 1, ["string"]),
        ("Timing.repeat", 0, 1, ["Timing.repeat"]),
        ("Timing.repeat.when", 0, None, ["code"]),
        ("Age.value", 0, 1, ["decimal"]),
    ],
)
def test_elements(path: str, low: int, high: int | None, types: list[str]) -> None:
    found = element(path)
    assert (found.min, found.max, [use.code for use in found.types]) == (low, high, types)
    assert found.path == path


def test_choices_carry_the_type_in_their_name() -> None:
    value = element("Observation.value")
    assert value.choice
    assert value.path == "Observation.value[x]"
    assert value.json_name("CodeableConcept") == "valueCodeableConcept"
    assert value.json_name("dateTime") == "valueDateTime"
    assert len(element("Extension.value").types) == 50


def test_order_is_that_of_the_standard() -> None:
    names = [e.name for e in load().structures["HumanName"].elements]
    assert names == ["id", "extension", "use", "text", "family", "given", "prefix", "suffix", "period"]


def test_every_type_named_is_a_structure() -> None:
    definitions = load()
    for structure in definitions.structures.values():
        for found in structure.elements:
            for use in found.types:
                assert use.code in definitions.structures, found.path
                assert all(target in definitions.structures for target in use.targets), found.path


def test_reference_targets() -> None:
    assert element("DocumentReference.custodian").types[0].targets == ("Organization",)
    assert "Patient" in element("DocumentReference.author").types[0].targets
    assert element("DocumentReference.context.related").types[0].targets == ()
    assert element("Questionnaire.derivedFrom").types[0].targets == ("Questionnaire",)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("DocumentReference.status", {"current", "superseded", "entered-in-error"}),
        ("DocumentReference.relatesTo.code", {"replaces", "transforms", "signs", "appends"}),
        ("Patient.gender", {"male", "female", "other", "unknown"}),
        ("Consent.status", {"draft", "proposed", "active", "rejected", "inactive", "entered-in-error"}),
        ("Consent.provision.type", {"deny", "permit"}),
        ("Narrative.status", {"generated", "extensions", "additional", "empty"}),
        ("Timing.repeat.periodUnit", {"s", "min", "h", "d", "wk", "mo", "a"}),
        ("AllergyIntolerance.clinicalStatus", {"active", "inactive", "resolved"}),
    ],
)
def test_required_bindings(path: str, expected: set[str]) -> None:
    assert codes(path) == expected


def test_bindings_that_cannot_be_enumerated_say_so() -> None:
    binding = element("Attachment.contentType").binding
    assert binding is not None
    assert binding.codes is None
    assert element("DocumentReference.type").binding is None
    assert len(codes("CapabilityStatement.rest.resource.type")) == 148


def test_invariants() -> None:
    structures = load().structures
    assert "per-1" in {invariant.key for invariant in structures["Period"].invariants}
    assert "pat-1" in {invariant.key for invariant in structures["Patient.contact"].invariants}
    assert {"dom-2", "obs-6", "obs-7"} <= {invariant.key for invariant in structures["Observation"].invariants}
    assert "con-3" not in {invariant.key for invariant in structures["Condition"].invariants}, "only a warning"
    assert [invariant.key for invariant in element("Organization.telecom").invariants] == ["org-3"]


def test_primitive_patterns() -> None:
    structures = load().structures
    assert structures["id"].pattern == r"[A-Za-z0-9\-\.]{1,64}"
    assert all(
        structure.pattern
        for structure in structures.values()
        if structure.kind == "primitive-type" and structure.name != "xhtml"
    )


def test_search_parameters() -> None:
    parameters = load().search_parameters
    assert len({parameter.url for of_type in parameters.values() for parameter in of_type.values()}) == 1387
    assert set(parameters) == set(load().resource_types)
    patient = parameters["DocumentReference"]["patient"]
    assert patient.type == "reference"
    assert "DocumentReference.subject.where(resolve() is Patient)" in patient.expression
    assert parameters["DocumentReference"]["security-label"].type == "token"
    assert parameters["Condition"]["subject"].targets == ("Group", "Patient")
    composite = parameters["Observation"]["code-value-quantity"]
    assert composite.components[0] == ("http://hl7.org/fhir/SearchParameter/clinical-code", "code")


def test_parameters_of_every_resource() -> None:
    parameters = load().search_parameters
    assert all({"_id", "_lastUpdated", "_tag", "_profile", "_security"} <= set(parameters[t]) for t in parameters)
    assert parameters["Binary"]["_id"].url == "http://hl7.org/fhir/SearchParameter/Resource-id"
    assert "_text" in parameters["Patient"]
    assert "_text" not in parameters["Binary"]


def test_compartments() -> None:
    compartments = load().compartments
    assert set(compartments) == {"Device", "Encounter", "Patient", "Practitioner", "RelatedPerson"}
    assert compartments["Patient"]["DocumentReference"] == ("subject", "author")
    assert compartments["Patient"]["Patient"] == ("link",)
    assert compartments["Encounter"]["Encounter"] == ("{def}",)
    assert "Binary" not in compartments["Patient"]


def test_committed_files_are_those_of_the_manifest() -> None:
    manifest = msgspec.json.decode(committed(rows.MANIFEST), type=rows.Manifest)
    assert manifest.source_sha256 == compiler().WHEEL_SHA256
    compiled = {rows.STRUCTURES, rows.SEARCH_PARAMETERS, rows.COMPARTMENTS, rows.ELEMENTS, rows.TERMINOLOGY}
    assert set(manifest.files) == compiled
    for name, digest in manifest.files.items():
        assert hashlib.sha256(committed(name)).hexdigest() == digest, name


def test_compiling_again_gives_the_same_bytes(tmp_path: Path) -> None:
    """With the official wheel at hand (R4_WHEEL) compile it; without, a file that is not it must be refused."""
    wheel = os.environ.get("R4_WHEEL")
    if wheel:
        compiled = compiler().compile_wheel(Path(wheel))
        assert {name: committed(name) for name in compiled} == compiled
    else:
        (tmp_path / "other.whl").write_bytes(b"something else")
        with pytest.raises(SystemExit, match="sha256"):
            compiler().compile_wheel(tmp_path / "other.whl")


COLOURS = {
    "url": "urn:colours",
    "content": "complete",
    "concept": [
        {"code": "red", "concept": [{"code": "crimson", "concept": [{"code": "ruby"}]}]},
        {"code": "blue"},
    ],
}
PARTIAL = {"url": "urn:partial", "content": "fragment", "concept": [{"code": "one"}]}


@pytest.mark.parametrize(
    ("compose", "expected"),
    [
        ({"include": [{"system": "urn:colours"}]}, ["blue", "crimson", "red", "ruby"]),
        ({"include": [{"system": "urn:colours", "concept": [{"code": "red"}]}]}, ["red"]),
        (
            {"include": [{"system": "urn:colours", "filter": [{"property": "concept", "op": "is-a", "value": "red"}]}]},
            ["crimson", "red", "ruby"],
        ),
        ({"include": [{"valueSet": ["urn:named"]}]}, ["blue", "ruby"]),
        (
            {"include": [{"valueSet": ["urn:named|1"], "system": "urn:colours", "concept": [{"code": "blue"}]}]},
            ["blue"],
        ),
        ({"include": [{"system": "urn:colours"}], "exclude": [{"valueSet": ["urn:named"]}]}, ["crimson", "red"]),
        ({"include": [{"system": "urn:partial"}]}, None),
        ({"include": [{"system": "urn:colours"}, {"system": "urn:unknown"}]}, None),
        ({"include": [{"system": "urn:colours"}], "exclude": [{"system": "urn:unknown"}]}, None),
        ({"include": [{"system": "urn:colours", "filter": [{"property": "x", "op": "=", "value": "y"}]}]}, None),
        ({"include": [{"valueSet": ["urn:unknown"]}]}, None),
    ],
)
def test_value_sets_are_enumerated_or_not_at_all(compose: dict[str, object], expected: list[str] | None) -> None:
    named = {"compose": {"include": [{"system": "urn:colours", "concept": [{"code": "ruby"}, {"code": "blue"}]}]}}
    package = {
        "ValueSet": {"urn:asked": {"compose": compose}, "urn:named": named},
        "CodeSystem": {"urn:colours": COLOURS, "urn:partial": PARTIAL},
    }
    found = compiler().ValueSets(package).codes("urn:asked")
    assert found == (None if expected is None else {"urn:colours": expected})

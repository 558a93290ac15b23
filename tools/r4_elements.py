"""The facts of the StructureDefinitions of R4 that profiles build on: what `compile_r4` writes as `elements.json.gz`.

Of a type the elements of its snapshot, of a profile or an extension those of its differential: its snapshot is ours to
make. Words that explain (definition, comment, mapping, ...) are left out.
"""

from __future__ import annotations

import gzip
import io
import json
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable

Json: TypeAlias = dict[str, Any]

STRUCTURE_DEFINITION = "http://hl7.org/fhir/StructureDefinition/"
FHIR_TYPE = STRUCTURE_DEFINITION + "structuredefinition-fhir-type"
MAX_VALUE_SET = STRUCTURE_DEFINITION + "elementdefinition-maxValueSet"
SYSTEM_TYPE = "http://hl7.org/fhirpath/System."

OF_A_DEFINITION = (
    "url",
    "version",
    "name",
    "status",
    "kind",
    "abstract",
    "context",
    "contextInvariant",
    "type",
    "baseDefinition",
    "derivation",
)
OF_AN_ELEMENT = (
    "id",
    "path",
    "representation",
    "sliceName",
    "slicing",
    "short",
    "min",
    "max",
    "base",
    "contentReference",
    "type",
    "maxLength",
    "condition",
    "constraint",
    "mustSupport",
    "isModifier",
    "isModifierReason",
    "isSummary",
    "binding",
)
OF_A_CONSTRAINT = ("key", "severity", "human", "expression", "source")
OF_A_TYPE = ("code", "profile", "targetProfile", "aggregation", "versioning")
BY_TYPE = ("fixed", "pattern", "minValue", "maxValue")
"""The members of an element that carry a type in their name."""


def archive(definitions: Iterable[Json]) -> bytes:
    """`elements.json.gz`: one StructureDefinition a line, ordered by URL; the first line is the list of the URLs."""
    kept = sorted(
        (facts(one) for one in definitions if one["kind"] != "logical"), key=lambda definition: str(definition["url"])
    )
    lines = [[definition["url"] for definition in kept], *kept]
    return zipped(b"".join(json.dumps(o, separators=(",", ":"), ensure_ascii=False).encode() + b"\n" for o in lines))


def zipped(content: bytes) -> bytes:
    """The same bytes for the same content: the header has no time and no file name."""
    written = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=written, mtime=0) as file:
        file.write(content)
    return written.getvalue()


def facts(definition: Json) -> Json:
    """What is kept of a StructureDefinition."""
    view = "differential" if definition.get("derivation") == "constraint" else "snapshot"
    return {
        "resourceType": "StructureDefinition",
        **{name: definition[name] for name in OF_A_DEFINITION if name in definition},
        view: {"element": [facts_of_element(element) for element in definition[view]["element"]]},
    }


def facts_of_element(element: Json) -> Json:
    """What is kept of an ElementDefinition."""
    kept = {name: element[name] for name in OF_AN_ELEMENT if name in element}
    kept |= {name: value for name, value in element.items() if name.startswith(BY_TYPE)}
    if "type" in kept:
        # The package says that the id of a resource is a string, the page of Resource says id.
        is_id = element.get("base", {}).get("path") == "Resource.id"
        kept["type"] = [{"code": "id"}] if is_id else [facts_of_type(use) for use in kept["type"]]
    if "constraint" in kept:
        kept["constraint"] = [
            {name: constraint[name] for name in OF_A_CONSTRAINT if name in constraint}
            for constraint in kept["constraint"]
        ]
    if "binding" in kept:
        kept["binding"] = facts_of_binding(kept["binding"])
    return kept


def facts_of_type(use: Json) -> Json:
    """A type of an element. A FHIRPath type gives way to the FHIR type it stands for."""
    kept = {name: use[name] for name in OF_A_TYPE if name in use}
    if kept["code"].startswith(SYSTEM_TYPE):
        stands_for = (str(e["valueUrl"]) for e in use.get("extension", ()) if e["url"] == FHIR_TYPE)
        kept["code"] = next(stands_for, kept["code"].removeprefix(SYSTEM_TYPE).lower())
    return kept


def facts_of_binding(binding: Json) -> Json:
    """A binding, with the value set that no code may be out of, if it names one; without a value set, in words."""
    names = ("strength", "valueSet" if "valueSet" in binding else "description")
    kept: Json = {name: binding[name] for name in names if name in binding}
    bounds = [extension for extension in binding.get("extension", ()) if extension["url"] == MAX_VALUE_SET]
    return {"extension": bounds, **kept} if bounds else kept

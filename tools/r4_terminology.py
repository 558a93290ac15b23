"""The code systems and value sets of the package of R4, cut to what the server reads: `terminology.json.gz`.

All of them: bindings name value sets that import others, filter, and take whole systems, and the whole package is half
a megabyte. Part of `tools/compile_r4.py`.

https://hl7.org/fhir/R4/codesystem.html, https://hl7.org/fhir/R4/valueset.html
"""

from __future__ import annotations

import gzip
import io
import sys
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator

Json: TypeAlias = dict[str, Any]
"""What the package holds is walked as it is."""

ELEMENTS = (
    *("resourceType", "id", "url", "identifier", "version", "name", "title", "status", "copyright", "caseSensitive"),
    *("hierarchyMeaning", "compositional", "content", "supplements", "filter", "property", "concept", "compose"),
)
"""What is kept of a code system or value set, in this order. Not kept: narrative, definitions, designations, usage."""


def terminology(package: dict[str, dict[str, Json]]) -> Iterator[Json]:
    """Every CodeSystem and ValueSet of the package (by type, then URL), in a shape that is a resource still."""
    for kind in ("CodeSystem", "ValueSet"):
        for _, resource in sorted(package[kind].items()):
            kept = {name: resource[name] for name in ELEMENTS if name in resource}
            if "concept" in kept:
                kept["concept"] = [concept_of_system(each) for each in kept["concept"]]
            for name in ("property", "filter"):
                if name in kept:
                    kept[name] = [without(each, "description") for each in kept[name]]
            if "compose" in kept:
                kept["compose"] = composition(kept["compose"])
            yield kept


def concept_of_system(concept: Json) -> Json:
    """A concept of a code system, with those below it."""
    kept = only(concept, "code", "display", "property")
    if "concept" in concept:
        kept["concept"] = [concept_of_system(each) for each in concept["concept"]]
    return kept


def composition(compose: Json) -> Json:
    """What a value set is made of. What would change its meaning and is not read here must not be lost in silence."""
    kept = only(compose, "lockedDate", "inactive")
    for name in ("include", "exclude"):
        if name in compose:
            kept[name] = [part_of_composition(part) for part in compose[name]]
    return kept


def part_of_composition(part: Json) -> Json:
    """One include or exclude, its concepts without designations."""
    if unknown := part.keys() - {"system", "version", "concept", "filter", "valueSet", "extension"}:
        sys.exit(f"An include or exclude of {part.get('system')} has {sorted(unknown)}, which is not understood.")
    kept = only(part, "system", "version", "filter", "valueSet")
    if "concept" in part:
        kept["concept"] = [only(each, "code", "display") for each in part["concept"]]
    return kept


def only(value: Json, *names: str) -> Json:
    """The value with these elements alone, in this order."""
    return {name: value[name] for name in names if name in value}


def without(value: Json, name: str) -> Json:
    """The value less one element."""
    return {each: content for each, content in value.items() if each != name}


def compressed(content: bytes) -> bytes:
    """The same bytes for the same content: neither the hour nor a file name is in them."""
    buffer = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=buffer, compresslevel=9, mtime=0) as file:
        file.write(content)
    return buffer.getvalue()

"""Small profiles, written by hand, and what the engine says of resources by them."""

from __future__ import annotations

from typing import Any, NamedTuple

from fhir_server.definitions.load import load
from fhir_server.definitions.structure_definitions import StructureDefinitions, base_definitions
from fhir_server.fhir.outcome import Issue, Severity
from fhir_server.terminology.terminology import Terminology
from fhir_server.validation.profiles.bundled import Bundled
from fhir_server.validation.profiles.checks import MOST_CHECKED, ProfileChecks

CORE = "http://hl7.org/fhir/StructureDefinition/"
HERE = "https://example.org/fhir/StructureDefinition/"
TERMINOLOGY = Terminology.load()


class Said(NamedTuple):
    """One issue, as a test looks at it."""

    where: str
    rule: str
    severity: str = "error"


def profile(name: str, type: str, *elements: dict[str, Any], base: str = "", **members: Any) -> dict[str, Any]:
    """A StructureDefinition that says this of the elements."""
    return {
        "resourceType": "StructureDefinition",
        "url": HERE + name,
        "version": "1.0",
        "name": name,
        "status": "active",
        "kind": "resource" if type[0].isupper() and type in load().resource_types else "complex-type",
        "abstract": False,
        "type": type,
        "baseDefinition": base or CORE + type,
        "derivation": "constraint",
        "differential": {"element": [{"id": type, "path": type}, *elements]},
        **members,
    }


def extension(name: str, *elements: dict[str, Any], context: str = "Element", **members: Any) -> dict[str, Any]:
    """The definition of an extension."""
    told = [{"type": "element", "expression": one} for one in context.split()]
    url = element("Extension.url", fixedUri=HERE + name)
    before = [one for one in elements if one["path"].startswith("Extension.extension")]
    after = [one for one in elements if one not in before]
    return profile(name, "Extension", *before, url, *after, **{"context": told, **members})


def element(id: str, **said: Any) -> dict[str, Any]:
    """An element of a differential, a slice of one where the id says so; ``max`` may be a number."""
    path = ".".join(one.partition(":")[0] for one in id.split("."))
    told: dict[str, Any] = {"id": id, "path": path, **said}
    slice = id.rpartition(".")[2].partition(":")[2]
    if slice:
        told["sliceName"] = slice
    if "max" in told:
        told["max"] = str(told["max"])
    return told


def by(type: str, path: str, *more: tuple[str, str], rules: str = "open", ordered: bool = False) -> dict[str, Any]:
    """A slicing by these discriminators."""
    listed = [{"type": each, "path": at} for each, at in ((type, path), *more)]
    return {"discriminator": listed, "rules": rules, "ordered": ordered}


def checks(*profiles: dict[str, Any], most: int = MOST_CHECKED) -> ProfileChecks:
    """An engine that knows these, and what R4 publishes."""
    known = StructureDefinitions(base_definitions(), profiles)
    return ProfileChecks(known, load(), TERMINOLOGY, most=most)


def issues(
    resource: dict[str, Any], *profiles: dict[str, Any], bundle: Bundled | None = None, by: int = 1
) -> list[Issue]:
    """What is said of a resource by the first profile, or as many as ``by`` tells; the others are known besides."""
    engine, urls = checks(*profiles), [one["url"] for one in profiles[:by]]
    for url in urls:
        engine.check(url)  # a bad profile is told of here, with its sentence
    return engine.issues(resource, urls, bundle=bundle)


def said(resource: dict[str, Any], *profiles: dict[str, Any], bundle: Bundled | None = None, by: int = 1) -> list[Said]:
    """The same, without the sentences, and without what is mere information."""
    return [
        Said(one.expression[0], one.rule, str(one.severity))
        for one in issues(resource, *profiles, bundle=bundle, by=by)
        if one.severity is not Severity.INFORMATION
    ]

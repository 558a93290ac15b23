"""The capability statement: one file declares what is promised, routes and ``/metadata`` are made from it.

https://hl7.org/fhir/R4/capabilitystatement.html

The file says which interactions and operations each type has, and which of them on a condition. The search parameters
are put in from the table that answers them, so neither can promise what the other does not do.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import msgspec

from fhir_server.http.routes import Interaction, Routes
from fhir_server.search.compartments import COMPARTMENTS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from fhir_server.operations.operation import Offered
    from fhir_server.search.parameters import Parameters


@dataclass(frozen=True, slots=True)
class Capability:
    """What is promised, and the routes that keep it."""

    routes: Routes
    statement: bytes


def load(
    path: Path,
    parameters: Parameters,
    operations: Sequence[Offered],
    *,
    base_url: str,
    version: str,
    cors: bool,
    deletes_several: bool = False,
    profiles: Mapping[str, Sequence[str]] = MappingProxyType({}),
    guides: Sequence[str] = (),
) -> Capability:
    """Read the declaration; a code, type or operation this server does not have stops the start-up.

    ``profiles`` are those that resources are validated by, for each type; ``guides`` are named beside those declared.
    ``deletes_several`` is the operator's choice, which the declaration then tells in place of its own.
    """
    declared: dict[str, Any] = msgspec.json.decode(path.read_bytes())
    rest = declared["rest"][0]
    types: dict[str, list[str]] = {
        resource["type"]: [one["code"] for one in resource["interaction"]] for resource in rest["resource"]
    }
    unknown = set(types) - set(parameters.resource_types)
    missing = set(parameters.resource_types) - set(types)
    if unknown or missing:
        raise ValueError(f"{path.name} must declare every resource type of R4: {sorted(unknown | missing)}")
    routes = routes_of(rest, operations)
    for resource in rest["resource"]:
        resource.update(_searches(resource["type"], types[resource["type"]], parameters))
        if resource["type"] in profiles:
            resource["supportedProfile"] = sorted(profiles[resource["type"]])
        if deletes_several and resource["conditionalDelete"] == "single":
            resource["conditionalDelete"] = "multiple"
    rest["searchParam"] = _on_every_type(parameters)
    declared["implementationGuide"] = list(dict.fromkeys([*declared["implementationGuide"], *guides]))
    declared["software"]["version"] = version
    rest["security"]["cors"] = cors
    declared["implementation"] = {"description": declared["description"], "url": base_url}
    return Capability(routes, msgspec.json.encode(declared))


def routes_of(rest: Mapping[str, Any], operations: Sequence[Offered]) -> Routes:
    """The routes declared; an operation without its declaration, or the reverse, stops the start-up."""
    declared = {
        (resource["type"], one["name"], one["definition"])
        for resource in rest["resource"]
        for one in resource.get("operation", ())
    }
    all_types = [resource["type"] for resource in rest["resource"]]
    there = {(type, one.definition.code, one.definition.url) for one in operations for type in one.types(all_types)}
    if declared != there:
        alone = ", ".join(f"{type}/${name}" for type, name, _ in sorted(declared ^ there))
        raise ValueError(f"Operations must be declared exactly when they are there: {alone}")
    types = {resource["type"]: [one["code"] for one in resource["interaction"]] for resource in rest["resource"]}
    compartments = [_compartment(url) for url in rest.get("compartment", ())]
    conditional = {resource["type"]: _on_condition(resource, types[resource["type"]]) for resource in rest["resource"]}
    return Routes((one["code"] for one in rest["interaction"]), types, operations, compartments, conditional)


def _on_condition(resource: Mapping[str, Any], interactions: list[str]) -> list[Interaction]:
    """What a type offers on a condition. R4 has no flag for patch: it goes with update."""
    wanted: list[Interaction] = []
    if resource["conditionalUpdate"]:
        wanted += [Interaction.UPDATE, *([Interaction.PATCH] if Interaction.PATCH in interactions else [])]
    if resource["conditionalDelete"] != "not-supported":
        wanted.append(Interaction.DELETE)
    missing = [one for one in wanted if one not in interactions]
    if missing:
        raise ValueError(f"{resource['type']} declares {', '.join(missing)} on a condition, and not without")
    return wanted


_COMPARTMENT: Final = "http://hl7.org/fhir/CompartmentDefinition/"


def _compartment(url: str) -> str:
    """The type that a compartment of the standard is about, by the URL of its definition."""
    known = {f"{_COMPARTMENT}{type[0].lower()}{type[1:]}": type for type in COMPARTMENTS}
    if url not in known:
        raise ValueError(f"{url} is no compartment of R4: {', '.join(known)}")
    return known[url]


_EVERYWHERE: Final = ("_id", "_lastUpdated", "_profile", "_security", "_source", "_tag")
_BESIDE: Final = {
    "_filter": "An expression: docs/interactions/search.md.",
    "_has": "A reverse chain: _has:Type:reference:parameter.",
    "_list": "The id of a List.",
    "_type": "Of a search of several types: which ones.",
}
"""Parameters of every search that no SearchParameter of R4 describes for each type."""


def _on_every_type(parameters: Parameters) -> list[Mapping[str, str]]:
    """What a search of several types takes: the parameters of Resource, and those that are no element's."""
    known = parameters.of("Basic")
    told: list[Mapping[str, str]] = [
        {"name": code, "definition": known[code].url, "type": known[code].type} for code in _EVERYWHERE
    ]
    return told + [{"name": name, "type": "special", "documentation": text} for name, text in _BESIDE.items()]


def _searches(type: str, interactions: list[str], parameters: Parameters) -> Mapping[str, Any]:
    if Interaction.SEARCH_TYPE not in interactions:
        return {}
    supported = [one for one in parameters.of(type).values() if one.supported]
    told: dict[str, Any] = {
        "searchParam": [
            {"name": one.code, "definition": one.url, "type": one.type}
            for one in sorted(supported, key=lambda one: one.code)
        ]
    }
    references = sorted(f"{type}:{one.code}" for one in supported if one.type == "reference")
    if references:
        told["searchInclude"] = ["*", f"{type}:*", *references]
    pointing = sorted(
        f"{other}:{one.code}"
        for other in parameters.resource_types
        for one in parameters.of(other).values()
        if one.supported and one.type == "reference" and type in one.targets
    )
    if pointing:
        told["searchRevInclude"] = ["*", *pointing]
    return told

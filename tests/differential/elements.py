"""What a search parameter reads in a resource: the values of its expression, each with its FHIR type.

The expressions of R4 are a small part of FHIRPath (https://hl7.org/fhir/R4/searchparameter-registry.html). This reads
them by itself and refuses what it does not know; of the server it takes the tables of R4 and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, TypeAlias

from fhir_server.definitions.load import load
from fhir_server.definitions.tables import SearchParameter

Resource: TypeAlias = dict[str, Any]

_CAST: Final = re.compile(r"\((?P<path>[^()]+(?:\([^()]*\))?) as (?P<type>\w+)\)(?P<rest>\..+)?")
_SAID: Final = re.compile(r"(?P<path>[\w.]+)\.exists\(\) and (?P=path) != false")
_STEP: Final = re.compile(r"(?P<name>\w+)(?:\((?P<told>[^()]*(?:\(\)[^()]*)?)\))?")
_EQUALS: Final = re.compile(r"(?P<name>\w+)\s*=\s*'(?P<value>[^']*)'")
_RESOLVES: Final = re.compile(r"resolve\(\) is (?P<type>\w+)")
_OF_ANY: Final = ("Resource", "DomainResource")


@dataclass(frozen=True, slots=True)
class Node:
    """One element of a resource."""

    type: str
    """``HumanName``, ``dateTime``, or the path of a backbone element."""
    value: Any


def parameters(type: str) -> Mapping[str, SearchParameter]:
    """The search parameters of a resource type that read an element, by code."""
    return {code: one for code, one in load().search_parameters[type].items() if one.expression}


@cache
def parameter_of(url: str) -> SearchParameter:
    """The definition with this canonical URL."""
    found = {one.url: one for codes in load().search_parameters.values() for one in codes.values()}
    return found[url]


def nodes_of(resource: Resource, expression: str) -> list[Node]:
    """What an expression, which may speak of many types, selects in this resource."""
    type = resource["resourceType"]
    found: list[Node] = []
    for branch in branches(expression):
        subject = branch.lstrip("(").partition(".")[0].partition(" ")[0]
        if subject in (type, *_OF_ANY):
            found += selected(Node(type, resource), branch)
    return found


def within(element: Node, expression: str) -> list[Node]:
    """What the expression of a component of a composite parameter selects in an element."""
    return [node for branch in branches(expression) for node in selected(element, f"$this.{branch}")]


def branches(expression: str) -> list[str]:
    """The parts of a union."""
    return [one.strip() for one in expression.split("|")]


def selected(root: Node, branch: str) -> list[Node]:
    """What one part of a union selects, its first step being the root itself."""
    if said := _SAID.fullmatch(branch):
        found = selected(root, said["path"])
        return [Node("boolean", any(node.value is not False for node in found))]
    if cast := _CAST.fullmatch(branch):
        found = [node for node in selected(root, cast["path"]) if _is(node, cast["type"])]
        return _walked(found, (cast["rest"] or "")[1:])
    return _walked([root], branch.partition(".")[2])


def _walked(nodes: list[Node], path: str) -> list[Node]:
    at = 0
    while at < len(path):
        step = _STEP.match(path, at)
        if step is None or path[step.end() : step.end() + 1] not in ("", "."):
            raise NotImplementedError(path)
        nodes = _stepped(nodes, step["name"], step["told"])
        at = step.end() + 1
    return nodes


def _stepped(nodes: list[Node], name: str, told: str | None) -> list[Node]:
    if told is None:
        return [child for node in nodes for child in children(node, name)]
    if name == "as":
        return [node for node in nodes if _is(node, told)]
    if name == "where" and (wanted := _RESOLVES.fullmatch(told)):
        return [node for node in nodes if _type_referred(node) == wanted["type"]]
    if name == "where" and (wanted := _EQUALS.fullmatch(told)):
        return [node for node in nodes if node.value.get(wanted["name"]) == wanted["value"]]
    raise NotImplementedError(f"{name}({told})")


def children(node: Node, name: str) -> Iterator[Node]:
    """The elements of this name; of a choice, the one that is there, whatever its type."""
    for element in load().structures[node.type].elements:
        if element.name == name:
            for use in element.types:
                found = node.value.get(element.json_name(use.code))
                for value in found if isinstance(found, list) else [] if found is None else [found]:
                    yield Node(use.code, value)
                if found is not None:
                    return


def _is(node: Node, type: str) -> bool:
    """``DateTime``, in a few expressions of R4, is ``dateTime``."""
    return type in (node.type, node.type[0].upper() + node.type[1:])


def _type_referred(node: Node) -> str:
    """The type a literal reference names; nothing is known of a logical one."""
    steps = str(node.value.get("reference", "")).split("/")
    return steps[-2] if len(steps) > 1 else ""

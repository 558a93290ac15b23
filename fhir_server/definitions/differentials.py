"""What a differential tells, as a tree: which element has which children and which slices.

https://hl7.org/fhir/R4/profiling.html#snapshot, https://hl7.org/fhir/R4/elementdefinition.html#id

Where an element stands is told by its id (``Patient.identifier:INS.system``). Without an id, or with one that is no
such path, it is told by its path and by the slice it comes after, as authors write it by hand.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from fhir_server.definitions.bad_profile import BadProfile
from fhir_server.definitions.messages import told as message
from fhir_server.fhir.json import Json, JsonObject

MAX_DEPTH = 40
"""Deepest path of a differential. Real ones stay under 10."""


@dataclass(slots=True)
class Told:
    """An element that a differential names, or that it passes on the way to one."""

    name: str
    """``identifier``, ``value[x]``, ``valueQuantity``; of a slice the name of the slice."""
    id: str
    element: JsonObject | None = None
    """Nothing where only something below is constrained."""
    position: int = -1
    """Among the elements of the differential."""
    children: dict[str, Told] = field(default_factory=dict)
    """By name, in the order they are told in."""
    slices: dict[str, Told] = field(default_factory=dict)
    shortcut: str = ""
    """Of a slice that was told as ``valueQuantity``: the code of the type."""


def told(profile: str, type: str, elements: list[JsonObject]) -> Told:
    """The tree of a differential of a type."""
    root = Told(type, type)
    passed: list[tuple[str, str]] = []
    for position, element in enumerate(elements):
        path = element.get("path")
        if not isinstance(path, str) or not path:
            raise BadProfile(profile, f"differential.element[{position}]", message("no-path"))
        if "." in str(element.get("sliceName", "")):
            raise BadProfile(profile, path, message("dot-in-slice-name"))
        id = _id(element, path, passed)
        node, slice_name = _placed(profile, root, id)
        if node.element is not None:
            raise BadProfile(profile, id, message("told-twice"))
        if node.children or node.slices:
            raise BadProfile(profile, id, message("parts-first"))
        if slice_name and element.get("sliceName", slice_name) != slice_name:
            raise BadProfile(profile, id, message("slice-name-differs", name=element["sliceName"]))
        node.element, node.position = element, position
    return root


def _placed(profile: str, root: Told, id: str) -> tuple[Told, str]:
    """The place of an id in the tree, made on the way, and its slice name."""
    (first, *steps) = _steps(id)
    if first != (root.name, ""):
        raise BadProfile(profile, id, message("other-beginning", type=root.name))
    if len(steps) > MAX_DEPTH:
        raise BadProfile(profile, id, message("path-too-long", most=MAX_DEPTH))
    node, slice_name = root, ""
    for name, slice_name in steps:
        node = _part(node.children, name, f"{node.id}.{name}")
        if slice_name:
            node = _part(node.slices, slice_name, f"{node.id}:{slice_name}")
    return node, slice_name


def _part(parts: dict[str, Told], name: str, id: str) -> Told:
    """The one of this name, which is added if it is new."""
    if name not in parts:
        parts[name] = Told(name, id)
    return parts[name]


def _id(element: JsonObject, path: str, passed: list[tuple[str, str]]) -> str:
    """The id of an element: its own, or what follows from its path and from the slice it is told in.

    ``passed`` are path and id of the elements around the one that was told before, and of that one.
    """
    while passed and not path.startswith(passed[-1][0] + "."):
        passed.pop()
    own, slice_name = element.get("id"), element.get("sliceName")
    if isinstance(own, str) and ".".join(name for name, _ in _steps(own)) == path:
        id = own
    elif passed:
        id = passed[-1][1] + path.removeprefix(passed[-1][0])
    else:
        id = path
    if slice_name and ":" not in id.rpartition(".")[2]:
        id = f"{id}:{slice_name}"
    passed.append((path, id))
    return id


def _steps(id: str) -> list[tuple[str, str]]:
    """The name and the slice name of each step of an id."""
    steps = (step.partition(":") for step in id.split("."))
    return [(name, slice_name) for name, _, slice_name in steps]


def shortcuts_apart(choice: str, codes: list[str], node: Told) -> list[tuple[Told, str]]:
    """The children told as ``valueQuantity`` for a choice ``value[x]`` of these types, each with its type."""
    stem = choice.removesuffix("[x]")
    by_name = {stem + code[:1].upper() + code[1:]: code for code in codes}
    return [(child, by_name[child.name]) for child in node.children.values() if child.name in by_name]


def objects(value: Json) -> list[JsonObject]:
    """The objects of an array; nothing where it is something else."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def texts(value: Json) -> list[str]:
    """The strings of an array; nothing where it is something else."""
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []

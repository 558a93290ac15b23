"""The elements of a snapshot as a tree, and back.

https://hl7.org/fhir/R4/profiling.html#snapshot
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from fhir_server.definitions.bad_profile import Defect
from fhir_server.definitions.constraining import constraints
from fhir_server.definitions.differentials import objects
from fhir_server.definitions.messages import told as message
from fhir_server.fhir.json import JsonObject


@dataclass(slots=True)
class Node:
    """An element with its children and its slices. Its id and path follow from where it stands."""

    name: str
    """``identifier``, ``value[x]``; at the root the type."""
    element: JsonObject
    """Without id, path and sliceName. Never changed in place: trees share elements."""
    slice_name: str = ""
    children: list[Node] = field(default_factory=list)
    """Empty where the element is not unfolded."""
    slices: list[Node] = field(default_factory=list)
    """In their order. Slices of a slice (``a/b``) are slices of its node."""

    def copy(self) -> Node:
        """The same tree, to be changed apart."""
        return Node(
            self.name,
            self.element,
            self.slice_name,
            [child.copy() for child in self.children],
            [slice.copy() for slice in self.slices],
        )

    def child(self, name: str) -> Node | None:
        """The child of this name."""
        return next((child for child in self.children if child.name == name), None)

    def all_slices(self) -> Iterator[Node]:
        """Its slices, and theirs."""
        for slice in self.slices:
            yield slice
            yield from slice.all_slices()

    def size(self) -> int:
        """How many elements there are in it."""
        return 1 + sum(part.size() for part in self.children) + sum(part.size() for part in self.slices)


def planted(elements: list[JsonObject], source: str) -> Node:
    """The tree of the elements of a snapshot, by their ids. A :class:`Defect` says what is wrong with them.

    ``source`` is the definition: what constraints without a source come from.
    """
    root: Node | None = None
    by_id: dict[str, Node] = {}
    for element in elements:
        id = str(element.get("id"))
        parent_id, _, step = id.rpartition(".")
        name, _, slice_name = step.partition(":")
        node = Node(name, _unplaced(element, source), slice_name)
        if root is None:
            root = node
        else:
            sliced, whole = f"{parent_id}.{name}", slice_name.rpartition("/")[0]
            around = by_id.get(f"{sliced}:{whole}" if whole else sliced if slice_name else parent_id)
            if around is None:
                raise Defect(message("snapshot-order", id=id))
            (around.slices if slice_name else around.children).append(node)
        by_id[id] = node
    if root is None:
        raise Defect(message("snapshot-empty"))
    return root


def _unplaced(element: JsonObject, source: str) -> JsonObject:
    """An element without where it stands, each of its constraints with its source."""
    kept = {name: value for name, value in element.items() if name not in ("id", "path", "sliceName")}
    if "constraint" in kept:
        kept["constraint"] = constraints([], objects(kept["constraint"]), source)
    return kept


def elements_of(node: Node, id: str = "", path: str = "") -> Iterator[JsonObject]:
    """The elements in the order of a snapshot: an element, its children, then its slices with theirs.

    ``id`` and ``path`` are those of the parent.
    """
    own_id = f"{id}.{node.name}" if id else node.name
    yield from _from(node, own_id, f"{path}.{node.name}" if path else node.name)


def _from(node: Node, id: str, path: str) -> Iterator[JsonObject]:
    """``id`` is that of the element, or of the element it is a slice of."""
    own_id = f"{id}:{node.slice_name}" if node.slice_name else id
    slice_name: JsonObject = {"sliceName": node.slice_name} if node.slice_name else {}
    yield {"id": own_id, "path": path, **slice_name, **node.element}
    for child in node.children:
        yield from elements_of(child, own_id, path)
    for slice in node.slices:
        yield from _from(slice, id, path)

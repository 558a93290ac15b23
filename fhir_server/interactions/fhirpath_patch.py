"""FHIRPath Patch on a decoded resource: the operations in their order, each on what the one before left.

https://hl7.org/fhir/R4/fhirpatch.html

All or nothing: the resource given is never changed, and an operation that does not fit refuses the patch. The result is
not validated here. What the standard leaves open:

* ``insert`` and ``move`` take a path that selects an array, all of it. Of an element that is not there, none is
  selected: ``add`` brings the first value.
* What a ``delete`` leaves without content goes too, up to the resource.
* The id of the resource, its version and the moment of its last change are the server's; ``meta`` is not replaced or
  deleted as a whole, for labels and profiles would go unseen with it.
* Parameters without any operation change nothing.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, assert_never

from fhir_server.fhir.errors import Invalid, Unprocessable
from fhir_server.fhir.json import MAX_DEPTH
from fhir_server.fhir.outcome import IssueType
from fhir_server.fhirpath.effort import Effort
from fhir_server.fhirpath.model import Model
from fhir_server.fhirpath.path import compile_path, no_element
from fhir_server.fhirpath.refused import Misfit, NotUnderstood, Refused, TooMuch
from fhir_server.interactions.fhirpath_edits import (
    append,
    copied,
    holder_of,
    insert,
    length_of,
    move,
    opened,
    remove,
    repeats,
    replace,
)
from fhir_server.interactions.fhirpath_operations import Operation, Type, read_operations
from fhir_server.interactions.fhirpath_values import value_of
from fhir_server.interactions.messages import told

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from fhir_server.definitions.tables import Definitions, Element
    from fhir_server.fhir.json import JsonObject
    from fhir_server.fhirpath.node import Node

_SERVERS: Final = frozenset({("id",), ("meta", "versionId"), ("meta", "lastUpdated")})
"""Elements of every resource that a client does not change."""


def apply(resource: JsonObject, parameters: JsonObject, definitions: Definitions) -> JsonObject:
    """The resource after the patch: 400 for a patch that is none, 422 for one that does not fit the resource."""
    model = Model(definitions)
    type = resource.get("resourceType")
    if not isinstance(type, str) or type not in model.resources:
        raise Unprocessable(told("no-resource"), expression=("resourceType",))
    operations = read_operations(parameters, model)
    paths = []
    for operation in operations:
        with _refusing(operation):
            paths.append(compile_path(operation.path, type, model))
    changed = _copy(resource)
    effort = Effort()
    for operation, path in zip(operations, paths, strict=True):
        with _refusing(operation):
            _perform(operation, path.select(changed, type, effort), model)
    return changed


def _copy(resource: JsonObject) -> JsonObject:
    try:
        return {name: copied(one, MAX_DEPTH - 1) for name, one in resource.items()}
    except TooMuch:
        raise Unprocessable(told("too-deep-to-patch"), code=IssueType.TOO_COSTLY) from None


@contextmanager
def _refusing(operation: Operation) -> Iterator[None]:
    """Tell a refusal with the operation it is about."""
    try:
        yield
    except Refused as refused:
        message, where = operation.about(refused.told), (operation.where,)
        if isinstance(refused, NotUnderstood):
            raise Invalid(message, expression=where) from None
        code = IssueType.TOO_COSTLY if isinstance(refused, TooMuch) else IssueType.PROCESSING
        raise Unprocessable(message, expression=where, code=code) from None


def _perform(operation: Operation, nodes: Sequence[Node], model: Model) -> None:
    match operation.type:
        case Type.ADD:
            _add(operation, _one(nodes), model)
        case Type.INSERT:
            _insert(operation, nodes, model)
        case Type.DELETE:
            if nodes:  # what is not there is deleted already
                _element(_one(nodes), whole=True)
                remove(nodes[0])
        case Type.REPLACE:
            _replace(operation, _one(nodes), model)
        case Type.MOVE:
            _move(operation, nodes)
        case _:
            assert_never(operation.type)


def _add(operation: Operation, node: Node, model: Model) -> None:
    member = model.member(node.type, operation.name)
    if member is None:
        raise Misfit(no_element((node.type,), operation.name, model))
    _must_be_free((*_names(node), operation.name))
    room = MAX_DEPTH - node.depth - (1 if repeats(member[0]) else 0)
    made = value_of(operation.value, member[0], model, room)
    append(opened(node, model), member, made)


def _insert(operation: Operation, nodes: Sequence[Node], model: Model) -> None:
    length = _length(nodes)
    _must_be_within("index", operation.index, length, length)
    made = value_of(operation.value, _element(nodes[0]), model, _room(nodes[0]))
    insert(holder_of(nodes[0]), made, operation.index)


def _replace(operation: Operation, node: Node, model: Model) -> None:
    replace(node, value_of(operation.value, _element(node, whole=True), model, _room(node)))


def _move(operation: Operation, nodes: Sequence[Node]) -> None:
    length = _length(nodes)
    _must_be_within("source", operation.source, length - 1, length)
    _must_be_within("destination", operation.destination, length - 1, length)
    move(holder_of(nodes[0]), nodes[0].name, operation.source, operation.destination)


def _one(nodes: Sequence[Node]) -> Node:
    if not nodes:
        raise Misfit(told("selects-none"))
    if len(nodes) > 1:
        raise Misfit(told("selects-several", number=len(nodes)))
    return nodes[0]


def _length(nodes: Sequence[Node]) -> int:
    """How long the array is that the path selects."""
    if not nodes:
        raise Misfit(told("selects-no-array"))
    element = _element(nodes[0])
    if nodes[0].index is None:
        raise Misfit(told("does-not-repeat", element=element.path))
    holder, name = holder_of(nodes[0]), nodes[0].name
    if any(holder_of(node) is not holder or node.name != name for node in nodes):
        raise Misfit(told("several-arrays"))
    length = length_of(holder, name)
    if len(nodes) < length:
        raise Misfit(told("part-of-an-array", number=len(nodes), length=length))
    return length


def _element(node: Node, *, whole: bool = False) -> Element:
    """The definition of an element that a patch may change; ``whole`` if nothing of it will stay."""
    if node.element is None:
        raise Misfit(told("whole-resource"))
    names = _names(node)
    _must_be_free(names)
    if whole and names == ("meta",):
        raise Misfit(told("whole-meta"))
    return node.element


def _must_be_free(names: tuple[str, ...]) -> None:
    for kept in _SERVERS:
        if names[: len(kept)] == kept:
            raise Misfit(
                told("servers-own-within", name=kept[1], parent=kept[0])
                if kept[1:]
                else told("servers-own", name=kept[0])
            )


def _names(node: Node) -> tuple[str, ...]:
    """The names of an element and of what it is in, from the resource down."""
    if node.parent is None or node.element is None:
        return ()
    return (*_names(node.parent), node.element.name)


def _room(node: Node) -> int:
    """How deep a value in the place of an element may be nested."""
    return MAX_DEPTH + 1 - node.depth


def _must_be_within(part: str, value: int, highest: int, length: int) -> None:
    if not 0 <= value <= highest:
        if length == 1:
            raise Misfit(told("out-of-range-of-one", part=part, value=value))
        raise Misfit(told("out-of-range", part=part, value=value, length=length))

"""Changes of one element in place: the array it is in, and what stands beside a primitive, change with it.

https://hl7.org/fhir/R4/json.html

FHIR knows no empty array and no empty object: what has nothing left goes, up to the resource itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fhir_server.fhirpath.refused import Misfit, TooMuch
from fhir_server.interactions.messages import told

if TYPE_CHECKING:
    from collections.abc import Callable

    from fhir_server.definitions.tables import Element
    from fhir_server.fhir.json import Json, JsonObject
    from fhir_server.fhirpath.model import Member, Model
    from fhir_server.fhirpath.node import Node


@dataclass(frozen=True, slots=True)
class Made:
    """A value as it is written: under which JSON name, and what stands beside it."""

    name: str
    value: Json
    about: Json = None


def copied(value: Json, room: int) -> Json:
    """A copy of a tree, nested no deeper than there is room; numbers stay as they were written."""
    # most members are no containers: one call for each would take most of the time of a patch
    if isinstance(value, dict):
        below = within(room)
        return {name: copied(one, below) if isinstance(one, (dict, list)) else one for name, one in value.items()}
    if isinstance(value, list):
        below = within(room)
        return [copied(one, below) if isinstance(one, (dict, list)) else one for one in value]
    return value


def within(room: int) -> int:
    """How deep what is in an object or an array may be nested."""
    if room <= 0:
        raise TooMuch(told("result-too-deep"))
    return room - 1


def repeats(element: Element) -> bool:
    """Whether an element is written as an array."""
    return element.max != 1


def append(holder: JsonObject, member: Member, made: Made) -> None:
    """Add to the end of an element that repeats, or one that does not repeat and is not there."""
    element, names = member
    if repeats(element):
        insert(holder, made, length_of(holder, made.name))
    elif any(side in holder for name in names for side in (name, f"_{name}")):
        raise Misfit(told("there-already", element=element.path))
    else:
        holder |= _written(made)


def length_of(holder: JsonObject, name: str) -> int:
    """How many values an array has, those included of which only extensions are told."""
    return max(len(side) if isinstance(side := holder.get(key), list) else 0 for key in (name, f"_{name}"))


def insert(holder: JsonObject, made: Made, at: int) -> None:
    """Insert into an array, at a place it has or at its end."""
    _place(holder, made, lambda side, value: side.insert(at, value))


def move(holder: JsonObject, name: str, source: int, destination: int) -> None:
    """Take out of an array and put in again, where it then is."""
    _place(holder, Made(name, None), lambda side, _: side.insert(destination, side.pop(source)))


def replace(node: Node, made: Made) -> None:
    """Put another value in the place of an element; the other type of a choice is another name."""
    holder, index = holder_of(node), node.index
    if index is not None:
        _place(holder, made, lambda side, value: side.__setitem__(index, value))
        _drop_empty(holder, node.name)
        return
    before = [*holder.items()]
    holder.clear()
    for name, value in before:
        holder |= _written(made) if name in (node.name, f"_{node.name}") else {name: value}


def remove(node: Node) -> None:
    """Take an element away, and what has nothing left without it."""
    holder, index = holder_of(node), node.index
    if index is not None:
        _place(holder, Made(node.name, None), lambda side, _: side.__delitem__(index))
        _drop_empty(holder, node.name)
    else:
        for name in (node.name, f"_{node.name}"):
            holder.pop(name, None)
    if node.parent is not None and node.parent.element is not None and not holder:
        _end(node.parent)


def _end(node: Node) -> None:
    """Take away an element that has no members left; a primitive that has a value stays."""
    if node.value is None or node.value == {}:
        remove(node)
    else:
        replace(node, Made(node.name, node.value))


def holder_of(node: Node) -> JsonObject:
    """The object an element is a member of."""
    holder = node.parent.members if node.parent is not None else None
    if holder is None:
        raise ValueError("A resource is a member of nothing")
    return holder


def opened(node: Node, model: Model) -> JsonObject:
    """The object that elements are added to; that of a primitive is made where there is none."""
    held = node.members
    if held is None:
        if not model.is_primitive(node.type):
            raise Misfit(told("not-written-so", type=node.type))
        held = {}
        replace(node, Made(node.name, node.value, held))
    return held


def _written(made: Made) -> JsonObject:
    told = {made.name: made.value, f"_{made.name}": made.about}
    return {name: value for name, value in told.items() if value is not None}


def _place(holder: JsonObject, made: Made, change: Callable[[list[Json], Json], None]) -> None:
    """Change the array of the values and the one beside it alike; one that is not there is made if it must tell."""
    length = length_of(holder, made.name)
    for name, value in ((made.name, made.value), (f"_{made.name}", made.about)):
        side = holder.get(name)
        if not isinstance(side, list):
            if value is None:
                continue
            side = holder[name] = []
        side += [None] * (length - len(side))
        change(side, value)


def _drop_empty(holder: JsonObject, name: str) -> None:
    """An array that tells nothing any more goes."""
    for side in (name, f"_{name}"):
        told = holder.get(side)
        if isinstance(told, list) and all(one is None for one in told):
            del holder[side]

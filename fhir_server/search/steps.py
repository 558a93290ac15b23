"""The steps of a compiled path: functions from elements found so far to elements found next.

http://hl7.org/fhirpath/N1/ · :mod:`fhir_server.search.path` puts them together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final, TypeAlias

from fhir_server.fhir.json import Json, JsonObject
from fhir_server.search.types.reference import target_type

Found: TypeAlias = tuple[Json, str]
"""An element and the code of its type."""

Step: TypeAlias = Callable[[list[Found]], list[Found]]

NO_RESULT: Final[list[Found]] = []


def same(found: list[Found]) -> list[Found]:
    """The focus itself."""
    return found


def then(first: Step, second: Step) -> Step:
    """One step after the other."""
    if first is same:
        return second

    def step(found: list[Found]) -> list[Found]:
        reached = first(found)
        return second(reached) if reached else NO_RESULT

    # `exists()` of nothing is false, not nothing.
    return (lambda found: second(first(found))) if second is exists else step


def named(names: Iterable[str], code: str) -> Step:
    """Follow names through objects and arrays of objects; what is at their end has one type."""
    names = tuple(names)

    def step(found: list[Found]) -> list[Found]:
        nodes: list[Json] = [element for element, _ in found]
        for name in names:
            reached: list[Json] = []
            for node in nodes:
                if isinstance(node, dict):
                    value = node.get(name)
                    if isinstance(value, list):
                        reached += value
                    elif value is not None:
                        reached.append(value)
            if not reached:
                return NO_RESULT
            nodes = reached
        return [(node, code) for node in nodes if node is not None]

    return step


def plain(names: Iterable[str], code: str) -> Callable[[JsonObject], list[Found]]:
    """The same from one object, as most paths are: the first name decides of most of them that there is nothing."""
    first, *others = names

    def walk(element: JsonObject) -> list[Found]:
        value = element.get(first)
        if value is None:
            return NO_RESULT
        nodes: list[Json] = value if isinstance(value, list) else [value]
        for name in others:
            reached: list[Json] = []
            for node in nodes:
                if isinstance(node, dict):
                    value = node.get(name)
                    if isinstance(value, list):
                        reached += value
                    elif value is not None:
                        reached.append(value)
            if not reached:
                return NO_RESULT
            nodes = reached
        return [(node, code) for node in nodes if node is not None]

    return walk


def choices(names: Mapping[str, str]) -> Step:
    """The element of a choice, under whichever of its names, with the type the name tells."""

    def step(found: list[Found]) -> list[Found]:
        return [pair for element, _ in found if isinstance(element, dict) for pair in members(element, names)]

    return step


def named_by_type(table: Mapping[str, Mapping[str, str]]) -> Step:
    """The elements under names that depend on the type of the focus: of each type, JSON names and their types."""

    def step(found: list[Found]) -> list[Found]:
        return [
            pair
            for element, code in found
            if isinstance(element, dict) and code in table
            for pair in members(element, table[code])
        ]

    return step


def members(element: JsonObject, names: Mapping[str, str]) -> list[Found]:
    """The members under any of the names, each with its type; a resource tells its own."""
    pairs: list[Found] = []
    # An extension's value has fifty possible names, its object three members: walk the members.
    for name, value in element.items():
        code = names.get(name)
        if code is not None:
            pairs.extend((one, code) for one in (value if isinstance(value, list) else (value,)) if one is not None)
    return pairs


def either(first: Step, second: Step) -> Step:
    """The union, in order."""
    return lambda found: first(found) + second(found)


def both(first: Step, second: Step) -> Step:
    """``and``, of two conditions."""
    return lambda found: [(is_true(first(found)) and is_true(second(found)), "boolean")]


def compared(first: Step, second: Step, *, equal: bool) -> Step:
    """``=`` or ``!=``; nothing when either side is nothing."""

    def step(found: list[Found]) -> list[Found]:
        left, right = [element for element, _ in first(found)], [element for element, _ in second(found)]
        if not left or not right:
            return NO_RESULT
        same = len(left) == len(right) and all(
            type(one) is type(other) and one == other for one, other in zip(left, right, strict=True)
        )
        return [(same is equal, "boolean")]

    return step


def constant(value: Json, code: str) -> Step:
    """A literal."""
    constant: list[Found] = [(value, code)]
    return lambda _found: constant


def item(position: int) -> Step:
    """``[n]``."""
    return lambda found: found[position : position + 1]


def exists(found: list[Found]) -> list[Found]:
    """Whether there is anything."""
    return [(bool(found), "boolean")]


def is_type(type: str) -> Step:
    """Whether each is of the type."""
    return lambda found: [(code == type, "boolean") for _, code in found]


def of_type(type: str) -> Step:
    """Those of the type."""
    return lambda found: [pair for pair in found if pair[1] == type]


def of_url(url: str) -> Step:
    """The extensions of this url."""
    return lambda found: [pair for pair in found if isinstance(pair[0], dict) and pair[0].get("url") == url]


def where(condition: Step) -> Step:
    """Those of which the condition is true."""
    return lambda found: [pair for pair in found if is_true(condition([pair]))]


def where_member(name: str, value: str) -> Step:
    """Those whose member is this text."""
    return lambda found: [pair for pair in found if isinstance(pair[0], dict) and pair[0].get(name) == value]


def resolved(found: list[Found]) -> list[Found]:
    """In place of the resource a reference points to, its type alone: nothing is fetched while indexing."""
    return [(None, target) for element, _ in found if (target := target_type(element)) is not None]


def is_true(found: list[Found]) -> bool:
    """Whether a condition came out true; nothing is not."""
    return bool(found) and found[0][0] is True

"""The steps of a compiled path: from the elements reached so far to those reached next, in order.

http://hl7.org/fhirpath/N1/ · :mod:`fhir_server.fhirpath.path` puts them together.

No step reaches an element twice, and a condition looks at what is below its element alone. So each step of the text
looks at each element of the resource once at most: the time is linear in the size of the resource.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias

from fhir_server.fhir.json import Json
from fhir_server.fhirpath.effort import Effort
from fhir_server.fhirpath.messages import told
from fhir_server.fhirpath.model import Member, Model
from fhir_server.fhirpath.node import Node, children
from fhir_server.fhirpath.refused import Misfit
from fhir_server.fhirpath.sameness import equal, equal_nodes

Step: TypeAlias = Callable[[list[Node], Effort], list[Node]]
Steps: TypeAlias = tuple[Step, ...]

_CHARACTERS: Final = 256
"""Of a text that is searched, so many are as much work as one element."""


def run(steps: Steps, nodes: list[Node], effort: Effort) -> list[Node]:
    """One step after the other. A loop, and not steps within steps: a path may be long."""
    for step in steps:
        effort.spend(1 + len(nodes))
        nodes = step(nodes, effort)
    return nodes


def named(members: Mapping[str, Member], model: Model) -> Step:
    """The elements of one name; what it is depends on the type it is a part of."""

    def step(nodes: list[Node], _: Effort) -> list[Node]:
        return [child for node in nodes if node.type in members for child in children(node, *members[node.type], model)]

    return step


def item(position: int) -> Step:
    """``[n]``, ``first()``, ``last()``."""
    return lambda nodes, _: nodes[position:][:1]


def where(condition: Steps) -> Step:
    """Those of which the condition is true."""
    return lambda nodes, effort: [node for node in nodes if truth(run(condition, [node], effort))]


def of_types(types: frozenset[str]) -> Step:
    """Those of one of the types."""
    return lambda nodes, _: [node for node in nodes if node.type in types]


def of_url(url: str) -> Step:
    """The extensions of this url."""
    return lambda nodes, _: [node for node in nodes if (node.members or {}).get("url") == url]


def constant(value: Json, type: str) -> Step:
    """A literal."""
    nodes = [Node(value, type)]
    return lambda _nodes, _: nodes


def exists(nodes: list[Node], _: Effort) -> list[Node]:
    """Whether there is anything."""
    return _told(bool(nodes))


def negated(nodes: list[Node], _: Effort) -> list[Node]:
    """``not()``; of nothing, nothing."""
    holds = truth(nodes)
    return _told(None if holds is None else not holds)


def all_of(conditions: Sequence[Steps]) -> Step:
    """``and``: false where one is false, else unknown where one is unknown."""
    return _joined(conditions, decides=False)


def any_of(conditions: Sequence[Steps]) -> Step:
    """``or``: true where one is true, else unknown where one is unknown."""
    return _joined(conditions, decides=True)


def _joined(conditions: Sequence[Steps], *, decides: bool) -> Step:
    def step(nodes: list[Node], effort: Effort) -> list[Node]:
        found: bool | None = not decides
        for condition in conditions:
            holds = truth(run(condition, nodes, effort))
            if holds is decides:
                return _told(decides)
            found = found if holds is not None else None
        return _told(found)

    return step


def compared(left: Steps, right: Steps, *, wanted: bool) -> Step:
    """``=`` or ``!=``."""

    def step(nodes: list[Node], effort: Effort) -> list[Node]:
        same = equal(run(left, nodes, effort), run(right, nodes, effort), effort)
        return _told(None if same is None else same is wanted)

    return step


def containing(left: Steps, right: Steps) -> Step:
    """``contains`` between two: whether the one on the right is among those on the left."""

    def step(nodes: list[Node], effort: Effort) -> list[Node]:
        sought = run(right, nodes, effort)
        if not sought:
            return []
        one = _single(sought, "contains-looks-for")
        return _told(any(equal_nodes(each, one, effort) for each in run(left, nodes, effort)))

    return step


def with_text(sought: str) -> Step:
    """``contains('…')``: whether the text holds this one."""

    def step(nodes: list[Node], effort: Effort) -> list[Node]:
        if not nodes:
            return []
        text = _single(nodes, "contains-looks-into").value
        if not isinstance(text, str):
            return []
        effort.spend(len(text) // _CHARACTERS)
        return _told(sought in text)

    return step


def truth(nodes: list[Node]) -> bool | None:
    """Whether a condition holds; nothing where it is unknown."""
    if not nodes:
        return None
    value = _single(nodes, "a-condition-is").value
    return value if isinstance(value, bool) else None


def _told(value: bool | None) -> list[Node]:  # noqa: FBT001 - what is told
    return [] if value is None else [Node(value, "boolean")]


def _single(nodes: list[Node], what: str) -> Node:
    if len(nodes) > 1:
        raise Misfit(told("several-elements", number=len(nodes), what=told(what)))
    return nodes[0]

"""FHIR R4 search over a handful of resources, by looking at each of them: slow, plain, and not the server's.

https://hl7.org/fhir/R4/search.html

Every condition of a query is answered by the set of resources that meet it. Nothing is indexed, nothing compiled, and
nothing shared with the server but the tables of R4, so that both are wrong together only where the standard was read
wrong twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, Final, TypeAlias

from fhir_server.definitions.tables import SearchParameter
from tests.differential.elements import Node, Resource, nodes_of, parameters
from tests.differential.matching import Matching, order_of, referred, split

Pair: TypeAlias = tuple[str, str]

NAMES_OF_ROLES: Final = ("name", "family", "given")
"""In a chain a PractitionerRole is asked these of the Practitioner that it points to: a choice of this server."""


@dataclass
class Evaluator:
    """All resources of a server, by ``Type/id``, and its base URL."""

    resources: Mapping[str, Resource]
    base: str
    _ids: dict[str, frozenset[str]] = field(default_factory=dict)
    _nodes: dict[tuple[str, str, str], list[Node]] = field(default_factory=dict)
    _answers: dict[tuple[str, str, str], frozenset[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        by_type: dict[str, set[str]] = {}
        for key in self.resources:
            type, _, id = key.partition("/")
            by_type.setdefault(type, set()).add(id)
        self._ids = {type: frozenset(ids) for type, ids in by_type.items()}

    def search(self, type: str, pairs: Iterable[Pair]) -> frozenset[str]:
        """The ids of a type that meet all of these conditions, ``(name, value)``."""
        found = self.ids(type)
        for name, value in pairs:
            found &= self.selected(type, name, value)
        return found

    def ids(self, type: str) -> frozenset[str]:
        return self._ids.get(type, frozenset())

    def nodes(self, type: str, id: str, code: str) -> list[Node]:
        """The elements a parameter reads in a resource."""
        key = (type, id, code)
        if key not in self._nodes:
            self._nodes[key] = nodes_of(self.resources[f"{type}/{id}"], parameters(type)[code].expression)
        return self._nodes[key]

    def selected(self, type: str, name: str, value: str) -> frozenset[str]:
        """The ids of a type that meet one condition; its name may be a chain, a reverse chain, and chains of these."""
        key = (type, name, value)
        if key not in self._answers:
            self._answers[key] = frozenset(self._select(type, name, value))
        return self._answers[key]

    def _select(self, type: str, name: str, value: str) -> Iterable[str]:
        if name.startswith("_has:"):
            return self._reverse(type, name, value)
        head, chained, rest = name.partition(".")
        code, _, modifier = head.partition(":")
        if chained:
            return self._chain(type, code, modifier, rest, value)
        parameter = parameters(type)[code]
        return (id for id in self.ids(type) if self._meets(parameter, modifier, value, self.nodes(type, id, code)))

    def _reverse(self, type: str, name: str, value: str) -> Iterable[str]:
        """``_has:Observation:patient:code``: what such an Observation refers to."""
        _, other, code, rest = name.split(":", 3)
        for id in self.selected(other, rest, value):
            for node in self.nodes(other, id, code):
                to, _, found = referred(node, self.base).partition("/")
                if to == type and found in self.ids(type):
                    yield found

    def _chain(self, type: str, code: str, only: str, rest: str, value: str) -> Iterable[str]:
        """``subject:Patient.name``: what refers to such a Patient; without a type, to any that knows the parameter."""
        types = [only] if only else [one for one in parameters(type)[code].targets if understands(one, rest)]
        wanted = self._wanted(types, rest, value)
        for id in self.ids(type):
            outer = self.resources[f"{type}/{id}"]
            if any(self._leads(outer, node, types, wanted, (rest, value)) for node in self.nodes(type, id, code)):
                yield id

    def _wanted(self, types: Sequence[str], rest: str, value: str) -> set[str]:
        """``Type/id`` of what is stored and meets the rest of a chain."""
        found: set[str] = set()
        for target in types:
            if _asks_a_role(target, rest):
                stored = [(id, self.resources[f"{target}/{id}"]) for id in self.ids(target)]
                found |= {f"{target}/{id}" for id, role in stored if self._holder_meets(role, role, rest, value)}
            else:
                found |= {f"{target}/{id}" for id in self.selected(target, rest, value)}
        return found

    def _leads(self, outer: Resource, node: Node, types: Sequence[str], wanted: set[str], asked: Pair) -> bool:
        """Whether a reference leads to one of what is wanted, or to something contained that is as is asked."""
        held = held_by(outer, node)
        if held is None:
            return referred(node, self.base) in wanted
        return held["resourceType"] in types and self._contained_meets(outer, held, *asked)

    def _contained_meets(self, outer: Resource, held: Resource, name: str, value: str) -> bool:
        """Whether a contained resource meets a condition, which may lead on to others, contained or stored."""
        type = held["resourceType"]
        if name.startswith("_has:"):
            return False
        if _asks_a_role(type, name):
            return self._holder_meets(outer, held, name, value)
        head, chained, rest = name.partition(".")
        code, _, modifier = head.partition(":")
        parameter = parameters(type)[code]
        nodes = nodes_of(held, parameter.expression)
        if not chained:
            return self._meets(parameter, modifier, value, nodes)
        types = [modifier] if modifier else [one for one in parameter.targets if understands(one, rest)]
        wanted = self._wanted(types, rest, value)
        return any(self._leads(outer, node, types, wanted, (rest, value)) for node in nodes)

    def _holder_meets(self, outer: Resource, role: Resource, name: str, value: str) -> bool:
        """Whether the Practitioner of a role meets a condition on his name."""
        code, _, modifier = name.partition(":")
        names = parameters("Practitioner")[code]
        nodes: list[Node] = []
        for node in nodes_of(role, parameters("PractitionerRole")["practitioner"].expression):
            held = held_by(outer, node) or self.resources.get(referred(node, self.base))
            if held is not None:
                nodes += nodes_of(held, names.expression)
        return self._meets(names, modifier, value, nodes)

    def _meets(self, parameter: SearchParameter, modifier: str, value: str, nodes: Sequence[Node]) -> bool:
        if modifier == "missing":
            return (not nodes) == (value == "true")
        if modifier == "not":
            return not self._meets(parameter, "", value, nodes)
        matching = Matching(self.base)
        return any(matching.matches(parameter, modifier, one, node) for one in split(value, ",") for node in nodes)

    # Order

    def in_order(self, type: str, ids: Iterable[str], sort: str) -> list[str]:
        """These ids in the order of ``_sort``; https://hl7.org/fhir/R4/search.html#sort.

        Of several values the one that comes earliest counts. What has none is last either way, and ids break ties.
        """
        ordered = sorted(ids)
        for key in reversed(split(sort, ",")):
            code, down = key.removeprefix("-"), key.startswith("-")
            values = {id: self.sorted_by(type, id, code, down=down) for id in ordered}
            with_value = sorted(((values[id][0], id) for id in ordered if values[id]), key=itemgetter(0), reverse=down)
            ordered = [id for _, id in with_value] + [id for id in ordered if not values[id]]
        return ordered

    def sorted_by(self, type: str, id: str, code: str, *, down: bool) -> list[Any]:
        """The values of a resource for a sort key, the one that counts first."""
        parameter = parameters(type)[code]
        values = [value for node in self.nodes(type, id, code) for value in order_of(parameter, node)]
        return sorted(values, reverse=down)


def understands(type: str, name: str) -> bool:
    """Whether a resource type has the parameter that the rest of a chain begins with."""
    code = name.partition(".")[0].partition(":")[0]
    return name.startswith("_has:") or code in parameters(type) or _asks_a_role(type, name)


def _asks_a_role(type: str, name: str) -> bool:
    return type == "PractitionerRole" and name.partition(":")[0] in NAMES_OF_ROLES


def held_by(outer: Resource, node: Node) -> Resource | None:
    """The contained resource that a reference names, ``#id``."""
    reference = node.value.get("reference", "") if node.type == "Reference" else ""
    return next((one for one in outer.get("contained", ()) if reference == f"#{one['id']}"), None)

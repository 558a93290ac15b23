"""Random searches over a world: every type of parameter, alone, chained, reversed, sorted and together.

https://hl7.org/fhir/R4/search.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import cycle
from random import Random
from typing import Final

from fhir_server.definitions.tables import SearchParameter
from tests.differential.elements import Node, parameters, within
from tests.differential.evaluator import NAMES_OF_ROLES, Evaluator, Pair, held_by, understands
from tests.differential.matching import local, split
from tests.differential.readings import PATIENTS_ARE_NAMED_BY_A_SYSTEM_ALONE
from tests.differential.values import Values, joined

LEFT_OUT: Final = ("phonetic", "near", "_lastUpdated", "_source", "item-subject")
"""What the standard leaves to the server, or only the server knows."""
NOT_SORTED: Final = (
    "version",
    "lot-number",
    "_profile",
    "onset-age",
    "abatement-age",
    "context-quantity",
    "probability",
    "value-quantity",
    "combo-value-quantity",
    "component-value-quantity",
)
"""Strings that are tokens, canonicals with and without a version, values that are no points: the standard does not say
where they come."""
COUNTS: Final = (1, 2, 5, 10, 50, 50, 200, 1000)
MOST_PAGES: Final = 6
DEEPEST: Final = 3
TRIES: Final = 3
"""A query that finds nothing is a good one now and then."""
_RESOLVES: Final = re.compile(r"resolve\(\) is (\w+)")


@dataclass(frozen=True)
class Query:
    """One search, as it is sent."""

    type: str
    pairs: tuple[Pair, ...]
    sort: str = ""
    count: int = 50
    total: bool = False
    """Ask for the number of matches."""
    post: bool = False
    """Send it as a form."""

    @property
    def sent(self) -> list[Pair]:
        told = [("_sort", self.sort)] if self.sort else []
        return [*self.pairs, *told, ("_count", str(self.count)), *([("_total", "accurate")] if self.total else [])]

    def __str__(self) -> str:
        verb = "POST" if self.post else "GET"
        return f"{verb} {self.type}?" + "&".join(f"{name}={value}" for name, value in self.sent)


@dataclass
class Questions:
    """Asks about the resources of an evaluator."""

    rng: Random
    world: Evaluator
    _values: Values = field(init=False)

    def __post_init__(self) -> None:
        self._values = Values(self.rng, self.world.base)

    @cached_property
    def types(self) -> list[str]:
        """Those with many parameters are asked about more often."""
        return [type for type, codes in self.codes.items() for _ in codes]

    @cached_property
    def codes(self) -> dict[str, dict[str, SearchParameter]]:
        """The parameters that find something, by type of resource."""
        types = sorted({key.partition("/")[0] for key in self.world.resources})
        return {
            type: {code: one for code, one in parameters(type).items() if self._reads(type, code)} for type in types
        }

    def _reads(self, type: str, code: str) -> bool:
        try:
            nodes = [node for id in self.world.ids(type) for node in self.world.nodes(type, id, code)]
            components = parameters(type)[code].components
            whole = [node for node in nodes if all(within(node, expression) for _, expression in components)]
            return code not in LEFT_OUT and bool(whole)
        except NotImplementedError:
            return False

    def ids(self, type: str) -> list[str]:
        return sorted(self.world.ids(type))

    def nodes(self, type: str, code: str) -> list[Node]:
        """The elements of some resource that has any."""
        ids = [id for id in self.ids(type) if self.world.nodes(type, id, code)]
        return self.world.nodes(type, self.rng.choice(ids), code)

    # One condition

    def condition(self, type: str, *, code: str = "") -> Pair:
        """A name, perhaps with a modifier, and some alternatives."""
        codes = [code] if code else self._of_kind(type, "")
        while True:
            parameter = self.codes[type][self.rng.choice(codes)]
            if not code and parameter.type != "composite" and self.rng.random() < 0.1:
                return self.missing(type, parameter.code)
            found = self._alternatives(type, parameter)
            if found is not None:
                return found

    def _of_kind(self, type: str, kind: str) -> list[str]:
        """The parameters of this kind that are the type's own."""
        return [code for code, one in self.codes[type].items() if kind in ("", one.type) and code[0] != "_"]

    def missing(self, type: str, code: str = "") -> Pair:
        codes = [code for code, one in self.codes[type].items() if one.type != "composite" and code != "_id"]
        return f"{code or self.rng.choice(codes)}:missing", self.rng.choice(("true", "false"))

    def _alternatives(self, type: str, parameter: SearchParameter) -> Pair | None:
        """One to three values with the same modifier, each from some resource."""
        plain = "" if parameter.code == "_id" else None
        made = self._values.made(parameter, self.nodes(type, parameter.code), plain)
        if made is None:
            return None
        modifier, value = made
        values = [value]
        for _ in range(self.rng.choice((0, 0, 0, 1, 2))):
            more = self._values.made(parameter, self.nodes(type, parameter.code), modifier)
            if more is not None and more[0] == modifier:
                values.append(more[1])
        return parameter.code + (f":{modifier}" if modifier else ""), joined(values)

    # Chains

    @cached_property
    def links(self) -> dict[str, dict[str, list[str]]]:
        """By type and reference parameter, the types of what it refers to here."""
        found: dict[str, dict[str, list[str]]] = {}
        for type, codes in self.codes.items():
            for code, one in codes.items():
                if one.type == "reference":
                    to = {
                        self._target(f"{type}/{id}", node)
                        for id in self.world.ids(type)
                        for node in self.world.nodes(type, id, code)
                    }
                    found.setdefault(type, {})[code] = sorted(to & self.codes.keys())
        return found

    def _target(self, key: str, node: Node) -> str:
        held = held_by(self.world.resources[key], node)
        if held is not None:
            return str(held["resourceType"])
        reference = node.value.get("reference", "") if node.type == "Reference" else ""
        return local(reference, self.world.base).partition("/")[0]

    @cached_property
    def holding(self) -> dict[str, list[str]]:
        """By type, the reference parameters that lead to what some resource contains."""
        found: dict[str, list[str]] = {}
        for key, resource in self.world.resources.items():
            type, _, id = key.partition("/")
            for code in self.links.get(type, ()) if "contained" in resource else ():
                if any(held_by(resource, node) for node in self.world.nodes(type, id, code)):
                    found.setdefault(type, []).append(code)
        return {type: sorted(set(codes)) for type, codes in found.items()}

    def chain(self, type: str, depth: int, codes: Sequence[str] = ()) -> Pair:
        """``subject:Patient.name``, ``encounter.service-provider.name``, ``subject:Patient._has:Group:member:_id``."""
        links = [(code, to) for code, to in self.links[type].items() if to and (not codes or code in codes)]
        code, targets = self.rng.choice(links)
        target = self.rng.choice(targets)
        if target == "PractitionerRole" and self.rng.random() < 0.4:
            name, value = self.condition("Practitioner", code=self.rng.choice(NAMES_OF_ROLES))
        else:
            name, value = self.ending(target, depth - 1)
        while (target, name) == ("Patient", "identifier") and not _takes_a_patient(value):
            name, value = self.ending(target, depth - 1)
        known = [one for one in self._possible(type, code) if understands(one, name)]
        # of names, MHD asks without a type
        plain = known == [target] or name.partition(":")[0] in NAMES_OF_ROLES
        only = "" if plain and self.rng.random() < 0.7 else f":{target}"
        return f"{code}{only}.{name}", value

    def _possible(self, type: str, code: str) -> tuple[str, ...]:
        """The types a parameter may refer to. More than one that understands a chain asks for a type to be named."""
        parameter = self.codes[type][code]
        branch = next(one for one in parameter.expression.split("|") if one.strip(" (").startswith(f"{type}."))
        only = _RESOLVES.search(branch)
        return (only[1],) if only else parameter.targets

    def has(self, type: str, depth: int) -> Pair:
        """``_has:Observation:patient:code``, and deeper."""
        ways = [(other, code) for other, codes in self.links.items() for code, to in codes.items() if type in to]
        other, code = self.rng.choice(ways)
        name, value = self.ending(other, depth - 1)
        return f"_has:{other}:{code}:{name}", value

    def ending(self, type: str, depth: int) -> Pair:
        """What a chain goes on with."""
        way = self.rng.random()
        if depth > 0 and way < 0.35 and self._able(type, "chain"):
            return self.chain(type, depth)
        if depth > 0 and way < 0.6 and self.referred(type):
            return self.has(type, depth)
        return self.condition(type)

    def referred(self, type: str) -> bool:
        return any(type in to for codes in self.links.values() for to in codes.values())

    # Whole queries

    def sort(self, type: str) -> str:
        """One to three keys, each up or down."""
        kinds = ("string", "token", "date", "number", "quantity", "uri")
        codes = [code for code, one in self.codes[type].items() if one.type in kinds and code not in NOT_SORTED]
        chosen = self.rng.sample(codes, self.rng.choice((1, 1, 2, 3)))
        return ",".join(self.rng.choice(("", "-")) + code for code in chosen)

    def asked(self, group: str) -> Iterator[Query]:
        """Without end, queries of one group; of a kind of parameter, each one in its turn."""
        turns = [(type, code) for type in self.codes for code in self._of_kind(type, group)] or [("", "")]
        self.rng.shuffle(turns)
        for type, code in cycle(turns):
            query, expected = self._of(group, type, code), 0
            for _ in range(TRIES):
                if expected := len(self.world.search(query.type, query.pairs)):
                    break
                query = self._of(group, type, code)
            count = max(self.rng.choice(COUNTS), -(-expected // MOST_PAGES))
            yield replace(query, count=count, total=self.rng.random() < 0.5, post=self.rng.random() < 0.1)

    def _of(self, group: str, type: str, code: str) -> Query:
        if code:
            return Query(type, (self.condition(type, code=code),))
        if group in ("sort", "together"):
            type = self.rng.choice(self.types)
            pairs = self._together(type) if group == "together" else self._perhaps_one(type)
            sorted = group == "sort" or self.rng.random() < 0.3
            return Query(type, tuple(pairs), self.sort(type) if sorted else "")
        type = self.rng.choice([one for one in self.types if self._able(one, group)])
        return Query(type, (self._pair(type, group),))

    def _perhaps_one(self, type: str) -> list[Pair]:
        return [self.condition(type)] if self.rng.random() < 0.5 else []

    def _together(self, type: str) -> list[Pair]:
        """Two or three conditions that mostly can hold at once."""
        groups = [one for one in ("", "", "missing", "chain", "has") if self._able(type, one)]
        pairs: list[Pair] = []
        for _ in range(self.rng.choice((2, 2, 3))):
            pairs.append(self._pair(type, self.rng.choice(groups)))
            for _ in range(TRIES):
                if self.world.search(type, pairs):
                    break
                pairs[-1] = self._pair(type, self.rng.choice(groups))
        return pairs

    def _able(self, type: str, group: str) -> bool:
        """Whether there are conditions of this group for a type."""
        match group:
            case "chain":
                return any(self.links.get(type, {}).values())
            case "has":
                return self.referred(type)
            case "contained":
                return type in self.holding
        return True

    def _pair(self, type: str, group: str) -> Pair:
        match group:
            case "chain":
                return self.chain(type, DEEPEST)
            case "has":
                return self.has(type, DEEPEST)
            case "contained":
                return self.chain(type, DEEPEST, self.holding[type])
            case "missing":
                return self.missing(type)
            case "common":
                return self._common(type)
        return self.condition(type)

    def _common(self, type: str) -> Pair:
        """``_id``, ``_tag``, ``_profile`` and ``_security``, which every type has."""
        while True:
            found = self._alternatives(
                type, self.codes[type][self.rng.choice(("_id", "_tag", "_profile", "_security"))]
            )
            if found is not None:
                return found


def _takes_a_patient(value: str) -> bool:
    return PATIENTS_ARE_NAMED_BY_A_SYSTEM_ALONE or not any(one.endswith("|") for one in split(value, ","))


GROUPS: Final = (
    "string",
    "token",
    "date",
    "number",
    "quantity",
    "reference",
    "uri",
    "composite",
    "missing",
    "common",
    "chain",
    "has",
    "contained",
    "sort",
    "together",
)

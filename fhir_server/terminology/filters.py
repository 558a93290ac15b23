"""Which codes of a system a filter of a value set chooses.

Evaluated are `=`, `is-a`, `descendent-of`, `is-not-a`, `generalizes`, `in`, `not-in` and `exists`, on the codes, on the
hierarchy and on any property that the system declares. `regex` is not: a pattern of somebody else's could keep the
server busy for ever.

https://hl7.org/fhir/R4/valueset-filter-operator.html
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final

from fhir_server.terminology.content import Content
from fhir_server.terminology.messages import told
from fhir_server.terminology.refused import NotExpandable
from fhir_server.terminology.resources import Filter

_CODES: Final = frozenset({"concept", "code"})
_HIERARCHY: Final = frozenset({"is-a", "descendent-of", "is-not-a", "generalizes"})
_FLAGS: Final = {"true": True, "false": False}


def chosen(content: Content, asked: Filter, key_of: Callable[[str], str]) -> Collection[str]:
    """The keys of the codes that fulfil it, in the order of the system; ``key_of`` makes a key of a code."""
    if asked.property in _CODES:
        return _of_codes(content, asked, key_of)
    if asked.property in ("parent", "child") and asked.op in ("=", "in"):
        edges = content.children if asked.property == "parent" else content.parents
        wanted = _listed(asked.value) if asked.op == "in" else [asked.value]
        near = frozenset().union(*(edges.get(key_of(each), frozenset()) for each in wanted))
        return [key for key in content.written if key in near]
    return _of_property(content, asked)


def _of_codes(content: Content, asked: Filter, key_of: Callable[[str], str]) -> Collection[str]:
    match asked.op:
        case "=":
            wanted = {key_of(asked.value)}
            return [key for key in content.written if key in wanted]
        case "in" | "not-in":
            wanted = {key_of(each) for each in _listed(asked.value)}
            return [key for key in content.written if (key in wanted) == (asked.op == "in")]
        case op if op in _HIERARCHY:
            key = key_of(asked.value)
            if key not in content.concepts:
                raise NotExpandable(told("no-code-to-filter-by", system=content.url, code=asked.value[:100]))
            kept = content.above(key) if op == "generalizes" else content.below(key)
            if op == "descendent-of":
                kept -= {key}
            return [each for each in content.written if (each in kept) == (op != "is-not-a")]
    raise not_evaluated(content.url, asked)


def _of_property(content: Content, asked: Filter) -> Collection[str]:
    if asked.property not in content.declared:
        raise NotExpandable(told("no-property-to-filter-by", system=content.url, property=asked.property))
    wanted = frozenset(_listed(asked.value)) if asked.op in ("in", "not-in") else frozenset({asked.value})
    there = {key: _values(content, key, asked.property) for key in content.written}
    match asked.op:
        case "=" | "in":
            return [key for key, values in there.items() if values & wanted]
        case "not-in":
            return [key for key, values in there.items() if not values & wanted]
        case "exists" if asked.value in _FLAGS:
            return [key for key, values in there.items() if bool(values) == _FLAGS[asked.value]]
    raise not_evaluated(content.url, asked)


def _values(content: Content, key: str, property: str) -> frozenset[str]:
    concept = content.concept(key)
    if property == "display":
        return frozenset({concept.display})
    if property == "definition":
        return frozenset({concept.definition} if concept.definition else ())
    return frozenset(each.text for each in concept.properties if each.code == property)


def not_evaluated(system: str, asked: Filter) -> NotExpandable:
    """The refusal of a filter."""
    value = asked.value[:100]
    return NotExpandable(told("filter-not-evaluated", property=asked.property, op=asked.op, value=value, system=system))


def _listed(value: str) -> list[str]:
    return [each.strip() for each in value.split(",") if each.strip()]

"""The words in which `invariants` says what holds between the members of an object.

They look at any JSON: what has the wrong type is reported elsewhere, and counts as absent where its value is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import TypeAlias

from fhir_server.fhir.date import interval
from fhir_server.fhir.json import Json, JsonObject

Holds: TypeAlias = Callable[[JsonObject], bool]
"""Whether an invariant holds for an object."""

UCUM = "http://unitsofmeasure.org"
_DATE_LENGTH = len("2026-11-22")
_SECONDS_LENGTH = len("2026-11-22T09:56:49")


def present(value: JsonObject, name: str) -> bool:
    """Whether the element is there, with a value or with extensions only; ``value[x]`` of whatever type."""
    if name in value or f"_{name}" in value:
        return True
    if not name.endswith("[x]"):
        return False
    stem = name.removesuffix("[x]")
    return any(_has_stem(member.removeprefix("_"), stem) for member in value)


def _has_stem(member: str, stem: str) -> bool:
    return member.startswith(stem) and member[len(stem) :][:1].isupper()


def always(*conditions: Holds) -> Holds:
    """Each of the conditions."""
    return lambda value: all(condition(value) for condition in conditions)


def if_then(condition: Holds, consequence: Holds) -> Holds:
    """The consequence, wherever the condition is met."""
    return lambda value: not condition(value) or consequence(value)


def has(name: str) -> Holds:
    """The element is there."""
    return lambda value: present(value, name)


def has_not(*names: str) -> Holds:
    """None of the elements is there."""
    return lambda value: not any(present(value, name) for name in names)


def any_of(*names: str) -> Holds:
    """At least one of the elements."""
    return lambda value: any(present(value, name) for name in names)


def at_most_one(*names: str) -> Holds:
    """No two of the elements together."""
    return lambda value: sum(present(value, name) for name in names) <= 1


def exactly_one(*names: str) -> Holds:
    """One of the elements, no more."""
    return lambda value: sum(present(value, name) for name in names) == 1


def needs(name: str, other: str) -> Holds:
    """The first element does not come without the second."""
    return lambda value: not present(value, name) or present(value, other)


def says(name: str, *values: str) -> Holds:
    """The element has one of these values."""
    return lambda value: value.get(name) in values


def not_later(name: str, other: str) -> Holds:
    """The first date is not after the second."""
    return lambda value: not later(value.get(name), value.get(other))


def not_negative(name: str) -> Holds:
    """The number, if there is one, is not below zero."""

    def holds(value: JsonObject) -> bool:
        found = number(value, name)
        return found is None or found >= 0

    return holds


def of_ucum(value: JsonObject) -> bool:
    """A quantity whose unit, if its system is told, is of UCUM."""
    return not present(value, "system") or value.get("system") == UCUM


def distinct(name: str, *members: str) -> Holds:
    """No two items of an array are equal in all these members."""

    def holds(value: JsonObject) -> bool:
        told = [tuple(str(item.get(member)) for member in members) for item in items(value, name)]
        return len(set(told)) == len(told)

    return holds


def coded(value: JsonObject, name: str, system: str, *codes: str) -> bool:
    """Whether a concept has one of these codes."""
    concept = value.get(name)
    codings = items(concept, "coding") if isinstance(concept, dict) else []
    return any(coding.get("system") == system and coding.get("code") in codes for coding in codings)


def items(value: JsonObject, name: str) -> list[JsonObject]:
    """The objects of an array."""
    found = value.get(name)
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def descendants(value: JsonObject, name: str) -> Iterator[JsonObject]:
    """The objects of an array that nests itself, at every level."""
    for item in items(value, name):
        yield item
        yield from descendants(item, name)


def number(value: JsonObject, name: str) -> int | Decimal | None:
    """A finite number."""
    found = value.get(name)
    if isinstance(found, bool):
        return None
    if isinstance(found, int) or (isinstance(found, Decimal) and found.is_finite()):
        return found
    return None


def later(start: Json, end: Json) -> bool:
    """Whether one date is certainly after another.

    Where one of them has no time, the two are compared as far as both are told: a date has no zone.
    """
    if not isinstance(start, str) or not isinstance(end, str):
        return False
    shorter = min(len(start), len(end))
    if shorter <= _DATE_LENGTH:
        return start[:shorter] > end[:shorter]
    if start[_SECONDS_LENGTH:] == end[_SECONDS_LENGTH:]:
        return start > end
    first, second = interval(start), interval(end)
    return first is not None and second is not None and first.low >= second.high

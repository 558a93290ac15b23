"""Sorts the items of an element into slices, and checks each slice.

https://hl7.org/fhir/R4/profiling.html#slicing
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, TypeAlias

from fhir_server.fhir.outcome import IssueType, Severity
from fhir_server.validation.finding import MOST_ISSUES
from fhir_server.validation.profiles.found import Found, Founds, Profile, are_enough, under
from fhir_server.validation.profiles.values import written

if TYPE_CHECKING:
    from fhir_server.fhir.json import Json
    from fhir_server.validation.profiles.demands import Belongs, Reasons
    from fhir_server.validation.profiles.occurrences import Item
    from fhir_server.validation.profiles.scope import ItemCheck, Scope

DEFAULT: Final = "@default"
"""The slice of what is in no other."""

_COUNTED: Final = {
    "slice-min": (Severity.ERROR, IssueType.REQUIRED, "min"),
    "slice-max": (Severity.ERROR, IssueType.STRUCTURE, "max"),
    "slice-forbidden": (Severity.ERROR, IssueType.STRUCTURE, "max"),
    "slice-unknown": (Severity.INFORMATION, IssueType.INFORMATIONAL, "slice"),
}

Sort: TypeAlias = "Callable[[Sequence[Item], Scope], Founds | None]"
"""Checks all items of an element by slice; paths begin with the element's own segment."""


@dataclass(frozen=True, slots=True)
class Slice:
    """One slice, compiled."""

    name: str
    belongs: Belongs | None
    """Nothing for the default slice."""
    least: int
    most: int | None
    checks: tuple[ItemCheck, ...]
    within: Sort | None
    """Its own slices."""
    reasons: Reasons | None = None
    """Why an item that looks as if it were meant for this slice is not in it."""


@dataclass(frozen=True, slots=True)
class Slicing:
    """How an element is sliced."""

    element: str
    segment: str
    """``.identifier``"""
    profile: Profile
    rules: str
    ordered: bool
    slices: tuple[Slice, ...]
    default: Slice | None
    urls: dict[str, int] | None = None
    """Of extensions told apart by their URL alone: the place of the slice of each."""


@dataclass(slots=True)
class Sorted:
    """The items of an element by slice."""

    members: list[list[Item]]
    unsure: set[int]
    """Slices that some item may be in."""
    order: list[tuple[Item, int | None]]
    """Each with the place of its slice."""
    found: Founds | None = None


def sort(slicing: Slicing) -> Sort:
    """The check of all slices of an element."""
    slices = (*slicing.slices, slicing.default) if slicing.default is not None else slicing.slices
    place_of = _by_url(slicing) if slicing.urls is not None else _one_by_one(slicing)
    is_ordered = slicing.ordered or slicing.rules == "openAtEnd"

    def check(items: Sequence[Item], scope: Scope) -> Founds | None:
        told = _sorted(slicing, items, [place_of(item, scope) for item in items], scope)
        found = _in_order(slicing, told, slices) if is_ordered else told.found
        for place, one in enumerate(slices):
            if found is not None and are_enough(found):
                break
            problems = _slice(slicing, one, told.members[place], scope, is_sure=place not in told.unsure)
            if problems is not None:
                found = under(found, "", problems)
            if one.reasons is not None and len(told.members[place]) < one.least and slicing.rules != "closed":
                found = _meant(slicing, one.reasons, told, scope, found)
        return found

    return check


def _meant(slicing: Slicing, reasons: Reasons, told: Sorted, scope: Scope, found: Founds | None) -> Founds | None:
    """Of a slice that lacks items: what keeps those in no slice from being in it, to be read and not to be mended."""
    for item, place in told.order:
        if place is not None:
            continue
        why = [replace(one, severity=Severity.INFORMATION) for one in reasons(item, scope) or []]
        found = under(found, _segment(slicing, item), why)
        if len(found) > MOST_ISSUES:
            break
    return found


def _sorted(
    slicing: Slicing, items: Sequence[Item], places: Sequence[tuple[int | None, list[int]]], scope: Scope
) -> Sorted:
    told = Sorted([[] for _ in (*slicing.slices, slicing.default)], set(), [])
    for item, (found, doubts) in zip(items, places, strict=True):
        place = found
        if place is None and doubts:
            told.unsure.update(doubts)
            continue
        if place is None and slicing.default is not None:
            place = len(slicing.slices)
        elif place is None and slicing.rules == "closed":
            whys = [why for one in slicing.slices if one.reasons is not None and (why := one.reasons(item, scope))]
            best = min(whys, key=len, default=[])
            told.found = under(told.found, _segment(slicing, item), [_unmatched(slicing, item), *best])
            if are_enough(told.found):
                break
        if place is not None:
            told.members[place].append(item)
        told.order.append((item, place))
    return told


def _one_by_one(slicing: Slicing) -> Callable[[Item, Scope], tuple[int | None, list[int]]]:
    """The place of the first slice that an item is in, else those that it may be in."""
    tests = [(place, one.belongs) for place, one in enumerate(slicing.slices) if one.belongs is not None]

    def place_of(item: Item, scope: Scope) -> tuple[int | None, list[int]]:
        scope.run.effort.spend(len(tests))
        doubts = []
        for place, belongs in tests:
            told = belongs(item, scope)
            if told:
                return place, []
            if told is None:
                doubts.append(place)
        return None, doubts

    return place_of


def _by_url(slicing: Slicing) -> Callable[[Item, Scope], tuple[int | None, list[int]]]:
    places = slicing.urls or {}

    def place_of(item: Item, scope: Scope) -> tuple[int | None, list[int]]:
        scope.run.effort.spend(1)
        url = item[0].get("url") if isinstance(item[0], dict) else None
        return (places.get(url) if isinstance(url, str) else None), []

    return place_of


def _slice(slicing: Slicing, one: Slice, items: Sequence[Item], scope: Scope, *, is_sure: bool) -> Founds | None:
    found: Founds | None = None
    number = len(items)
    if number < one.least and not is_sure:
        found = [_counted(slicing, one, "slice-unknown", number)]
    elif number < one.least:
        found = [_counted(slicing, one, "slice-min", number)]
    if one.most is not None and number > one.most:
        problem = "slice-forbidden" if one.most == 0 else "slice-max"
        found = under(found, "", [_counted(slicing, one, problem, number)])
    for item in items:
        for check in one.checks:
            problems = check(item[0], item[1], item[2], scope)
            if problems is not None:
                found = under(found, _segment(slicing, item), problems)
        if found is not None and are_enough(found):
            return found
    if one.within is not None:
        problems = one.within(items, scope)
        if problems is not None:
            found = under(found, "", problems)
    return found


def _in_order(slicing: Slicing, told: Sorted, slices: Sequence[Slice]) -> Founds | None:
    """Whether the slices come in their order, and what is in none at the end."""
    found = told.found
    furthest, loose = -1, False
    for item, place in told.order:
        if place is None:
            loose = True
            continue
        if loose and slicing.rules == "openAtEnd":
            problem = _about(slicing, "slice-end", {"slice": slices[place].name})
        elif slicing.ordered and place < furthest:
            problem = _about(slicing, "slice-order", {"slice": slices[place].name, "after": slices[furthest].name})
        else:
            furthest = max(furthest, place)
            continue
        found = under(found, _segment(slicing, item), [problem])
        if are_enough(found):
            break
    return found


def _counted(slicing: Slicing, one: Slice, message: str, number: int) -> Found:
    told: dict[str, object] = {"element": slicing.element, "slice": one.name, "found": number}
    severity, code, rule = _COUNTED[message]
    if rule != "max":
        told["least"] = one.least
    if message == "slice-max":
        told["most"] = one.most
    return Found(severity, code, rule, message, slicing.profile, told, slicing.segment, slice=one.name)


def _unmatched(slicing: Slicing, item: Item) -> Found:
    names = ", ".join(one.name for one in slicing.slices)
    return _about(slicing, "closed", {"found": _named(item[0]), "expected": names}, rule="closed")


def _named(value: Json) -> str:
    """A value as a sentence repeats it; a resource, and an entry that holds one, by its type."""
    held = value.get("resource", value) if isinstance(value, dict) else None
    told = held.get("resourceType") if isinstance(held, dict) else None
    return told if isinstance(told, str) else written(value)


def _about(slicing: Slicing, message: str, told: dict[str, object], rule: str = "slice") -> Found:
    values = {"element": slicing.element, **told}
    return Found(Severity.ERROR, IssueType.STRUCTURE, rule, message, slicing.profile, values)


def _segment(slicing: Slicing, item: Item) -> str:
    return slicing.segment if item[3] is None else f"{slicing.segment}[{item[3]}]"

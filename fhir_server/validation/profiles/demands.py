"""What tells a slice from the others, as closures: where a path leads, and what must be found there.

https://hl7.org/fhir/R4/profiling.html#discriminator
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from fhir_server.validation.profiles import coded, elements, values
from fhir_server.validation.profiles.found import Founds, under
from fhir_server.validation.profiles.scope import Scope, pointed_type

if TYPE_CHECKING:
    from fhir_server.fhir.json import Json
    from fhir_server.validation.profiles.occurrences import Item, Reading
    from fhir_server.validation.profiles.parts import Part
    from fhir_server.validation.profiles.profile import ProfileCheck

Demand: TypeAlias = "Callable[[Sequence[Item], Scope], bool | None]"
"""Whether what a path leads to is as the slice has it; nothing where that cannot be told."""

Belongs: TypeAlias = "Callable[[Item, Scope], bool | None]"
"""Whether an item is in a slice; nothing where that cannot be told."""

Reasons: TypeAlias = "Callable[[Item, Scope], Founds | None]"
"""Why an item is not in a slice, where all but its profile says that it is; else nothing."""

Go: TypeAlias = "Callable[[Sequence[Item], Scope], Sequence[Item]]"


class Step(NamedTuple):
    """One step of a path."""

    kind: str
    """``this``, ``url`` (an extension), ``resolve``, ``type`` or ``name``."""
    text: str


def projected(value: Json, steps: Sequence[Step], *, is_fixed: bool) -> Iterator[Demand]:
    """What a value on the way says of the end of the path: each part is one that must be there."""
    found = [value]
    for step in steps:
        if step.kind not in ("name", "type"):
            return
        if step.kind == "name":
            found = [part for one in found for part in values.project(one, step.text)]
    for one in found:
        yield equal(one, exactly=is_fixed and not steps)


def equal(expected: Json, *, exactly: bool) -> Demand:
    """One of the items is this; a pattern, or a part of a value, is contained in it."""
    if isinstance(expected, str):
        return lambda items, _: any(item[0] == expected for item in items)
    compare = values.equals if exactly else values.holds
    return lambda items, scope: any(compare(expected, item[0], scope.run.effort) for item in items)


def member(member: coded.Member) -> Demand:
    """One of the items has a code of the value set."""

    def demand(items: Sequence[Item], scope: Scope) -> bool | None:
        found: bool | None = False
        for value, _, type, _ in items:
            told = coded.answer(member, value, type, scope)
            if told:
                return True
            found = None if told is None else found
        return found

    return demand


def nothing(items: Sequence[Item], _: Scope) -> bool | None:
    """There is nothing."""
    return not items


def existing(leaf: Part) -> Demand | None:
    """There is something, or nothing, as the slice has it; no demand where it may or may not be there."""
    if leaf.most == 0:
        return nothing
    return (lambda items, _: bool(items)) if leaf.least > 0 else None


def typed(types: frozenset[str], reading: Reading, *, is_target: bool) -> Demand:
    """One of the items is of one of the types; of a target, as far as the reference tells."""

    def fits(type: str) -> bool:
        return type in types or any(reading.is_a(type, one) for one in types & elements.ABSTRACT)

    def demand(items: Sequence[Item], _: Scope) -> bool | None:
        return any(fits(item[2]) for item in items)

    def pointing(items: Sequence[Item], scope: Scope) -> bool | None:
        told = [pointed_type(item[0], scope) for item in items if isinstance(item[0], dict)]
        if any(type is not None and fits(type) for type in told):
            return True
        return None if None in told else False

    return pointing if is_target else demand


def conforming(checks: Sequence[ProfileCheck], *, is_complete: bool, is_target: bool) -> Demand:
    """Of a target that is not at hand, or a profile that is not known, nothing can be told."""

    def demand(items: Sequence[Item], scope: Scope) -> bool | None:
        for value, _, type, _ in items:
            if any(one.conforms(value, scope, type) for one in checks):
                return True
        if not items:
            return None if is_target else False
        return False if is_complete else None

    return demand


def children(name: str, reading: Reading) -> Go:
    """The elements of a name."""

    def go(items: Sequence[Item], scope: Scope) -> Sequence[Item]:
        found: list[Item] = []
        for value, about, type, _ in items:
            held = value if isinstance(value, dict) else about
            if isinstance(held, dict):
                found += reading.of(type, name)(held)
        scope.run.effort.spend(len(found))
        return found

    return go


def extensions(url: str) -> Go:
    """The extensions of a URL."""

    def go(items: Sequence[Item], scope: Scope) -> Sequence[Item]:
        found: list[Item] = []
        for value, about, _, _ in items:
            held = value if isinstance(value, dict) else about
            listed = held.get("extension") if isinstance(held, dict) else None
            for index, one in enumerate(listed if isinstance(listed, list) else []):
                if isinstance(one, dict) and one.get("url") == url:
                    found.append((one, None, "Extension", index))
        scope.run.effort.spend(len(found))
        return found

    return go


def of_type(type: str) -> Go:
    """The items of a type."""
    return lambda items, _: [item for item in items if item[2] == type]


def resolved(items: Sequence[Item], scope: Scope) -> Sequence[Item]:
    """What references lead to, as far as it is at hand."""
    found: list[Item] = []
    for value, _, _, _ in items:
        literal = value.get("reference") if isinstance(value, dict) else None
        target = scope.target(literal) if isinstance(literal, str) else None
        if target is not None:
            found.append((target.resource, None, str(target.resource.get("resourceType")), None))
    return found


def reasons(
    go: Go | None, checks: Sequence[ProfileCheck], others: Sequence[tuple[Go | None, Demand]], segment: str
) -> Reasons:
    """What an item lacks to be in a slice, by the profile it has the most of."""

    def reasons(item: Item, scope: Scope) -> Founds | None:
        if not all(demand((item,) if move is None else move((item,), scope), scope) for move, demand in others):
            return None
        best: Founds | None = None
        for value, about, type, index in (item,) if go is None else go((item,), scope):
            for check in checks:
                if check.type != type:
                    continue
                place = segment if go is None or index is None else f"{segment}[{index}]"
                found = under(None, place, check.trial(value, about, type, scope) or [])
                best = found if best is None or len(found) < len(best) else best
        return best

    return reasons


def single(go: Go | None, demand: Demand) -> Belongs:
    """Membership by one demand."""
    if go is None:
        return lambda item, scope: demand((item,), scope)
    return lambda item, scope: demand(go((item,), scope), scope)


def together(told: Sequence[tuple[Go | None, Demand]]) -> Belongs:
    """Membership by several."""

    def belongs(item: Item, scope: Scope) -> bool | None:
        found: bool | None = True
        for go, demand in told:
            answer = demand((item,) if go is None else go((item,), scope), scope)
            if answer is False:
                return False
            found = None if answer is None else found
        return found

    return belongs

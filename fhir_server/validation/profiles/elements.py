"""The closures of an element: how often it is there, and what each of its items must be.

https://hl7.org/fhir/R4/elementdefinition.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from fhir_server.fhir.outcome import IssueType, Severity
from fhir_server.validation.profiles.found import Found, Founds, Profile, are_enough, fails, under

if TYPE_CHECKING:
    from fhir_server.fhir.json import Json, JsonObject
    from fhir_server.validation.profiles.demands import Belongs
    from fhir_server.validation.profiles.occurrences import Item, Read, Reading
    from fhir_server.validation.profiles.profile import ProfileCheck
    from fhir_server.validation.profiles.scope import ItemCheck, ObjectCheck, Scope
    from fhir_server.validation.profiles.slicing import Sort

ABSTRACT: Final = frozenset({"Resource", "DomainResource", "Element", "BackboneElement"})
"""A ``code`` is a ``string`` by its definition, and not where a string is expected; a Patient is a Resource."""

_NO_OBJECT: Final[JsonObject] = {}


@dataclass(slots=True)
class Plan:
    """What one element of a profile asks for."""

    element: str
    """``DocumentReference.content``"""
    segment: str
    """``.content``"""
    profile: Profile
    read: Read
    least: int = 0
    most: int | None = None
    checks: list[ItemCheck] = field(default_factory=list)
    sort: Sort | None = None

    @property
    def says_something(self) -> bool:
        """Whether it asks for anything at all."""
        return bool(self.least or self.most is not None or self.checks or self.sort is not None)


def element(plan: Plan) -> ObjectCheck:
    """The closure of a plan; the hottest code of profiles."""
    read, least, most, sort, segment = plan.read, plan.least, plan.most, plan.sort, plan.segment
    check_item = each(plan.checks)

    def check(held: JsonObject, scope: Scope) -> Founds | None:
        items = read(held)
        number = len(items)
        found = _counted(plan, number) if number < least or (most is not None and number > most) else None
        if number == 0 and sort is None:
            return found
        scope.run.effort.spend(number)
        for value, about, type, index in items:
            problems = check_item(value, about, type, scope)
            if problems is not None:
                found = under(found, segment if index is None else f"{segment}[{index}]", problems)
                if are_enough(found):
                    return found
        if sort is not None:
            problems = sort(items, scope)
            if problems is not None:
                found = under(found, "", problems)
        return found

    return check


def together(checks: Sequence[ObjectCheck]) -> ObjectCheck:
    """All elements of an object. The sequence may be filled later."""

    def check(held: JsonObject, scope: Scope) -> Founds | None:
        found: Founds | None = None
        for one in checks:
            problems = one(held, scope)
            if problems is not None:
                found = under(found, "", problems)
                if are_enough(found):
                    break
        return found

    return check


def each(checks: Sequence[ItemCheck]) -> ItemCheck:
    """All checks of one item."""

    def whole(value: Json, about: Json, type: str, scope: Scope) -> Founds | None:
        found: Founds | None = None
        for one in checks:
            problems = one(value, about, type, scope)
            if problems is not None:
                found = under(found, "", problems)
        return found

    return whole


def first(condition: ItemCheck, rest: ItemCheck) -> ItemCheck:
    """The rest only where the condition holds: who sends a Patient need not read what an Observation lacks."""

    def check(value: Json, about: Json, type: str, scope: Scope) -> Founds | None:
        found = condition(value, about, type, scope)
        return found if found is not None else rest(value, about, type, scope)

    return check


def conforming(check: ItemCheck) -> Belongs:
    """Whether an item is as it should be; nothing is told."""

    def belongs(item: Item, scope: Scope) -> bool:
        run = scope.run
        done, run.done = run.done, set()
        try:
            return not fails(check(item[0], item[1], item[2], scope))
        finally:
            run.done = done

    return belongs


def within(check: ObjectCheck, types: frozenset[str] | None = None) -> ItemCheck:
    """The elements of an item; of a primitive, those beside it. Of another type than one of ``types``, none."""

    def inside(value: Json, about: Json, type: str, scope: Scope) -> Founds | None:
        if types is not None and type not in types:
            return None
        if isinstance(value, dict):
            return check(value, scope)
        return check(about if isinstance(about, dict) else _NO_OBJECT, scope)

    return inside


def in_resource(check: ItemCheck) -> ItemCheck:
    """The same, for an item that is a resource of its own."""

    def inside(value: Json, about: Json, type: str, scope: Scope) -> Founds | None:
        return check(value, about, type, scope.run.scope(value)) if isinstance(value, dict) else None

    return inside


def of_type(type: str, profile: Profile) -> ItemCheck:
    """What is checked is of the type that the profile is about."""

    def check(value: Json, about: Json, found: str, scope: Scope) -> Founds | None:  # noqa: ARG001 - one shape
        if found == type:
            return None
        told = {"expected": type, "found": found}
        return [Found(Severity.ERROR, IssueType.STRUCTURE, "type", "other-type", profile, told)]

    return check


def valued(path: str, profile: Profile) -> ItemCheck:
    """A primitive has a value, and not only extensions."""

    def check(value: Json, about: Json, type: str, scope: Scope) -> Founds | None:  # noqa: ARG001 - one shape
        if value is not None:
            return None
        return [Found(Severity.ERROR, IssueType.REQUIRED, "min", "missing", profile, {"element": path})]

    return check


def typed(types: Sequence[str], path: str, profile: Profile, reading: Reading) -> ItemCheck:
    """The item is of one of the types; of an abstract one, by a type that specialises it."""
    allowed, listed = frozenset(types), ", ".join(types)
    abstract = allowed & ABSTRACT

    def check(value: Json, about: Json, type: str, scope: Scope) -> Founds | None:  # noqa: ARG001 - one shape
        if type in allowed or any(reading.is_a(type, one) for one in abstract):
            return None
        told = {"element": path, "found": type, "expected": listed}
        return [Found(Severity.ERROR, IssueType.STRUCTURE, "type", "type", profile, told)]

    return check


def profiled(by_type: Mapping[str, Sequence[ProfileCheck]], path: str, profile: Profile) -> ItemCheck:
    """The item has one of the profiles that its type is to have."""

    def check(value: Json, about: Json, type: str, scope: Scope) -> Founds | None:
        asked = by_type.get(type) or by_type.get("Resource")
        if not asked:
            return None
        if len(asked) == 1:
            return asked[0].found(value, about, type, scope)
        if any(one.conforms(value, scope, type) for one in asked):
            return None
        told = {"element": path, "expected": ", ".join(one.profile.name or one.profile.url for one in asked)}
        return [Found(Severity.ERROR, IssueType.STRUCTURE, "profile", "profile", profile, told)]

    return check


def _counted(plan: Plan, number: int) -> Founds:
    severity, profile, element = Severity.ERROR, plan.profile, plan.element
    if number < plan.least:
        few: dict[str, object] = {"element": element}
        if plan.least > 1:
            few |= {"least": plan.least, "found": number}
        message = "min" if plan.least > 1 else "missing"
        return [Found(severity, IssueType.REQUIRED, "min", message, profile, few, plan.segment)]
    many: dict[str, object] = {"element": element}
    if plan.most:
        many |= {"most": plan.most, "found": number}
    message = "max" if plan.most else "forbidden"
    return [Found(severity, IssueType.STRUCTURE, "max", message, profile, many, plan.segment)]

"""References: to which types they may lead, to which profiles, and how.

https://hl7.org/fhir/R4/references.html · https://hl7.org/fhir/R4/elementdefinition-definitions.html#ElementDefinition.type.targetProfile
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fhir_server.fhir.outcome import IssueType, Severity
from fhir_server.validation.profiles.found import Found, Founds, Profile
from fhir_server.validation.profiles.scope import ItemCheck, Scope, kind_of, pointed_type
from fhir_server.validation.profiles.values import written

if TYPE_CHECKING:
    from fhir_server.fhir.json import Json
    from fhir_server.validation.profiles.profile import ProfileCheck


@dataclass(frozen=True, slots=True)
class Goal:
    """One profile a target may have."""

    canonical: str
    type: str
    """The type it is a profile of; empty where the profile is not known here."""
    check: ProfileCheck | None = None
    """Nothing where any resource of the type will do."""


def targets(goals: Sequence[Goal], element: str, profile: Profile) -> ItemCheck:
    """The target of the reference is of one of the types, and, where it is at hand, has one of the profiles."""
    types = frozenset(goal.type for goal in goals)
    is_open = "" in types or "Resource" in types
    listed = ", ".join(sorted(types))
    check_target = _profiles(goals, element, profile)

    def check(value: Json, about: Json, type: str, scope: Scope) -> Founds | None:  # noqa: ARG001 - one shape
        if type != "Reference" or not isinstance(value, dict):
            return None
        pointed = pointed_type(value, scope)
        if pointed is None:
            return None
        if pointed not in types and not is_open:
            told: dict[str, object] = {"element": element, "found": pointed, "expected": listed}
            return [Found(Severity.ERROR, IssueType.STRUCTURE, "target", "target-type", profile, told, ".reference")]
        literal = value.get("reference")
        target = scope.target(literal) if isinstance(literal, str) else None
        return check_target(pointed, str(literal), target) if target is not None else None

    return check


def _profiles(goals: Sequence[Goal], element: str, profile: Profile) -> Callable[[str, str, Scope], Founds | None]:
    """The check of a target at hand. What is wrong with it is told at its own place, if just one profile is meant."""
    unknown = ", ".join(goal.canonical for goal in goals if not goal.type)

    def check(pointed: str, literal: str, target: Scope) -> Founds | None:
        fitting = [goal.check for goal in goals if goal.type in (pointed, "Resource")]
        asked = [one for one in fitting if one is not None]
        if len(asked) < len(fitting):
            return None
        if not unknown and len(asked) == 1:
            return asked[0].elsewhere(target)
        if any(one.conforms(target.resource, target) for one in asked):
            return None
        if unknown:
            told: dict[str, object] = {"element": element, "expected": unknown}
            return [Found(Severity.INFORMATION, IssueType.INFORMATIONAL, "target", "target-unknown", profile, told)]
        told = {"element": element, "expected": ", ".join(one.profile.name or one.profile.url for one in asked)}
        told["found"] = written(literal)
        return [Found(Severity.ERROR, IssueType.STRUCTURE, "target", "target-profile", profile, told, ".reference")]

    return check


def aggregated(modes: frozenset[str], element: str, profile: Profile) -> ItemCheck:
    """The reference reaches its target in one of these ways."""
    listed = ", ".join(sorted(modes))

    def check(value: Json, about: Json, type: str, scope: Scope) -> Founds | None:  # noqa: ARG001 - one shape
        if type != "Reference" or not isinstance(value, dict):
            return None
        kinds = kind_of(value, scope)
        if not kinds or kinds & modes:
            return None
        told = {"element": element, "found": written(value.get("reference")), "expected": listed}
        return [Found(Severity.ERROR, IssueType.VALUE, "aggregation", "aggregation", profile, told, ".reference")]

    return check

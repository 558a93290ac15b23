"""Invariants: conditions in FHIRPath, each with a key and the words of the guide.

https://hl7.org/fhir/R4/conformance-rules.html#constraints
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from fhir_server.fhir.outcome import IssueType, Severity
from fhir_server.fhirpath.refused import Refused, TooMuch
from fhir_server.validation.profiles.found import Found, Founds, Profile

if TYPE_CHECKING:
    from fhir_server.fhir.json import Json, JsonObject
    from fhir_server.validation.profiles.profile import Holds
    from fhir_server.validation.profiles.scope import ItemCheck, Scope

_TRANSLATION: Final = "http://hl7.org/fhir/StructureDefinition/translation"


@dataclass(frozen=True, slots=True)
class Constraint:
    """One, as the profile has it."""

    key: str
    severity: Severity
    human: str
    french: str
    expression: str
    """Empty where it is told in words alone."""
    source: str
    """The definition that asks for it."""


def keys(definition: JsonObject) -> frozenset[str]:
    """The keys of those of an element."""
    listed = definition.get("constraint")
    told = (one.get("key") for one in (listed if isinstance(listed, list) else []) if isinstance(one, dict))
    return frozenset(key for key in told if isinstance(key, str))


def constraints(definition: JsonObject) -> Iterator[Constraint]:
    """Those of an element."""
    listed = definition.get("constraint")
    for one in listed if isinstance(listed, list) else []:
        if isinstance(one, dict) and isinstance(key := one.get("key"), str):
            yield Constraint(
                key,
                Severity.WARNING if one.get("severity") == "warning" else Severity.ERROR,
                _text(one.get("human")).rstrip(". "),
                _french(one.get("_human")).rstrip(". "),
                _text(one.get("expression")),
                _text(one.get("source")),
            )


def invariant(constraint: Constraint, holds: Holds, element: str, profile: Profile) -> ItemCheck:
    """The check of one."""
    told = {"key": constraint.key, "human": constraint.human, "element": element}
    broken = [
        Found(
            constraint.severity,
            IssueType.INVARIANT,
            constraint.key,
            "invariant",
            profile,
            told,
            french=constraint.french,
        )
    ]

    def check(value: Json, about: Json, type: str, scope: Scope) -> Founds | None:
        try:
            return None if holds(value, about, type, scope) else broken
        except TooMuch:
            raise
        except Refused as why:
            unknown: dict[str, object] = {**told, "why": why.told}
            return [
                Found(constraint.severity, IssueType.INVARIANT, constraint.key, "invariant-failed", profile, unknown)
            ]

    return check


def _text(value: Json) -> str:
    return value if isinstance(value, str) else ""


def _french(beside: Json) -> str:
    """The translation of the words, where the profile has one."""
    listed = beside.get("extension") if isinstance(beside, dict) else None
    for one in listed if isinstance(listed, list) else []:
        parts = one.get("extension") if isinstance(one, dict) and one.get("url") == _TRANSLATION else None
        told = {
            part.get("url"): part.get("valueCode") or part.get("valueString") or part.get("valueMarkdown")
            for part in (parts if isinstance(parts, list) else [])
            if isinstance(part, dict) and isinstance(part.get("url"), str)
        }
        if str(told.get("lang")).startswith("fr"):
            return _text(told.get("content"))
    return ""

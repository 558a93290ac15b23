"""Bindings: is the code one of the value set, and how much does that matter?

https://hl7.org/fhir/R4/terminologies.html#strength
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias, runtime_checkable

from fhir_server.fhir.outcome import IssueType, Severity
from fhir_server.terminology.terminology import Terminology, UnknownList
from fhir_server.validation.profiles.found import Found, Founds, Profile
from fhir_server.validation.profiles.values import written

if TYPE_CHECKING:
    from fhir_server.fhir.json import Json, JsonObject
    from fhir_server.validation.profiles.scope import ItemCheck, Scope

BINDABLE: Final = frozenset({"code", "Coding", "CodeableConcept", "Quantity", "string", "uri"})
_MAX_VALUE_SET: Final = "http://hl7.org/fhir/StructureDefinition/elementdefinition-maxValueSet"
_SEVERITIES: Final = {
    "required": Severity.ERROR,
    "extensible": Severity.WARNING,
    "preferred": Severity.INFORMATION,
}
_QUANTITIES: Final = frozenset({"Quantity", "Age", "Count", "Distance", "Duration", "Money"})


@runtime_checkable
class Codes(Protocol):
    """Who knows value sets."""

    def validate(self, value_set: str, system: str | None, code: str) -> bool | None:
        """Whether the code is in it; nothing where that cannot be told."""


Member: TypeAlias = Callable[["str | None", str], "bool | None"]
"""Whether a code of a system, or of whatever system the value set has, is one of it; nothing where unknown."""


class ListedCodes:
    """The value sets of the terminology folder, asked as :class:`Codes`."""

    def __init__(self, terminology: Terminology) -> None:
        """Ask this one."""
        self._terminology = terminology

    def validate(self, value_set: str, system: str | None, code: str) -> bool | None:
        """Whether the code is in it; nothing where the list is not in the folder."""
        try:
            if system is not None:
                return self._terminology.member(value_set, system, code)
            return any(one.code == code for one in self._terminology.codes(value_set))
        except UnknownList:
            return None


def binding_of(definition: JsonObject) -> tuple[str, str, str] | None:
    """The strength, the value set, and the widest value set allowed, of a binding that says one of them."""
    binding = definition.get("binding")
    if not isinstance(binding, dict):
        return None
    strength, value_set = binding.get("strength"), binding.get("valueSet")
    widest = ""
    listed = binding.get("extension")
    for one in listed if isinstance(listed, list) else []:
        if isinstance(one, dict) and one.get("url") == _MAX_VALUE_SET:
            told = one.get("valueCanonical") or one.get("valueUri")
            widest = told if isinstance(told, str) else ""
    if not isinstance(value_set, str):
        value_set = ""
    return (strength, value_set, widest) if isinstance(strength, str) and (value_set or widest) else None


def members(codes: Codes, value_set: str) -> Member:
    """The question whether a code is in this value set."""
    return lambda system, code: codes.validate(value_set, system, code)


def codings(value: Json, type: str) -> Iterator[tuple[str | None, str]]:
    """The codes a value has, each with its system; a plain code, a string or a URI names none."""
    if isinstance(value, str):
        yield None, value
        return
    if not isinstance(value, dict):
        return
    listed = value.get("coding") if type == "CodeableConcept" else [value]
    for one in listed if isinstance(listed, list) else []:
        if isinstance(one, dict) and isinstance(code := one.get("code"), str):
            system = one.get("system")
            yield (system if isinstance(system, str) else ""), code


def answer(member: Member, value: Json, type: str, scope: Scope) -> bool | None:
    """Whether one of the codes of a value is a member; nothing where none is known to be and one may be."""
    found: bool | None = False
    for system, code in codings(value, type):
        scope.run.effort.spend(1)
        told = member(system, code)
        if told:
            return True
        found = None if told is None else found
    return found


def bound(
    strength: str, value_set: str, codes: Codes, element: str, profile: Profile, *, is_own: bool = True
) -> ItemCheck | None:
    """The check of a binding; nothing where the strength asks for nothing.

    Of one that FHIR has and the profile leaves as it is (``is_own`` is false), only a code outside is told of: that it
    was not checked, or that there is a text and no code, would be said of every other element.
    """
    severity = _SEVERITIES.get(strength)
    if severity is None or not value_set:
        return None
    asked = members(codes, value_set)
    return _check(severity, f"binding-{strength}", value_set, asked, element, profile, is_own=is_own)


def bound_at_most(value_set: str, codes: Codes, element: str, profile: Profile) -> ItemCheck:
    """The check of the widest value set that an extensible or preferred binding allows."""
    asked = members(codes, value_set)
    return _check(Severity.ERROR, "binding-widest", value_set, asked, element, profile, is_own=True)


def _check(
    severity: Severity, message: str, value_set: str, member: Member, element: str, profile: Profile, *, is_own: bool
) -> ItemCheck:
    def check(value: Json, about: Json, type: str, scope: Scope) -> Founds | None:  # noqa: ARG001 - one shape
        if value is None or (type not in BINDABLE and type not in _QUANTITIES):
            return None
        told = answer(member, value, type, scope)
        if told:
            return None
        what = {"element": element, "value_set": value_set, "found": _shown(value, type)}
        if not is_own and (told is None or not any(True for _ in codings(value, type))):
            return None
        if told is None:
            unknown = "binding-unknown"
            return [Found(Severity.INFORMATION, IssueType.INFORMATIONAL, "binding", unknown, profile, what)]
        if type in _QUANTITIES and isinstance(value, dict) and "code" not in value and severity is not Severity.ERROR:
            return None
        return [Found(severity, IssueType.CODE_INVALID, "binding", message, profile, what)]

    return check


def _shown(value: Json, type: str) -> str:
    """The codes as ``system#code``, or the value itself where it has none."""
    listed = [f"{system}#{code}" if system else code for system, code in codings(value, type)]
    return ", ".join(listed[:3]) + (", ..." if len(listed) > 3 else "") if listed else written(value)  # noqa: PLR2004

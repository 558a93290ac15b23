"""Fixed values, patterns, ranges and lengths.

https://hl7.org/fhir/R4/elementdefinition-definitions.html#ElementDefinition.fixed_x_
https://hl7.org/fhir/R4/elementdefinition-definitions.html#ElementDefinition.pattern_x_
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Final

from fhir_server.fhir.date import interval
from fhir_server.fhir.json import Json, JsonObject, encode
from fhir_server.fhir.outcome import IssueType, Severity
from fhir_server.fhirpath.effort import Effort
from fhir_server.validation.finding import shown
from fhir_server.validation.profiles.found import Found, Founds, Profile
from fhir_server.validation.profiles.scope import ItemCheck, Scope

_SHOWN: Final = 200
"""How many characters of an expected object a sentence repeats."""


def of_definition(definition: JsonObject, prefix: str) -> tuple[str, Json] | None:
    """The value of ``fixed[x]``, ``pattern[x]``, ``minValue[x]`` or ``maxValue[x]``, and its name."""
    for name, value in definition.items():
        if name.startswith(prefix) and name[len(prefix) :][:1].isupper() and name != "minValueSet":
            return name, _exact(value)
    return None


def equals(expected: Json, value: Json, effort: Effort) -> bool:
    """Whether it is the same, no more and no less; numbers by value, as ``1.0`` and ``1.00``."""
    effort.spend(1)
    match expected, value:
        case dict(), dict():
            return expected.keys() == value.keys() and all(
                equals(one, value[name], effort) for name, one in expected.items()
            )
        case list(), list():
            return len(expected) == len(value) and all(
                equals(one, other, effort) for one, other in zip(expected, value, strict=True)
            )
        case _:
            return _same(expected, value)


def holds(pattern: Json, value: Json, effort: Effort) -> bool:
    """Whether it has what the pattern has, and perhaps more; each item of an array has its match."""
    effort.spend(1)
    match pattern, value:
        case dict(), dict():
            return all(name in value and holds(one, value[name], effort) for name, one in pattern.items())
        case list(), list():
            return all(any(holds(one, other, effort) for other in value) for one in pattern)
        case _:
            return _same(pattern, value)


def project(value: Json, name: str) -> Iterator[Json]:
    """What an expected value says of an element within it: each value is one that must be there."""
    found = value.get(name) if isinstance(value, dict) else None
    if isinstance(found, list):
        yield from found
    elif found is not None:
        yield found


def fixed(expected: Json, element: str, profile: Profile) -> ItemCheck:
    """The item is this."""
    return _compared(expected, element, profile, "fixed")


def pattern(expected: Json, element: str, profile: Profile) -> ItemCheck:
    """The item has this in it."""
    return _compared(expected, element, profile, "pattern")


def _compared(expected: Json, element: str, profile: Profile, rule: str) -> ItemCheck:
    compare = equals if rule == "fixed" else holds
    wanted = written(expected)

    def check(value: Json, about: Json, type: str, scope: Scope) -> Founds | None:  # noqa: ARG001 - one shape
        if compare(expected, value, scope.run.effort):
            return None
        told = {"element": element, "found": written(value), "expected": wanted}
        return [Found(Severity.ERROR, IssueType.VALUE, rule, rule, profile, told)]

    return check


def lowest(expected: Json, element: str, profile: Profile) -> ItemCheck:
    """The item is not below this. What cannot be compared is in order."""
    return _bounded(expected, element, profile, "range-low")


def highest(expected: Json, element: str, profile: Profile) -> ItemCheck:
    """The item is not above this."""
    return _bounded(expected, element, profile, "range-high")


def _bounded(expected: Json, element: str, profile: Profile, message: str) -> ItemCheck:
    wanted = written(expected)
    is_low = message == "range-low"

    def check(value: Json, about: Json, type: str, scope: Scope) -> Founds | None:  # noqa: ARG001 - one shape
        if not (_is_below(value, expected) if is_low else _is_below(expected, value)):
            return None
        told = {"element": element, "found": written(value), "expected": wanted}
        return [Found(Severity.ERROR, IssueType.VALUE, "range", message, profile, told)]

    return check


CHECKS: Final[Mapping[str, Callable[[Json, str, Profile], ItemCheck]]] = {
    "fixed": fixed,
    "pattern": pattern,
    "minValue": lowest,
    "maxValue": highest,
}
"""What an ElementDefinition may say of a value, by how the name of its member begins."""
_PREFIXES: Final = tuple(CHECKS)


def tells(definition: JsonObject) -> bool:
    """Whether an element says anything of its value; most do not."""
    return any(name.startswith(_PREFIXES) for name in definition)


def limited(most: int, element: str, profile: Profile) -> ItemCheck:
    """The text is no longer than this."""

    def check(value: Json, about: Json, type: str, scope: Scope) -> Founds | None:  # noqa: ARG001 - one shape
        if not isinstance(value, str) or len(value) <= most:
            return None
        told = {"element": element, "found": len(value), "most": most}
        return [Found(Severity.ERROR, IssueType.TOO_LONG, "length", "length", profile, told)]

    return check


def written(value: Json) -> str:
    """A value as a sentence repeats it."""
    if not isinstance(value, (dict, list)):
        return shown(value)
    text = encode(value).decode()
    return f"{text[:_SHOWN]}..." if len(text) > _SHOWN else text


def _same(expected: Json, value: Json) -> bool:
    if isinstance(expected, bool) or isinstance(value, bool):
        return expected is value
    if isinstance(expected, (int, Decimal)) and isinstance(value, (int, Decimal)):
        return expected == value
    return isinstance(value, str) and expected == value


def _is_below(one: Json, other: Json) -> bool:
    """Whether the first is less; not so where that cannot be told."""
    if isinstance(one, dict) and isinstance(other, dict):
        units = [(each.get("system"), each.get("code") or each.get("unit")) for each in (one, other)]
        return units[0] == units[1] and _is_below(one.get("value"), other.get("value"))
    if isinstance(one, bool) or isinstance(other, bool):
        return False
    if isinstance(one, (int, Decimal)) and isinstance(other, (int, Decimal)):
        return one < other
    if not isinstance(one, str) or not isinstance(other, str):
        return False
    first, second = interval(one), interval(other)
    if first is None or second is None:
        return one[:2].isdigit() and one[2:3] == ":" and other[2:3] == ":" and one < other
    return first.high <= second.low


def _exact(value: Json | float) -> Json:
    """A definition that was read with binary numbers, in decimal ones."""
    if isinstance(value, float):
        return Decimal(repr(value))
    if isinstance(value, dict):
        return {name: _exact(one) for name, one in value.items()}
    return [_exact(one) for one in value] if isinstance(value, list) else value

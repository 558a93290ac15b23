"""The profiles against small changes of accepted examples: data, one file for each profile.

``cases/<profile-id>.json`` holds:

``accepted``
    Examples, by their path below ``tests/examples``. The first is the one that is changed where a case names no other.
``rejected``
    Cases: what is ``changed`` in an example, the constraints of the differential that this ``breaks``
    (:func:`constraints` names them), and the issue that is expected: ``rule``, ``at`` (its expression), ``severity``
    where it is no error, ``profile`` where another profile than this one asks for it (that of an extension).
``defects``
    Published examples with a known defect, as cases without a change; ``why`` says what is wrong with them.
``left``
    Constraints that cannot be broken alone, each with the reason.
``against``
    The profile that is validated where it is not this one: of a datatype or an extension, one that uses it.

A change is one of ``{"remove": path}``, ``{"set": path, "to": value}`` and ``{"repeat": path}``, the path as in
``identifier[0].type``; ``[+]`` is the place after the last.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from fhir_server.fhir import json

HERE: Final = Path(__file__).parent
CASES: Final = HERE / "cases"
EXAMPLES: Final = HERE.parent.parent / "examples"
DEFINITIONS: Final = HERE.parent.parent.parent / "profiles" / "StructureDefinition"
BASE: Final = "http://hl7.org/fhir/StructureDefinition/"

_ON_THE_WAY: Final = frozenset({"fixed", "pattern", "min", "type"})
"""What of an element above the one that a discriminator names tells a slice: a value that has the lower one in it."""
_AT_THE_END: Final = _ON_THE_WAY | {"binding", "profile"}
"""What of the element that a discriminator names tells a slice."""
_STEP: Final = re.compile(r"([A-Za-z_]\w*)|\[(\d+|\+)\]")


@cache
def definitions() -> Mapping[str, dict[str, Any]]:
    """The StructureDefinitions of the project, by URL."""
    read = [_read(file) for file in sorted(DEFINITIONS.glob("*.json"))]
    return {one["url"]: one for one in read}


@dataclass(frozen=True, slots=True)
class Case:
    """A resource that a profile refuses, and what it says."""

    profile: str
    """The profile it is of."""
    against: str
    """The profile it is validated against."""
    example: str
    change: Sequence[Mapping[str, Any]]
    breaks: tuple[str, ...]
    rule: str
    at: str
    severity: str
    asked_by: str
    """The profile that asks for it."""
    value_sets: tuple[str, ...] = ()
    """Those that a code is said to be outside of."""

    @property
    def name(self) -> str:
        """As pytest names it."""
        told = self.breaks[0] if self.breaks else self.example
        return f"{self.profile.rpartition('/')[2]}: {told}"

    def resource(self) -> Any:
        """The example, changed."""
        return changed(example(self.example), self.change)


@dataclass(frozen=True, slots=True)
class Table:
    """All cases of a profile."""

    url: str
    against: str
    accepted: tuple[str, ...]
    rejected: tuple[Case, ...]
    defects: tuple[Case, ...]
    left: Mapping[str, str] = field(default_factory=dict)


@cache
def tables() -> tuple[Table, ...]:
    """Those of all profiles."""
    urls = {url.rpartition("/")[2]: url for url in definitions()}
    return tuple(_table(urls[file.stem], _read(file)) for file in sorted(CASES.glob("*.json")))


def _table(url: str, read: dict[str, Any]) -> Table:
    against = read.get("against", url)
    accepted = tuple(read["accepted"])
    rejected = tuple(_case(url, against, accepted[0], one) for one in read["rejected"])
    defects = tuple(_case(url, against, accepted[0], one) for one in read.get("defects", []))
    return Table(url, against, accepted, rejected, defects, read.get("left", {}))


def _case(url: str, against: str, first: str, read: dict[str, Any]) -> Case:
    breaks = read.get("breaks", [])
    return Case(
        profile=url,
        against=read.get("against", against),
        example=read.get("of", first),
        change=read.get("change", []),
        breaks=(breaks,) if isinstance(breaks, str) else tuple(breaks),
        rule=read["rule"],
        at=read["at"],
        severity=read.get("severity", "error"),
        asked_by=read.get("profile", url),
        value_sets=tuple(_value_sets(definitions()[url], breaks)),
    )


def _value_sets(definition: Mapping[str, Any], breaks: str | Sequence[str]) -> Iterator[str]:
    broken = {breaks} if isinstance(breaks, str) else set(breaks)
    for element in definition["differential"]["element"]:
        if f"{element['id']} binding" in broken:
            yield element["binding"]["valueSet"].partition("|")[0]


KINDS: Final = {
    **{kind: {kind} for kind in ("min", "max", "fixed", "type", "binding", "target", "aggregation", "context")},
    "pattern": {"pattern", "min"},
    "minValue": {"range"},
    "maxValue": {"range"},
    "maxLength": {"length"},
    "ordered": {"slice"},
    "slicing": {"closed", "slice", "max"},
}
"""By which rules the engine tells of a constraint. A profile of a type has all of them."""


def is_told_there(case: Case, constraint: str) -> bool:
    """Whether the issue of a case is about the element of a constraint, and of its kind.

    Where a change takes more away than it says (the last part of an element, and the element with it), it is not.
    """
    id, _, kind = constraint.partition(" ")
    path = _without_slices(id).replace("[x]", "")
    at = re.sub(r"\[\d+\]", "", case.at)
    if kind in KINDS and case.rule not in KINDS[kind]:
        return False
    if kind not in KINDS and kind != "profile":
        return case.rule == kind
    if kind == "context":
        return at.endswith(".extension")
    within = path.partition(".")[2]
    if definitions()[case.profile]["type"] != at.partition(".")[0]:
        return f".{within}." in f"{at}." if kind == "profile" else at.endswith((f".{within}", f".{within}.reference"))
    if kind == "profile":
        return f"{at}.".startswith(f"{path}.")
    return at in ((path, f"{path}.reference") if kind in ("target", "aggregation") else (path,))


# What a differential adds


def constraints(definition: Mapping[str, Any]) -> Iterator[str]:
    """Everything that a differential asks for, as ``<element id> <kind>``, or ``<element id> <key of an invariant>``.

    Not what tells a slice from others (a resource that differs there is simply not of the slice), nor the URL of an
    extension, nor what nothing can break: example bindings, constraints told in words alone.
    """
    told_by = _told_by(definition)
    if any(context["expression"] != "Element" for context in definition.get("context", [])):
        yield f"{definition['type']} context"
    for element in definition["differential"]["element"]:
        id = element["id"]
        for constraint in element.get("constraint", []):
            if "expression" in constraint:
                yield f"{id} {constraint['key']}"
        if "." not in id or element["path"].endswith(("Extension.url", ".extension.url")):
            continue
        for kind in _kinds(element):
            if kind not in told_by.get(id, ()):
                yield f"{id} {kind}"


def _kinds(element: Mapping[str, Any]) -> Iterator[str]:
    if element.get("min", 0) > 0:
        yield "min"
    if element.get("max", "*") != "*":
        yield "max"
    for prefix in ("fixed", "pattern", "minValue", "maxValue", "maxLength"):
        if any(name.startswith(prefix) for name in element):
            yield prefix
    if element.get("binding", {}).get("strength") in ("required", "extensible", "preferred"):
        yield "binding"
    slicing = element.get("slicing", {})
    if slicing.get("rules") in ("closed", "openAtEnd"):
        yield "slicing"
    if slicing.get("ordered"):
        yield "ordered"
    yield from _of_types(element)


def _of_types(element: Mapping[str, Any]) -> Iterator[str]:
    types = element.get("type", [])
    if types and element["path"].endswith("[x]"):
        yield "type"
    if any("profile" in type for type in types):
        yield "profile"
    if any("targetProfile" in type for type in types):
        yield "target"
    if any("aggregation" in type for type in types):
        yield "aggregation"


def _told_by(definition: Mapping[str, Any]) -> Mapping[str, frozenset[str]]:
    """The elements that tell the slices of a profile from others, each with what of it does so."""
    slicings = dict(_slicings(definition))
    told: dict[str, frozenset[str]] = {}
    for element in definition["differential"]["element"]:
        if "sliceName" not in element:
            continue
        slice = element["id"]
        for path in slicings.get(_without_slices(slice.rpartition(":")[0]), ()):
            parts = [part for part in path.replace(".resolve()", "").split(".") if part not in ("$this", "resolve()")]
            steps = [".".join([slice, *parts[:end]]) for end in range(len(parts) + 1)]
            for step in steps:
                kinds = _ON_THE_WAY if step != steps[-1] else _AT_THE_END
                told[step] = told.get(step, frozenset()) | (kinds - {"min"} if step == slice else kinds)
    return told


def _slicings(definition: Mapping[str, Any]) -> Iterator[tuple[str, tuple[str, ...]]]:
    parent = definitions().get(definition["baseDefinition"])
    if parent is not None:
        yield from _slicings(parent)
    for element in definition["differential"]["element"]:
        if "slicing" in element:
            paths = tuple(one["path"] for one in element["slicing"].get("discriminator", ()))
            yield _without_slices(element["id"]), paths


def _without_slices(id: str) -> str:
    return re.sub(r":[^.]+", "", id)


# Examples and their changes


def example(name: str) -> Any:
    """A resource below ``tests/examples``."""
    return _read(EXAMPLES / name)


def changed(resource: Any, changes: Sequence[Mapping[str, Any]]) -> Any:
    """The resource after these changes; what is empty then is no longer there."""
    now = deepcopy(resource)
    for change in changes:
        match change:
            case {"remove": path}:
                _remove(now, steps(path))
            case {"set": path, "to": value}:
                _set(now, steps(path), deepcopy(value))
            case {"repeat": path}:
                at = steps(path)
                found = _at(now, at[:-1])
                found.append(deepcopy(found[at[-1]]))
            case _:
                raise ValueError(f"This is no change: {change}")
    return now


def steps(path: str) -> list[Any]:
    """Names, places in arrays, and ``+``."""
    found = []
    for name, place in _STEP.findall(path):
        found.append(name or (place if place == "+" else int(place)))
    return found


def _at(value: Any, path: Sequence[Any]) -> Any:
    for step in path:
        value = value[step]
    return value


def _remove(value: Any, path: Sequence[Any]) -> None:
    holder = _at(value, path[:-1])
    del holder[path[-1]]
    if not holder and len(path) > 1:
        _remove(value, path[:-1])


def _set(value: Any, path: Sequence[Any], to: Any) -> None:
    for step, following in pairwise(path):
        value = _entered(value, step, [] if isinstance(following, int) or following == "+" else {})
    if path[-1] == "+" or path[-1] == (len(value) if isinstance(value, list) else None):
        value.append(to)
    else:
        value[path[-1]] = to


def _entered(value: Any, step: Any, otherwise: Any) -> Any:
    """What is there, or what is put there."""
    if step == "+" or (isinstance(step, int) and step == len(value)):
        value.append(otherwise)
        return otherwise
    if isinstance(step, str):
        return value.setdefault(step, otherwise)
    return value[step]


def _read(file: Path) -> Any:
    return json.decode(file.read_bytes())

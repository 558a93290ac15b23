"""What an operation is called with, read strictly against its signature: a Parameters resource, or a query.

https://hl7.org/fhir/R4/operations.html#executing · https://hl7.org/fhir/R4/parameters.html

Whatever is unknown, missing, told too often or of another type is refused, with all there is to say about it: a
parameter that is passed over would be a wish nobody follows.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from fhir_server.fhir import json
from fhir_server.fhir.errors import Invalid
from fhir_server.fhir.outcome import Issue, IssueType, error, fails
from fhir_server.operations.messages import told

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fhir_server.definitions.operations import OperationParameter
    from fhir_server.fhir.json import Json, JsonObject
    from fhir_server.validation.structure import Validator

MOST_PARAMETERS: Final = 200
_MEMBERS: Final = frozenset({"resourceType", "id", "meta", "language", "parameter"})
_ALSO: Final[Mapping[str, str]] = {"dateTime": "valueDate", "uri": "valueCanonical"}
"""A date is a dateTime without its time, a canonical is a uri (later versions of FHIR have it so)."""


@dataclass(frozen=True, slots=True)
class Value:
    """One parameter as it was told."""

    value: Json
    where: str
    """For people: ``Parameters.parameter[0]``, or ``http.identifier`` of a query."""
    parts: Given


@dataclass(frozen=True, slots=True)
class Given:
    """All parameters told, by name; those of the signature that were not told are empty."""

    values: Mapping[str, tuple[Value, ...]]

    def all(self, name: str) -> tuple[Value, ...]:
        """Every value of a parameter of the signature."""
        return self.values[name]

    def one(self, name: str) -> Value | None:
        """The one value of a parameter that may be told once."""
        return next(iter(self.values[name]), None)

    def text(self, name: str) -> str | None:
        """A code, id, string, uri or date."""
        found = self.one(name)
        return str(found.value) if found is not None else None

    def flag(self, name: str) -> bool | None:
        """A boolean."""
        found = self.one(name)
        return found.value is True if found is not None else None

    def where(self, name: str) -> tuple[str, ...]:
        """Where a parameter was told, for the expression of an issue; where none was, nowhere."""
        found = self.one(name)
        return (found.where,) if found is not None else ()

    @property
    def nothing(self) -> bool:
        """Whether nothing was told."""
        return not any(self.values.values())


def from_body(validator: Validator, takes: Sequence[OperationParameter], raw: bytes) -> Given:
    """Read a Parameters resource; an empty body is one without any parameter."""
    resource: JsonObject = json.decode_object(raw) if raw.strip() else {"resourceType": "Parameters"}
    kind = resource.get("resourceType")
    if kind != "Parameters":
        found = isinstance(kind, str)
        message = told("parameters-expected", found=str(kind)[:60]) if found else told("parameters-expected-none")
        raise Invalid(message, expression=("resourceType",))
    _must_be_valid(validator.validate(resource))
    issues = [
        error(IssueType.NOT_SUPPORTED, told("not-read", name=name), f"Parameters.{name}")
        for name in sorted(resource.keys() - _MEMBERS)
    ]
    parameters = resource.get("parameter")
    listed = [one for one in parameters if isinstance(one, dict)] if isinstance(parameters, list) else []
    if len(listed) > MOST_PARAMETERS:
        message = told("too-many", number=len(listed), most=MOST_PARAMETERS)
        raise Invalid(message, expression=("Parameters.parameter",), code=IssueType.TOO_COSTLY)
    given = _read(takes, listed, "Parameters.parameter", issues)
    _must_be_valid(issues)
    return given


def from_query(validator: Validator, takes: Sequence[OperationParameter], pairs: Sequence[tuple[str, str]]) -> Given:
    """Read a query, which tells primitive values alone; they are checked as those of a body are."""
    types = {one.name: one for one in takes}
    issues: list[Issue] = []
    listed: list[JsonObject] = []
    for name, text in pairs[: MOST_PARAMETERS + 1]:
        known = types.get(name)
        if known is None:
            issues.append(_unknown(name, f"http.{name[:60]}", takes))
        elif not known.primitive:
            issues.append(error(IssueType.NOT_SUPPORTED, told("body-only", name=name), f"http.{name}"))
        else:
            listed.append({"name": name, f"value{_capitalised(known.type or '')}": _from_text(known.type, text)})
    _must_be_valid(issues)
    if not listed:
        given = _read(takes, [], "http", issues)
        _must_be_valid(issues)
        return given
    issues = validator.validate({"resourceType": "Parameters", "parameter": [*listed]})
    _must_be_valid([_of_query(one, listed) for one in issues])
    given = _read(takes, listed, "Parameters.parameter", issues := [])
    _must_be_valid([_of_query(one, listed) for one in issues])
    return Given(
        {name: tuple(replace(value, where=f"http.{name}") for value in values) for name, values in given.values.items()}
    )


def alone(takes: Sequence[OperationParameter], raw: bytes) -> JsonObject | None:
    """A body that is the one resource an operation takes, in place of Parameters that hold it.

    https://hl7.org/fhir/R4/operations.html#request
    """
    of_resources = [one for one in takes if one.is_resource]
    if len(of_resources) != 1 or not raw.strip():
        return None
    resource = json.decode_object(raw)
    kind = resource.get("resourceType")
    return resource if kind != "Parameters" and of_resources[0].type in ("Resource", kind) else None


def from_resource(
    validator: Validator, takes: Sequence[OperationParameter], resource: JsonObject, pairs: Sequence[tuple[str, str]]
) -> Given:
    """Read a body that is the one resource an operation takes; what is primitive is in the query then."""
    (taken,) = (one for one in takes if one.is_resource)
    _must_be_valid(validator.validate(resource))
    beside = from_query(validator, [one for one in takes if one.primitive], pairs)
    values: dict[str, tuple[Value, ...]] = {one.name: () for one in takes}
    where = str(resource.get("resourceType"))
    return Given({**values, **beside.values, taken.name: (Value(resource, where, Given({})),)})


def _read(takes: Sequence[OperationParameter], listed: Sequence[JsonObject], where: str, issues: list[Issue]) -> Given:
    known = {one.name: one for one in takes}
    found: dict[str, list[Value]] = {name: [] for name in known}
    for position, given in enumerate(listed):
        place = f"{where}[{position}]"
        name = str(given.get("name"))
        parameter = known.get(name)
        if parameter is None:
            issues.append(_unknown(name, f"{place}.name", takes))
            continue
        found[name].append(_value(parameter, given, place, issues))
        if parameter.max is not None and len(found[name]) == parameter.max + 1:
            once = parameter.max == 1
            message = (
                told("told-at-most-once", name=name) if once else told("told-at-most", name=name, most=parameter.max)
            )
            issues.append(error(IssueType.INVALID, message, place))
    for name, parameter in known.items():
        if len(found[name]) < parameter.min:
            missing = told("parameter-missing", name=name)
            issues.append(error(IssueType.REQUIRED, missing, where.removesuffix(".parameter")))
    return Given({name: tuple(values) for name, values in found.items()})


def _value(parameter: OperationParameter, given: JsonObject, place: str, issues: list[Issue]) -> Value:
    """One parameter, of its type or with its parts; whatever else it holds is refused."""
    rest = given.keys() - {"id", "name"}
    if parameter.type is None:
        parts = given.get("part")
        listed = [one for one in parts if isinstance(one, dict)] if isinstance(parts, list) else []
        if rest - {"part"}:
            found = ", ".join(sorted(rest - {"part"}))[:120]
            issues.append(error(IssueType.INVALID, told("told-by-parts", name=parameter.name, found=found), place))
        return Value(None, place, _read(parameter.parts, listed, f"{place}.part", issues))
    if parameter.is_resource:
        return _resource(parameter, given, place, issues)
    member = f"value{_capitalised(parameter.type)}"
    also = _ALSO.get(parameter.type, member)
    names = [name for name in (member, also) if name in given]
    if not names or rest - {names[0]}:
        here = ", ".join(sorted(rest))[:120] or told("nothing")
        message = told("told-by-value", name=parameter.name, member=member, found=here)
        issues.append(error(IssueType.INVALID, message, place))
    return Value(given.get(names[0]) if names else None, place, Given({}))


def _resource(parameter: OperationParameter, given: JsonObject, place: str, issues: list[Issue]) -> Value:
    """A parameter that is a resource. Its structure is checked with that of the whole body."""
    resource = given.get("resource")
    kind = resource.get("resourceType") if isinstance(resource, dict) else None
    if kind is None or parameter.type not in ("Resource", kind) or given.keys() - {"id", "name", "resource"}:
        here = str(kind)[:60] if kind is not None else ", ".join(sorted(given.keys() - {"id", "name"}))[:120]
        message = told("told-by-resource", name=parameter.name, type=parameter.type, found=here or told("nothing"))
        issues.append(error(IssueType.INVALID, message, place))
    return Value(resource, place, Given({}))


def _unknown(name: str, where: str, takes: Sequence[OperationParameter]) -> Issue:
    known = ", ".join(one.name for one in takes)
    if known:
        message = told("unknown-parameter", name=name[:60], known=known)
    else:
        message = told("unknown-parameter-of-none", name=name[:60])
    return error(IssueType.NOT_SUPPORTED, message, where)


_WHOLE: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,9})")


def _from_text(type: str | None, text: str) -> Json:
    """The JSON of a primitive a query tells; what is none stays a text, which the validator refuses by its type."""
    if type == "boolean":
        return {"true": True, "false": False}.get(text, text)
    return int(text) if type == "integer" and _WHOLE.fullmatch(text) else text


def _of_query(issue: Issue, listed: Sequence[JsonObject]) -> Issue:
    """The issue where the query told it, not where a body would have."""
    where = issue.expression[0] if issue.expression else ""
    index = where.partition("[")[2].partition("]")[0]
    name = listed[int(index)]["name"] if index.isdecimal() and int(index) < len(listed) else None
    return replace(issue, expression=(f"http.{name}",) if name else ("http",))


def _must_be_valid(issues: Sequence[Issue]) -> None:
    if fails(issues):
        raise Invalid(issues=tuple(issues))


def _capitalised(type: str) -> str:
    return type[:1].upper() + type[1:]

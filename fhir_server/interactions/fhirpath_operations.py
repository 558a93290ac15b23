"""The operations of a FHIRPath Patch, read from its Parameters resource.

https://hl7.org/fhir/R4/fhirpatch.html

Whatever is unknown, missing, told twice or of another type is refused: a part that is passed over would be a wish
nobody follows.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from fhir_server.fhir.errors import Invalid
from fhir_server.fhir.messages import Told
from fhir_server.fhir.outcome import IssueType
from fhir_server.interactions.fhirpath_values import PARAMETER
from fhir_server.interactions.messages import told

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fhir_server.fhir.json import Json, JsonObject
    from fhir_server.fhirpath.model import Model

MOST_OPERATIONS: Final = 100

_MEMBERS: Final = frozenset({"resourceType", "id", "meta", "language", "parameter"})


class Type(StrEnum):
    """What an operation does."""

    ADD = "add"
    INSERT = "insert"
    DELETE = "delete"
    REPLACE = "replace"
    MOVE = "move"


_TAKES: Final[Mapping[Type, tuple[str, ...]]] = {
    Type.ADD: ("path", "name", "value"),
    Type.INSERT: ("path", "index", "value"),
    Type.DELETE: ("path",),
    Type.REPLACE: ("path", "value"),
    Type.MOVE: ("path", "source", "destination"),
}
_TYPES: Final = {
    "type": "code",
    "path": "string",
    "name": "string",
    "index": "integer",
    "source": "integer",
    "destination": "integer",
}
"""Of all parts but the value."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation. What its type does not take is empty."""

    position: int
    """In the Parameters resource."""
    type: Type
    path: str
    name: str
    value: JsonObject
    """The part that tells the value."""
    index: int
    source: int
    destination: int

    @property
    def where(self) -> str:
        """Where it is told, for the expression of an issue."""
        return f"{PARAMETER}[{self.position}]"

    def about(self, why: Told) -> Told:
        """What is wrong with it."""
        path = f"{self.path[:100]}..." if len(self.path) > 100 else self.path  # noqa: PLR2004 - enough to know it by
        return told("of-operation-at", position=self.position, type=self.type, path=path, why=why)


def read_operations(parameters: JsonObject, model: Model) -> list[Operation]:
    """Read all of them; there may be none, and then nothing is changed."""
    kind = parameters.get("resourceType")
    if kind != "Parameters":
        found = isinstance(kind, str)
        message = told("parameters-expected", found=str(kind)[:60]) if found else told("parameters-expected-none")
        raise Invalid(message, expression=("resourceType",))
    for name in sorted(parameters.keys() - _MEMBERS):
        where = (f"Parameters.{name[:60]}",)
        raise Invalid(told("not-read", name=name[:60]), expression=where, code=IssueType.NOT_SUPPORTED)
    listed = parameters.get("parameter")
    if "parameter" not in parameters:
        return []
    if not isinstance(listed, list) or not listed:
        raise Invalid(told("array-of-operations"), expression=(PARAMETER,))
    if len(listed) > MOST_OPERATIONS:
        raise Invalid(
            told("too-many-operations", number=len(listed), most=MOST_OPERATIONS),
            expression=(PARAMETER,),
            code=IssueType.TOO_COSTLY,
        )
    return [_operation(one, position, model) for position, one in enumerate(listed)]


def _operation(parameter: Json, position: int, model: Model) -> Operation:
    where = f"{PARAMETER}[{position}]"
    if not isinstance(parameter, dict) or parameter.get("name") != "operation":
        raise _invalid(position, told("named-operation"), f"{where}.name")
    if parameter.keys() - {"id", "name"} != {"part"}:
        raise _invalid(position, told("parts-alone"), where)
    parts = _parts(parameter["part"], position)
    if "type" not in parts:
        raise _invalid(position, told("no-type"), where, IssueType.REQUIRED)
    type = _type(_told("type", parts, position, model), position)
    takes = {"type", *_TAKES[type]}
    for name in sorted(parts.keys() - takes):
        message = told("takes-no-part", type=type, name=name[:60], known=", ".join(_TAKES[type]))
        raise _invalid(position, message, where)
    for name in sorted(takes - parts.keys()):
        message = told("part-missing", name=name, type=type)
        raise _invalid(position, message, where, IssueType.REQUIRED)
    return Operation(
        position,
        type,
        str(_told("path", parts, position, model)),
        str(_told("name", parts, position, model)),
        parts.get("value", (0, {}))[1],
        *(int(_told(name, parts, position, model) or 0) for name in ("index", "source", "destination")),
    )


def _type(code: str | int, position: int) -> Type:
    try:
        return Type(str(code))
    except ValueError:
        message = told("none-of", found=str(code)[:60], known=", ".join(Type))
        raise _invalid(position, message, f"{PARAMETER}[{position}]") from None


def _parts(listed: Json, position: int) -> dict[str, tuple[int, JsonObject]]:
    """The parts by name, each with its place."""
    where = f"{PARAMETER}[{position}]"
    if not isinstance(listed, list):
        raise _invalid(position, told("parts-are-an-array"), f"{where}.part")
    parts: dict[str, tuple[int, JsonObject]] = {}
    for place, part in enumerate(listed):
        name = part.get("name") if isinstance(part, dict) else None
        if not isinstance(part, dict) or not isinstance(name, str):
            raise _invalid(position, told("part-without-name"), f"{where}.part[{place}]")
        if name in parts:
            raise _invalid(position, told("part-twice", name=name[:60]), f"{where}.part[{place}]")
        parts[name] = place, part
    return parts


def _told(name: str, parts: Mapping[str, tuple[int, JsonObject]], position: int, model: Model) -> str | int:
    """What a part says, which has the type it must have, or a more special one; nothing where it is not told."""
    if name not in parts:
        return ""
    place, part = parts[name]
    wanted = _TYPES[name]
    members = [*(part.keys() - {"id", "name"})]
    member = model.member(PARAMETER, "value")
    type = member[1].get(members[0]) if member is not None and len(members) == 1 else None
    value = part[members[0]] if type is not None and model.is_a(type, wanted) else None
    if wanted == "integer" and isinstance(value, int) and not isinstance(value, bool):
        return value
    if wanted != "integer" and isinstance(value, str) and value:
        return value
    raise _invalid(
        position,
        told("part-by-value", name=name, member=f"value{wanted.capitalize()}"),
        f"{PARAMETER}[{position}].part[{place}]",
        IssueType.VALUE,
    )


def _invalid(position: int, why: Told, where: str, code: IssueType = IssueType.INVALID) -> Invalid:
    return Invalid(told("of-operation", position=position, why=why), expression=(where,), code=code)

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
from fhir_server.fhir.outcome import IssueType
from fhir_server.interactions.fhirpath_values import PARAMETER

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

    def __str__(self) -> str:
        """As a sentence names it."""
        path = f"{self.path[:100]}..." if len(self.path) > 100 else self.path  # noqa: PLR2004 - enough to know it by
        return f"Operation {self.position} ({self.type} {path})"


def read_operations(parameters: JsonObject, model: Model) -> list[Operation]:
    """Read all of them; there may be none, and then nothing is changed."""
    told = parameters.get("resourceType")
    if told != "Parameters":
        kind = f"a {told[:60]}" if isinstance(told, str) else "no FHIR resource"
        raise Invalid(f"A FHIRPath Patch is a Parameters resource; the body is {kind}.", expression=("resourceType",))
    for name in sorted(parameters.keys() - _MEMBERS):
        raise Invalid(
            f"{name[:60]} is not read here.", expression=(f"Parameters.{name[:60]}",), code=IssueType.NOT_SUPPORTED
        )
    listed = parameters.get("parameter")
    if "parameter" not in parameters:
        return []
    if not isinstance(listed, list) or not listed:
        raise Invalid("Parameters.parameter is an array of operations.", expression=(PARAMETER,))
    if len(listed) > MOST_OPERATIONS:
        raise Invalid(
            f"The patch has {len(listed)} operations; this server takes {MOST_OPERATIONS}.",
            expression=(PARAMETER,),
            code=IssueType.TOO_COSTLY,
        )
    return [_operation(one, position, model) for position, one in enumerate(listed)]


def _operation(parameter: Json, position: int, model: Model) -> Operation:
    where = f"{PARAMETER}[{position}]"
    if not isinstance(parameter, dict) or parameter.get("name") != "operation":
        raise _invalid(position, "Each parameter of a FHIRPath Patch has the name operation.", f"{where}.name")
    if parameter.keys() - {"id", "name"} != {"part"}:
        raise _invalid(position, "An operation is told by its parts alone.", where)
    parts = _parts(parameter["part"], position)
    if "type" not in parts:
        raise _invalid(position, "The part type is missing.", where, IssueType.REQUIRED)
    type = _type(_told("type", parts, position, model), position)
    takes = {"type", *_TAKES[type]}
    for name in sorted(parts.keys() - takes):
        raise _invalid(position, f"{type} takes no part {name[:60]!r}; it takes {', '.join(_TAKES[type])}.", where)
    for name in sorted(takes - parts.keys()):
        raise _invalid(position, f"The part {name} is missing, which {type} needs.", where, IssueType.REQUIRED)
    return Operation(
        position,
        type,
        str(_told("path", parts, position, model)),
        str(_told("name", parts, position, model)),
        parts.get("value", (0, {}))[1],
        *(int(_told(name, parts, position, model) or 0) for name in ("index", "source", "destination")),
    )


def _type(told: str | int, position: int) -> Type:
    try:
        return Type(str(told))
    except ValueError:
        sentence = f"{str(told)[:60]!r} is none of {', '.join(Type)}."
        raise _invalid(position, sentence, f"{PARAMETER}[{position}]") from None


def _parts(listed: Json, position: int) -> dict[str, tuple[int, JsonObject]]:
    """The parts by name, each with its place."""
    where = f"{PARAMETER}[{position}]"
    if not isinstance(listed, list):
        raise _invalid(position, "The parts of an operation are an array.", f"{where}.part")
    parts: dict[str, tuple[int, JsonObject]] = {}
    for place, part in enumerate(listed):
        name = part.get("name") if isinstance(part, dict) else None
        if not isinstance(part, dict) or not isinstance(name, str):
            raise _invalid(position, "Each part has a name.", f"{where}.part[{place}]")
        if name in parts:
            raise _invalid(position, f"The part {name[:60]!r} is told twice.", f"{where}.part[{place}]")
        parts[name] = place, part
    return parts


def _told(name: str, parts: Mapping[str, tuple[int, JsonObject]], position: int, model: Model) -> str | int:
    """What a part says, which has the type it must have, or a more special one; nothing where it is not told."""
    if name not in parts:
        return ""
    place, part = parts[name]
    wanted = _TYPES[name]
    told = [*(part.keys() - {"id", "name"})]
    member = model.member(PARAMETER, "value")
    type = member[1].get(told[0]) if member is not None and len(told) == 1 else None
    value = part[told[0]] if type is not None and model.is_a(type, wanted) else None
    if wanted == "integer" and isinstance(value, int) and not isinstance(value, bool):
        return value
    if wanted != "integer" and isinstance(value, str) and value:
        return value
    raise _invalid(
        position,
        f"The part {name} is told by value{wanted.capitalize()}.",
        f"{PARAMETER}[{position}].part[{place}]",
        IssueType.VALUE,
    )


def _invalid(position: int, sentence: str, where: str, code: IssueType = IssueType.INVALID) -> Invalid:
    return Invalid(f"Operation {position}: {sentence}", expression=(where,), code=code)

"""Reads the signatures of the operations from ``profiles/OperationDefinition``.

https://hl7.org/fhir/R4/operationdefinition.html

The signature is data: what an operation takes is read from the file that ``/metadata`` points to, so neither can say
what the other does not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fhir_server.definitions.load import load
from fhir_server.fhir.errors import FhirError
from fhir_server.fhir.json import Json, JsonObject, decode_object

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class OperationParameter:
    """One parameter, in or out."""

    name: str
    min: int
    max: int | None
    """Nothing for any number."""
    type: str | None
    """Of its value; nothing when it has parts."""
    parts: tuple[OperationParameter, ...] = ()

    @property
    def primitive(self) -> bool:
        """Whether a query can tell it."""
        return self.type is not None and self.type[:1].islower()

    @property
    def is_resource(self) -> bool:
        """Whether it is told by a resource, in place of a value."""
        return self.type == "Resource" or self.type in load().resource_types


@dataclass(frozen=True, slots=True)
class OperationDefinition:
    """What an operation is called with and what it answers."""

    url: str
    code: str
    resource: str
    """The resource type it is on."""
    on_type: bool
    on_instance: bool
    affects_state: bool
    takes: tuple[OperationParameter, ...]
    answers: tuple[OperationParameter, ...]


def read_operations(folder: Path) -> list[OperationDefinition]:
    """The OperationDefinitions of the JSON files of a folder, in the order of their file names.

    Raises :class:`ValueError` with the name of the file that cannot be used: the server does not start with an
    operation whose signature it does not understand.
    """
    return [_read(path) for path in sorted(folder.glob("*.json"))]


def _read(path: Path) -> OperationDefinition:
    try:
        return _definition(decode_object(path.read_bytes()))
    except (FhirError, ValueError) as error:
        message = f"{path} is not an operation that can be offered: {error}"
        raise ValueError(message) from None


def _definition(resource: JsonObject) -> OperationDefinition:
    if resource.get("resourceType") != "OperationDefinition":
        raise ValueError("its resourceType is not OperationDefinition.")
    types = resource.get("resource")
    if not isinstance(types, list) or len(types) != 1 or resource.get("system") is not False:
        raise ValueError("it must be on exactly one resource type, and not on the whole system.")
    return OperationDefinition(
        url=_text(resource, "url"),
        code=_text(resource, "code"),
        resource=str(types[0]),
        on_type=_flag(resource, "type"),
        on_instance=_flag(resource, "instance"),
        affects_state=_flag(resource, "affectsState"),
        takes=tuple(_parameters(resource.get("parameter"), "in")),
        answers=tuple(_parameters(resource.get("parameter"), "out")),
    )


def _parameters(told: Json, use: str) -> list[OperationParameter]:
    listed = [one for one in told if isinstance(one, dict)] if isinstance(told, list) else []
    return [_parameter(one, use) for one in listed if one.get("use") == use]


def _parameter(told: JsonObject, use: str) -> OperationParameter:
    least, most = told.get("min"), told.get("max")
    if not isinstance(least, int) or not isinstance(most, str) or not (most == "*" or most.isdecimal()):
        raise ValueError(f"its parameter {told.get('name')!r} has no min and max.")
    type, parts = told.get("type"), _parameters(told.get("part"), use)
    if (type is None) != bool(parts):
        raise ValueError(f"its parameter {told.get('name')!r} must have either a type or parts.")
    return OperationParameter(
        name=_text(told, "name"),
        min=least,
        max=None if most == "*" else int(most),
        type=type if isinstance(type, str) else None,
        parts=tuple(parts),
    )


def _flag(resource: JsonObject, name: str) -> bool:
    value = resource.get(name)
    if not isinstance(value, bool):
        raise ValueError(f"it has no {name}.")  # noqa: TRY004 - a file that is wrong, as the others are
    return value


def _text(resource: JsonObject, name: str) -> str:
    value = resource.get(name)
    if not isinstance(value, str) or not value:
        raise ValueError(f"it has no {name}.")
    return value

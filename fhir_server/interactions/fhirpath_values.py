"""The value of an operation of FHIRPath Patch, as the element it is meant for is written.

https://hl7.org/fhir/R4/fhirpatch.html#concept

A value is told as ``value[x]``; as parts, where its type has no name (backbone elements) or no ``value[x]`` (extension,
narrative); as ``resource``, where the element holds one. What is in a value is checked with the whole result.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Final

from fhir_server.fhir.joining import some
from fhir_server.fhirpath.model import ANY_RESOURCE
from fhir_server.fhirpath.path import no_element
from fhir_server.fhirpath.refused import Misfit
from fhir_server.interactions.fhirpath_edits import Made, append, copied, repeats, within
from fhir_server.interactions.messages import told

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fhir_server.definitions.tables import Element
    from fhir_server.fhir.json import Json, JsonObject
    from fhir_server.fhirpath.model import Model

PARAMETER: Final = "Parameters.parameter"

_ALSO: Final = frozenset({("date", "dateTime"), ("string", "xhtml")})
"""A date is a dateTime without its time; and of a narrative there is no ``value[x]``."""
_MOST_TYPES: Final = 6
"""Types of a choice that a sentence names."""


def value_of(part: JsonObject, element: Element, model: Model, room: int) -> Made:
    """What a part tells for an element; ``room`` is how deep it may be nested."""
    members = part.keys() - {"id", "name"}
    if members == {"part"}:
        return _of_parts(part["part"], element, model, room)
    if members == {"resource"}:
        return _of_resource(part["resource"], element, model, room)
    names = {name.removeprefix("_") for name in members}
    if len(names) != 1:
        raise Misfit(told("value-once", element=element.path, found=_listed(members) or told("nothing")))
    (name,) = names
    types = model.member(PARAMETER, "value")
    type = types[1].get(name) if types is not None else None
    if type is None:
        raise Misfit(told("no-value-x", name=name[:40]))
    return _of_type(part.get(name), part.get(f"_{name}"), type, element, model, room)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(name[:40] for name in names)[:_MOST_TYPES])


def _of_type(value: Json, about: Json, type: str, element: Element, model: Model, room: int) -> Made:
    code = _meant(type, element, model)
    is_primitive = model.is_primitive(type)
    if (
        (value is None and about is None)
        or (value is not None and not _is_of(value, type, model))
        or (about is not None and not (is_primitive and isinstance(about, dict)))
    ):
        raise Misfit(told("value-not-written-so", element=element.path, type=type))
    return Made(element.json_name(code), copied(value, room), copied(about, room))


def _meant(type: str, element: Element, model: Model) -> str:
    """The type of the element that a value has: its own, or a more general one."""
    codes = [use.code for use in element.types]
    if type in codes:
        return type
    for code in codes:
        if model.is_a(type, code) or (type, code) in _ALSO:
            return code
    raise Misfit(told("value-of-type", element=element.path, types=some(codes, _MOST_TYPES), found=type))


def _is_of(value: Json, type: str, model: Model) -> bool:
    """Whether the JSON is of the kind that the type is written in."""
    if not model.is_primitive(type):
        return isinstance(value, dict)
    if type == "boolean" or isinstance(value, bool):
        return type == "boolean" and isinstance(value, bool)
    if model.is_a(type, "integer"):
        return isinstance(value, int)
    return isinstance(value, (int, Decimal)) if type == "decimal" else isinstance(value, str)


def _of_resource(resource: Json, element: Element, model: Model, room: int) -> Made:
    if all(use.code != ANY_RESOURCE for use in element.types):
        raise Misfit(told("holds-no-resource", element=element.path))
    type = resource.get("resourceType") if isinstance(resource, dict) else None
    if not isinstance(type, str) or type not in model.resources:
        raise Misfit(told("value-no-resource", element=element.path))
    return Made(element.name, copied(resource, room))


def _of_parts(parts: Json, element: Element, model: Model, room: int) -> Made:
    """An element put together from its own elements, each told by a part of its name."""
    type = element.types[0].code
    if len(element.types) > 1 or type == ANY_RESOURCE or model.is_primitive(type):
        raise Misfit(told("not-by-parts", element=element.path))
    if not isinstance(parts, list) or not parts:
        raise Misfit(told("value-without-part", element=element.path))
    made: JsonObject = {}
    for part in parts:
        name = part.get("name") if isinstance(part, dict) else None
        if not isinstance(part, dict) or not isinstance(name, str):
            raise Misfit(told("value-part-without-name", element=element.path))
        member = model.member(type, name)
        if member is None:
            raise Misfit(no_element((type,), name, model))
        below = within(room)
        append(made, member, value_of(part, member[0], model, within(below) if repeats(member[0]) else below))
    return Made(element.name, made)

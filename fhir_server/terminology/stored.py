"""ValueSets and CodeSystems that clients stored, as decoded JSON: the elements that decide which codes are meant.

Unlike the files of `terminology/`, stored resources may say what this server does not evaluate. It is all read here, so
that `expansion.py` can refuse it; modifier extensions and implicit rules are refused on sight.

https://hl7.org/fhir/R4/valueset.html, https://hl7.org/fhir/R4/codesystem.html
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

from fhir_server.fhir.json import Json, JsonObject
from fhir_server.terminology.codes import NotExpandable
from fhir_server.terminology.resources import CodeSystem, Listed


class Filter(msgspec.Struct, frozen=True):
    """A condition on the concepts of a system."""

    property: str
    op: str
    value: str


class Part(msgspec.Struct, frozen=True, rename="camel"):
    """One `include` or `exclude`: what fulfils all that it names."""

    system: str | None = None
    version: str | None = None
    concept: tuple[Listed, ...] | None = None
    filter: tuple[Filter, ...] = ()
    value_set: tuple[str, ...] = ()


class Composition(msgspec.Struct, frozen=True, rename="camel"):
    """What a value set is made of."""

    include: tuple[Part, ...] = ()
    exclude: tuple[Part, ...] = ()
    locked_date: str | None = None
    inactive: bool | None = None


class Entry(msgspec.Struct, frozen=True):
    """A code of an expansion, or a heading over others."""

    system: str | None = None
    code: str | None = None
    display: str = ""
    contains: tuple[Entry, ...] = ()


class Parameter(msgspec.Struct, frozen=True, rename="camel"):
    """What an expansion was made with; only the value `false` is told from others."""

    name: str
    value_boolean: bool | None = None


class Extension(msgspec.Struct, frozen=True, rename="camel"):
    """An extension; only the value `false` is told from others."""

    url: str
    value_boolean: bool | None = None


class Expanded(msgspec.Struct, frozen=True):
    """What somebody expanded a value set to."""

    contains: tuple[Entry, ...] = ()
    total: int | None = None
    offset: int = 0
    parameter: tuple[Parameter, ...] = ()
    extension: tuple[Extension, ...] = ()


class StoredValueSet(msgspec.Struct, frozen=True, tag_field="resourceType", tag="ValueSet"):
    """https://hl7.org/fhir/R4/valueset.html"""

    url: str | None = None
    version: str | None = None
    compose: Composition | None = None
    expansion: Expanded | None = None


Kind = TypeVar("Kind", StoredValueSet, CodeSystem)


def value_set(resource: JsonObject, name: str) -> StoredValueSet:
    """The ValueSet; ``name`` is what a sentence calls it."""
    return _read(resource, name, StoredValueSet)


def code_system(resource: JsonObject, url: str) -> CodeSystem:
    """The CodeSystem, under the URL it was looked up by."""
    return _read({**resource, "url": url}, f"The code system {url}", CodeSystem)


def _read(resource: JsonObject, name: str, kind: type[Kind]) -> Kind:
    if "implicitRules" in resource or _modified(resource):
        raise NotExpandable(f"{name} has a modifier extension or implicit rules, which this server does not know.")
    try:
        return msgspec.convert(resource, kind)
    except msgspec.ValidationError as error:
        raise NotExpandable(f"{name} cannot be read: {error}.") from None


def _modified(value: Json) -> bool:
    """Tell whether anything in it has a modifier extension."""
    parts = [value]
    for part in parts:
        if isinstance(part, dict):
            if "modifierExtension" in part:
                return True
            parts += part.values()
        elif isinstance(part, list):
            parts += part
    return False

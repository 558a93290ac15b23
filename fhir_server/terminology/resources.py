"""What is read of the terminology resources: the elements the server uses, and refusal of those it cannot honour.

https://hl7.org/fhir/R4/terminology-module.html
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec


class Property(msgspec.Struct, frozen=True, rename="camel"):
    """A property of a concept; dates are read, and codes of the same system."""

    code: str
    value_date_time: str | None = None
    value_code: str | None = None


class Defined(msgspec.Struct, frozen=True):
    """A concept of a CodeSystem."""

    code: str
    display: str = ""
    property: tuple[Property, ...] = ()
    concept: tuple[Defined, ...] = ()


class DeclaredProperty(msgspec.Struct, frozen=True):
    """What a CodeSystem says of its properties: the URI tells a meaning that the name may not."""

    code: str
    uri: str | None = None


class Identifier(msgspec.Struct, frozen=True):
    """An Identifier: the OID of a list."""

    system: str = ""
    value: str = ""


class CodeSystem(msgspec.Struct, frozen=True, rename="camel", tag_field="resourceType", tag="CodeSystem"):
    """https://hl7.org/fhir/R4/codesystem.html"""

    url: str
    concept: tuple[Defined, ...] = ()
    identifier: tuple[Identifier, ...] = ()
    case_sensitive: bool | None = None
    version: str | None = None
    content: str = ""
    compositional: bool | None = None
    property: tuple[DeclaredProperty, ...] = ()


class Listed(msgspec.Struct, frozen=True):
    """A concept that a ValueSet names."""

    code: str
    display: str = ""


class Include(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The listed codes of one system. Filters, imports and whole systems are refused, never overlooked."""

    system: str
    concept: tuple[Listed, ...]
    version: str | None = None


class Compose(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """What a ValueSet holds; `exclude` is refused, never overlooked."""

    include: tuple[Include, ...]
    locked_date: str | None = None
    inactive: bool | None = None


class ValueSet(msgspec.Struct, frozen=True, tag_field="resourceType", tag="ValueSet"):
    """https://hl7.org/fhir/R4/valueset.html"""

    url: str
    compose: Compose
    version: str | None = None


class Target(msgspec.Struct, frozen=True):
    """Where a code leads."""

    code: str


class Element(msgspec.Struct, frozen=True):
    """One row of a map."""

    code: str
    target: tuple[Target, ...] = ()


class Group(msgspec.Struct, frozen=True):
    """The rows from one system to one other."""

    source: str
    target: str
    element: tuple[Element, ...]


class ConceptMap(msgspec.Struct, frozen=True, tag_field="resourceType", tag="ConceptMap"):
    """https://hl7.org/fhir/R4/conceptmap.html"""

    url: str
    group: tuple[Group, ...] = ()


class UniqueId(msgspec.Struct, frozen=True):
    """One name of a system."""

    type: str
    value: str


class NamingSystem(msgspec.Struct, frozen=True, rename="camel", tag_field="resourceType", tag="NamingSystem"):
    """https://hl7.org/fhir/R4/namingsystem.html"""

    unique_id: tuple[UniqueId, ...]


TerminologyResource: TypeAlias = CodeSystem | ValueSet | ConceptMap | NamingSystem

_decoder = msgspec.json.Decoder(TerminologyResource)


def read(body: bytes) -> TerminologyResource:
    """One resource; raises :class:`msgspec.DecodeError` with a sentence where it is none of the four."""
    resource: TerminologyResource = _decoder.decode(body)
    return resource

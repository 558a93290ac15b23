"""What is read of the terminology resources, whoever wrote them: our files, HL7, or clients.

All that decides which codes are meant is read, so that what this server does not evaluate can be refused: never are
fewer codes given instead. Modifier extensions and implicit rules are refused on sight.

https://hl7.org/fhir/R4/terminology-module.html
"""

from __future__ import annotations

from decimal import Decimal
from typing import TypeAlias, TypeVar

import msgspec

from fhir_server.fhir.json import Json, JsonObject
from fhir_server.fhir.messages import Told
from fhir_server.terminology.messages import told
from fhir_server.terminology.refused import NotExpandable


class Named(msgspec.Struct, frozen=True):
    """A Coding."""

    system: str | None = None
    version: str | None = None
    code: str | None = None
    display: str | None = None


class Designation(msgspec.Struct, frozen=True):
    """What else a code is called, in which language and for what use."""

    value: str
    language: str | None = None
    use: Named | None = None


class Property(msgspec.Struct, frozen=True, rename="camel"):
    """A property of a concept."""

    code: str
    value_code: str | None = None
    value_coding: Named | None = None
    value_string: str | None = None
    value_integer: int | None = None
    value_boolean: bool | None = None
    value_date_time: str | None = None
    value_decimal: Decimal | int | None = None

    @property
    def text(self) -> str:
        """The value as a filter of a value set writes it."""
        if self.value_boolean is not None:
            return str(self.value_boolean).lower()
        if self.value_coding is not None:
            return self.value_coding.code or ""
        told = (self.value_code, self.value_string, self.value_integer, self.value_date_time, self.value_decimal)
        return next((str(each) for each in told if each is not None), "")


class Defined(msgspec.Struct, frozen=True):
    """A concept of a CodeSystem."""

    code: str
    display: str = ""
    definition: str = ""
    designation: tuple[Designation, ...] = ()
    property: tuple[Property, ...] = ()
    concept: tuple[Defined, ...] = ()


class DeclaredProperty(msgspec.Struct, frozen=True):
    """What a CodeSystem says of its properties: the URI tells a meaning that the name may not."""

    code: str
    uri: str | None = None
    description: str = ""


class DeclaredFilter(msgspec.Struct, frozen=True):
    """A filter that a CodeSystem says it may be asked by."""

    code: str


class Identifier(msgspec.Struct, frozen=True):
    """An Identifier: the OID of a list."""

    system: str = ""
    value: str = ""


class CodeSystem(msgspec.Struct, frozen=True, rename="camel", tag_field="resourceType", tag="CodeSystem"):
    """https://hl7.org/fhir/R4/codesystem.html"""

    url: str
    id: str = ""
    concept: tuple[Defined, ...] = ()
    identifier: tuple[Identifier, ...] = ()
    case_sensitive: bool | None = None
    version: str | None = None
    name: str = ""
    title: str = ""
    language: str | None = None
    content: str = ""
    compositional: bool | None = None
    property: tuple[DeclaredProperty, ...] = ()
    filter: tuple[DeclaredFilter, ...] = ()
    value_set: str | None = None
    """The value set of all its codes, be it published as a resource or not."""
    supplements: str | None = None


class Listed(msgspec.Struct, frozen=True):
    """A concept that a ValueSet names."""

    code: str
    display: str = ""
    designation: tuple[Designation, ...] = ()


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
    designation: tuple[Designation, ...] = ()
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


class ValueSet(msgspec.Struct, frozen=True, tag_field="resourceType", tag="ValueSet"):
    """https://hl7.org/fhir/R4/valueset.html"""

    url: str | None = None
    id: str = ""
    identifier: tuple[Identifier, ...] = ()
    version: str | None = None
    name: str = ""
    title: str = ""
    status: str = ""
    language: str | None = None
    compose: Composition | None = None
    expansion: Expanded | None = None


class DependsOn(msgspec.Struct, frozen=True):
    """What else must be so, or becomes so, when a row is followed."""

    property: str
    value: str
    system: str | None = None
    display: str | None = None


class Target(msgspec.Struct, frozen=True, rename="camel"):
    """Where a code leads."""

    code: str | None = None
    display: str | None = None
    equivalence: str = "equivalent"
    comment: str | None = None
    depends_on: tuple[DependsOn, ...] = ()
    product: tuple[DependsOn, ...] = ()


class Element(msgspec.Struct, frozen=True):
    """One row of a map."""

    code: str | None = None
    display: str | None = None
    target: tuple[Target, ...] = ()


class Unmapped(msgspec.Struct, frozen=True):
    """What is done with a code that has no row."""

    mode: str
    code: str | None = None
    display: str | None = None
    url: str | None = None


class Group(msgspec.Struct, frozen=True, rename="camel"):
    """The rows from one system to one other."""

    source: str | None = None
    target: str | None = None
    source_version: str | None = None
    target_version: str | None = None
    element: tuple[Element, ...] = ()
    unmapped: Unmapped | None = None


class ConceptMap(msgspec.Struct, frozen=True, rename="camel", tag_field="resourceType", tag="ConceptMap"):
    """https://hl7.org/fhir/R4/conceptmap.html"""

    url: str | None = None
    id: str = ""
    version: str | None = None
    source_uri: str | None = None
    source_canonical: str | None = None
    target_uri: str | None = None
    target_canonical: str | None = None
    group: tuple[Group, ...] = ()

    @property
    def source(self) -> str | None:
        """The value set that it maps from."""
        return self.source_uri or self.source_canonical

    @property
    def target(self) -> str | None:
        """The value set that it maps to."""
        return self.target_uri or self.target_canonical


class UniqueId(msgspec.Struct, frozen=True):
    """One name of a system."""

    type: str
    value: str
    preferred: bool = False


class NamingSystem(msgspec.Struct, frozen=True, rename="camel", tag_field="resourceType", tag="NamingSystem"):
    """https://hl7.org/fhir/R4/namingsystem.html"""

    unique_id: tuple[UniqueId, ...]
    name: str = ""


TerminologyResource: TypeAlias = CodeSystem | ValueSet | ConceptMap | NamingSystem

_decoder = msgspec.json.Decoder(TerminologyResource)
_several = msgspec.json.Decoder(tuple[CodeSystem | ValueSet, ...])

Kind = TypeVar("Kind", ValueSet, CodeSystem, ConceptMap, NamingSystem)


def read(body: bytes) -> TerminologyResource:
    """One resource of a file; raises :class:`msgspec.DecodeError` with a sentence where it is none of the four."""
    resource: TerminologyResource = _decoder.decode(body)
    if _modified(msgspec.json.decode(body)):
        raise msgspec.ValidationError("It has a modifier extension or implicit rules, which this server does not know.")
    return resource


def read_several(body: bytes) -> tuple[CodeSystem | ValueSet, ...]:
    """The code systems and value sets of a JSON array."""
    return _several.decode(body)


def value_set(resource: JsonObject, name: Told) -> ValueSet:
    """A ValueSet that was decoded already; ``name`` is what a sentence calls it."""
    return _read(resource, name, ValueSet)


def code_system(resource: JsonObject, url: str) -> CodeSystem:
    """A CodeSystem, under the URL it was looked up by."""
    return _read({**resource, "url": url}, told("the-code-system", url=url), CodeSystem)


def concept_map(resource: JsonObject, name: Told) -> ConceptMap:
    """A ConceptMap."""
    return _read(resource, name, ConceptMap)


def whole(system: CodeSystem) -> ValueSet:
    """The value set of all codes of a system, under the URL that this names for it.

    https://hl7.org/fhir/R4/codesystem-definitions.html#CodeSystem.valueSet
    """
    return ValueSet(
        system.value_set,
        version=system.version,
        name=system.name,
        title=system.title,
        status="active",
        language=system.language,
        compose=Composition((Part(system.url),)),
    )


def naming_system(resource: JsonObject, name: Told) -> NamingSystem:
    """A NamingSystem."""
    return _read(resource, name, NamingSystem)


def _read(resource: JsonObject, name: Told, kind: type[Kind]) -> Kind:
    if _modified(resource):
        raise NotExpandable(told("modified", name=name))
    try:
        return msgspec.convert(resource, kind)
    except msgspec.ValidationError as error:
        raise NotExpandable(told("unreadable", name=name, why=error)) from None


def _modified(value: Json) -> bool:
    """Tell whether anything in it has a modifier extension, or it as a whole has implicit rules."""
    if isinstance(value, dict) and "implicitRules" in value:
        return True
    parts = [value]
    for part in parts:
        if isinstance(part, dict):
            if "modifierExtension" in part:
                return True
            parts += part.values()
        elif isinstance(part, list):
            parts += part
    return False

"""What reading and writing XML must know of a structure, made from the tables.

https://hl7.org/fhir/R4/xml.html

The name of an element in XML is its name in JSON (``valueQuantity``), and XML's order is the order of the tables.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from fhir_server.definitions.tables import Definitions, Element, Structure

SCHEMA_LOCATION = "{http://www.w3.org/2001/XMLSchema-instance}schemaLocation"
"""An attribute that many published files have on their resource. The standard forbids it; it is read over."""


class Form(Enum):
    """How an element is written in XML."""

    ATTRIBUTE = 0
    """The ids of elements, and the URL of an extension: everything else is an element."""
    PRIMITIVE = 1
    """An element whose attribute ``value`` is the value; id and extensions are about it (``_birthDate`` in JSON)."""
    OBJECT = 2
    RESOURCE = 3
    """An element that holds one element, named after the type of the resource."""
    XHTML = 4


IN_TAG = -1
"""The position of an attribute, which stands before all elements."""


@dataclass(frozen=True, slots=True)
class Member:
    """One name that an object may have: an element, or one type of a choice."""

    name: str
    position: int
    """Its place in the order. All types of a choice have the same."""
    segment: str
    """Its name in a FHIRPath expression: ``value`` for ``valueQuantity``."""
    choice: str
    """``value[x]``, where it is one type of a choice."""
    repeats: bool
    form: Form
    type: str
    is_bare: bool
    """A primitive that has neither id nor extensions: the id of a resource."""


def members_of(definitions: Definitions, structure: Structure) -> Iterator[Member]:
    """All members of a structure, in XML's order."""
    for position, element in enumerate(structure.elements):
        for use in element.types:
            form = _form(definitions, structure, element, use.code)
            yield Member(
                name=element.json_name(use.code),
                position=IN_TAG if form is Form.ATTRIBUTE else position,
                segment=element.name,
                choice=f"{element.name}[x]" if element.choice else "",
                repeats=element.max != 1,
                form=form,
                type=use.code,
                is_bare=structure.kind == "resource" and element.name == "id",
            )


def _form(definitions: Definitions, structure: Structure, element: Element, type: str) -> Form:
    if structure.kind != "resource" and (element.name == "id" or element.path == "Extension.url"):
        return Form.ATTRIBUTE
    if type == "Resource":
        return Form.RESOURCE
    if type == "xhtml":
        return Form.XHTML
    return Form.PRIMITIVE if definitions.structures[type].kind == "primitive-type" else Form.OBJECT

"""Compartments: what lies around a patient, an encounter, a practitioner, a device or a related person.

https://hl7.org/fhir/R4/compartmentdefinition.html

Which search parameters put a resource of which type in a compartment is the standard's table; that a resource is *in* a
compartment gives nobody a right to see it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from fhir_server.definitions.tables import Definitions
from fhir_server.fhir.reference import LocalReference
from fhir_server.search.parameters import Parameters
from fhir_server.search.predicate import Field, Predicate, all_of, any_of, one_of

COMPARTMENTS: Final = ("Device", "Encounter", "Patient", "Practitioner", "RelatedPerson")
"""The types that have one."""

ITSELF: Final = "{def}"
"""Stands in the table for the resource that the compartment is about."""

_SEPARATE: Final = frozenset({"AuditEvent"})
"""Stored apart from all others, so never among them: asked by its own type alone."""


def members(compartment: str, definitions: Definitions) -> tuple[str, ...]:
    """The types that are in a compartment, and its own; traces are asked by their own type alone."""
    table = definitions.compartments[compartment]
    return tuple(
        type
        for type in definitions.resource_types
        if (type == compartment or table.get(type)) and type not in _SEPARATE
    )


def within(
    compartment: str, id: str, types: Sequence[str], definitions: Definitions, parameters: Parameters
) -> Predicate:
    """Entries of these types that are in the compartment of this resource, which is in its own."""
    table: Mapping[str, tuple[str, ...]] = definitions.compartments[compartment]
    about = LocalReference(compartment, id)
    found: list[Predicate] = []
    for type in types:
        ways = [
            parameters.refers_to(type, code, [about])
            for code in table.get(type, ())
            if code != ITSELF and (known := parameters.get(type, code)) is not None and known.type == "reference"
        ]
        if type == compartment:
            ways.append(one_of(Field.ID, str(about)))
        found.append(all_of([one_of(Field.TYPE, type), any_of(ways)]))
    return any_of(found)

"""One resource of the demonstration, with what its body does not tell."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING, Final
from uuid import NAMESPACE_URL, uuid5

if TYPE_CHECKING:
    from datetime import datetime

    from fhir_server.fhir.json import JsonObject

FR_CORE: Final = "https://hl7.fr/ig/fhir/core/"
IDENTIFIER_TYPES: Final = FR_CORE + "CodeSystem/fr-core-cs-v2-0203"
NOS: Final = "https://mos.esante.gouv.fr/NOS/"


@dataclass(frozen=True, slots=True)
class DemoRecord:
    """A resource, and who deposited it: keys as in `record.actors` (``rpps|…``, ``ins|…``, ``finess|…``)."""

    resource: JsonObject
    deposit_by: str | None = None
    deposit_organisation: str | None = None


def nos(name: str) -> str:
    """The URL of a list of the NOS: ``TRE_R02-SecteurActivite``."""
    return f"{NOS}{name}/FHIR/{name.replace('_', '-', 1)}"


def concept(system: str, code: str, display: str) -> JsonObject:
    """A CodeableConcept of one coding."""
    return {"coding": [{"system": system, "code": code, "display": display}]}


def identifier(type: str, system: str, value: str) -> JsonObject:
    """An official Identifier of a type of FR Core."""
    return {
        "use": "official",
        "type": {"coding": [{"system": IDENTIFIER_TYPES, "code": type}]},
        "system": system,
        "value": value,
    }


def at(moment: datetime) -> str:
    """A dateTime to the second, in UTC."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def uuid(name: str) -> str:
    """The same name, the same ``urn:uuid``: made twice, the records are equal."""
    return f"urn:uuid:{uuid5(NAMESPACE_URL, f'https://fhir.dmp-ens.example/demo/{name}')}"

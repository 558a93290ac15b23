"""The codes of the AuditEvents: which interaction is told how, by the tables of https://profiles.ihe.net/ITI/BALP/"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

import msgspec

from fhir_server.fhir.json import JsonObject

BALP: Final = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/"
RESTFUL_INTERACTION: Final = "http://hl7.org/fhir/restful-interaction"
DCM: Final = "http://dicom.nema.org/resources/ontology/DCM"
_PARTICIPATION: Final = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
_ENTITY_TYPE: Final = "http://terminology.hl7.org/CodeSystem/audit-entity-type"
_OBJECT_ROLE: Final = "http://terminology.hl7.org/CodeSystem/object-role"
_RESOURCE_TYPES: Final = "http://hl7.org/fhir/resource-types"


@dataclass(frozen=True, slots=True)
class Coding:
    """https://hl7.org/fhir/R4/datatypes.html#Coding"""

    system: str
    code: str
    display: str | None = None
    bytes: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Written once, not for every event."""
        object.__setattr__(self, "bytes", msgspec.json.encode(self.json()))

    def json(self) -> JsonObject:
        """As FHIR writes it."""
        written: JsonObject = {"system": self.system, "code": self.code}
        if self.display is not None:
            written["display"] = self.display
        return written


@dataclass(frozen=True, slots=True)
class Role:
    """What kind of thing an entity is, and what part it has in the event."""

    type: Coding
    role: Coding
    bytes: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Written once, not for every event."""
        object.__setattr__(self, "bytes", b'"type":%b,"role":%b' % (self.type.bytes, self.role.bytes))


@dataclass(frozen=True, slots=True)
class Kind:
    """How an interaction is told: the action, the BALP profile, and what client, server and user are in it."""

    action: str
    profile: str | None
    client: Coding
    server: Coding
    user: Coding


REST: Final = Coding("http://terminology.hl7.org/CodeSystem/audit-event-type", "rest", "Restful Operation")
EMERGENCY_STARTED: Final = Coding(DCM, "110127", "Emergency Override Started")
SOURCE_TYPE: Final = Coding("http://terminology.hl7.org/CodeSystem/security-source-type", "4", "Application Server")
PROVIDER: Final = Coding("http://terminology.hl7.org/CodeSystem/v3-RoleClass", "PROV", "healthcare provider")
REQUEST_ID: Final = Coding("https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType", "XrequestId")

PATIENT: Final = Role(Coding(_ENTITY_TYPE, "1", "Person"), Coding(_OBJECT_ROLE, "1", "Patient"))
DATA: Final = Role(Coding(_ENTITY_TYPE, "2", "System Object"), Coding(_OBJECT_ROLE, "4", "Domain Resource"))
QUERY: Final = Role(Coding(_ENTITY_TYPE, "2", "System Object"), Coding(_OBJECT_ROLE, "24", "Query"))
"""Of a search. BALP knows the object of an event by its type, and there is one."""
OTHER: Final = Coding(_ENTITY_TYPE, "4", "Other")
ASKED: Final = Role(OTHER, Coding(_OBJECT_ROLE, "24", "Query"))
"""The query of an event whose object is what it asked for."""


def beside(type: str) -> Role:
    """A resource that is not the object of the event: of its own type."""
    return Role(Coding(_RESOURCE_TYPES, type), DATA.role)


_SOURCE: Final = Coding(DCM, "110153", "Source Role ID")
_DESTINATION: Final = Coding(DCM, "110152", "Destination Role ID")
_APPLICATION: Final = Coding(DCM, "110150", "Application")
_CUSTODIAN: Final = Coding(
    "http://terminology.hl7.org/CodeSystem/provenance-participant-type", "custodian", "Custodian"
)
_RECIPIENT: Final = Coding(_PARTICIPATION, "IRCP", "information recipient")
_AUTHOR: Final = Coding(_PARTICIPATION, "AUT", "author (originator)")

_READ: Final = Kind("R", "Read", _DESTINATION, _SOURCE, _RECIPIENT)
_OTHER_READ: Final = Kind("R", None, _DESTINATION, _SOURCE, _RECIPIENT)
_SEARCH: Final = Kind("E", "Query", _SOURCE, _DESTINATION, _RECIPIENT)
_EXECUTE: Final = Kind("E", None, _SOURCE, _DESTINATION, _RECIPIENT)
_CREATE: Final = Kind("C", "Create", _SOURCE, _DESTINATION, _AUTHOR)
_UPDATE: Final = Kind("U", "Update", _SOURCE, _DESTINATION, _AUTHOR)
_DELETE: Final = Kind("D", "Delete", _APPLICATION, _CUSTODIAN, _AUTHOR)

KINDS: Final[Mapping[str, Kind]] = MappingProxyType(
    {
        "read": _READ,
        "vread": _READ,
        "history": _OTHER_READ,
        "history-instance": _OTHER_READ,
        "history-type": _OTHER_READ,
        "history-system": _OTHER_READ,
        "capabilities": _OTHER_READ,
        "search": _SEARCH,
        "search-type": _SEARCH,
        "search-system": _SEARCH,
        "create": _CREATE,
        "update": _UPDATE,
        "patch": _UPDATE,
        "delete": _DELETE,
        "batch": _EXECUTE,
        "transaction": _EXECUTE,
        "operation": _EXECUTE,
    }
)
"""By the codes of https://hl7.org/fhir/R4/valueset-type-restful-interaction.html. BALP has no profile for some."""

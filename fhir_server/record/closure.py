"""What a Patient says of the end of his record: closed since when, to be erased, deceased (R-72..R-75).

`dmp-fermeture` is the complex extension of the DMP (dateFermeture, motifFermeture, raisonFermeture). The request for
erasure has no published form, so it is an extension of ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from fhir_server.fhir import date

if TYPE_CHECKING:
    from datetime import tzinfo

    from fhir_server.fhir.json import Json, JsonObject

DMP_FERMETURE: Final = "https://interop.esante.gouv.fr/ig/fhir/dmp/StructureDefinition/dmp-fermeture"
SUPPRESSION_DEMANDEE: Final = "https://fhir.dmp-ens.example/StructureDefinition/suppression-demandee"
CLOSING: Final = frozenset({DMP_FERMETURE, SUPPRESSION_DEMANDEE})
"""The extensions by which a holder closes his record, or asks for its erasure (R-72, R-73)."""
YEARS_KEPT: Final = 10
"""How long a closed record is kept (L1111-18, R1111-36)."""
MONTHS_TO_ERASE: Final = 3
"""Within how many months an express request for erasure is honoured (R1111-36)."""


@dataclass(frozen=True, slots=True)
class Closure:
    """Since when a record is closed and from when on it is erased; moments in microseconds since 1970."""

    closed: int | None = None
    erased_from: int = date.MAX
    deceased: bool = False


NOT_CLOSED: Final = Closure()


def read_closure(patient: JsonObject, zone: tzinfo) -> Closure:
    """What the Patient tells; ``zone`` is that of dates without a time. Whether it is closed, ``active`` says."""
    closed = erased_from = None
    for extension in _extensions(patient):
        if extension.get("url") == DMP_FERMETURE:
            days = (one.get("valueDate") for one in _extensions(extension) if one.get("url") == "dateFermeture")
            closed = _start(next(days, None), zone)
        elif extension.get("url") == SUPPRESSION_DEMANDEE:
            asked = _start(extension.get("valueDate"), zone)
            erased_from = date.months_after(asked, MONTHS_TO_ERASE) if asked is not None else None
    ends = [date.years_after(closed, YEARS_KEPT)] if closed is not None else []
    ends += [erased_from] if erased_from is not None else []
    deceased = patient.get("deceasedBoolean") is True or "deceasedDateTime" in patient
    return Closure(closed, min(ends, default=date.MAX), deceased)


def closing_days(patient: JsonObject) -> dict[str, Json]:
    """By extension, the day on which the record was closed, or its erasure asked for, as it is written."""
    days: dict[str, Json] = {}
    for extension in _extensions(patient):
        if extension.get("url") == DMP_FERMETURE:
            found = [one.get("valueDate") for one in _extensions(extension) if one.get("url") == "dateFermeture"]
            days[DMP_FERMETURE] = found[0] if len(found) == 1 else (found or None)
        elif extension.get("url") == SUPPRESSION_DEMANDEE:
            days[SUPPRESSION_DEMANDEE] = extension.get("valueDate")
    return days


def _extensions(element: JsonObject) -> list[JsonObject]:
    extensions = element.get("extension")
    return [one for one in extensions if isinstance(one, dict)] if isinstance(extensions, list) else []


def _start(text: Json, zone: tzinfo) -> int | None:
    interval = date.interval(text) if isinstance(text, str) else None
    return date.bound(str(text), interval, zone, end=False) if interval is not None else None

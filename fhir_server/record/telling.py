"""Which resources tell the facts of a record, and what each of them tells; the one place that knows.

The write of a resource, the seed of the demonstration and the rebuilding of all facts go through it alike.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fhir_server.fhir.errors import Unprocessable
from fhir_server.record.consents import policy_of, read_consent
from fhir_server.record.facts import must_be_single, with_consent, with_guardian, with_patient, with_team

if TYPE_CHECKING:
    from datetime import timedelta, tzinfo

    from fhir_server.fhir.json import JsonObject
    from fhir_server.record.facts import Document

TELLING: Final = frozenset({"Patient", "RelatedPerson", "CareTeam", "Consent"})
"""The types that tell facts."""


def tells(type: str, resource: JsonObject) -> bool:
    """Whether this resource tells facts: of Consents, those of our policies alone."""
    return type in TELLING and (type != "Consent" or policy_of(resource) is not None)


def with_resource(
    document: Document,
    type: str,
    id: str,
    resource: JsonObject | None,
    *,
    granted: int,
    zone: tzinfo,
    duration: timedelta,
    checked: bool = True,
) -> Document:
    """The facts after this resource was written at ``granted``, or deleted (nothing).

    ``zone`` is that of dates without a time, ``duration`` how long an authorisation without an end lasts. Unless it is
    ``checked``, a choice made twice is taken as it is: what was stored once is never lost.

    Raises:
        Unprocessable: the Consent is not of a supported shape.
        Conflict: it contradicts another of the record.
    """
    if type == "Patient":
        return with_patient(document, resource, zone=zone)
    if type == "RelatedPerson":
        return with_guardian(document, id, resource, zone=zone)
    if type == "CareTeam":
        return with_team(document, id, resource, zone=zone)
    if type != "Consent" or resource is None or policy_of(resource) is None:
        return document
    fact = read_consent(resource, granted=granted, zone=zone, duration=duration)
    if isinstance(fact, list):
        raise Unprocessable(issues=tuple(fact))
    if checked:
        must_be_single(document, fact)
    return with_consent(document, fact)

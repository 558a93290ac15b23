"""ITI-65, Provide Document Bundle: what a transaction must be that shares documents, and the Patient it names.

https://profiles.ihe.net/ITI/MHD/ITI-65.html · ADR 0032
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fhir_server.fhir.errors import Unprocessable
from fhir_server.fhir.outcome import IssueType, fails
from fhir_server.identity.requester import Kind, Realm
from fhir_server.interactions.messages import told
from fhir_server.interactions.prepare import ins_of
from fhir_server.record.actors import identifier_key
from fhir_server.record.facts import UNKNOWN_RECORD
from fhir_server.validation.sharing.bundle import Provided, issues_of_bundle, level_of, provide_of
from fhir_server.validation.sharing.profiles import Profile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fhir_server.fhir.json import JsonObject
    from fhir_server.interactions.entries import Call
    from fhir_server.interactions.exchange import Exchange


@dataclass(frozen=True, slots=True)
class Provision:
    """What a transaction that shares documents asks of its entries, by their positions."""

    levels: Mapping[int, Profile] = field(default_factory=dict)
    """What they are at the least."""
    patients: Mapping[int, JsonObject] = field(default_factory=dict)
    """Patients that are there to be referred to, and are not created."""

    def must_be_of_one(self, records: Mapping[int, str | None]) -> None:
        """Raise 422 unless what is submitted is about one patient; ``records`` are those the entries belong to."""
        first: dict[str, int] = {}
        for position in sorted({*self.levels, *self.patients} & records.keys()):
            record = records[position]
            if record is not None:
                first.setdefault(record, position)
        if len(first) > 1:
            listed = ", ".join(f"Bundle.entry[{position}]" for position in first.values())
            raise Unprocessable(
                told("different-patients", entries=listed),
                expression=tuple(f"Bundle.entry[{position}].resource.subject" for position in first.values()),
                code=IssueType.BUSINESS_RULE,
            )


def provision_of(exchange: Exchange, bundle: JsonObject, calls: Sequence[Call]) -> Provision:
    """Look at a transaction as ITI-65, if it is one; raise 422 with everything that is wrong with the Bundle."""
    entries = [_provided(bundle, position, call) for position, call in enumerate(calls)]
    is_publisher = exchange.requester.kind in (Kind.ORGANISATION, Kind.PROFESSIONAL, Kind.FEEDER)
    is_care = exchange.requester.realm is Realm.REEL
    provide = provide_of(bundle, entries, is_publisher=is_publisher, is_care=is_care)
    if provide is None:
        return Provision()
    found = issues_of_bundle(bundle, entries, provide)
    if fails(found):
        raise Unprocessable(issues=tuple(found))
    levels = {one.position: level for one in entries if (level := level_of(one, provide)) is not None}
    patients = {
        one.position: one.resource
        for one in entries
        if one.type == "Patient" and one.method == "POST" and one.resource is not None and not exchange.is_conformance
    }
    return Provision(levels, patients)


def _provided(bundle: JsonObject, position: int, call: Call) -> Provided:
    entries = bundle["entry"]
    entry = entries[position] if isinstance(entries, list) else None
    resource = entry.get("resource") if isinstance(entry, dict) else None
    type = call.url.partition("?")[0].strip("/").partition("/")[0]
    return Provided(
        position,
        call.method,
        type if type[:1].isupper() else "",
        call.full_url,
        resource if isinstance(resource, dict) else None,
    )


async def patient_named(exchange: Exchange, patient: JsonObject) -> str:
    """The id of the Patient that a Bundle carries to be referred to, found by its INS; 422 when it is not known here.

    Who publishes may know whether there is a record (access: 403 or 404); nothing of the Patient sent is stored.
    """
    realm, identifiers = exchange.requester.realm, patient.get("identifier")
    for identifier in identifiers if isinstance(identifiers, list) else []:
        key = identifier_key(identifier)
        if key is None or not isinstance(identifier, dict) or identifier.get("system") not in ins_of(realm):
            continue
        records = await exchange.server.internal.records_of_person(key, realm.value)
        if len(records) == 1:
            return records[0]
    raise Unprocessable(UNKNOWN_RECORD, expression=("Patient.identifier",), code=IssueType.NOT_FOUND)

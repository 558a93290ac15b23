"""Puts the records into the server's database in bulk, in the form in which writes by clients would have left them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from benchmarks import records
from fhir_server.app import utc_now
from fhir_server.declared import ROOT, parameters_of
from fhir_server.definitions.load import load
from fhir_server.definitions.profiles import read_search_parameters
from fhir_server.fhir import json
from fhir_server.record.facts import new_record
from fhir_server.record.telling import with_resource
from fhir_server.store.connection import connect, database
from fhir_server.store.document import Deposit, bucket, document, stamp
from fhir_server.store.internal import Internal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fhir_server.fhir.json import JsonObject
    from fhir_server.search.parameters import Parameters
    from fhir_server.store.connection import Database, Document

REALM: Final = "essai"
_AT_ONCE: Final = 20
"""Records of one insert."""


@dataclass(frozen=True, slots=True)
class Seeded:
    """What was put there."""

    patients: list[str]
    """The ids of the Patients."""
    documents: list[list[str]]
    """The ids of the documents of each."""
    ended: int
    """Whatever is younger was written by a measurement."""


@dataclass(frozen=True, slots=True)
class Storing:
    """Makes stored forms."""

    parameters: Parameters
    key: bytes
    at: int

    @classmethod
    async def of(cls, held: Database, base_url: str) -> Storing:
        """As the server of this database would make them now."""
        own = read_search_parameters(ROOT / "profiles" / "SearchParameter")
        return cls(parameters_of(load(), own, base_url), await Internal(held).key("routing"), utc_now())

    def document(self, resource: JsonObject, id: str, record: str | None, by: str) -> Document:
        """The stored form of a resource, in a record or in none."""
        told, body = stamp(json.encode(resource), resource, id=id, version=1, at=self.at)
        return document(
            told,
            body,
            parameters=self.parameters,
            version=1,
            at=self.at,
            realm=REALM,
            deposit=Deposit(by, None, self.at, secret=False),
            bucket=bucket(self.key, record or id),
        )

    def ids(self, person: records.Person) -> list[str]:
        """The ids of the documents of a record."""
        head = f"{bucket(self.key, person.id):04x}"
        return [f"{head}{records.stable(f'{person.number} {one}')[:28]}" for one in range(records.DOCUMENTS)]


async def seed(uri: str, base_url: str, patients: int) -> Seeded:
    """Add so many records to the database of a server."""
    client = connect(uri)
    held = database(client, "fhir")
    storing = await Storing.of(held, base_url)
    seeded = Seeded([], [], storing.at)
    resources: list[Document] = []
    facts: list[Document] = []
    for number in range(patients):
        person = records.Person(number)
        ids = storing.ids(person)
        seeded.patients.append(person.id)
        seeded.documents.append(ids)
        resources += of_record(storing, person, ids)
        facts.append(facts_of(person, storing.at))
        if len(facts) == _AT_ONCE or number == patients - 1:
            await held["resources"].insert_many(resources, ordered=False)
            await held["records"].insert_many(facts, ordered=False)
            resources, facts = [], []
    await client.close()
    return seeded


def of_record(
    storing: Storing, person: records.Person, ids: list[str], authors: Sequence[JsonObject] = ()
) -> list[Document]:
    """The Patient, the Consents and the documents; ``authors`` are one more of each document."""
    own = f"ins|{person.ins}"
    found = [storing.document(records.patient(person), person.id, person.id, own)]
    found += [storing.document(one, str(one["id"]), person.id, own) for one in records.consents(person)]
    for number, id in enumerate(ids):
        written = records.document(person, number)
        if authors:
            written["author"] = [{"reference": "#auteur"}, authors[number]]
        found.append(storing.document(written, id, person.id, "finess|990000001"))
    return found


def facts_of(person: records.Person, at: int) -> Document:
    """The facts of a record."""
    told = new_record(person.id, REALM)
    for resource in (records.patient(person), *records.consents(person)):
        told = with_resource(
            told,
            str(resource["resourceType"]),
            str(resource["id"]),
            resource,
            granted=at,
            zone=ZoneInfo("Europe/Paris"),
            duration=timedelta(days=365),
        )
    return {**told, "rev": 1}

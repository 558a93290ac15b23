"""What the measurements of search have beside the documents: a directory, and what was observed.

Each record has ten Observations of blood pressure, and each of its documents names an author in the directory too,
which has as many Practitioners as there are patients. The same every time.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any, Final

from benchmarks import records
from benchmarks.records import Person, stable
from benchmarks.seeding import Storing, facts_of, of_record
from fhir_server.cli.demo_records.documents import LOINC
from fhir_server.cli.demo_records.record import at, concept
from fhir_server.record.actors import RPPS
from fhir_server.store.connection import connect, database

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from fhir_server.fhir.json import JsonObject
    from fhir_server.store.connection import Document

OBSERVATIONS: Final = 10
"""In each record."""
UCUM: Final = "http://unitsofmeasure.org"
SYSTOLIC: Final = "8480-6"
DIASTOLIC: Final = "8462-4"
RARE: Final = "Zabransky"
"""The name of three practitioners."""
FAMILIES: Final = (
    "Martin Bernard Thomas Petit Robert Richard Durand Dubois Moreau Laurent Simon Michel Lefèvre Leroy Roux David "
    "Bertrand Morel Fournier Girard Bonnet Dupont Lambert Fontaine Rousseau Vincent Muller Faure Mercier Blanc Guérin"
).split()

_NOW: Final = datetime(2026, 1, 1, 8, tzinfo=UTC)
_AT_ONCE: Final = 500
_PROCESSES: Final = 2
_BY: Final = "finess|990000001"


@dataclass(frozen=True, slots=True)
class World:
    """What was put there."""

    people: list[Person]
    authors: dict[str, list[str]]
    """By patient, the families of who wrote the documents."""


def seed(uri: str, base_url: str, patients: int) -> World:
    """Add so many records and as many practitioners to the database of a server."""
    with ProcessPoolExecutor(_PROCESSES, get_context("spawn")) as processes:
        parts = [range(first, patients, _PROCESSES) for first in range(_PROCESSES)]
        done = [processes.submit(_seed_part, uri, base_url, part, patients) for part in parts]
        for one in done:
            one.result()
    people = [Person(number) for number in range(patients)]
    return World(people, {one.id: [family(writer) for writer in _writers(one, patients)] for one in people})


def _seed_part(uri: str, base_url: str, numbers: range, patients: int) -> None:
    asyncio.run(_store(uri, base_url, numbers, patients))


async def _store(uri: str, base_url: str, numbers: range, patients: int) -> None:
    client = connect(uri)
    held = database(client, "fhir")
    storing = await Storing.of(held, base_url)
    documents = _everything(storing, numbers, patients)
    while batch := list(islice(documents, _AT_ONCE)):
        await held["resources"].insert_many(batch, ordered=False)
    facts = (facts_of(Person(number), storing.at) for number in numbers)
    while some := list(islice(facts, _AT_ONCE)):
        await held["records"].insert_many(some, ordered=False)
    await client.close()


def _everything(storing: Storing, numbers: range, patients: int) -> Iterator[Document]:
    for number in numbers:
        yield storing.document(practitioner(number), practitioner_id(number), None, _BY)
        person = Person(number)
        yield from of_record(storing, person, storing.ids(person), _written(_writers(person, patients)))
        for place in range(OBSERVATIONS):
            id = stable(f"observation {number} {place}")[:32]
            yield storing.document(observation(person, place), id, person.id, _BY)


def _writers(person: Person, patients: int) -> list[int]:
    return [(person.number * 7 + place * 13) % patients for place in range(records.DOCUMENTS)]


def _written(writers: Iterable[int]) -> list[dict[str, Any]]:
    """Who wrote the documents of a record, beside the author contained in each."""
    return [{"reference": f"Practitioner/{practitioner_id(writer)}"} for writer in writers]


def practitioner_id(number: int) -> str:
    """The id of a Practitioner of the directory."""
    return stable(f"practitioner {number}")[:32]


def family(number: int) -> str:
    """His name."""
    return RARE if number in (100, 200, 300) else FAMILIES[number % len(FAMILIES)]


def practitioner(number: int) -> JsonObject:
    """A Practitioner of the directory."""
    return {
        "resourceType": "Practitioner",
        "id": practitioner_id(number),
        "identifier": [{"system": RPPS, "value": f"8991{number:07d}"}],
        "active": True,
        "name": [{"family": family(number), "given": [FAMILIES[number * 3 % len(FAMILIES)]]}],
    }


def observation(person: Person, number: int) -> JsonObject:
    """A blood pressure; every fifth is high."""
    high = (person.number + number) % 5 == 0
    measured = _NOW - timedelta(days=30 * number, minutes=person.number % 600)
    parts = [(SYSTOLIC, 150 + number if high else 110 + number), (DIASTOLIC, 70 + number)]
    return {
        "resourceType": "Observation",
        "status": "final",
        "category": [
            concept("http://terminology.hl7.org/CodeSystem/observation-category", "vital-signs", "Vital Signs")
        ],
        "code": concept(LOINC, SYSTOLIC, "Pression artérielle systolique"),
        "subject": {"reference": f"Patient/{person.id}"},
        "effectiveDateTime": at(measured),
        "valueQuantity": {"value": parts[0][1], "unit": "mmHg", "system": UCUM, "code": "mm[Hg]"},
        "component": [
            {
                "code": concept(LOINC, code, "Pression"),
                "valueQuantity": {"value": value, "unit": "mmHg", "system": UCUM, "code": "mm[Hg]"},
            }
            for code, value in parts
        ],
    }

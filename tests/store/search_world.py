"""Enough resources for a plan to matter: 200,000 of them, skewed and uniform, the same every time.

Each is made of one of a few hundred templates. A template is stored as the server stores it; of each copy only the id,
the record, what :data:`MARK` stands for, and its place in time are its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from random import Random
from typing import TYPE_CHECKING, Any, Final

from bson.binary import Binary
from pymongo import WriteConcern

from fhir_server.fhir import json
from fhir_server.fhir.date import MAX, MIN, microseconds
from fhir_server.fhir.json import Json, JsonObject
from fhir_server.store import indexes
from fhir_server.store.document import Deposit, Document, document, stamp
from tests import searching

if TYPE_CHECKING:
    from fhir_server.store.connection import Database

PARAMETERS: Final = searching.PARAMETERS
NOW: Final = datetime(2026, 6, 1, 12, tzinfo=UTC)
CONTEXT: Final = replace(searching.CONTEXT, now=NOW)

PATIENTS: Final = 4_000
"""Records, each of about fifty resources."""
LARGE: Final = "p0"
"""The record that holds :data:`IN_LARGE` Observations more."""
IN_LARGE: Final = 3_000
PRACTITIONERS: Final = 10_000
ORGANIZATIONS: Final = 1_000
VALUE_SETS: Final = 1_000
COUNTS: Final = {
    "DocumentReference": 60_000,
    "Observation": 80_000,
    "Encounter": 20_000,
    "Condition": 16_000,
    "RiskAssessment": 4_000,
    "Appointment": 4_000,
    "Group": 400,
}
"""How many there are of each type in the records, beside the Patients."""

LOINC, UCUM, RPPS, INS = (
    "http://loinc.org",
    "http://unitsofmeasure.org",
    "https://rpps.esante.gouv.fr",
    "urn:oid:1.2.250.1.213.1.4.10",
)
TAGS: Final = "https://serveur.example/tags"
MARK: Final = "M--M"
"""In a template, the id of each copy."""
OTHER: Final = "M--P"
"""In a template, before a number: the records of each copy."""
YEARS: Final = 10
"""Dates lie within so many years before :data:`NOW`."""

_DEPOSIT: Final = Deposit("rpps|89900000002", "finess|990000001", microseconds(NOW), secret=False)
_AT_ONCE: Final = 1_000
_WRITERS: Final = 2


def coded(system: str, code: str, display: str = "") -> JsonObject:
    """A CodeableConcept."""
    return {"coding": [{"system": system, "code": code, **({"display": display} if display else {})}]}


def about(number: int = 0) -> JsonObject:
    """A reference to the first Patient of a copy, the second, …"""
    return {"reference": f"Patient/{OTHER}{number}"}


def day(number: int) -> str:
    """So many days before now."""
    return f"{NOW - timedelta(days=number):%Y-%m-%d}"


def moment(number: float) -> str:
    """So many days before now, to the second."""
    return f"{NOW - timedelta(days=number):%Y-%m-%dT%H:%M:%SZ}"


@dataclass(slots=True)
class Template:
    """A resource as it is stored, to be copied."""

    stored: Document
    marked: list[int] = field(init=False)
    """Places of the terms that are each copy's own."""

    def __post_init__(self) -> None:
        """Find them."""
        own = (MARK, f"Patient/{OTHER}")
        self.marked = [at for at, term in enumerate(self.stored["ix"]["s"]) if any(one in term for one in own)]

    @classmethod
    def of(cls, resource: JsonObject) -> Template:
        """As the server would store it, but for the body, which no plan looks at."""
        told, body = stamp(json.encode(resource), resource, id=MARK, version=1, at=microseconds(NOW))
        made = document(
            told,
            body,
            parameters=PARAMETERS,
            version=1,
            at=microseconds(NOW),
            realm="essai",
            deposit=_DEPOSIT,
            bucket=0,
        )
        return cls({**made, "body": Binary(b"{}")})

    def copy(self, id: str, records: Sequence[str], at: int, shift: int = 0) -> Document:
        """One more such resource, its dates moved by so many microseconds."""
        stored, index = self.stored, self.stored["ix"]
        terms = index["s"]
        if self.marked:
            terms = list(terms)
            for place in self.marked:
                terms[place] = _renamed(terms[place], id, records)
        ranges = [_moved(one, shift) for one in index["r"]] if shift else index["r"]
        return {
            **stored,
            "_id": f"{stored['rt']}/{id}",
            "record": records[0] if records else None,
            **({"also": list(records[1:])} if len(records) > 1 else {}),
            "at": at,
            "on": stored["on"] + shift if stored["on"] != MIN else MIN,
            "ix": {**index, "s": terms, "r": ranges},
        }


def _renamed(term: str, id: str, records: Sequence[str]) -> str:
    head, other, number = term.partition(f"Patient/{OTHER}")
    return f"{head}Patient/{records[int(number)]}" if other else term.replace(MARK, id)


def _moved(one: dict[str, Any], shift: int) -> dict[str, Any]:
    ends = {end: one[end] for end in ("lo", "hi", "lo2", "hi2") if end in one}
    return one | {end: at + shift for end, at in ends.items() if isinstance(at, int) and at not in (MIN, MAX)}


async def fill(database: Database) -> None:
    """Put everything there, and make the indexes: faster than to keep them up meanwhile."""
    collection = database["resources"].with_options(write_concern=WriteConcern(w=1, j=False))
    documents = everything()

    async def write() -> None:
        while batch := list(islice(documents, _AT_ONCE)):
            await collection.insert_many(batch, ordered=False)

    await asyncio.gather(*(write() for _ in range(_WRITERS)))
    await indexes.create(database)


def everything() -> Iterator[Document]:
    """All of it."""
    chance = Random(20_260_601)  # noqa: S311 - no secret
    yield from _patients(chance)
    yield from _practitioners(chance)
    yield from _organizations(chance)
    yield from _value_sets(chance)
    for type, number in COUNTS.items():
        yield from _copies(type, _MAKERS[type](chance), number, chance)
    large = [Template.of(_observation(chance, 7)) for _ in range(20)]
    for number in range(IN_LARGE):
        yield large[number % 20].copy(f"large{number}", [LARGE], _updated(chance), _shift(chance))


def _copies(type: str, templates: Sequence[tuple[Template, int]], number: int, chance: Random) -> Iterator[Document]:
    """Of the templates with a number so many each, of the others the rest."""
    letter = type[0].lower()
    rare = [template for template, times in templates for _ in range(times)]
    common = [template for template, times in templates if not times]
    for place in range(number):
        template = rare[place] if place < len(rare) else chance.choice(common)
        records = [f"p{one}" for one in chance.sample(range(PATIENTS), 1 + len(template.stored.get("also", ())))]
        yield template.copy(f"{letter}{place}", records, _updated(chance), _shift(chance))


def _updated(chance: Random) -> int:
    return microseconds(NOW - timedelta(seconds=chance.randrange(2 * 365 * 86_400)))


def _shift(chance: Random) -> int:
    """Templates are dated now."""
    return -chance.randrange(YEARS * 365 * 86_400) * 1_000_000


# Who there is

FAMILIES: Final = (
    "Martin Bernard Thomas Petit Robert Richard Durand Dubois Moreau Laurent Simon Michel Lefèvre Leroy Roux David "
    "Bertrand Morel Fournier Girard Bonnet Dupont Lambert Fontaine Rousseau Vincent Muller Faure Mercier Blanc Guérin "
    "Boyer Garnier Chevalier François Legrand Gauthier Perrin Robin Clément Morin Nicolas Henry Roussel Mathieu Gautier"
).split()
GIVEN: Final = "Hélène Marc Lucie Jean Odette Karim Inès Paul Sophie Louis Anne Zoé Yves Claire Hugo Nadia".split()
RARE_NAME: Final = "Wolkenstein-Zábránský de Kergoat"
"""Of three practitioners."""


def _name(chance: Random) -> JsonObject:
    family = chance.choice(FAMILIES)
    if chance.random() < 0.5:
        family = f"{family}-{chance.choice(FAMILIES)}"
    return {"family": family, "given": [chance.choice(GIVEN)]}


def _patients(chance: Random) -> Iterator[Document]:
    templates = [Template.of(_patient(chance)) for _ in range(200)]
    dead = Template.of(_with(_patient(chance), deceasedDateTime=moment(30)))
    for number in range(PATIENTS):
        template = dead if number in (11, 12) else templates[number % len(templates)]
        made = template.copy(f"p{number}", [f"p{number}"], _updated(chance))
        yield made


def _patient(chance: Random) -> JsonObject:
    return {
        "resourceType": "Patient",
        "identifier": [{"system": INS, "value": MARK}],
        "name": [_name(chance)],
        "gender": chance.choice(["male", "female"]),
        "birthDate": day(chance.randrange(365, 90 * 365)),
        "address": [
            {"city": chance.choice(["Brest", "Lyon", "Paris"]), "postalCode": f"{chance.randrange(99):02d}000"}
        ],
    }


def _practitioners(chance: Random) -> Iterator[Document]:
    templates = [Template.of(_practitioner(_name(chance))) for _ in range(500)]
    rare = Template.of(_practitioner({"family": RARE_NAME, "given": ["Ulrich"]}))
    long = Template.of(_practitioner({"family": "Abc " * 60 + "quetzalcoatl", "given": ["Anne"]}))
    for number in range(PRACTITIONERS):
        template = rare if number < 3 else long if number < 5 else templates[number % len(templates)]
        yield template.copy(f"dr{number}", (), _updated(chance))


def _practitioner(name: JsonObject) -> JsonObject:
    return {
        "resourceType": "Practitioner",
        "identifier": [{"system": RPPS, "value": MARK}],
        "active": True,
        "name": [name],
    }


def _organizations(chance: Random) -> Iterator[Document]:
    templates = [
        Template.of(
            {
                "resourceType": "Organization",
                "identifier": [{"system": "https://finess.esante.gouv.fr", "value": MARK}],
                "name": f"Hôpital {chance.choice(FAMILIES)} {chance.choice(GIVEN)}",
            }
        )
        for _ in range(100)
    ]
    for number in range(ORGANIZATIONS):
        yield templates[number % 100].copy(f"o{number}", (), _updated(chance))


def _value_sets(chance: Random) -> Iterator[Document]:
    def value_set(url: str) -> Template:
        return Template.of({"resourceType": "ValueSet", "url": url, "status": "active", "date": day(3), "name": "Jdv"})

    common, rare = value_set(f"https://mos.example/NOS/{MARK}"), value_set(f"https://mos.example/JDV/{MARK}")
    for number in range(VALUE_SETS):
        yield (rare if number < 8 else common).copy(f"vs{number}", (), _updated(chance), _shift(chance))


# What lies in the records

KINDS: Final = ("34112-3", "11488-4", "11502-2", "60591-5", "18748-4", "57833-6", "11490-0", "81218-0")
"""Types of documents, the first of a half of all."""
RARE_KIND: Final = "85208-7"
"""Of twelve documents."""
CLASSES: Final = "urn:oid:1.2.250.1.213.1.1.4.1"
APART: Final = "90"
"""A class of 3,006 documents, six of which are among the 3,006 that were superseded."""


def _skewed(chance: Random, values: Sequence[str]) -> str:
    """The first half of the times, the second a quarter, …"""
    place = 0
    while place < len(values) - 1 and chance.random() < 0.5:
        place += 1
    return values[place]


def _with(resource: JsonObject, **told: Json) -> JsonObject:
    """The same, with other elements; without those that are nothing."""
    return {name: value for name, value in {**resource, **told}.items() if value is not None}


def _documents(chance: Random) -> list[tuple[Template, int]]:
    common = [_document(chance, _skewed(chance, KINDS)) for _ in range(150)]
    rare = _document(chance, RARE_KIND)
    told = _with(_document(chance, KINDS[0]), description="Suivi d'un traitement par lithium au long cours")
    tagged = _with(_document(chance, KINDS[1]), meta={"tag": [{"system": TAGS, "code": "essai-clinique"}]})
    replaced = [_with(_document(chance, _skewed(chance, KINDS)), status="superseded") for _ in range(10)]
    classed = [_with(_document(chance, _skewed(chance, KINDS)), category=[coded(CLASSES, APART)]) for _ in range(10)]
    both = _with(_document(chance, KINDS[0]), status="superseded", category=[coded(CLASSES, APART)])
    by_rare = _with(_document(chance, KINDS[0]), author=[{"reference": "Practitioner/dr1"}])
    undated = _with(_document(chance, KINDS[0]), date=None)
    return [
        (Template.of(rare), 12),
        (Template.of(told), 30),
        (Template.of(tagged), 25),
        (Template.of(by_rare), 15),
        (Template.of(undated), 40),
        (Template.of(both), 6),
        *((Template.of(one), 300) for one in (*replaced, *classed)),
        *((Template.of(one), 0) for one in common),
    ]


def _document(chance: Random, kind: str) -> JsonObject:
    return {
        "resourceType": "DocumentReference",
        "masterIdentifier": {"system": "urn:ietf:rfc:3986", "value": f"urn:uuid:{MARK}"},
        "identifier": [{"system": "urn:ietf:rfc:3986", "value": f"urn:oid:1.2.{MARK}"}],
        "status": "current",
        "type": coded(LOINC, kind, f"Document {kind}"),
        "category": [coded(CLASSES, chance.choice(["10", "11", "31", "42"]))],
        "subject": about(),
        "date": moment(chance.random()),
        "author": [{"reference": f"Practitioner/dr{min(int(chance.expovariate(0.02)), 900) + 10}"}],
        "description": f"{chance.choice(FAMILIES)}, contrôle prévu dans trois mois, bonne tolérance",
        "securityLabel": [coded("http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "N")],
        "content": [
            {"attachment": {"contentType": "application/pdf", "creation": moment(1)}, "format": {"code": "urn:ihe:pdf"}}
        ],
        "context": {"period": {"start": moment(2), "end": moment(1)}},
    }


CODES: Final = tuple(f"{number}-{number % 10}" for number in range(8_000, 8_040))
"""Codes of observations, the first of a half of all."""
RARE_CODE: Final = "99999-9"
"""Of ten observations."""


def _observations(chance: Random) -> list[tuple[Template, int]]:
    common = [_observation(chance, chance.choice([0, 0, *range(len(CODES))])) for _ in range(200)]
    rare = _with(_observation(chance, 0), code=coded(LOINC, RARE_CODE))
    high = _with(_observation(chance, 0), valueQuantity=_quantity(900))
    open_start = _with(_observation(chance, 0), effectiveDateTime=None, effectivePeriod={"end": moment(0)})
    open_end = _with(_observation(chance, 0), effectiveDateTime=None, effectivePeriod={"start": moment(0)})
    return [
        (Template.of(rare), 10),
        (Template.of(high), 14),
        (Template.of(open_start), 20),
        (Template.of(open_end), 20),
        *((Template.of(one), 0) for one in common),
    ]


def _quantity(value: float) -> JsonObject:
    return {"value": json.decode(str(value).encode()), "unit": "mmHg", "system": UCUM, "code": "mm[Hg]"}


def _observation(chance: Random, kind: int) -> JsonObject:
    told: JsonObject = {
        "resourceType": "Observation",
        "identifier": [{"system": "urn:example:obs", "value": MARK}],
        "status": "final",
        "category": [coded("http://terminology.hl7.org/CodeSystem/observation-category", "vital-signs")],
        "code": coded(LOINC, CODES[kind]),
        "subject": about(),
        "performer": [{"reference": f"Practitioner/dr{chance.randrange(10, 1000)}"}],
        "valueQuantity": _quantity(round(chance.uniform(40, 220), 1)),
    }
    if chance.random() < 0.1:
        return _with(told, effectivePeriod={"start": moment(chance.uniform(1, 8)), "end": moment(chance.random())})
    return _with(told, effectiveDateTime=moment(chance.random()))


def _encounters(chance: Random) -> list[tuple[Template, int]]:
    def encounter(period: JsonObject) -> Template:
        return Template.of(
            {
                "resourceType": "Encounter",
                "identifier": [{"system": "urn:example:enc", "value": MARK}],
                "status": "in-progress" if "end" not in period else "finished",
                "class": {
                    "system": "http://terminology.hl7.org/CodeSystem/v3-ActCode",
                    "code": chance.choice(["AMB", "IMP", "EMER"]),
                },
                "subject": about(),
                "period": period,
                "length": {"value": chance.randrange(1, 30), "system": UCUM, "code": "d"},
                "serviceProvider": {"reference": f"Organization/o{chance.randrange(ORGANIZATIONS)}"},
            }
        )

    finished = [encounter({"start": moment(chance.uniform(1, 30)), "end": moment(chance.random())}) for _ in range(100)]
    return [(encounter({"start": moment(0.5)}), 200), *((one, 0) for one in finished)]


def _conditions(chance: Random) -> list[tuple[Template, int]]:
    clinical = "http://terminology.hl7.org/CodeSystem/condition-clinical"
    return [
        (
            Template.of(
                {
                    "resourceType": "Condition",
                    "clinicalStatus": coded(clinical, _skewed(chance, ("active", "resolved", "inactive"))),
                    "code": coded("http://hl7.org/fhir/sid/icd-10", f"E{number:02d}", f"Maladie {number}"),
                    "subject": about(),
                    "onsetDateTime": moment(chance.uniform(100, 4_000)),
                    "recordedDate": moment(chance.random()),
                }
            ),
            5 if number < 3 else 0,
        )
        for number in range(100)
    ]


def _risks(chance: Random) -> list[tuple[Template, int]]:
    return [
        (
            Template.of(
                {
                    "resourceType": "RiskAssessment",
                    "status": "final",
                    "subject": about(),
                    "occurrenceDateTime": moment(chance.random()),
                    "prediction": [{"probabilityDecimal": json.decode(str(round(number / 200, 3)).encode())}],
                }
            ),
            0,
        )
        for number in range(200)
    ]


def _appointments(chance: Random) -> list[tuple[Template, int]]:
    def appointment(patients: int) -> Template:
        actors = [{"actor": about(number), "status": "accepted"} for number in range(patients)]
        participants: list[Any] = [*actors, {"actor": {"reference": "Practitioner/dr20"}, "status": "accepted"}]
        start = moment(chance.random())
        return Template.of(
            {"resourceType": "Appointment", "status": "booked", "participant": participants, "start": start}
        )

    return [(appointment(number % 2 + 1), 0) for number in range(20)]


def _groups(chance: Random) -> list[tuple[Template, int]]:
    del chance
    members: list[Any] = [{"entity": about(number)} for number in range(5)]
    return [(Template.of({"resourceType": "Group", "type": "person", "actual": True, "member": members}), 0)]


_MAKERS: Final[dict[str, Callable[[Random], list[tuple[Template, int]]]]] = {
    "DocumentReference": _documents,
    "Observation": _observations,
    "Encounter": _encounters,
    "Condition": _conditions,
    "RiskAssessment": _risks,
    "Appointment": _appointments,
    "Group": _groups,
}

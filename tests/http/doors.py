"""The doors: every way into what is stored, as functions from who asks and where to what is answered.

The rows of the door matrix. A door names the methods and path shapes it goes through; a route without a door makes a
test fail. A door asks the same in each world, of ids that differ in the key of the world alone.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias
from urllib.parse import quote

import httpx

from fhir_server.identity.systems import G15, INS_NIR_TEST, RPPS
from tests.build import block
from tests.http.asking import FHIR_JSON, FORM, Ask
from tests.http.worlds import NUMBERS, RELATIONS, WRITER, Place, Resource, shown, target
from tests.patches import Part
from tests.patches import add as adding
from tests.patches import delete as deleting
from tests.patches import insert as inserting
from tests.patches import move as moving
from tests.patches import replace as replacing
from tests.pdsm import MHD

JSON_PATCH: Final = {"Content-Type": "application/json-patch+json"}
SYSTEM: Final = ""
"""Stands for the type of a door that has none."""

Through: TypeAlias = tuple[str, str]
Walk: TypeAlias = Callable[[Ask, str], Awaitable[None]]


@dataclass(frozen=True)
class Door:
    """A row: its name, the routes it goes through, the types it is tried with (all, or the system), and the way."""

    name: str
    through: tuple[Through, ...]
    walk: Walk
    types: tuple[str, ...] | None
    writes: bool
    number: int
    of_trail: bool
    """It reads traces, which show what was asked at the other doors."""
    into_record: bool
    """It deposits in the very record: whoever may feed it may know that it exists."""
    of_status: bool
    """It asks whether the record is there, which whoever uses the DMP may know (TD0.2)."""


DOORS: Final[list[Door]] = []


def door(
    *through: str,
    types: tuple[str, ...] | None = None,
    writes: bool = False,
    of_trail: bool = False,
    into_record: bool = False,
    of_status: bool = False,
) -> Callable[[Walk], Walk]:
    """Enter a function into the matrix; ``through`` are routes, ``GET type/id``."""

    def enter(walk: Walk) -> Walk:
        routes = tuple((method, shape) for method, _, shape in (one.partition(" ") for one in through))
        DOORS.append(
            Door(
                getattr(walk, "__name__", "?"),
                routes,
                walk,
                types,
                writes,
                len(DOORS),
                of_trail,
                into_record,
                of_status,
            )
        )
        return walk

    return enter


SEARCHES: Final = ("GET type", "HEAD type", "POST type/_search")
SYSTEM_SEARCHES: Final = ("GET ", "HEAD ", "POST _search")
ALONE: Final = (SYSTEM,)
CONTENTS: Final = ("DocumentReference", "Observation", "DocumentManifest")
OF_RECORD: Final = (*CONTENTS, "Consent", "RelatedPerson")


# One resource


@door("GET type/id", "HEAD type/id")
async def read(ask: Ask, type: str) -> None:
    url = f"/{type}/{ask.place.id(type)}"
    await ask.send("GET", url)
    await ask.send("HEAD", url)


@door("GET type/id")
async def read_unless_known(ask: Ask, type: str) -> None:
    url = f"/{type}/{ask.place.id(type)}"
    await ask.send("GET", url, headers={"If-None-Match": 'W/"1"'})
    await ask.send("GET", url, headers={"If-Modified-Since": "Wed, 01 Jan 2098 00:00:00 GMT"})


@door("GET type/id/$validate", "POST type/id/$validate", "GET type/$validate", "POST type/$validate")
async def validate(ask: Ask, type: str) -> None:
    """What is stored, and what is sent that names it; each way to tell it once, for one type."""
    url, body = f"/{type}/{ask.place.id(type)}/$validate", json.dumps(target(type, ask.place))
    await ask.send("GET", url)
    await ask.send("POST", f"{url}?mode=update", content=body, headers=FHIR_JSON)
    await ask.send("POST", f"/{type}/$validate?mode=create", content=body, headers=FHIR_JSON)
    if type == "DocumentReference":
        await ask.send("GET", f"{url}?mode=delete")
        await ask.send("POST", url)
        await ask.send("GET", f"/{type}/$validate?profile=urn:nobody")


PARTS: Final = ("_summary=true", "_summary=text", "_summary=data", "_elements=id,meta")


@door("GET type/id", "HEAD type/id", "GET type/id/_history/vid")
async def read_in_part(ask: Ask, type: str) -> None:
    url = f"/{type}/{ask.place.id(type)}"
    for part in (*PARTS, "_summary=count", "_elements=nothing", "_summary=true&_elements=id"):
        await ask.send("GET", f"{url}?{part}")
    await ask.send("HEAD", f"{url}?{PARTS[0]}")
    await ask.send("GET", f"{url}?{PARTS[0]}", headers={"If-None-Match": 'W/"1"'})
    await ask.send("GET", f"{url}/_history/1?{PARTS[0]}")


@door("GET type/id", types=("Binary",))
async def read_as_what_it_is(ask: Ask, type: str) -> None:
    await ask.send("GET", f"/{type}/{ask.place.id(type)}", headers={"Accept": "text/plain"})
    await ask.send("GET", f"/{type}/{ask.place.id(type)}", headers={"Accept": "*/*"})


OF_READS: Final = ("GET type/id", "HEAD type/id", "GET type/id/_history/vid", "HEAD type/id/_history/vid")


@door(*OF_READS, types=("Binary",))
async def read_a_part_of_it(ask: Ask, type: str) -> None:
    """As what it is, from here to there, on condition, and in forms that it may not have."""
    for url in (f"/{type}/{ask.place.id(type)}", f"/{type}/{ask.place.id(type)}/_history/1"):
        for part in ("bytes=0-0", "bytes=-1", "bytes=99-"):
            for condition in ({}, {"If-Range": '"1"'}, {"If-Range": '"9"'}, {"If-None-Match": '"1"'}):
                await ask.send("GET", url, headers={"Range": part, **condition})
            await ask.send("HEAD", url, headers={"Range": part})
        for accept in ("text/plain;q=0", "image/png", "application/fhir+json;q=0.1, text/*", "application/fhir+json"):
            await ask.send("GET", url, headers={"Accept": accept})
            await ask.send("HEAD", url, headers={"Accept": accept})


@door("GET type/id/_history/vid", "HEAD type/id/_history/vid")
async def vread(ask: Ask, type: str) -> None:
    for version in ("1", "9"):
        await ask.send("GET", f"/{type}/{ask.place.id(type)}/_history/{version}")
    await ask.send("HEAD", f"/{type}/{ask.place.id(type)}/_history/1")


@door("GET type/id/_history", "HEAD type/id/_history")
async def history_of_instance(ask: Ask, type: str) -> None:
    url = f"/{type}/{ask.place.id(type)}/_history"
    await ask.send("HEAD", url)
    await ask.pages(f"{url}?_count=1&_since=2020-01-01T00:00:00Z")
    await ask.send("GET", f"{url}?_count=none")


@door("PUT type/id", writes=True)
async def update(ask: Ask, type: str) -> None:
    url, body = f"/{type}/{ask.place.id(type)}", json.dumps(target(type, ask.place) | {"language": "fr"})
    for condition in ({"If-None-Match": "*"}, {"If-Match": 'W/"9"'}, {"If-Match": 'W/"1"'}):
        await ask.send("PUT", url, content=body, headers=FHIR_JSON | condition)


@door("PUT type/id", types=("Binary",), writes=True)
async def update_as_what_it_is(ask: Ask, type: str) -> None:
    """The next version, sent without a resource around it; it is not even read where it is refused."""
    url = f"/{type}/{ask.place.id(type)}"
    for condition in ({"If-None-Match": "*"}, {"If-Match": 'W/"9"'}, {"If-Match": 'W/"1"'}):
        for size in (3, 100_000):
            await ask.send("PUT", url, content=bytes(size), headers={"Content-Type": "text/plain", **condition})


@door("PUT type/id", types=("DocumentReference",), writes=True)
async def update_by_number(ask: Ask, type: str) -> None:
    """The record is named by an INS alone, which the server completes."""
    body = target(type, ask.place)
    body["subject"] = {"identifier": {"system": INS_NIR_TEST, "value": ask.place.ins}}
    await ask.send("PUT", f"/{type}/{body['id']}", content=json.dumps(body), headers=FHIR_JSON)


@door("PATCH type/id", writes=True)
async def patch(ask: Ask, type: str) -> None:
    url = f"/{type}/{ask.place.id(type)}"
    change = json.dumps([{"op": "add", "path": "/language", "value": "fr"}])
    await ask.send("PATCH", url, content="[{", headers=JSON_PATCH)
    for condition in ({"If-Match": 'W/"9"'}, {"If-Match": 'W/"1"'}):
        await ask.send("PATCH", url, content=change, headers=JSON_PATCH | condition)


@door("PATCH type/id", writes=True)
async def patch_by_path(ask: Ask, type: str) -> None:
    """A FHIRPath Patch, one that is none, and one that fits what is there alone."""
    url = f"/{type}/{ask.place.id(type)}"
    language = (deleting(f"{type}.language"), adding(type, "language", valueCode="fr"))
    for change in ((deleting(f"{type}.unheard"),), (replacing(f"{type}.id", valueId="x"),), language):
        for condition in ({"If-Match": 'W/"9"'}, {}):
            await ask.send("PATCH", url, content=json.dumps(parameters(*change)), headers=FHIR_JSON | condition)


@door("DELETE type/id", writes=True)
async def delete(ask: Ask, type: str) -> None:
    for condition in ({"If-Match": 'W/"9"'}, {"If-Match": 'W/"1"'}, {}):
        await ask.send("DELETE", f"/{type}/{ask.place.id(type)}", headers=condition)
    await ask.send("GET", f"/{type}/{ask.place.id(type)}")


# Searches


@door(*SEARCHES)
async def search_by_id(ask: Ask, type: str) -> None:
    query = f"_id={ask.place.id(type)}"
    await ask.search(f"/{type}", query)
    await ask.pages(f"/{type}?{query},{ask.place.shown}&_count=1&_sort=_id")


@door(*SEARCHES, types=(*OF_RECORD, "Patient"))
async def search_by_identifier(ask: Ask, type: str) -> None:
    system, value = (INS_NIR_TEST, ask.place.ins) if type == "Patient" else (NUMBERS, ask.place.number)
    await ask.search(f"/{type}", f"identifier={value}")
    await ask.send("GET", f"/{type}?identifier={system}|{value},{NUMBERS}|other&_total=accurate")


@door(*SEARCHES, types=OF_RECORD)
async def search_by_patient(ask: Ask, type: str) -> None:
    await ask.search(f"/{type}", f"patient={ask.place.patient}")
    await ask.send("GET", f"/{type}?patient=Patient/{ask.place.patient}&patient=Patient/{ask.place.patient}")
    await ask.send("GET", f"/{type}?patient={ask.place.patient}&patient={ask.place.ground}")


@door(*SEARCHES, types=OF_RECORD)
async def search_by_ins(ask: Ask, type: str) -> None:
    number = f"{INS_NIR_TEST}|{ask.place.ins}"
    await ask.search(f"/{type}", f"patient.identifier={number}")
    await ask.send("GET", f"/{type}?patient:Patient.identifier={number}")
    await ask.send("GET", f"/{type}?patient.identifier={number}&patient={ask.place.ground}")


@door("GET type", types=OF_RECORD)
async def search_two_records(ask: Ask, type: str) -> None:
    """Whether there is a second record must not tell in whether two were named."""
    other = f"{INS_NIR_TEST}|{ask.place.ins}"
    await ask.send("GET", f"/{type}?patient={ask.place.patient},{ask.place.ground}")
    await ask.send("GET", f"/{type}?patient.identifier={INS_NIR_TEST}|280057505600117,{other}")


@door("GET type", types=OF_RECORD)
async def count(ask: Ask, type: str) -> None:
    for how in ("_count=0", "_summary=count", "_total=accurate&_count=1", "_total=estimate&_count=1"):
        await ask.send("GET", f"/{type}?patient={ask.place.patient}&{how}")
    await ask.send("GET", f"/{type}?_id={ask.place.id(type)}&_summary=count")


@door("GET type", types=OF_RECORD)
async def sort(ask: Ask, type: str) -> None:
    for key in ("-_id", "_lastUpdated"):
        await ask.pages(f"/{type}?patient={ask.place.patient}&_sort={key}&_count=1")


@door("GET type", types=CONTENTS)
async def search_by_what_it_says(ask: Ask, type: str) -> None:
    place = ask.place
    asked = {
        "DocumentReference": (
            f"relatesto=DocumentReference/{place.id(type)}",
            f"relatesto=DocumentReference/{place.shown}",
            "type=http://loinc.org|11502-2",
            "date=ge2026-01-01&_sort=-date",
            f"_security={MASK}",
        ),
        "Observation": (f"derived-from=DocumentReference/{place.shown}", "status=final", f"_security={MASK}"),
        "DocumentManifest": (f"item=DocumentReference/{place.id(type)}", f"item=DocumentReference/{place.shown}"),
    }
    for clause in asked[type]:
        await ask.send("GET", f"/{type}?patient={place.patient}&{clause}")


MASK: Final = "MASQUE_PS,INVISIBLE_PATIENT,INVISIBLE_REPRESENTANTS_LEGAUX"


@door("GET type", types=("DocumentReference",))
async def include(ask: Ask, type: str) -> None:
    """What is hidden behind what is seen, and what is seen behind what is hidden."""
    place = ask.place
    asked = (
        "_include=DocumentReference:relatesto",
        "_include=DocumentReference:patient",
        "_revinclude=DocumentReference:relatesto",
        "_revinclude=Observation:derived-from",
        "_revinclude=List:item&_revinclude=AuditEvent:entity",
        "_revinclude=DocumentManifest:item",
    )
    for around in asked:
        for named in (f"_id={place.shown}", f"_id={place.id(type)}"):
            await ask.send("GET", f"/{type}?{named}&{around}")
    await ask.send("GET", f"/{type}?patient={place.patient}&{'&'.join(asked)}")


@door("GET type/id", "GET type/id/_history", "GET type/id/_history/vid", "GET type", types=ALONE)
async def what_refers(ask: Ask, type: str) -> None:
    """What is seen and refers to what is hidden, asked in every way that could tell to what."""
    place = ask.place
    for each, id in (("List", place.gathers), ("Observation", place.derived), ("DocumentReference", place.shown)):
        for path in (id, f"{id}/_history", f"{id}/_history/1", *(f"{id}?{part}" for part in PARTS)):
            await ask.send("GET", f"/{each}/{path}")
        await ask.search(f"/{each}", f"patient={place.patient}&_id={id}")
    for path in ("", "/_history", "/_history/1"):
        await ask.send("GET", f"/List/{place.id('')}{path}")
    hidden = f"DocumentReference/{place.id('')}"
    for question in (
        f"List?_id={place.id('')}",
        f"List?patient={place.patient}",
        f"List?identifier={NUMBERS}|{place.number}&patient={place.patient}&_summary=count",
        f"List?_id={place.gathers}&item={hidden}",
        f"List?_id={place.gathers}&item={hidden},DocumentReference/{place.shown}",
        f"List?_id={place.gathers}&item=Observation/{place.id('')}&_summary=count",
        f"List?patient={place.patient}&item:DocumentReference={place.id('')}",
        f"List?_id={place.gathers}&_include=List:item",
        f"Observation?_id={place.derived}&derived-from={hidden}",
        f"Observation?patient={place.patient}&derived-from={hidden}&_total=accurate",
        f"Observation?_id={place.derived}&derived-from:identifier={NUMBERS}|{place.number}",
        f"DocumentReference?_id={place.shown}&relatesto={hidden}",
        f"DocumentReference?patient={place.patient}&relation=appends",
        f"?_type=List,Observation&patient={place.patient}&_count=1",
    ):
        await ask.pages(f"/{question}")


@door("PATCH type/id", types=ALONE, writes=True)
async def change_what_refers(ask: Ask, type: str) -> None:
    """What is hidden in what one may change is neither tested nor copied nor told."""
    place = ask.place
    url, hidden = f"/List/{place.gathers}", f"DocumentReference/{place.id('')}"
    for probe in (
        {"op": "test", "path": "/entry/0/item/reference", "value": hidden},
        {"op": "test", "path": "/entry/1/item/reference", "value": hidden},
        {"op": "copy", "from": "/entry/2", "path": "/entry/-"},
        {"op": "remove", "path": "/entry/1"},
    ):
        await ask.send("PATCH", url, content=json.dumps([probe]), headers=JSON_PATCH)


@door("PATCH type/id", types=ALONE, writes=True)
async def change_by_path_what_refers(ask: Ask, type: str) -> None:
    """Whether a path selects tells nothing of what is hidden, which is neither counted nor moved.

    Each probe fits the list with what is hidden in it, and not as it is shown; what fits is a change of what is seen.
    """
    place = ask.place
    url, hidden = f"/List/{place.gathers}", f"DocumentReference/{place.id('')}"
    entry = {"part": [{"name": "item", "valueReference": {"display": "more"}}]}
    probes: tuple[Part, ...] = (
        adding(f"List.entry.where(item.reference = '{hidden}')", "id", valueString="x"),
        adding(f"List.where(entry.item.reference contains '{hidden}')", "language", valueCode="fr"),
        adding(f"List.where(text.div.contains('{hidden}'))", "language", valueCode="fr"),
        replacing("List.entry[1].flag.text", valueString="x"),
        inserting("List.entry", 3, **entry),
        moving("List.entry", 2, 0),
        moving("List.entry", 0, 1),
    )
    for probe in probes:
        await ask.send("PATCH", url, content=json.dumps(parameters(probe)), headers=FHIR_JSON)


@door("GET type", types=("Patient",))
async def include_record(ask: Ask, type: str) -> None:
    for around in ("DocumentReference:patient", "Observation:patient", "Consent:patient", "RelatedPerson:patient"):
        await ask.send("GET", f"/{type}?_id={ask.place.patient}&_revinclude={around}")


@door(*SEARCHES, types=("Patient",))
async def search_by_traits(ask: Ask, type: str) -> None:
    await ask.search("/Patient", "family=Porte&given=No&birthdate=2015-05-14&gender=female")
    await ask.send("GET", "/Patient?birthdate=2015-05-14")


@door(*SYSTEM_SEARCHES, types=ALONE)
async def search_system(ask: Ask, type: str) -> None:
    place = ask.place
    asked = (
        f"_id={place.id(type)}",
        f"_type=DocumentReference,Observation,DocumentManifest&_id={place.id(type)}",
        f"_type=DocumentReference,Observation&patient={place.patient}",
        f"_type=DocumentReference&patient={place.patient}&_count=1",
        f"_type=Patient,RelatedPerson,Consent&_id={place.patient}",
        f"_type=DocumentReference&patient.identifier={INS_NIR_TEST}|{place.ins}",
    )
    await ask.search("", asked[0])
    for query in asked[1:]:
        await ask.pages(f"?{query}")


# Histories of many


@door("GET type/_history", "HEAD type/_history")
async def history_of_type(ask: Ask, type: str) -> None:
    await ask.send("HEAD", f"/{type}/_history")
    await ask.pages(f"/{type}/_history?_count=1&_since=2020-01-01T00:00:00Z")


@door("GET _history", "HEAD _history", types=ALONE)
async def history_of_system(ask: Ask, type: str) -> None:
    await ask.send("HEAD", "/_history")
    await ask.pages("/_history?_count=2")


# Creations


def deposit(place: Place, **told: Any) -> Resource:
    """A document for the record that the requester may feed."""
    about = {"reference": f"Patient/{place.ground}"}
    made = shown(place) | {"subject": about, "relatesTo": None, **told}
    return {name: value for name, value in made.items() if value is not None}


def pointing(place: Place) -> list[Resource]:
    return [{"attachment": {"contentType": "text/plain", "url": f"Binary/{place.id('Binary')}"}}]


def naming(place: Place, type: str) -> list[str]:
    """The conditions by which the hidden thing can be meant."""
    found = [f"_id={place.id(type)}"]
    if type == "Patient":
        found.append(f"identifier={INS_NIR_TEST}|{place.ins}")
    elif type in OF_RECORD:
        number = f"{NUMBERS}|{place.number}"
        found += [f"identifier={number}", f"patient={place.patient}&identifier={number}"]
        found.append(f"patient.identifier={INS_NIR_TEST}|{place.ins}&identifier={place.number}")
    return found


def into_ground(place: Place, type: str) -> Resource:
    """What is hidden, but for the record that the requester may feed, and under no number by which it is found."""
    body = target(type, place)
    if type in CONTENTS:
        body |= {"identifier": None, "masterIdentifier": None, "entry": None, "content": None}
        body |= {"subject": {"reference": f"Patient/{place.ground}"}}
        if type != "Observation":
            named = [{"reference": f"DocumentReference/{place.shown}"}]
            body |= {"content": deposit(place)["content"] if type == "DocumentReference" else named}
    return {name: value for name, value in body.items() if value is not None}


@door("POST type", types=("Binary",), writes=True)
async def create_pointing_at_binary(ask: Ask, type: str) -> None:
    for how in ("representation", "OperationOutcome", "minimal"):
        body = deposit(ask.place, content=pointing(ask.place))
        await ask.post("/DocumentReference", body, Prefer=f"return={how}")


@door("POST type", "PUT type/id", "PATCH type/id", types=("Binary",), writes=True)
async def update_pointing_at_binary(ask: Ask, type: str) -> None:
    """An own deposit that is changed to point at the hidden Binary, or to belong to the hidden record."""
    made = await ask.post("/DocumentReference", deposit(ask.place))
    if made.status_code != 201:
        return
    url, id = made.headers["Location"].partition("/_history/")[0], made.json()["id"]
    change = json.dumps([{"op": "replace", "path": "/content", "value": pointing(ask.place)}])
    await ask.send("PATCH", url, content=change, headers=JSON_PATCH)
    about = {"reference": f"Patient/{ask.place.patient}"}
    for told in ({"content": pointing(ask.place)}, {"description": "elsewhere", "subject": about}):
        body = json.dumps(deposit(ask.place, **told) | {"id": id})
        await ask.send("PUT", url, content=body, headers=FHIR_JSON)
    await ask.send("DELETE", url)


@door("POST type", types=("DocumentReference", "Patient"), writes=True)
async def create_binary_owned_by(ask: Ask, type: str) -> None:
    owner = {"reference": f"{type}/{ask.place.id(type)}"}
    body = {"resourceType": "Binary", "contentType": "text/plain", "data": "Qm9u", "securityContext": owner}
    await ask.post("/Binary", body, Prefer="return=OperationOutcome")
    await ask.post("/Binary", body)


@door("POST type", types=("DocumentReference", "Patient"), writes=True)
async def send_content_owned_by(ask: Ask, type: str) -> None:
    """The same in the header that goes with a content."""
    owner = {"Content-Type": "text/plain", "X-Security-Context": f"{type}/{ask.place.id(type)}"}
    for size in (3, 100_000):
        await ask.send("POST", "/Binary", content=bytes(size), headers=owner)
    for how in ("representation", "OperationOutcome", "minimal"):
        await ask.send("POST", "/Binary", content=b"Bon", headers={**owner, "Prefer": f"return={how}"})


@door("POST type", "GET type", types=("DocumentReference",), writes=True)
async def create_relating_to(ask: Ask, type: str) -> None:
    """A deposit may name anything; what it names is not thereby shown."""
    relates = [{"code": "appends", "target": {"reference": f"DocumentReference/{ask.place.id(type)}"}}]
    made = await ask.post("/DocumentReference", deposit(ask.place, relatesTo=relates))
    if made.status_code == 201:
        id = made.json()["id"]
        await ask.send("GET", f"/DocumentReference?_id={id}&_include=DocumentReference:relatesto")
        await ask.send("DELETE", f"/DocumentReference/{id}")


@door("POST type", "GET type", "GET type/id", types=("DocumentReference",), writes=True)
async def create_replacing(ask: Ask, type: str) -> None:
    """What is published may replace anything; whether that was there is told to nobody who did not see it."""
    profile = {"profile": [f"{MHD}IHE.MHD.Minimal.DocumentReference"]}
    master = {"system": "urn:ietf:rfc:3986", "value": "urn:oid:1.2.3.4"}
    by_number = {"identifier": {"system": NUMBERS, "value": ask.place.number}}
    for named in ({"reference": f"DocumentReference/{ask.place.id(type)}"}, by_number):
        relates = [{"code": "replaces", "target": named}]
        for told in ({"meta": profile, "masterIdentifier": master}, {}):
            body = deposit(ask.place, relatesTo=relates, **told)
            made = await ask.post("/DocumentReference", body, Prefer="return=OperationOutcome")
            if made.status_code == 201:
                await ask.send("DELETE", made.headers["Location"].partition("/_history/")[0])
    await ask.send("GET", f"/DocumentReference/{ask.place.id(type)}")


@door("POST type", types=CONTENTS, writes=True)
async def create_unless_there_is(ask: Ask, type: str) -> None:
    place = ask.place
    for condition in naming(place, type):
        made = await ask.post(f"/{type}", into_ground(place, type), If_None_Exist=condition)
        if made.status_code == 201:
            await ask.send("DELETE", f"/{type}/{made.json()['id']}")


@door("POST type", types=CONTENTS, writes=True, into_record=True)
async def create_in_record(ask: Ask, type: str) -> None:
    """Only those who may feed a record may know that it is there."""
    by_number = {"identifier": {"system": INS_NIR_TEST, "value": ask.place.ins}}
    for about in ({"reference": f"Patient/{ask.place.patient}"}, by_number):
        body = deposit(ask.place) if type == "DocumentReference" else target(type, ask.place) | {"id": "x"}
        made = await ask.post(f"/{type}", {**body, "subject": about}, Prefer="return=OperationOutcome")
        if made.status_code == 201:
            await ask.send("DELETE", made.headers["Location"].partition("/_history/")[0])


@door("POST type", types=("Consent", "RelatedPerson", "Patient"), writes=True)
async def create_to_govern(ask: Ask, type: str) -> None:
    body = target(type, ask.place)
    await ask.post(f"/{type}", body)
    if type == "Consent":
        by_number = {"identifier": {"system": INS_NIR_TEST, "value": ask.place.ins}}
        body = block("89900000099", id="x", patient=ask.place.patient).resource
        await ask.post(f"/{type}", body | {"patient": by_number})


# On a condition


@door("PUT type", writes=True)
async def update_on_condition(ask: Ask, type: str) -> None:
    """A hidden thing meets no condition: one that it would meet creates, as where there is none."""
    body = into_ground(ask.place, type)
    without = {name: value for name, value in body.items() if name != "id"}
    for condition in naming(ask.place, type):
        url = f"/{type}?{condition}"
        await ask.send("PUT", url, content=json.dumps(without), headers=FHIR_JSON | {"If-Match": 'W/"9"'})
        await ask.send("PUT", url, content=json.dumps(body), headers=FHIR_JSON)
        for more in ({"If-None-Match": "*"}, {}):
            made = await ask.send("PUT", url, content=json.dumps(without), headers=FHIR_JSON | more)
            if made.status_code == 201:
                await ask.send("DELETE", f"/{type}/{made.json()['id']}")


@door("PATCH type", writes=True)
async def patch_on_condition(ask: Ask, type: str) -> None:
    change = json.dumps([{"op": "add", "path": "/language", "value": "fr"}])
    for condition in naming(ask.place, type):
        for more in ({"If-Match": 'W/"9"'}, {}):
            await ask.send("PATCH", f"/{type}?{condition}", content=change, headers=JSON_PATCH | more)


@door("DELETE type", writes=True)
async def delete_on_condition(ask: Ask, type: str) -> None:
    for condition in naming(ask.place, type):
        for more in ({"If-Match": 'W/"9"'}, {}):
            await ask.send("DELETE", f"/{type}?{condition}", headers=more)
    await ask.send("GET", f"/{type}/{ask.place.id(type)}")


@door("PUT type", "PATCH type", "DELETE type", types=ALONE, writes=True)
async def change_if_it_refers(ask: Ask, type: str) -> None:
    """Whether what is seen names what is hidden is not told by a condition either."""
    change = json.dumps([{"op": "add", "path": "/language", "value": "fr"}])
    for item in (f"DocumentReference/{ask.place.id('')}", f"Observation/{ask.place.id('')}"):
        url = f"/List?patient={ask.place.patient}&_id={ask.place.gathers}&item={item}"
        await ask.send("PATCH", url, content=change, headers=JSON_PATCH)
        body = json.dumps({"resourceType": "List", "id": ask.place.gathers, "status": "current", "mode": "working"})
        await ask.send("PUT", url, content=body, headers=FHIR_JSON)
        await ask.send("DELETE", url)


# Operations


def parameters(*told: Resource) -> Resource:
    return {"resourceType": "Parameters", "parameter": [*told]}


SOMEBODY: Final = {"name": "actor", "valueIdentifier": {"system": RPPS, "value": "89900000099"}}


@door("POST type/id/$authorize", types=("Patient",), writes=True, into_record=True)
async def authorize(ask: Ask, type: str) -> None:
    """By those who govern and those who write down what the patient told them."""
    url = f"/Patient/{ask.place.patient}/$authorize"
    collected = {"name": "collected", "valueBoolean": True}
    named = {"name": "role", "valueCode": "medecin-traitant"}
    for told in ([SOMEBODY], [SOMEBODY, collected], [SOMEBODY, named], [SOMEBODY, named, collected]):
        await ask.post(url, parameters(*told))


@door("POST type/id/$revoke", types=("Patient",), writes=True, into_record=True)
async def revoke(ask: Ask, type: str) -> None:
    await ask.post(f"/Patient/{ask.place.patient}/$revoke", parameters(SOMEBODY))


@door("POST type/id/$block", "POST type/id/$unblock", types=("Patient",), writes=True)
async def block_and_unblock(ask: Ask, type: str) -> None:
    for name in ("unblock", "block", "unblock"):
        await ask.post(f"/Patient/{ask.place.patient}/${name}", parameters(SOMEBODY))


@door("GET type/id/$emergency-preferences", "POST type/id/$emergency-preferences", types=("Patient",), writes=True)
async def emergency_preferences(ask: Ask, type: str) -> None:
    url = f"/Patient/{ask.place.patient}/$emergency-preferences"
    await ask.send("GET", url)
    await ask.send("POST", url)
    await ask.post(url, parameters({"name": "MASKED", "valueBoolean": True}))


@door("GET type/id/$access-list", "POST type/id/$access-list", types=("Patient",), of_trail=True)
async def access_list(ask: Ask, type: str) -> None:
    url = f"/Patient/{ask.place.patient}/$access-list"
    await ask.send("GET", url)
    await ask.send("POST", url)


@door("GET type/id/$explain-access", "POST type/id/$explain-access", types=OF_RECORD, of_trail=True)
async def explain_access(ask: Ask, type: str) -> None:
    """Of what is hidden from who asks, it explains what it explains of what is not there."""
    url, named = f"/Patient/{ask.place.patient}/$explain-access", f"{type}/{ask.place.id(type)}"
    await ask.send("GET", f"{url}?resource={named}")
    await ask.send("GET", f"{url}?type={type}")
    profession = {"name": "profession", "valueCoding": {"system": G15, "code": "10"}}
    about = {"name": "requester", "part": [profession]}
    await ask.post(url, parameters({"name": "resource", "valueUri": named}, about))
    await ask.post(url, parameters({"name": "type", "valueCode": type}, about))


@door(
    "GET type/id/$statut-dmp",
    "POST type/id/$statut-dmp",
    "GET type/$statut-dmp",
    "POST type/$statut-dmp",
    types=("Patient",),
    of_status=True,
)
async def statut_dmp(ask: Ask, type: str) -> None:
    url, number = f"/Patient/{ask.place.patient}/$statut-dmp", f"{INS_NIR_TEST}|{ask.place.ins}"
    await ask.send("GET", url)
    await ask.send("POST", url)
    await ask.send("GET", f"/Patient/$statut-dmp?identifier={number}")
    await ask.post("/Patient/$statut-dmp", parameters({"name": "identifier", "valueString": number}))


@door(
    "POST type/id/$mask",
    "POST type/id/$unmask",
    "POST type/$mask",
    "POST type/$unmask",
    types=("DocumentReference",),
    writes=True,
)
async def mask_and_unmask(ask: Ask, type: str) -> None:
    """Together with a document that is seen, of which nothing is done either."""
    named = [{"name": "id", "valueId": id} for id in (ask.place.shown, ask.place.id(type))]
    for name in ("mask", "unmask"):
        await ask.send("POST", f"/{type}/{ask.place.id(type)}/${name}")
        await ask.post(f"/{type}/${name}", parameters(*named))
    await ask.send("GET", f"/{type}/{ask.place.shown}/_history")


TERMINOLOGY: Final = {
    "CodeSystem": ("lookup", "validate-code", "subsumes"),
    "ValueSet": ("expand", "validate-code"),
    "ConceptMap": ("translate",),
}


@door(
    *(f"{method} type/${name}" for names in TERMINOLOGY.values() for name in names for method in ("GET", "POST")),
    *(
        f"{method} type/id/${name}"
        for names in TERMINOLOGY.values()
        for name in names
        if name != "lookup"
        for method in ("GET", "POST")
    ),
    types=ALONE,
)
async def terminology(ask: Ask, type: str) -> None:
    """Of a code that something hidden carries, of lists that are seen, and under the id of something hidden."""
    relations, hidden = "http://hl7.org/fhir/document-relationship-type", ask.place.id("DocumentReference")
    for of, names in TERMINOLOGY.items():
        for name in names:
            code = {"codeA": "appends", "codeB": "signs"} if name == "subsumes" else {"code": "appends"}
            asked = {} if name == "expand" else {**code, "system": relations}
            named = {"url": RELATIONS} if of == "ValueSet" else {"url": relations} if name == "validate-code" else {}
            query = "&".join(f"{key}={quote(value)}" for key, value in {**asked, **named}.items())
            told = [{"name": key, f"value{_KIND.get(key, 'Code')}": value} for key, value in {**asked, **named}.items()]
            await ask.send("GET", f"/{of}/${name}?{query}")
            await ask.post(f"/{of}/${name}", parameters(*told))
            if name == "lookup":
                continue
            for id in (hidden, "doors-relations"):
                await ask.send(
                    "GET", f"/{of}/{id}/${name}?{'&'.join(f'{key}={quote(one)}' for key, one in asked.items())}"
                )
                await ask.send("POST", f"/{of}/{id}/${name}")


_KIND: Final = {"system": "Uri", "url": "Uri"}


@door(
    *(f"{method} {level}/$snapshot" for level in ("type", "type/id") for method in ("GET", "POST")),
    types=ALONE,
)
async def snapshot(ask: Ask, type: str) -> None:
    """Under the id and the URL of something hidden: a StructureDefinition is of nobody's record."""
    hidden = ask.place.id("DocumentReference")
    for method in ("GET", "POST"):
        await ask.send(method, f"/StructureDefinition/{hidden}/$snapshot")
    await ask.send("GET", f"/StructureDefinition/$snapshot?url={quote(f'urn:uuid:{hidden}')}")
    await ask.post("/StructureDefinition/$snapshot", parameters({"name": "url", "valueUri": f"urn:uuid:{hidden}"}))


# Batches

JSON_PATCH_ENTRY: Final = {
    "resourceType": "Binary",
    "contentType": "application/json-patch+json",
    "data": b64encode(b'[{"op": "add", "path": "/language", "value": "fr"}]').decode(),
}


@door("POST ", types=ALONE, writes=True)
async def batch(ask: Ask, type: str) -> None:
    """Each way in, as an entry of a batch."""
    place = ask.place
    entries: list[Resource] = []
    for each in ("DocumentReference", "Binary", "Patient"):
        url = f"{each}/{place.id(each)}"
        entries += [
            _entry("GET", url),
            _entry("GET", f"{url}?_summary=true"),
            _entry("HEAD", url),
            _entry("GET", url, ifNoneMatch='W/"1"'),
            _entry("GET", f"{url}/_history"),
            _entry("GET", f"{url}/_history/1"),
            _entry("GET", f"{each}?_id={place.id(each)}"),
            _entry("GET", f"{each}?_id={place.id(each)}&_summary=count"),
            _entry("GET", f"{each}/_history"),
            _entry("PUT", url, target(each, place), ifMatch='W/"9"'),
            _entry("PUT", url, target(each, place), ifNoneMatch="*"),
            _entry("PUT", url, target(each, place)),
            _entry("PUT", f"{each}?_id={place.id(each)}", target(each, place)),
            _entry("DELETE", f"{each}?_id={place.id(each)}"),
            _entry("PATCH", url, parameters(deleting(f"{each}.language")), ifMatch='W/"9"'),
            _entry("PATCH", url, parameters(deleting(f"{each}.language"))),
            _entry("PATCH", url, JSON_PATCH_ENTRY),
            _entry("DELETE", url),
        ]
    entries += [
        _entry("POST", f"DocumentReference/{place.id('DocumentReference')}/$mask"),
        _entry("GET", f"Patient/{place.patient}/$emergency-preferences"),
        _entry("GET", f"DocumentReference?patient={place.patient}&_include=DocumentReference:relatesto"),
        _entry("GET", f"?_type=DocumentReference&patient={place.patient}"),
        _entry("GET", "_history"),
        _entry("POST", "DocumentReference", deposit(place, content=pointing(place))),
        _entry("POST", "DocumentReference", deposit(place), ifNoneExist=f"identifier={NUMBERS}|{place.number}"),
    ]
    await ask.post("", {"resourceType": "Bundle", "type": "batch", "entry": entries})


@door("POST ", types=ALONE, writes=True)
async def transaction(ask: Ask, type: str) -> None:
    """Each way in, as an entry of a transaction, and what a transaction alone has: one that fails takes all back."""
    place = ask.place
    hidden = f"DocumentReference?identifier={NUMBERS}|{place.number}"
    appends = [{"code": "appends", "target": {"reference": hidden}}]
    whole: list[list[Resource]] = [
        [_entry("POST", "DocumentReference", deposit(place, content=pointing(place)))],
        [_entry("POST", "DocumentReference", deposit(place, relatesTo=appends))],
        [_entry("POST", "DocumentReference", deposit(place), ifNoneExist=hidden.partition("?")[2])],
        [_entry("POST", "DocumentReference", deposit(place, subject={"reference": f"Patient?_id={place.patient}"}))],
        [_entry("GET", hidden)],
        [_entry("GET", f"Patient/{place.patient}/$everything")],
        [_entry("GET", "_history")],
    ]
    for each in ("DocumentReference", "Patient"):
        url, conditional = f"{each}/{place.id(each)}", f"{each}?_id={place.id(each)}"
        whole += [
            [_entry("GET", url)],
            [_entry("GET", f"{url}/_history")],
            [_entry("GET", conditional)],
            [_entry("PUT", url, target(each, place), ifMatch='W/"9"')],
            [_entry("PUT", url, target(each, place))],
            [_entry("PUT", conditional, target(each, place))],
            [_entry("PATCH", url, parameters(deleting(f"{each}.language")))],
            [_entry("DELETE", conditional), _entry("GET", url)],
            [_entry("PUT", url, target(each, place)), _entry("DELETE", conditional)],
            [_entry("DELETE", url), _entry("GET", url)],
        ]
    for entries in whole:
        await ask.post("", {"resourceType": "Bundle", "type": "transaction", "entry": entries})


@door("POST ", types=(*OF_RECORD, "Binary", "Patient"), writes=True)
async def bundled(ask: Ask, type: str) -> None:
    """Each verb, by id and on a condition, as a transaction of its own; and all of them as one batch."""
    place, named = ask.place, naming(ask.place, type)[-1]
    url, body, change = f"{type}/{place.id(type)}", target(type, place), parameters(deleting(f"{type}.language"))
    new = {name: value for name, value in into_ground(place, type).items() if name != "id"}
    entries = [
        _entry("GET", url),
        _entry("HEAD", url),
        _entry("GET", f"{url}/_history/1"),
        _entry("GET", f"{type}?{named}"),
        _entry("POST", type, new, ifNoneExist=named),
        _entry("PUT", url, body, ifNoneMatch="*"),
        _entry("PUT", url, body, ifMatch='W/"9"'),
        _entry("PUT", f"{type}?{named}", new, ifMatch='W/"9"'),
        _entry("PUT", f"{type}?{named}", new),
        _entry("PATCH", url, change),
        _entry("PATCH", f"{type}?{named}", change),
        _entry("DELETE", f"{type}?{named}", ifMatch='W/"9"'),
        _entry("DELETE", f"{type}?{named}"),
        _entry("DELETE", url),
    ]
    for one in entries:
        await _bundle(ask, "transaction", one)
    await _bundle(ask, "batch", *entries)


@door("POST ", types=(*OF_RECORD, "Patient"), writes=True)
async def refer_by_search(ask: Ask, type: str) -> None:
    """A reference by a search finds nothing hidden; by a name that another entry gives itself, nothing at all."""
    place = ask.place
    for condition in naming(place, type):
        about = [{"reference": f"{type}?{condition}"}]
        related = deposit(place, context={"related": about})
        await _bundle(ask, "transaction", _entry("POST", "DocumentReference", related))
        seen = {**into_ground(place, "Observation"), "focus": about}
        await _bundle(ask, "transaction", _entry("POST", "Observation", seen))
    called = {"fullUrl": f"https://ailleurs.example/{type}/{place.id(type)}"}
    related = deposit(place, context={"related": [{"reference": f"{type}/{place.id(type)}"}]})
    await _bundle(ask, "transaction", _entry("POST", "DocumentReference", related) | called)


async def _bundle(ask: Ask, type: str, *entries: Resource) -> None:
    """Send a Bundle; what it created is deleted, so that it is found by nothing that is asked later."""
    answer = await ask.post("", {"resourceType": "Bundle", "type": type, "entry": list(entries)})
    made = answer.json().get("entry", []) if answer.status_code == 200 else []
    for one in made:
        if one["response"]["status"] == "201":
            location = one["response"]["location"].partition("/_history/")[0]
            await ask.send("DELETE", "/" + "/".join(location.split("/")[-2:]))


def _entry(method: str, url: str, resource: Resource | None = None, **conditions: str) -> Resource:
    entry: Resource = {"request": {"method": method, "url": url, **conditions}}
    return entry | {"resource": resource} if resource else entry


# The trail


@door("GET type", "HEAD type", "POST type/_search", types=ALONE, of_trail=True)
async def traces_of_record(ask: Ask, type: str) -> None:
    """A search of the traces of a record tells what the requester did and may see, not that there is a record."""
    place = ask.place
    await ask.send("GET", f"/DocumentReference/{place.id(type)}")
    await ask.send("GET", f"/DocumentReference?patient={place.patient}")
    await ask.search("/AuditEvent", f"patient={place.patient}&_count=100")
    for query in (
        f"entity=DocumentReference/{place.id(type)}",
        f"entity=Patient/{place.patient}&_total=accurate",
        f"patient={place.patient}&_summary=count",
        f"patient.identifier={INS_NIR_TEST}|{place.ins}",
    ):
        await ask.send("GET", f"/AuditEvent?{query}", headers={"Prefer": "handling=strict"})


@door("GET type/id", "HEAD type/id", "GET type/id/_history", "GET type/id/_history/vid", of_trail=True)
async def own_trace(ask: Ask, type: str) -> None:
    """Reading the trace of one's own attempt, and what that reading leaves in the trail."""
    asked = await ask.send("GET", f"/{type}/{ask.place.id(type)}")
    event = await _event_of(ask, asked)
    if event is not None:
        for url in (f"/AuditEvent/{event}", f"/AuditEvent/{event}/_history/1", f"/AuditEvent/{event}/_history"):
            await ask.send("GET", url)
        await ask.send("HEAD", f"/AuditEvent/{event}")
        await ask.send("GET", f"/AuditEvent?_id={event}")


async def _event_of(ask: Ask, asked: httpx.Response) -> str | None:
    """The id of the trace of a request, looked for under a request id that no comparison reads."""
    headers = {"Authorization": f"Bearer {ask.token}"}
    wanted = asked.request.headers["X-Request-Id"]
    found = await ask.client.get(f"/AuditEvent?entity:identifier={wanted}", headers=headers)
    entries = found.json().get("entry", [])
    return str(entries[0]["resource"]["id"]) if entries else None


# Around an entry: chains, lists, filters, orders, includes, compartments


TOTALS: Final = ("_total=accurate&_count=1", "_total=estimate&_count=1", "_summary=count")


def _quoted(expression: str) -> str:
    return quote(expression, safe="")


async def _each(ask: Ask, questions: Iterable[str], *, totals: int = 1) -> None:
    """Every page of each, with its total; of the first so many, however the total is asked."""
    for number, question in enumerate(questions):
        await ask.pages(f"/{question}&{TOTALS[0]}")
        for how in TOTALS[1:] if number < totals else ():
            await ask.send("GET", f"/{question}&{how}")


@door(*SEARCHES, types=ALONE)
async def chains(ask: Ask, type: str) -> None:
    """From what is seen to what is hidden, the other way round, and through what is hidden."""
    place = ask.place
    of, hidden, number = f"patient={place.patient}", place.id(""), f"{NUMBERS}|{place.number}"
    await ask.search("/Observation", f"{of}&derived-from.status=current")
    seen = (
        f"Observation?{of}&derived-from.status=current",
        f"DocumentReference?{of}&relatesto.description=Lettre",
        f"Observation?{of}&derived-from:DocumentReference.identifier={number}",
        f"Observation?{of}&derived-from:DocumentReference._id={hidden}",
        f"Observation?{of}&derived-from:DocumentReference._lastUpdated=ge2020-01-01",
        f"Observation?{of}&derived-from:DocumentReference.{of}",
        f"Observation?{of}&encounter.status=finished",
        f"List?{of}&item:Observation.status=final",
        f"Observation?_id={place.derived}&derived-from.description=Lettre",
    )
    behind = (
        f"Observation?{of}&encounter._id={place.meeting}",
        f"Observation?_id={hidden}&derived-from._id={place.shown}",
        f"DocumentReference?{of}&relatesto._id={place.shown}",
        f"Encounter?{of}&patient._lastUpdated=ge2020-01-01&date=ge2026-01-01",
    )
    through = (
        f"Observation?{of}&derived-from:DocumentReference.relatesto._id={place.shown}",
        f"List?{of}&item:DocumentReference.relatesto.description=Lettre",
        f"List?{of}&item:Observation.encounter._id={place.meeting}",
    )
    await _each(ask, (*seen, *behind, *through), totals=3)


@door(*SEARCHES, types=ALONE)
async def chains_into_what_is_contained(ask: Ask, type: str) -> None:
    """A seen document contains an observation that was made from something hidden, during something hidden."""
    place = ask.place
    pulse, hidden = f"DocumentReference?patient={place.patient}&related:Observation.", place.id("")
    await _each(
        ask,
        (
            f"{pulse}derived-from=DocumentReference/{hidden}",
            f"{pulse}derived-from:missing=false",
            f"{pulse}derived-from:missing=true",
            f"{pulse}derived-from.status=current",
            f"{pulse}derived-from:DocumentReference.identifier={NUMBERS}|{place.number}",
            f"{pulse}encounter=Encounter/{hidden}",
            f"{pulse}encounter:missing=true",
            f"{pulse}encounter.status:not=planned",
            f"DocumentReference?patient={place.patient}&_filter="
            + _quoted("not (related:Observation.derived-from pr true)"),
            f"List?patient={place.patient}&item:DocumentReference.related:Observation.encounter.status=finished",
        ),
        totals=3,
    )


@door("GET type", types=ALONE)
async def chains_that_name_nobody(ask: Ask, type: str) -> None:
    """A professional names the patient beside the chain; what is stored has no part in it."""
    place = ask.place
    hidden = place.id("")
    for question in (
        f"Observation?derived-from:DocumentReference._id={hidden}",
        f"Observation?derived-from:DocumentReference.patient={place.patient}",
        "Observation?subject:Patient.family=Porte&subject:Patient.birthdate=2015-05-14",
        f"Patient?_has:Observation:patient:derived-from=DocumentReference/{place.shown}",
        f"DocumentReference?_has:Observation:derived-from:_id={hidden}",
        f"DocumentReference?_list={place.gathers}",
        f"DocumentReference?_filter={_quoted(f'patient eq Patient/{place.patient}')}",
        f"DocumentReference?_filter={_quoted(f'_id eq {hidden}')}",
        f"Patient?_filter={_quoted(f'identifier eq {place.ins}')}",
    ):
        await ask.send("GET", f"/{question}")


@door("GET type", types=ALONE)
async def reverse_chains(ask: Ask, type: str) -> None:
    """By what is hidden and points to what is seen, and by what is seen and points to what is hidden."""
    place = ask.place
    of, hidden, number = f"patient={place.patient}", place.id(""), f"{NUMBERS}|{place.number}"
    questions = (
        f"DocumentReference?{of}&_has:Observation:derived-from:status=final",
        f"DocumentReference?{of}&_has:DocumentReference:relatesto:description=Lettre",
        f"DocumentReference?{of}&_has:Observation:derived-from:identifier={number}",
        f"DocumentReference?{of}&_has:Observation:derived-from:_lastUpdated=ge2020-01-01",
        f"DocumentReference?_id={place.shown}&_has:Observation:derived-from:encounter._id={place.meeting}",
        f"DocumentReference?{of}&_has:Observation:derived-from:_has:List:item:status=current",
        f"DocumentReference?{of}&_has:DocumentManifest:item:status=current",
        f"Encounter?{of}&_has:Observation:encounter:status=final",
        f"Encounter?{of}&_has:Observation:encounter:_id={hidden}",
        f"Patient?_id={place.patient}&_has:DocumentReference:patient:description=Lettre",
        f"Patient?_id={place.patient}&_has:Encounter:patient:date=ge2026-01-01",
        f"Practitioner?_id={WRITER}&_has:DocumentReference:author:description=Lettre",
        f"Practitioner?_id={WRITER}&_has:DocumentReference:author:{of}",
        f"Practitioner?_id={WRITER}&_has:DocumentReference:author:identifier={number}",
    )
    await _each(ask, questions, totals=2)


@door("GET type", types=ALONE)
async def presence(ask: Ask, type: str) -> None:
    """Whether there is a reference, and what goes with it."""
    place = ask.place
    of = f"patient={place.patient}"
    asked = (
        ("Observation", ("derived-from", "encounter", "derived-from:DocumentReference.identifier")),
        ("DocumentReference", ("relatesto", "relation", "relationship", "location", "contenttype", "author")),
        ("List", ("item", "encounter.date")),
        ("Encounter", ("date", "_has:Observation:encounter:identifier")),
    )
    questions = [
        f"{each}?{of}&{name}:missing={value}" for each, names in asked for name in names for value in ("true", "false")
    ]
    await _each(ask, questions, totals=2)


@door("GET type", types=ALONE)
async def filters(ask: Ask, type: str) -> None:
    place = ask.place
    of, hidden = f"patient={place.patient}", place.id("")
    document = f"DocumentReference/{hidden}"
    asked = (
        ("Observation", f"derived-from re {document}"),
        ("Observation", f"not (derived-from re {document})"),
        ("Observation", f"derived-from ne DocumentReference/{place.shown}"),
        ("Observation", "derived-from pr true"),
        ("Observation", "derived-from.description eq Lettre or encounter.status eq finished"),
        ("Observation", "not (encounter.status eq finished)"),
        ("Observation", f"identifier eq {place.number}"),
        ("Observation", f"derived-from:DocumentReference.identifier ne {place.number}"),
        ("DocumentReference", "relation eq appends"),
        ("DocumentReference", "not (relation eq appends) and relatesto pr false"),
        ("DocumentReference", "_has:Observation:derived-from:status eq final"),
        ("DocumentReference", "not (_has:Observation:derived-from:status eq final)"),
        ("DocumentReference", "_lastUpdated ge 2020-01-01 and not (relatesto.description pr true)"),
        ("DocumentReference", f"relation in {RELATIONS}"),
        ("List", f"item eq Observation/{hidden} or item eq DocumentReference/{place.shown}"),
        ("Encounter", f"_has:Observation:encounter:_id eq {hidden}"),
    )
    await _each(ask, (f"{each}?{of}&_filter={_quoted(told)}" for each, told in asked), totals=2)


@door("GET type", types=ALONE)
async def lists_and_value_sets(ask: Ask, type: str) -> None:
    place = ask.place
    of = f"patient={place.patient}"
    questions = (
        f"DocumentReference?{of}&_list={place.gathers}",
        f"Observation?{of}&_list={place.gathers}",
        f"Observation?_list={place.gathers}&_id={place.id('')}",
        f"DocumentReference?{of}&_list={place.id('')},{place.gathers}",
        f"DocumentReference?{of}&relation:in={RELATIONS}",
        f"DocumentReference?{of}&relation:not-in={RELATIONS}",
        f"DocumentReference?{of}&contenttype:in={RELATIONS}",
        f"Observation?{of}&derived-from:DocumentReference.relation:in={RELATIONS}",
    )
    await _each(ask, questions)


@door("GET type", types=ALONE)
async def orders(ask: Ask, type: str) -> None:
    """By what points to something hidden and by what goes with it, there and back again."""
    place = ask.place
    of = f"patient={place.patient}"
    asked = (
        ("DocumentReference", ("relatesto", "-relation", "location", "relation,-date", "-contenttype,creation,-_id")),
        ("Observation", ("derived-from", "-encounter", "encounter,-derived-from", "identifier,-_lastUpdated")),
        ("Encounter", ("-date", "identifier")),
    )
    for each, keys in asked:
        for key in keys:
            await ask.there_and_back(f"/{each}?{of}&_sort={key}&{TOTALS[0]}")
    await ask.there_and_back(f"/?_type=Observation,DocumentReference,List,Encounter&{of}&_sort=-_lastUpdated&_count=1")
    await ask.send("GET", f"/DocumentReference?{of}&_sort=relation&_summary=count")


@door("GET type", types=ALONE)
async def includes_step_by_step(ask: Ask, type: str) -> None:
    """Of what is hidden, through what is hidden, and of everything there is."""
    place = ask.place
    for question in (
        f"Observation?_id={place.derived}&_include=Observation:derived-from&_include:iterate=DocumentReference:relatesto",
        f"Observation?_id={place.derived}&_include=Observation:encounter&_revinclude:iterate=Observation:encounter",
        f"Observation?_id={place.id('')}&_include=*",
        f"Observation?patient={place.patient}&_include:iterate=*",
        f"List?_id={place.gathers}&_revinclude=List:*&_include:iterate=List:item&_include:iterate=Observation:*",
        f"Encounter?_id={place.meeting}&_revinclude=*",
        f"DocumentReference?_id={place.shown}&_include:iterate=*&_revinclude:iterate=Observation:*",
        f"Practitioner?_id={WRITER}&_revinclude=DocumentReference:author&_revinclude:iterate=Observation:derived-from",
    ):
        await ask.send("GET", f"/{question}")


@door("GET type", types=ALONE)
async def parts_of_what_refers(ask: Ask, type: str) -> None:
    place = ask.place
    for part in (*PARTS, "_elements=derivedFrom,entry,relatesTo,encounter", "_summary=count"):
        for each, id in (("List", place.gathers), ("Observation", place.derived), ("DocumentReference", place.shown)):
            await ask.send("GET", f"/{each}?patient={place.patient}&_id={id}&{part}")
    await ask.send("GET", f"/List?patient={place.patient}&_include=List:item&_elements=description,status")


COMPARTMENTS: Final = (
    "GET type/id/*",
    "HEAD type/id/*",
    "POST type/id/_search",
    "GET type/id/type",
    "HEAD type/id/type",
    "POST type/id/type/_search",
)


@door(*COMPARTMENTS, types=ALONE)
async def compartments(ask: Ask, type: str) -> None:
    """Around what is hidden; around what is seen, with members hidden; around a hidden patient."""
    place = ask.place
    of, hidden = f"patient={place.patient}", place.id("")
    centres = (f"Encounter/{hidden}", f"Encounter/{place.meeting}", f"Patient/{place.patient}")
    for centre in centres:
        await ask.send("GET", f"/{centre}/*?_type=Observation,Encounter&{of}&_include=Observation:*")
        await ask.send("GET", f"/{centre}/Observation?_total=accurate")
        await ask.search(f"/{centre}/Observation", of)
    await ask.there_and_back(f"/Patient/{place.patient}/*?_count=3")
    await ask.send("GET", f"/Encounter/{hidden}/*?{of}&_summary=count")
    await ask.send("HEAD", f"/Encounter/{place.meeting}/*")
    await ask.send("POST", f"/Encounter/{place.meeting}/_search", content=of, headers=FORM)
    for question in (
        f"Patient/{place.patient}/DocumentReference?relatesto.description=Lettre",
        f"Patient/{place.patient}/Observation?_filter={_quoted('derived-from pr true')}",
        f"Patient/{place.patient}/Binary",
        f"Patient/{place.patient}/AuditEvent",
        f"Encounter/{place.meeting}/Observation?{of}&derived-from:DocumentReference._id={place.shown}",
        f"Encounter/{hidden}/Encounter?{of}",
        f"RelatedPerson/{place.key}-guard/Appointment?{of}",
        f"Practitioner/{WRITER}/DocumentReference?{of}",
        f"Practitioner/{WRITER}/DocumentReference",
    ):
        await ask.pages(f"/{question}")


@door(
    "GET type/id/$everything",
    "POST type/id/$everything",
    "GET type/$everything",
    "POST type/$everything",
    types=ALONE,
)
async def everything(ask: Ask, type: str) -> None:
    """Of a hidden patient and a hidden stay; of those seen, with members hidden."""
    place = ask.place
    of_patient, of_stay = (f"/{one}/$everything" for one in (f"Patient/{place.patient}", f"Encounter/{place.meeting}"))
    for url in (of_patient, of_stay, f"/Encounter/{place.id('')}/$everything"):
        await ask.send("GET", f"{url}?_type=Observation,DocumentReference&start=2026-01-01&_since=2020-01-01T00:00:00Z")
    await ask.there_and_back(f"{of_patient}?_count=4")
    await ask.send("GET", of_stay)
    await ask.post(of_patient, parameters({"name": "_count", "valueInteger": 1}))
    await ask.send("POST", f"/Encounter/{place.id('')}/$everything")
    await ask.send("GET", "/Patient/$everything?_count=3")
    await ask.send("POST", "/Patient/$everything")


@door("POST type", types=("DocumentReference",), writes=True)
async def create_unless_around_there_is(ask: Ask, type: str) -> None:
    place = ask.place
    of = f"patient={place.patient}"
    conditions = (
        f"{of}&relatesto.description=Lettre",
        f"{of}&_has:Observation:derived-from:identifier={NUMBERS}|{place.number}",
        f"{of}&_filter={_quoted(f'identifier eq {place.number}')}",
        f"_id={place.id('')}&_has:DocumentManifest:item:status=current",
        f"_has:Observation:derived-from:_id={place.id('')}",
    )
    for condition in conditions:
        made = await ask.post("/DocumentReference", deposit(place), If_None_Exist=condition)
        if made.status_code == 201:
            await ask.send("DELETE", f"/DocumentReference/{made.json()['id']}")


@door("POST ", types=ALONE, writes=True)
async def batch_around(ask: Ask, type: str) -> None:
    place = ask.place
    of, hidden = f"patient={place.patient}", place.id("")
    urls = (
        f"Observation?{of}&derived-from.description=Lettre",
        f"DocumentReference?{of}&_has:Observation:derived-from:status=final",
        f"DocumentReference?{of}&_filter={_quoted('relation eq appends')}",
        f"Patient/{place.patient}/*",
        f"Encounter/{hidden}/Observation?{of}",
        f"Encounter/{hidden}/$everything",
        f"Patient/{place.patient}/$everything",
    )
    entries = [_entry("GET", url) for url in urls]
    await ask.post("", {"resourceType": "Bundle", "type": "batch", "entry": entries})


@door("GET type", types=ALONE, of_trail=True)
async def traces_around(ask: Ask, type: str) -> None:
    """What one did, asked by what is true of what it was done to."""
    place = ask.place
    of = f"patient=Patient/{place.patient}"
    elsewhere = f"not (patient re Patient/{place.patient}) and entity re DocumentReference/{place.id('')}"
    await ask.send("GET", f"/DocumentReference/{place.id('')}")
    await ask.send("GET", f"/Observation?patient={place.patient}&derived-from.description=Lettre")
    for question in (
        f"{of}&entity:DocumentReference.description=Lettre",
        f"entity:DocumentReference.identifier={place.number}",
        f"{of}&entity:DocumentReference._has:Observation:derived-from:status=final",
        f"_filter={_quoted(f'patient re Patient/{place.patient}')}",
        f"_filter={_quoted(elsewhere)}",
        f"patient:missing=true&entity=DocumentReference/{place.id('')}",
        f"_list={place.gathers}",
    ):
        await ask.send("GET", f"/AuditEvent?{question}", headers={"Prefer": "handling=strict"})

"""The doors in XML: the ways in whose answers are turned into XML, and whose bodies are read from it.

More rows of the door matrix (`doors`). What is decided does not depend on the representation; that the two worlds stay
equal when it is another one is shown here.
"""

from __future__ import annotations

import json
from typing import Final

from tests.http.asking import FORM, Ask
from tests.http.doors import (
    ALONE,
    DOORS,
    OF_RECORD,
    SEARCHES,
    SYSTEM_SEARCHES,
    _entry,
    deposit,
    door,
    parameters,
    pointing,
)
from tests.http.worlds import NUMBERS, Resource, target
from tests.in_xml import AS_XML, BOTH, xml
from tests.patches import add as adding
from tests.patches import delete as deleting

__all__ = ["DOORS"]


@door("GET type/id", "HEAD type/id", "GET type/id/_history/vid", "GET type/id/_history")
async def read_in_xml(ask: Ask, type: str) -> None:
    url = f"/{type}/{ask.place.id(type)}"
    for path in (url, f"{url}?_summary=true", f"{url}?_pretty=true", f"{url}/_history/1", f"{url}/_history"):
        await ask.send("GET", path, headers=AS_XML)
    await ask.send("HEAD", url, headers=AS_XML)
    await ask.send("GET", f"{url}?_format=xml", headers={"If-None-Match": 'W/"1"'})
    await ask.send("GET", url, headers={"Accept": "text/xml"})
    await ask.send("GET", url, headers={"Accept": "text/html"})


@door(*SEARCHES, types=OF_RECORD)
async def search_in_xml(ask: Ask, type: str) -> None:
    for query in (f"_id={ask.place.id(type)}", f"patient={ask.place.patient}&_count=1&_sort=_id"):
        await ask.pages(f"/{type}?{query}&_format=xml")
        await ask.send("HEAD", f"/{type}?{query}", headers=AS_XML)
        await ask.send("POST", f"/{type}/_search", content=f"{query}&_format=xml", headers=FORM)
    await ask.send("GET", f"/{type}?patient={ask.place.patient}&_summary=count", headers=AS_XML)


@door(*SYSTEM_SEARCHES, "GET type", types=ALONE)
async def what_refers_in_xml(ask: Ask, type: str) -> None:
    """Around what is hidden: a reference that is not shown, an include that finds nothing."""
    place = ask.place
    for each, id in (("List", place.gathers), ("Observation", place.derived), ("DocumentReference", place.shown)):
        await ask.send("GET", f"/{each}/{id}", headers=AS_XML)
    for query in (
        f"List?_id={place.gathers}&_include=List:item",
        f"Observation?_id={place.derived}&_include=*&_revinclude=*",
        f"?_type=List,Observation&patient={place.patient}&_count=1",
    ):
        await ask.pages(f"/{query}{'&' if '?' in query else '?'}_format=xml")
    await ask.send("HEAD", f"?_type=Observation&patient={place.patient}", headers=AS_XML)
    form = f"_type=Observation&patient={place.patient}"
    await ask.send("POST", "/_search", content=form, headers=FORM | AS_XML)


@door("PUT type/id", "PUT type", writes=True)
async def update_in_xml(ask: Ask, type: str) -> None:
    url, body = f"/{type}/{ask.place.id(type)}", xml(target(type, ask.place) | {"language": "fr"})
    await ask.send("PUT", url, content=b"<", headers=BOTH)
    await ask.send("PUT", url, content=body.replace(b"<language", b"<tongue"), headers=BOTH)
    for condition in ({"If-None-Match": "*"}, {"If-Match": 'W/"9"'}, {"If-Match": 'W/"1"'}):
        await ask.send("PUT", url, content=body, headers=BOTH | condition)
    await ask.send("PUT", f"/{type}?_id={ask.place.id(type)}", content=body, headers=BOTH)


@door("PATCH type/id", "PATCH type", writes=True)
async def patch_in_xml(ask: Ask, type: str) -> None:
    url = f"/{type}/{ask.place.id(type)}"
    await ask.send("PATCH", url, content=b"<", headers=BOTH)
    for change in (
        (deleting(f"{type}.unheard"),),
        (deleting(f"{type}.language"), adding(type, "language", valueCode="fr")),
    ):
        for condition in ({"If-Match": 'W/"9"'}, {}):
            await ask.send("PATCH", url, content=xml(parameters(*change)), headers=BOTH | condition)
    await ask.send(
        "PATCH", f"/{type}?_id={ask.place.id(type)}", content=xml({"resourceType": "Parameters"}), headers=BOTH
    )


@door("POST type", types=("DocumentReference",), writes=True)
async def create_in_xml(ask: Ask, type: str) -> None:
    """Pointing at what is hidden, and unless there is what is hidden."""
    place = ask.place
    await ask.send("POST", f"/{type}", content=xml(deposit(place, content=pointing(place))), headers=BOTH)
    condition = {"If-None-Exist": f"identifier={NUMBERS}|{place.number}"}
    made = await ask.send("POST", f"/{type}", content=xml(deposit(place)), headers=BOTH | condition)
    if made.status_code == 201:
        await ask.send("DELETE", "/" + "/".join(made.headers["location"].split("/")[-4:-2]))


def _ways(ask: Ask, each: str) -> list[Resource]:
    place = ask.place
    url = f"{each}/{place.id(each)}"
    return [
        _entry("GET", url),
        _entry("GET", f"{each}?_id={place.id(each)}"),
        _entry("PUT", url, target(each, place), ifMatch='W/"9"'),
        _entry("PATCH", url, parameters(deleting(f"{each}.language"))),
        _entry("DELETE", url, ifMatch='W/"9"'),
    ]


IN_BUNDLES: Final = ("DocumentReference", "Patient")


@door("POST ", types=ALONE, writes=True)
async def batch_in_xml(ask: Ask, type: str) -> None:
    place = ask.place
    entries = [entry for each in IN_BUNDLES for entry in _ways(ask, each)]
    entries.append(_entry("GET", f"DocumentReference?patient={place.patient}&_include=DocumentReference:relatesto"))
    await ask.send("POST", "", content=xml(_bundle("batch", entries)), headers=BOTH)
    await ask.send("POST", "", content=json.dumps(_bundle("batch", entries)), headers=AS_XML | JSON_BODY)


@door("POST ", types=ALONE, writes=True)
async def transaction_in_xml(ask: Ask, type: str) -> None:
    for each in IN_BUNDLES:
        for entry in _ways(ask, each):
            await ask.send("POST", "", content=xml(_bundle("transaction", [entry])), headers=BOTH)


JSON_BODY: Final = {"Content-Type": "application/fhir+json"}


def _bundle(type: str, entries: list[Resource]) -> Resource:
    return {"resourceType": "Bundle", "type": type, "entry": entries}


@door("GET type", types=ALONE, of_trail=True)
async def traces_in_xml(ask: Ask, type: str) -> None:
    """What one did to what is hidden, as one's own trail tells it."""
    place = ask.place
    await ask.send("GET", f"/DocumentReference/{place.id('')}", headers=AS_XML)
    await ask.send("GET", f"/AuditEvent?patient=Patient/{place.patient}&_sort=-date", headers=AS_XML)

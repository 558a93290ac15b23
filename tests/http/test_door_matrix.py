"""Every door, in every circumstance, tells of what is hidden what it tells of what is not there (access §5, §9).

Rows are the doors (`doors`), which cover every route of the capability statement; columns are the circumstances
(`worlds`). Each cell is played in two worlds, with and without the hidden thing, and all that comes back must be equal
but for ids and moments: status, headers, bytes; and afterwards the requester's own trail.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from itertools import zip_longest
from typing import Any

import httpx
import pytest
from pymongo import MongoClient

from fhir_server.consent.circumstances import Domain, domain_of
from fhir_server.definitions.load import load
from fhir_server.definitions.operations import read_operations
from fhir_server.http.capability import routes_of
from fhir_server.http.routes import SHAPES, Interaction
from fhir_server.operations import OPERATIONS
from fhir_server.operations.operation import offered
from fhir_server.record.elements import ELEMENT_NAMES
from fhir_server.record.labels import INVISIBLE_PATIENT, INVISIBLE_REPRESENTANTS_LEGAUX
from tests.build import authorisation
from tests.http.asking import FHIR_JSON, Ask, Wires, events, readable, told
from tests.http.doors import SYSTEM, Door
from tests.http.doors_xml import DOORS
from tests.http.worlds import (
    AROUND,
    BY_NAME,
    CARE_GROUND,
    CIRCUMSTANCES,
    EVERYTHING,
    GROUND,
    LABELLED,
    RELATIONS,
    Circumstance,
    House,
    Place,
    Resource,
    common,
    everybody,
    guardian,
    holder,
    issuers,
    patient,
    places,
    target,
)
from tests.minimal import minimal, types
from tests.served import ROOT, serving

CAPABILITIES = {("GET", "metadata"), ("HEAD", "metadata")}
"""Open to everybody, and about nobody."""


@pytest.fixture(scope="module")
async def house(mongo_uri: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """A server of our own, with an issuer for each realm."""
    folder = tmp_path_factory.mktemp("doors")
    keys, setting = issuers(folder)
    environment = {"FHIR_ISSUERS": setting, "FHIR_DATABASE": "doors"}
    with (
        serving(folder / "data", "--mongodb-uri", mongo_uri, demo=False, env=environment) as served,
        MongoClient[dict[str, Any]](mongo_uri) as database,
    ):
        async with httpx.AsyncClient(base_url=served.base, transport=Wires(served.base)) as client:
            house = House(served.base, keys, database["doors"], client)
            await house.write(patient(GROUND), patient(CARE_GROUND), *common())
            house.to_care(CARE_GROUND)
            yield house
        database.drop_database("doors")


@pytest.fixture(scope="module")
async def worlds(house: House) -> dict[str, tuple[Place, Place, Place]]:
    """The worlds of every circumstance."""
    made = {one.name: places(one) for one in CIRCUMSTANCES}
    wanted = [
        (one, place, hidden)
        for one in CIRCUMSTANCES
        for place, hidden in zip(made[one.name], (True, False), strict=False)
    ]
    await asyncio.gather(*(one.build(house, place, hidden=hidden) for one, place, hidden in wanted))
    return made


async def knock(house: House, door: Door, type: str, token: str, place: Place) -> list[str]:
    """All that the requester is told at this door, comparable between worlds."""
    ask = Ask(house.client, token, place, door.number, type)
    await door.walk(ask, type)
    return [told(one, place) for one in ask.answers]


async def own_trail(house: House, token: str, place: Place, since: datetime) -> list[str]:
    """What the requester finds in the trail of what he did in this world; nothing for those who may read none."""
    url = f"/AuditEvent?date=ge{since:%Y-%m-%dT%H:%M:%SZ}&_count=1000"
    bundles = []
    while url:
        answer = await house.client.get(url, headers={"Authorization": f"Bearer {token}"})
        bundles.append(answer.json())
        url = next((link["url"] for link in bundles[-1].get("link", []) if link["relation"] == "next"), "")
    return events(bundles, place)


def difference(with_it: list[str], without: list[str]) -> str:
    """What is told in one world and not in the other, around where it parts; nothing when they are equal."""
    only = (Counter(with_it) - Counter(without)).elements(), (Counter(without) - Counter(with_it)).elements()
    parts: list[str] = []
    for one, other in zip_longest(*only, fillvalue=""):
        where = max(next((at for at, both in enumerate(zip(one, other, strict=False)) if len({*both}) > 1), 0) - 150, 0)
        line = one.partition("\n")[0] or other.partition("\n")[0]
        parts.append(f"  {line[:120]}\n    hidden: …{one[where:][:400]!r}\n    absent: …{other[where:][:400]!r}")
    return "\n".join(parts[:4])


def types_of(door: Door, circumstance: Circumstance) -> list[str]:
    """The types of a cell: the hidden ones that the door is for."""
    if circumstance.reads_trail and door.of_trail:
        return []
    if door.of_status and (circumstance.may_feed or circumstance.may_ask_status):
        return []
    if door.types == (SYSTEM,):
        return [SYSTEM]
    if door.into_record and circumstance.may_feed and not circumstance.own_record:
        return []
    tried = door.types if door.types is not None else [type for type in circumstance.hidden if type not in AROUND]
    return [type for type in circumstance.hidden if type in tried]


@pytest.mark.parametrize("name", BY_NAME)
async def test_hidden_is_absent(house: House, worlds: dict[str, tuple[Place, Place, Place]], name: str) -> None:
    """Of a hidden thing the requester is told what he is told of one that is not there."""
    circumstance, (there, absent, nowhere) = BY_NAME[name], worlds[name]
    tokens = [circumstance.asks(house, place) for place in (there, absent, nowhere)]
    since, few = datetime.now(UTC), asyncio.Semaphore(16)

    async def leak(door: Door, type: str) -> str:
        async with few:
            with_it, without = await asyncio.gather(
                knock(house, door, type, tokens[0], there), knock(house, door, type, tokens[1], absent)
            )
            if with_it != without:
                return f"{door.name} {type}: hidden and absent differ\n{difference(with_it, without)}"
            refused = {one for one in without if " -> 403\n" in one}
            if refused and circumstance.twin:
                # closed to this requester whatever is stored: also where there is nothing at all
                anywhere = await knock(house, door, type, tokens[2], nowhere)
                if not refused <= set(anywhere):
                    return (
                        f"{door.name} {type}: a 403 that depends on what is stored\n{difference([*refused], anywhere)}"
                    )
            return ""

    cells = [(door, type) for door in DOORS for type in types_of(door, circumstance)]
    # in one's own record, what is written at one door shows at the others; the trail shows all that was asked before
    alone = [cell for cell in cells if cell[0].of_trail or (cell[0].writes and circumstance.own_record)]
    found = [await leak(*cell) for cell in alone if cell[0].of_trail]
    found += await asyncio.gather(*(leak(*cell) for cell in cells if cell not in alone))
    found += [await leak(*cell) for cell in alone if not cell[0].of_trail]
    if not circumstance.reads_trail:
        trails = [await own_trail(house, tokens[world], place, since) for world, place in enumerate((there, absent))]
        found.append("" if trails[0] == trails[1] else f"the requester's own trail differs\n{difference(*trails)}")
    leaks = [one for one in found if one]
    if leaks:
        pytest.fail("\n\n".join(leaks))


TELLS_NOBODY = {
    ("create_to_govern", "RelatedPerson"),
    ("create_to_govern", "Patient"),
    ("search_two_records", "Consent"),
    ("terminology", SYSTEM),
    ("snapshot", SYSTEM),
}
"""Doors that answer the same to everybody who may see: no cell of theirs can fail."""


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.name)
async def test_every_door_tells_those_who_may_see(house: House, door: Door) -> None:
    """The comparison can fail: to somebody who may see, each door does tell the two worlds apart."""
    within = door.writes and not door.into_record and door.types is not None and set(door.types) <= {*LABELLED}
    open_to_all = Circumstance("open", holder, LABELLED if within else EVERYTHING, decided=everybody, may_feed=False)
    into = "" if within else GROUND.key
    there, absent = Place(f"open-{door.number}.a", into=into), Place(f"open-{door.number}.b", into=into)
    await open_to_all.build(house, there, hidden=True)
    await open_to_all.build(house, absent, hidden=False)
    for type in types_of(door, open_to_all):
        if (door.name, type) in TELLS_NOBODY:
            continue
        for who in ("medecin-traitant", "patient", "conformance"):
            tokens = [holder(house, place) if who == "patient" else house.token(who) for place in (there, absent)]
            with_it = await knock(house, door, type, tokens[0], there)
            without = await knock(house, door, type, tokens[1], absent)
            if with_it != without:
                break
        else:
            pytest.fail(f"{door.name} of {type or 'the system'} tells nobody anything; its row proves nothing")


def test_every_route_has_a_door() -> None:
    """A new route arrives red: it needs a row in the matrix."""
    rest = json.loads((ROOT / "capability_statement.json").read_text())["rest"][0]
    routes = routes_of(rest, offered(OPERATIONS, read_operations(ROOT / "profiles" / "OperationDefinition")))
    needed = {(method, shape) for method, shape, _, _ in routes} - CAPABILITIES
    assert needed == {through for door in DOORS for through in door.through}


def test_every_interaction_is_known_to_the_routes() -> None:
    assert set(SHAPES) == set(Interaction)


def test_the_rows_have_names_of_their_own() -> None:
    assert len({door.name for door in DOORS}) == len(DOORS)


# What no two worlds show


WITHHELD = (("invisible-to-patient", INVISIBLE_PATIENT, holder), ("secret", INVISIBLE_REPRESENTANTS_LEGAUX, guardian))


@pytest.mark.parametrize(("name", "label", "reader"), WITHHELD, ids=lambda one: one if isinstance(one, str) else "")
async def test_the_trail_of_a_record_does_not_tell_what_is_hidden_in_it(
    house: House, name: str, label: str, reader: Callable[[House, Place], str]
) -> None:
    """Whatever others do with a hidden document, and however they name it, its holder finds no trace that names it."""
    place = Place(f"seen-{name}.a", into=GROUND.key)
    await Circumstance(name, reader, LABELLED, label, decided=everybody).build(house, place, hidden=True)
    seen = Circumstance(name, reader, LABELLED, may_feed=False)
    for who in ("medecin-traitant", "inconnu", "hopital"):
        lifts = who == "medecin-traitant"  # what he writes without the label is hidden no more
        doors = [one for one in DOORS if not one.into_record and not (one.writes and lifts)]
        cells = [(door, type) for door in doors for type in types_of(door, seen)]
        await asyncio.gather(*(knock(house, door, type, house.token(who), place) for door, type in cells))
    headers = {"Authorization": f"Bearer {reader(house, place)}"}
    traces: list[Any] = []
    url = f"/AuditEvent?patient={place.patient}&_count=1000"
    while url:
        page = (await house.client.get(url, headers=headers)).json()
        traces += readable(page).get("entry", [])
        url = next((link["url"] for link in page["link"] if link["relation"] == "next"), "")
    assert len(traces) > 50
    telling = [json.dumps(one["resource"].get("entity")) for one in traces]
    hidden = (place.id(""), place.number)
    leaks = [one for one in telling if any(name in one for name in hidden)]
    if leaks:
        pytest.fail("\n".join(one[:1500] for one in leaks[:8]))


async def test_stored_definitions_are_of_their_realm(house: House) -> None:
    """What one realm stores is not there for the other: not by its URL, not by its id, and nothing rests on it."""
    system: Resource = {"resourceType": "CodeSystem", "id": "doors-system", "url": "https://doors.example/system"}
    more = {"status": "active", "content": "complete", "concept": [{"code": "a"}]}
    profile: Resource = {
        "resourceType": "StructureDefinition",
        "id": "doors-profile",
        "url": "https://doors.example/profile",
        "name": "Doors",
        "status": "active",
        "kind": "resource",
        "abstract": False,
        "type": "Patient",
        "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Patient",
        "derivation": "constraint",
        "differential": {"element": [{"id": "Patient.photo", "path": "Patient.photo", "min": 1}]},
    }
    await house.write(system | more | {"valueSet": "https://doors.example/all"}, profile)
    rests_on_it = {"resourceType": "ValueSet", "status": "active", "compose": {"include": [{"system": system["url"]}]}}
    brought = {"resourceType": "Parameters", "parameter": [{"name": "valueSet", "resource": rests_on_it}]}
    here, elsewhere = house.token("inconnu"), house.token("inconnu", realm="reel")
    for path in (
        f"/ValueSet/$expand?url={RELATIONS}",
        "/ValueSet/doors-relations/$expand",
        f"/CodeSystem/$lookup?system={system['url']}&code=a",
        "/CodeSystem/doors-system/$validate-code?code=a",
        "/CodeSystem/doors-system/$subsumes?codeA=a&codeB=a",
        "/ValueSet/$expand?url=https://doors.example/all",
        f"/ValueSet/$validate-code?url=https://doors.example/all&system={system['url']}&code=a",
        "/StructureDefinition/doors-profile/$snapshot",
        f"/StructureDefinition/$snapshot?url={profile['url']}",
    ):
        assert (await house.client.get(path, headers=_bearer(here))).status_code == 200, path
        hidden = await house.client.get(path, headers=_bearer(elsewhere))
        absent = await house.client.get(path.replace("doors", "never"), headers=_bearer(elsewhere))
        assert hidden.status_code == 404, path
        assert hidden.text.replace("doors", "never") == absent.text
    for token, status in ((here, 200), (elsewhere, 422)):
        told = await house.client.post("/ValueSet/$expand", json=brought, headers=_bearer(token) | FHIR_JSON)
        assert told.status_code == status, told.text
    sent = {"resourceType": "Patient", "meta": {"profile": [profile["url"]]}}
    issues = []
    for token in (here, elsewhere):
        told = await house.client.post("/Patient/$validate", json=sent, headers=_bearer(token) | FHIR_JSON)
        issues.append({tuple(one["expression"]) for one in told.json()["issue"] if one["severity"] == "error"})
    assert ("Patient.photo",) in issues[0]
    assert ("Patient.photo",) not in issues[1]
    absent = json.loads(json.dumps(sent).replace("doors", "never"))
    found, missing = [
        await house.client.post("/Patient/$validate", json=one, headers=_bearer(elsewhere) | FHIR_JSON)
        for one in (sent, absent)
    ]
    assert found.text.replace("doors", "never") == missing.text


async def test_a_page_token_is_its_requesters_and_no_proof(house: House) -> None:
    """Another requester's page token is refused; after a revocation one's own shows nothing more."""
    place, rpps = Place("pages.a"), "89800000900"
    given = authorisation(rpps, id=f"{place.key}-a", patient=place.patient)
    more = [target("DocumentReference", place) | {"id": f"{place.key}-{number}"} for number in range(3)]
    await house.write(patient(place), given.resource, *more)
    claim = "extensions.ihe_iua.national_provider_identifier"
    asks, other = (house.token("inconnu", extra={claim: one}) for one in (rpps, "89800000901"))
    for path in (
        f"/DocumentReference?patient={place.patient}&_count=1",
        f"/DocumentReference/{place.key}-0/_history?_count=1",
    ):
        await house.write(given.resource | {"status": "active"}, more[0] | {"language": "fr"})
        first = await house.client.get(path, headers=_bearer(asks))
        following = next(link["url"] for link in first.json()["link"] if link["relation"] == "next")
        assert (await house.client.get(following, headers=_bearer(asks))).json()["entry"]
        assert (await house.client.get(following, headers=_bearer(other))).status_code in (400, 404)
        await house.write(given.resource | {"status": "inactive"})
        after = await house.client.get(following, headers=_bearer(asks))
        assert after.status_code == 404 or "entry" not in after.json()


def repeats(type: str, element: str) -> bool:
    return any(one.name == element and one.max is None for one in load().structures[type].elements)


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def test_a_stranger_learns_nothing_of_any_type(house: House) -> None:
    """Every type of R4 that is about somebody: read, search and update answer as if there were nothing."""
    there, absent = Place("types.a"), Place("types.b")
    token = house.token("inconnu")
    about = [one for one in types() if domain_of(one) not in (Domain.DIRECTORY, Domain.TRACE) and one != "Patient"]
    await house.write(patient(there))

    async def leak(type: str) -> str:
        element = ELEMENT_NAMES.get(type)

        def resource(place: Place) -> Resource:
            told = minimal(type, id=place.id(type))
            about = {"reference": f"Patient/{place.patient}"}
            return told | ({element: [about] if repeats(type, element) else about} if element else {})

        async def ask(place: Place) -> list[str]:
            asked = Ask(house.client, token, place, 0, type)
            await asked.send("GET", f"/{type}/{place.id(type)}")
            await asked.send("GET", f"/{type}?_id={place.id(type)}&_total=accurate")
            body = json.dumps(resource(place))
            await asked.send("PUT", f"/{type}/{place.id(type)}", content=body, headers=FHIR_JSON)
            return [told(one, place) for one in asked.answers]

        async with few:
            await house.write(resource(there))
            return difference(await ask(there), await ask(absent))

    few = asyncio.Semaphore(16)
    leaks = await asyncio.gather(*(leak(type) for type in about))
    assert not any(leaks), "\n".join(leaks)

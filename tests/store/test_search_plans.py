"""What a search looks at is little more than what it answers, whatever is asked of 200,000 resources.

mongod says so itself, by its profiler: the keys and the documents that every command examined, those included by which
the plan was chosen. Each shape of query has its own multiple of what is answered.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from itertools import permutations
from operator import itemgetter
from typing import Any, Final

import pytest

from fhir_server.consent.circumstances import Act
from fhir_server.consent.decide import together
from fhir_server.fhir.date import MIN
from fhir_server.fhir.reference import LocalReference
from fhir_server.identity.requester import Requester
from fhir_server.interactions.search import parse_pairs
from fhir_server.record.facts import NO_RECORD, Facts
from fhir_server.search.clause import DEFERRED, RecordNamed
from fhir_server.search.compartments import members, within
from fhir_server.search.predicate import Field, Predicate, Prefix, Span, all_of, any_of, one_of
from fhir_server.search.query import Query, parse
from fhir_server.search.sorting import NEWEST_FIRST, SortField, SortKey
from fhir_server.search.types import reference
from fhir_server.search.visible import Visible
from fhir_server.store import indexes
from fhir_server.store.connection import Database, connect, database
from fhir_server.store.document import Document
from fhir_server.store.filters import to_filter
from fhir_server.store.finding import Finding, TooCostly
from fhir_server.store.internal import Internal
from fhir_server.store.ordering import BY_ID, Order, Position
from fhir_server.store.plan import ENOUGH, MANY
from tests.build import SPECIALIST, authorisation, conformance, decision, patient, professional, record
from tests.store.search_world import (
    APART,
    CLASSES,
    CONTEXT,
    IN_LARGE,
    INS,
    LARGE,
    LOINC,
    PARAMETERS,
    RARE_CODE,
    RARE_KIND,
    TAGS,
    UCUM,
    fill,
)

NAME: Final = "search_plans"
DOCUMENTS: Final = "DocumentReference"


@pytest.fixture(scope="module")
async def world(mongo_uri: str) -> AsyncIterator[Database]:
    """The data set, in a database that tells how it answered."""
    client = connect(mongo_uri)
    held = database(client, NAME)
    await fill(held)
    await _profile(held)
    yield held
    await held.command("profile", 0)
    await client.drop_database(NAME)
    await client.close()


async def _profile(held: Database) -> None:
    await held.command("profile", 0)
    await held["system.profile"].drop()
    await held.create_collection("system.profile", capped=True, size=32_000_000)
    await held.command("profile", 2)


@dataclass(frozen=True)
class Looked:
    """What mongod did since it was last asked."""

    keys: int
    documents: int
    plans: tuple[str, ...]
    commands: tuple[Document, ...] = field(repr=False)


async def looked(held: Database) -> Looked:
    """What mongod says that it did, which it then forgets."""
    asked = {"op": {"$in": ["query", "command", "getmore"]}, "ns": f"{NAME}.resources"}
    found = await held["system.profile"].find(asked).sort("ts", 1).to_list()
    await _profile(held)
    plans = tuple(str(one.get("planSummary", "")) for one in found)
    for summary in plans:
        assert "COLLSCAN" not in summary, plans
    return Looked(
        sum(one.get("keysExamined", 0) for one in found),
        sum(one.get("docsExamined", 0) for one in found),
        tuple(summary[:120] for summary in plans),
        tuple(found),
    )


# What is asked, as a server asks it


def read(type: str, text: str) -> tuple[Query, Predicate]:
    """A query, and what it asks."""
    query = parse(type, parse_pairs(text), strict=True, context=CONTEXT)
    parts: list[Predicate] = [one_of(Field.TYPE, *query.types)]
    for clause in query.clauses:
        assert not isinstance(clause, DEFERRED), "resolved elsewhere"
        if isinstance(clause, RecordNamed):
            parts.append(clause.of_patient() if type == "Patient" else clause.predicate())
        else:
            parts.append(clause)
    return query, all_of(parts)


def visible(types: Sequence[str], who: Requester | None = None, facts: Facts = NO_RECORD) -> Visible:
    """What somebody may consult of some types: unless told, a client that may see all."""
    return together([decision(who or conformance(), type=type, facts=facts, act=Act.CONSULT) for type in types])


def of_record(id: str) -> Facts:
    return record(id, consents=[authorisation(SPECIALIST, patient=id)])


_known: dict[tuple[Predicate, tuple[SortKey, ...]], list[str]] = {}


async def unplanned(held: Database, wanted: Predicate, sort: tuple[SortKey, ...], of: str | None = None) -> list[str]:
    """What matches, in its order, by looking at everything there is of the types asked, or in a record."""
    if (wanted, sort) not in _known:
        keys = [str(key.source) for key in sort if isinstance(key.source, SortField)]
        where, among = to_filter(wanted), {"hint": indexes.BY_ON}
        if of is not None:
            where, among = {"$and": [{"$or": [{"record": of}, {"also": of}]}, where]}, {}
        found = await held["resources"].find(where, dict.fromkeys(["_id", *keys], 1), **among).to_list()
        found.sort(key=itemgetter("_id"))
        for key in reversed(sort):
            if isinstance(key.source, SortField):
                found.sort(key=itemgetter(key.source), reverse=key.descending)
        if sort[0].source is SortField.ON:
            found.sort(key=lambda one: one["on"] == MIN)
        _known[wanted, sort] = [one["_id"] for one in found]
    return _known[wanted, sort]


@dataclass(frozen=True)
class Shape:
    """A kind of query, and what it may look at."""

    name: str
    type: str
    query: str
    keys: float = 3
    """Keys of an index for each resource that matches, and one; where it is common, for each on the page."""
    documents: float = 3
    """Documents, likewise."""
    common: int = 0
    """So often up to ENOUGH keys are looked at before a page is walked: of each condition, and to the end of a walk."""
    read: int = 0
    """Of these, so often with their documents: for ranges."""
    entries: int = 0
    """Of several conditions, how many satisfy the rarest one, where that is more than satisfy all."""


MANY_AUTHORS: Final = ",".join(f"Practitioner/dr{number}" for number in range(1000, 1190))

SHAPES: Final = [
    # tokens
    Shape("system and code", DOCUMENTS, f"type={LOINC}|{RARE_KIND}"),
    Shape("code", DOCUMENTS, f"type={RARE_KIND}"),
    Shape("code without a system", DOCUMENTS, f"type=|{RARE_KIND}"),
    Shape("system", "Observation", f"code={LOINC}|", documents=2, common=2, read=1),
    Shape("system of nobody", "Observation", "code=https://nobody.example|"),
    Shape("common code", DOCUMENTS, f"type={LOINC}|34112-3", keys=4, documents=4, common=2),
    Shape("text of a code", "Condition", "code:text=Maladie 2,Maladie 3", keys=9, documents=9, common=2, read=1),
    Shape("identifier", DOCUMENTS, "identifier=urn:ietf:rfc:3986|urn:oid:1.2.d77"),
    Shape("identifier of a patient", "Patient", f"identifier={INS}|p8"),
    Shape("id", DOCUMENTS, "_id=d77,d78"),
    Shape("tag", DOCUMENTS, f"_tag={TAGS}|essai-clinique"),
    Shape("five codes", "Condition", "code=E00,E01,E02,E98765,E4"),
    # strings
    Shape("prefix", "Practitioner", "family=wolken"),
    Shape("prefix of some", "Practitioner", "family=martin", keys=18, documents=18),
    Shape("prefixes", "Practitioner", "family=wolken,zzz,abc", documents=4),
    Shape("exact", "Practitioner", "family:exact=Wolkenstein-Zábránský de Kergoat"),
    Shape("contains", "Practitioner", "name:contains=zabr", keys=5, documents=5),
    Shape("contains, longer than a tail", "Practitioner", "name:contains=zabransky de kergoat", keys=5, documents=5),
    Shape("contains, in a long text", "Practitioner", "name:contains=quetzalcoatl", keys=5, documents=5),
    Shape("contains, either", "Practitioner", "name:contains=zabr,kergoat", keys=7, documents=7),
    Shape("name and city", "Patient", "family=martin&address-city=Lyon", entries=100),
    # references
    Shape("reference", DOCUMENTS, "author=Practitioner/dr1"),
    Shape("many references", DOCUMENTS, f"author=Practitioner/dr1,{MANY_AUTHORS}", keys=16),
    # dates
    Shape("day", DOCUMENTS, "date=2020-05-05"),
    Shape("year", DOCUMENTS, "date=2020", common=2),
    Shape("since", DOCUMENTS, "date=ge2026-05-31"),
    Shape("long since", DOCUMENTS, "date=ge2020", common=2),
    Shape("after, little", DOCUMENTS, "date=gt2026-05-31T10:00:00Z", keys=12, documents=6),
    Shape("until", DOCUMENTS, "date=le2016-06-05", keys=6, documents=5),
    Shape("long until", DOCUMENTS, "date=lt2018", common=2),
    Shape("between", DOCUMENTS, "date=ge2020-05-05&date=lt2020-05-06"),
    Shape("about", DOCUMENTS, "date=ap2020-05-05", common=2),
    Shape("ends before", DOCUMENTS, "date=eb2016-06-06", keys=6),
    Shape("begins after", DOCUMENTS, "date=sa2026-05-31"),
    Shape("oldest first", DOCUMENTS, "date=2020&_sort=date", common=2),
    Shape("a date of many kinds, day", "Observation", "date=2020-05-05"),
    Shape("a date of many kinds, since", "Observation", "date=sa2026-05-31T18:00:00Z", keys=4, documents=4),
    Shape("death", "Patient", "death-date=gt2020"),
    Shape("updated", DOCUMENTS, "_lastUpdated=ge2026-05-31T23:00:00Z"),
    Shape("updated between", DOCUMENTS, "_lastUpdated=ge2024-07-05&_lastUpdated=lt2024-07-06", keys=9, documents=5),
    Shape("long updated", DOCUMENTS, "_lastUpdated=lt2024-06-05&_sort=-_lastUpdated", keys=15),
    Shape("updated, oldest first", DOCUMENTS, "_lastUpdated=gt2026-05-30&_sort=_lastUpdated", keys=7),
    # numbers and quantities
    Shape("number", "RiskAssessment", "probability=0.990"),
    Shape("number, above", "RiskAssessment", "probability=gt0.99", keys=30),
    Shape("number, below", "RiskAssessment", "probability=lt0.01", keys=5, documents=5),
    Shape("quantity", "Observation", "value-quantity=900"),
    Shape("quantity with its unit", "Observation", f"value-quantity=900|{UCUM}|mm[Hg]"),
    Shape("quantity, above", "Observation", "value-quantity=gt899", keys=40),
    Shape("quantity, below, with its unit", "Observation", f"value-quantity=lt10.5|{UCUM}|mm[Hg]"),
    Shape("composite", "Observation", f"code-value-quantity={LOINC}|{RARE_CODE}$gt10", keys=5),
    Shape("composite of a common code", "Observation", f"code-value-quantity={LOINC}|8000-0$gt890", keys=8),
    # uris
    Shape("uri", "ValueSet", "url=https://mos.example/NOS/vs100"),
    Shape("below", "ValueSet", "url:below=https://mos.example/JDV", documents=4),
    Shape("above", "ValueSet", "url:above=https://mos.example/NOS/vs100/x", keys=8),
    # presence
    Shape("there, of two", "Patient", "death-date:missing=false"),
    Shape("there, of nearly all", DOCUMENTS, "date:missing=false", common=2, read=1),
    Shape("a tag is there", DOCUMENTS, "_tag:missing=false", keys=5, documents=6),
    # together
    Shape(
        "two common ones that meet", DOCUMENTS, f"status=current&type={LOINC}|34112-3", keys=4, documents=4, common=3
    ),
    Shape("token and date", DOCUMENTS, f"type={LOINC}|34112-3&date=ge2019&date=lt2020", keys=4, documents=4, common=3),
    # orders
    Shape("newest first", DOCUMENTS, "_sort=-date"),
    Shape("oldest first of all", DOCUMENTS, "_sort=date"),
    Shape("last updated first", DOCUMENTS, "_sort=-_lastUpdated"),
    Shape("first updated first", DOCUMENTS, "_sort=_lastUpdated"),
    Shape("by id", DOCUMENTS, "_sort=_id"),
    Shape("by id, from the end", DOCUMENTS, "_sort=-_id"),
    Shape("by id, of a common code", DOCUMENTS, f"type={LOINC}|34112-3&_sort=_id", keys=4, documents=4, common=2),
    Shape("a directory", "Practitioner", "active=true", common=2),
    Shape("several keys", "Observation", f"code={RARE_CODE}&_sort=value-quantity,-date"),
]


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
async def test_a_page_looks_at_little(world: Database, shape: Shape) -> None:
    query, asked = read(shape.type, shape.query)
    allowed = visible(query.types)
    expected = await unplanned(world, all_of([asked, allowed.predicate]), query.sort)
    await looked(world)
    page = await Finding(world).search(asked, visible=allowed, order=Order(query.sort), limit=query.count)
    told = await looked(world)
    rows = max(len(page.resources if shape.common or not query.clauses else expected) + 1, shape.entries)
    assert told.keys <= shape.keys * rows + shape.common * ENOUGH, (told, rows)
    assert told.documents <= shape.documents * rows + shape.read * ENOUGH, (told, rows)
    found = [one.key for one in page.resources]
    if Order(query.sort).scalar is not None:
        assert found == expected[: query.count]
    assert set(found) <= set(expected)
    assert len(found) == min(query.count, len(expected))
    assert (page.next is not None) == (len(expected) > query.count)


@pytest.mark.parametrize("shape", [one for one in SHAPES if not one.common], ids=lambda shape: shape.name)
async def test_a_count_reads_what_it_counts(world: Database, shape: Shape) -> None:
    query, asked = read(shape.type, shape.query)
    if not query.clauses:
        pytest.skip("counts everything")  # reads everything
    allowed = visible(query.types)
    expected = await unplanned(world, all_of([asked, allowed.predicate]), query.sort)
    await looked(world)
    assert await Finding(world).count(asked, visible=allowed) == len(expected)
    told = await looked(world)
    rows = max(len(expected) + 1, shape.entries)
    assert told.keys <= shape.keys * rows, told
    assert told.documents <= shape.documents * rows, told


# The rarest condition, in whatever order they come


RARE: Final[dict[str, Predicate]] = {
    "token": one_of(Field.TERMS, f"type#{RARE_KIND}"),
    "tokens": one_of(Field.TERMS, f"type#{RARE_KIND}", "type#none"),
    "prefix": Prefix("description=suivi d'un traitement"),
    "prefixes": any_of([Prefix("description=suivi d'un traitement"), Prefix("description=zzz")]),
    "chain": reference.predicate(
        "author",
        [LocalReference("Practitioner", f"dr{n}") for n in range(1000, 5000)] + [LocalReference("Practitioner", "dr1")],
    ),
    "interval": Span("date", (("lo", "ge", 1_588_636_800_000_000), ("lo", "lt", 1_588_723_200_000_000))),
    "missing": any_of([Span("nothing", ()), one_of(Field.TERMS, "nothing:any")]),
}
COMMON: Final[dict[str, Predicate]] = {
    "token": one_of(Field.TERMS, "status#current"),
    "tokens": one_of(Field.TERMS, "status#current", "status#superseded"),
    "prefix": Prefix("description="),
    "prefixes": any_of([Prefix("description="), Prefix("author=")]),
    "interval": Span("period", (("lo", "ge", 0),)),
}


@pytest.mark.parametrize("order", [NEWEST_FIRST, (SortKey(SortField.LAST_UPDATED, descending=False),), BY_ID.keys])
@pytest.mark.parametrize("common", COMMON)
@pytest.mark.parametrize("rare", RARE)
async def test_the_rarest_condition_is_begun_with(
    world: Database, rare: str, common: str, order: tuple[SortKey, ...]
) -> None:
    """MongoDB would take an `=` before a list, and a range before either."""
    allowed = visible([DOCUMENTS])
    expected: set[str] | None = None
    for parts in permutations([one_of(Field.TYPE, DOCUMENTS), RARE[rare], COMMON[common]]):
        asked = all_of(parts)
        await looked(world)
        page = await Finding(world).search(asked, visible=allowed, order=Order(order), limit=20)
        told = await looked(world)
        begun = [str(one["command"].get("hint")) for one in told.commands if "find" in one["command"]]
        last = told.commands[-1]
        # of the list of a chain, a key is looked for each of its values
        assert last["keysExamined"] <= 100 + 4_100 * (rare == "chain"), told
        assert last["docsExamined"] <= 100, (told, begun)
        assert told.documents <= 200 + ENOUGH, told
        found = {one.key for one in page.resources}
        expected = expected if expected is not None else found
        assert found == expected


async def test_a_walk_that_meets_too_few_is_given_up(world: Database) -> None:
    """Each of two conditions is common, and hardly anything satisfies both."""
    query, asked = read(DOCUMENTS, f"status=superseded&category={CLASSES}|{APART}")
    await looked(world)
    page = await Finding(world).search(asked, visible=visible(query.types), order=Order(query.sort), limit=20)
    told = await looked(world)
    assert len(page.resources) == 6
    assert told.documents <= ENOUGH + 3_006 + 10, told
    assert told.keys <= 3 * ENOUGH + ENOUGH + 2 * MANY, told


# Lists, page by page


DEEP: Final = [
    (DOCUMENTS, "_sort=-date"),
    (DOCUMENTS, "_sort=date"),
    (DOCUMENTS, "_sort=-_lastUpdated"),
    (DOCUMENTS, "_sort=_lastUpdated"),
    (DOCUMENTS, "_sort=_id"),
    (DOCUMENTS, "_sort=-_id"),
    (DOCUMENTS, f"type={LOINC}|34112-3&_sort=-date"),
    (DOCUMENTS, f"type={LOINC}|34112-3&_sort=date"),
    (DOCUMENTS, "date=ge2018&_sort=-date"),
    ("Practitioner", "_sort=_lastUpdated"),
    ("Practitioner", "active=true"),
    ("Practitioner", "active=true&_sort=_id"),
    ("Observation", f"patient={LARGE}&_sort=-date"),
    ("Observation", f"patient={LARGE}&_sort=date"),
]


@pytest.mark.parametrize(("type", "text"), DEEP, ids=str)
@pytest.mark.parametrize("backwards", [False, True], ids=["forwards", "backwards"])
async def test_a_page_deep_inside_a_list_costs_what_the_first_costs(
    world: Database, type: str, text: str, backwards: bool
) -> None:
    query, asked = read(type, text)
    allowed, order = visible(query.types), Order(query.sort)
    expected = await unplanned(world, all_of([asked, allowed.predicate]), query.sort)
    at = len(expected) // 2
    row = await world["resources"].find_one({"_id": expected[at]}, {"on": 1, "at": 1})
    assert row is not None
    await looked(world)
    after = Position((row[str(order.scalar)],), expected[at], backwards)
    page = await Finding(world).search(asked, visible=allowed, order=order, limit=20, after=after)
    told = await looked(world)
    assert [one.key for one in page.resources] == (expected[at - 20 : at] if backwards else expected[at + 1 : at + 21])
    assert told.documents <= 4 * 21, told
    assert told.keys <= 4 * 21 + 3 * ENOUGH * bool(query.clauses), told


# Records


IN_RECORD: Final = [
    ("Observation", ""),
    ("Observation", f"&code={LOINC}|8000-0"),
    ("Observation", "&code:not=8000-0&status=final"),
    ("Observation", f"&code-value-quantity={LOINC}|8007-7$gt100"),
    ("Observation", "&date=ge2020&date=lt2021"),
    ("Observation", "&date=ne2020-05-05"),
    ("Observation", "&_lastUpdated=ge2020"),
    ("Observation", "&_sort=value-quantity,-date"),
    ("Observation", "&_sort=code,-_lastUpdated,_id"),
    ("Observation", "&_sort=-_lastUpdated"),
    ("Observation", "&_sort=_id"),
    ("Observation", "&_sort=date"),
    ("Observation", "&performer:missing=true"),
    ("Observation", "&value-string:missing=false"),
    (DOCUMENTS, "&status=current"),
    (DOCUMENTS, f"&type={LOINC}|34112-3,{LOINC}|11488-4&date=ge2020&date=lt2024"),
    (DOCUMENTS, "&description:contains=lithium"),
    (DOCUMENTS, "&description=martin,bernard"),
    (DOCUMENTS, f"&author={MANY_AUTHORS}"),
    ("Encounter", "&date=gt2020&class=EMER"),
    ("Appointment", ""),
    ("Appointment", "&status=booked&date=ge2018"),
    ("Group", "&type=person"),
]
EVERYBODY: Final = {"professional": professional(), "patient": patient(), "conformance": conformance()}


@pytest.mark.parametrize("who", EVERYBODY)
@pytest.mark.parametrize(("type", "text"), IN_RECORD, ids=str)
async def test_what_is_asked_of_a_record_looks_at_the_record(world: Database, type: str, text: str, who: str) -> None:
    for of in ("p5", LARGE):
        query, asked = read(type, f"{'member' if type == 'Group' else 'patient'}={_patient(type, of)}{text}")
        allowed = visible(query.types, EVERYBODY[who], of_record(of))
        expected = await unplanned(world, all_of([asked, allowed.predicate]), query.sort, of)
        there = await world["resources"].count_documents({"rt": type, "$or": [{"record": of}, {"also": of}]})
        await looked(world)
        page = await Finding(world).search(asked, visible=allowed, order=Order(query.sort), limit=query.count)
        told = await looked(world)
        assert told.documents <= there + 2, told
        assert told.keys <= there + 4, told
        found = [one.key for one in page.resources]
        assert found == expected[:20] if Order(query.sort).scalar else set(found) <= set(expected)
        assert len(found) == min(20, len(expected))
        await looked(world)
        assert await Finding(world).count(asked, visible=allowed) == len(expected)
        told = await looked(world)
        assert told.documents <= there, told


def _patient(type: str, id: str) -> str:
    return f"Patient/{id}" if type == "Group" else id


async def test_a_page_of_a_large_record_is_walked(world: Database) -> None:
    query, asked = read("Observation", f"patient={LARGE}&status=final")
    await looked(world)
    page = await Finding(world).search(
        asked, visible=visible(query.types, professional(), of_record(LARGE)), order=Order(query.sort), limit=20
    )
    told = await looked(world)
    assert len(page.resources) == 20
    assert told.documents <= 21, told


@pytest.mark.parametrize("who", EVERYBODY)
async def test_everything_of_a_record_looks_at_the_record(world: Database, who: str) -> None:
    types = members("Patient", CONTEXT.definitions)
    for of, there in (("p5", 100), (LARGE, IN_LARGE + 100)):
        lying = within("Patient", of, types, CONTEXT.definitions, PARAMETERS)
        asked = all_of([one_of(Field.TYPE, *types), lying])
        allowed = visible(types, EVERYBODY[who], of_record(of))
        find = Finding(world)
        await looked(world)
        page = await find.search(asked, visible=allowed, order=Order(NEWEST_FIRST), limit=50)
        first = await looked(world)
        assert len(page.resources) == 50
        assert first.documents <= 60, first
        assert first.keys <= 500, first
        seen = [one.key for one in page.resources]
        while page.next is not None:
            page = await find.search(asked, visible=allowed, order=Order(NEWEST_FIRST), limit=50, after=page.next)
            seen += [one.key for one in page.resources]
            if of == LARGE:
                break
        await looked(world)
        counted = await find.count(asked, visible=allowed)
        told = await looked(world)
        assert told.documents <= there, told
        assert len(seen) == len(set(seen)) == (counted if of != LARGE else 100)
        expected = await unplanned(world, all_of([asked, allowed.predicate]), NEWEST_FIRST, of)
        assert seen == expected[: len(seen)]


@pytest.mark.parametrize(("compartment", "id", "most"), [("Encounter", "e5", 40), ("Practitioner", "dr950", 900)])
async def test_other_compartments_look_at_what_is_in_them(
    world: Database, compartment: str, id: str, most: int
) -> None:
    types = members(compartment, CONTEXT.definitions)
    lying = within(compartment, id, types, CONTEXT.definitions, PARAMETERS)
    asked = all_of([one_of(Field.TYPE, *types), lying])
    await looked(world)
    page = await Finding(world).search(asked, visible=visible(types), order=Order(NEWEST_FIRST), limit=20)
    told = await looked(world)
    assert page.resources
    assert told.documents <= most, told
    assert told.keys <= 2 * most, told


# What chains and includes are made of


async def test_a_chain_over_many_references(world: Database) -> None:
    """`author:Practitioner.name`: the practitioners, then what they wrote."""
    _, doctors = read("Practitioner", "name=martin")
    await looked(world)
    keys = await Finding(world).keys(doctors, visible=visible(["Practitioner"]), most=5_000)
    told = await looked(world)
    assert told.documents <= len(keys), told
    asked = reference.predicate("author", [LocalReference(*key.split("/")) for key in keys])
    await Finding(world).search(
        all_of([one_of(Field.TYPE, DOCUMENTS), asked, one_of(Field.TERMS, "status#current")]),
        visible=visible([DOCUMENTS]),
        order=Order(NEWEST_FIRST),
        limit=20,
    )
    told = await looked(world)
    assert told.keys <= 3 * ENOUGH + 3 * len(keys), told
    assert told.documents <= ENOUGH, told


async def test_what_points_to_something(world: Database) -> None:
    """`_has` and includes: the records, and what is pointed to, of what matches; then these by id."""
    find = Finding(world)
    _, high = read("Observation", "value-quantity=gt899")
    await looked(world)
    records = await find.records(high, visible=visible(["Observation"]), most=5_000)
    told = await looked(world)
    assert told.documents <= 15, told
    pointed = await find.pointed_to(
        high, visible=visible(["Observation"]), heads=["performer=Practitioner/"], most=5_000
    )
    told = await looked(world)
    assert pointed
    assert told.documents <= 15, told
    _, asked = read("Patient", "gender=female,male")
    named = one_of(Field.ID, *(f"Patient/{one}" for one in records))
    page = await find.search(all_of([asked, named]), visible=visible(["Patient"]), order=Order(NEWEST_FIRST), limit=20)
    told = await looked(world)
    assert len(page.resources) == len(records)
    assert told.documents <= len(records), told
    assert told.keys <= 2 * len(records) + 1, told


async def test_includes_of_several_kinds_together(world: Database) -> None:
    """By id, by reference and by record at once, of several types: each by its own index."""
    types = ("Observation", DOCUMENTS, "Practitioner")
    asked = any_of(
        [
            all_of([one_of(Field.TYPE, "Observation"), one_of(Field.RECORD, "p5", "p6")]),
            all_of([one_of(Field.TYPE, "Observation"), one_of(Field.TERMS, "performer=Practitioner/dr50")]),
            all_of([one_of(Field.TYPE, DOCUMENTS), one_of(Field.ID, f"{DOCUMENTS}/d5", f"{DOCUMENTS}/d6")]),
            all_of([one_of(Field.TYPE, DOCUMENTS), one_of(Field.TERMS, "author=Practitioner/dr900")]),
            all_of([one_of(Field.TYPE, "Practitioner"), one_of(Field.ID, "Practitioner/dr50")]),
        ]
    )
    allowed = visible(types)
    expected = await unplanned(world, all_of([one_of(Field.TYPE, *types), asked, allowed.predicate]), BY_ID.keys)
    await looked(world)
    page = await Finding(world).search(asked, visible=allowed, order=BY_ID, limit=1001)
    told = await looked(world)
    assert [one.key for one in page.resources] == expected
    assert told.documents <= 3 * len(expected), told
    assert told.keys <= 3 * len(expected), told


async def test_what_decisions_look_up(world: Database) -> None:
    """By traits in an emergency, and by identifier: the rarest trait, for there are many of each name."""
    internal = Internal(world)
    _, asked = read("Patient", f"identifier={INS}|p8")
    await looked(world)
    assert await internal.records_asked(asked, ["Patient"], "essai") == ["p8"]
    told = await looked(world)
    assert told.documents <= 4, told
    found = await world["resources"].find_one({"_id": "Patient/p9"})
    assert found is not None
    terms = [next(term for term in found["ix"]["s"] if term.startswith(head)) for head in ("gender#", "family=")]
    born = Span("birthdate", (("lo", "ge", found["on"]), ("lo", "le", found["on"])))
    traits = all_of([*(one_of(Field.TERMS, term) for term in terms), born])
    await looked(world)
    assert "p9" in await internal.records_asked(traits, ["Patient"], "essai")
    told = await looked(world)
    assert told.documents <= 100, told
    asked = all_of([one_of(Field.TYPE, DOCUMENTS), one_of(Field.TERMS, "status#current"), one_of(Field.RECORD, "p5")])
    await internal.referred_to(asked)
    told = await looked(world)
    assert told.documents <= 100, told


# What nothing bounds


UNBOUNDED: Final = [
    (DOCUMENTS, "description:missing=true"),
    (DOCUMENTS, "status:not=current&category:not=10,11,31,42,90"),
    (DOCUMENTS, "description:contains=quetzalcoatl"),
    (DOCUMENTS, "_sort=description"),
    ("Observation", "_sort=value-quantity,-date"),
]


@pytest.mark.parametrize(("type", "text"), UNBOUNDED, ids=str)
async def test_what_no_index_bounds_is_cut_and_leaves_nothing_running(world: Database, type: str, text: str) -> None:
    query, asked = read(type, text)
    find = Finding(world, seconds=0.03)
    with pytest.raises(TooCostly):
        await find.search(asked, visible=visible(query.types), order=Order(query.sort), limit=20)
    assert await running(world) == []


async def test_a_count_too_is_cut(world: Database) -> None:
    _, asked = read("Observation", "status:not=cancelled")
    with pytest.raises(TooCostly):
        await Finding(world, seconds=0.03).count(asked, visible=visible(["Observation"]))
    assert await running(world) == []


async def running(held: Database) -> list[Document]:
    """What mongod is doing for anybody in this database, but for this question."""
    pipeline: list[dict[str, Any]] = [
        {"$currentOp": {"allUsers": True, "idleConnections": False}},
        {"$match": {"ns": f"{NAME}.resources", "active": True}},
    ]
    cursor = await held.client["admin"].aggregate(pipeline)
    return await cursor.to_list()


async def test_the_witness_sees(world: Database) -> None:
    """The tests above would pass if mongod told nothing: of a query without an index it tells what it looked at."""
    await looked(world)
    await world["resources"].find({"rt": "Condition", "kind": "none"}, hint=indexes.BY_ON).to_list()
    assert (await looked(world)).documents == 16_000
    await world["resources"].find_one({"kind": "none"})
    with pytest.raises(AssertionError, match="COLLSCAN"):
        await looked(world)

"""Searches and the look-ups that chains are made of: what is allowed alone, within limits, by the right index."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from bson.binary import Binary
from pymongo.errors import OperationFailure

from fhir_server.search.predicate import (
    NEVER,
    Compare,
    Contains,
    Field,
    Moment,
    Predicate,
    Prefix,
    Span,
    all_of,
    any_of,
    negate,
    one_of,
)
from fhir_server.search.sorting import NEWEST_FIRST, OfTerms, SortField, SortKey
from fhir_server.search.visible import Visible
from fhir_server.store import indexes, plan
from fhir_server.store.connection import Database, connect, database
from fhir_server.store.finding import Finding, TooCostly
from fhir_server.store.ordering import BY_ID, Order, Position

NEWEST = Order(NEWEST_FIRST)
UPDATED = Order((SortKey(SortField.LAST_UPDATED, descending=True),))
COMPUTED = Order((SortKey(OfTerms("status#"), descending=False),))
NUMBER = 400
LISTS = one_of(Field.TYPE, "List")
SHOWN = Visible(one_of(Field.CATEGORY, "shown"))
ALL = Visible(one_of(Field.REALM, "essai"))


def entry(number: int) -> dict[str, Any]:
    """Of each ten two are hidden; a status that all have, a code that few have."""
    return {
        "_id": f"List/{number:03}",
        "rt": "List",
        "realm": "essai",
        "record": None if number % 5 else str(number % 3),
        "category": "hidden" if number % 10 in (3, 5) else "shown",
        "on": number,
        "at": number,
        "version": 1,
        "body": Binary(b"{}"),
        "refers": [],
        "ix": {
            "s": [
                "status#current",
                f"code#{number % 100}",
                f"item=DocumentReference/{number % 7}",
                f"source=Practitioner/{number % 2}",
                f"url=https://exemple.fr/{number}",
            ],
            "r": [{"p": "date", "lo": number, "hi": number + 1}],
        },
    }


@pytest.fixture(scope="module")
async def stored(mongo_uri: str) -> AsyncIterator[Database]:
    client = connect(mongo_uri)
    held = database(client, "finding")
    await indexes.create(held)
    await held["resources"].insert_many([entry(number) for number in range(NUMBER)])
    gone = {**entry(3), "_id": "List/gone", "gone": True, "category": "shown", "ix": {"s": [], "r": []}}
    await held["resources"].insert_one(gone)
    await held.command("profile", 2)
    yield held
    await held.command("profile", 0)
    await client.drop_database("finding")
    await client.close()


@pytest.fixture
def finding(stored: Database) -> Finding:
    return Finding(stored)


async def told(stored: Database) -> list[dict[str, Any]]:
    """What mongod says it did since it was asked last."""
    finds = {"op": {"$in": ["query", "command"]}, "ns": "finding.resources"}
    found = await stored["system.profile"].find(finds).sort("ts", 1).to_list()
    await stored.command("profile", 0)
    await stored["system.profile"].drop()
    await stored.command("profile", 2)
    return found


def code(number: int) -> Predicate:
    return all_of([LISTS, one_of(Field.TERMS, f"code#{number}")])


async def test_a_count_is_of_what_is_shown(finding: Finding) -> None:
    assert await finding.count(LISTS, visible=ALL) == NUMBER, "markers of what is deleted are not counted"
    assert await finding.count(LISTS, visible=SHOWN) == NUMBER * 8 // 10
    assert await finding.count(code(3), visible=SHOWN) == 0
    assert await finding.count(code(3), visible=ALL) == 4


async def test_keys_are_those_of_what_is_shown(finding: Finding) -> None:
    assert await finding.keys(code(4), visible=SHOWN, most=10) == ["List/004", "List/104", "List/204", "List/304"]
    assert await finding.keys(code(3), visible=SHOWN, most=10) == []
    assert len(await finding.keys(code(4), visible=ALL, most=4)) == 4
    with pytest.raises(TooCostly, match="more than 3 answers"):
        await finding.keys(code(4), visible=ALL, most=3)


async def test_urls_are_those_of_what_is_shown(finding: Finding) -> None:
    urls = [f"https://exemple.fr/{number}" for number in (4, 104, 204, 304)]
    assert await finding.urls(code(4), visible=SHOWN, most=10) == urls
    assert await finding.urls(code(3), visible=SHOWN, most=10) == []


async def test_records_are_those_of_what_is_shown(finding: Finding) -> None:
    assert sorted(await finding.records(LISTS, visible=SHOWN, most=10)) == ["0", "1", "2"]
    assert await finding.records(code(5), visible=SHOWN, most=10) == [], "what has a record is hidden there"
    assert sorted(await finding.records(code(5), visible=ALL, most=10)) == ["0", "1", "2"]
    assert await finding.records(code(4), visible=ALL, most=10) == [], "no record is none"
    with pytest.raises(TooCostly, match="more than 2 answers"):
        await finding.records(LISTS, visible=ALL, most=2)


async def test_what_is_pointed_to_is_what_points_and_is_shown(finding: Finding) -> None:
    heads = ["item=DocumentReference/"]
    assert sorted(await finding.pointed_to(code(4), visible=SHOWN, heads=heads, most=10)) == [
        f"DocumentReference/{number}" for number in (1, 3, 4, 6)
    ]
    assert await finding.pointed_to(code(3), visible=SHOWN, heads=heads, most=10) == []
    both = await finding.pointed_to(code(4), visible=SHOWN, heads=[*heads, "source="], most=10)
    assert len(both) == 5
    assert "Practitioner/0" in both
    assert await finding.pointed_to(code(4), visible=ALL, heads=["item=List/"], most=10) == []
    with pytest.raises(TooCostly, match="Narrow that part"):
        await finding.pointed_to(LISTS, visible=ALL, heads=heads, most=6)


@pytest.mark.parametrize("asked", [NEVER, LISTS])
async def test_what_nothing_can_match_costs_what_something_hidden_costs(
    stored: Database, finding: Finding, asked: Predicate
) -> None:
    """One question to the database, whatever is asked and of whatever kind."""
    nothing = Visible(NEVER)
    ways: list[Callable[[], Any]] = [
        lambda: finding.search(asked, visible=nothing, order=NEWEST, limit=10),
        lambda: finding.count(asked, visible=nothing),
        lambda: finding.keys(asked, visible=nothing, most=10),
        lambda: finding.urls(asked, visible=nothing, most=10),
        lambda: finding.records(asked, visible=nothing, most=10),
        lambda: finding.pointed_to(asked, visible=nothing, heads=["item="], most=10),
    ]
    for way in ways:
        await told(stored)
        found = await way()
        assert not getattr(found, "resources", found)
        assert len(await told(stored)) == 1


# Which index it begins with


def examined(one: dict[str, Any]) -> int:
    return max(int(one.get("docsExamined", 0)), int(one.get("keysExamined", 0)))


async def test_the_rarest_condition_comes_first(stored: Database, finding: Finding) -> None:
    """Whatever the order in which they are asked, and of all that share one array."""
    few, all_have = one_of(Field.TERMS, "code#4"), one_of(Field.TERMS, "status#current")
    for parts in ([few, all_have], [all_have, few], [Prefix("status#"), few]):
        await told(stored)
        page = await finding.search(all_of([LISTS, *parts]), visible=ALL, order=NEWEST, limit=10)
        assert [one.id for one in page.resources] == ["304", "204", "104", "004"]
        assert examined((await told(stored))[-1]) <= 5
    ranged = Span("date", (("lo", "ge", 10), ("lo", "lt", 13)))
    await told(stored)
    page = await finding.search(all_of([LISTS, all_have, ranged]), visible=ALL, order=COMPUTED, limit=10)
    assert [one.id for one in page.resources] == ["010", "011", "012"]
    assert examined((await told(stored))[-1]) <= 5


async def test_where_all_are_common_the_order_is_walked(
    stored: Database, finding: Finding, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "ENOUGH", 100)
    common = all_of([LISTS, one_of(Field.TERMS, "status#current"), Prefix("url=")])
    for order in (NEWEST, UPDATED):
        await told(stored)
        page = await finding.search(common, visible=ALL, order=order, limit=10)
        assert [one.id for one in page.resources] == [str(number) for number in range(399, 389, -1)]
        assert examined((await told(stored))[-1]) <= 12


async def test_one_condition_is_not_counted_where_nothing_is_to_be_chosen(stored: Database, finding: Finding) -> None:
    await told(stored)
    await finding.search(code(4), visible=ALL, order=COMPUTED, limit=10)
    (only,) = await told(stored)
    assert examined(only) <= 5


async def planned(stored: Database, *parts: Predicate, order: Order | None = NEWEST) -> plan.Plan:
    return await plan.plan(stored, all_of(parts), order, "resources")


async def test_what_names_ids_or_a_record_begins_there(stored: Database) -> None:
    record, term = one_of(Field.RECORD, "1"), one_of(Field.TERMS, "status#current")
    assert (await planned(stored, LISTS, record, one_of(Field.ID, "List/1"))).hint == "_id_"
    assert (await planned(stored, LISTS, term, record)).hint == indexes.BY_RECORD
    either = await planned(stored, LISTS, term, any_of([record, one_of(Field.ALSO, "1")]))
    assert [one.hint for one in either.each()] == [indexes.BY_RECORD, indexes.BY_ALSO]
    assert (await planned(stored, LISTS, one_of(Field.RECORD, None))).hint == indexes.BY_ON
    assert (await planned(stored, LISTS)).hint == indexes.BY_ON
    assert (await planned(stored, LISTS, order=UPDATED)).hint == indexes.BY_LAST_UPDATED
    assert (await planned(stored, LISTS, order=BY_ID)).hint == "_id_"
    assert (await planned(stored, LISTS, order=None)).hint is None
    assert (await plan.plan(stored, all_of([LISTS, term]), NEWEST, "trail")).hint is None


async def test_a_moment_of_update_is_walked_to(stored: Database) -> None:
    late = Compare(Moment.LAST_UPDATED, "ge", 300)
    assert (await planned(stored, LISTS, late, order=None)).hint == indexes.BY_LAST_UPDATED
    few = await planned(stored, LISTS, late, one_of(Field.TERMS, "code#4"), order=None)
    assert few.hint == indexes.BY_TERM


async def test_what_no_index_begins_with_is_left_to_the_database(stored: Database) -> None:
    unbounded = [
        negate(one_of(Field.TERMS, "a")),
        Span("date", ()),
        Contains("url=", "9"),
        any_of([LISTS, Prefix("a")]),
    ]
    for part in unbounded:
        assert (await planned(stored, one_of(Field.REALM, "essai"), part, order=None)).hint is None
    either = any_of([Prefix("code#4"), one_of(Field.TERMS, "code#5")])
    assert (await planned(stored, LISTS, either, order=None)).hint == indexes.BY_TERM
    assert plan.Plan(LISTS, None).options() == {}
    assert plan.Plan(LISTS, "x").options() == {"hint": "x"}


def test_what_never_changes_between_versions_is_the_scope() -> None:
    record = one_of(Field.RECORD, "1")
    assert plan.scope_of(all_of([LISTS, one_of(Field.TERMS, "a")]), record) == all_of([LISTS, record])


# What costs too much is stopped


async def test_a_search_that_takes_too_long_is_stopped(stored: Database) -> None:
    slow = [{**entry(number), "_id": f"Slow/{number}", "rt": "Slow"} for number in range(3_000)]
    for one in slow:
        one["ix"]["s"] += [f"text={number}{'x' * 150}" for number in range(40)]
    await stored["resources"].insert_many(slow)
    quick = Finding(stored, seconds=0.005)
    looked_at = all_of([one_of(Field.TYPE, "Slow"), Contains("text=", "z")])
    for way in (
        lambda: quick.count(looked_at, visible=ALL),
        lambda: quick.search(looked_at, visible=ALL, order=BY_ID, limit=10),
        lambda: quick.keys(looked_at, visible=ALL, most=10),
        lambda: quick.records(looked_at, visible=ALL, most=10),
    ):
        with pytest.raises(TooCostly, match=r"stopped after 0\.005 seconds: no index bounds it"):
            await way()
    await stored["resources"].delete_many({"rt": "Slow"})


async def test_a_search_that_sorts_too_much_is_stopped(stored: Database, finding: Finding) -> None:
    large = [
        {**entry(number), "_id": f"Large/{number}", "rt": "Large", "body": Binary(bytes(1_500_000))}
        for number in range(80)
    ]
    await stored["resources"].insert_many(large)
    with pytest.raises(TooCostly, match="more memory than this server gives one"):
        await finding.search(one_of(Field.TYPE, "Large"), visible=ALL, order=COMPUTED, limit=100)
    page = await finding.search(one_of(Field.TYPE, "Large"), visible=ALL, order=COMPUTED, limit=5)
    assert len(page.resources) == 5, "a smaller page needs less"
    await stored["resources"].delete_many({"rt": "Large"})


async def test_any_other_fault_of_the_database_stays_ours(stored: Database, finding: Finding) -> None:
    """An index that is not there, for one: it is no fault of the client's."""
    await stored["resources"].drop_index(indexes.BY_TERM)
    with pytest.raises(OperationFailure):
        await finding.search(code(4), visible=ALL, order=COMPUTED, limit=10)
    await indexes.create(stored)


# Pages


async def test_pages_around_what_is_gone(finding: Finding) -> None:
    """A row that was deleted meanwhile still tells where it stood."""
    between = Position((200,), "List/199-deleted")
    page = await finding.search(LISTS, visible=ALL, order=NEWEST, limit=2, after=between)
    assert [one.id for one in page.resources] == ["200", "199"]
    back = await finding.search(
        LISTS, visible=ALL, order=NEWEST, limit=2, after=Position((397,), "List/397", backwards=True)
    )
    assert [one.id for one in back.resources] == ["399", "398"]
    assert back.previous is None
    assert back.next is not None
    nothing = await finding.search(LISTS, visible=ALL, order=NEWEST, limit=2, after=Position((0,), "List/000"))
    assert (nothing.resources, nothing.next, nothing.previous) == ((), None, None)


async def test_traces_of_one_moment_are_in_the_order_of_their_chain(stored: Database, finding: Finding) -> None:
    """Newest first, the last of a chain first."""
    traces = [
        {"_id": f"AuditEvent/run-{number:012}", "rt": "AuditEvent", "at": 5, "realm": "essai", "event": Binary(b"{}")}
        for number in range(4)
    ]
    await stored["trail"].insert_many(traces)
    newest: list[str] = []
    after = None
    while True:
        page = await finding.search(
            one_of(Field.TYPE, "AuditEvent"), visible=ALL, order=UPDATED, limit=3, after=after, collection="trail"
        )
        newest += [one.id for one in page.resources]
        if (after := page.next) is None:
            break
    assert newest == [f"run-{number:012}" for number in (3, 2, 1, 0)]
    oldest = Order((SortKey(SortField.LAST_UPDATED, descending=False),))
    page = await finding.search(
        one_of(Field.TYPE, "AuditEvent"), visible=ALL, order=oldest, limit=9, collection="trail"
    )
    assert [one.id for one in page.resources] == [f"run-{number:012}" for number in range(4)]

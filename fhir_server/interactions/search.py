"""FHIR search: ``GET [base]/[type]?…``, ``POST [base]/[type]/_search``, and the same on the whole system.

https://hl7.org/fhir/R4/http.html#search

What was asked and what is allowed are one query, so counts, sorting and paging are right by construction (ADR 0002).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, urlencode

from fhir_server.fhir import json
from fhir_server.fhir.date import moment
from fhir_server.fhir.errors import Invalid
from fhir_server.fhir.outcome import Issue, IssueType, operation_outcome
from fhir_server.identity.requester import Kind
from fhir_server.interactions.answer import Answer
from fhir_server.interactions.bundle import Entry, searchset
from fhir_server.interactions.exchange import Elsewhere
from fhir_server.interactions.hops import Hops
from fhir_server.interactions.include import included
from fhir_server.interactions.messages import told
from fhir_server.interactions.naming import note_named
from fhir_server.interactions.scope import Scope, hidden_from_order, open_scope
from fhir_server.interactions.shown import body_of, look_ahead, note_trace
from fhir_server.search.clause import DEFERRED, RecordNamed
from fhir_server.search.predicate import ALWAYS, NEVER, Field, Predicate, all_of, one_of
from fhir_server.search.query import Context, Query, SortField, SortKey, Total, parse
from fhir_server.search.visible import Visible
from fhir_server.store.finding import Page
from fhir_server.store.ordering import Order
from fhir_server.store.reading import Stored

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fhir_server.interactions.exchange import Exchange
    from fhir_server.search.subset import Subset

_TRACES: Final = "trail"


@dataclass(frozen=True, slots=True)
class Condition:
    """A search used as a condition: what it asks, what is allowed, in which order."""

    asked: Predicate
    visible: Visible
    order: Order


async def search(exchange: Exchange, type: str | None, pairs: Sequence[tuple[str, str]], raw: bytes) -> Answer:
    """The first page, or the one that ``_page`` names; ``raw`` is the request as the trail keeps it."""
    account = exchange.account
    account.type, account.query = type, raw
    query = parse(type, pairs, strict=exchange.strict, context=context_of(exchange))
    return await answer(exchange, query, type, type or "")


async def answer(exchange: Exchange, query: Query, type: str | None, path: str) -> Answer:
    """A page of a query of one type, or of several; ``path`` is where it was asked, below the base."""
    scope = await open_scope(exchange, type, query)
    hops = Hops(exchange, scope)
    await note_named(exchange, query, hops)
    asked = await asked_of(query, hops)
    used = urlencode(query.used)
    bound = _bound(exchange, path, used)
    finding = exchange.server.finding
    if query.counts:
        number = await finding.count(asked, visible=scope.visible, collection=scope.collection)
        exchange.account.counted = number
        return _bundle(exchange, query, _Links(path, used, bound), [], number, None, ())
    after = exchange.server.pages.open(query.page, bound, exchange.now) if query.page is not None else None
    order = await _order(exchange, query, scope, asked)
    page = await finding.search(
        asked, visible=scope.visible, order=order, limit=query.count, after=after, collection=scope.collection
    )
    total = await _total(exchange, query, page, asked, scope)
    others, cut = await included(exchange, query, page.resources, hops)
    _account(exchange, query, page, others)
    await look_ahead(exchange, (*page.resources, *others))
    facts, whole = scope.of_one, query.subset
    entries = [
        Entry(one.key, _part(exchange, one, await body_of(exchange, one, facts, scope.decision), whole), "match")
        for one in page.resources
    ]
    part = whole.of_included()
    entries += [
        Entry(one.key, _part(exchange, one, await body_of(exchange, one, facts), part), "include") for one in others
    ]
    return _bundle(exchange, query, _Links(path, used, bound), entries, total, page, cut)


async def condition(exchange: Exchange, type: str, text: str) -> Condition:
    """A search as a condition (`interactions.condition`): nothing of it may be left out, and it must ask something."""
    # in an order of its own, so that two that ask the same are told to be equal
    pairs = sorted(parse_pairs(text.partition("?")[2] if "?" in text else text))
    query = parse(type, pairs, strict=True, context=context_of(exchange))
    if empty := [name for name, value in pairs if not value]:
        raise Invalid(told("condition-empty", name=empty[0][:100]))
    if all(clause == ALWAYS for clause in query.clauses) or NEVER in query.clauses:
        raise Invalid(
            told("asks-nothing"),
            code=IssueType.REQUIRED,
        )
    scope = await open_scope(exchange, type, query)
    hops = Hops(exchange, scope)
    await note_named(exchange, query, hops)
    asked = await asked_of(query, hops)
    return Condition(asked, scope.visible, await _order(exchange, query, scope, asked))


def context_of(exchange: Exchange) -> Context:
    """What a query of this request is read in."""
    server = exchange.server
    return Context(
        now=moment(exchange.now),
        base_url=server.base_url,
        max_count=server.max_count,
        default_count=server.default_count,
        definitions=server.definitions,
        parameters=server.parameters,
        terminology=server.terminology,
    )


async def asked_of(query: Query, hops: Hops) -> Predicate:
    """What the query asks, its records and its hops resolved; always of its types."""
    parts: list[Predicate] = [one_of(Field.TYPE, *query.types)]
    for clause in query.clauses:
        if isinstance(clause, RecordNamed):
            parts.append(await hops.record_named(clause, query.types))
        elif isinstance(clause, DEFERRED):
            parts.append(await hops.resolve(clause, query.types))
        else:
            parts.append(hops.scope.rewrite(clause))
    return all_of(parts)


async def _order(exchange: Exchange, query: Query, scope: Scope, asked: Predicate) -> Order:
    if scope.collection == _TRACES:
        return Order(tuple(_of_trace(key) for key in query.sort))
    unseen, beside = await hidden_from_order(
        exchange, query.types, query.sort, all_of([asked, scope.visible.predicate])
    )
    return Order(query.sort, unseen, beside)


def _of_trace(key: SortKey) -> SortKey:
    """A trace is dated by the moment it was recorded."""
    return replace(key, source=SortField.LAST_UPDATED) if key.source is SortField.ON else key


async def _total(exchange: Exchange, query: Query, page: Page, asked: Predicate, scope: Scope) -> int | None:
    """Known without counting when the one page is all there is; else counted when asked for."""
    if query.total is Total.NONE:
        return None
    if page.next is None and page.previous is None and query.page is None:
        return len(page.resources)
    if query.total in (Total.ACCURATE, Total.ESTIMATE):
        return await exchange.server.finding.count(asked, visible=scope.visible, collection=scope.collection)
    return None


def _part(exchange: Exchange, found: Stored, body: bytes, subset: Subset) -> bytes:
    """The part of a resource that is asked for."""
    return body if subset.is_whole(found.type) else exchange.server.subsetter.cut(body, found.type, subset)


def _account(exchange: Exchange, query: Query, page: Page, others: Sequence[Stored]) -> None:
    """What the trail tells each holder was given out of his record; a query that names a resource has it as target."""
    account = exchange.account
    given: dict[str | None, list[str]] = {}
    for one in (*page.resources, *others):
        given.setdefault(one.record, []).append(f"{one.key}/_history/{one.version}")
    if query.names_resource and page.resources:
        account.record = account.record or page.resources[0].record
        account.hidden_target = page.resources[0].key
        if page.resources[0].type == "AuditEvent":
            note_trace(exchange, page.resources[0])
    elsewhere = [record for record in given if record not in (None, account.record)]
    if exchange.requester.kind in (Kind.PROFESSIONAL, Kind.ORGANISATION) and query.types != ("AuditEvent",):
        account.elsewhere += [Elsewhere(record, tuple(given.pop(record))) for record in elsewhere if record is not None]
    account.delivered = [key for keys in given.values() for key in keys]


@dataclass(frozen=True, slots=True)
class _Links:
    """What the links of a searchset are made of."""

    path: str
    """Below the base; empty for the whole system."""
    used: str
    """The query as it was understood."""
    bound: str
    """Whom and what a page token is for."""


def _bundle(
    exchange: Exchange,
    query: Query,
    links: _Links,
    entries: list[Entry],
    total: int | None,
    page: Page | None,
    remarks: Sequence[Issue],
) -> Answer:
    issues = [*query.issues, *remarks]
    if issues:
        entries = [*entries, Entry(None, json.encode(operation_outcome(issues, exchange.language)), "outcome")]
    base, pages = exchange.server.base_url, exchange.server.pages
    where = f"{base}/{links.path}" if links.path else base
    told = [("self", f"{where}?{links.used}" if links.used else where)]
    if query.page is not None or (page is not None and page.next is not None):
        told.append(("first", told[0][1]))
    if page is not None:
        # the standard's example says `previous`, the registry of link relations knows `prev` too
        for relation, position in (("previous", page.previous), ("prev", page.previous), ("next", page.next)):
            if position is not None:
                token = urlencode({"_page": pages.seal(position, links.bound, exchange.now)})
                told.append((relation, f"{where}?{links.used}&{token}" if links.used else f"{where}?{token}"))
    return Answer(200, searchset(base, entries, total, told))


def _bound(exchange: Exchange, path: str, used: str) -> str:
    """Whom and what a page token is for; ``used`` is the query as it was understood."""
    requester = exchange.requester
    return f"{requester.issuer}\n{requester.key}\n{requester.realm.value}\n{path}\n{used}"


def parse_pairs(text: str) -> list[tuple[str, str]]:
    """The pairs of a query string or a form; 400 for one that is not UTF-8."""
    try:
        return parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=1000)
    except UnicodeDecodeError:
        raise Invalid(told("query-not-utf-8")) from None
    except ValueError:
        raise Invalid(told("query-too-long"), code=IssueType.TOO_COSTLY) from None

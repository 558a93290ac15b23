"""FHIR search: ``GET [base]/[type]?…``, ``POST [base]/[type]/_search``, and the same on the whole system.

https://hl7.org/fhir/R4/http.html#search

What was asked and what is allowed are one query, so counts, sorting and paging are right by construction (ADR 0002).
"""

from __future__ import annotations

from dataclasses import dataclass
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
from fhir_server.interactions.include import included
from fhir_server.interactions.scope import Scope, open_scope
from fhir_server.interactions.shown import body_of, look_ahead, note_trace
from fhir_server.search.predicate import Field, Predicate, all_of, one_of
from fhir_server.search.query import Context, Query, RecordNamed, Summary, Total, parse
from fhir_server.search.visible import Visible
from fhir_server.store.reading import Order, Page, Stored

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fhir_server.interactions.exchange import Exchange

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
    query = _parse(exchange, type, pairs, strict=exchange.strict)
    scope = await open_scope(exchange, type, query)
    asked = asked_of(query, scope)
    used = urlencode(query.used)
    bound = _bound(exchange, type, used)
    if query.summary is Summary.COUNT:
        number = await exchange.server.reading.count(asked, visible=scope.visible, collection=scope.collection)
        account.counted = number
        return _bundle(exchange, query, type, used, [], number, None, ())
    after = exchange.server.pages.open(query.page, bound, exchange.now) if query.page is not None else None
    order = _order(query, scope)
    page = await exchange.server.reading.search(
        asked, visible=scope.visible, order=order, limit=query.count, after=after, collection=scope.collection
    )
    total = await _total(exchange, query, page, asked, scope, first=after is None)
    others, cut = await included(exchange, query, page.resources, scope)
    _account(exchange, query, page, others)
    await look_ahead(exchange, (*page.resources, *others))
    entries = [
        Entry(one.key, await body_of(exchange, one, scope.facts, scope.decision), "match") for one in page.resources
    ]
    entries += [Entry(one.key, await body_of(exchange, one, scope.facts), "include") for one in others]
    following = exchange.server.pages.seal(page.next, bound, exchange.now) if page.next is not None else None
    return _bundle(exchange, query, type, used, entries, total, following, cut)


async def condition(exchange: Exchange, type: str, text: str) -> Condition:
    """A search as a condition (`interactions.condition`): nothing of it may be left out, and it must ask something."""
    # in an order of its own, so that two that ask the same are told to be equal
    pairs = sorted(parse_pairs(text.partition("?")[2] if "?" in text else text))
    query = _parse(exchange, type, pairs, strict=True)
    if not query.clauses:
        raise Invalid("The condition asks nothing: it needs a search parameter.", code=IssueType.REQUIRED)
    scope = await open_scope(exchange, type, query)
    return Condition(asked_of(query, scope), scope.visible, _order(query, scope))


def _parse(exchange: Exchange, type: str | None, pairs: Sequence[tuple[str, str]], *, strict: bool) -> Query:
    server = exchange.server
    context = Context(
        now=moment(exchange.now),
        base_url=server.base_url,
        max_count=server.max_count,
        default_count=server.default_count,
    )
    return parse(server.parameters, type, pairs, strict=strict, context=context)


def asked_of(query: Query, scope: Scope) -> Predicate:
    """What the query asks, its records resolved; always of its types."""
    parts: list[Predicate] = [one_of(Field.TYPE, *query.types)]
    for clause in query.clauses:
        if isinstance(clause, RecordNamed):
            parts.append(clause.predicate(scope.resolved))
        else:
            parts.append(scope.rewrite(clause))
    return all_of(parts)


def _order(query: Query, scope: Scope) -> Order:
    key = query.sort[0]
    if scope.collection == _TRACES and key.field.value == "on":
        return Order("at", key.descending)  # a trace is dated by the moment it was recorded
    return Order(key.field.value, key.descending)


async def _total(
    exchange: Exchange, query: Query, page: Page, asked: Predicate, scope: Scope, *, first: bool
) -> int | None:
    """Known without counting when the first page is all there is; else counted when asked for."""
    if first and page.next is None:
        return len(page.resources)
    if query.total in (Total.ACCURATE, Total.ESTIMATE):
        return await exchange.server.reading.count(asked, visible=scope.visible, collection=scope.collection)
    return None


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


def _bundle(
    exchange: Exchange,
    query: Query,
    type: str | None,
    used: str,
    entries: list[Entry],
    total: int | None,
    following: str | None,
    remarks: Sequence[Issue],
) -> Answer:
    issues = [*query.issues, *remarks]
    if issues:
        entries = [*entries, Entry(None, json.encode(operation_outcome(issues)), "outcome")]
    base = exchange.server.base_url
    path = f"{base}/{type}" if type is not None else base
    links = [("self", f"{path}?{used}" if used else path)]
    if following is not None:
        page = urlencode({"_page": following})
        links.append(("next", f"{path}?{used}&{page}" if used else f"{path}?{page}"))
    return Answer(200, searchset(base, entries, total, links))


def _bound(exchange: Exchange, type: str | None, used: str) -> str:
    """Whom and what a page token is for; ``used`` is the query as it was understood."""
    requester = exchange.requester
    return f"{requester.issuer}\n{requester.key}\n{requester.realm.value}\n{type}\n{used}"


def parse_pairs(text: str) -> list[tuple[str, str]]:
    """The pairs of a query string or a form; 400 for one that is not UTF-8."""
    try:
        return parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=1000)
    except UnicodeDecodeError:
        raise Invalid("The query is not valid UTF-8.") from None
    except ValueError:
        raise Invalid("The query has too many parameters.", code=IssueType.TOO_COSTLY) from None

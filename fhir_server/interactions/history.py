"""FHIR history of an instance, a type, or the system.

https://hl7.org/fhir/R4/http.html#history

The labels of the current version rule every version (ADR 0004). Of contents that were deleted, the deletion alone is
told, but to conformance clients (R-51). Type and system history are of one's own record; of
professionals they are refused, as they name no patient.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from fhir_server.consent.circumstances import Act, Domain, domain_of
from fhir_server.consent.decide import closed, together
from fhir_server.fhir import date
from fhir_server.fhir.errors import Forbidden, Invalid, NotFound
from fhir_server.fhir.outcome import IssueType, error
from fhir_server.identity.requester import Kind
from fhir_server.interactions.answer import Answer
from fhir_server.interactions.bundle import Change, history
from fhir_server.interactions.messages import told
from fhir_server.interactions.read import hold
from fhir_server.interactions.scope import NAME_THE_PATIENT
from fhir_server.interactions.shown import body_of, look_ahead, note_trace
from fhir_server.record.facts import NO_RECORD
from fhir_server.search.predicate import Field, one_of
from fhir_server.store.ordering import Position

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fhir_server.interactions.exchange import Exchange
    from fhir_server.store.reading import Stored

_KNOWN: Final = frozenset({"_count", "_since", "_page"})


class Window:
    """What of a history is asked: since when, how many, from where."""

    def __init__(self, exchange: Exchange, pairs: Sequence[tuple[str, str]], bound: str) -> None:
        """Read the parameters; 400 for what this server does not follow."""
        asked = dict(pairs)
        wrong = [name for name, _ in pairs if name not in _KNOWN]
        wrong += [name for name in asked if sum(1 for other, _ in pairs if other == name) > 1]
        if wrong:
            raise Invalid(
                issues=tuple(
                    error(
                        IssueType.NOT_SUPPORTED,
                        told("of-history", name=name),
                        f"http.{name}",
                    )
                    for name in dict.fromkeys(wrong)
                )
            )
        self.used = [(name, value) for name, value in pairs if name != "_page"]
        self.limit = _count(asked.get("_count"), exchange)
        self.since = _since(asked.get("_since"))
        requester = exchange.requester
        self.bound = f"{bound}\n{requester.issuer}\n{requester.key}\n{requester.realm.value}\n{urlencode(self.used)}"
        token = asked.get("_page")
        self.after = exchange.server.pages.open(token, self.bound, exchange.now) if token is not None else None


async def history_instance(
    exchange: Exchange, type: str, id: str, pairs: Sequence[tuple[str, str]], raw: bytes
) -> Answer:
    """The versions of one resource, newest first."""
    exchange.account.query = raw
    held, facts, decision = await hold(exchange, type, id)
    window = Window(exchange, pairs, f"history {type}/{id}")
    after = int(window.after.values[0] or 0) if window.after is not None else None
    found, total = await exchange.server.reading.history(
        held,
        visible=decision.visible,
        since=window.since,
        limit=window.limit,
        after=after,
        with_deleted=exchange.is_conformance,
    )
    if not found and held.read(decision.visible) is None:
        raise NotFound(told("unknown", key=f"{type}/{id}"))
    if found and found[0].record is not None and type != "AuditEvent":
        exchange.account.patient = f"Patient/{found[0].record}"
    shown, more = found[: window.limit], len(found) > window.limit
    position = Position((shown[-1].version,), "") if more and shown else None
    if type != "AuditEvent":
        await look_ahead(exchange, shown)
        changes = [await _change(exchange, one) for one in shown]
    elif not shown:
        changes = []
    else:
        note_trace(exchange, shown[0])
        body = await body_of(exchange, shown[0], facts, decision)
        changes = [Change(shown[0].key, "POST", "201", 1, date.instant(date.moment(shown[0].at)), body)]
    return _bundle(exchange, window, f"{type}/{id}/_history", changes, total, position)


async def history_type(exchange: Exchange, type: str, pairs: Sequence[tuple[str, str]], raw: bytes) -> Answer:
    """Every version of every resource of a type that the requester may see, newest first."""
    exchange.account.type = type
    return await _many(exchange, (type,), f"{type}/_history", pairs, raw)


async def history_system(exchange: Exchange, pairs: Sequence[tuple[str, str]], raw: bytes) -> Answer:
    """Every version of everything that the requester may see, newest first."""
    types = tuple(type for type in exchange.server.definitions.resource_types if type != "AuditEvent")
    return await _many(exchange, types, "_history", pairs, raw)


async def _many(
    exchange: Exchange, types: tuple[str, ...], path: str, pairs: Sequence[tuple[str, str]], raw: bytes
) -> Answer:
    exchange.account.query = raw
    opened = _open(exchange, types)
    window = Window(exchange, pairs, f"history {path}")
    facts = await exchange.own_facts() if exchange.requester.kind is not Kind.CONFORMANCE else NO_RECORD
    exchange.account.record = facts.record
    visible = together([await exchange.decide_fully(type, Act.CONSULT, facts) for type in opened])
    found = await exchange.server.reading.changes(
        one_of(Field.TYPE, *opened),
        visible=visible,
        since=window.since,
        limit=window.limit,
        after=window.after,
        with_deleted=exchange.is_conformance,
    )
    shown, more = found[: window.limit], len(found) > window.limit
    exchange.account.delivered = [f"{one.key}/_history/{one.version}" for one in shown]
    last = shown[-1] if more and shown else None
    position = Position((last.at,), str(last.document["_id"])) if last is not None else None
    return _bundle(exchange, window, path, [await _change(exchange, one) for one in shown], None, position)


def _open(exchange: Exchange, types: tuple[str, ...]) -> tuple[str, ...]:
    """The types open to the requester; 403 for requesters who must name a patient, whatever is stored."""
    kind = exchange.requester.kind
    opened: list[str] = []
    refusal: Forbidden | None = None
    for type in types:
        try:
            closed(
                exchange.requester, type, Act.CONSULT if type != "AuditEvent" else Act.TRACE, exchange.server.law, "r"
            )
        except Forbidden as error_:
            refusal = error_
        else:
            opened.append(type)
    if not opened:
        raise refusal or Forbidden(told("role-may-not"))
    if opened == ["AuditEvent"]:
        raise Forbidden(told("traces-have-one-version"))
    personal = kind in (Kind.PROFESSIONAL, Kind.ORGANISATION) and any(
        domain_of(type) is not Domain.DIRECTORY for type in opened
    )
    if personal:
        raise Forbidden(NAME_THE_PATIENT)
    return tuple(opened)


async def _change(exchange: Exchange, one: Stored) -> Change:
    at = date.instant(date.moment(one.at))
    if one.body is None:
        return Change(one.key, "DELETE", "204", one.version, at, None)
    made = one.made_by_put
    status = "201" if one.version == 1 or made else "200"
    method = "PUT" if made or one.version > 1 else "POST"
    return Change(one.key, method, status, one.version, at, await body_of(exchange, one, NO_RECORD))


def _bundle(
    exchange: Exchange,
    window: Window,
    path: str,
    changes: Sequence[Change],
    total: int | None,
    position: Position | None,
) -> Answer:
    base = exchange.server.base_url
    query = f"?{urlencode(window.used)}" if window.used else ""
    links = [("self", f"{base}/{path}{query}")]
    if position is not None:
        token = exchange.server.pages.seal(position, window.bound, exchange.now)
        links.append(("next", f"{base}/{path}?{urlencode([*window.used, ('_page', token)])}"))
    return Answer(200, history(base, changes, total, links))


def _count(raw: str | None, exchange: Exchange) -> int:
    if raw is None:
        return exchange.server.default_count
    if not (raw.isascii() and raw.isdigit()) or int(raw[:12]) == 0:
        raise Invalid(told("history-count"), expression=("http._count",))
    return min(int(raw[:12]), exchange.server.max_count)


def _since(raw: str | None) -> int | None:
    if raw is None:
        return None
    found = date.interval(raw.replace(" ", "+"))
    if found is None:
        raise Invalid(told("history-since"), expression=("http._since",))
    return found.low

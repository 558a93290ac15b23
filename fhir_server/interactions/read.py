"""FHIR read and vread: ``GET [base]/[type]/[id]``, ``GET [base]/[type]/[id]/_history/[vid]``.

https://hl7.org/fhir/R4/http.html#read · https://hl7.org/fhir/R4/http.html#vread

A part of the resource may be asked for, with ``_summary`` or ``_elements``. It is told by the request alone what part
that is, and whether there is such a part, before anything is looked up; and it is cut out of what is shown.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Final

from fhir_server.consent.circumstances import Act
from fhir_server.fhir.errors import Gone, Invalid, NotAcceptable, NotFound
from fhir_server.fhir.joining import both
from fhir_server.fhir.outcome import IssueType
from fhir_server.interactions.answer import Answer
from fhir_server.interactions.messages import told
from fhir_server.interactions.natively import MOST_DATA, Native, sent_as
from fhir_server.interactions.shown import body_of, note_trace
from fhir_server.search.subset import Kind, Subset, Summary, elements, summary

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fhir_server.consent.decide import Decision
    from fhir_server.interactions.exchange import Exchange
    from fhir_server.record.facts import Facts
    from fhir_server.store.reading import Held, Stored

_VERSION: Final = re.compile(r"[1-9][0-9]{0,8}")
"""More digits will never be, and would not fit the whole numbers of the trail."""


async def read(
    exchange: Exchange, type: str, id: str, pairs: Sequence[tuple[str, str]] = (), raw: bytes = b""
) -> Answer:
    """The current version, or the part of it that ``pairs`` ask for; ``raw`` is the request as the trail keeps it."""
    part = _part(exchange, type, pairs, raw)
    held, facts, decision = await hold(exchange, type, id)
    return await _answer(exchange, held.read(decision.visible), facts, decision, f"{type}/{id}", part)


async def vread(
    exchange: Exchange, type: str, id: str, version: str, pairs: Sequence[tuple[str, str]] = (), raw: bytes = b""
) -> Answer:
    """One version, or a part of it; the labels of the current version decide, and that it was deleted (R-51)."""
    number = int(version) if _VERSION.fullmatch(version) else None
    exchange.account.version = number
    part = _part(exchange, type, pairs, raw)
    held, facts, decision = await hold(exchange, type, id)
    found = None
    if number is not None:
        found = await exchange.server.reading.version(
            held, number, visible=decision.visible, with_deleted=exchange.is_conformance
        )
    return await _answer(exchange, found, facts, decision, f"{type}/{id}/_history/{version}", part)


async def hold(exchange: Exchange, type: str, id: str) -> tuple[Held, Facts, Decision]:
    """Look a resource up and decide whether the requester may consult it."""
    account = exchange.account
    account.type, account.target = type, f"{type}/{id}"
    act = Act.TRACE if type == "AuditEvent" else Act.CONSULT
    exchange.closed(type, act, "r")
    held = await exchange.server.reading.hold(type, id)
    facts, decision = await exchange.decide_on(held, act)
    return held, facts, decision


def _part(exchange: Exchange, type: str, pairs: Sequence[tuple[str, str]], raw: bytes) -> Subset:
    """The part asked for; 400 where there is none, for a read has no place to name what was left out."""
    if not pairs:
        return Subset.whole()
    exchange.account.query = raw
    asked = dict(pairs)
    if len(asked) < len(pairs):
        raise Invalid(told("summary-once"))
    wanted = summary(asked["_summary"]) if "_summary" in asked else Summary.FALSE
    if wanted is Summary.COUNT:
        raise Invalid(told("summary-count"), expression=("http._summary",))
    part = Subset.of(wanted)
    if "_elements" in asked:
        if wanted is not Summary.FALSE:
            raise Invalid(told("summary-or-elements"), expression=("http._elements",))
        part, unknown = elements(asked["_elements"], (type,), exchange.server.definitions)
        if unknown:
            names = ", ".join(repr(name[:80]) for name in unknown[:5])
            raise Invalid(told("elements-unknown", type=type, names=names), expression=("http._elements",))
    if exchange.natively is not None and not part.is_whole(type):
        if not exchange.natively.insists:
            exchange.natively = None  # who asks for a part asks for FHIR, if he takes it at all
            return part
        raise Invalid(
            told("binary-without-elements", names=both(asked)),
            expression=tuple(f"http.{name}" for name in asked),
        )
    return part


async def _answer(
    exchange: Exchange, found: Stored | None, facts: Facts, decision: Decision, asked: str, part: Subset
) -> Answer:
    if found is None:
        raise NotFound(told("unknown", key=asked))
    if found.body is None:
        raise Gone(told("deleted", key=asked))
    exchange.account.version = found.version
    if found.type == "AuditEvent":
        note_trace(exchange, found)  # whose record it touched is sealed: the reader's own trace must not tell it
    elif found.record is not None:
        exchange.account.patient = f"Patient/{found.record}"
    if found.content is not None and exchange.natively is not None:
        sent = sent_as(found.content.content_type)
        if exchange.natively.prefers(sent, found.content.size):
            read_ = partial(exchange.server.contents.read, found.document["content"])
            native, owner = Native(sent, found.content.size, read_), found.document.get("owner")
            return Answer(200, None, found.version, found.at, native=native, target=found.id, owner=owner)
    if found.content is not None and found.content.size > exchange.data.left and _holds_data(part):
        raise NotAcceptable(
            told("binary-too-large-for-fhir", size=found.content.size, most=MOST_DATA),
            code=IssueType.TOO_COSTLY,
        )
    shown = await body_of(exchange, found, facts, decision)
    return Answer(200, exchange.server.subsetter.cut(shown, found.type, part), found.version, found.at)


def _holds_data(part: Subset) -> bool:
    """Whether a part of a Binary holds its data."""
    return part.kind in (Kind.WHOLE, Kind.DATA) or "data" in part.names_of("Binary")

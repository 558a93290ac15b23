"""FHIR read and vread: ``GET [base]/[type]/[id]``, ``GET [base]/[type]/[id]/_history/[vid]``.

https://hl7.org/fhir/R4/http.html#read · https://hl7.org/fhir/R4/http.html#vread
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from fhir_server.consent.circumstances import Act
from fhir_server.fhir.errors import Gone, NotFound
from fhir_server.interactions.answer import Answer
from fhir_server.interactions.shown import body_of, note_trace

if TYPE_CHECKING:
    from fhir_server.consent.decide import Decision
    from fhir_server.interactions.exchange import Exchange
    from fhir_server.record.facts import Facts
    from fhir_server.store.reading import Held, Stored

_VERSION: Final = re.compile(r"[1-9][0-9]{0,8}")
"""More digits will never be, and would not fit the whole numbers of the trail."""


async def read(exchange: Exchange, type: str, id: str) -> Answer:
    """The current version."""
    held, facts, decision = await hold(exchange, type, id)
    return await _answer(exchange, held.read(decision.visible), facts, decision, f"{type}/{id}")


async def vread(exchange: Exchange, type: str, id: str, version: str) -> Answer:
    """One version; the labels of the current version decide."""
    number = int(version) if _VERSION.fullmatch(version) else None
    exchange.account.version = number
    held, facts, decision = await hold(exchange, type, id)
    found = None
    if number is not None:
        found = await exchange.server.reading.version(held, number, visible=decision.visible)
    return await _answer(exchange, found, facts, decision, f"{type}/{id}/_history/{version}")


async def hold(exchange: Exchange, type: str, id: str) -> tuple[Held, Facts, Decision]:
    """Look a resource up and decide whether the requester may consult it."""
    account = exchange.account
    account.type, account.target = type, f"{type}/{id}"
    act = Act.TRACE if type == "AuditEvent" else Act.CONSULT
    exchange.closed(type, act, "r")
    held = await exchange.server.reading.hold(type, id)
    facts, decision = await exchange.decide_on(held, act)
    return held, facts, decision


async def _answer(exchange: Exchange, found: Stored | None, facts: Facts, decision: Decision, asked: str) -> Answer:
    if found is None:
        raise NotFound(f"{asked} is not known.")
    if found.body is None:
        raise Gone(f"{asked} was deleted.")
    exchange.account.version = found.version
    if found.type == "AuditEvent":
        note_trace(exchange, found)  # whose record it touched is sealed: the reader's own trace must not tell it
    elif found.record is not None:
        exchange.account.patient = f"Patient/{found.record}"
    if found.content is not None and found.content.content_type in exchange.accept_native:
        return Answer(
            200,
            await exchange.server.contents.give(found.document["content"]),
            found.version,
            found.at,
            content_type=found.content.content_type,
            owner=found.document.get("owner"),
        )
    return Answer(200, await body_of(exchange, found, facts, decision), found.version, found.at)

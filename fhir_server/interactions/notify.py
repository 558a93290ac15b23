"""What the server tells a patient by itself, durable before the answer that it tells of (R-45, R1111-48, access §10).

Of an emergency access once for each token and record, however many requests the token makes: when the first of them is
answered with something of the record. The id is a hash of whom it tells, so that all workers write the same one, and
each remembers what it knows to be stored: later requests pay nothing for it.

The server writes it in its own name: the trail tells its creation with the server as agent, and the request that caused
it by its id. No notification, no answer: 503, as when the trail cannot be written.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from fhir_server.audit.access import Access, Agent
from fhir_server.audit.sealed import Sealed
from fhir_server.fhir import date, json
from fhir_server.identity.requester import Purpose
from fhir_server.interactions.prepare import consent_fact
from fhir_server.record.actors import FINESS, RPPS
from fhir_server.record.consents import ConsentFact, Policy
from fhir_server.record.labels import INVISIBLE_REPRESENTANTS_LEGAUX
from fhir_server.record.notification import (
    SERVER,
    Actor,
    Notification,
    Occasion,
    administrators,
    of_consent,
    of_declaration,
    of_emergency,
)
from fhir_server.store.document import Deposit, bucket, document, stamp
from fhir_server.store.writing import Effects, VersionMoved

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from fhir_server.fhir.json import JsonObject
    from fhir_server.identity.requester import Requester
    from fhir_server.interactions.exchange import Account, Exchange
    from fhir_server.record.facts import Facts
    from fhir_server.store.document import Document

_EMERGENCIES: Final = frozenset({Purpose.ETREAT, Purpose.BTG})
_NAMES: Final = {"rpps": "le professionnel RPPS", "finess": "la structure FINESS"}
_SHOW_ONE: Final = frozenset({"read", "vread", "history-instance"})
"""Interactions whose success shows the resource they name."""


async def conclude(exchange: Exchange, status: int) -> None:
    """Make the trace of a successful request durable and, of an emergency, that the patient is told of it."""
    if exchange.requester.purpose not in _EMERGENCIES:
        await exchange.trace(status)
        return
    due = [await _of_emergency(exchange, record, shown) for record, shown in _answered(exchange.account).items()]
    # together, so that the trail stores all of it by one insert; the trace of the request after the others, so that it
    # is the newest there is when the answer arrives
    await asyncio.gather(*(_once(exchange, *one) for one in due if one is not None), exchange.trace(status))


@asynccontextmanager
async def told_beside(exchange: Exchange, key: str, version: int) -> AsyncIterator[tuple[Document, ...]]:
    """What tells the patient of this write, to be stored in the same transaction or not at all."""
    notification = exchange.tells
    if notification is None:
        yield ()
        return
    marks = (notification.occasion.value, notification.record, key, str(version))
    async with _announced(exchange, notification, marks) as candidate:
        yield (candidate,)


def of_collected(exchange: Exchange, facts: Facts, consent: JsonObject) -> Notification | None:
    """What the patient is told of a Consent that somebody else writes down for him (access §10).

    Nothing of one that is withdrawn: that takes a right away, and gives none.
    """
    fact = consent_fact(exchange, consent)
    if not isinstance(fact, ConsentFact) or not (fact.active or fact.proposed) or facts.record is None:
        return None
    by, zone = actor_of(exchange.requester), exchange.server.zone
    whom = None if fact.actor == exchange.requester.key else _named(fact.actor or "")
    declared = fact.policy is Policy.MEDECIN_TRAITANT
    return Notification(
        occasion=Occasion.MEDECIN_TRAITANT if declared else Occasion.CONSENT_COLLECTED,
        record=facts.record,
        readers=administrators(facts, exchange.now),
        by=by,
        sent=exchange.now,
        text=of_declaration(by, whom, exchange.now, zone, waits=fact.proposed)
        if declared
        else of_consent(by, whom, fact.end if fact.end < date.MAX else None, exchange.now, zone),
        secret=exchange.requester.audience_restriction is not None,
    )


def actor_of(requester: Requester) -> Actor:
    """The requester as a notification names him."""
    if requester.rpps is not None:
        return Actor(requester.name, RPPS, requester.rpps, requester.organisation)
    return Actor(requester.name, requester.organisation_system or FINESS, requester.organisation)


def _named(key: str) -> str:
    kind, _, value = key.partition("|")
    return f"{_NAMES.get(kind, kind)} {value}"


def _answered(account: Account) -> dict[str, Iterable[str]]:
    """By record, the keys of what this answer shows of it; traces are of the requester's own acts."""
    if account.type == "AuditEvent":
        return {}
    told: dict[str, Iterable[str]] = {one.record: one.delivered for one in account.elsewhere if one.delivered}
    if account.counted:
        # of a number nobody knows any more what it counted: whatever the query named is taken to be told
        told |= dict.fromkeys(account.named or filter(None, [account.record]), ())
    elif account.record is not None and account.delivered:
        told[account.record] = account.delivered
    elif account.record is not None and account.interaction in _SHOW_ONE and account.target is not None:
        told[account.record] = (account.target,)
    return told


def _marks(exchange: Exchange, record: str, *, secret: bool) -> tuple[str, ...]:
    """What makes this notification the one of this token in this record."""
    requester = exchange.requester
    told = "secret" if secret else ""
    return Occasion.EMERGENCY.value, record, requester.issuer, requester.key, requester.token_id, told


async def _of_emergency(
    exchange: Exchange, record: str, shown: Iterable[str]
) -> tuple[Notification, tuple[str, ...]] | None:
    """The notification of this token in this record; nothing when it is stored already.

    An access that showed nothing but what representatives may not know of is told to the minor and his médecin traitant
    alone, as its trace is; should the token then show something else, that is told to all.
    """
    marks = _marks(exchange, record, secret=False)
    if marks in exchange.server.notified:
        return None
    told, secret = await asyncio.gather(_is_stored(exchange, record, marks), _is_secret(exchange, record, shown))
    if told:
        return None
    if secret:
        marks = _marks(exchange, record, secret=True)
        if await _is_stored(exchange, record, marks):
            return None
    facts, requester, server = await exchange.facts(record), exchange.requester, exchange.server
    by = actor_of(requester)
    notification = Notification(
        occasion=Occasion.EMERGENCY,
        record=record,
        readers=administrators(facts, exchange.now),
        by=by,
        sent=exchange.now,
        text=of_emergency(by, requester.purpose.value, requester.reason, exchange.now, server.zone),
        secret=secret,
    )
    return notification, marks


async def _is_secret(exchange: Exchange, record: str, shown: Iterable[str]) -> bool:
    if exchange.requester.audience_restriction is not None:
        return True
    keys = {key.partition("/_history/")[0] for key in shown}
    if not keys:
        return False
    kept = await exchange.server.internal.labelled(record, (INVISIBLE_REPRESENTANTS_LEGAUX,), secret=True, by=SERVER)
    return keys <= kept


async def _is_stored(exchange: Exchange, record: str, marks: tuple[str, ...]) -> bool:
    """Whether it was written before: by this process, as it remembers, or by another one."""
    server = exchange.server
    if marks in server.notified:
        return True
    there = await server.internal.is_there(f"Communication/{_id(exchange, record, marks)}")
    if there:
        server.notified.add(marks)
    return there


async def _once(exchange: Exchange, notification: Notification, marks: tuple[str, ...]) -> None:
    """Write it, or wait while another request of this process does: an application asks for much at once."""
    server = exchange.server
    if marks in server.notified:
        return
    under_way = server.notifying.get(marks)
    if under_way is None:
        under_way = server.notifying[marks] = asyncio.create_task(_write(exchange, notification, marks))
        under_way.add_done_callback(lambda _: server.notifying.pop(marks, None))
    await asyncio.shield(under_way)


async def _write(exchange: Exchange, notification: Notification, marks: tuple[str, ...]) -> None:
    """Announce it, store it, remember that it is stored."""
    try:
        async with _announced(exchange, notification, marks) as candidate:
            await exchange.server.writing.create(candidate, Effects())
    except VersionMoved:
        pass  # another worker told it in this very moment; the trail says that ours did not take place
    exchange.server.notified.add(marks)


@asynccontextmanager
async def _announced(exchange: Exchange, notification: Notification, marks: tuple[str, ...]) -> AsyncIterator[Document]:
    """The stored form of a notification, whose trace is durable; it is stored in the body."""
    server, record = exchange.server, notification.record
    id = _id(exchange, record, marks)
    told = notification.resource()
    resource, body = stamp(json.encode(told), told, id=id, version=1, at=exchange.now)
    candidate = document(
        resource,
        body,
        parameters=server.parameters,
        version=1,
        at=exchange.now,
        realm=exchange.requester.realm.value,
        deposit=Deposit(SERVER, None, exchange.now, secret=notification.secret),
        bucket=bucket(server.routing_key, record),
    )
    access = Access(
        interaction="create",
        status=201,
        at=exchange.now - 1_000,  # a millisecond: of the newest traces, the first is that of the request itself
        agent=Agent(key=SERVER, name=server.base_url),
        address=exchange.address,
        type="Communication",
        target=f"Communication/{id}",
        version=1,
        patient=f"Patient/{record}",
        request_id=exchange.request_id,
        realm=exchange.requester.realm.value,
    )
    why = f"the server notifies: {notification.occasion}"
    sealed = Sealed(record=record, target=access.target, version=1, why=why, secret=notification.secret)
    async with server.journal.write(access, sealed, 1) as trace:
        yield {**candidate, "trace": trace}


def _id(exchange: Exchange, record: str, marks: tuple[str, ...]) -> str:
    """The same in every worker, and nothing to be guessed from; it begins with the bucket of its record."""
    key = exchange.server.routing_key
    digest = hmac.digest(key, "\n".join(("notification", *marks)).encode(), hashlib.sha256)
    return f"{bucket(key, record):04x}{digest.hex()[:28]}"

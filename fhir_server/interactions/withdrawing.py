"""How something stored is withdrawn: by DELETE, or by the patch that says a document was entered in error (R-51)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from fhir_server.consent.circumstances import Act
from fhir_server.fhir.errors import Forbidden, PreconditionFailed
from fhir_server.interactions.answer import Answer
from fhir_server.interactions.messages import told
from fhir_server.record.telling import TELLING, with_resource
from fhir_server.store.reading import permits
from fhir_server.store.writing import Effects, FactChange, VersionMoved

if TYPE_CHECKING:
    from fhir_server.interactions.exchange import Exchange
    from fhir_server.record.facts import Facts
    from fhir_server.store.reading import Stored


async def must_be_his_to_delete(exchange: Exchange, facts: Facts, old: Stored) -> None:
    """Raise 403 for what the requester sees, and may not delete."""
    decision = await exchange.decide_candidate(old.type, Act.DELETE_OWN, facts, old.document)
    if not permits(decision.visible, old.document):
        raise Forbidden(told("may-read-not-delete", key=old.key))


async def withdraw(exchange: Exchange, old: Stored) -> Answer:
    """Delete what was decided on; its trace comes first (ADR 0007)."""
    account = exchange.account
    version = old.version + 1
    account.version = version
    account.patient = f"Patient/{old.record}" if old.record else None
    account.announced = True
    async with exchange.server.journal.write(exchange.access(204), exchange.sealed(), version) as trace:
        try:
            await exchange.server.writing.delete(old, exchange.now, _effects(exchange, old), trace)
        except VersionMoved as moved:
            raise (PreconditionFailed(moved.told) if exchange.if_match is not None else moved) from None
    return Answer(204, version=version)


def _effects(exchange: Exchange, old: Stored) -> Effects:
    change = None
    if old.record is not None and old.type in TELLING:
        server = exchange.server
        forget = partial(
            with_resource,
            type=old.type,
            id=old.id,
            resource=None,
            granted=exchange.now,
            zone=server.zone,
            duration=server.authorisation,
        )
        change = FactChange(old.record, old.document["realm"], forget)
    return Effects(change, owner=old.type == "DocumentReference")

"""FHIR conditional update, patch and delete: ``PUT``, ``PATCH`` and ``DELETE [base]/[type]?[search]`` (ADR 0022).

https://hl7.org/fhir/R4/http.html#cond-update · https://hl7.org/fhir/R4/http.html#patch ·
https://hl7.org/fhir/R4/http.html#delete

The condition finds what it is done to, through the gate; from there on it is the interaction on that resource, on the
very version that was found. Where nothing is found, an update creates, serialised with every equal condition.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fhir_server.consent.circumstances import Act
from fhir_server.fhir import json
from fhir_server.fhir.errors import Conflict, Forbidden, Invalid, NotFound, PreconditionFailed
from fhir_server.fhir.messages import Told
from fhir_server.fhir.outcome import IssueType
from fhir_server.interactions.answer import Answer
from fhir_server.interactions.condition import lead_on, met_by, several
from fhir_server.interactions.create import Overtaken, must_be_open_to_create, store_new
from fhir_server.interactions.exchange import Account
from fhir_server.interactions.messages import told
from fhir_server.interactions.prepare import complete_subject, read_body
from fhir_server.interactions.update import (
    create_here,
    held_for_change,
    must_be_open_to_change,
    must_match,
    patch_by,
    replace_by,
)
from fhir_server.interactions.withdrawing import must_be_his_to_delete, withdraw

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fhir_server.interactions.exchange import Exchange
    from fhir_server.interactions.prepare import Draft
    from fhir_server.interactions.search import Condition
    from fhir_server.record.facts import Facts
    from fhir_server.store.reading import Stored

MOST_DELETED: Final = 100
"""So many one conditional delete deletes, where the operator allows more than one; of more, none (412)."""


async def conditional_update(exchange: Exchange, type: str, pairs: Sequence[tuple[str, str]], raw: bytes) -> Answer:
    """Update the one match; where there is none, create it."""
    must_be_open_to_change(exchange, type)
    query = exchange.account.query
    try:
        return await _update(exchange, type, pairs, raw)
    except Overtaken:
        # an equal request created the match meanwhile; asked again, the condition finds it
        exchange.account = Account("update", type, query=query)
        return await _update(exchange, type, pairs, raw)


async def conditional_patch(exchange: Exchange, type: str, pairs: Sequence[tuple[str, str]], raw: bytes) -> Answer:
    """Patch the one match."""
    must_be_open_to_change(exchange, type)
    found = (await met_by(exchange, type, pairs)).found
    if not found:
        raise NotFound(_nothing(type))
    if len(found) > 1:
        raise several("changed")
    await lead_on(exchange, "patch", found[0].key)
    return await patch_by(exchange, raw, *await _as_found(exchange, found[0]), by_guide=True)


async def conditional_delete(exchange: Exchange, type: str, pairs: Sequence[tuple[str, str]]) -> Answer:
    """Delete the one match, or all where the operator allows it; each is decided before the first is deleted."""
    exchange.closed(type, Act.DELETE_OWN, "d")
    most = MOST_DELETED if exchange.server.deletes_several else 1
    found = (await met_by(exchange, type, pairs, most=most)).found
    if not found:
        raise NotFound(_nothing(type))
    if len(found) > most:
        raise several("deleted") if most == 1 else _too_many()
    if len(found) > 1 and exchange.if_match not in (None, "*"):
        raise PreconditionFailed(told("if-match-of-several"))
    await lead_on(exchange, "delete")
    due: list[tuple[Account, Stored]] = []
    for one in found:
        exchange.account = Account("delete", type, one.key)
        facts, old = await _as_found(exchange, one)
        must_match(exchange, old)
        await must_be_his_to_delete(exchange, facts, old)
        due.append((exchange.account, old))
    answers: list[Answer] = []
    for account, old in due:
        exchange.account = account
        answers.append(await withdraw(exchange, old))
    return answers[0] if len(answers) == 1 else Answer(204)


async def _update(exchange: Exchange, type: str, pairs: Sequence[tuple[str, str]], raw: bytes) -> Answer:
    draft = read_body(exchange, type, raw, None)
    met = await met_by(exchange, type, pairs)
    if len(met.found) > 1:
        raise several("changed")
    if met.found:
        _must_be_of(draft, met.found[0].id)
        await lead_on(exchange, "update", met.found[0].key)
        return await replace_by(exchange, draft, *await _as_found(exchange, met.found[0]))
    if exchange.if_match is not None:
        raise PreconditionFailed(told("nothing-to-match", nothing=_nothing(type)))
    id = draft.resource.get("id")
    if isinstance(id, str):
        return await _create_under(exchange, draft, id, met.condition)
    return await _create(exchange, draft, met.condition)


def _must_be_of(draft: Draft, id: str) -> None:
    """The body is of the resource found; one that does not say is taken for it."""
    named = draft.resource.get("id")
    if named is None:
        draft.resource = {**draft.resource, "id": id}
        draft.body = json.join_members({**json.members(draft.body), "id": json.encode(id)})
    elif named != id:
        raise Invalid(
            told("id-not-matched", found=named, key=f"{draft.type}/{id}"),
            expression=(f"{draft.type}.id",),
        )


async def _create(exchange: Exchange, draft: Draft, wanted: Condition) -> Answer:
    """Under an id of the server's; who may create none is told what a PUT to an unknown id tells him."""
    try:
        act = must_be_open_to_create(exchange, draft.type)
    except Forbidden:
        raise NotFound(told("nothing-to-change", nothing=_nothing(draft.type))) from None
    await lead_on(exchange, "create")
    await complete_subject(exchange, draft)
    return await store_new(exchange, draft, act, wanted=wanted)


async def _create_under(exchange: Exchange, draft: Draft, id: str, wanted: Condition) -> Answer:
    """Update as create (ADR 0015): to all but conformance clients the id is unknown, whether it is taken or not."""
    key = f"{draft.type}/{id}"
    if not exchange.is_conformance:
        raise NotFound(told("nothing-and-unknown", nothing=_nothing(draft.type), key=key))
    await lead_on(exchange, "update", key)
    _, old = await held_for_change(exchange, draft.type, id)
    if old is not None and old.body is not None:
        raise Conflict(told("not-what-is-asked", key=key))
    return await create_here(exchange, draft, id, old, wanted=wanted)


async def _as_found(exchange: Exchange, match: Stored) -> tuple[Facts, Stored]:
    """What the condition found, to be changed; 409 when it is no longer that version, so may match no longer."""
    facts, old = await held_for_change(exchange, match.type, match.id)
    if old is None or old.body is None or old.version != match.version:
        raise Conflict(told("changed-meanwhile", key=match.key))
    return facts, old


def _nothing(type: str) -> Told:
    return told("nothing-matches", type=type)


def _too_many() -> PreconditionFailed:
    sentence = told("too-many-to-delete", most=MOST_DELETED)
    return PreconditionFailed(sentence, code=IssueType.TOO_COSTLY)

"""FHIR create: ``POST [base]/[type]``, also conditional (``If-None-Exist``).

https://hl7.org/fhir/R4/http.html#create · https://hl7.org/fhir/R4/http.html#ccreate

The trace comes first, durable, naming the version to be written; then the write (ADR 0007).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from fhir_server.consent.circumstances import Act, Domain, domain_of
from fhir_server.fhir.errors import Conflict, Forbidden, NotAllowed, Unprocessable
from fhir_server.fhir.outcome import IssueType
from fhir_server.identity.requester import Kind
from fhir_server.interactions.answer import Answer
from fhir_server.interactions.binaries import owner_fields, raw_draft, take_data, waiting_fields
from fhir_server.interactions.condition import lead_on, met_by, pairs_of, several
from fhir_server.interactions.exchange import Account
from fhir_server.interactions.masking import mask_by_default
from fhir_server.interactions.messages import told
from fhir_server.interactions.notify import told_beside
from fhir_server.interactions.prepare import (
    complete_subject,
    deposit,
    effects,
    must_be_open,
    place,
    pointed_binaries,
    read_body,
)
from fhir_server.interactions.publishing import Beside, announced, compared, replaced_by, take_documents
from fhir_server.interactions.read import read
from fhir_server.interactions.sharing import make_labels_regular, must_have_passed
from fhir_server.interactions.shown import as_shown
from fhir_server.interactions.validating import found_wrong
from fhir_server.record.elements import ELEMENTS
from fhir_server.record.facts import UNKNOWN_RECORD
from fhir_server.store.document import bucket_of, document, keeps_records, new_id, stamp
from fhir_server.store.keys import Scope
from fhir_server.store.reading import permits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fhir_server.interactions.exchange import Exchange
    from fhir_server.interactions.prepare import Draft
    from fhir_server.interactions.search import Condition
    from fhir_server.record.facts import Facts
    from fhir_server.search.predicate import Predicate
    from fhir_server.search.visible import Visible

READ_ONLY: Final = (("Allow", "GET, HEAD"),)


class Overtaken(Conflict):
    """Somebody else met the same condition first; nothing was written."""

    def __init__(self, ids: list[str]) -> None:
        """These meet it."""
        super().__init__(told("created-meanwhile"))
        self.ids = ids


async def create(exchange: Exchange, type: str, raw: bytes) -> Answer:
    """Store a new resource under an id of the server's; the id in the body does not count."""
    exchange.account.type = type
    act = must_be_open_to_create(exchange, type)
    draft = read_body(exchange, type, raw, None) if exchange.raw is None else raw_draft(exchange, exchange.raw, None)
    await complete_subject(exchange, draft)
    if exchange.if_none_exist is None:
        return await store_new(exchange, draft, act)
    met = await met_by(exchange, type, pairs_of(exchange.if_none_exist))
    if met.found:
        return await _existing(exchange, type, [one.id for one in met.found])
    await lead_on(exchange, "create")
    try:
        return await store_new(exchange, draft, act, wanted=met.condition)
    except Overtaken as overtaken:
        exchange.account = Account("create", type)
        return await _existing(exchange, type, overtaken.ids)


def must_be_open_to_create(exchange: Exchange, type: str) -> Act:
    """Which act it is to create a resource of this type; 403 when it is closed to the requester."""
    act = act_of_create(type)
    exchange.closed(type, act, "c")
    if type == "Consent" and exchange.requester.kind is Kind.CARER:
        raise Forbidden(told("carer-writes-none"))
    return act


def act_of_create(type: str) -> Act:
    """Which act it is to add a resource of this type."""
    if type == "AuditEvent":
        raise NotAllowed(told("traces-by-server"), headers=READ_ONLY)
    return Act.GOVERN if domain_of(type) is Domain.GOVERN else Act.FEED


async def store_new(
    exchange: Exchange, draft: Draft, act: Act, *, wanted: Condition | None = None, id: str | None = None
) -> Answer:
    """Decide on the candidate, trace, store, answer 201. With an ``id``, under that id: conformance clients only."""
    server = exchange.server
    owned: dict[str, Any] = {}
    beside = Beside()
    if draft.type == "Binary":
        take_data(draft)
        owned = await owner_fields(exchange, draft)
        facts = await exchange.facts_for("Binary", owned["record"])
        if facts.exists and not exchange.is_conformance:
            must_be_open(exchange, facts, "Binary.securityContext")
        records = [owned["record"]] if owned["record"] is not None else []
    else:
        # under an id of the client's nothing is published: a test client puts there what it likes (ADR 0032)
        wrong = await found_wrong(exchange, draft, binding=id is None)
        carried = take_documents(exchange, draft) if id is None else ()
        facts, records = await place(exchange, draft, id or "", act)
        mask_by_default(exchange, draft, facts)
        if id is None:
            make_labels_regular(exchange, draft)
            wrong += await compared(exchange, draft, facts, carried)
        must_have_passed(draft, wrong)
        if id is None:
            beside = Beside(carried, await replaced_by(exchange, draft, facts))
        if draft.type == "Bundle":
            owned = waiting_fields(exchange, draft, records)
    record = records[0] if records else None
    binaries = await pointed_binaries(exchange, draft, facts, carried=beside.keys)
    new = id or exchange.assigned or new_id(server.routing_key, record)

    def made() -> dict[str, Any]:
        """What is stored, as of now."""
        draft.resource, body = stamp(draft.body, draft.resource, id=new, version=1, at=exchange.now)
        told = document(
            draft.resource,
            body,
            parameters=server.parameters,
            version=1,
            at=exchange.now,
            realm=exchange.requester.realm.value,
            deposit=deposit(exchange),
            bucket=bucket_of(server.routing_key, draft.type, new, record),
            records=records if keeps_records(draft.type) else None,
        )
        return {**told, **owned, **({"made_by_put": True} if id is not None else {})}  # history tells it

    candidate = made()
    shown: list[Visible] = []
    if wanted is not None:
        # a search by identifier was decided in the records where it found something; meanwhile that may be this one
        shown = [wanted.visible, (await exchange.decide_candidate(draft.type, Act.CONSULT, facts, candidate)).visible]
    await _must_permit(exchange, draft, act, facts, candidate)
    condition = (wanted.asked, shown) if wanted is not None else None
    if draft.content is None:
        return await _insert(exchange, draft, candidate, binaries, condition, beside)
    scope = Scope.of(candidate["record"], new)
    async with server.contents.keep(draft.content, str(draft.resource["contentType"]), scope) as content:
        if exchange.raw is not None:
            exchange.now = server.clock()  # receiving it may have taken its time
        return await _insert(exchange, draft, {**made(), "content": content}, binaries, condition, beside)


async def _insert(
    exchange: Exchange,
    draft: Draft,
    candidate: dict[str, Any],
    binaries: tuple[str, ...],
    condition: tuple[Predicate, Sequence[Visible]] | None,
    beside: Beside,
) -> Answer:
    """Trace what was decided on, then store it: unless the condition is met, where there is one."""
    server, account = exchange.server, exchange.account
    changes = effects(exchange, draft, candidate["record"], exchange.requester.realm.value, binaries)
    if binaries and candidate["record"]:
        server.journal.belong(binaries, candidate["record"])
    account.target, account.version = str(candidate["_id"]), 1
    account.patient = f"Patient/{candidate['record']}" if candidate["record"] else None
    account.record = candidate["record"]
    account.announced = True
    async with (
        server.journal.write(exchange.access(201), exchange.sealed(), 1) as trace,
        told_beside(exchange, account.target, 1) as told,
        announced(exchange, beside, deposit(exchange)) as (contents, changed),
    ):
        candidate["trace"] = trace
        changes = replace(changes, beside=(*told, *contents), changed=changed)
        if condition is None:
            await server.writing.create(candidate, changes)
        else:
            found = await server.writing.create_unless(*condition, candidate, changes)
            if found.keys:
                raise Overtaken([key.partition("/")[2] for key in found.keys])
    return Answer(
        201,
        await as_shown(exchange, bytes(candidate["body"]), candidate),
        1,
        candidate["at"],
        location=f"{server.base_url}/{candidate['_id']}/_history/1",
        issues=tuple(draft.remarks),
    )


async def _must_permit(exchange: Exchange, draft: Draft, act: Act, facts: Facts, candidate: dict[str, Any]) -> None:
    decision = await exchange.decide_candidate(draft.type, act, facts, candidate)
    if permits(decision.visible, candidate):
        return
    if exchange.requester.kind is Kind.PROFESSIONAL and act in (Act.GOVERN, Act.COLLECT):
        # whether he is the médecin traitant depends on stored data: the answer for an unknown target
        raise Unprocessable(UNKNOWN_RECORD, expression=(ELEMENTS[draft.type],), code=IssueType.NOT_FOUND)
    raise Forbidden(told("may-not-deposit"))


async def _existing(exchange: Exchange, type: str, ids: list[str]) -> Answer:
    """The condition is met already: the one match, or 412 for several."""
    if len(ids) > 1:
        raise several("created")
    found = await read(exchange, type, ids[0])
    location = f"{exchange.server.base_url}/{type}/{ids[0]}/_history/{found.version}"
    return Answer(200, found.body, found.version, found.at, location=location)

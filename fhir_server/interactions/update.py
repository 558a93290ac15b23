"""FHIR update and patch: ``PUT`` and ``PATCH [base]/[type]/[id]``.

https://hl7.org/fhir/R4/http.html#update · https://hl7.org/fhir/R4/http.html#patch

Decided twice: on the stored version and on the candidate (ADR 0008). A hidden and an absent resource are the same 404;
what somebody sees and may not change is 403.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from fhir_server.consent.circumstances import Act
from fhir_server.fhir import json
from fhir_server.fhir.errors import Forbidden, Gone, NotAllowed, NotFound, PreconditionFailed, TooLarge, Unprocessable
from fhir_server.fhir.outcome import IssueType
from fhir_server.identity.requester import Kind
from fhir_server.interactions.answer import Answer
from fhir_server.interactions.binaries import is_same_data, raw_draft, take_data
from fhir_server.interactions.change import (
    MOVED,
    acts_of_update,
    changed_members,
    is_relabelling,
    must_be_legal,
    possible_acts,
)
from fhir_server.interactions.create import READ_ONLY, act_of_create, store_new
from fhir_server.interactions.exchange import NOTHING
from fhir_server.interactions.masking import mask_by_default
from fhir_server.interactions.messages import told
from fhir_server.interactions.natively import MOST_DATA
from fhir_server.interactions.notify import told_beside
from fhir_server.interactions.patch_format import apply
from fhir_server.interactions.prepare import (
    Draft,
    complete_subject,
    consent_fact,
    effects,
    pointed_binaries,
    provenance_records,
    read_body,
    refuse_consent_of_professional,
)
from fhir_server.interactions.publishing import compared
from fhir_server.interactions.sharing import (
    is_deletion,
    make_labels_regular,
    must_be_metadata,
    must_have_passed,
)
from fhir_server.interactions.shown import as_shown, unseen, with_data
from fhir_server.interactions.validating import made_wrong
from fhir_server.interactions.withdrawing import must_be_his_to_delete, withdraw
from fhir_server.record.closure import CLOSING
from fhir_server.record.consents import ConsentFact, policy_of
from fhir_server.record.elements import OWNED
from fhir_server.store.document import document, keeps_records, stamp
from fhir_server.store.keys import Scope
from fhir_server.store.owned import kept
from fhir_server.store.reading import permits
from fhir_server.store.writing import VersionMoved

if TYPE_CHECKING:
    from fhir_server.fhir.json import JsonObject
    from fhir_server.interactions.exchange import Exchange
    from fhir_server.interactions.search import Condition
    from fhir_server.record.facts import Facts
    from fhir_server.record.redact import Shown
    from fhir_server.store.reading import Stored


async def update(exchange: Exchange, type: str, id: str, raw: bytes) -> Answer:
    """Replace the current version by the body."""
    _begin(exchange, type, id)
    draft = read_body(exchange, type, raw, id) if exchange.raw is None else raw_draft(exchange, exchange.raw, id)
    facts, old = await held_for_change(exchange, type, id)
    if old is None or old.body is None:
        return await create_here(exchange, draft, id, old)
    return await replace_by(exchange, draft, facts, old)


async def replace_by(exchange: Exchange, draft: Draft, facts: Facts, old: Stored) -> Answer:
    """Replace what the requester sees by what he sent; what he does not see of it stays."""
    await complete_subject(exchange, draft)
    _restore(draft, await shown_of(exchange, old))
    return await _store(exchange, draft, facts, old)


async def patch(exchange: Exchange, type: str, id: str, raw: bytes) -> Answer:
    """Change the current version by a JSON Patch (RFC 6902) or a FHIRPath Patch, as `exchange.patch_format` tells."""
    _begin(exchange, type, id)
    if exchange.requester.kind is Kind.FEEDER:
        # it tests and answers what is stored, which who feeds only may not read
        raise Forbidden(told("feeds-only"))
    facts, old = await held_for_change(exchange, type, id)
    if old is None:
        raise NotFound(told("unknown", key=f"{type}/{id}"))
    if old.body is None:
        raise Gone(told("deleted", key=f"{type}/{id}"))
    return await patch_by(exchange, raw, facts, old, by_guide=not exchange.is_conformance)


async def patch_by(exchange: Exchange, raw: bytes, facts: Facts, old: Stored, *, by_guide: bool) -> Answer:
    """Apply a patch to what the requester sees; what he does not see of it stays.

    ``by_guide`` it is the update of metadata of PDSm, which a test client asks for on a condition; under an id it asks
    for what FHIR has.
    """
    must_match(exchange, old)
    shown = await shown_of(exchange, old)
    if old.content is not None and old.content.size > MOST_DATA:
        raise TooLarge(
            told("patch-of-binary", size=old.content.size, most=MOST_DATA),
            code=IssueType.TOO_COSTLY,
        )
    before = await with_data(exchange, shown.body, old.document)
    body = apply(exchange.patch_format, raw, before, exchange.server.definitions)
    draft = read_body(exchange, old.type, body, old.id)
    _restore(draft, shown)
    stored = json.decode_object(old.body or b"{}")
    if by_guide:
        must_be_metadata(exchange, stored, draft.resource, changed_members(stored, draft.resource))
    if by_guide and is_deletion(exchange, stored, draft.resource):
        return await _delete(exchange, draft, facts, old)
    return await _store(exchange, draft, facts, old)


async def _delete(exchange: Exchange, draft: Draft, facts: Facts, old: Stored) -> Answer:
    """Entered in error is deleted (R-51, ADR 0033): the answer shows the document as it is from now on for nobody."""
    exchange.closed(old.type, Act.DELETE_OWN, "u")
    await must_be_his_to_delete(exchange, facts, old)
    version = old.version + 1
    _, body = stamp(draft.body, draft.resource, id=old.id, version=version, at=exchange.now)
    shown = await as_shown(exchange, body, old.document)
    await withdraw(exchange, old)
    return Answer(200, shown, version, exchange.now, issues=tuple(draft.remarks))


@dataclass(frozen=True, slots=True)
class ShownBefore:
    """The stored version as the requester sees it, which is what he changes."""

    body: bytes
    redacted: Shown | None
    """Where something is not shown to him, how it was taken out."""
    whole: bytes


async def shown_of(exchange: Exchange, old: Stored) -> ShownBefore:
    """What the requester sees of what he changes: nothing that is hidden from him can be tested, copied or lost."""
    whole = old.body or b"{}"
    hidden = await unseen(exchange, whole, old.document)
    shown = exchange.server.redaction.shown(json.decode_lexical(whole), hidden) if hidden else None
    if shown is None or shown.resource is shown.whole:
        return ShownBefore(whole, None, whole)
    return ShownBefore(json.encode_lexical(shown.resource), shown, whole)


def _restore(draft: Draft, shown: ShownBefore) -> None:
    """Put into a changed resource what of it was not shown; what did not change keeps its bytes."""
    if shown.redacted is None:
        return
    written = json.decode_lexical(draft.body)
    restored = shown.redacted.restored(written)
    before, given = json.members(shown.whole), json.members(draft.body)
    parts: dict[str, bytes] = {}
    for name, one in restored.items():
        if one is shown.redacted.whole.get(name):
            parts[name] = before[name]
        else:
            parts[name] = given[name] if one is written.get(name) else json.encode_lexical(one)
    draft.body = json.join_members(parts)
    draft.resource = json.decode_object(draft.body)


def _reopen(draft: Draft) -> None:
    """Take the closing and the request for erasure out of a Patient that is active again: that cancels them (R-73)."""
    parts = json.members(draft.body)
    if "extension" not in parts:
        return
    kept = [raw for raw in json.elements(parts["extension"]) if json.decode_object(raw).get("url") not in CLOSING]
    if kept:
        parts["extension"] = b"[" + b",".join(kept) + b"]"
    else:
        del parts["extension"]
    draft.body = json.join_members(parts)
    draft.resource = json.decode_object(draft.body)


def _begin(exchange: Exchange, type: str, id: str) -> None:
    exchange.account.type, exchange.account.target = type, f"{type}/{id}"
    if type == "AuditEvent":
        raise NotAllowed(told("traces-by-server"), headers=READ_ONLY)
    must_be_open_to_change(exchange, type)


def must_be_open_to_change(exchange: Exchange, type: str) -> None:
    """Raise 403 when every change of this type is closed to the requester, whatever is stored."""
    last: Forbidden | None = None
    for act in possible_acts(exchange, type):
        try:
            exchange.closed(type, act, "u")
        except Forbidden as refusal:
            last = refusal
        else:
            return
    raise last or Forbidden(told("role-may-not"))


async def held_for_change(exchange: Exchange, type: str, id: str) -> tuple[Facts, Stored | None]:
    """The resource, if the requester may know of it: if he may consult it, or feeds only and deposited it himself."""
    held = await exchange.server.reading.hold(type, id)
    act = Act.FEED if exchange.requester.kind is Kind.FEEDER else Act.CONSULT
    facts, decision = await exchange.decide_on(held, act)
    return facts, held.read(decision.visible)


def must_match(exchange: Exchange, old: Stored) -> None:
    """``If-Match`` and ``If-None-Match``, after the gate: 412 when the stored version is another, or is that one."""
    if exchange.if_match not in (None, "*", str(old.version)):
        raise PreconditionFailed(told("not-current", version=old.version, named=exchange.if_match))
    if old.body is not None and exchange.if_none_match & {"*", str(old.version)}:
        raise PreconditionFailed(told("excluded", key=old.key, version=old.version))


async def create_here(
    exchange: Exchange, draft: Draft, id: str, old: Stored | None, *, wanted: Condition | None = None
) -> Answer:
    """Update as create: under an id the client chose, for conformance clients only (ADR 0015)."""
    if not exchange.is_conformance:
        if old is not None:
            raise Gone(told("deleted", key=f"{draft.type}/{id}"))
        raise NotFound(told("unknown", key=f"{draft.type}/{id}"))
    if exchange.if_match is not None:
        raise PreconditionFailed(told("no-version", key=f"{draft.type}/{id}"))
    await complete_subject(exchange, draft)
    if old is None:
        return await store_new(exchange, draft, act_of_create(draft.type), id=id, wanted=wanted)
    mask_by_default(exchange, draft, await exchange.facts(old.record))
    return await _replace(exchange, draft, old, status=201)


@dataclass(frozen=True, slots=True)
class Change:
    """A change that was checked and decided, and is not made yet."""

    draft: Draft
    old: Stored
    facts: Facts
    act: Act


async def _store(exchange: Exchange, draft: Draft, facts: Facts, old: Stored) -> Answer:
    must_match(exchange, old)
    return await carry_out(exchange, await prepared(exchange, draft, facts, old))


async def prepared(exchange: Exchange, draft: Draft, facts: Facts, old: Stored, *, act: Act | None = None) -> Change:
    """Check and decide a change of what the requester sees; an operation says itself as which ``act`` it is made."""
    before = json.decode_object(old.body or b"{}")
    if draft.type == "Binary":
        take_data(draft)
    if exchange.account.interaction != "update" or not exchange.is_conformance:
        make_labels_regular(exchange, draft, before)
    changed = changed_members(before, draft.resource)
    if draft.type == "Binary" and not await is_same_data(exchange, draft, old):
        changed.add("data")
    if changed:
        found = await made_wrong(exchange, draft, before, binding=not exchange.is_conformance)
        if "content" in changed and not exchange.is_conformance:
            found += await compared(exchange, draft, facts, ())
        must_have_passed(draft, found)
    relabelling = is_relabelling(before, draft.resource, changed)
    acts = acts_of_update(exchange, draft.type, relabelling=relabelling) if act is None else (act,)
    if draft.type == "Consent":
        if act is not Act.COLLECT:
            refuse_consent_of_professional(exchange, before)
            _must_be_his_to_lift(exchange, old)
        _same_right(exchange, before, draft.resource)
    decisions = [(act, await exchange.decide_candidate(draft.type, act, facts, old.document)) for act in acts]
    act = next((act for act, decision in decisions if permits(decision.visible, old.document)), None)
    if act is None:
        raise Forbidden(told("may-read-not-change", key=old.key))
    must_be_legal(exchange, facts, old, before, draft.resource, changed)
    if draft.type == "Patient" and before.get("active") is False and draft.resource.get("active") is not False:
        _reopen(draft)
    return Change(draft, old, facts, act)


async def carry_out(exchange: Exchange, change: Change) -> Answer:
    """Make a change that was prepared; it is decided once more on what it makes."""
    return await _replace(exchange, change.draft, change.old, status=200, act=change.act, facts=change.facts)


def _must_be_his_to_lift(exchange: Exchange, old: Stored) -> None:
    """A block that the patient's side set is the patient's alone to change: the médecin traitant sets blocks (R-13)."""
    if exchange.requester.kind is Kind.PROFESSIONAL and not str(old.document["deposit"]["by"]).startswith("rpps|"):
        raise Forbidden(told("block-of-patient"))


def _same_right(exchange: Exchange, before: JsonObject, after: JsonObject) -> None:
    """A Consent keeps policy, actor and purpose: else a block could vanish and an old authorisation revive (R-12)."""
    if policy_of(before) is None and policy_of(after) is None:
        return
    old, new = consent_fact(exchange, before), consent_fact(exchange, after)
    if (
        not isinstance(old, ConsentFact)
        or not isinstance(new, ConsentFact)
        or (old.policy, old.actor, old.purpose) != (new.policy, new.actor, new.purpose)
    ):
        raise Unprocessable(
            told("same-right"),
            expression=("Consent.provision",),
            code=IssueType.BUSINESS_RULE,
        )


async def _replace(
    exchange: Exchange,
    draft: Draft,
    old: Stored,
    *,
    status: int,
    act: Act | None = None,
    facts: Facts | None = None,
) -> Answer:
    server = exchange.server
    binaries = await pointed_binaries(exchange, draft, facts, old) if facts is not None else ()
    records = await provenance_records(exchange, draft) if keeps_records(draft.type) else None
    if draft.type == "Binary":
        take_data(draft)
    made = partial(_next_version, exchange, draft, old, records=records, brought_back=status == HTTPStatus.CREATED)
    candidate = made()
    if act is not None and candidate["record"] != old.record:
        raise Unprocessable(MOVED, code=IssueType.BUSINESS_RULE)
    if act is not None and facts is not None:
        decision = await exchange.decide_candidate(draft.type, act, facts, candidate)
        # Which labels may come and go, `must_be_legal` said: whoever masks is not refused for what he then cannot see
        #
        labelled = {**candidate, "labels": old.document["labels"]} if act is Act.RELABEL else candidate
        if _is_emptied(draft, old):
            labelled = {**labelled, "about": [NOTHING]}  # as what he does not see would still stand in it, or not
        if not permits(decision.visible, labelled):
            raise Forbidden(told("may-not-change", key=old.key))
    if draft.content is None:
        return await _swap(exchange, draft, old, candidate, binaries, status)
    scope = Scope.of(candidate["record"], old.id)
    async with server.contents.keep(draft.content, str(draft.resource["contentType"]), scope) as content:
        if exchange.raw is not None:
            exchange.now = server.clock()  # receiving it may have taken its time
        return await _swap(exchange, draft, old, {**made(), "content": content}, binaries, status)


def _is_emptied(draft: Draft, old: Stored) -> bool:
    """Whether a List loses all its entries.

    A List with nothing but hidden entries is not there for who does not see them. Were an empty one there for him who
    emptied it and did not deposit it, the two would tell whether something hidden was left.
    """
    if draft.type != "List" or draft.resource.get("entry"):
        return False
    return bool(json.decode_object(old.body or b"{}").get("entry"))


def _next_version(
    exchange: Exchange,
    draft: Draft,
    old: Stored,
    *,
    records: list[str] | None,
    brought_back: bool,
) -> dict[str, Any]:
    """What is stored, as of now. What the body does not tell is kept."""
    version = old.version + 1
    draft.resource, body = stamp(draft.body, draft.resource, id=old.id, version=version, at=exchange.now)
    made: dict[str, Any] = document(
        draft.resource,
        body,
        parameters=exchange.server.parameters,
        version=version,
        at=exchange.now,
        realm=old.document["realm"],
        deposit=old.document["deposit"],
        bucket=old.document["b"],
        records=records,
    )
    if draft.type in OWNED and not (draft.type == "Bundle" and brought_back and "owner" not in old.document):
        made |= kept(made, old.document)
    if brought_back:
        made["made_by_put"] = True  # history tells it
    return made


async def _swap(
    exchange: Exchange, draft: Draft, old: Stored, candidate: dict[str, Any], binaries: tuple[str, ...], status: int
) -> Answer:
    """Trace what was decided on, then store it in the place of the version it was decided against."""
    server, account = exchange.server, exchange.account
    changes = effects(exchange, draft, candidate["record"], candidate["realm"], binaries)
    version, body = int(candidate["version"]), bytes(candidate["body"])
    account.version = version
    account.patient = f"Patient/{candidate['record']}" if candidate["record"] else None
    account.announced = True
    async with (
        server.journal.write(exchange.access(status), exchange.sealed(), version) as trace,
        told_beside(exchange, old.key, version) as told,
    ):
        candidate["trace"] = trace
        changes = replace(changes, beside=told)
        try:
            await server.writing.replace(old, candidate, changes)
        except VersionMoved as moved:
            # the version named was current when it was looked at, and is not any more
            raise (PreconditionFailed(moved.told) if exchange.if_match is not None else moved) from None
    return Answer(
        status,
        await as_shown(exchange, body, candidate),
        version,
        candidate["at"],
        location=f"{server.base_url}/{old.key}/_history/{version}",
        issues=tuple(draft.remarks),
    )

"""What is written with a document that is published: the content it brings along, and the document it replaces.

https://profiles.ihe.net/ITI/MHD/ITI-105.html · https://interop.esante.gouv.fr/ig/fhir/pdsm · ADR 0032

All of it is one transaction with the document; each has its own trace (ADR 0007). And what rests on stored data is
compared here: the bytes with the size and the hash that the attachment declares, the INS of the source patient with
that of the patient.
"""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from hashlib import sha1
from typing import TYPE_CHECKING, Any, Final

from fhir_server.audit.access import Agent
from fhir_server.consent.circumstances import Act
from fhir_server.fhir import json
from fhir_server.fhir.errors import Invalid, Unprocessable
from fhir_server.fhir.outcome import Issue, IssueType, Severity, error, information, issue
from fhir_server.fhir.reference import local
from fhir_server.interactions.masking import keep_masked
from fhir_server.interactions.messages import told
from fhir_server.interactions.sharing import is_of_the_dmp, profiles_of
from fhir_server.record.actors import INS, identifier_key
from fhir_server.record.notification import SERVER
from fhir_server.search.types import token
from fhir_server.store.document import bucket_of, document, new_id, stamp
from fhir_server.store.keys import Scope
from fhir_server.validation.sharing.cda import MEDIA_TYPES as XML
from fhir_server.validation.sharing.cda import issues_of_content
from fhir_server.validation.sharing.profiles import PDSM_SIMPLIFIED, SIMPLIFIED, carries_data

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from fhir_server.fhir.json import Json, JsonObject
    from fhir_server.interactions.exchange import Exchange
    from fhir_server.interactions.prepare import Draft
    from fhir_server.record.facts import Facts
    from fhir_server.store.document import Deposit
    from fhir_server.store.reading import Stored

_LARGEST_XML: Final = 8 * 1024 * 1024
"""A larger document in XML is not looked into."""


@dataclass(frozen=True, slots=True)
class Carried:
    """A document that came inside its DocumentReference, and becomes a Binary."""

    id: str
    content_type: str
    data: bytes

    @property
    def key(self) -> str:
        """``Type/id``."""
        return f"Binary/{self.id}"


@dataclass(frozen=True, slots=True)
class Replaced:
    """A document that is made superseded."""

    old: Stored
    is_shown: bool
    """To who replaces it. Else the server supersedes it in its own name, so that his trail does not tell it."""


@dataclass(frozen=True, slots=True)
class Beside:
    """What is written with a document."""

    carried: tuple[Carried, ...] = ()
    replaced: tuple[Replaced, ...] = ()

    @property
    def keys(self) -> frozenset[str]:
        """Of the Binaries that come with it."""
        return frozenset(one.key for one in self.carried)


def take_documents(exchange: Exchange, draft: Draft) -> tuple[Carried, ...]:
    """Move what a published DocumentReference brings along out of it: from ``data`` to a Binary, under its ``url``.

    The size and the hash are written beside it where they are not declared. A client that does not publish by a guide
    keeps its attachment as it is.
    """
    if draft.type != "DocumentReference" or not carries_data(draft.resource) or not _publishes(exchange, draft):
        return ()
    tree = json.decode_lexical(draft.body)
    taken: list[Carried] = []
    for position, content in enumerate(tree["content"]):
        attachment = content.get("attachment", {})
        if "data" not in attachment:
            continue
        where = f"DocumentReference.content[{position}].attachment"
        data = _decoded(attachment.pop("data"), f"{where}.data")
        attachment.pop("_data", None)
        one = Carried(new_id(exchange.server.routing_key, None), str(attachment.get("contentType")), data)
        attachment["url"] = one.key
        attachment.setdefault("size", len(data))
        attachment.setdefault("hash", _sha1(data))
        taken.append(one)
    draft.body = json.join_members({**json.members(draft.body), "content": json.encode_lexical(tree["content"])})
    draft.resource = json.decode_object(draft.body)
    return tuple(taken)


def _publishes(exchange: Exchange, draft: Draft) -> bool:
    return any(one in (SIMPLIFIED, PDSM_SIMPLIFIED) for one in profiles_of(exchange, draft.resource))


def _decoded(encoded: Json, where: str) -> bytes:
    try:
        return b64decode("".join(str(encoded).split()), validate=True)
    except (binascii.Error, ValueError):
        raise Invalid(told("not-base64"), expression=(where,), code=IssueType.VALUE) from None


def _sha1(data: bytes) -> str:
    """As an attachment declares it; the standards chose SHA-1."""
    return b64encode(sha1(data, usedforsecurity=False).digest()).decode()


async def compared(exchange: Exchange, draft: Draft, facts: Facts, carried: Sequence[Carried]) -> list[Issue]:
    """Where a published document tells otherwise than what is stored, and what it brings along.

    ``facts`` are those of its record.
    """
    if draft.type != "DocumentReference" or not profiles_of(exchange, draft.resource):
        return []
    is_french = is_of_the_dmp(exchange, draft.resource)
    found = list(_of_patient(draft.resource, facts, exchange.server.base_url)) if is_french else []
    brought = {one.key: one for one in carried}
    for position, attachment in _attachments(draft.resource):
        where = f"DocumentReference.content[{position}].attachment"
        if "data" in attachment:
            # of a new document it has become a Binary: what is published is replaced, not written over
            found.append(error(IssueType.BUSINESS_RULE, told("content-inline"), f"{where}.data"))
        target = local(str(attachment.get("url")), exchange.server.base_url)
        if target is not None and target.type == "Bundle":
            found += _uncompared(attachment, where)
        if target is None or target.type != "Binary":
            continue
        one = brought.get(str(target))
        if one is not None:
            found += _of_bytes(exchange, attachment, (len(one.data), _sha1(one.data)), where, is_french=is_french)
            data: bytes | None = one.data
        else:
            binary = await _binary(exchange, target.id, facts)
            if binary is None:
                continue
            content = binary.document["content"]
            held = (content["size"], await exchange.server.contents.sha1(content))
            found += _of_bytes(exchange, attachment, held, where, is_french=is_french)
            found += _of_media(attachment, str(content["type"]), where, is_french=is_french)
            data = await _xml(exchange, attachment, content) if is_french else None
        if is_french and data is not None and _media(attachment) in XML and len(data) <= _LARGEST_XML:
            found += issues_of_content(data, draft.resource, facts.persons, where)
    return found


def _of_patient(resource: JsonObject, facts: Facts, base_url: str) -> Iterator[Issue]:
    """The INS of the contained source patient is the patient's; which one that is is not told."""
    context = resource.get("context")
    source = context.get("sourcePatientInfo") if isinstance(context, dict) else None
    literal = source.get("reference") if isinstance(source, dict) else None
    patient = local(literal, base_url) if isinstance(literal, str) else None
    if patient is not None and patient.id != facts.record:
        sentence = told("source-patient")
        yield error(IssueType.BUSINESS_RULE, sentence, "DocumentReference.context.sourcePatientInfo.reference")
    contained = resource.get("contained")
    known = {person for person in facts.persons if person.startswith("ins|")}
    for position, part in enumerate(contained if isinstance(contained, list) else []):
        if not isinstance(part, dict) or literal != f"#{part.get('id')}":
            continue
        identifiers = part.get("identifier")
        for at, identifier in enumerate(identifiers if isinstance(identifiers, list) else []):
            is_ins = isinstance(identifier, dict) and identifier.get("system") in INS
            if is_ins and known and identifier_key(identifier) not in known:
                yield error(
                    IssueType.BUSINESS_RULE,
                    told("source-ins"),
                    f"DocumentReference.contained[{position}].identifier[{at}]",
                )


def _of_media(attachment: JsonObject, media: str, where: str, *, is_french: bool) -> Iterator[Issue]:
    """A document is fetched as what its attachment says, so that is what it must be."""
    if _base(media) != _media(attachment):
        sentence = told("other-media", declared=_media(attachment)[:80], found=_base(media)[:80])
        severity = Severity.ERROR if is_french else Severity.WARNING
        yield issue(severity, IssueType.VALUE, sentence, f"{where}.contentType")


def _of_bytes(
    exchange: Exchange, attachment: JsonObject, held: tuple[int, str | None], where: str, *, is_french: bool
) -> Iterator[Issue]:
    """What the attachment declares beside the size and the hash of what is there.

    By MHD alone a wrong size is no more than told: with the right hash nothing of the document is missing, and a
    published example counts one byte too many.
    """
    severity = Severity.WARNING if exchange.server.mismatch_warns else Severity.ERROR
    size, hash = held
    told_size, told_hash = attachment.get("size"), attachment.get("hash")
    if told_size is not None and told_size != size:
        sentence = told("other-size", declared=told_size, size=size)
        intact = not is_french and told_hash is not None and told_hash == hash
        yield issue(Severity.WARNING if intact else severity, IssueType.VALUE, sentence, f"{where}.size")
    if isinstance(told_hash, str) and hash is not None and told_hash != hash:
        sentence = told("other-hash", declared=told_hash[:40], hash=hash)
        yield issue(severity, IssueType.VALUE, sentence, f"{where}.hash")


def _uncompared(attachment: JsonObject, where: str) -> Iterator[Issue]:
    """Of a FHIR document the bytes that its author measured are not here: the server puts its id and meta into it."""
    declared = [name for name in ("size", "hash") if name in attachment]
    if declared:
        sentence = told("not-compared")
        yield information(IssueType.INFORMATIONAL, sentence, *(f"{where}.{name}" for name in declared))


async def _binary(exchange: Exchange, id: str, facts: Facts) -> Stored | None:
    """A Binary that the requester may point to."""
    held = await exchange.server.reading.hold("Binary", id)
    rules = exchange.account.rules
    found = [held.read(exchange.decide("Binary", act, facts).visible) for act in (Act.CONSULT, Act.FEED)]
    exchange.account.rules = rules
    return next((one for one in found if one is not None and one.body is not None), None)


async def _xml(exchange: Exchange, attachment: JsonObject, content: dict[str, Any]) -> bytes | None:
    if _media(attachment) not in XML or content["size"] > _LARGEST_XML:
        return None
    return await exchange.server.contents.give(content)


def _media(attachment: JsonObject) -> str:
    return _base(str(attachment.get("contentType", "")))


def _base(media: str) -> str:
    return media.partition(";")[0].strip().lower()


def _attachments(resource: JsonObject) -> Iterator[tuple[int, JsonObject]]:
    contents = resource.get("content")
    for position, content in enumerate(contents if isinstance(contents, list) else []):
        attachment = content.get("attachment") if isinstance(content, dict) else None
        if isinstance(attachment, dict):
            yield position, attachment


# What is replaced


async def replaced_by(exchange: Exchange, draft: Draft, facts: Facts) -> tuple[Replaced, ...]:
    """The documents that a new one makes superseded, by ``relatesTo`` alone.

    Its author may replace a document, and who may consult the record, whether the document is masked from him or not
    (`Act.REPLACE`). So of one that he does not see nothing is told: it is superseded or not there, and the answer is
    the same. Where a profile binds, one that he sees must be of this record, his to replace, and not replaced already.
    One that the same Bundle changes itself is left to that.
    """
    if draft.type != "DocumentReference":
        return ()
    binding = bool(profiles_of(exchange, draft.resource))
    if exchange.is_conformance and not binding:
        return ()
    relations = draft.resource.get("relatesTo")
    found: dict[str, Replaced] = {}
    for position, relation in enumerate(relations if isinstance(relations, list) else []):
        if not isinstance(relation, dict) or relation.get("code") != "replaces":
            continue
        where = f"DocumentReference.relatesTo[{position}].target"
        key = await _named(exchange, relation.get("target"), facts)
        if key in exchange.changing:
            continue
        one = await _to_replace(exchange, key, facts)
        if binding and one.shown is not None:
            _must_be_his_to_replace(one, where)
        elif binding:
            sentence = told("replaced-or-not")
            draft.remarks.append(information(IssueType.INFORMATIONAL, sentence, where))
        if one.old is not None and _status(one.old) == "current":
            found[one.old.key] = Replaced(one.old, is_shown=one.shown is not None)
            if one.shown is not None and not exchange.is_conformance:
                keep_masked(draft, one.shown.document["labels"])
    return tuple(found.values())


def _must_be_his_to_replace(one: _Sought, where: str) -> None:
    if one.old is None:
        sentence = told("not-yours-to-replace")
        raise Unprocessable(sentence, expression=(where,), code=IssueType.BUSINESS_RULE)
    if _status(one.old) != "current":
        sentence = told("replaced-already")
        raise Unprocessable(sentence, expression=(where,), code=IssueType.BUSINESS_RULE)


def _status(document: Stored) -> Json:
    return json.decode_object(document.body or b"{}").get("status")


async def _named(exchange: Exchange, target: Json, facts: Facts) -> str | None:
    """The key a relation names by its reference, or by an identifier of the document."""
    if not isinstance(target, dict):
        return None
    literal = target.get("reference")
    if isinstance(literal, str):
        found = local(literal, exchange.server.base_url)
        return str(found) if found is not None and found.type == "DocumentReference" else None
    identifier = target.get("identifier")
    value = identifier.get("value") if isinstance(identifier, dict) else None
    if not isinstance(identifier, dict) or not isinstance(value, str):
        return None
    system = identifier.get("system")
    asked = token.predicate("identifier", [token.Token(system if isinstance(system, str) else "", value)])
    record, realm = facts.record or "", exchange.requester.realm.value
    named = await exchange.server.internal.named(asked, ("DocumentReference",), realm, records=(record,))
    return next(iter(named.values()), None)


@dataclass(frozen=True, slots=True)
class _Sought:
    """A document that is to be replaced, as far as it is there for the requester."""

    old: Stored | None
    """If it is his to replace in this record."""
    shown: Stored | None
    """If he may consult it."""


async def _to_replace(exchange: Exchange, key: str | None, facts: Facts) -> _Sought:
    held = await exchange.server.reading.hold("DocumentReference", key.partition("/")[2] if key is not None else "")
    rules = exchange.account.rules
    replacing = exchange.decide("DocumentReference", Act.REPLACE, facts)
    consulting = exchange.decide("DocumentReference", Act.CONSULT, await exchange.facts(held.record))
    exchange.account.rules = rules
    old = held.read(replacing.visible) if held.record == facts.record else None
    shown = held.read(consulting.visible)
    return _Sought(
        old if old is not None and old.body is not None else None,
        shown if shown is not None and shown.body is not None else None,
    )


# Written with it


@asynccontextmanager
async def announced(
    exchange: Exchange, beside: Beside, deposit: Deposit
) -> AsyncIterator[tuple[tuple[dict[str, Any], ...], tuple[tuple[Stored, dict[str, Any]], ...]]]:
    """The Binaries to be stored and the documents to be superseded, whose traces are durable; written in the body."""
    async with AsyncExitStack() as stack:
        contents: list[dict[str, Any]] = []
        for one in beside.carried:
            scope = Scope.of(exchange.account.record, one.id)
            content = await stack.enter_async_context(exchange.server.contents.keep(one.data, one.content_type, scope))
            candidate = {**_binary_of(exchange, one, deposit), "content": content}
            contents.append(await _traced(exchange, stack, candidate, "create", 201))
        changed: list[tuple[Stored, dict[str, Any]]] = []
        for replaced in beside.replaced:
            candidate = _superseded(exchange, replaced.old)
            traced = await _traced(exchange, stack, candidate, "update", 200, by_server=not replaced.is_shown)
            changed.append((replaced.old, traced))
        yield tuple(contents), tuple(changed)


async def _traced(
    exchange: Exchange,
    stack: AsyncExitStack,
    candidate: dict[str, Any],
    interaction: str,
    status: int,
    *,
    by_server: bool = False,
) -> dict[str, Any]:
    """The candidate with the key of its trace, which is durable; the write takes place within the stack."""
    type, key, version = candidate["rt"], candidate["_id"], candidate["version"]
    access = replace(
        exchange.access(status), interaction=interaction, type=type, target=key, version=version, query=None
    )
    sealed = replace(exchange.sealed(), target=key, version=version)
    if by_server:
        access = replace(access, agent=Agent(key=SERVER, name=exchange.server.base_url), at=access.at - 1_000)
        sealed = replace(sealed, why=f"superseded by {exchange.account.target}")
    trace = await stack.enter_async_context(exchange.server.journal.write(access, sealed, version))
    return {**candidate, "trace": trace}


def _binary_of(exchange: Exchange, one: Carried, deposit: Deposit) -> dict[str, Any]:
    """A Binary as it is stored; its document becomes its owner in the same transaction."""
    server = exchange.server
    told: JsonObject = {"resourceType": "Binary", "contentType": one.content_type}
    resource, body = stamp(json.encode(told), told, id=one.id, version=1, at=exchange.now)
    return {
        **document(
            resource,
            body,
            parameters=server.parameters,
            version=1,
            at=exchange.now,
            realm=exchange.requester.realm.value,
            deposit=deposit,
            bucket=bucket_of(server.routing_key, "Binary", one.id, None),
        ),
        "record": None,
        "unowned": exchange.now,
    }


def _superseded(exchange: Exchange, old: Stored) -> dict[str, Any]:
    """The next version of a document that is replaced: the same but for its status."""
    parts = json.members(old.body or b"{}")
    body = json.join_members({**parts, "status": b'"superseded"'})
    version = old.version + 1
    resource, body = stamp(body, json.decode_object(body), id=old.id, version=version, at=exchange.now)
    candidate = document(
        resource,
        body,
        parameters=exchange.server.parameters,
        version=version,
        at=exchange.now,
        realm=old.document["realm"],
        deposit=old.document["deposit"],
        bucket=old.document["b"],
    )
    return {**candidate, **{name: old.document[name] for name in ("owns",) if name in old.document}}

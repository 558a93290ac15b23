"""``$mask`` and ``$unmask``: ``POST DocumentReference/[id]/$mask``, ``POST DocumentReference/$mask``.

docs/interactions/operations.md#mask

The label MASQUE_PS put on documents or taken off (R-20, R-23), each as a PATCH would. All of them are looked up,
checked and decided before the first is changed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fhir_server.fhir import json
from fhir_server.fhir.errors import Forbidden, Invalid, NotFound
from fhir_server.fhir.outcome import IssueType
from fhir_server.fhir.reference import ID
from fhir_server.identity.requester import Kind
from fhir_server.interactions.exchange import Elsewhere
from fhir_server.interactions.json_patch import apply
from fhir_server.interactions.messages import told as told_by_all
from fhir_server.interactions.prepare import read_body
from fhir_server.interactions.update import carry_out, held_for_change, must_be_open_to_change, prepared
from fhir_server.operations.messages import told
from fhir_server.operations.operation import Operation, answer, parameter, parts
from fhir_server.record.labels import INVISIBLE, MASQUE_PS, TRE_A07, labels_of

if TYPE_CHECKING:
    from fhir_server.fhir.json import Json, JsonObject
    from fhir_server.interactions.answer import Answer
    from fhir_server.interactions.exchange import Exchange
    from fhir_server.interactions.update import Change
    from fhir_server.operations.operation import Invocation
    from fhir_server.store.reading import Stored

TYPE: Final = "DocumentReference"
_MASK: Final = {"coding": [{"system": TRE_A07, "code": MASQUE_PS}]}


async def _mask(call: Invocation) -> Answer:
    return await _relabel(call, masked=True)


async def _unmask(call: Invocation) -> Answer:
    return await _relabel(call, masked=False)


MASK: Final = Operation("mask", TYPE, _mask)
UNMASK: Final = Operation("unmask", TYPE, _unmask)


async def _relabel(call: Invocation, *, masked: bool) -> Answer:
    exchange = call.exchange
    ids = _ids(call)
    must_be_open_to_change(exchange, TYPE)
    if exchange.requester.kind is Kind.FEEDER:
        # that a label is there is stored, which who feeds only may not read
        raise Forbidden(told_by_all("feeds-only"))
    prepared_all = [await _prepared(exchange, id, masked=masked) for id in ids]
    if call.id is None:
        exchange.account.target = None
        _account(exchange, [stored for _, stored, _ in prepared_all])
    relabelled_all: list[JsonObject] = []
    for part, stored, change in prepared_all:
        version = stored.version
        if change is not None:
            version = (await carry_out(part, change)).version or version
        relabelled_all.append(
            parts(
                "document",
                parameter("id", "Id", stored.id),
                parameter("version", "Integer", version),
                parameter("changed", "Boolean", change is not None),
            )
        )
    return answer(*relabelled_all)


def _ids(call: Invocation) -> list[str]:
    """The documents named, each once: by the URL, or by the body."""
    given = call.given.all("id")
    if call.id is not None:
        if given:
            raise Invalid(told("document-by-url"), expression=(given[0].where,))
        return [call.id]
    if not given:
        raise Invalid(told("name-the-documents"), expression=("Parameters",), code=IssueType.REQUIRED)
    for one in given:
        if not isinstance(one.value, str) or ID.fullmatch(one.value) is None:
            raise Invalid(told("no-id-form"), expression=(one.where,), code=IssueType.VALUE)
    return list(dict.fromkeys(str(one.value) for one in given))


async def _prepared(exchange: Exchange, id: str, *, masked: bool) -> tuple[Exchange, Stored, Change | None]:
    """The document, and the change it needs, checked and decided; 404 for one the requester may not know of."""
    part = exchange.part("update")
    part.account.type, part.account.target = TYPE, f"{TYPE}/{id}"
    # until all of them are known, a refusal is about this one, and belongs in the trail of its record
    exchange.account.target = part.account.target
    facts, stored = await held_for_change(part, TYPE, id)
    exchange.account.record, exchange.account.sought = part.account.record, True
    exchange.account.rules = part.account.rules
    if stored is None or stored.body is None:
        raise NotFound(told_by_all("unknown", key=f"{TYPE}/{id}"))
    body = relabelled(stored.body, masked=masked)
    if body is None:
        return part, stored, None
    return part, stored, await prepared(part, read_body(part, TYPE, body, id), facts, stored)


def relabelled(body: bytes, *, masked: bool) -> bytes | None:
    """The document with the mask or without it; nothing when it is so already."""
    resource = json.decode_object(body)
    if (MASQUE_PS in labels_of(resource)) is masked:
        return None
    if masked:
        return apply(json.encode([{"op": "add", "path": "/securityLabel/-", "value": _MASK}]), body)
    patch = [{"op": "remove", "path": path} for path in _masks(resource)]
    return apply(json.encode(patch), body)


def _masks(resource: JsonObject) -> list[str]:
    """Where the mask is, from the last to the first: a label that holds nothing else goes as a whole."""
    found: list[str] = []
    for position, label in enumerate(_list(resource.get("securityLabel"))):
        codings = _list(label.get("coding")) if isinstance(label, dict) else []
        masks = [at for at, coding in enumerate(codings) if _is_mask(coding)]
        if masks and len(masks) == len(codings):
            found.append(f"/securityLabel/{position}")
        else:
            found += [f"/securityLabel/{position}/coding/{at}" for at in masks]
    meta = resource.get("meta")
    security = _list(meta.get("security")) if isinstance(meta, dict) else []
    found += [f"/meta/security/{at}" for at, coding in enumerate(security) if _is_mask(coding)]
    return found[::-1]


def _is_mask(coding: Json) -> bool:
    return isinstance(coding, dict) and str(coding.get("code", "")).upper() == MASQUE_PS


def _account(exchange: Exchange, documents: list[Stored]) -> None:
    """Whose trails it belongs in; from whom one of the documents is hidden, the trace is withheld as well."""
    by_record: dict[str, list[Stored]] = {}
    for one in documents:
        by_record.setdefault(one.record or "", []).append(one)
    for record, mine in by_record.items():
        hidden = [one.key for one in mine if INVISIBLE & set(labels_of(json.decode_object(one.body or b"{}")))]
        exchange.account.named[record] = (hidden or [one.key for one in mine])[0]
    first, *others = by_record
    exchange.account.record = first or None
    exchange.account.patient = f"Patient/{first}" if first and not others else None
    exchange.account.elsewhere += [Elsewhere(record) for record in others if record]


def _list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []

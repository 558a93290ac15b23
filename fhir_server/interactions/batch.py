"""FHIR batch: ``POST [base]`` with a Bundle of type batch; each entry is a request of its own.

https://hl7.org/fhir/R4/http.html#transaction

Each entry is authenticated as the whole, decided, traced and answered by itself; one that fails does not touch the
others. Entries that follow each other and cannot depend on each other are performed at once, so that their look-ups and
traces share what requests at once share. A Bundle of type transaction comes by the same door
(`interactions.transaction`).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from fhir_server.fhir import json
from fhir_server.fhir.errors import FhirError, Invalid, Unprocessable
from fhir_server.fhir.outcome import IssueType, operation_outcome
from fhir_server.interactions.answer import Answer
from fhir_server.interactions.entries import Call, bodies_of, call_of, entries_of, response_bundle, response_entry
from fhir_server.interactions.messages import told
from fhir_server.record.elements import TYPES
from fhir_server.record.telling import TELLING
from fhir_server.validation.sharing.profiles import PROVIDES, declared

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

    from fhir_server.fhir.json import Json, JsonObject
    from fhir_server.fhir.outcome import Language
    from fhir_server.interactions.exchange import Exchange

AT_ONCE: Final = 32
"""Entries performed at once: as many as share the look-ups well, and leave room for other requests."""


def bundle_of(raw: bytes) -> JsonObject:
    """The Bundle of a batch or a transaction."""
    bundle = json.decode_object(raw, json.MAX_IN_BUNDLE)
    if bundle.get("resourceType") != "Bundle":
        raise Invalid(told("bundle-expected"), expression=("resourceType",))
    if bundle.get("type") not in ("batch", "transaction"):
        raise Unprocessable(
            told("bundle-type", type=bundle["type"]) if "type" in bundle else told("no-bundle-type"),
            expression=("Bundle.type",),
            code=IssueType.NOT_SUPPORTED,
        )
    if bundle["type"] == "batch" and any(url in PROVIDES for url in declared(bundle)):
        raise Unprocessable(
            told("provided-by-batch"),
            expression=("Bundle.type",),
            code=IssueType.BUSINESS_RULE,
        )
    return bundle


async def batch(
    exchange: Exchange, raw: bytes, bundle: JsonObject, perform: Callable[[Call], Awaitable[Answer]]
) -> Answer:
    """Perform each entry and answer each; what cannot depend on each other is performed at once, the rest in order."""
    entries, bodies = entries_of(bundle), bodies_of(raw)
    base_url, returning = exchange.server.base_url, exchange.return_preference
    calls = [_read(entry, bodies[position], position, base_url) for position, entry in enumerate(entries)]
    parts: list[bytes] = []
    for group in _apart(calls):
        parts += await asyncio.gather(*(_perform(call, perform, returning, exchange.language) for call in group))
    return Answer(200, response_bundle("batch-response", parts))


def _read(entry: Json, body: bytes | None, position: int, base_url: str) -> Call | FhirError:
    try:
        return call_of(entry, body, position, base_url)
    except FhirError as error:
        return error


def _apart(calls: Sequence[Call | FhirError]) -> Iterator[list[Call | FhirError]]:
    """The entries in groups: each group is performed when the one before is done."""
    group: list[Call | FhirError] = []
    kind: str | None = None
    for call in calls:
        own = _kind(call)
        if group and (own is None or own != kind or len(group) == AT_ONCE):
            yield group
            group = []
        group.append(call)
        kind = own
    if group:
        yield group


def _kind(call: Call | FhirError) -> str | None:
    """What may be performed beside others of its kind: reads, and what is new and nobody can have named.

    Nothing for what must be alone: a change, a condition, and what decides what others may do.
    """
    if isinstance(call, FhirError) or call.method in ("GET", "HEAD"):
        return "read"
    new = call.method == "POST" and call.url in TYPES and call.url not in TELLING and not call.conditional
    return f"create {call.url}" if new else None


async def _perform(
    call: Call | FhirError, perform: Callable[[Call], Awaitable[Answer]], returning: str, language: Language
) -> bytes:
    try:
        if isinstance(call, FhirError):
            raise call
        answer = await perform(call)
    except FhirError as error:
        outcome = operation_outcome(error.issues, language)
        return json.encode({"response": {"status": str(error.status), "outcome": outcome}})
    return response_entry(answer, returning, writing=call.writes, language=language)

"""FHIR batch: ``POST [base]`` with a Bundle of type batch; each entry is a request of its own.

https://hl7.org/fhir/R4/http.html#transaction

Each entry is authenticated as the whole, decided, traced and answered by itself; one that fails does not touch the
others. A Bundle of type transaction comes by the same door (`interactions.transaction`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fhir_server.fhir import json
from fhir_server.fhir.errors import FhirError, Invalid, Unprocessable
from fhir_server.fhir.outcome import IssueType, operation_outcome
from fhir_server.interactions.answer import Answer
from fhir_server.interactions.entries import Call, bodies_of, call_of, entries_of, response_bundle, response_entry

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from fhir_server.fhir.json import Json, JsonObject


def bundle_of(raw: bytes) -> JsonObject:
    """The Bundle of a batch or a transaction."""
    bundle = json.decode_object(raw)
    if bundle.get("resourceType") != "Bundle":
        raise Invalid("A Bundle is expected here.", expression=("resourceType",))
    if bundle.get("type") not in ("batch", "transaction"):
        raise Unprocessable(
            f"Bundles of type batch and transaction are carried out; this one is {bundle.get('type', 'of no type')!r}.",
            expression=("Bundle.type",),
            code=IssueType.NOT_SUPPORTED,
        )
    return bundle


async def batch(raw: bytes, bundle: JsonObject, perform: Callable[[Call], Awaitable[Answer]]) -> Answer:
    """Perform each entry, in order, and answer each."""
    entries, bodies = entries_of(bundle), bodies_of(raw)
    parts = [await _perform(entry, bodies[position], position, perform) for position, entry in enumerate(entries)]
    return Answer(200, response_bundle("batch-response", parts))


async def _perform(
    entry: Json, body: bytes | None, position: int, perform: Callable[[Call], Awaitable[Answer]]
) -> bytes:
    try:
        answer = await perform(call_of(entry, body, position))
    except FhirError as error:
        outcome = operation_outcome(error.issues)
        return json.encode({"response": {"status": str(error.status), "outcome": outcome}})
    return response_entry(answer)

"""``StructureDefinition/$snapshot``: a profile in full. docs/interactions/operations.md#snapshot

https://hl7.org/fhir/R4/structuredefinition-operation-snapshot.html

Made from the differential and its bases, whatever snapshot the definition has: those of this server, those an operator
installed, and those that are stored, as far as the caller may read them.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from fhir_server.consent.circumstances import Act
from fhir_server.definitions.bad_profile import BadProfile
from fhir_server.fhir import json
from fhir_server.fhir.errors import Invalid, NotFound, Unprocessable
from fhir_server.fhir.outcome import IssueType
from fhir_server.interactions.answer import Answer
from fhir_server.interactions.definitional import answered_by, checks_for, with_definition
from fhir_server.interactions.read import read
from fhir_server.operations.messages import told
from fhir_server.operations.operation import Operation

if TYPE_CHECKING:
    from fhir_server.fhir.json import Json, JsonObject
    from fhir_server.interactions.exchange import Exchange
    from fhir_server.operations.operation import Invocation
    from fhir_server.validation.profiles.checks import ProfileChecks
    from fhir_server.validation.profiles.profile import Definitions

_TYPE: Final = "StructureDefinition"
_MOST_BYTES: Final = 8_000_000
"""Of the elements of an answer: what a base tells of an element once, each new slice of it tells again."""


async def _perform(call: Invocation) -> Answer:
    exchange = call.exchange
    exchange.closed(_TYPE, Act.CONSULT, "r")
    url, sent = call.given.text("url"), call.given.one("definition")
    if sum((call.id is not None, url is not None, sent is not None)) != 1:
        raise Invalid(told("one-definition"), expression=call.given.where("url"), code=IssueType.INVALID)
    if url is not None:
        return await _asked(exchange, await checks_for(exchange, [url]), url, call.given.where("url"))
    if call.id is not None:
        definition = json.decode_object((await read(exchange, _TYPE, call.id)).body or b"{}")
        return await _of(exchange, definition, (_TYPE,))
    body = sent.value if sent is not None else None
    return await _of(exchange, body if isinstance(body, dict) else {}, call.given.where("definition"))


OPERATION: Final = Operation("snapshot", _TYPE, _perform)


async def _of(exchange: Exchange, definition: JsonObject, where: tuple[str, ...]) -> Answer:
    """Of a definition that is told; one the server has already is taken as it is there."""
    try:
        checks, canonical = await with_definition(exchange, definition)
    except BadProfile as wrong:
        raise _unusable(wrong, where) from None
    return await _asked(exchange, checks, canonical, where)


async def _asked(exchange: Exchange, checks: ProfileChecks, canonical: str, where: tuple[str, ...]) -> Answer:
    return await answered_by(exchange, checks, partial(_answer, checks.definitions, canonical, where))


def _answer(definitions: Definitions, canonical: str, where: tuple[str, ...]) -> Answer:
    definition = definitions.get(canonical)
    if definition is None:
        raise NotFound(told("definition-unknown", url=canonical[:200]), expression=where)
    try:
        elements = definitions.snapshot(canonical).elements
    except BadProfile as wrong:
        raise _unusable(wrong, where) from None
    except RecursionError:
        message = told("too-deep-for-a-snapshot")
        raise Unprocessable(message, expression=where, code=IssueType.TOO_COSTLY) from None
    listed: list[Json] = []
    size = 0
    for one in map(_defined, elements):
        size += len(json.encode(one))
        if size > _MOST_BYTES:
            message = told("snapshot-too-large", most=_MOST_BYTES)
            raise Unprocessable(message, expression=where, code=IssueType.TOO_COSTLY)
        listed.append(one)
    return Answer(200, json.encode({**definition, "snapshot": {"element": listed}}))


def _defined(element: JsonObject) -> JsonObject:
    """An element with a definition, which a snapshot must have (sdf-3); of the standard the short ones are here."""
    words = element.get("definition") or element.get("short") or element.get("path")
    return {**element, "definition": words}


def _unusable(wrong: BadProfile, where: tuple[str, ...]) -> Unprocessable:
    return Unprocessable(told("no-snapshot", why=wrong.told), expression=where, code=IssueType.PROCESSING)

"""An operation: its code, the signature from its OperationDefinition, and how it is called.

https://hl7.org/fhir/R4/operations.html
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from fhir_server.fhir import json
from fhir_server.fhir.errors import Invalid
from fhir_server.interactions.answer import Answer
from fhir_server.operations.messages import told
from fhir_server.operations.parameters import Given, alone, from_body, from_query, from_resource

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from fhir_server.definitions.operations import OperationDefinition
    from fhir_server.fhir.json import Json, JsonObject
    from fhir_server.interactions.exchange import Exchange


EVERY_TYPE: Final = "Resource"
"""The type of an operation that every resource type has."""


@dataclass(frozen=True, slots=True)
class Invocation:
    """One call of an operation."""

    exchange: Exchange
    id: str | None
    """Of the resource it is called on; nothing when it is called on the type."""
    reading: bool
    """By GET, which changes nothing."""
    given: Given
    body: bytes = b""
    """Of an operation that reads it itself."""


Perform: TypeAlias = Callable[[Invocation], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Operation:
    """The code of an operation."""

    code: str
    """Its name without the ``$``."""
    resource: str
    perform: Perform
    reads: bool = False
    """GET without parameters tells what POST would change."""
    reads_body: bool = False
    """The body may be a resource, or hold one that is not valid: the operation reads it itself."""


@dataclass(frozen=True, slots=True)
class Offered:
    """An operation with its signature."""

    operation: Operation
    definition: OperationDefinition

    @property
    def methods(self) -> tuple[str, ...]:
        """POST always; GET where nothing is affected."""
        reads = self.operation.reads or not self.definition.affects_state
        return ("GET", "POST") if reads else ("POST",)

    def types(self, every: Iterable[str]) -> tuple[str, ...]:
        """The resource types it is on: one, or every one where it is on Resource."""
        return tuple(every) if self.definition.resource == EVERY_TYPE else (self.definition.resource,)

    def routes(self) -> Iterator[tuple[str, str]]:
        """Its methods and path shapes: ``POST type/id/$authorize``."""
        levels = (("type/id", self.definition.on_instance), ("type", self.definition.on_type))
        for level, there in levels:
            for method in self.methods if there else ():
                yield method, f"{level}/${self.definition.code}"

    async def invoke(
        self, exchange: Exchange, id: str | None, method: str, pairs: Sequence[tuple[str, str]], body: bytes
    ) -> Answer:
        """Read what it is called with and perform it."""
        takes, validator, reading = self.definition.takes, exchange.server.validator, method == "GET"
        if self.operation.reads_body:
            # a query may tell what is primitive, whatever the body is
            given = from_query(validator, [one for one in takes if one.primitive], pairs)
            return await self.operation.perform(Invocation(exchange, id, reading, given, body))
        if reading:
            given = from_query(validator, takes, pairs)
            if not given.nothing and self.definition.affects_state:
                raise Invalid(told("get-only-tells"))
        elif (resource := alone(takes, body)) is not None:
            given = from_resource(validator, takes, resource, pairs)
        else:
            if pairs:
                raise Invalid(told("body-alone", names=", ".join(name[:40] for name, _ in pairs[:5])))
            given = from_body(validator, takes, body)
        return await self.operation.perform(Invocation(exchange, id, reading, given))


def offered(operations: Iterable[Operation], definitions: Iterable[OperationDefinition]) -> tuple[Offered, ...]:
    """Every operation with its definition; one without the other stops the start-up."""
    known = {(one.resource, one.code): one for one in definitions}
    code = {(one.resource, one.code): one for one in operations}
    if known.keys() != code.keys():
        alone = ", ".join(f"{type}/${name}" for type, name in sorted(known.keys() ^ code.keys()))
        raise ValueError(f"Operations need code and an OperationDefinition; these have only one of them: {alone}")
    return tuple(Offered(operation, known[key]) for key, operation in code.items())


def parameter(name: str, type: str, value: Json) -> JsonObject:
    """One parameter of an answer: ``parameter("statut", "Code", "ACTIF")``."""
    return {"name": name, f"value{type}": value}


def parts(name: str, *listed: JsonObject) -> JsonObject:
    """One parameter with its parts."""
    return {"name": name, "part": [*listed]}


def answer(*parameters: JsonObject) -> Answer:
    """A Parameters resource as the answer."""
    resource: JsonObject = {"resourceType": "Parameters"}
    if parameters:
        resource["parameter"] = [*parameters]
    return Answer(200, json.encode(resource))

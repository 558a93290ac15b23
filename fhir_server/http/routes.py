"""From a method and a path to an interaction, as the capability statement declares it.

https://hl7.org/fhir/R4/http.html#summary

Routes and ``/metadata`` come from one file, `capability_statement.json`, so the statement cannot lie: what it does not
declare has no route, and a code without a route stops the start-up.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from fhir_server.fhir.errors import NotAllowed, NotFound
from fhir_server.fhir.reference import ID
from fhir_server.http.messages import told

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from fhir_server.operations.operation import Offered


class Interaction(StrEnum):
    """https://hl7.org/fhir/R4/valueset-restful-interaction.html, those this server knows."""

    READ = "read"
    VREAD = "vread"
    UPDATE = "update"
    PATCH = "patch"
    DELETE = "delete"
    HISTORY_INSTANCE = "history-instance"
    HISTORY_TYPE = "history-type"
    CREATE = "create"
    SEARCH_TYPE = "search-type"
    HISTORY_SYSTEM = "history-system"
    SEARCH_SYSTEM = "search-system"
    SEARCH_COMPARTMENT = "search-compartment"
    """Declared as a compartment of the server, not as an interaction: R4 has no code for it."""
    BATCH = "batch"
    TRANSACTION = "transaction"
    CAPABILITIES = "capabilities"
    OPERATION = "operation"


SHAPES: Final[Mapping[Interaction, tuple[tuple[str, str], ...]]] = {
    Interaction.READ: (("GET", "type/id"), ("HEAD", "type/id")),
    Interaction.VREAD: (("GET", "type/id/_history/vid"), ("HEAD", "type/id/_history/vid")),
    Interaction.UPDATE: (("PUT", "type/id"),),
    Interaction.PATCH: (("PATCH", "type/id"),),
    Interaction.DELETE: (("DELETE", "type/id"),),
    Interaction.HISTORY_INSTANCE: (("GET", "type/id/_history"), ("HEAD", "type/id/_history")),
    Interaction.HISTORY_TYPE: (("GET", "type/_history"), ("HEAD", "type/_history")),
    Interaction.CREATE: (("POST", "type"),),
    Interaction.SEARCH_TYPE: (("GET", "type"), ("HEAD", "type"), ("POST", "type/_search")),
    Interaction.HISTORY_SYSTEM: (("GET", "_history"), ("HEAD", "_history")),
    Interaction.SEARCH_SYSTEM: (("GET", ""), ("HEAD", ""), ("POST", "_search")),
    Interaction.SEARCH_COMPARTMENT: (
        ("GET", "type/id/*"),
        ("HEAD", "type/id/*"),
        ("POST", "type/id/_search"),
        ("GET", "type/id/type"),
        ("HEAD", "type/id/type"),
        ("POST", "type/id/type/_search"),
    ),
    Interaction.BATCH: (("POST", ""),),
    Interaction.TRANSACTION: (("POST", ""),),
    Interaction.CAPABILITIES: (("GET", "metadata"), ("HEAD", "metadata")),
    Interaction.OPERATION: (),
}
"""The methods and path shapes of each interaction; each operation has its own (`operations.operation`)."""

ON_CONDITION: Final[Mapping[Interaction, tuple[str, str]]] = {
    Interaction.UPDATE: ("PUT", "type"),
    Interaction.PATCH: ("PATCH", "type"),
    Interaction.DELETE: ("DELETE", "type"),
}
"""The same on what a search finds: https://hl7.org/fhir/R4/http.html#cond-update"""


_BELOW: Final = frozenset({"_history", "_search", "*"})
"""What may stand below one resource, beside operations and types."""


@dataclass(frozen=True, slots=True)
class Route:
    """An interaction and the parts of its path."""

    interaction: Interaction
    type: str | None = None
    id: str | None = None
    version: str | None = None
    method: str = ""
    operation: Offered | None = None
    member: str | None = None
    """Of a compartment: the type of resource that is searched in it; all of them, where there is none."""

    @property
    def on_condition(self) -> bool:
        """Whether the query says what it is done to."""
        return self.id is None and self.interaction in ON_CONDITION


class Routes:
    """All routes there are, found in two look-ups."""

    def __init__(
        self,
        system: Iterable[str],
        types: Mapping[str, Iterable[str]],
        operations: Iterable[Offered] = (),
        compartments: Iterable[str] = (),
        conditional: Mapping[str, Iterable[Interaction]] = MappingProxyType({}),
    ) -> None:
        """From the interactions declared for the whole system and each resource type, operations and compartments.

        ``conditional`` are the interactions of each type that are offered on a condition too.
        """
        self._types = frozenset(types)
        self._routes: dict[tuple[str, str | None], dict[str, Interaction]] = {}
        for code in (*system, "capabilities"):
            self._bind(Interaction(code), None)
        for type, codes in types.items():
            for code in codes:
                self._bind(Interaction(code), type)
        for type in compartments:
            self._bind(Interaction.SEARCH_COMPARTMENT, type)
        for type, interactions in conditional.items():
            for interaction in interactions:
                method, shape = ON_CONDITION[interaction]
                self._routes.setdefault((shape, type), {})[method] = interaction
        self._operations: dict[tuple[str, str | None], Offered] = {}
        for operation in operations:
            for type in operation.types(types):
                for method, shape in operation.routes():
                    self._operations[shape, type] = operation
                    self._routes.setdefault((shape, type), {})[method] = Interaction.OPERATION

    def _bind(self, interaction: Interaction, type: str | None) -> None:
        for method, shape in SHAPES[interaction]:
            self._routes.setdefault((shape, type), {})[method] = interaction

    def __iter__(self) -> Iterator[tuple[str, str, str | None, Interaction]]:
        """Every ``(method, shape, type, interaction)``, for the door matrix and the documentation."""
        for (shape, type), methods in self._routes.items():
            for method, interaction in methods.items():
                yield method, shape, type, interaction

    def find(self, method: str, segments: Sequence[str]) -> Route:
        """The route; 404 for a path that leads nowhere, 405 with Allow for a method that is not offered there."""
        shape, type, id, last = self._shape(segments)
        methods = self._routes.get((shape, type))
        if methods is None:
            raise NotFound(told("no-such-path", path=f"/{'/'.join(segments)[:200]}"))
        interaction = methods.get(method)
        if interaction is None:
            offered = ", ".join(sorted(methods))
            raise NotAllowed(told("not-offered", method=method, offered=offered), headers=(("Allow", offered),))
        if interaction is Interaction.SEARCH_COMPARTMENT:
            return Route(interaction, type, id, method=method, member=last)
        return Route(interaction, type, id, last, method, self._operations.get((shape, type)))

    def _shape(self, segments: Sequence[str]) -> tuple[str, str | None, str | None, str | None]:
        if not segments or segments[0] in ("_history", "_search", "metadata"):
            return "/".join(segments), None, None, None
        type, rest = segments[0], segments[1:]
        if type not in self._types:
            raise NotFound(told("no-such-type", type=type[:80]))
        match rest:
            case []:
                return "type", type, None, None
            case [last] if last in ("_search", "_history") or last.startswith("$"):
                return f"type/{last}", type, None, None
            case [id] if ID.fullmatch(id):
                return "type/id", type, id, None
            case [id, last] if ID.fullmatch(id) and (last in _BELOW or last.startswith("$")):
                return f"type/id/{last}", type, id, None
            case [id, member, *search] if ID.fullmatch(id) and member in self._types and search in ([], ["_search"]):
                return "/".join(["type/id/type", *search]), type, id, member
            case [id, "_history", version] if ID.fullmatch(id) and ID.fullmatch(version):
                return "type/id/_history/vid", type, id, version
            case [id, *_] if not ID.fullmatch(id):
                raise NotFound(told("no-id", id=id[:80]))
            case _:
                return "?", type, None, None

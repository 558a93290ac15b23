"""What each interaction of FHIR is carried out by, of a request or of an entry of a Bundle.

https://hl7.org/fhir/R4/http.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fhir_server.fhir.errors import Invalid, NotAllowed
from fhir_server.http.messages import told
from fhir_server.http.routes import Interaction, Route
from fhir_server.interactions.compartment import search_compartment
from fhir_server.interactions.conditional import conditional_delete, conditional_patch, conditional_update
from fhir_server.interactions.create import create
from fhir_server.interactions.delete import delete
from fhir_server.interactions.history import history_instance, history_system, history_type
from fhir_server.interactions.read import read, vread
from fhir_server.interactions.search import parse_pairs, search
from fhir_server.interactions.update import patch, update
from fhir_server.search.subset import SUBSET_PARAMETERS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fhir_server.interactions.answer import Answer
    from fhir_server.interactions.exchange import Exchange

READS: Final = frozenset({Interaction.READ, Interaction.VREAD})
OF_REPRESENTATION: Final = frozenset({"_format", "_pretty"})
SEARCHES: Final = frozenset(
    {
        Interaction.SEARCH_TYPE,
        Interaction.SEARCH_SYSTEM,
        Interaction.SEARCH_COMPARTMENT,
        Interaction.HISTORY_INSTANCE,
        Interaction.HISTORY_TYPE,
        Interaction.HISTORY_SYSTEM,
    }
)


async def perform(  # noqa: C901, PLR0912 - one case for each interaction
    exchange: Exchange, route: Route, pairs: Sequence[tuple[str, str]], body: bytes, line: bytes
) -> Answer:
    """Perform one interaction."""
    if route.operation is not None:
        return await route.operation.invoke(exchange, route.id, route.method, pairs, body)
    type, id = route.type or "", route.id or ""
    if not route.on_condition:
        _must_take(route.interaction, pairs)
    match route.interaction:
        case Interaction.READ:
            return await read(exchange, type, id, pairs, line)
        case Interaction.VREAD:
            return await vread(exchange, type, id, route.version or "", pairs, line)
        case Interaction.CREATE:
            return await create(exchange, type, body)
        case Interaction.UPDATE if route.on_condition:
            return await conditional_update(exchange, type, pairs, body)
        case Interaction.UPDATE:
            return await update(exchange, type, id, body)
        case Interaction.PATCH if route.on_condition:
            return await conditional_patch(exchange, type, pairs, body)
        case Interaction.PATCH:
            return await patch(exchange, type, id, body)
        case Interaction.DELETE if route.on_condition:
            return await conditional_delete(exchange, type, pairs)
        case Interaction.DELETE:
            return await delete(exchange, type, id)
        case Interaction.HISTORY_INSTANCE:
            return await history_instance(exchange, type, id, pairs, line)
        case Interaction.HISTORY_TYPE:
            return await history_type(exchange, type, pairs, line)
        case Interaction.HISTORY_SYSTEM:
            return await history_system(exchange, pairs, line)
        case Interaction.SEARCH_TYPE | Interaction.SEARCH_SYSTEM:
            asked = [*pairs, *_form(body)]
            return await search(exchange, route.type, asked, line + (b"\n\n" + body if body else b""))
        case Interaction.SEARCH_COMPARTMENT:
            asked = [*pairs, *_form(body)]
            raw = line + (b"\n\n" + body if body else b"")
            return await search_compartment(exchange, type, id, route.member, asked, raw)
        case _:
            raise NotAllowed(told("interaction-not-offered", interaction=route.interaction))


def _must_take(interaction: Interaction, pairs: Sequence[tuple[str, str]]) -> None:
    """Refuse parameters that nobody would read."""
    if interaction in SEARCHES:
        return
    taken = SUBSET_PARAMETERS if interaction in READS else frozenset[str]()
    refused = [name[:40] for name, _ in pairs if name not in taken]
    if refused:
        listed = ", ".join(refused[:5])
        if not taken:
            raise Invalid(told("takes-no-parameters", refused=listed))
        raise Invalid(told("takes-alone", taken=", ".join(sorted(taken)), refused=listed))


def form_pairs(body: bytes) -> list[tuple[str, str]]:
    """The pairs of the form that a search by POST is."""
    try:
        return parse_pairs(body.decode())
    except UnicodeDecodeError:
        raise Invalid(told("form-not-utf-8")) from None


def _form(body: bytes) -> list[tuple[str, str]]:
    return [one for one in form_pairs(body) if one[0] not in OF_REPRESENTATION]

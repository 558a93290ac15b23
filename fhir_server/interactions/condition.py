"""A condition: a search that decides what an interaction is done to, evaluated through the gate (ADR 0022).

https://hl7.org/fhir/R4/http.html#ccreate · https://hl7.org/fhir/R4/http.html#cond-update

What the requester may not consult does not match. A condition that leads on to a write is traced as the search it is,
and the write as if it had been asked for by id; one that does not is told with the request it refused or answered.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from fhir_server.fhir.errors import Invalid, PreconditionFailed
from fhir_server.fhir.outcome import IssueType
from fhir_server.interactions.exchange import Account
from fhir_server.interactions.messages import told
from fhir_server.interactions.search import Condition, condition, parse_pairs
from fhir_server.search.result_parameters import RESULT_PARAMETERS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fhir_server.interactions.exchange import Exchange
    from fhir_server.store.reading import Stored


@dataclass(frozen=True, slots=True)
class Met:
    """A condition, and what meets it."""

    condition: Condition
    found: tuple[Stored, ...]
    """At most so many as were asked for, and one by which the caller knows that there are more."""


async def met_by(exchange: Exchange, type: str, pairs: Sequence[tuple[str, str]], *, most: int = 1) -> Met:
    """What meets a condition, of what the requester may consult; 403 where he may search nothing of this type."""
    about = sorted({name for name, _ in pairs if name.partition(":")[0] in RESULT_PARAMETERS})
    if about:
        listed = ", ".join(name[:40] for name in about)
        raise Invalid(told("no-pages", names=listed))
    wanted = await condition(exchange, type, urlencode(pairs))
    found = await exchange.server.finding.search(
        wanted.asked, visible=wanted.visible, order=wanted.order, limit=most + 1
    )
    return Met(wanted, found.resources)


def pairs_of(text: str) -> list[tuple[str, str]]:
    """The pairs of an ``If-None-Exist``, which may begin with the type or a question mark."""
    before, mark, after = text.partition("?")
    return parse_pairs(after if mark and "=" not in before else text)


def several(what: str) -> PreconditionFailed:
    """412 for a condition that several resources meet."""
    return PreconditionFailed(told("several-match", what=told(f"nothing-{what}")), code=IssueType.MULTIPLE_MATCHES)


async def lead_on(exchange: Exchange, interaction: str, target: str | None = None) -> None:
    """Make the trace of the condition durable, and begin the account of what follows from it."""
    asked = exchange.account
    asked.interaction = "search-type"
    await exchange.trace(200)
    exchange.account = Account(interaction, asked.type, target)

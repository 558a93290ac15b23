"""Nothing outside the scopes of the token (SMART App Launch 2, cruds)."""

from __future__ import annotations

from typing import Final

from fhir_server.consent.circumstances import Act, Circumstances
from fhir_server.consent.speaks import speaks
from fhir_server.consent.verdict import Verdict, limit
from fhir_server.search.predicate import ALWAYS, NEVER

RULE = "scope"

LETTERS: Final = {
    Act.CONSULT: "rs",
    Act.FEED: "cu",
    Act.RELABEL: "u",
    Act.CHANGE_OWN: "u",
    Act.DELETE_OWN: "du",
    Act.REPLACE: "c",
    Act.GOVERN: "cu",
    Act.TRACE: "rs",
    Act.STATUS: "rs",
    Act.COLLECT: "cu",
    Act.ACCESS_LIST: "rs",
    Act.EXPLAIN: "rs",
}
"""The letters of a scope that an act may use; the interaction's own letter was checked when the request came in."""


@speaks(of_record=False)
def scope(seen: Circumstances) -> Verdict:
    """Limit to what the token was issued for."""
    if any(seen.requester.may(seen.type, letter) for letter in LETTERS[seen.act]):
        return limit(RULE, ALWAYS, "a scope of the token covers it")
    return limit(RULE, NEVER, "no scope of the token covers it")

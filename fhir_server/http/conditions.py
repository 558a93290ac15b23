"""The conditions that a request carries in its headers, or an entry of a batch beside its URL.

https://hl7.org/fhir/R4/http.html#concurrency · https://hl7.org/fhir/R4/http.html#cread ·
https://hl7.org/fhir/R4/http.html#ccreate
"""

from __future__ import annotations

import re
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

from fhir_server.fhir.errors import Invalid
from fhir_server.fhir.outcome import IssueType
from fhir_server.http.messages import told
from fhir_server.http.routes import Interaction

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fhir_server.http.routes import Route
    from fhir_server.interactions.answer import Answer
    from fhir_server.interactions.exchange import Exchange

_ETAG: Final = re.compile(r'(?:W/)?"([^"]{1,64})"')
_CHANGES: Final = frozenset({Interaction.UPDATE, Interaction.PATCH, Interaction.DELETE})


def take_conditions(exchange: Exchange, route: Route, headers: Mapping[str, str], line: bytes) -> None:
    """Note the conditions of a write; the trail keeps a condition to create as it was asked."""
    exchange.if_match = _version_of(headers.get("if-match"), "If-Match")
    if route.interaction in _CHANGES:
        exchange.if_none_match = _versions_of(headers.get("if-none-match"), "If-None-Match")
    unless = headers.get("if-none-exist")
    if route.interaction is Interaction.CREATE and unless is not None:
        exchange.if_none_exist = unless
        exchange.account.query = line + b"\nIf-None-Exist: " + unless.encode()


def is_current(headers: Mapping[str, str], answer: Answer) -> bool:
    """Conditional read: the client holds this version already."""
    known = headers.get("if-none-match")
    if known is not None and answer.version is not None:
        return known.strip() == "*" or f'"{answer.version}"' in {
            part.strip().removeprefix("W/") for part in known.split(",")
        }
    since = headers.get("if-modified-since")
    if since is None or answer.at is None:
        return False
    try:
        return answer.at // 1_000_000 <= int(parsedate_to_datetime(since).timestamp())
    except (ValueError, TypeError, OverflowError):
        return False


def _version_of(etag: str | None, header: str) -> str | None:
    """The version an ETag names, ``*`` for any that there is; 400 for what is none."""
    if etag is None or etag.strip() == "*":
        return etag and "*"
    found = _ETAG.fullmatch(etag.strip())
    if found is None:
        raise Invalid(told("etag", header=header), code=IssueType.VALUE)
    return found[1]


def _versions_of(etags: str | None, header: str) -> frozenset[str]:
    """The versions that a list of ETags names, ``*`` for any; 400 for what is none."""
    named = (_version_of(one, header) for one in etags.split(",")) if etags is not None else ()
    return frozenset(one for one in named if one is not None)

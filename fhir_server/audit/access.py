"""One request as its requester knows it: all that an AuditEvent is made of.

What the requester could not know has no place here (`audit.sealed`). So when a hidden target is answered as an absent
one is, the accesses are equal, and so are the events.
"""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus

from fhir_server.audit.coding import Coding


@dataclass(frozen=True, slots=True)
class Identifier:
    """A business identifier: ``https://rpps.esante.gouv.fr|89900000002``."""

    system: str
    value: str


@dataclass(frozen=True, slots=True)
class Agent:
    """Who asked, as the token says it; one value a token, so its part of the event is built once."""

    key: str
    """What the journal files the trace under: the same for every token of this person or organisation."""
    identifier: Identifier | None = None
    reference: str | None = None
    """``Patient/demo-1``, when the requester is a resource of this server."""
    name: str | None = None
    login: str | None = None
    """The subject of the token."""
    roles: tuple[Coding, ...] = ()
    purpose: Coding | None = None
    reason: str | None = None
    """Why, in the requester's own words: an emergency must say it."""
    token: str | None = None
    """The id of the token (``jti``)."""
    organisation: Identifier | None = None
    software: str | None = None
    """The client application."""


@dataclass(frozen=True, slots=True)
class Observer:
    """This server, as it names itself."""

    name: str
    site: str
    address: str
    """The base URL."""


@dataclass(frozen=True, slots=True)
class Access:
    """One request, as its requester knows it."""

    interaction: str
    """https://hl7.org/fhir/R4/valueset-type-restful-interaction.html"""
    status: int
    """The HTTP status of the answer; for a write, of the answer it shall have."""
    at: int
    """Microseconds since 1970."""
    agent: Agent | None
    """Nothing when the token does not hold (401)."""
    address: str
    """Where the request came from."""
    type: str | None = None
    target: str | None = None
    """``Type/id`` as it was asked for, or as the server assigned it."""
    version: int | None = None
    """The version asked for, delivered or to be written."""
    patient: str | Identifier | None = None
    """As the requester named it (an identifier stays one) or as the delivered resource told: ``Patient/demo-1``."""
    query: bytes | None = None
    """The request line of a search, with the form when it was posted."""
    request_id: str | None = None
    realm: str | None = None
    """Not told in the event: it says in which realm the trace is found."""

    @property
    def succeeded(self) -> bool:
        """The requester got what was asked."""
        return self.status < HTTPStatus.BAD_REQUEST

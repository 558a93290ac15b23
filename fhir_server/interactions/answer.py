"""What an interaction answers; `http.response` makes HTTP of it, `batch` an entry of a Bundle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fhir_server.fhir.outcome import Issue
    from fhir_server.interactions.natively import Native


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful answer: its status, its resource as bytes, and what the headers tell."""

    status: int
    body: bytes | None = None
    """A FHIR resource as compact JSON."""
    version: int | None = None
    at: int | None = None
    """Last update, microseconds since 1970."""
    location: str | None = None
    issues: tuple[Issue, ...] = ()
    """Remarks that ``Prefer: return=OperationOutcome`` asks for."""
    language: str | None = None
    """Of what the resource says, where it was asked for: ``Content-Language``."""
    native: Native | None = None
    """Instead of a body: the content of a Binary as what it is."""
    target: str | None = None
    """The id of what native content belongs to."""
    owner: str | None = None
    """The ``X-Security-Context`` of native content."""

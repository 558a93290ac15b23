"""FHIR capabilities: ``GET [base]/metadata``, open to everybody.

https://hl7.org/fhir/R4/http.html#capabilities
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fhir_server.interactions.answer import Answer

if TYPE_CHECKING:
    from fhir_server.interactions.exchange import Server


def capabilities(server: Server) -> Answer:
    """The CapabilityStatement, made from the same declaration as the routes."""
    return Answer(200, server.capability)

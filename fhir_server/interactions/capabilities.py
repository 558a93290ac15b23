"""FHIR capabilities: ``GET [base]/metadata``, open to everybody.

https://hl7.org/fhir/R4/http.html#capabilities

``mode=terminology`` is the TerminologyCapabilities. ``full`` and ``normative`` are the CapabilityStatement: all that it
holds is of the normative resource.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fhir_server.fhir.errors import Invalid
from fhir_server.fhir.outcome import IssueType
from fhir_server.interactions.answer import Answer
from fhir_server.interactions.messages import told

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fhir_server.interactions.exchange import Server


_MODES: Final = ("full", "normative", "terminology")


def capabilities(server: Server, pairs: Sequence[tuple[str, str]]) -> Answer:
    """The CapabilityStatement, made from the same declaration as the routes; or what is told of terminology."""
    modes = [value for name, value in pairs if name == "mode"]
    if len(modes) > 1:
        raise Invalid(told("mode-once"), expression=("http.mode",))
    if modes and modes[0] not in _MODES:
        message = told("mode", modes=", ".join(_MODES), found=modes[0][:40])
        raise Invalid(message, expression=("http.mode",), code=IssueType.CODE_INVALID)
    return Answer(200, server.terminology_capability() if "terminology" in modes else server.capability)

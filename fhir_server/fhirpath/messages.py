"""Why a path or an expression is refused, in English and in French: `messages/*.toml`."""

from __future__ import annotations

from typing import Final

from fhir_server.fhir.messages import Messages

MESSAGES: Final = Messages.of("fhir_server.fhirpath")
told = MESSAGES.told

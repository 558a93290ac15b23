"""What operations say, in English and in French: `messages/*.toml`."""

from __future__ import annotations

from typing import Final

from fhir_server.fhir.messages import Messages

MESSAGES: Final = Messages.of("fhir_server.operations")
told = MESSAGES.told

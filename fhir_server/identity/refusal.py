"""The 401 of a token that does not hold, as https://www.rfc-editor.org/rfc/rfc6750#section-3 words it.

Sentences name claims, never their values: they go into a header, and a token may hold anything.
"""

from __future__ import annotations

import re

from fhir_server.fhir.errors import Unauthenticated
from fhir_server.fhir.messages import Told
from fhir_server.fhir.outcome import IssueType
from fhir_server.identity.messages import told

_NOT_QUOTABLE = re.compile(r"[^\x20\x21\x23-\x5b\x5d-\x7e]")
"""What RFC 6750 keeps out of ``error_description``."""


def no_token() -> Unauthenticated:
    """Nobody signed in: the challenge alone, without an error code."""
    return Unauthenticated(
        told("no-token"),
        headers=(("WWW-Authenticate", 'Bearer realm="dmp"'),),
    )


def invalid_token(message: Told, *, code: IssueType = IssueType.LOGIN) -> Unauthenticated:
    """A token was sent and does not hold, for this reason; the header tells it in English, whoever asks."""
    description = _NOT_QUOTABLE.sub("?", message.en)
    challenge = f'Bearer error="invalid_token", error_description="{description}"'
    return Unauthenticated(message, code=code, headers=(("WWW-Authenticate", challenge),))

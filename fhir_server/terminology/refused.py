"""What this server cannot tell of codes, and why."""

from __future__ import annotations

from fhir_server.fhir.errors import Unprocessable


class NotExpandable(Unprocessable):
    """Which codes are meant cannot be told here; the sentence says why. Never are fewer given instead."""


class UnknownList(LookupError):
    """A value set or concept map that is not among the files: a mistake in our own data, seldom in a request."""

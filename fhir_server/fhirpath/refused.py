"""Why a path is refused, in a sentence for the client."""

from __future__ import annotations


class Refused(ValueError):
    """The path, or what is to be done with what it selects."""


class NotUnderstood(Refused):
    """The text is no path of this subset, whatever the resource."""


class Misfit(Refused):
    """The path does not go with this type, or with what the resource says."""


class TooMuch(Refused):
    """It asks for more than the server does for one request."""

"""Why a path is refused, in a sentence for the client."""

from __future__ import annotations

from fhir_server.fhir.messages import Told


class Refused(ValueError):
    """The path, or what is to be done with what it selects."""

    def __init__(self, message: str | Told) -> None:
        """Say why."""
        self.told = message if isinstance(message, Told) else Told(message, "")
        super().__init__(self.told.en)


class NotUnderstood(Refused):
    """The text is no path of this subset, whatever the resource."""


class Misfit(Refused):
    """The path does not go with this type, or with what the resource says."""


class TooMuch(Refused):
    """It asks for more than the server does for one request."""

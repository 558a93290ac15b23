"""What terminology says of codes, in English and in French: `messages/*.toml`; and why a code is not known."""

from __future__ import annotations

from enum import Enum, auto
from importlib.resources import files
from typing import Final

from fhir_server.fhir.messages import Messages, Told

MESSAGES: Final = Messages(files("fhir_server.terminology").joinpath("messages"))


def told(key: str, /, **values: object) -> Told:
    """One message in both languages."""
    return MESSAGES.told(key, **values)


class Missing(Enum):
    """What of a code is not there."""

    SYSTEM = auto()
    VERSION = auto()
    CODE = auto()
    """Its system is known whole, and does not have it."""
    CONTENT = auto()
    """Its system is not known whole: the code may exist."""


class NotKnown(Exception):
    """A code of which nothing is known here."""

    def __init__(self, missing: Missing, message: Told) -> None:
        """What is missing, and how it is told."""
        self.missing = missing
        self.message = message
        super().__init__(message.en)

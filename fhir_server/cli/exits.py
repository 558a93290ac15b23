"""How a command ends: one sentence on standard error, and one of these codes. Never a traceback.

The codes are listed for operators in ``docs/operate/exit-codes.md``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum

import typer

from fhir_server.identity.development import IssuerUnusable
from fhir_server.settings import SettingsError
from fhir_server.store.embedded import EmbeddedError
from fhir_server.store.folder import FolderError
from fhir_server.store.reach import Unreachable


class Exit(IntEnum):
    """What the exit code tells."""

    DONE = 0
    FOUND_FAULTS = 1
    """The command worked, and what it looked at is not all right: rejects, a broken trail, a faulty installation."""
    USAGE = 2
    """A wrong option, argument or setting."""
    NO_DATA_FOLDER = 3
    PORT = 4
    """The port is busy, or the address cannot be listened on."""
    FOLDER = 5
    """The data folder is in use or cannot be written."""
    DATABASE = 6
    """MongoDB cannot be started or reached."""
    START = 7
    """The server itself could not start."""


class Stop(Exception):
    """Ends the command with a sentence and a code."""

    def __init__(self, sentence: str, code: Exit) -> None:
        """Say why, and which code tells it."""
        super().__init__(sentence)
        self.code = code


@contextmanager
def one_sentence() -> Iterator[None]:
    """Make an end of every failure that has a sentence for the operator."""
    try:
        yield
    except Stop as stop:
        _end(stop, stop.code)
    except SettingsError as error:
        _end(error, Exit.USAGE)
    except FolderError as error:
        _end(error, Exit.FOLDER)
    except (EmbeddedError, Unreachable) as error:
        _end(error, Exit.DATABASE)
    except IssuerUnusable as error:
        _end(error, Exit.NO_DATA_FOLDER)


def _end(error: Exception, code: Exit) -> None:
    typer.echo(str(error), err=True)
    raise typer.Exit(code) from None

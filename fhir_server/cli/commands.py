"""The commands, composed in the open.

Only the command that is asked for is imported: a token is made in half a second, without the server's libraries.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

import typer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

COMMANDS: Final[Mapping[tuple[str, ...], tuple[str, str]]] = {
    ("serve",): ("fhir_server.cli.serve", "serve_command"),
    ("load",): ("fhir_server.cli.load", "load_command"),
    ("token",): ("fhir_server.cli.token", "token_command"),
    ("reindex",): ("fhir_server.cli.upkeep", "reindex_command"),
    ("erase",): ("fhir_server.cli.erasure", "erase_command"),
    ("doctor",): ("fhir_server.cli.doctor", "doctor_command"),
    ("audit", "verify"): ("fhir_server.cli.upkeep", "audit_verify_command"),
}
"""By name, where each command is written."""


def commands(arguments: Sequence[str]) -> typer.Typer:
    """The command line for these arguments: with the one command they begin with, else with all."""
    app = typer.Typer(
        name="fhir-server",
        help="FHIR R4 server for the French shared health record, on MongoDB, with consent inside every query.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    # a command alone would become the program itself; a callback keeps it a command with a name
    app.callback()(_nothing)
    audit = typer.Typer(help="The trail of every access.", no_args_is_help=True)
    audit.callback()(_nothing)
    wanted = [name for name in COMMANDS if tuple(arguments[: len(name)]) == name] or list(COMMANDS)
    for name in wanted:
        module, function = COMMANDS[name]
        group = audit if len(name) > 1 else app
        group.command(name[-1])(getattr(import_module(module), function))
    if any(len(name) > 1 for name in wanted):
        app.add_typer(audit, name="audit")
    return app


def _nothing() -> None:
    """FHIR R4 server for the French shared health record, on MongoDB, with consent inside every query."""

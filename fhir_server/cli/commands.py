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
    ("package", "install"): ("fhir_server.cli.package", "install_command"),
    ("package", "list"): ("fhir_server.cli.package", "list_command"),
    ("package", "remove"): ("fhir_server.cli.package", "remove_command"),
}
"""By name, where each command is written."""

GROUPS: Final[Mapping[str, str]] = {
    "audit": "The trail of every access.",
    "package": "FHIR packages beside the definitions that the server brings along.",
}
"""The commands of two words, by their first."""


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
    groups = {name: typer.Typer(help=help, no_args_is_help=True) for name, help in GROUPS.items()}
    for each in groups.values():
        each.callback()(_nothing)
    wanted = [name for name in COMMANDS if tuple(arguments[: len(name)]) == name] or list(COMMANDS)
    for name in wanted:
        module, function = COMMANDS[name]
        group = groups[name[0]] if len(name) > 1 else app
        group.command(name[-1])(getattr(import_module(module), function))
    for first in dict.fromkeys(one[0] for one in wanted if len(one) > 1):
        app.add_typer(groups[first], name=first)
    return app


def _nothing() -> None:
    """FHIR R4 server for the French shared health record, on MongoDB, with consent inside every query."""

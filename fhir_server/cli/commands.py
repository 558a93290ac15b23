"""The commands, composed in the open."""

from __future__ import annotations

import typer

from fhir_server.cli.doctor import doctor_command
from fhir_server.cli.load import load_command
from fhir_server.cli.serve import serve_command
from fhir_server.cli.token import token_command
from fhir_server.cli.upkeep import audit_verify_command, reindex_command

app = typer.Typer(
    name="fhir-server",
    help="FHIR R4 server for the French shared health record, on MongoDB, with consent inside every query.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
audit = typer.Typer(help="The trail of every access.", no_args_is_help=True)

app.command("serve")(serve_command)
app.command("load")(load_command)
app.command("token", context_settings={"ignore_unknown_options": False})(token_command)
app.command("reindex")(reindex_command)
app.command("doctor")(doctor_command)
app.add_typer(audit, name="audit")
audit.command("verify")(audit_verify_command)

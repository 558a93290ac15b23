"""``./fhir-server token ACTOR``: a token of the development issuer, for trying the server out.

The token stands alone on the last line of standard output: ``TOKEN=$(./fhir-server token patient)``. Remarks go to
standard error. Exit codes: 0, 2 for a wrong command line, 3 where no server with ``--demo`` has used the data folder.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from fhir_server.cli.folders import DEFAULT_DATA_FOLDER
from fhir_server.fhir.errors import Malformed
from fhir_server.fhir.json import Json, decode
from fhir_server.identity.actors import ACTORS, DEFAULT_LIFETIME, UnknownPatient, claims_for
from fhir_server.identity.development import DevelopmentIssuer, IssuerUnusable, read_base_url
from fhir_server.identity.requester import Purpose

NO_DATA_FOLDER = 3
LONGEST_LIFETIME = 366 * 24 * 3600


def token_command(
    actor: Annotated[str | None, typer.Argument(help="Who the token speaks for; --list names them.")] = None,
    *,
    data: Annotated[Path, typer.Option(help="Data folder of the server.")] = DEFAULT_DATA_FOLDER,
    lifetime: Annotated[
        int,
        typer.Option(
            min=-LONGEST_LIFETIME, max=LONGEST_LIFETIME, help="Seconds the token holds; negative: already expired."
        ),
    ] = DEFAULT_LIFETIME,
    patient: Annotated[
        str | None, typer.Option(metavar="ID", help="Whose record patient, representant or aidant acts in: id or INS.")
    ] = None,
    purpose: Annotated[Purpose | None, typer.Option(help="Purpose of use.")] = None,
    reason: Annotated[str | None, typer.Option(help="Reason for breaking the glass.")] = None,
    claim: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=JSON", help="Set a claim; dots go into objects, null removes. May be given several times."
        ),
    ] = None,
    list_actors: Annotated[bool, typer.Option("--list", help="Name the actors and leave.")] = False,
) -> None:
    """Print a token of one of the demonstration's actors."""
    if list_actors:
        for known in ACTORS.values():
            typer.echo(f"{known.key:<18} {known.name}: {known.gloss}")
        return
    chosen = ACTORS.get(actor or "")
    if chosen is None:
        raise typer.BadParameter(f"say which actor: {', '.join(ACTORS)}.", param_hint="ACTOR")
    extra_claims = dict(_claim(text) for text in claim or [])
    try:
        issuer = DevelopmentIssuer.existing(data)
        claims = claims_for(
            chosen,
            base_url=read_base_url(data),
            now=time.time(),
            lifetime=lifetime,
            patient=patient,
            purpose=purpose,
            reason=reason,
            extra_claims=extra_claims,
        )
    except IssuerUnusable as unusable:
        typer.echo(str(unusable), err=True)
        raise typer.Exit(NO_DATA_FOLDER) from None
    except UnknownPatient as unknown:
        raise typer.BadParameter(str(unknown), param_hint="--patient") from None
    typer.echo(issuer.issue(claims))


def _claim(text: str) -> tuple[str, Json]:
    name, equals, value = text.partition("=")
    if not equals or not all(name.split(".")):
        raise typer.BadParameter(f"{text!r} is not NAME=JSON.", param_hint="--claim")
    try:
        return name, decode(value.encode())
    except (Malformed, UnicodeEncodeError):
        raise typer.BadParameter(
            f"the value of {name} is not JSON; a string needs its quotes: {name}='\"...\"'.", param_hint="--claim"
        ) from None

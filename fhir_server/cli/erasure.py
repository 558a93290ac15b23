"""``erase``: take away the records whose time is over, beside a running server or without one (R-73)."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from pydantic import SecretStr

from fhir_server import log
from fhir_server.cli.database import any_database
from fhir_server.cli.exits import Exit, Stop, one_sentence
from fhir_server.fhir.date import instant, moment
from fhir_server.fhir.errors import Unavailable
from fhir_server.identity.development import read_base_url
from fhir_server.settings import LogLevel, load_settings
from fhir_server.store.trail import Uncertain

if TYPE_CHECKING:
    from fhir_server.audit.erasure import Erased
    from fhir_server.settings import Settings

AGAIN = "What was begun is finished when the command is run again."


def erase_command(
    *,
    data: Annotated[
        Path | None, typer.Option("--data", help="Data folder.", show_default="data beside the script")
    ] = None,
    mongodb_uri: Annotated[
        str | None, typer.Option("--mongodb-uri", help="The replica set, if not the embedded MongoDB.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List the records; erase nothing.")] = False,
) -> None:
    """Erase the records whose time is over: ten years after closing, three months after the holder asked."""
    from fhir_server import app  # noqa: PLC0415 - heavy, and only for this command

    with one_sentence():
        uri = None if mongodb_uri is None else SecretStr(mongodb_uri)
        settings = load_settings(data_folder=data, mongodb_uri=uri)
        settings = settings.model_copy(update={"base_url": read_base_url(settings.data_folder, settings.base_url)})
        log.configure(LogLevel.WARNING)
        with any_database(settings) as ready:
            try:
                if dry_run:
                    _list(ready)
                else:
                    _erase(ready)
            except app.NewerDatabase as error:
                raise Stop(str(error), Exit.START) from None
            except (Unavailable, Uncertain) as error:
                raise Stop(f"{error} {AGAIN}", Exit.DATABASE) from None


def _list(settings: Settings) -> None:
    from fhir_server import app  # noqa: PLC0415 - same

    due = asyncio.run(app.to_be_erased(settings))
    for one, resources, versions in due:
        since = "begun by an earlier run" if one.begun else f"since {instant(moment(one.since))[:10]}"
        typer.echo(f"Patient/{one.record} ({one.realm}), {since}: {resources} resources, {versions} earlier versions")
    typer.echo(f"{len(due)} records would be erased.")


def _erase(settings: Settings) -> None:
    from fhir_server import app  # noqa: PLC0415 - same

    done: list[str] = []

    def told(one: Erased) -> None:
        done.append(one.record)
        typer.echo(
            f"Patient/{one.record}: {one.resources} resources, {one.versions} earlier versions and the content of "
            f"{one.traces} traces erased"
        )

    contents = asyncio.run(app.erase(settings, told))
    typer.echo(f"{len(done)} records erased, {contents} large contents deleted.")

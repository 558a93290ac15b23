"""``reindex`` and ``audit verify``: work on the whole database, beside a running server or without one."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from pydantic import SecretStr
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from fhir_server import log
from fhir_server.cli.database import any_database
from fhir_server.cli.exits import Exit, Stop, one_sentence
from fhir_server.identity.development import read_base_url
from fhir_server.settings import LogLevel, load_settings

_Data = Annotated[Path | None, typer.Option("--data", help="Data folder.", show_default="data beside the script")]
_Uri = Annotated[str | None, typer.Option("--mongodb-uri", help="The replica set, if not the embedded MongoDB.")]


def reindex_command(*, data: _Data = None, mongodb_uri: _Uri = None) -> None:
    """Rebuild every index entry from the stored bodies; a run that was cut is continued."""
    from fhir_server import app  # noqa: PLC0415 - heavy, and only for this command

    with one_sentence():
        settings = load_settings(data_folder=data, mongodb_uri=_secret(mongodb_uri))
        # references in bodies may name the base URL that was served, so that is how they have to be read
        settings = settings.model_copy(update={"base_url": read_base_url(settings.data_folder, settings.base_url)})
        log.configure(LogLevel.WARNING)
        with any_database(settings) as ready, _bar() as progress:
            task = progress.add_task("reindex", total=None)

            def told(done: int, total: int) -> None:
                progress.update(task, completed=done, total=total)

            try:
                rebuilt = asyncio.run(app.reindex(ready, told))
            except app.NewerDatabase as error:
                raise Stop(str(error), Exit.START) from None
        for key in rebuilt.refused:
            typer.echo(f"{key} cannot be indexed and was left as it was.")
        typer.echo(f"{rebuilt.resources} resources indexed anew.")
        if rebuilt.refused:
            raise Stop(f"{len(rebuilt.refused)} resources could not be indexed.", Exit.FOUND_FAULTS)


def audit_verify_command(*, data: _Data = None, mongodb_uri: _Uri = None) -> None:
    """Check that no trace was removed, altered, reordered or cut off."""
    from fhir_server import app  # noqa: PLC0415 - heavy, and only for this command

    with one_sentence():
        settings = load_settings(data_folder=data, mongodb_uri=_secret(mongodb_uri))
        log.configure(LogLevel.WARNING)
        with any_database(settings) as ready:
            checked, faults = asyncio.run(app.verify_trail(ready))
        for fault in faults:
            typer.echo(fault)
        if faults:
            raise Stop(f"{checked} traces checked: the trail is not intact.", Exit.FOUND_FAULTS)
        typer.echo(f"{checked} traces checked: the trail is intact.")


def _secret(uri: str | None) -> SecretStr | None:
    return None if uri is None else SecretStr(uri)


def _bar() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )

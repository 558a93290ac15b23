"""``package install FILE.tgz``, ``package list``, ``package remove NAME``: definitions of other guides.

What a package defines is read when a server starts: profiles bind who declares them, code lists are known, search
parameters are found by (after ``reindex``), and all of it is readable. docs/operate/packages.md
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer
from pydantic import SecretStr

from fhir_server import log
from fhir_server.cli.database import any_database
from fhir_server.cli.exits import Exit, Stop, one_sentence
from fhir_server.definitions.packages import TERMINOLOGY, BadPackage, read_package
from fhir_server.settings import LogLevel, load_settings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from fhir_server.definitions.packages import Package
    from fhir_server.settings import Settings

Told = TypeVar("Told")

_Data = Annotated[Path | None, typer.Option("--data", help="Data folder.", show_default="data beside the script")]
_Uri = Annotated[str | None, typer.Option("--mongodb-uri", help="The replica set, if not the embedded MongoDB.")]
AGAIN = "Start the servers of this database again: they read it when they start."


def install_command(
    file: Annotated[Path, typer.Argument(help="The package, a .tgz.", exists=True, dir_okay=False)],
    *,
    usable: Annotated[
        bool, typer.Option("--usable", help="Leave out what cannot be used, and name it, instead of refusing all.")
    ] = False,
    data: _Data = None,
    mongodb_uri: _Uri = None,
) -> None:
    """Install a FHIR package in the place of what is there under its name."""
    install(file, data, mongodb_uri, only=None, usable=usable)


def install(
    file: Path, data: Path | None, mongodb_uri: str | None, *, only: frozenset[str] | None, usable: bool = False
) -> None:
    """Install the definitions of these types of a package; all where none are told."""
    with one_sentence():
        try:
            package = read_package(file.read_bytes())
        except BadPackage as error:
            raise Stop(f"{file}: {error}", Exit.FOUND_FAULTS) from None
        if only is not None:
            package = package.only(only)
        if not package.definitions:
            raise Stop(f"{file}: it defines nothing that this server reads.", Exit.FOUND_FAULTS)

        async def work(settings: Settings) -> tuple[Package, list[str]]:
            from fhir_server import app  # noqa: PLC0415 - heavy, and only for this command

            try:
                return await app.install_package(settings, package, usable=usable)
            except ValueError as error:
                sentence = f"{package.name}: nothing was installed. {error}"
                if not usable:
                    sentence += " With --usable what cannot be used is left out."
                raise Stop(sentence, Exit.FOUND_FAULTS) from None

        installed, left = _run(work, data, mongodb_uri)
        for why in left:
            typer.echo(f"Left out: {why}")
        typer.echo(f"{installed.name} {installed.version}: {len(installed.definitions)} definitions installed.")
        typer.echo(AGAIN)
        if any(one.type == "SearchParameter" for one in installed.definitions):
            typer.echo("It has search parameters: run reindex, so that what is stored is found by them.")


def list_command(*, data: _Data = None, mongodb_uri: _Uri = None) -> None:
    """Tell which packages are installed."""
    from fhir_server import app  # noqa: PLC0415 - heavy, and only for this command

    with one_sentence():
        for one in _run(app.installed_packages, data, mongodb_uri):
            typer.echo(f"{one.name} {one.version}: {one.definitions} definitions")


def remove_command(
    name: Annotated[str, typer.Argument(help="The name of the package.")],
    *,
    data: _Data = None,
    mongodb_uri: _Uri = None,
) -> None:
    """Take a package out."""

    async def work(settings: Settings) -> bool:
        from fhir_server import app  # noqa: PLC0415 - heavy, and only for this command

        try:
            return await app.remove_package(settings, name)
        except ValueError as error:
            raise Stop(f"{name} stays: without it the server would not start. {error}", Exit.FOUND_FAULTS) from None

    with one_sentence():
        if not _run(work, data, mongodb_uri):
            raise Stop(f"No package {name} is installed.", Exit.USAGE)
        typer.echo(f"{name} removed.")
        typer.echo(AGAIN)


def install_terminology(files: list[Path], data: Path | None, mongodb_uri: str | None) -> None:
    """``load --terminology``: the code lists of packages alone."""
    for file in files:
        install(file, data, mongodb_uri, only=TERMINOLOGY)


def _run(work: Callable[[Settings], Awaitable[Told]], data: Path | None, mongodb_uri: str | None) -> Told:
    uri = None if mongodb_uri is None else SecretStr(mongodb_uri)
    settings = load_settings(data_folder=data, mongodb_uri=uri)
    log.configure(LogLevel.WARNING)
    with any_database(settings) as ready:

        async def whole() -> Told:
            return await work(ready)

        return asyncio.run(whole())

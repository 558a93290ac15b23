"""Compose once, in the open: every object is made here and nowhere else.

What is read from files is read by :func:`build`, and fails there; what needs the database is made when the application
starts, and fails there. No first request finds out.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import structlog
from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from fhir_server import __version__
from fhir_server.audit import erasure, recovery, verify
from fhir_server.audit.access import Observer
from fhir_server.audit.anchor import signer_at
from fhir_server.audit.journal import Journal
from fhir_server.declared import Declared, declare, required_profiles, usable_part
from fhir_server.fhir.date import microseconds
from fhir_server.fhir.errors import NotAllowed, NotFound
from fhir_server.http.front import Front, Limits
from fhir_server.http.messages import told
from fhir_server.http.representation import Representations
from fhir_server.http.request import request_id_of
from fhir_server.http.shortcut import Shortcut
from fhir_server.identity.development import DevelopmentIssuer
from fhir_server.identity.keys import TrustedIssuer
from fhir_server.identity.token import Verifier
from fhir_server.interactions.directory import Directory
from fhir_server.interactions.exchange import Server
from fhir_server.interactions.paging import PageTokens
from fhir_server.record.redact import Redaction
from fhir_server.search.subset import Subsetter
from fhir_server.settings import AttachmentMismatch, ConditionalDelete, DeclarationMedecinTraitant
from fhir_server.store import indexes, upkeep
from fhir_server.store.binary import Contents
from fhir_server.store.connection import connect, database
from fhir_server.store.erasure import Due, Erasure
from fhir_server.store.finding import Finding
from fhir_server.store.internal import Internal
from fhir_server.store.keys import ContentKeys
from fhir_server.store.packages import Packages
from fhir_server.store.published import publish
from fhir_server.store.reading import Reading
from fhir_server.store.seed import Seed, seed
from fhir_server.store.trail import Trail
from fhir_server.store.transaction import Transactions
from fhir_server.store.writing import Writing
from fhir_server.validation.structure import Validator

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from datetime import datetime

    from fhir_server.definitions.packages import Package
    from fhir_server.settings import Settings
    from fhir_server.store.connection import Client, Database
    from fhir_server.store.packages import Installed

_logger = structlog.get_logger("fhir_server.app")

_SWEEP_EVERY: Final = 600.0
_DAYS_A_MONTH: Final = 365.25 / 12


def utc_now() -> int:
    """Microseconds since 1970."""
    return time.time_ns() // 1000


def build(settings: Settings, *, clock: Callable[[], int] = utc_now) -> FastAPI:
    """The application; everything that can be wrong with files and settings is found here."""
    declared = declare(settings)
    verifier = Verifier(settings.base_url, _issuers(settings))
    base_path = urlsplit(settings.base_url).path or "/fhir"
    made: list[_Running] = []

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with _running(settings, declared, clock) as running:
            made.append(running)
            yield
            made.clear()

    front = Front(
        lambda: made[0].server,
        declared.capability.routes,
        verifier,
        Representations(declared.definitions),
        base_path,
        Limits(settings.max_body_bytes, settings.max_bundle_bytes, settings.max_content_bytes, settings.body_timeout),
    )
    app = FastAPI(
        title="fhir-server",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,  # a redirect would repeat the Host header, which anybody can forge
        exception_handlers={HTTPException: partial(_elsewhere, front)},
        lifespan=lifespan,
    )
    app.add_route("/health/live", _live)

    async def ready(_: object) -> JSONResponse:
        return await _ready(made[0] if made else None)

    app.add_route("/health/ready", ready)
    app.add_middleware(Shortcut, front=front, base_path=base_path)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(settings.cors_origins),
            allow_methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=[
                *("Authorization", "Content-Type", "If-Match", "If-None-Exist", "If-None-Match", "If-Range", "Prefer"),
                *("Range", "X-Security-Context"),
            ],
            expose_headers=[
                *("Accept-Ranges", "Content-Disposition", "Content-Location", "Content-Range", "ETag", "Last-Modified"),
                *("Location", "X-Request-Id", "X-Security-Context"),
            ],
        )
    return app


@dataclass(frozen=True, slots=True)
class _Running:
    """What needs the database."""

    server: Server
    database: Database


async def _declared_with(settings: Settings, held: Database) -> Declared:
    """What the files and the packages of this database say."""
    return declare(settings, await Packages(held).definitions())


def _issuers(settings: Settings) -> list[TrustedIssuer]:
    issuers = [TrustedIssuer(one.issuer, one.realm, one.jwks_file) for one in settings.issuers]
    if settings.demo:
        issuers.append(DevelopmentIssuer.create(settings.data_folder).trusted)
    return issuers


@asynccontextmanager
async def _running(settings: Settings, declared: Declared, clock: Callable[[], int]) -> AsyncIterator[_Running]:
    client, held = _connect(settings)
    journal = _journal(settings, held, clock)
    internal = Internal(held)
    keys = ContentKeys(held, settings.master_keys)
    try:
        await _must_understand(held)
        await _must_have(keys)
        if settings.demo and await internal.holds_real_people():
            raise RuntimeError("The database holds real people: the demonstration may not be served from it.")
        await indexes.create(held)
        installed = await Packages(held).definitions()
        if installed:
            declared = declare(settings, installed)
        await upkeep.upgrade_facts(held, zone=ZoneInfo(settings.time_zone), authorisation=_authorisation(settings))
        if not await upkeep.entries_are_current(held, declared.parameters):
            _logger.warning("search parameters changed: what was stored before is not found by all; run reindex")
        await journal.open()
        await recovery.recover(journal, dead_since=settings.alone_since)
        await upkeep.sweep_interrupted(held, clock(), dead_since=settings.alone_since)
        server = await _server(settings, declared, clock, client, held, internal, journal, Contents(held, keys))
        published, key = declared.published, server.routing_key
        await publish(held, published, parameters=declared.parameters, key=key, now=clock())
        keeping = [
            asyncio.create_task(recovery.keep_recovering(journal), name="trail recovery"),
            asyncio.create_task(_keep_swept(held, keys, clock), name="sweep"),
        ]
        try:
            yield _Running(server, held)
        finally:
            for task in keeping:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
            await journal.close()
    finally:
        await client.close()


async def _server(
    settings: Settings,
    declared: Declared,
    clock: Callable[[], int],
    client: Client,
    held: Database,
    internal: Internal,
    journal: Journal,
    contents: Contents,
) -> Server:
    return Server(
        base_url=settings.base_url,
        reading=Reading(held),
        finding=Finding(held, seconds=settings.search_timeout),
        writing=Writing(held, Transactions(client)),
        internal=internal,
        contents=contents,
        journal=journal,
        definitions=declared.definitions,
        parameters=declared.parameters,
        validator=Validator(declared.definitions),
        profiles=declared.profiles,
        required_profiles=required_profiles(settings),
        redaction=Redaction(declared.definitions, settings.base_url),
        subsetter=Subsetter(declared.definitions),
        terminology=declared.terminology,
        law=declared.law,
        pages=PageTokens(await internal.key("page tokens")),
        routing_key=await internal.key("routing"),
        clock=clock,
        zone=ZoneInfo(settings.time_zone),
        authorisation=_authorisation(settings),
        directory=Directory(internal),
        default_count=settings.default_count,
        max_count=settings.max_count,
        capability=declared.capability.statement,
        terminology_capability=declared.terminology_capability,
        deletes_several=settings.conditional_delete is ConditionalDelete.MULTIPLE,
        mismatch_warns=settings.attachment_mismatch is AttachmentMismatch.WARN,
        declaration_waits=settings.mt_declaration is DeclarationMedecinTraitant.CONFIRMED,
    )


def _connect(settings: Settings) -> tuple[Client, Database]:
    if settings.mongodb_uri is None:
        raise RuntimeError("No MongoDB was named.")
    client = connect(settings.mongodb_uri.get_secret_value(), pool_size=settings.mongodb_pool_size)
    return client, database(client, settings.database)


def _journal(settings: Settings, held: Database, clock: Callable[[], int]) -> Journal:
    return Journal(
        Trail(held),
        observer=Observer("fhir-server", urlsplit(settings.base_url).netloc, settings.base_url),
        signer=signer_at(settings.data_folder / "audit" / "key.pem"),
        clock=clock,
        anchor_file=settings.audit_anchor_file,
    )


async def _keep_swept(held: Database, keys: ContentKeys, clock: Callable[[], int]) -> None:
    while True:
        await asyncio.sleep(_SWEEP_EVERY)
        try:
            await upkeep.sweep(held, clock())
            await keys.wrap_anew()
        except Exception as error:
            _logger.warning("the sweep failed", exc_info=error)


async def _elsewhere(front: Front, request: Request, error: Exception) -> Response:
    """What is outside of [base] is refused in the same words and with the same headers as what is inside."""
    allowed = getattr(error, "headers", None) or {}
    refusal = (
        NotAllowed(told("method-not-offered"), headers=tuple(allowed.items()))
        if getattr(error, "status_code", None) == HTTPStatus.METHOD_NOT_ALLOWED
        else NotFound(told("nothing-here"))
    )
    answer = front.refusal(refusal, request.scope)
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in answer.headers}
    headers["x-request-id"] = request_id_of(request.scope)
    return Response(answer.body, answer.status, headers)


async def _live(_: object) -> JSONResponse:
    return JSONResponse({"status": "live"})


async def _ready(running: _Running | None) -> JSONResponse:
    """Ready when the database answers and every declared index is there."""
    if running is None:
        return JSONResponse({"status": "starting"}, status_code=503)
    try:
        async with asyncio.timeout(5):
            absent = await indexes.missing(running.database)
    except Exception as error:
        _logger.warning("not ready", exc_info=error)
        return JSONResponse({"status": "the database does not answer"}, status_code=503)
    if absent:
        return JSONResponse({"status": "indexes are missing", "missing": absent}, status_code=503)
    return JSONResponse({"status": "ready"})


class NewerDatabase(RuntimeError):
    """A newer server wrote to the database."""


class NoMasterKey(RuntimeError):
    """Contents are encrypted under a master key that was not given."""


async def _must_have(keys: ContentKeys) -> None:
    """Raise before anything is answered that could not be read."""
    missing = await keys.missing()
    if missing:
        raise NoMasterKey(
            f"Contents in this database are encrypted under the master key {', '.join(missing)}, which is not given; "
            "see content_key_file and content_keys."
        )


def _authorisation(settings: Settings) -> timedelta:
    """How long an authorisation without an end lasts (R-03)."""
    return timedelta(days=round(settings.authorisation_months * _DAYS_A_MONTH))


async def _must_understand(held: Database) -> None:
    """Raise before anything is written into a database whose shape only a newer server knows."""
    internal = Internal(held)
    if await internal.schema_is_newer():
        raise NewerDatabase("A newer server wrote to this database; this one would not understand all of it.")


async def install_package(
    settings: Settings, package: Package, *, usable: bool = False, clock: Callable[[], int] = utc_now
) -> tuple[Package, list[str]]:
    """Install a package in the place of what is there under its name; answer what was installed, and why not the rest.

    Raises :class:`ValueError` where the server would not start with it: a profile that does not compile, a search
    parameter that cannot be served. Nothing is changed then. ``usable``: these are left out instead.
    """
    client, held = _connect(settings)
    try:
        await _must_understand(held)
        packages = Packages(held)
        others = await packages.definitions(without=package.name)
        left: list[str] = []
        if usable:
            package, left = usable_part(settings, others, package)
        declare(settings, [*others, *package.definitions])
        await packages.install(package, clock())
        return package, left
    finally:
        await client.close()


async def installed_packages(settings: Settings) -> list[Installed]:
    """The packages that are installed."""
    client, held = _connect(settings)
    try:
        return await Packages(held).installed()
    finally:
        await client.close()


async def remove_package(settings: Settings, name: str) -> bool:
    """Take a package out; answer whether it was there. Raises :class:`ValueError` where another one needs it."""
    client, held = _connect(settings)
    try:
        await _must_understand(held)
        packages = Packages(held)
        declare(settings, await packages.definitions(without=name))
        return await packages.remove(name)
    finally:
        await client.close()


async def reindex(settings: Settings, told: Callable[[int, int], None]) -> upkeep.Reindexed:
    """Rebuild every index entry and every fact from the stored bodies."""
    client, held = _connect(settings)
    try:
        await _must_understand(held)
        declared = await _declared_with(settings, held)
        await indexes.create(held)
        return await upkeep.reindex(
            held,
            declared.parameters,
            told,
            zone=ZoneInfo(settings.time_zone),
            authorisation=_authorisation(settings),
        )
    finally:
        await client.close()


async def verify_trail(settings: Settings) -> tuple[int, list[str]]:
    """Verify the trail; answer how many traces were checked, and what is wrong, in sentences."""
    client, held = _connect(settings)
    try:
        public = signer_at(settings.data_folder / "audit" / "key.pem").public
        report = await verify.verify(Trail(held), [public], settings.audit_anchor_file)
        return report.traces, [] if report.whole else verify.format(report)
    finally:
        await client.close()


async def to_be_erased(settings: Settings, *, clock: Callable[[], int] = utc_now) -> list[tuple[Due, int, int]]:
    """The records whose time is over, each with how many resources and earlier versions there are of it."""
    client, held = _connect(settings)
    try:
        await _must_understand(held)
        store = Erasure(held)
        return [(due, *await store.size(due)) async for due in store.due(clock())]
    finally:
        await client.close()


async def erase(
    settings: Settings,
    told: Callable[[erasure.Erased], None],
    *,
    clock: Callable[[], int] = utc_now,
) -> int:
    """Erase the records whose time is over, telling each; answer how many large contents went with them."""
    client, held = _connect(settings)
    journal = _journal(settings, held, clock)
    try:
        await _must_understand(held)
        await indexes.create(held)
        store = Erasure(held)
        await journal.open()
        try:
            async for one in erasure.erase(journal, store, server="fhir-server"):
                told(one)
            return await store.drop_contents(clock())
        finally:
            await journal.close()
    finally:
        await client.close()


async def put_demo(settings: Settings, wanted: Sequence[Seed], now: datetime) -> int:
    """Put the demonstration records that are missing into the database; answer how many."""
    client, held = _connect(settings)
    try:
        keys = ContentKeys(held, settings.master_keys)
        await _must_understand(held)
        declared = await _declared_with(settings, held)
        await _must_have(keys)
        await indexes.create(held)
        await upkeep.entries_are_current(held, declared.parameters)
        return await seed(
            client,
            held,
            wanted,
            contents=Contents(held, keys),
            parameters=declared.parameters,
            now=microseconds(now),
            zone=ZoneInfo(settings.time_zone),
            authorisation=_authorisation(settings),
        )
    finally:
        await client.close()

"""The database a command works on: an external one, the embedded one, or the one that a running server embeds."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pydantic import SecretStr

from fhir_server.settings import Settings
from fhir_server.store.embedded import EmbeddedError, EmbeddedMongo, running_uri
from fhir_server.store.folder import Claim, owner
from fhir_server.store.reach import reach


@contextmanager
def own_database(settings: Settings, on_lost: Callable[[EmbeddedError], None] | None = None) -> Iterator[Settings]:
    """The settings with the URI of a database that answers, the data folder being ours for that time."""
    if settings.mongodb_uri is not None:
        with Claim(settings.data_folder):
            reach(settings.mongodb_uri.get_secret_value())
            yield settings
        return
    embedded = EmbeddedMongo(settings.data_folder, settings.mongod, settings.mongod_cache_gb, on_lost=on_lost)
    with embedded as uri:
        yield with_uri(settings, uri).alone(time.time_ns() // 1000)


@contextmanager
def any_database(settings: Settings) -> Iterator[Settings]:
    """The same, sharing the embedded MongoDB of a server that runs on the folder now."""
    if settings.mongodb_uri is not None:
        reach(settings.mongodb_uri.get_secret_value())
        yield settings
    elif owner(settings.data_folder) is not None:
        uri = running_uri(settings.data_folder)
        reach(uri)
        yield with_uri(settings, uri)
    else:
        with own_database(settings) as ready:
            yield ready


def with_uri(settings: Settings, uri: str) -> Settings:
    """The same settings on this database."""
    return settings.model_copy(update={"mongodb_uri": SecretStr(uri)})

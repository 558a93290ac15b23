"""The one connection to MongoDB, and what every collection is read and written with.

Writes are acknowledged by the majority and journalled; facts and resources are read from the primary, committed by the
majority. A ``readPreference`` in the URI is overridden: a stale read could outlive a revocation (ADR 0003).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from bson.codec_options import CodecOptions
from pymongo import AsyncMongoClient, ReadPreference
from pymongo.errors import (
    AutoReconnect,
    ConfigurationError,
    ConnectionFailure,
    DocumentTooLarge,
    ExecutionTimeout,
    InvalidURI,
    NotPrimaryError,
    PyMongoError,
    WTimeoutError,
)
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from fhir_server.fhir.errors import TooLarge, TryAgain, Unavailable
from fhir_server.store.messages import told

if TYPE_CHECKING:
    from pymongo.asynchronous.database import AsyncDatabase

Document: TypeAlias = "dict[str, Any]"
Client: TypeAlias = "AsyncMongoClient[Document]"
Database: TypeAlias = "AsyncDatabase[Document]"

MAJORITY: Final = {"level": "majority"}


def connect(uri: str, *, pool_size: int = 8, timeout_seconds: float = 5.0) -> Client:
    """A client; nothing is sent yet. Raises :class:`ValueError` with a sentence for a URI that cannot be read."""
    try:
        return AsyncMongoClient(
            uri,
            maxPoolSize=pool_size,
            serverSelectionTimeoutMS=int(timeout_seconds * 1000),
            connectTimeoutMS=int(timeout_seconds * 1000),
            socketTimeoutMS=30_000,
            retryWrites=True,
            appname="fhir-server",
        )
    except (InvalidURI, ConfigurationError) as error:
        raise ValueError(f"The MongoDB URI cannot be read: {error}") from None


def database(client: Client, name: str) -> Database:
    """The database, with our concerns whatever the URI says."""
    return client.get_database(
        name,
        codec_options=CodecOptions(),
        read_preference=ReadPreference.PRIMARY,
        write_concern=WriteConcern(w="majority", j=True, wtimeout=20_000),
        read_concern=ReadConcern("majority"),
    )


_NO_ANSWER: Final = (ConnectionFailure, AutoReconnect, NotPrimaryError, ExecutionTimeout, WTimeoutError)


@contextmanager
def answering(*, but: tuple[type[PyMongoError], ...] = ()) -> Iterator[None]:
    """Turn a database that does not answer into 503; any other database error stays a defect of ours.

    ``but`` are errors that the caller makes something else of.
    """
    try:
        yield
    except but:
        raise
    except DocumentTooLarge as error:
        raise TooLarge(told("too-large")) from error
    except PyMongoError as error:
        if error.has_error_label("TransientTransactionError"):
            # also where the connection broke, or the primary changed: within a transaction nothing was stored
            raise TryAgain(told("busy")) from error
        if isinstance(error, _NO_ANSWER):
            raise Unavailable(told("no-answer")) from error
        if error.has_error_label("RetryableWriteError"):
            raise Unavailable(told("not-finished")) from error
        raise

"""A look at the database from outside a server: is it there, may we in, is it a replica set, is anything missing?"""

from __future__ import annotations

import time
from datetime import UTC
from typing import Any

from pymongo import MongoClient
from pymongo.errors import ConfigurationError, InvalidURI, OperationFailure, PyMongoError, ServerSelectionTimeoutError
from pymongo.uri_parser import parse_uri

from fhir_server.store import connection, indexes
from fhir_server.store.keys import Wrapped, wrapped_by

_WAIT_MILLISECONDS = 5_000


class Unreachable(Exception):
    """The database cannot be used; the message is one sentence without the password."""


def reach(uri: str) -> str:
    """The version of the database at this URI, or :class:`Unreachable`."""
    try:
        where = ", ".join(f"{host}:{port}" for host, port in parse_uri(uri)["nodelist"])
    except (InvalidURI, ConfigurationError, ValueError) as error:
        raise Unreachable(f"The MongoDB URI cannot be read: {error}.") from None
    try:
        with MongoClient[dict[str, Any]](uri, serverSelectionTimeoutMS=_WAIT_MILLISECONDS) as client:
            told = client.admin.command("hello")
            client.admin.command({"listDatabases": 1, "nameOnly": True, "authorizedDatabases": True})
            version = str(client.server_info()["version"])
    except ServerSelectionTimeoutError:
        raise Unreachable(
            f"MongoDB at {where} does not answer; check that it runs and that --mongodb-uri or MONGODB_URI names it."
        ) from None
    except OperationFailure as error:
        why = (error.details or {}).get("errmsg") or "the user or the password is wrong"
        raise Unreachable(f"MongoDB at {where} refuses us: {why}.") from None
    except (PyMongoError, ValueError) as error:
        raise Unreachable(f"MongoDB at {where} cannot be used: {error}.") from None
    if "setName" not in told and told.get("msg") != "isdbgrid":
        raise Unreachable(
            f"MongoDB at {where} is not a replica set, without which there are no transactions; "
            "start it with --replSet and initiate it."
        )
    return version


async def content_keys(uri: str, name: str) -> list[Wrapped]:
    """Which master keys wrap the keys of contents, and how many each."""
    async with connection.connect(uri) as client:
        return await wrapped_by(connection.database(client, name))


async def examine(uri: str, name: str) -> tuple[float, list[str]]:
    """How many seconds its clock is behind ours, and which declared indexes are missing."""
    async with connection.connect(uri) as client:
        told = (await client.admin.command("hello"))["localTime"]
        skew = time.time() - told.replace(tzinfo=UTC).timestamp()
        return skew, await indexes.missing(connection.database(client, name))

"""The FHIR packages an operator installed: what they define is read when a server starts.

`packages` has one document a package, `package_resources` one a resource. A package is replaced as a whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bson.binary import Binary

from fhir_server.definitions.packages import Definition
from fhir_server.fhir import json
from fhir_server.store.transaction import Transactions

if TYPE_CHECKING:
    from pymongo.asynchronous.client_session import AsyncClientSession

    from fhir_server.definitions.packages import Package
    from fhir_server.store.connection import Database


@dataclass(frozen=True, slots=True)
class Installed:
    """What is told of a package that is installed."""

    name: str
    version: str
    definitions: int


class Packages:
    """The packages of a database."""

    def __init__(self, database: Database) -> None:
        """Keep them in this database."""
        self._database = database
        self._packages, self._resources = database["packages"], database["package_resources"]

    async def install(self, package: Package, at: int) -> None:
        """Put a package in the place of what is installed under its name; all of it or nothing."""
        documents = [
            {
                "_id": f"{package.name} {one.key}",
                "package": package.name,
                "file": one.file,
                "body": Binary(json.encode(one.resource)),
            }
            for one in package.definitions
        ]
        told = {
            "_id": package.name,
            "version": package.version,
            "sha256": package.sha256,
            "at": at,
            "definitions": len(documents),
        }

        async def work(session: AsyncClientSession) -> None:
            await self._resources.delete_many({"package": package.name}, session=session)
            if documents:
                await self._resources.insert_many(documents, session=session)
            await self._packages.replace_one({"_id": package.name}, told, upsert=True, session=session)

        await Transactions(self._database.client).run(work)

    async def remove(self, name: str) -> bool:
        """Take a package out; answer whether it was there."""

        async def work(session: AsyncClientSession) -> bool:
            await self._resources.delete_many({"package": name}, session=session)
            return bool((await self._packages.delete_one({"_id": name}, session=session)).deleted_count)

        return await Transactions(self._database.client).run(work)

    async def installed(self) -> list[Installed]:
        """Which there are, by name."""
        return [
            Installed(one["_id"], one["version"], one["definitions"])
            async for one in self._packages.find({}).sort("_id", 1)
        ]

    async def definitions(self, *, without: str | None = None) -> list[Definition]:
        """All they define, in one order everywhere; of all but one package, where it is about to be replaced."""
        where = {} if without is None else {"package": {"$ne": without}}
        return [
            Definition(f"{one['package']}/{one['file']}", json.decode_object(bytes(one["body"])))
            async for one in self._resources.find(where).sort("_id", 1)
        ]

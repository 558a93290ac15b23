"""A database as one transaction sees it: every operation is a part of it, one after another.

What reads and writes a database reads and writes this one alike, so a Bundle is carried out by the same code as single
requests are, sees what its earlier entries wrote, and is stored whole or not at all.

The driver lets one operation at a time use a session; code that asks for two at once is served one after the other.
Read and write concerns are the transaction's, so those of single operations are left out.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pymongo.asynchronous.client_session import AsyncClientSession

    from fhir_server.store.connection import Database

_OF_TRANSACTION: Final = frozenset({"readConcern", "writeConcern"})


def within(database: Database, session: AsyncClientSession) -> Database:
    """The database as the transaction of this session sees it."""
    return cast("Database", _Database(database, session))


class _Database:
    """What the store uses of a database."""

    def __init__(self, database: Database, session: AsyncClientSession) -> None:
        self._database = database
        self._session = session
        self._turn = asyncio.Lock()

    def __getitem__(self, name: str) -> _Collection:
        return _Collection(self._database[name], self._session, self._turn)

    async def command(self, command: Mapping[str, Any]) -> Any:  # noqa: ANN401 - as the driver answers
        kept = {name: value for name, value in command.items() if name not in _OF_TRANSACTION}
        async with self._turn:
            return await self._database.command(kept, session=self._session)


class _Collection:
    """What the store uses of a collection."""

    def __init__(self, collection: Any, session: AsyncClientSession, turn: asyncio.Lock) -> None:  # noqa: ANN401 - the driver's
        self._collection = collection
        self._session = session
        self._turn = turn

    def find(self, *told: Any, **options: Any) -> _Cursor:  # noqa: ANN401 - as the driver takes them
        return _Cursor(self._collection.find(*told, **{**options, "session": self._session}), self._turn)

    async def aggregate(self, *told: Any, **options: Any) -> _Cursor:  # noqa: ANN401 - same
        async with self._turn:
            cursor = await self._collection.aggregate(*told, **{**options, "session": self._session})
        return _Cursor(cursor, self._turn)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """Every other operation of a collection, as a part of the transaction."""
        operation = getattr(self._collection, name)

        async def carry_out(*told: Any, **options: Any) -> Any:  # noqa: ANN401 - same
            async with self._turn:
                return await operation(*told, **{**options, "session": self._session})

        return carry_out


class _Cursor:
    """What the store uses of a cursor."""

    def __init__(self, cursor: Any, turn: asyncio.Lock) -> None:  # noqa: ANN401 - the driver's
        self._cursor = cursor
        self._turn = turn

    def sort(self, *told: Any) -> _Cursor:  # noqa: ANN401 - as the driver takes them
        return _Cursor(self._cursor.sort(*told), self._turn)

    def limit(self, most: int) -> _Cursor:
        return _Cursor(self._cursor.limit(most), self._turn)

    async def to_list(self) -> Sequence[Any]:
        async with self._turn:
            found: Sequence[Any] = await self._cursor.to_list()
            return found

"""A database as one transaction sees it: every operation is a part of it, one after another.

What reads and writes a database reads and writes this one alike, so a Bundle is carried out by the same code as single
requests are, sees what its earlier entries wrote, and is stored whole or not at all.

The driver lets one operation at a time use a session; code that asks for two at once is served one after the other.
Read and write concerns are the transaction's, so those of single operations are left out.

A transaction reads one snapshot: what it reads again is what it read before, until it writes there itself. So what it
looks up by id, and whose a record is, is asked once. New resources may wait (`store.held_back`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Mapping, Sequence

    from pymongo.asynchronous.client_session import AsyncClientSession

    from fhir_server.store.connection import Database
    from fhir_server.store.held_back import HeldBack

_OF_TRANSACTION: Final = frozenset({"readConcern", "writeConcern"})
_WHERE_RESOURCES_ARE: Final = frozenset({"resources", "versions"})
"""Collections whose operations could miss, or be about, what waits."""
_READS: Final = frozenset({"find_one", "count_documents", "distinct"})
_RECORDS: Final = "records"
_OF_LOOK_UP: Final = {"find", "filter", "projection", "batchSize", "singleBatch"}
"""What a look-up by id is made of (`Reading`), and no search is: that has a time limit."""


def within(database: Database, session: AsyncClientSession, turn: asyncio.Lock, held: HeldBack) -> Database:
    """The database as the transaction of this session sees it; ``turn`` is whose turn it is to use the session."""
    return cast("Database", _Database(database, session, turn, held))


class _Database:
    """What the store uses of a database."""

    def __init__(self, database: Database, session: AsyncClientSession, turn: asyncio.Lock, held: HeldBack) -> None:
        self._database = database
        self._held = held
        self._sent = 0
        self._memory: dict[str, dict[str, Any]] = {}
        """By collection and by what was asked, what was found."""
        self.session = session
        self.turn = turn

    def __getitem__(self, name: str) -> _Collection:
        return _Collection(self, name, self._database[name])

    async def command(self, command: Mapping[str, Any]) -> Any:  # noqa: ANN401 - as the driver answers
        kept = {name: value for name, value in command.items() if name not in _OF_TRANSACTION}
        keys = _keys_of(kept)
        if keys is not None:
            return await self._look_up(kept, keys)
        await self.ready_for(str(kept.get("find", "resources")))
        async with self.turn:
            return await self._database.command(kept, session=self.session)

    async def ready_for(self, collection: str) -> None:
        """Send what an operation on this collection could miss."""
        if collection in _WHERE_RESOURCES_ARE:
            await self._held.send()

    def memory_of(self, collection: str) -> dict[str, Any]:
        """What was found there since the transaction last wrote there."""
        if self._sent != self._held.sent:
            self._sent = self._held.sent
            self.forget("resources")
        return self._memory.setdefault(collection, {})

    def forget(self, collection: str) -> None:
        """The transaction writes there."""
        self._memory.pop(collection, None)

    async def _look_up(self, command: Mapping[str, Any], keys: Sequence[str]) -> Mapping[str, Any]:
        """What is stored, or waits to be, under these keys, told as the database tells it."""
        collection, projection = str(command["find"]), command.get("projection", {})
        known: dict[str, Any] = self.memory_of(collection).setdefault(f"by id {projection!r}", {})
        waiting = {key: self._held.get(key) if collection == "resources" else None for key in keys}
        unknown = [key for key in keys if waiting[key] is None and key not in known]
        if unknown:
            asked = {**command, "filter": {"_id": {"$in": unknown}}, "batchSize": len(unknown) + 1}
            async with self.turn:
                answer = await self._database.command(asked, session=self.session)
            known |= {**dict.fromkeys(unknown), **{one["_id"]: one for one in answer["cursor"]["firstBatch"]}}
        left_out = projection.keys()
        told = [
            known[key] if one is None else {name: value for name, value in one.items() if name not in left_out}
            for key, one in waiting.items()
        ]
        return {"cursor": {"firstBatch": [one for one in told if one is not None]}}


class _Collection:
    """What the store uses of a collection."""

    def __init__(self, database: _Database, name: str, collection: Any) -> None:  # noqa: ANN401 - the driver's
        self._database = database
        self._name = name
        self._collection = collection

    def find(self, *told: Any, **options: Any) -> _Cursor:  # noqa: ANN401 - as the driver takes them
        cursor = self._collection.find(*told, **{**options, "session": self._database.session})
        asked = repr((told, {name: one for name, one in options.items() if name != "session"}))
        return _Cursor(self._database, self._name, cursor, asked if self._name == _RECORDS else None)

    async def aggregate(self, *told: Any, **options: Any) -> _Cursor:  # noqa: ANN401 - same
        await self._database.ready_for(self._name)
        async with self._database.turn:
            cursor = await self._collection.aggregate(*told, **{**options, "session": self._database.session})
        return _Cursor(self._database, self._name, cursor, None)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """Every other operation of a collection, as a part of the transaction."""
        operation = getattr(self._collection, name)

        async def carry_out(*told: Any, **options: Any) -> Any:  # noqa: ANN401 - same
            await self._database.ready_for(self._name)
            if name not in _READS:
                self._database.forget(self._name)
            async with self._database.turn:
                return await operation(*told, **{**options, "session": self._database.session})

        return carry_out


class _Cursor:
    """What the store uses of a cursor."""

    def __init__(self, database: _Database, name: str, cursor: Any, asked: str | None) -> None:  # noqa: ANN401 - the driver's
        """``asked`` tells apart what is remembered; nothing is, without it."""
        self._database = database
        self._name = name
        self._cursor = cursor
        self._asked = asked

    def sort(self, *told: Any) -> _Cursor:  # noqa: ANN401 - as the driver takes them
        asked = None if self._asked is None else f"{self._asked} sort {told!r}"
        return _Cursor(self._database, self._name, self._cursor.sort(*told), asked)

    def limit(self, most: int) -> _Cursor:
        asked = None if self._asked is None else f"{self._asked} limit {most}"
        return _Cursor(self._database, self._name, self._cursor.limit(most), asked)

    async def to_list(self) -> Sequence[Any]:
        if self._asked is not None and (known := self._database.memory_of(self._name).get(self._asked)) is not None:
            return cast("Sequence[Any]", known)
        await self._database.ready_for(self._name)
        async with self._database.turn:
            found: Sequence[Any] = await self._cursor.to_list()
        if self._asked is not None:
            self._database.memory_of(self._name)[self._asked] = found
        return found


def _keys_of(command: Mapping[str, Any]) -> Sequence[str] | None:
    """The keys that a look-up by id asks for; nothing for any other command."""
    where = command.get("filter", {})
    if command.keys() != _OF_LOOK_UP or where.keys() != {"_id"} or any(command["projection"].values()):
        return None
    wanted = where["_id"]
    if isinstance(wanted, str):
        return (wanted,)
    return cast("Sequence[str]", wanted["$in"]) if wanted.keys() == {"$in"} else None

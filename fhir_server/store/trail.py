"""The trail in MongoDB: traces, the runs that wrote them, and the signed heads of their chains.

Four collections, all written with majority and journal (the acknowledged survives a kill and a change of primary):

- ``trail``: one document a trace, never changed but by :meth:`Trail.erase`. ``_id`` is the ``Type/id`` that a client
  reads, ``AuditEvent/<writer>-<sequence, 12 digits>``: a trace is found by it, and the order of ``_id`` is the order of
  the chain, so neither needs another index. A second document with the same place in a chain cannot exist.
- ``chains``: one document a run of a writer: when it began, when it was last seen alive, whether it is over.
- ``anchors``: the signed heads.
- ``trail_keys``: the public keys that may have signed them.

This module stores; what a chain is, and when it goes on, is `audit.journal`'s.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import bson.errors
import pymongo
from pymongo import IndexModel, ReadPreference
from pymongo.errors import DocumentTooLarge, DuplicateKeyError, PyMongoError, WriteError
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from fhir_server.store.trace import (
    CONTENT,
    Anchor,
    Chain,
    Document,
    Head,
    Trace,
    anchor,
    anchor_document,
    document,
    trace,
    trace_key,
)

if TYPE_CHECKING:
    from pymongo.asynchronous.collection import AsyncCollection
    from pymongo.asynchronous.database import AsyncDatabase

TRAIL_INDEXES: Final[tuple[IndexModel, ...]] = (
    IndexModel([("record", 1), ("at", -1), ("_id", -1)], name="trail_record"),
    IndexModel([("agent", 1), ("at", -1), ("_id", -1)], name="trail_agent"),
    IndexModel([("realm", 1), ("at", -1), ("_id", -1)], name="trail_realm"),
    IndexModel([("follows", 1)], name="trail_follows", partialFilterExpression={"follows": {"$exists": True}}),
)
"""Of collection ``trail``. The last holds failed writes only: a few entries."""

CHAIN_INDEXES: Final[tuple[IndexModel, ...]] = (
    IndexModel([("closed", 1)], name="chains_open", partialFilterExpression={"closed": False}),
    IndexModel([("named", 1)], name="chains_unnamed", partialFilterExpression={"named": False}),
)
"""Of collection ``chains``: the runs that are not over, and those whose last head no later run has named."""

_DURABLE: Final = WriteConcern(w="majority", j=True)
_BATCH: Final = 500
_UNSTORABLE: Final = (bson.errors.BSONError, UnicodeError, OverflowError)
"""What the driver raises for a document that BSON cannot hold."""


class Uncertain(Exception):
    """The database did not answer: what was to be written may be there or not."""


class Refused(Exception):
    """The database answered that it does not store this; it is not there."""


class Trail:
    """The collections of the trail. Every call answers within ``deadline`` seconds or raises :class:`Uncertain`."""

    def __init__(self, database: AsyncDatabase[Document], *, deadline: float = 5.0) -> None:
        """Traces go to this database; facts are read from its primary."""

        def collection(name: str) -> AsyncCollection[Document]:
            return database.get_collection(
                name,
                write_concern=_DURABLE,
                read_concern=ReadConcern("majority"),
                read_preference=ReadPreference.PRIMARY,
            )

        self._database = database
        self._trail = collection("trail")
        self._chains = collection("chains")
        self._anchors = collection("anchors")
        self._keys = collection("trail_keys")
        self._resources = collection("resources")
        self._versions = collection("versions")
        self._deadline = deadline

    async def append(self, traces: Sequence[Trace]) -> None:
        """Store the traces in this order, durably, or raise :class:`Uncertain`: then a first part may be there."""
        # As a command, which the driver does not repeat by itself: the journal looks first what is there.
        command = {
            "insert": self._trail.name,
            "documents": [document(trace) for trace in traces],
            "ordered": True,
            "writeConcern": _DURABLE.document,
        }
        with self._answering():
            answer = await self._database.command(command)
        if "writeErrors" in answer or "writeConcernError" in answer:
            raise Uncertain(f"not all of {len(traces)} traces were acknowledged")

    async def append_one(self, trace: Trace) -> None:
        """Store one trace. Raise :class:`Refused` when it can never be stored, :class:`Uncertain` when nobody knows."""
        with self._answering():
            try:
                await self._trail.insert_one(document(trace))
            except DuplicateKeyError:
                raise
            except (WriteError, DocumentTooLarge, *_UNSTORABLE) as error:
                raise Refused(str(error)) from error

    async def digests(self, keys: Iterable[str]) -> dict[str, bytes]:
        """The digests of those of these traces that are stored, by ``_id``."""
        with self._answering():
            found = self._trail.find({"_id": {"$in": list(keys)}}, {"digest": 1})
            return {one["_id"]: bytes(one["digest"]) async for one in found}

    async def read(self, key: str) -> Trace | None:
        """One trace by ``_id``, for the journal itself: never for a requester, who goes through the gate."""
        with self._answering():
            found = await self._trail.find_one({"_id": key})
        return None if found is None else trace(found)

    async def head(self, writer: str) -> Head | None:
        """The last link of a run, as stored."""
        with self._answering():
            found = await self._trail.find_one(
                _of(writer), {"seq": 1, "digest": 1}, sort=[("_id", pymongo.DESCENDING)], hint="_id_"
            )
        return None if found is None else Head(writer, found["seq"], bytes(found["digest"]))

    async def walk(self) -> AsyncIterator[Trace]:
        """Every trace, run by run, in the order of its chain."""
        try:
            async for found in self._trail.find({}, sort=[("_id", pymongo.ASCENDING)], hint="_id_", batch_size=_BATCH):
                yield trace(found)
        except PyMongoError as error:
            raise Uncertain(str(error)) from error

    async def erase(self, record: str, *, before: int, at: int, persons: Sequence[str] = ()) -> int:
        """Take the content away from the traces of a record older than this; say how many. The chain still holds.

        Also from those that name its Patient, whatever they were filed under, and, of the ``persons`` who held it, from
        those of their own acts that belong to no record. Each step stays within the deadline, and may be done again.
        """
        erased = 0
        whose: tuple[Document, ...] = (
            {"record": record},
            {"shown": record},
            {"agent": {"$in": list(persons)}, "record": None},
        )
        try:
            for which in whose:
                keys: list[str] = []
                async for found in self._trail.find({**which, "at": {"$lt": before}}, {"_id": 1}, batch_size=_BATCH):
                    keys.append(found["_id"])
                    if len(keys) == _BATCH:
                        erased += await self._erase(keys, at)
                        keys = []
                erased += await self._erase(keys, at)
        except PyMongoError as error:
            raise Uncertain(str(error)) from error
        return erased

    async def _erase(self, keys: list[str], at: int) -> int:
        if not keys:
            return 0
        taken = {"$set": {"erased": at}, "$unset": dict.fromkeys(CONTENT, "")}
        with self._answering():
            return (await self._trail.update_many({"_id": {"$in": keys}, "erased": None}, taken)).modified_count

    async def begin(self, writer: str, at: int) -> None:
        """Say that a run begins."""
        with self._answering():
            fresh = {"seen": at, "closed": False, "named": False}
            await self._chains.update_one({"_id": writer}, {"$set": fresh}, upsert=True)

    async def seen(self, writer: str, at: int) -> bool:
        """Say that a run is alive; false when another writer has taken it for dead meanwhile."""
        with self._answering():
            done = await self._chains.update_one({"_id": writer, "closed": False, "heir": None}, {"$set": {"seen": at}})
        return done.matched_count == 1

    async def unfinished(self) -> tuple[Chain, ...]:
        """The runs that are not over."""
        return await self._find_chains({"closed": False})

    async def unnamed(self) -> tuple[Chain, ...]:
        """The runs whose last head no later run has named."""
        return await self._find_chains({"named": False})

    async def name(self, writers: Sequence[str]) -> None:
        """A durable link names the last heads of these runs."""
        with self._answering():
            await self._chains.update_many({"_id": {"$in": list(writers)}}, {"$set": {"named": True}})

    async def claim(self, chain: Chain, heir: str, at: int) -> bool:
        """Take over a run that has not been seen since; false when another writer was faster or it is alive."""
        with self._answering():
            done = await self._chains.update_one(
                {"_id": chain.writer, "closed": False, "seen": chain.seen}, {"$set": {"seen": at, "heir": heir}}
            )
        return done.modified_count == 1

    async def finish(self, writer: str) -> None:
        """Say that a run is over."""
        with self._answering():
            await self._chains.update_one({"_id": writer}, {"$set": {"closed": True}})

    async def anchor(self, anchor: Anchor) -> bool:
        """Store a signed head; false when this number of this run is taken."""
        with self._answering():
            try:
                await self._anchors.insert_one(anchor_document(anchor))
            except DuplicateKeyError:
                return False
        return True

    async def last_anchor(self, writer: str) -> Anchor | None:
        """The last signed head of a run."""
        with self._answering():
            found = await self._anchors.find_one(_of(writer, ""), sort=[("_id", pymongo.DESCENDING)], hint="_id_")
        return None if found is None else anchor(found)

    async def anchors(self) -> AsyncIterator[Anchor]:
        """Every signed head, run by run, in the order of their numbers."""
        try:
            async for found in self._anchors.find({}, sort=[("_id", pymongo.ASCENDING)], batch_size=_BATCH):
                yield anchor(found)
        except PyMongoError as error:
            raise Uncertain(str(error)) from error

    async def keep_key(self, fingerprint: str, public: bytes, at: int) -> None:
        """Store a public key that signs heads."""
        with self._answering():
            await self._keys.update_one(
                {"_id": fingerprint}, {"$setOnInsert": {"public": public, "at": at}}, upsert=True
            )

    async def keys(self) -> dict[str, bytes]:
        """The public keys by fingerprint, as stored here. An auditor compares them with what he was given."""
        with self._answering():
            return {one["_id"]: bytes(one["public"]) async for one in self._keys.find({})}

    async def announced(self, writer: str, *, after: int | None, also: Sequence[int]) -> AsyncIterator[Trace]:
        """The traces of a run that announce a write: those after a place of the chain, and those at these places."""
        places: list[Document] = [{"_id": {"$in": [trace_key(writer, seq) for seq in also]}}]
        if after is not None:
            start = {"$gt": trace_key(writer, after)} if after >= 0 else _of(writer)["_id"]
            places.append({"_id": {**start, "$lt": f"AuditEvent/{writer}."}})
        try:
            for place in places:
                async for found in self._trail.find({**place, "writes": {"$exists": True}}, batch_size=_BATCH):
                    yield trace(found)
        except PyMongoError as error:
            raise Uncertain(str(error)) from error

    async def took_place(self, announced: Trace) -> bool:
        """Tell whether the version that a trace announces exists, and whether it names that trace where it names one.

        Two writers may announce the same version; only one wins. A stored version therefore carries the ``_id`` of its
        trace in the field ``trace``.
        """
        version_key = announced.content.writes if announced.content else None
        if version_key is None:
            return False
        resource, _, version = version_key.rpartition("/")
        with self._answering():
            for collection, named in (
                (self._resources, {"_id": resource, "version": int(version)}),
                (self._versions, {"_id": version_key}),
            ):
                found = await collection.find_one(named, {"trace": 1})
                if found is not None and found.get("trace", announced.key) == announced.key:
                    return True
        return False

    async def denied(self, key: str) -> bool:
        """Tell whether a later trace says that the write announced by this one did not take place."""
        with self._answering():
            return await self._trail.find_one({"follows": key}, {"_id": 1}) is not None

    async def _find_chains(self, which: Document) -> tuple[Chain, ...]:
        with self._answering():
            return tuple([Chain(one["_id"], one["seen"], one["closed"]) async for one in self._chains.find(which)])

    @contextmanager
    def _answering(self) -> Iterator[None]:
        """Bound the time, and make one error of all that leave the outcome open."""
        try:
            with pymongo.timeout(self._deadline):
                yield
        except (PyMongoError, *_UNSTORABLE) as error:
            raise Uncertain(str(error)) from error


def _of(writer: str, prefix: str = "AuditEvent/") -> Document:
    """The ids of one run: they go on with ``-``, and ``.`` is the character after it."""
    return {"_id": {"$gt": f"{prefix}{writer}-", "$lt": f"{prefix}{writer}."}}

"""Every way to read a resource. None works without a :class:`Visible`.

A resource that was looked up is :class:`Held`: outside the store it tells only which record it belongs to, which the
decision needs. Its body comes out by :meth:`Held.read` alone, against a decision.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from fhir_server.record.elements import CONTENTS
from fhir_server.record.facts import Facts, facts_of
from fhir_server.search.predicate import Never, Predicate, all_of
from fhir_server.store.coalesce import Coalescer
from fhir_server.store.connection import MAJORITY, Document, answering
from fhir_server.store.filters import Filter, holds, to_filter
from fhir_server.store.plan import scope_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from fhir_server.search.visible import Visible
    from fhir_server.store.connection import Database
    from fhir_server.store.ordering import Position

_WITHOUT_ENTRIES: Final = {"ix": 0}
"""Of what is found, nobody asks the search entries again: reading them costs more than reading the body."""
_WITHOUT_BODY: Final = {"ix": 0, "body": 0, "content": 0}
_WHOLE: Final[Mapping[str, int]] = {}
_DECIDING: Final[Mapping[str, int]] = {"consents": 0}
"""Of the facts of a record, decisions read what is told of its Consents, never the Consents one by one."""
_NOT_WITHDRAWN: Final = {"$or": [{"current.gone": None}, {"current.rt": {"$nin": sorted(CONTENTS)}}]}
_MAX_TIME_MS: Final = 20_000


@dataclass(frozen=True, slots=True)
class Content:
    """The bytes of a Binary, kept decoded beside its body."""

    size: int
    content_type: str


@dataclass(frozen=True, slots=True)
class Stored:
    """One version of a resource that the requester may see. ``body`` is nothing once it is deleted."""

    type: str
    id: str
    version: int
    at: int
    """Microseconds since 1970."""
    body: bytes | None
    record: str | None
    content: Content | None
    document: Mapping[str, Any]
    """The stored form, for the store's own writes and for decisions on a write."""

    @property
    def made_by_put(self) -> bool:
        """Whether this version came about by a PUT where there was nothing, as history tells."""
        return bool(self.document.get("made_by_put"))

    @property
    def key(self) -> str:
        """``Type/id``."""
        return f"{self.type}/{self.id}"


@dataclass(frozen=True, slots=True)
class Held:
    """A resource looked up and not yet shown; absent and present look alike from outside."""

    type: str
    id: str
    record: str | None
    """The record it belongs to: whose facts the decision needs."""
    _document: Document | None
    others: tuple[str, ...] = ()
    """The other records it belongs to, whose facts the decision needs too."""
    about: tuple[str, ...] = ()
    """What it tells of (``Type/id``), where that is all it does."""

    @property
    def key(self) -> str:
        """``Type/id``."""
        return f"{self.type}/{self.id}"

    def read(self, visible: Visible) -> Stored | None:
        """The resource if the decision shows it, deleted or not; nothing for hidden and absent alike."""
        if self._document is None or not holds(visible.predicate, self._document):
            return None
        return stored(self._document)

    @property
    def is_there(self) -> bool:
        """Whether something is stored under this key, deleted or not: for what a look-up costs, never for an answer."""
        return self._document is not None

    @property
    def is_withdrawn(self) -> bool:
        """Whether it was contents of a record, and deleted: nobody is shown what it was (R-51)."""
        return self._document is not None and "gone" in self._document and self.type in CONTENTS

    def is_shown(self, visible: Visible) -> bool:
        """Whether the decision shows it."""
        return self._document is not None and holds(visible.predicate, self._document)


def _held(type: str, id: str, document: Document | None) -> Held:
    if document is None:
        return Held(type, id, None, None)
    others, about = tuple(document.get("also", ())), tuple(document.get("about", ()))
    return Held(type, id, document.get("record"), document, others, about)


class Reading:
    """The reading half of the store."""

    def __init__(self, database: Database) -> None:
        """Read from this database."""
        self._database = database
        self._resources = Coalescer(self._find_resources)
        self._records = Coalescer(self._find_records)
        self._persons = Coalescer(self._find_persons)
        self._traces = Coalescer(self._find_traces)

    async def hold(self, type: str, id: str) -> Held:
        """Look up one resource, together with what concurrent requests look up."""
        look_up = self._traces if type == "AuditEvent" else self._resources
        return _held(type, id, await look_up.get(f"{type}/{id}"))

    async def hold_many(self, keys: Collection[str]) -> list[Held]:
        """Look up what these keys (``Type/id``) name, without the bodies: to decide which of it may be referred to.

        In the order of the keys; what is not there is among them.
        """
        found = await self._find_by_id("resources", sorted(keys), _WITHOUT_BODY)
        return [_held(type, id, found.get(key)) for key in keys for type, _, id in [key.partition("/")]]

    async def facts(self, record: str | None) -> Facts:
        """The facts of a record as they are now; of none, the facts of a record nobody has, at the same cost."""
        return facts_of(await self._records.get(record or ""))

    async def facts_in_full(self, record: str | None) -> Facts:
        """The same with the Consents they come from, for who renews, withdraws or lists them."""
        found = await self._find_by_id("records", [record or ""])
        return facts_of(found.get(record or ""))

    async def facts_of_person(self, person: str, realm: str) -> Facts:
        """The facts of a person's record, by ``ins|…`` key; of several in trials, the first by id."""
        return facts_of(await self._persons.get(f"{realm} {person}"))

    async def version(self, held: Held, version: int, *, visible: Visible, with_deleted: bool) -> Stored | None:
        """One version of a resource; the labels of its current version rule (access: labels).

        Of contents that were deleted it is the deletion, whichever earlier version is asked, unless ``with_deleted``.
        """
        current = held.read(visible)
        if current is None or version == current.version:
            return current
        if held.is_withdrawn and not with_deleted:
            return current if version < current.version else None
        with answering():
            found = await self._database["versions"].find_one({"_id": f"{held.key}/{version}"})
        return stored(found) if found is not None else None

    async def history(
        self, held: Held, *, visible: Visible, since: int | None, limit: int, after: int | None, with_deleted: bool
    ) -> tuple[list[Stored], int]:
        """The versions of one resource, newest first, older than version `after`; and how many there are in all.

        Of contents that were deleted the deletion alone, unless ``with_deleted``.
        """
        current = held.read(visible)
        if current is None:
            return [], 0
        if held.is_withdrawn and not with_deleted:
            told = [current] if since is None or current.at >= since else []
            return told if after is None else [], len(told)
        where: Filter = {"of": held.key, "version": {"$lt": min(current.version, after or current.version)}}
        total = current.version if since is None else await self._versions_since(held, current, since)
        if since is not None:
            where["at"] = {"$gte": since}
        page: list[Stored] = []
        if after is None and (since is None or current.at >= since):
            page.append(current)
        with answering():
            cursor = self._database["versions"].find(where).sort("version", -1).limit(limit + 1 - len(page))
            page += [stored(document) for document in await cursor.to_list()]
        return page, total

    async def changes(
        self,
        types: Predicate,
        *,
        visible: Visible,
        since: int | None,
        limit: int,
        after: Position | None,
        with_deleted: bool,
    ) -> list[Stored]:
        """Versions of many resources, newest first: those whose *current* version is allowed.

        Of contents that were deleted the deletion alone, unless ``with_deleted``. ``types`` limits the resource types.
        At most ``limit + 1``, so that the caller knows whether there is more.
        """
        wanted = all_of([types, visible.predicate])
        if isinstance(wanted, Never):
            return []
        place: list[Filter] = [{"at": {"$gte": since}}] if since is not None else []
        if after is not None:
            at = after.values[0]
            place.append({"$or": [{"at": {"$lt": at}}, {"at": at, "_id": {"$gt": after.id}}]})
        scope = scope_of(types, visible.predicate)
        order = {"at": -1, "_id": 1}
        past: list[dict[str, Any]] = [
            {"$match": {"$and": [to_filter(scope), *place]}},
            {"$sort": order},
            {"$lookup": {"from": "resources", "localField": "of", "foreignField": "_id", "as": "current"}},
            {"$unwind": "$current"},
            {"$match": to_filter(wanted, "current.")},
            *([] if with_deleted else [{"$match": _NOT_WITHDRAWN}]),
            {"$limit": limit + 1},
            {"$unset": "current"},
        ]
        with answering():
            present = self._database["resources"].find({"$and": [to_filter(wanted), *place]}, max_time_ms=_MAX_TIME_MS)
            documents = await present.sort(list(order.items())).limit(limit + 1).to_list()
            versions = await self._database["versions"].aggregate(past, maxTimeMS=_MAX_TIME_MS)
            documents += await versions.to_list()
        documents.sort(key=lambda document: (-document["at"], document["_id"]))
        return [stored(document) for document in documents[: limit + 1]]

    async def _versions_since(self, held: Held, current: Stored, since: int) -> int:
        with answering():
            past = await self._database["versions"].count_documents(
                {"of": held.key, "at": {"$gte": since}, "version": {"$lt": current.version}}
            )
        return past + (current.at >= since)

    async def _find_resources(self, keys: Sequence[str]) -> Mapping[str, Document]:
        return await self._find_by_id("resources", keys, _WITHOUT_ENTRIES)

    async def _find_records(self, keys: Sequence[str]) -> Mapping[str, Document]:
        return await self._find_by_id("records", keys, _DECIDING)

    async def _find_traces(self, keys: Sequence[str]) -> Mapping[str, Document]:
        found = await self._find_by_id("trail", keys)
        return {key: document for key, document in found.items() if "event" in document}

    async def _find_persons(self, keys: Sequence[str]) -> Mapping[str, Document]:
        wanted = {key.partition(" ")[2] for key in keys}
        command = {
            "find": "records",
            "filter": {"persons": {"$in": sorted(wanted)}},
            "sort": {"_id": -1},
            "projection": _DECIDING,
            "singleBatch": True,
            "batchSize": 100 * len(keys),
            "readConcern": MAJORITY,
        }
        with answering():
            answer = await self._database.command(command)
        documents = answer["cursor"]["firstBatch"]
        return {f"{one['realm']} {person}": one for one in documents for person in one["persons"]}

    async def _find_by_id(
        self, collection: str, keys: Sequence[str], projection: Mapping[str, int] = _WHOLE
    ) -> Mapping[str, Document]:
        """What is stored under these keys; one key or many, the same command."""
        command = {
            "find": collection,
            "filter": {"_id": keys[0] if len(keys) == 1 else {"$in": list(keys)}},
            "projection": projection,
            "batchSize": len(keys) + 1,
            "singleBatch": True,
            "readConcern": MAJORITY,
        }
        with answering():
            answer = await self._database.command(command)
            return {document["_id"]: document for document in answer["cursor"]["firstBatch"]}


def stored(document: Document) -> Stored:
    """The resource in a stored document, of ``resources`` or of ``versions``."""
    type, _, id = str(document.get("of", document["_id"])).partition("/")
    if type == "AuditEvent":
        return Stored(
            type, id, 1, int(document["at"]), bytes(document["event"]), document.get("record"), None, document
        )
    content = document.get("content")
    return Stored(
        type=type,
        id=id,
        version=document["version"],
        at=int(document["at"]),
        body=document["body"],
        record=document["record"],
        content=Content(content["size"], content["type"]) if content else None,
        document=document,
    )


def permits(visible: Visible, candidate: Mapping[str, Any]) -> bool:
    """Whether a decision on a write covers what is to be written."""
    return holds(visible.predicate, candidate)

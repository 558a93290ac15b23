"""Every way to read a resource. None works without a :class:`Visible`.

A resource that was looked up is :class:`Held`: outside the store it tells only which record it belongs to, which the
decision needs. Its body comes out by :meth:`Held.read` alone, against a decision.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from fhir_server.fhir.date import MIN
from fhir_server.record.facts import Facts, facts_of
from fhir_server.search.predicate import (
    AllOf,
    AnyOf,
    Compare,
    Field,
    Moment,
    Never,
    OneOf,
    Predicate,
    Prefix,
    Span,
    all_of,
)
from fhir_server.store import indexes
from fhir_server.store.coalesce import Coalescer
from fhir_server.store.connection import MAJORITY, Document, answering
from fhir_server.store.filters import NOTHING, Filter, holds, to_filter

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from fhir_server.search.visible import Visible
    from fhir_server.store.connection import Database

Position: TypeAlias = "tuple[int | str, str]"
"""Where a page ended: the value of the sort key, and the ``_id``."""

_WITHOUT_ENTRIES: Final = {"ix": 0}
"""Of what is found, nobody asks the search entries again: reading them costs more than reading the body."""
_WITHOUT_BODY: Final = {"ix": 0, "body": 0, "content": 0}
_WHOLE: Final[Mapping[str, int]] = {}
_DECIDING: Final[Mapping[str, int]] = {"consents": 0}
"""Of the facts of a record, decisions read what is told of its Consents, never the Consents one by one."""
_MAX_TIME_MS: Final = 20_000


@dataclass(frozen=True, slots=True)
class Content:
    """The bytes of a Binary, kept decoded beside its body."""

    hash: str
    size: int
    content_type: str
    inline: bytes | None


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

    def is_shown(self, visible: Visible) -> bool:
        """Whether the decision shows it."""
        return self._document is not None and holds(visible.predicate, self._document)


def _held(type: str, id: str, document: Document | None) -> Held:
    if document is None:
        return Held(type, id, None, None)
    others, about = tuple(document.get("also", ())), tuple(document.get("about", ()))
    return Held(type, id, document.get("record"), document, others, about)


@dataclass(frozen=True, slots=True)
class Order:
    """How results are sorted: by the type's date, by last update, or by id."""

    key: Literal["on", "at", "_id"]
    descending: bool


@dataclass(frozen=True, slots=True)
class Page:
    """A page of results, and the position after it when there is more."""

    resources: tuple[Stored, ...]
    next: Position | None


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

    async def search(
        self,
        asked: Predicate,
        *,
        visible: Visible,
        order: Order,
        limit: int,
        after: Position | None = None,
        collection: str = "resources",
    ) -> Page:
        """One page of what was asked *and* is allowed, in one query."""
        wanted = all_of([asked, visible.predicate])
        if isinstance(wanted, Never):
            await self._find_by_id(collection, [""])  # what nothing can match costs what something hidden costs
            return Page((), None)
        if order.key == "on" and not order.descending:
            return await self._oldest_first(wanted, order, limit, after, collection)
        documents = await self._find(wanted, order, limit + 1, after, collection)
        return _page(documents, order, limit)

    async def count(self, asked: Predicate, *, visible: Visible, collection: str = "resources") -> int:
        """How many match what was asked *and* is allowed."""
        wanted = all_of([asked, visible.predicate])
        if isinstance(wanted, Never):
            await self._find_by_id(collection, [""])
            return 0
        where = _present(to_filter(wanted))
        with answering():
            options: dict[str, Any] = {"maxTimeMS": _MAX_TIME_MS, **_hint_option(_hint(wanted, None, collection))}
            return await self._database[collection].count_documents(where, **options)

    async def version(self, held: Held, version: int, *, visible: Visible) -> Stored | None:
        """One version of a resource; the labels of its current version rule (access: labels)."""
        current = held.read(visible)
        if current is None or version == current.version:
            return current
        with answering():
            found = await self._database["versions"].find_one({"_id": f"{held.key}/{version}"})
        return stored(found) if found is not None else None

    async def history(
        self, held: Held, *, visible: Visible, since: int | None, limit: int, after: int | None
    ) -> tuple[list[Stored], int]:
        """The versions of one resource, newest first, older than version `after`; and how many there are in all."""
        current = held.read(visible)
        if current is None:
            return [], 0
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
    ) -> list[Stored]:
        """Versions of many resources, newest first: those whose *current* version is allowed.

        ``types`` limits the resource types. At most ``limit + 1``, so that the caller knows whether there is more.
        """
        wanted = all_of([types, visible.predicate])
        if isinstance(wanted, Never):
            return []
        place: list[Filter] = [{"at": {"$gte": since}}] if since is not None else []
        if after is not None:
            place.append({"$or": [{"at": {"$lt": after[0]}}, {"at": after[0], "_id": {"$gt": after[1]}}]})
        scope = _scope(types, visible.predicate)
        order = {"at": -1, "_id": 1}
        past: list[dict[str, Any]] = [
            {"$match": {"$and": [to_filter(scope), *place]}},
            {"$sort": order},
            {"$lookup": {"from": "resources", "localField": "of", "foreignField": "_id", "as": "current"}},
            {"$unwind": "$current"},
            {"$match": to_filter(wanted, "current.")},
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

    async def _oldest_first(
        self, wanted: Predicate, order: Order, limit: int, after: Position | None, collection: str
    ) -> Page:
        """Ascending by date with the undated last: first the dated ones, then the others."""
        documents: list[Document] = []
        undated = after is not None and after[0] == MIN
        if not undated:
            dated = all_of([wanted, Compare(Moment.ON, "gt", MIN)])
            documents = await self._find(dated, order, limit + 1, after, collection)
        if len(documents) <= limit:
            without = all_of([wanted, Compare(Moment.ON, "le", MIN)])
            documents += await self._find(
                without,
                Order("_id", descending=False),
                limit + 1 - len(documents),
                ("", after[1]) if undated and after else None,
                collection,
            )
        return _page(documents, order, limit)

    async def _find(
        self, wanted: Predicate, order: Order, limit: int, after: Position | None, collection: str
    ) -> list[Document]:
        where = _present(to_filter(wanted))
        if after is not None:
            where = {"$and": [where, _beyond(order, after, collection)]}
        direction = -1 if order.descending else 1
        sort = {"_id": direction} if order.key == "_id" else {order.key: direction, "_id": _tie(order, collection)}
        command = {
            "find": collection,
            "filter": where,
            "projection": _WITHOUT_ENTRIES,
            "sort": sort,
            "limit": limit,
            "batchSize": limit + 1,
            "singleBatch": True,
            "maxTimeMS": _MAX_TIME_MS,
            "readConcern": MAJORITY,
            **_hint_option(_hint(wanted, order, collection)),
        }
        with answering():
            answer = await self._database.command(command)
            found: list[Document] = answer["cursor"]["firstBatch"]
            return found

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
        content=Content(content["hash"], content["size"], content["type"], content.get("inline")) if content else None,
        document=document,
    )


def _page(documents: list[Document], order: Order, limit: int) -> Page:
    shown = documents[:limit]
    more = len(documents) > limit and shown
    last: Position | None = None
    if more:
        value = shown[-1][order.key]
        # the driver reads 64 bits into a class of its own, which nothing else can write
        last = (value if isinstance(value, str) else int(value), shown[-1]["_id"])
    return Page(tuple(stored(document) for document in shown), last)


def _present(where: Filter) -> Filter:
    """Markers of deleted resources are never search results."""
    if where is NOTHING:
        return where
    return {**where, "gone": None} if "gone" not in where else where


def _tie(order: Order, collection: str) -> int:
    """How ties are broken, as the indexes of the collection have it: traces of one moment in their chain's order."""
    return -1 if collection == "trail" and order.descending else 1


def _beyond(order: Order, after: Position, collection: str) -> Filter:
    value, id = after
    past = "$lt" if order.descending else "$gt"
    if order.key == "_id":
        return {"_id": {past: id}}
    inclusive = "$lte" if order.descending else "$gte"
    tie = "$lt" if _tie(order, collection) < 0 else "$gt"
    return {order.key: {inclusive: value}, "$or": [{order.key: {past: value}}, {"_id": {tie: id}}]}


def _parts(predicate: Predicate) -> Iterable[Predicate]:
    return predicate.parts if isinstance(predicate, AllOf) else (predicate,)


def _scope(*predicates: Predicate) -> Predicate:
    """The part of a conjunction that never changes between versions: type, realm, record."""
    fixed = (Field.TYPE, Field.REALM, Field.RECORD)
    parts = [part for predicate in predicates for part in _parts(predicate)]
    return all_of([part for part in parts if isinstance(part, OneOf) and part.field in fixed])


def _hint(wanted: Predicate, order: Order | None, collection: str) -> str | None:
    """The index for a query: every index that begins with `rt` is a candidate, and the planner has chosen wrongly."""
    parts = tuple(_parts(wanted))
    if collection != "resources":
        return None
    if any(isinstance(part, OneOf) and part.field is Field.ID for part in parts):
        return "_id_"
    if any(isinstance(part, OneOf) and part.field is Field.RECORD and None not in part.values for part in parts):
        return indexes.BY_RECORD
    if any(isinstance(part, AnyOf) and all(_is_of_record(one) for one in part.parts) for part in parts):
        return None  # of this record, or also of it: the planner takes both indexes, where one would read everything
    if any(isinstance(part, Prefix) or (isinstance(part, OneOf) and part.field is Field.TERMS) for part in parts):
        return indexes.BY_TERM
    if order is not None and order.key == "at":
        return indexes.BY_LAST_UPDATED
    if order is not None and order.key == "on":
        return indexes.BY_ON
    return indexes.BY_RANGE if any(isinstance(part, Span) for part in parts) else None


def _is_of_record(predicate: Predicate) -> bool:
    return isinstance(predicate, OneOf) and predicate.field in (Field.RECORD, Field.ALSO)


def _hint_option(hint: str | None) -> dict[str, str]:
    return {"hint": hint} if hint else {}


def permits(visible: Visible, candidate: Mapping[str, Any]) -> bool:
    """Whether a decision on a write covers what is to be written."""
    return holds(visible.predicate, candidate)

"""Searches: what was asked *and* is allowed, in one query. None works without a :class:`Visible`.

Beside pages and counts, the two look-ups that chains are made of: the keys of what matches, and what matches points to.
A query that no index bounds is cut by a time limit and refused as too costly, so that it costs no more than that.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from pymongo.errors import ExecutionTimeout, OperationFailure

from fhir_server.fhir.date import MIN
from fhir_server.fhir.errors import Invalid
from fhir_server.fhir.outcome import IssueType
from fhir_server.search.predicate import Compare, Moment, Never, Predicate, all_of
from fhir_server.search.sorting import NEWEST_FIRST, SortField
from fhir_server.store.connection import MAJORITY, Document, answering
from fhir_server.store.filters import Filter
from fhir_server.store.messages import told
from fhir_server.store.ordering import Order, Position, computed, merged, pipeline, position_of
from fhir_server.store.plan import ENOUGH, Plan, plan, queries_of
from fhir_server.store.reading import Stored, stored
from fhir_server.store.stretch import Row, Stretch

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from fhir_server.search.visible import Visible
    from fhir_server.store.connection import Database

_WITHOUT_ENTRIES: Final = {"ix": 0}
"""Of what is found, nobody asks the search entries again: reading them costs more than reading the body."""

_OUT_OF_MEMORY: Final = frozenset({292, 16819, 16945})
"""The codes of MongoDB for a sort or a group that needs more memory than it gives."""

_NEWEST: Final = Order(NEWEST_FIRST)

URL: Final = "url="
"""Begins the term of a resource's canonical URL."""


@dataclass(frozen=True, slots=True)
class Page:
    """A page of results, and the positions of the pages around it, where there are any."""

    resources: tuple[Stored, ...]
    next: Position | None
    previous: Position | None = None


class TooCostly(Invalid):
    """The query was stopped, to spare the server."""

    issue = IssueType.TOO_COSTLY


class Finding:
    """The searching half of reading."""

    def __init__(self, database: Database, *, seconds: float = 10.0) -> None:
        """Search in this database; a query may take so many seconds."""
        self._database = database
        self._seconds = seconds
        self._milliseconds = max(1, round(seconds * 1000))

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
            # the oldest first are asked in two parts
            parts = 2 if order.scalar is SortField.ON and not order.keys[0].descending else 1
            await self._look_at_nothing(asked, visible, collection, parts)
            return Page((), None)
        with self._in_time():
            if order.scalar is None:
                return await self._computed(wanted, order, limit, after, collection)
            if order.scalar is SortField.ON and not order.keys[0].descending:
                return await self._oldest_first(wanted, order, limit, after, collection)
            documents = await self._find(wanted, order, limit + 1, after, collection)
            return _page(documents, order, limit, after)

    async def count(self, asked: Predicate, *, visible: Visible, collection: str = "resources") -> int:
        """How many match what was asked *and* is allowed."""
        wanted = all_of([asked, visible.predicate])
        if isinstance(wanted, Never):
            await self._look_at_nothing(asked, visible, collection)
            return 0
        with self._in_time():
            begun = await plan(self._database, wanted, None, collection)
            counted = 0
            for one in begun.each():
                options: dict[str, Any] = {"maxTimeMS": self._milliseconds, **one.options()}
                counted += await self._database[collection].count_documents(_present(one.where()), **options)
            return counted

    async def keys(self, asked: Predicate, *, visible: Visible, most: int) -> list[str]:
        """The ``Type/id`` of what matches; more than ``most`` is too costly."""
        found = await self._matching(asked, visible, {"_id": 1}, most)
        return [str(one["_id"]) for one in found]

    async def urls(self, asked: Predicate, *, visible: Visible, most: int) -> list[str]:
        """The canonical URLs of what matches, without versions."""
        found = await self._matching(asked, visible, {"ix.s": 1}, most)
        terms = (str(term) for one in found for term in one["ix"]["s"])
        return [term.removeprefix(URL) for term in terms if term.startswith(URL)]

    async def records(self, asked: Predicate, *, visible: Visible, most: int) -> list[str]:
        """The records that what matches belongs to, each once; more than ``most`` is too costly."""
        return await self._distinct(asked, visible, [{"$group": {"_id": "$record"}}], most)

    async def pointed_to(self, asked: Predicate, *, visible: Visible, heads: Collection[str], most: int) -> list[str]:
        """What terms that begin with one of these ``code=Type/`` name in what matches, without ``code=``; each once."""
        begins = [{"$eq": [{"$indexOfBytes": ["$$term", {"$literal": head}]}, 0]} for head in sorted(heads)]
        terms = {"$filter": {"input": "$ix.s", "as": "term", "cond": {"$or": begins}}}
        stages: list[dict[str, Any]] = [
            {"$project": {"term": terms}},
            {"$unwind": "$term"},
            {"$group": {"_id": "$term"}},
        ]
        found = await self._distinct(asked, visible, stages, most)
        return [term.partition("=")[2] for term in found]

    async def _matching(
        self, asked: Predicate, visible: Visible, projection: dict[str, int], most: int
    ) -> Sequence[Document]:
        wanted = all_of([asked, visible.predicate])
        if isinstance(wanted, Never):
            await self._look_at_nothing(asked, visible)
            return []
        found: list[Document] = []
        with self._in_time():
            for one in (await plan(self._database, wanted, None)).each():
                found += await self._batch("resources", one, _present(one.where()), projection, most + 1)
        _not_more(len(found), most)
        return found

    async def _distinct(
        self, asked: Predicate, visible: Visible, stages: Sequence[dict[str, Any]], most: int
    ) -> list[str]:
        wanted = all_of([asked, visible.predicate])
        if isinstance(wanted, Never):
            await self._look_at_nothing(asked, visible)
            return []
        found: dict[str, None] = {}
        with self._in_time():
            for one in (await plan(self._database, wanted, None)).each():
                limited = [*stages, {"$match": {"_id": {"$ne": None}}}, {"$limit": most + 1}]
                rows = await self._aggregate("resources", [{"$match": _present(one.where())}, *limited], one.options())
                found |= dict.fromkeys(str(row["_id"]) for row in rows)
        _not_more(len(found), most)
        return list(found)

    async def _look_at_nothing(
        self, asked: Predicate, visible: Visible, collection: str = "resources", parts: int = 1
    ) -> None:
        """What nothing can match costs what something hidden costs: as many queries."""
        queries = queries_of(all_of([asked, visible.place])) if collection == "resources" else 1
        with answering():
            for _ in range(parts * queries):
                await self._database.command({"find": collection, "filter": {"_id": ""}, "readConcern": MAJORITY})

    async def _computed(
        self, wanted: Predicate, order: Order, limit: int, after: Position | None, collection: str
    ) -> Page:
        begun = await plan(self._database, wanted, order, collection)
        rows: list[list[Document]] = []
        for one in begun.each():
            stages = [{"$match": _present(one.where())}, *pipeline(order, after, limit + 1)]
            rows.append(await self._aggregate(collection, stages, one.options()))
        found = rows[0] if len(rows) == 1 else merged(rows, computed(order, after), limit + 1)
        return _page(found, order, limit, after)

    async def _aggregate(
        self, collection: str, stages: Sequence[dict[str, Any]], options: dict[str, str]
    ) -> list[Document]:
        limits: dict[str, Any] = {"maxTimeMS": self._milliseconds, "allowDiskUse": False, **options}
        cursor = await self._database[collection].aggregate(list(stages), **limits)
        return await cursor.to_list()

    async def _oldest_first(
        self, wanted: Predicate, order: Order, limit: int, after: Position | None, collection: str
    ) -> Page:
        """Ascending by date with the undated last: first the dated ones, then the others; backwards the reverse."""
        dated = all_of([wanted, Compare(Moment.ON, "gt", MIN)])
        undated = all_of([wanted, Compare(Moment.ON, "le", MIN)])
        in_undated = after is not None and after.values[0] == MIN
        of_undated = after if in_undated else None
        documents: list[Document] = []
        if after is not None and after.backwards:
            if in_undated:
                documents = await self._find(undated, _NEWEST, limit + 1, of_undated, collection)
            if len(documents) <= limit:
                rest = limit + 1 - len(documents)
                start = None if in_undated else after
                documents += await self._find(dated, order, rest, start, collection, backwards=True)
        else:
            if not in_undated:
                documents = await self._find(dated, order, limit + 1, after, collection)
            if len(documents) <= limit:
                documents += await self._find(undated, _NEWEST, limit + 1 - len(documents), of_undated, collection)
        return _page(documents, order, limit, after)

    async def _find(
        self,
        wanted: Predicate,
        order: Order,
        limit: int,
        after: Position | None,
        collection: str,
        *,
        backwards: bool = False,
    ) -> list[Document]:
        """So many rows of a scalar order; ``backwards`` without a position: from its end."""
        backwards = backwards or (after is not None and after.backwards)
        stretch = Stretch.of(order, after, collection, backwards=backwards)
        begun = await plan(self._database, wanted, order, collection)
        if begun.along is not None:
            end = await self._end(begun, begun.along, stretch)
            found = await self._rows(begun, stretch.to(end), limit, collection)
            if end is None or len(found) == limit:
                return found
            begun = await plan(self._database, wanted, None, collection)
        rows = [await self._rows(one, stretch, limit, collection) for one in begun.each()]
        return rows[0] if len(rows) == 1 else merged(rows, stretch.sort, limit)

    async def _rows(self, begun: Plan, stretch: Stretch, limit: int, collection: str) -> list[Document]:
        """The first rows of a stretch, sorted or walked; of a walk that has the last key in another order, that one."""
        where, sort = _present(begun.where(stretch)), stretch.sort
        if sort == stretch.walk or not begun.walks(stretch.key):
            return await self._batch(collection, begun, where, _WITHOUT_ENTRIES, limit, sort)
        rows = await self._batch(collection, begun, where, _WITHOUT_ENTRIES, limit + 1, stretch.walk)
        if len(rows) > limit:
            last = rows[limit][stretch.key]
        else:
            last = stretch.until[0] if stretch.until is not None else None
        if last is not None and len(rows := [row for row in rows if row[stretch.key] != last]) < limit:
            missing, tie = limit - len(rows), {"_id": sort["_id"]}
            where = _present(begun.where(stretch.of_key(last)))
            rows += await self._batch(collection, begun, where, _WITHOUT_ENTRIES, missing, tie)
        return merged([rows], sort, limit)

    async def _end(self, begun: Plan, along: Predicate, stretch: Stretch) -> Row | None:
        """The last row that a walk may look at; none where there are not so many."""
        walked = replace(begun, wanted=along)
        command = {
            "find": "resources",
            "filter": walked.where(stretch),
            "projection": {stretch.key: 1, "_id": 1},
            "sort": stretch.walk,
            "skip": ENOUGH - 1,
            "limit": 1,
            "singleBatch": True,
            "maxTimeMS": self._milliseconds,
            "readConcern": MAJORITY,
            **walked.options(),
        }
        answer = await self._database.command(command)
        return next(((row[stretch.key], row["_id"]) for row in answer["cursor"]["firstBatch"]), None)

    async def _batch(
        self,
        collection: str,
        begun: Plan,
        where: Filter,
        projection: Mapping[str, int],
        limit: int,
        sort: Mapping[str, int] | None = None,
    ) -> list[Document]:
        command = {
            "find": collection,
            "filter": where,
            "projection": projection,
            **({"sort": sort} if sort else {}),
            "limit": limit,
            "batchSize": limit + 1,
            "singleBatch": True,
            "maxTimeMS": self._milliseconds,
            "readConcern": MAJORITY,
            **begun.options(),
        }
        answer = await self._database.command(command)
        found: list[Document] = answer["cursor"]["firstBatch"]
        return found

    @contextmanager
    def _in_time(self) -> Iterator[None]:
        """Turn a query that was cut into a refusal."""
        try:
            with answering(but=(ExecutionTimeout, OperationFailure)):
                yield
        except ExecutionTimeout:
            raise TooCostly(told("out-of-time", seconds=self._seconds)) from None
        except OperationFailure as error:
            if error.code not in _OUT_OF_MEMORY:
                with answering():
                    raise
            raise TooCostly(told("out-of-memory")) from None


def _not_more(number: int, most: int) -> None:
    if number > most:
        raise TooCostly(told("too-many-answers", most=most))


def _page(documents: list[Document], order: Order, limit: int, after: Position | None) -> Page:
    backwards = after is not None and after.backwards
    shown, more = documents[:limit], len(documents) > limit
    if backwards:
        shown.reverse()
    following = bool(shown) and (more or backwards)
    preceding = bool(shown) and (more if backwards else after is not None)
    return Page(
        tuple(stored(document) for document in shown),
        position_of(shown[-1], order) if following else None,
        position_of(shown[0], order, backwards=True) if preceding else None,
    )


def _present(where: Filter) -> Filter:
    """Markers of deleted resources are never search results."""
    return {**where, "gone": None}

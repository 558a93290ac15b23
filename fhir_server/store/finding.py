"""Searches: what was asked *and* is allowed, in one query. None works without a :class:`Visible`.

Beside pages and counts, the two look-ups that chains are made of: the keys of what matches, and what matches points to.
A query that no index bounds is cut by a time limit and refused as too costly, so that it costs no more than that.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pymongo.errors import ExecutionTimeout, OperationFailure

from fhir_server.fhir.date import MIN
from fhir_server.fhir.errors import Invalid
from fhir_server.fhir.outcome import IssueType
from fhir_server.search.predicate import Compare, Moment, Never, Predicate, all_of
from fhir_server.search.sorting import SortField
from fhir_server.store.connection import MAJORITY, Document, answering
from fhir_server.store.filters import Filter, to_filter
from fhir_server.store.ordering import BY_ID, Order, Position, pipeline, position_of
from fhir_server.store.plan import plan
from fhir_server.store.reading import Stored, stored

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from fhir_server.search.visible import Visible
    from fhir_server.store.connection import Database

_WITHOUT_ENTRIES: Final = {"ix": 0}
"""Of what is found, nobody asks the search entries again: reading them costs more than reading the body."""

_OUT_OF_MEMORY: Final = frozenset({292, 16819, 16945})
"""The codes of MongoDB for a sort or a group that needs more memory than it gives."""

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
            await self._look_at_nothing(collection)
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
            await self._look_at_nothing(collection)
            return 0
        with self._in_time():
            begun = await plan(self._database, wanted, None, collection)
            where = _present(to_filter(begun.wanted))
            options: dict[str, Any] = {"maxTimeMS": self._milliseconds, **begun.options()}
            return await self._database[collection].count_documents(where, **options)

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
            await self._look_at_nothing("resources")
            return []
        with self._in_time():
            begun = await plan(self._database, wanted, None, "resources")
            command = {
                "find": "resources",
                "filter": _present(to_filter(begun.wanted)),
                "projection": projection,
                "limit": most + 1,
                "batchSize": most + 1,
                "singleBatch": True,
                "maxTimeMS": self._milliseconds,
                "readConcern": MAJORITY,
                **begun.options(),
            }
            answer = await self._database.command(command)
            found: list[Document] = answer["cursor"]["firstBatch"]
        _not_more(len(found), most)
        return found

    async def _distinct(
        self, asked: Predicate, visible: Visible, stages: Sequence[dict[str, Any]], most: int
    ) -> list[str]:
        wanted = all_of([asked, visible.predicate])
        if isinstance(wanted, Never):
            await self._look_at_nothing("resources")
            return []
        with self._in_time():
            begun = await plan(self._database, wanted, None, "resources")
            match = {"$match": _present(to_filter(begun.wanted))}
            limited = [match, *stages, {"$match": {"_id": {"$ne": None}}}, {"$limit": most + 1}]
            found = await self._aggregate("resources", limited, begun.options())
        _not_more(len(found), most)
        return [str(one["_id"]) for one in found]

    async def _look_at_nothing(self, collection: str) -> None:
        """What nothing can match costs what something hidden costs."""
        with answering():
            await self._database.command({"find": collection, "filter": {"_id": ""}, "readConcern": MAJORITY})

    async def _computed(
        self, wanted: Predicate, order: Order, limit: int, after: Position | None, collection: str
    ) -> Page:
        begun = await plan(self._database, wanted, order, collection)
        stages = [{"$match": _present(to_filter(begun.wanted))}, *pipeline(order, after, limit + 1)]
        found = await self._aggregate(collection, stages, begun.options())
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
        of_undated = Position((after.id,), after.id, after.backwards) if after is not None and in_undated else None
        documents: list[Document] = []
        if after is not None and after.backwards:
            if in_undated:
                documents = await self._find(undated, BY_ID, limit + 1, of_undated, collection)
            if len(documents) <= limit:
                rest = limit + 1 - len(documents)
                start = None if in_undated else after
                documents += await self._find(dated, order, rest, start, collection, backwards=True)
        else:
            if not in_undated:
                documents = await self._find(dated, order, limit + 1, after, collection)
            if len(documents) <= limit:
                documents += await self._find(undated, BY_ID, limit + 1 - len(documents), of_undated, collection)
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
        begun = await plan(self._database, wanted, order, collection)
        where = _present(to_filter(begun.wanted))
        backwards = backwards or (after is not None and after.backwards)
        if after is not None:
            where = {"$and": [where, _beyond(order, after, collection)]}
        command = {
            "find": collection,
            "filter": where,
            "projection": _WITHOUT_ENTRIES,
            "sort": _sort(order, collection, backwards=backwards),
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
            raise TooCostly(
                f"The search was stopped after {self._seconds:g} seconds: no index bounds it. Ask for less: "
                "name a patient, a code or a date, or ask without _sort and _total."
            ) from None
        except OperationFailure as error:
            if error.code not in _OUT_OF_MEMORY:
                with answering():
                    raise
            raise TooCostly(
                "The search needs more memory than this server gives one: too much would have to be sorted. "
                "Ask for less, or ask without _sort."
            ) from None


def _not_more(number: int, most: int) -> None:
    if number > most:
        raise TooCostly(
            f"A part of the search, such as a chain, has more than {most} answers; this server follows no more. "
            "Narrow that part."
        )


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


def _tie(order: Order, collection: str) -> int:
    """How ties are broken, as the indexes of the collection have it: traces of one moment in their chain's order."""
    return -1 if collection == "trail" and order.keys[0].descending else 1


def _sort(order: Order, collection: str, *, backwards: bool) -> dict[str, int]:
    """As the index has it, or as it is read from its end."""
    key = order.keys[0]
    turned = -1 if backwards else 1
    direction = turned * (-1 if key.descending else 1)
    if key.source is SortField.ID:
        return {"_id": direction}
    return {str(key.source): direction, "_id": turned * _tie(order, collection)}


def _beyond(order: Order, after: Position, collection: str) -> Filter:
    """What follows a row, or goes before it."""
    (value,), id = after.values, after.id
    sort = _sort(order, collection, backwards=after.backwards)
    key = str(order.keys[0].source)
    past = "$gt" if sort[key] > 0 else "$lt"
    if key == "_id":
        return {"_id": {past: id}}
    tie = "$gt" if sort["_id"] > 0 else "$lt"
    return {key: {f"{past}e": value}, "$or": [{key: {past: value}}, {"_id": {tie: id}}]}

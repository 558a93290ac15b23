"""A stretch of a list in a scalar order, as filters that an index answers by walking just that.

Rows with the same key are ordered by ``_id``. "Beyond a row" is therefore two walks, of the rows with its key and a
later ``_id`` and of those with a later key: as one range of keys it would begin at the first row with that key, and of
a directory, whose entries have no date, that is the first of all.

An index is in the order of falling keys and, of one key, rising ``_id``. From its end both are turned around; in a list
with rising keys ``_id`` rises too. It is walked all the same, and the rows of the last key are looked up again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from fhir_server.search.sorting import SortField

if TYPE_CHECKING:
    from fhir_server.store.ordering import Order, Position

Filter: TypeAlias = "dict[str, Any]"
Row: TypeAlias = "tuple[Any, str]"
"""A key and an ``_id``."""

_UP: Final = ("$gt", "$gte")
_DOWN: Final = ("$lt", "$lte")


@dataclass(frozen=True, slots=True)
class Stretch:
    """From a row, without it, to a row, with it; from the beginning or to the end where there is none."""

    key: str
    sort: Mapping[str, int]
    walk: Mapping[str, int]
    """The same as an index has it, from its beginning or from its end."""
    after: Row | None = None
    until: Row | None = None
    """The last row of the walk."""
    only: Any = None
    """This key alone."""

    @classmethod
    def of(cls, order: Order, after: Position | None, collection: str, *, backwards: bool) -> Stretch:
        """All that follows a row of a scalar order, or goes before it."""
        key = order.keys[0]
        name, turned = str(key.source), -1 if backwards else 1
        direction = turned * (-1 if key.descending else 1)
        place = (after.values[0], after.id) if after is not None else None
        if key.source is SortField.ID:
            return cls(name, {"_id": direction}, {"_id": direction}, place)
        # traces of one moment are in their chain's order
        tie = -1 if collection == "trail" and key.descending else 1
        return cls(name, {name: direction, "_id": turned * tie}, {name: direction, "_id": -direction}, place)

    def to(self, row: Row | None) -> Stretch:
        """The same, up to this row of the walk."""
        return replace(self, until=row)

    def of_key(self, key: Any) -> Stretch:  # noqa: ANN401 - a stored value
        """The rows of one key in it."""
        return replace(self, only=key)

    def filters(self) -> list[Filter]:
        """Alternatives, each of which is a walk of its own; none where it is all there is."""
        later, at_most = _operators(self.sort["_id"])[0][0], _operators(self.walk["_id"])[1][1]
        after = self.after
        if self.only is not None:
            tied = after is not None and after[0] == self.only
            return [{self.key: self.only, **({"_id": {later: after[1]}} if after is not None and tied else {})}]
        if after is None and self.until is None:
            return []
        if self.key == "_id":
            ends = [(later, after), (at_most, self.until)]
            return [{"_id": {operator: row[1] for operator, row in ends if row is not None}}]
        return list(self._each(later, at_most))

    def _each(self, later: str, at_most: str) -> Iterator[Filter]:
        after, until = self.after, self.until
        past, back = _operators(self.sort[self.key])
        if after is not None and until is not None and after[0] == until[0]:
            yield {self.key: after[0], "$and": [{"_id": {later: after[1]}}, {"_id": {at_most: until[1]}}]}
            return
        if after is not None:
            yield {self.key: after[0], "_id": {later: after[1]}}
        between = [(past[0], after), (back[0], until)]
        yield {self.key: {operator: row[0] for operator, row in between if row is not None}}
        if until is not None:
            yield {self.key: until[0], "_id": {at_most: until[1]}}

    def bound(self) -> Filter:
        """The range of keys it lies in, and perhaps more."""
        past, back = _operators(self.sort[self.key])
        place = 1 if self.key == "_id" else 0
        ends = [(past[1], self.after), (back[1], self.until)]
        return {self.key: {operator: row[place] for operator, row in ends if row is not None}}


def narrowed(filter: Filter, key: str, operator: str, bound: int) -> Filter:
    """A walk that a condition on its key ends; on the side where the walk has an end already, that one is nearer."""
    held = filter[key]
    side = _UP if operator in _UP else _DOWN
    if not isinstance(held, dict) or any(one in held for one in side):
        return filter
    return {**filter, key: {**held, operator: bound}}


def _operators(direction: int) -> tuple[tuple[str, str], tuple[str, str]]:
    """What is later in this direction, and what is earlier; each without and with the row itself."""
    return (_UP, _DOWN) if direction > 0 else (_DOWN, _UP)

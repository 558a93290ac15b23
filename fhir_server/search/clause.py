"""What one pair of a query asks: a condition on entries, or one that first needs another look-up.

A closed set of cases. A :data:`~fhir_server.search.predicate.Predicate` is ready to ask. All others name something
that only the database knows, and are resolved through the gate before anything is asked (`interactions.hops`): what is
hidden is not there for them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, TypeAlias

from fhir_server.search.parameter import Parameter
from fhir_server.search.predicate import Field, Predicate, any_of, one_of
from fhir_server.search.types import token


@dataclass(frozen=True, slots=True)
class RecordNamed:
    """The query names records: the entry belongs to one of these.

    A professional's search must name one record, and an INS is resolved through the gate (access.md §5).
    ``identifiers`` are ``(system, value)`` of Patient.identifier; system ``None`` is any, ``""`` is none.
    """

    ids: frozenset[str]
    identifiers: tuple[tuple[str | None, str], ...] = ()
    several: bool = False
    """The entries may belong to several records: to one of these among others."""

    def of_patient(self) -> Predicate:
        """The Patients named, as a condition on Patients, to resolve the identifiers with."""
        wanted = [token.Token(system, value) for system, value in self.identifiers]
        named = one_of(Field.ID, *(f"Patient/{id}" for id in self.ids))
        return any_of([named, token.predicate("identifier", wanted)])

    def predicate(self, resolved: Iterable[str] = ()) -> Predicate:
        """The condition on entries, with the ids of the Patients that carry the identifiers."""
        named = self.ids.union(resolved)
        first = one_of(Field.RECORD, *named)
        return any_of([first, one_of(Field.ALSO, *named)]) if self.several else first


@dataclass(frozen=True, slots=True)
class Chained:
    """``parameter.inner``: the entry points to a resource of one of these types of which the inner clause holds."""

    parameter: Parameter
    inner: ByType


@dataclass(frozen=True, slots=True)
class Having:
    """``_has:source:parameter:inner``: an entry of the source type, of which the inner clause holds, points to this."""

    source: str
    parameter: Parameter
    types: tuple[str, ...]
    """Of the entries asked for, those that the parameter may point to."""
    inner: Clause


@dataclass(frozen=True, slots=True)
class Listed:
    """``_list``: a List of this id names it."""

    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class InValueSet:
    """``:in`` and ``:not-in``: it carries a code of one of these value sets, told by URL or as ``ValueSet/id``."""

    parameter: Parameter
    urls: tuple[str, ...]
    negated: bool


@dataclass(frozen=True, slots=True)
class Subsumed:
    """``:above`` and ``:below`` of a token: it carries one of these codes, or one that lies under it, or over it."""

    parameter: Parameter
    wanted: tuple[token.Token, ...]
    """Each with a code."""
    below: bool


@dataclass(frozen=True, slots=True)
class Around:
    """``:above`` and ``:below`` of a reference: it points to one of these, what it is part of, or a part of it."""

    parameter: Parameter
    keys: tuple[str, ...]
    """``Type/id``."""
    below: bool


@dataclass(frozen=True, slots=True)
class ByType:
    """For each type of entry a clause of its own; of no other type anything."""

    each: tuple[tuple[str, Clause], ...]

    @property
    def types(self) -> tuple[str, ...]:
        """The types."""
        return tuple(type for type, _ in self.each)


@dataclass(frozen=True, slots=True)
class Every:
    """Each of these clauses holds."""

    parts: tuple[Clause, ...]


@dataclass(frozen=True, slots=True)
class Some:
    """At least one of these clauses holds."""

    parts: tuple[Clause, ...]


@dataclass(frozen=True, slots=True)
class Without:
    """The clause does not hold."""

    part: Clause


Deferred: TypeAlias = Chained | Having | Listed | InValueSet | Subsumed | Around | ByType | Every | Some | Without
"""What needs another look-up first, or is made of such."""

Clause: TypeAlias = Predicate | RecordNamed | Deferred

DEFERRED: Final = (Chained, Having, Listed, InValueSet, Subsumed, Around, ByType, Every, Some, Without)
"""The classes of :data:`Deferred`."""

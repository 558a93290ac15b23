"""One language for what is asked and for what is allowed.

A closed set of nodes over the fields of a stored entry. Two interpreters read it: :func:`matches` in memory, here, and
``store.filters.to_filter`` for MongoDB; a property test keeps them equal on a real mongod. Add a node and mypy names
every place to extend.

Fields of an entry (docs/storage.md): scalars, arrays of strings (:class:`Field`), ordered scalars (:class:`Moment`),
the interval elements ``ix.r``, and the entries of what the resource contains, ``ix.c``, each with such fields of its
own. An absent scalar is ``None``; an absent array is empty.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Literal, TypeAlias, TypeVar, assert_never


class Field(StrEnum):
    """What a predicate may speak of, by its path in the stored document."""

    ID = "_id"
    TYPE = "rt"
    REALM = "realm"
    RECORD = "record"
    ALSO = "also"
    OWNER = "owner"
    CATEGORY = "category"
    KIND = "kind"
    DEPOSIT_BY = "deposit.by"
    DEPOSIT_ORGANISATION = "deposit.organisation"
    DEPOSIT_SECRET = "deposit.secret"  # noqa: S105 - the secret session of a minor, no password
    AGENT = "agent"
    SHOWN = "shown"
    TARGET = "target"
    SECRET = "secret"  # noqa: S105 - same
    NAMED = "named"
    REFERS = "refers"
    ABOUT = "about"
    TERMS = "ix.s"
    TEXTS = "ix.t"
    LABELS = "labels"
    AUTHORS = "authors"


class Moment(StrEnum):
    """Scalars with an order: microseconds since 1970."""

    LAST_UPDATED = "at"
    ON = "on"


Order: TypeAlias = Literal["lt", "le", "gt", "ge"]
Value: TypeAlias = str | bool | int | None
Bound: TypeAlias = int | str
End: TypeAlias = Literal["lo", "hi", "lo2", "hi2"]


@dataclass(frozen=True, slots=True)
class Always:
    """Everything. Say it aloud: it is never what an empty list means."""


@dataclass(frozen=True, slots=True)
class Never:
    """Nothing."""


@dataclass(frozen=True, slots=True)
class OneOf:
    """The field holds one of the values; of an array, at least one element does. No values: nothing matches."""

    field: Field
    values: frozenset[Value]


@dataclass(frozen=True, slots=True)
class Within:
    """Every element of the array is one of the values; so it is of an array that is empty or absent."""

    field: Field
    values: frozenset[Value]


@dataclass(frozen=True, slots=True)
class Prefix:
    """An element of ``ix.s`` begins with this text, compared code point by code point."""

    text: str


@dataclass(frozen=True, slots=True)
class Compare:
    """An ordered scalar compared with a bound. An absent scalar never matches."""

    field: Moment
    order: Order
    bound: int


@dataclass(frozen=True, slots=True)
class Span:
    """One element of ``ix.r`` under this parameter whose ends satisfy every test.

    ``tests`` are ``(end, order, bound)``; all must hold of the *same* element, which must also carry the ``unit``,
    where one is asked. Bounds are integers (moments) or texts (:mod:`fhir_server.search.decimals`); one kind is never
    in any order to the other.
    """

    parameter: str
    tests: tuple[tuple[End, Order, Bound], ...]
    unit: str | None = None


@dataclass(frozen=True, slots=True)
class Contains:
    """A text of ``ix.s`` or ``ix.t`` that begins with the head holds this text after it."""

    head: str
    text: str


@dataclass(frozen=True, slots=True)
class Contained:
    """One contained resource of these types, to which this reference parameter points, satisfies the part.

    The part speaks of the contained resource's own entry (``ix.c``), which has terms, intervals, texts, records and
    perhaps contained resources, and neither an id nor a date.
    """

    parameter: str
    types: frozenset[str]
    part: Predicate


@dataclass(frozen=True, slots=True)
class AllOf:
    """Each of two or more parts."""

    parts: tuple[Predicate, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one of two or more parts."""

    parts: tuple[Predicate, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """What the part does not match."""

    part: Predicate


Predicate: TypeAlias = (
    Always | Never | OneOf | Within | Prefix | Compare | Span | Contains | Contained | AllOf | AnyOf | Not
)

_Ordered = TypeVar("_Ordered", int, str)

ALWAYS: Final = Always()
NEVER: Final = Never()


def one_of(field: Field, *values: Value) -> Predicate:
    """The field holds one of these; without values, nothing matches."""
    return OneOf(field, frozenset(values)) if values else NEVER


def within(field: Field, *values: Value) -> Predicate:
    """The array holds nothing but these; without values, nothing at all."""
    return Within(field, frozenset(values))


def contained(parameter: str, types: Collection[str], part: Predicate) -> Predicate:
    """A contained resource satisfies the part; where nothing does, nothing."""
    return NEVER if isinstance(part, Never) else Contained(parameter, frozenset(types), part)


def all_of(parts: Collection[Predicate]) -> Predicate:
    """Each part. Of no parts: everything, as in logic; what must not be open is never written as an empty `all_of`."""
    kept: list[Predicate] = []
    for part in parts:
        if isinstance(part, Never):
            return NEVER
        if isinstance(part, AllOf):
            kept.extend(part.parts)
        elif not isinstance(part, Always):
            kept.append(part)
    unique = _unique(kept)
    if not unique:
        return ALWAYS
    return unique[0] if len(unique) == 1 else AllOf(unique)


def any_of(parts: Collection[Predicate]) -> Predicate:
    """At least one part. Of no parts: nothing, so silence shows nothing."""
    kept: list[Predicate] = []
    for part in parts:
        if isinstance(part, Always):
            return ALWAYS
        if isinstance(part, AnyOf):
            kept.extend(part.parts)
        elif not isinstance(part, Never):
            kept.append(part)
    unique = _absorbed(_unique(kept))
    if not unique:
        return NEVER
    return unique[0] if len(unique) == 1 else AnyOf(unique)


_FEW: Final = 8


def _unique(parts: list[Predicate]) -> tuple[Predicate, ...]:
    """Each once, in order. Of a few, comparing costs less than hashing predicates of predicates."""
    if len(parts) > _FEW:
        return tuple(dict.fromkeys(parts))
    kept: list[Predicate] = []
    for part in parts:
        if part not in kept:
            kept.append(part)
    return tuple(kept)


def _absorbed(parts: tuple[Predicate, ...]) -> tuple[Predicate, ...]:
    """Without the parts that are narrower than another: *A or (A and B)* is *A*, and A alone can use its index."""
    if len(parts) < 2:  # noqa: PLR2004 - a pair
        return parts
    return tuple(
        part for part in parts if not (isinstance(part, AllOf) and any(other in part.parts for other in parts))
    )


def negate(part: Predicate) -> Predicate:
    """What the part does not match."""
    match part:
        case Always():
            return NEVER
        case Never():
            return ALWAYS
        case Not(inner):
            return inner
        case _:
            return Not(part)


Entry: TypeAlias = Mapping[str, Any]
"""A stored document, or as much of it as the predicate speaks of."""


def matches(predicate: Predicate, entry: Entry) -> bool:  # noqa: C901 - one case for each node
    """Tell whether the entry satisfies the predicate, exactly as the database would."""
    match predicate:
        case Always():
            return True
        case Never():
            return False
        case OneOf(field, values):
            held = _at(entry, field)
            return any(value in values for value in held) if isinstance(held, list) else held in values
        case Within(field, values):
            held = _at(entry, field)
            return not isinstance(held, list) or all(value in values for value in held)
        case Prefix(text):
            terms = _at(entry, Field.TERMS) or ()
            return any(term.startswith(text) for term in terms)
        case Compare(moment, order, bound):
            value = entry.get(moment)
            return value is not None and _holds(value, order, bound)
        case Span(parameter, tests, unit):
            return any(
                element["p"] == parameter
                and (unit is None or unit in element.get("u", ()))
                and all(_stands(element.get(end), order, bound) for end, order, bound in tests)
                for element in _at(entry, "ix.r") or ()
            )
        case Contains(head, text):
            texts = (*(_at(entry, Field.TERMS) or ()), *(_at(entry, Field.TEXTS) or ()))
            return any(one.startswith(head) and text in one[len(head) :] for one in texts)
        case Contained(parameter, types, part):
            return any(
                parameter in held["p"] and held["rt"] in types and matches(part, held)
                for held in _at(entry, "ix.c") or ()
            )
        case AllOf(parts):
            return all(matches(part, entry) for part in parts)
        case AnyOf(parts):
            return any(matches(part, entry) for part in parts)
        case Not(part):
            return not matches(part, entry)
    assert_never(predicate)


def _at(entry: Entry, path: str) -> Any:  # noqa: ANN401 - a stored value is whatever was stored
    value: Any = entry
    for name in path.split("."):
        if value is None:
            return None
        value = value.get(name)
    return value


def _stands(value: Bound | None, order: Order, bound: Bound) -> bool:
    """Of two integers or two texts, as they stand; all else stands in no order."""
    if isinstance(value, int) and isinstance(bound, int):
        return _holds(value, order, bound)
    return isinstance(value, str) and isinstance(bound, str) and _holds(value, order, bound)


def _holds(value: _Ordered, order: Order, bound: _Ordered) -> bool:
    match order:
        case "lt":
            return value < bound
        case "le":
            return value <= bound
        case "gt":
            return value > bound
        case "ge":
            return value >= bound
    assert_never(order)

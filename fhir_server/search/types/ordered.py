"""Values with an order, compared by a prefix: numbers, quantities, dates. https://hl7.org/fhir/R4/search.html#prefix

Value and query are half-open intervals, whatever their bounds are made of. With the query at ``[a, b)`` and the value
at ``[lo, hi)``:

======  ==============================================================  =============================
prefix  the standard's words                                            the test
======  ==============================================================  =============================
eq      the query contains the value                                    ``lo >= a`` and ``hi <= b``
ne      the query does not contain the value (that there is)            ``lo < a`` or ``hi > b``
gt      what is above the query overlaps the value                      ``hi > b``
lt      what is below the query overlaps the value                      ``lo < a``
ge      gt or eq                                                        ``hi > b`` or ``lo >= a``
le      lt or eq                                                        ``lo < a`` or ``hi <= b``
sa      the value is above the query                                    ``lo >= b``
eb      the value is below the query                                    ``hi <= a``
ap      the query, widened, overlaps the value                          ``lo < b + w`` and ``hi > a - w``
======  ==============================================================  =============================

``w`` is for each type to say. All tests hold of the same value. Where a test bounds ``hi``, the bound of ``lo`` it
implies is added: the index orders by ``lo`` first, and without it a search examines thousands of keys
(docs/storage.md). From below it is known only where no value is longer than so much.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal, NamedTuple, TypeAlias, assert_never

from fhir_server.fhir.errors import Invalid
from fhir_server.search.messages import told
from fhir_server.search.predicate import Bound, End, Order, Predicate, Span, any_of

Ends: TypeAlias = "tuple[End, End]"
FIRST: Final[Ends] = ("lo", "hi")
SECOND: Final[Ends] = ("lo2", "hi2")
"""Of a composite whose element has two intervals: those of the second."""

_Test: TypeAlias = "tuple[Literal[0, 1], Order, Bound]"


class Covered(NamedTuple):
    """The half-open interval that a value covers; of a quantity, its unit in each spelling that may be asked."""

    low: Bound
    high: Bound
    units: tuple[str, ...] = ()


class Relation(StrEnum):
    """https://hl7.org/fhir/R4/search.html#prefix"""

    EQ = "eq"
    NE = "ne"
    GT = "gt"
    LT = "lt"
    GE = "ge"
    LE = "le"
    SA = "sa"
    EB = "eb"
    AP = "ap"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A prefix and the interval of its value, already widened for ``ap``; of a quantity also its unit."""

    relation: Relation
    low: Bound
    high: Bound
    unit: str | None = None


def relation(text: str, kind: str) -> tuple[Relation, str]:
    """The prefix of a value, and the value; ``eq`` where there is none."""
    if not text[:2].isalpha():
        return Relation.EQ, text
    try:
        return Relation(text[:2]), text[2:]
    except ValueError:
        raise Invalid(told("prefix", kind=told(kind), text=text[:80], allowed=", ".join(Relation))) from None


def spans(parameter: str, wanted: Wanted, longest: int | None = None) -> Predicate:
    """Entries with an interval that stands so to the query; ``longest``: no value is longer."""
    each = alternatives(wanted)
    if longest is not None:
        each = [_begun(tests, longest) for tests in each]
    return any_of([Span(parameter, tests, wanted.unit) for tests in each])


def _begun(tests: tuple[tuple[End, Order, Bound], ...], longest: int) -> tuple[tuple[End, Order, Bound], ...]:
    """What ends after a moment began after that moment less the longest."""
    ends = [bound for end, order, bound in tests if end == "hi" and order == "gt" and isinstance(bound, int)]
    begins = any(end == "lo" and order in ("gt", "ge") for end, order, _ in tests)
    return (*tests, ("lo", "gt", max(ends) - longest)) if ends and not begins else tests


def alternatives(wanted: Wanted, ends: Ends = FIRST) -> list[tuple[tuple[End, Order, Bound], ...]]:
    """The tests, all of one alternative to hold of one interval."""
    return [tuple((ends[end], order, bound) for end, order, bound in tests) for tests in _tests(wanted)]


def _tests(wanted: Wanted) -> list[tuple[_Test, ...]]:
    """The table above, disjunctions as two alternatives; end 0 is ``lo``, 1 is ``hi``."""
    low, high = wanted.low, wanted.high
    match wanted.relation:
        case Relation.EQ:
            return [((0, "ge", low), (0, "lt", high), (1, "le", high))]
        case Relation.NE:
            return [((0, "lt", low),), ((1, "gt", high),)]
        case Relation.GT:
            return [((1, "gt", high),)]
        case Relation.LT:
            return [((0, "lt", low),)]
        case Relation.GE:
            return [((0, "ge", low),), ((1, "gt", high),)]
        case Relation.LE:
            return [((0, "lt", low),), ((0, "lt", high), (1, "le", high))]
        case Relation.SA:
            return [((0, "ge", high),)]
        case Relation.EB:
            return [((0, "lt", low), (1, "le", low))]
        case Relation.AP:
            return [((0, "lt", high), (1, "gt", low))]
    assert_never(wanted.relation)

"""``_filter``: a whole expression as one clause. https://hl7.org/fhir/R4/search_filter.html

The grammar is :mod:`fhir_server.search.filter_grammar`'s, one comparison :mod:`fhir_server.search.comparison`'s. Paths
may be chains and ``_has``. A condition in brackets within a path, which must hold of one and the same element, is
refused: search parameters are indexed one by one.
"""

from __future__ import annotations

from typing import assert_never

from fhir_server.fhir.errors import Invalid
from fhir_server.search import chains
from fhir_server.search.asked import Asked, Context, NotSupported
from fhir_server.search.clause import Clause, Every, RecordNamed, Some, Without
from fhir_server.search.filter_grammar import (
    Comparison,
    Conjunction,
    Disjunction,
    Filter,
    Negation,
    Text,
    parse,
    write_path,
)
from fhir_server.search.messages import told


def read(raw: str, type: str, context: Context) -> Clause:
    """The clause of a filter on the entries of one type. A filter names no record (ADR 0023)."""
    found = _clause(parse(raw), type, context)
    return Every((found,)) if isinstance(found, RecordNamed) else found


def _clause(filter: Filter, type: str, context: Context) -> Clause:
    match filter:
        case Comparison():
            return _comparison(filter, type, context)
        case Negation(part):
            return Without(_clause(part, type, context))
        case Conjunction(parts):
            return Every(tuple(_clause(part, type, context) for part in parts))
        case Disjunction(parts):
            return Some(tuple(_clause(part, type, context) for part in parts))
    assert_never(filter)


def _comparison(compared: Comparison, type: str, context: Context) -> Clause:
    if any(step.condition is not None for step in compared.path):
        raise NotSupported(told("condition-in-brackets"))
    name, value = write_path(compared.path), compared.value
    if not value.text:
        raise Invalid(told("filter-value-empty", name=name))
    # a quoted text is a value whole: what separates values elsewhere is a part of it
    raw = value.text.replace("\\", "\\\\").replace(",", "\\,") if isinstance(value, Text) else value.text
    try:
        return chains.read(Asked.read(name, raw, compared.operator), type, context)
    except chains.UnknownParameter as unknown:
        raise Invalid(unknown.told) from None
    except Invalid as refused:
        raise Invalid(told("of-parameter", name=name, why=refused.told), code=refused.issues[0].code) from None

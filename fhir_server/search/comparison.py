"""One comparison of a ``_filter`` as a clause: the operator is told in prefixes and modifiers where it has one.

https://hl7.org/fhir/R4/search_filter.html#ops

==================  ===============================================================================================
``eq``              of texts the whole text, folded; of all else as without a prefix
``ne``              there is a value, and ``eq`` does not hold
``co`` ``sw``       of texts: holds, begins with
``gt`` … ``ap``     of numbers, quantities and dates: the prefix
``po``              of dates: the two overlap
``ss`` ``sb``       ``:below`` and ``:above``: the value subsumes, is subsumed by
``in`` ``ni``       ``:in`` and ``:not-in``
``re``              of references: points to this
``pr``              whether there is a value
==================  ===============================================================================================

``ew``, the end of a text, is refused: nothing is indexed by its end.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from fhir_server.fhir.errors import Invalid
from fhir_server.search.asked import Asked, Context, NotSupported
from fhir_server.search.clause import Clause, Every, Without
from fhir_server.search.clauses import clause, present
from fhir_server.search.filter_grammar import Operator
from fhir_server.search.messages import told
from fhir_server.search.parameter import Parameter
from fhir_server.search.predicate import Field, one_of
from fhir_server.search.types import date, string
from fhir_server.search.types.ordered import Relation, spans

_PREFIXES: Final = frozenset(
    {Operator.GT, Operator.LT, Operator.GE, Operator.LE, Operator.AP, Operator.SA, Operator.EB}
)
_MODIFIERS: Final = {
    Operator.CO: ("contains", "string"),
    Operator.SS: ("below", "token"),
    Operator.SB: ("above", "token"),
    Operator.IN: ("in", "token"),
    Operator.NI: ("not-in", "token"),
}
"""By operator, the modifier it is, and the type of parameter it is for."""
_ORDERED: Final = frozenset({"date", "number", "quantity"})


def comparison(asked: Asked, parameter: Parameter, type: str, context: Context) -> Clause:
    """The clause of a parameter, an operator and one value."""
    operator, plain = asked.operator, replace(asked, operator=None)
    if asked.suffix:
        raise Invalid(told("operators-not-modifiers", modifier=asked.suffix))
    if not parameter.supported and asked.code != "_id":
        raise NotSupported(told("search-not-supported", name=asked.code, type=parameter.type))
    if operator in (Operator.EQ, Operator.NE):
        return _equality(plain, parameter, type, context, equal=operator is Operator.EQ)
    if operator is Operator.PR:
        return clause(replace(plain, suffix=":missing", raw=_inverse(asked.raw)), parameter, type, context)
    if operator is Operator.PO and parameter.type == "date" and asked.code != "_lastUpdated":
        return _overlapping(asked, parameter, context)
    searched = _as_search(plain, operator, parameter)
    if searched is not None:
        return clause(searched, parameter, type, context)
    if operator is Operator.EW:
        raise NotSupported(told("ends-with"))
    raise Invalid(told("operator-and-parameter", operator=operator, name=asked.code, type=parameter.type))


def _as_search(asked: Asked, operator: Operator | None, parameter: Parameter) -> Asked | None:
    """The comparison as a search says it: as it is, with a prefix, or with a modifier; nothing where it has no way."""
    is_text = parameter.type == "string" and not parameter.is_phonetic
    if (operator is Operator.SW and is_text) or (operator is Operator.RE and parameter.type == "reference"):
        return asked
    if operator in _PREFIXES and parameter.type in _ORDERED:
        return replace(asked, raw=f"{operator}{asked.raw}")
    modifier, kind = _MODIFIERS.get(operator, ("", "")) if operator is not None else ("", "")
    return replace(asked, suffix=f":{modifier}") if modifier and parameter.type == kind else None


def _overlapping(asked: Asked, parameter: Parameter, context: Context) -> Clause:
    wanted = date.parse(asked.raw, context.microseconds)
    if wanted.relation is not Relation.EQ:
        raise Invalid(told("date-without-prefix"))
    return spans(parameter.code, replace(wanted, relation=Relation.AP))


def _equality(asked: Asked, parameter: Parameter, type: str, context: Context, *, equal: bool) -> Clause:
    same = _equal(asked, parameter, type, context)
    if equal:
        return same
    if asked.code in {"_id", "_lastUpdated"}:
        return Without(same)
    return Every((present(parameter), Without(same)))


def _equal(asked: Asked, parameter: Parameter, type: str, context: Context) -> Clause:
    if parameter.type == "string" and not parameter.is_phonetic:
        return one_of(Field.TERMS, f"{parameter.code}={string.parse(asked.raw)}")
    return clause(asked, parameter, type, context)


def _inverse(raw: str) -> str:
    """Present is what is not missing."""
    return {"true": "false", "false": "true"}.get(raw, raw)

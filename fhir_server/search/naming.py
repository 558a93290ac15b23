"""What a query names by an identifier somewhere inside of it: in a chain, a ``_has``, a ``_filter``, a reference.

For the trail alone: who may not know of what a query names is not shown the query. What is named by its id is found in
the text of the query; an identifier is not, for nobody can tell from it whose it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, TypeAlias

from fhir_server.search.clause import ByType, Chained, Clause, Every, Having, Some, Without
from fhir_server.search.parameters import Parameters
from fhir_server.search.predicate import AllOf, AnyOf, Field, Not, OneOf, Predicate, one_of

Naming: TypeAlias = tuple[tuple[str, ...], Predicate]
"""Resources of these types that carry one of these identifiers."""

_CODES: Final = ("identifier", "masterIdentifier")
_OF_TARGET: Final = ":identifier"
"""After a reference parameter: the identifier of what is referred to."""


def named_within(clause: Clause, types: Sequence[str], parameters: Parameters) -> Iterator[Naming]:
    """What a clause on entries of these types names by an identifier."""
    match clause:
        case Chained(_, inner):
            yield from named_within(inner, inner.types, parameters)
        case Having(source, _, _, inner):
            yield from named_within(inner, (source,), parameters)
        case ByType(each):
            for type, one in each:
                yield from named_within(one, (type,), parameters)
        case Every(parts) | Some(parts) | AllOf(parts) | AnyOf(parts):
            for part in parts:
                yield from named_within(part, types, parameters)
        case Without(part) | Not(part):
            yield from named_within(part, types, parameters)
        case OneOf(Field.TERMS, values):
            yield from _named([str(value) for value in values], types, parameters)
        case _:
            return


def _named(asked: Sequence[str], types: Sequence[str], parameters: Parameters) -> Iterator[Naming]:
    own = [term for term in asked if term.startswith(_CODES) and term[len(_code(term)) :][:1] in "=#:"]
    if own:
        yield tuple(types), one_of(Field.TERMS, *own)
    for term in asked:
        code = _code(term)
        rest = term[len(code) :]
        if rest.startswith(_OF_TARGET):
            known = (parameters.get(type, code) for type in types)
            targets = {target for one in known if one is not None for target in one.targets}
            found = f"{_CODES[0]}{rest.removeprefix(_OF_TARGET)}"
            yield tuple(sorted(targets)), one_of(Field.TERMS, found)


def _code(term: str) -> str:
    return term[: min(at for at in (*(term.find(mark) for mark in "=#:"), len(term)) if at >= 0)]

"""Codes that a terminology tells, as conditions on the tokens of a parameter: ``:in``, ``:above``, ``:below``.

https://hl7.org/fhir/R4/search.html#modifiers

What a code lies under, and what a value set holds, says the terminology package; here its answer becomes terms.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from fhir_server.fhir.errors import Invalid
from fhir_server.search import terms
from fhir_server.search.parameter import Parameter
from fhir_server.search.predicate import Field, Predicate, Prefix, any_of, one_of
from fhir_server.search.types import token
from fhir_server.search.types.token import Token
from fhir_server.terminology import Codes, Terminology


def around(parameter: Parameter, wanted: Sequence[Token], terminology: Terminology, *, below: bool) -> Predicate:
    """Entries with one of these codes, or with one under it, or above it."""
    found: list[Predicate] = []
    for one in wanted:
        if one.code is None:
            raise Invalid("The modifiers :above and :below need a code; a system alone is not enough.")
        if not one.system:
            found.append(token.predicate(parameter.code, [one]))
        if one.system == "":
            continue  # of a code without a system nobody says what lies under it
        told = (terminology.below if below else terminology.above)(one.system, one.code)
        found.append(among(parameter, [told], terminology))
    return any_of(found)


def among(parameter: Parameter, told: Collection[Codes], terminology: Terminology) -> Predicate:
    """Entries with one of these codes, under whichever of its names a resource writes the system."""
    words: set[str] = set()
    systems: set[str] = set()
    for codes in told:
        systems |= {name for system in codes.systems for name in terminology.spellings(system)}
        for coding in codes.codings:
            for name in terminology.spellings(coding.system):
                words.update(token.spelled(parameter.code, Token(name, coding.code), parameter.implied))
    for system in systems:
        words.update(token.spelled(parameter.code, Token(system, None), parameter.implied))
    beginnings = [Prefix(f"{parameter.code}={terms.system(system)}|") for system in sorted(systems)]
    return any_of([one_of(Field.TERMS, *words), *beginnings])

"""Codes that a terminology tells, as conditions on the tokens of a parameter: ``:in``, ``:above``, ``:below``.

https://hl7.org/fhir/R4/search.html#modifiers

What a code lies under, and what a value set holds, says the terminology package; here its answer becomes terms.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from fhir_server.search import terms
from fhir_server.search.parameter import Parameter
from fhir_server.search.predicate import NEVER, Field, Predicate, Prefix, any_of, one_of
from fhir_server.search.types import token
from fhir_server.search.types.token import Token
from fhir_server.terminology import Codes

_PARAMETERS: Final = (";", " ")
"""What stands between a media type and its parameters: ``text/xml; charset=UTF-8`` lies under ``text/xml``."""


def below_media_types(parameter: Parameter, wanted: Collection[Token]) -> Predicate:
    """Entries with one of these media types and parameters: no terminology lists them."""
    media = [one.code for one in wanted if one.system is None and one.code and "/" in one.code]
    if not parameter.codes_only:
        return NEVER
    return any_of([Prefix(f"{parameter.code}#{code}{mark}") for code in media for mark in _PARAMETERS])


def among(parameter: Parameter, told: Collection[Codes]) -> Predicate:
    """Entries with one of these codes, under whichever of its names a resource writes the system."""
    words: set[str] = set()
    # a code without a binding has no system to compare
    bare = parameter.codes_only and not parameter.implied
    for codes in told:
        for coding in codes.codings:
            if bare:
                words.add(f"{parameter.code}#{terms.bounded(coding.code)}")
            words.update(token.spelled(parameter.code, Token(coding.system, coding.code), parameter.implied))
        for system in codes.systems:
            words.update(token.spelled(parameter.code, Token(system, None), parameter.implied))
        words.update(f"{parameter.code}#{terms.bounded(code)}" for code in codes.anywhere)
    systems = {system for codes in told for system in codes.systems}
    beginnings = [Prefix(f"{parameter.code}={terms.system(system)}|") for system in sorted(systems)]
    return any_of([one_of(Field.TERMS, *words), *beginnings])

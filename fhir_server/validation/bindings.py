"""Required bindings: the code must be one of the value set.

https://hl7.org/fhir/R4/terminologies.html#required
"""

from __future__ import annotations

from fhir_server.definitions.tables import Binding
from fhir_server.fhir.json import Json, JsonObject
from fhir_server.fhir.outcome import IssueType
from fhir_server.validation.finding import Check, Container, Findings, ObjectCheck, one, shown

LISTED = 20
"""A value set up to this size is listed in the diagnostic; of a larger one only the URL is told."""


def bound_code(binding: Binding, otherwise: Check) -> Check:
    """The check of a bound ``code``: one of the codes; ``otherwise`` says what is wrong with what is no code at all."""
    codes = frozenset(code for _, code in binding.codes or ())
    expected = _expected(binding)

    def check(value: Json, container: Container) -> Findings | None:
        if type(value) is str and value in codes:
            return None
        return otherwise(value, container) or one(IssueType.CODE_INVALID, f"{shown(value)} is not {expected}.")

    return check


def bound_coding(binding: Binding) -> ObjectCheck:
    """What a bound ``Coding`` must hold besides being one."""
    pairs = binding.codes or frozenset()
    expected = _expected(binding)

    def check(value: JsonObject, _: Container) -> Findings | None:
        return None if _is_in(value, pairs) else one(IssueType.CODE_INVALID, f"This coding is not {expected}.")

    return check


def bound_concept(binding: Binding) -> ObjectCheck:
    """What a bound ``CodeableConcept`` must hold besides being one: a coding of the value set among its codings."""
    pairs = binding.codes or frozenset()
    expected = _expected(binding)

    def check(value: JsonObject, _: Container) -> Findings | None:
        codings = value.get("coding")
        if isinstance(codings, list) and any(isinstance(coding, dict) and _is_in(coding, pairs) for coding in codings):
            return None
        return one(IssueType.CODE_INVALID, f"None of the codings is {expected}.")

    return check


def _is_in(coding: JsonObject, pairs: frozenset[tuple[str, str]]) -> bool:
    system, code = coding.get("system"), coding.get("code")
    return isinstance(system, str) and isinstance(code, str) and (system, code) in pairs


def _expected(binding: Binding) -> str:
    """How the value set is named in a sentence."""
    codes = sorted({code for _, code in binding.codes or ()})
    return f"one of {', '.join(codes)}" if len(codes) <= LISTED else f"a code of {binding.value_set}"

"""Required bindings: the code must be one of the value set.

https://hl7.org/fhir/R4/terminologies.html#required
"""

from __future__ import annotations

from fhir_server.definitions.tables import Binding
from fhir_server.fhir.json import Json, JsonObject
from fhir_server.fhir.messages import Told
from fhir_server.fhir.outcome import IssueType
from fhir_server.validation.finding import Check, Container, Findings, ObjectCheck, one, shown
from fhir_server.validation.messages import told

LISTED = 20
"""A value set up to this size is listed in the diagnostic; of a larger one only the URL is told."""


def bound_code(binding: Binding, otherwise: Check) -> Check:
    """The check of a bound ``code``: one of the codes; ``otherwise`` says what is wrong with what is no code at all."""
    codes = frozenset(code for _, code in binding.codes or ())
    expected = _expected(binding)

    def check(value: Json, container: Container) -> Findings | None:
        if type(value) is str and value in codes:
            return None
        return otherwise(value, container) or _not_in(told("code-not-in", value=shown(value), expected=expected))

    return check


def bound_coding(binding: Binding) -> ObjectCheck:
    """What a bound ``Coding`` must hold besides being one."""
    pairs = binding.codes or frozenset()
    refused = _not_in(told("coding-not-in", expected=_expected(binding)))

    def check(value: JsonObject, _: Container) -> Findings | None:
        return None if _is_in(value, pairs) else refused

    return check


def bound_concept(binding: Binding) -> ObjectCheck:
    """What a bound ``CodeableConcept`` must hold besides being one: a coding of the value set among its codings."""
    pairs = binding.codes or frozenset()
    refused = _not_in(told("concept-not-in", expected=_expected(binding)))

    def check(value: JsonObject, _: Container) -> Findings | None:
        codings = value.get("coding")
        if isinstance(codings, list) and any(isinstance(coding, dict) and _is_in(coding, pairs) for coding in codings):
            return None
        return refused

    return check


def _is_in(coding: JsonObject, pairs: frozenset[tuple[str, str]]) -> bool:
    system, code = coding.get("system"), coding.get("code")
    return isinstance(system, str) and isinstance(code, str) and (system, code) in pairs


def _not_in(message: Told) -> Findings:
    return one(IssueType.CODE_INVALID, message, rule="binding")


def _expected(binding: Binding) -> Told:
    """How the value set is named in a sentence."""
    codes = sorted({code for _, code in binding.codes or ()})
    return (
        told("one-of", codes=", ".join(codes)) if len(codes) <= LISTED else told("code-of", value_set=binding.value_set)
    )

"""Pairs the invariants of the tables with the closures that check them and the sentence that reports them."""

from __future__ import annotations

from collections.abc import Iterator

from fhir_server.definitions.tables import Element, Invariant, Structure
from fhir_server.fhir.json import JsonObject
from fhir_server.fhir.outcome import IssueType
from fhir_server.validation import invariants
from fhir_server.validation.expressions import Expressions
from fhir_server.validation.finding import Container, Findings, ObjectCheck, one
from fhir_server.validation.predicates import Holds

_BY_KEY = {**invariants.DATA_TYPES, **invariants.RESOURCES, **invariants.CONFORMANCE}


def rules_of(structure: Structure, expressions: Expressions) -> Iterator[tuple[Holds, Findings]]:
    """The invariants of a structure that can be checked here, each with what to report when it does not hold."""
    for asked, invariant, path in expressions.of_structure(structure):
        yield asked, broken(invariant, f".{path}" if path else "")
    for invariant in structure.invariants:
        holds = invariants.OF_STRUCTURE.get((structure.name, invariant.key)) or _BY_KEY.get(invariant.key)
        if holds is not None:
            yield holds, broken(invariant)


def rules_of_use(element: Element, type: str, expressions: Expressions) -> Iterator[ObjectCheck]:
    """The invariants of one use of a data type."""
    for asked, invariant in expressions.of_use(element, type):
        yield _as_check(asked, broken(invariant))
    for invariant in element.invariants:
        holds = invariants.OF_USE.get(invariant.key)
        if holds is not None:
            yield _as_check(holds, broken(invariant))


def rules_of_profile(profile: str) -> Iterator[ObjectCheck]:
    """What SimpleQuantity asks of a Quantity: https://hl7.org/fhir/R4/datatypes.html#SimpleQuantity."""
    if profile == "SimpleQuantity":
        told = one(IssueType.INVARIANT, "sqty-1: The comparator is not used on a SimpleQuantity.", ".comparator")
        yield _as_check(lambda value: "comparator" not in value, told)


def broken(invariant: Invariant, path: str = "") -> Findings:
    """The report of an invariant that does not hold, in the words of the standard."""
    return one(IssueType.INVARIANT, f"{invariant.key}: {invariant.human.rstrip('. ')}.", path)


def _as_check(holds: Holds, told: Findings) -> ObjectCheck:
    def check(value: JsonObject, _: Container) -> Findings | None:
        return None if holds(value) else told

    return check

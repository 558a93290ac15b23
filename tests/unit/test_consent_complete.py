"""A limit that is missing, or silent, stops the start-up."""

from __future__ import annotations

import pytest

from fhir_server.consent.circumstances import Circumstances
from fhir_server.consent.complete import IncompleteRules, must_be_complete
from fhir_server.consent.rules import LIMITS, RULES
from fhir_server.consent.rules.scope import scope
from fhir_server.consent.verdict import Verdict, permit
from fhir_server.search.predicate import ALWAYS
from tests.build import law


def test_the_rules_are_complete() -> None:
    must_be_complete(law())


@pytest.mark.parametrize("name", sorted(LIMITS))
def test_without_one_limit_nothing_starts(name: str) -> None:
    rules = [rule for rule in RULES if rule.__name__ != name.replace("-", "_")]
    assert len(rules) == len(RULES) - 1
    with pytest.raises(IncompleteRules, match=name):
        must_be_complete(law(), rules)


def test_a_limit_that_permits_stops_the_start_up() -> None:
    def turned(_: Circumstances) -> Verdict:
        return permit("scope", ALWAYS, "planted")

    with pytest.raises(IncompleteRules, match="scope"):
        must_be_complete(law(), [turned if rule is scope else rule for rule in RULES])

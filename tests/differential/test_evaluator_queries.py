"""The evaluator puts conditions together as the standard says, and the queries are worth asking.

https://hl7.org/fhir/R4/search.html
"""

from __future__ import annotations

from itertools import islice

import pytest

from tests.differential.elements import Resource
from tests.differential.evaluator import Evaluator
from tests.differential.pools import seeded
from tests.differential.queries import GROUPS, Questions
from tests.differential.small import BASE, LOINC, coded, evaluator, matches, observed
from tests.differential.worlds import world

# https://hl7.org/fhir/R4/search.html#composite


def test_a_composite_is_met_within_one_element() -> None:
    pressure = observed(
        code=coded("85354-9", LOINC),
        component=[
            {"code": coded("8480-6", LOINC), "valueQuantity": {"value": 107, "unit": "mmHg"}},
            {"code": coded("8462-4", LOINC), "valueQuantity": {"value": 58, "unit": "mmHg"}},
        ],
    )
    assert matches(pressure, "component-code-value-quantity", f"{LOINC}|8462-4$lt60")
    assert matches(pressure, "component-code-value-quantity", f"{LOINC}|8480-6$lt60,8462-4$58||mmHg")
    assert not matches(pressure, "component-code-value-quantity", f"{LOINC}|8480-6$lt60")
    assert matches(pressure, "combo-code-value-quantity", "8480-6$gt100")
    assert not matches(pressure, "combo-code-value-quantity", "85354-9$gt100")
    assert not matches(pressure, "code-value-quantity", "8480-6$gt100")


def test_other_composites() -> None:
    whole = observed(code=coded("a"), valuePeriod={"start": "2013"})
    assert matches(whole, "code-value-date", "a$gt2014")
    assert matches(observed(code=coded("a"), valueString="b$c"), "code-value-string", "a$B\\$")
    group = {
        "resourceType": "Group",
        "characteristic": [{"code": coded("gender"), "valueCodeableConcept": coded("mixed")}],
    }
    assert matches(group, "characteristic-value", "gender$mixed,owner$Eve")
    assert not matches(group, "characteristic-value", "gender$male")
    document = {"code": "replaces", "target": {"reference": "DocumentReference/1"}}
    reply = {"resourceType": "DocumentReference", "relatesTo": [document]}
    assert matches(reply, "relationship", "replaces$DocumentReference/1")
    assert not matches(reply, "relationship", "appends$DocumentReference/1")


# https://hl7.org/fhir/R4/search.html#chaining and #has


@pytest.fixture
def practice() -> Evaluator:
    """Two Patients, their practitioners, what was observed of them, and who belongs to a group."""

    def to(key: str) -> Resource:
        return {"reference": key}

    practitioners = (
        {"resourceType": "Practitioner", "id": "joe", "name": [{"given": ["Joe"]}], "address": [{"state": "CA"}]},
        {"resourceType": "Practitioner", "id": "jane", "name": [{"given": ["Jane"]}], "address": [{"state": "MN"}]},
    )
    patients = (
        {
            "resourceType": "Patient",
            "id": "p",
            "name": [{"family": "Peter"}],
            "generalPractitioner": [to("Practitioner/joe"), to("Practitioner/jane")],
        },
        {"resourceType": "Patient", "id": "q", "gender": "male", "generalPractitioner": [to("Practitioner/joe")]},
    )
    others = (
        {"resourceType": "Organization", "id": "o", "name": "Hôpital"},
        {"resourceType": "Encounter", "id": "e", "subject": to("Patient/p"), "serviceProvider": to("Organization/o")},
        observed(id="1", code=coded("1234-5"), subject=to("Patient/p"), encounter=to("Encounter/e")),
        observed(id="2", code=coded("456"), subject=to("Patient/q"), encounter=to("Encounter/absent")),
        observed(id="3", code=coded("123"), subject=to(f"{BASE}/Patient/p")),
        observed(id="4", code=coded("123"), subject=to("Group/g")),
        {"resourceType": "Group", "id": "g", "member": [{"entity": to("Patient/q")}]},
        {
            "resourceType": "AuditEvent",
            "id": "t",
            "agent": [{"altId": "MyUserId"}],
            "entity": [{"what": to("Observation/1")}],
        },
    )
    return evaluator(*practitioners, *patients, *others)


@pytest.mark.parametrize(
    ("type", "pairs", "found"),
    [
        ("Observation", ["subject:Patient.name=peter"], "1 3"),
        ("Observation", ["subject.name=peter"], "1 3"),
        ("Observation", ["patient.name:exact=Peter"], "1 3"),
        ("Observation", ["subject:Patient.gender:not=male"], "1 3"),
        ("Observation", ["subject:Group._id=g"], "4"),
        ("Observation", ["encounter.service-provider.name=hop"], "1"),
        ("Observation", ["encounter.service-provider:missing=false"], "1"),
        ("Observation", ["patient.general-practitioner:Practitioner.name=jane"], "1 3"),
        ("Patient", ["general-practitioner.name=Joe", "general-practitioner.address-state=MN"], "p"),
        ("Patient", ["_has:Observation:patient:code=1234-5"], "p"),
        ("Patient", ["_has:Observation:patient:code=123,456"], "p q"),
        ("Patient", ["_has:Observation:patient:code=123", "_has:Observation:patient:code=456"], ""),
        ("Patient", ["_has:Observation:patient:_has:AuditEvent:entity:altid=MyUserId"], "p"),
        ("Patient", ["_has:Observation:patient:encounter.service-provider.name=hop"], "p"),
        ("Observation", ["patient._has:Group:member:_id=g"], "2"),
        ("Group", ["_has:Observation:subject:code=123"], "g"),
    ],
)
def test_chains_and_reverse_chains(practice: Evaluator, type: str, pairs: list[str], found: str) -> None:
    asked = [(name, value) for name, _, value in (pair.partition("=") for pair in pairs)]
    assert practice.search(type, asked) == set(found.split())


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        ("author.family", "leclerc", True),
        ("author:Practitioner.family", "leclerc", False),
        ("author:PractitionerRole.practitioner.family", "leclerc", True),
        ("author:PractitionerRole.practitioner:Practitioner.active:not", "true", True),
        ("author:PractitionerRole.family:missing", "true", False),
        ("author:PractitionerRole.organization.name", "hop", True),
        ("author:PractitionerRole.organization.name", "x", False),
        ("authenticator.family", "martin", True),
        ("authenticator.family", "leclerc", False),
        ("authenticator.active:not", "true", False),
        ("author._has:Observation:performer:code", "x", False),
    ],
)
def test_chains_into_what_is_contained(name: str, value: str, found: bool) -> None:
    """https://hl7.org/fhir/R4/references.html#contained."""
    document = {
        "resourceType": "DocumentReference",
        "id": "d",
        "contained": [
            {"resourceType": "Practitioner", "id": "p", "name": [{"family": "Leclerc"}]},
            {"resourceType": "Practitioner", "id": "q", "name": [{"family": "Martin"}], "active": True},
            {
                "resourceType": "PractitionerRole",
                "id": "r",
                "practitioner": {"reference": "#p"},
                "organization": {"reference": "Organization/o"},
            },
        ],
        "author": [{"reference": "#r"}],
        "authenticator": {"reference": "#q"},
    }
    world = evaluator(document, {"resourceType": "Organization", "id": "o", "name": "Hôpital"})
    assert bool(world.search("DocumentReference", [(name, value)])) is found


def test_repeated_conditions_all_hold() -> None:
    """https://hl7.org/fhir/R4/search.html#combining."""
    spoken = {"resourceType": "Patient", "id": "a", "communication": [{"language": coded(one)} for one in ("FR", "EN")]}
    one = evaluator(spoken)
    assert one.search("Patient", [("language", "FR,NL"), ("language", "EN")])
    assert not one.search("Patient", [("language", "FR"), ("language", "NL")])


def test_escaped_separators_are_literal() -> None:
    """https://hl7.org/fhir/R4/search.html#escaping."""
    assert matches(observed(code=coded("a,b")), "code", "a\\,b")
    assert not matches(observed(code=coded("a,b")), "code", "a,b")
    assert matches(observed(code=coded("b")), "code", "a,b")
    assert matches(observed(code=coded("x\\$|y", "s|t")), "code", "s\\|t|x\\\\\\$\\|y")


# https://hl7.org/fhir/R4/search.html#sort


@pytest.mark.parametrize(
    ("sort", "order"),
    [
        ("family", "b a d c"),
        ("-family", "a d b c"),
        ("birthdate", "d a b c"),
        ("-birthdate", "b a d c"),
        ("-birthdate,family", "b a d c"),
        ("gender,-birthdate", "b a d c"),
        ("-gender,-_id", "d a b c"),
        ("-_id", "d c b a"),
    ],
)
def test_order(sort: str, order: str) -> None:
    """Of several values the first in the order counts, what has none is last, and ids break ties."""
    patients = (
        {"id": "a", "name": [{"family": "Émile"}, {"family": "zoé"}], "birthDate": "1990-05-02", "gender": "male"},
        {"id": "b", "name": [{"family": "Dupont"}], "birthDate": "1990-06", "gender": "female"},
        {"id": "c"},
        {"id": "d", "name": [{"family": "Émile"}], "birthDate": "1990", "gender": "male"},
    )
    every = evaluator(*({"resourceType": "Patient", **one} for one in patients))
    assert every.in_order("Patient", "dcba", sort) == order.split()


# The world and its queries


def test_the_same_seed_makes_the_same_queries() -> None:
    def asked() -> list[str]:
        questions = Questions(seeded(1), Evaluator(world(1, BASE), BASE))
        return [str(query) for group in GROUPS for query in islice(questions.asked(group), 5)]

    assert asked() == asked()


def test_queries_find_some_and_not_all() -> None:
    """What always finds nothing, or everything, tells nothing."""
    every = Evaluator(world(1, BASE), BASE)
    for group in set(GROUPS) - {"sort", "missing"}:
        asked = list(islice(Questions(seeded(1), every).asked(group), 60))
        some = [one for one in asked if 0 < len(every.search(one.type, one.pairs)) < len(every.ids(one.type))]
        assert len(some) > len(asked) * 0.6, group

"""What a resource is found by through what it contains (ADR 0030)."""

from __future__ import annotations

from typing import Any, Final

import pytest

from fhir_server.fhir.errors import TooLarge
from fhir_server.search import contained
from fhir_server.search.contained import LEVELS, asked_of_contained
from fhir_server.search.predicate import (
    Contained,
    Contains,
    Field,
    Predicate,
    Prefix,
    all_of,
    any_of,
    matches,
    negate,
    one_of,
)
from tests.searching import PARAMETERS, entry

SOPHIE: Final[dict[str, Any]] = {
    "resourceType": "Practitioner",
    "id": "p",
    "name": [{"family": "Leclerc", "given": ["Sophie"]}],
}


def to(reference: str) -> dict[str, str]:
    return {"reference": reference}


def document(*contained: dict[str, Any], **members: Any) -> dict[str, Any]:
    return {"resourceType": "DocumentReference", "id": "d", "contained": list(contained), **members}


def units(resource: dict[str, Any]) -> list[dict[str, Any]]:
    return PARAMETERS.index(resource["resourceType"], resource).contained


def test_what_is_contained_and_pointed_to_has_an_entry_of_its_own() -> None:
    (unit,) = units(document(SOPHIE, author=[to("#p")], authenticator=to("#p")))
    assert (unit["p"], unit["rt"]) == (["authenticator", "author"], "Practitioner")
    assert {"family=leclerc", "given=sophie", "family:exact=Leclerc", "name=leclerc"} <= set(unit["ix"]["s"])
    assert not [term for term in unit["ix"]["s"] if "~" in term], "tails are for what is searched without a record"


def test_each_is_under_the_parameters_that_point_to_it() -> None:
    paul = {"resourceType": "Practitioner", "id": "q"}
    found = units(document(SOPHIE, paul, author=[to("#p")], authenticator=to("#q")))
    assert [unit["p"] for unit in found] == [["author"], ["authenticator"]]


def test_what_contains_nothing_has_no_more_than_before() -> None:
    plain: dict[str, Any] = {"resourceType": "DocumentReference", "id": "d", "author": [to("Practitioner/p")]}
    assert units(plain) == []
    assert PARAMETERS.index("DocumentReference", plain).terms == ["author=Practitioner/p"]


@pytest.mark.parametrize(
    "resource",
    [
        document(SOPHIE, context={"sourcePatientInfo": to("#p")}),
        document(SOPHIE, author=[to("#other")]),
        document(SOPHIE, custodian=to("#p")),
        document({"resourceType": "Practitioner"}, author=[to("#p")]),
        document({**SOPHIE, "resourceType": "Unheard"}, author=[to("#p")]),
        {**document(author=[to("#p")]), "contained": SOPHIE},
    ],
    ids=["no parameter", "not there", "not such a target", "no id", "no such type", "no list"],
)
def test_what_no_parameter_leads_to_is_not_indexed(resource: dict[str, Any]) -> None:
    assert units(resource) == []


def test_one_behind_the_other_as_far_as_the_levels_go() -> None:
    structures = [
        {"resourceType": "Organization", "id": f"o{at}", "partOf": to(f"#o{at + 1}")} for at in range(LEVELS + 1)
    ]
    last = {"resourceType": "Organization", "id": f"o{LEVELS + 1}"}
    found, level = units(document(*structures, last, author=[to("#o0")])), 0
    while found:
        level += 1
        (unit,) = found
        assert unit["p"] == ["author" if level == 1 else "partof"]
        found = unit["ix"].get("c", [])
    assert level == LEVELS


def test_what_points_to_itself_ends() -> None:
    round_about = {"resourceType": "Organization", "id": "o", "partOf": to("#o")}
    assert len(units(document(round_about, author=[to("#o")]))) == 1


def test_a_few_that_all_point_to_one_another_are_refused_when_they_are_too_many() -> None:
    many = 100
    each = [
        {
            "resourceType": "Observation",
            "id": f"o{at}",
            "code": {"text": "x"},
            "hasMember": [to(f"#o{other}") for other in range(many)],
        }
        for at in range(many)
    ]
    with pytest.raises(TooLarge, match=str(contained.MOST_ENTRIES)):
        units(document(*each, context={"related": [to("#o0")]}))


def test_what_is_found_by_nothing_is_one_entry_all_the_same() -> None:
    leaves = [{"resourceType": "Basic", "id": f"b{at}"} for at in range(400)]
    each = [to(f"#{leaf['id']}") for leaf in leaves]
    lists = [{"resourceType": "List", "id": f"l{at}", "entry": [{"item": one} for one in each]} for at in range(60)]
    related = [to(f"#{one['id']}") for one in lists]
    with pytest.raises(TooLarge):
        units(document(*leaves, *lists, context={"related": related}))


def test_the_type_that_a_reference_does_not_tell_is_told_by_what_is_contained() -> None:
    """``Encounter.practitioner`` reads references to Practitioners alone, which ``#p`` does not say it is."""
    stay = {
        "resourceType": "Encounter",
        "id": "e",
        "contained": [SOPHIE, {"resourceType": "RelatedPerson", "id": "r"}],
        "participant": [{"individual": to("#p")}, {"individual": to("#r")}],
    }
    assert {(tuple(unit["p"]), unit["rt"]) for unit in units(stay)} == {
        (("participant", "practitioner"), "Practitioner"),
        (("participant",), "RelatedPerson"),
    }


def test_whom_a_contained_resource_is_about_is_a_term_of_it() -> None:
    pulse = {"resourceType": "Observation", "id": "o", "code": {"text": "x"}, "subject": to("Patient/1")}
    (unit,) = units(document(pulse, context={"related": [to("#o")]}))
    assert "_record=Patient/1" in unit["ix"]["s"]
    assert "record" not in unit


def test_a_canonical_may_name_what_is_contained() -> None:
    form = {"resourceType": "Questionnaire", "id": "q", "status": "active", "title": "Formulaire"}
    answers = {"resourceType": "QuestionnaireResponse", "id": "r", "contained": [form], "questionnaire": "#q"}
    (unit,) = units(answers)
    assert (unit["p"], unit["rt"]) == (["questionnaire"], "Questionnaire")
    assert "title=formulaire" in unit["ix"]["s"]


TWO: Final = document(
    {**SOPHIE, "active": True},
    {"resourceType": "Practitioner", "id": "q", "name": [{"family": "Martin", "given": ["Paul"]}], "active": False},
    author=[to("#p"), to("#q")],
)


def author(part: Predicate) -> Predicate:
    return Contained("author", frozenset({"Practitioner"}), asked_of_contained(part))


@pytest.mark.parametrize(
    ("part", "found"),
    [
        (Prefix("family=mart"), True),
        (Prefix("family=dup"), False),
        (all_of([Prefix("family=martin"), Prefix("given=paul")]), True),
        (all_of([Prefix("family=martin"), Prefix("given=sophie")]), False),
        (negate(one_of(Field.TERMS, "active#true")), True),
        (negate(any_of([one_of(Field.TERMS, "active#true"), one_of(Field.TERMS, "active#false")])), False),
        (Prefix("family~ecler"), True),
        (Prefix("family~xyz"), False),
        (Contains("given=", "oph"), True),
    ],
)
def test_of_two_neither_lends_the_other_a_part(part: Predicate, found: bool) -> None:
    stored = entry("DocumentReference", TWO)
    assert matches(author(part), stored) is found
    assert not matches(Contained("authenticator", frozenset({"Practitioner"}), part), stored)
    assert not matches(Contained("author", frozenset({"Patient"}), part), stored)


def test_a_record_is_asked_as_a_reference() -> None:
    assert asked_of_contained(one_of(Field.RECORD, "1")) == one_of(Field.TERMS, "_record=Patient/1")
    assert asked_of_contained(negate(one_of(Field.RECORD, None))) == Prefix("_record=")
    several = any_of([one_of(Field.RECORD, "1"), one_of(Field.ALSO, "1")])
    assert asked_of_contained(several) == one_of(Field.TERMS, "_record=Patient/1")

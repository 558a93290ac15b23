"""``_filter``: whole expressions, by the table and the examples of the standard.

https://hl7.org/fhir/R4/search_filter.html
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.answers import refused
from tests.http.searching import (
    INS_TEST,
    LOINC,
    TAGS,
    UCUM,
    Pair,
    coded,
    found,
    link,
    names,
    outcome,
    pointer,
    searchset,
    stored,
    tagged,
)
from tests.served import Served

WORLD = "filter"
TAG = ("_tag", f"{TAGS}|{WORLD}")
ANIMALS = "https://acme.example/fhir/CodeSystem/filtered"


def made(type: str, id: str, /, **members: Any) -> dict[str, Any]:
    return tagged(WORLD, type, id, **members)


def patient(id: str, at: int, given: str, family: str, birth: str | None, gender: str | None) -> dict[str, Any]:
    return made(
        "Patient",
        id,
        identifier=[{"system": INS_TEST, "value": f"19001750560086{at}"}],
        name=[{"given": [given], "family": family}],
        birthDate=birth,
        gender=gender,
    )


def observation(id: str, of: str, **members: Any) -> dict[str, Any]:
    return made(
        "Observation", id, subject=pointer("Patient", f"{WORLD}-{of}"), **{"effectiveDateTime": None, **members}
    )


def world() -> list[dict[str, Any]]:
    return [
        patient("peter", 1, "Peter", "Chalmers", "2014-12-25", "male"),
        patient("petra", 2, "Petra", "Hélène d’Or", "2010-01-01", "female"),
        patient("adam", 3, "Adam", "Chalmers-Petit", None, None),
        observation("one", "peter", code=coded("1234-5", LOINC), effectiveDateTime="2026-01-15", status="final"),
        observation(
            "two", "petra", code=coded("1234-5", LOINC), valueQuantity={"value": 5.4, "system": UCUM, "code": "mg"}
        ),
        observation(
            "three", "adam", code=coded("cat", ANIMALS), effectivePeriod={"start": "2026-01-10", "end": "2026-02-10"}
        ),
        observation("four", "adam", code=coded("kitten", ANIMALS), effectiveDateTime="2025"),
        made(
            "CodeSystem",
            "animals",
            url=ANIMALS,
            status="active",
            content="complete",
            concept=[{"code": "cat", "concept": [{"code": "kitten"}]}],
        ),
        made(
            "ValueSet",
            "pets",
            status="active",
            url="https://acme.example/fhir/ValueSet/filtered",
            compose={"include": [{"system": ANIMALS, "concept": [{"code": "cat"}]}]},
        ),
    ]


@pytest.fixture(scope="module")
def client(served: Served) -> Iterator[httpx.Client]:
    client = served.as_("conformance")
    with stored(client, world()):
        yield client


def asked(client: httpx.Client, type: str, filter: str, *pairs: Pair) -> set[str]:
    """What is found in this world."""
    return set(names(found(client, type, TAG, ("_filter", filter), *pairs), WORLD))


PATIENTS = {"peter", "petra", "adam"}
OBSERVATIONS = {"one", "two", "three", "four"}

FILTERS: list[tuple[str, str, set[str]]] = [
    # the examples of the standard
    ("Patient", 'given eq "peter" and birthdate ge 2014-10-10', {"peter"}),
    ("Patient", 'name co "pet"', PATIENTS),
    ("Observation", f'code eq {LOINC}|1234-5 and subject.name co "peter"', {"one"}),
    ("Patient", 'not(gender eq "male")', {"petra", "adam"}),
    # texts
    ("Patient", 'family eq "chalmers"', {"peter"}),
    ("Patient", 'family eq "CHALM"', set()),
    ("Patient", 'family ne "chalmers"', {"petra", "adam"}),
    ("Patient", 'family sw "chalm"', {"peter", "adam"}),
    ("Patient", 'family co "petit"', {"adam"}),
    ("Patient", 'family co "d\'or"', {"petra"}),
    ("Patient", 'family eq "Hélène d’Or"', {"petra"}),
    ("Patient", 'family eq "h\\u00e9l\\u00e8ne d\'or"', {"petra"}),
    # tokens
    ("Patient", "gender eq male", {"peter"}),
    ("Patient", 'gender eq "male"', {"peter"}),
    ("Patient", "gender ne male", {"petra"}),
    ("Patient", "gender pr true", {"peter", "petra"}),
    ("Patient", "gender pr false", {"adam"}),
    ("Patient", f"identifier eq {INS_TEST}|190017505600862", {"petra"}),
    ("Patient", f"_id eq {WORLD}-adam", {"adam"}),
    ("Observation", f"code ss {ANIMALS}|cat", {"three", "four"}),
    ("Observation", f"code sb {ANIMALS}|kitten", {"three", "four"}),
    ("Observation", "code in https://acme.example/fhir/ValueSet/filtered", {"three"}),
    ("Observation", "code ni https://acme.example/fhir/ValueSet/filtered", {"one", "two", "four"}),
    # dates and quantities
    ("Patient", "birthdate gt 2010-01-01", {"peter"}),
    ("Patient", "birthdate le 2010", {"petra"}),
    ("Patient", "birthdate ne 2010", {"peter"}),
    ("Observation", "date sa 2025", {"one", "three"}),
    ("Observation", "date eb 2026", {"four"}),
    ("Observation", "date po 2026-01", {"one", "three"}),
    ("Observation", "date po 2026-02-10", {"three"}),
    ("Observation", "date pr false", {"two"}),
    ("Observation", f"value-quantity eq 5.4|{UCUM}|mg", {"two"}),
    ("Observation", "value-quantity gt 5", {"two"}),
    ("Observation", "value-quantity ap 5", {"two"}),
    # references, chains and what refers here
    ("Observation", f"subject re Patient/{WORLD}-adam", {"three", "four"}),
    ("Observation", f"patient eq {WORLD}-adam", {"three", "four"}),
    ("Observation", "patient.gender eq female", {"two"}),
    ("Observation", "subject:Patient.birthdate lt 2012", {"two"}),
    ("Patient", f"_has:Observation:patient:code eq {LOINC}|1234-5", {"peter", "petra"}),
    # junctions, from left to right without precedence
    ("Patient", "gender eq male or gender eq female", {"peter", "petra"}),
    ("Patient", "gender eq male or gender eq female and birthdate lt 2012", {"petra"}),
    ("Patient", "gender eq male or (gender eq female and birthdate lt 2012)", {"peter", "petra"}),
    ("Patient", "not (gender eq male or gender eq female)", {"adam"}),
    ("Patient", "not (gender eq male) and not (gender eq female)", {"adam"}),
    ("Patient", "(gender pr false) or (birthdate gt 2013)", {"adam", "peter"}),
    ("Patient", "not (not (gender eq male))", {"peter"}),
]


@pytest.mark.parametrize(("type", "filter", "expected"), FILTERS)
def test_a_filter_is_an_expression(client: httpx.Client, type: str, filter: str, expected: set[str]) -> None:
    assert asked(client, type, filter) == expected


def test_a_filter_holds_with_the_other_parameters(client: httpx.Client) -> None:
    assert asked(client, "Patient", "gender pr true", ("birthdate", "2010")) == {"petra"}
    pairs = (("_filter", "birthdate pr true"),)
    assert asked(client, "Patient", "gender eq male", *pairs) == {"peter"}
    assert asked(client, "Patient", "gender eq female or gender eq male", ("_sort", "-birthdate")) == {"peter", "petra"}


def test_a_filter_of_several_types_is_one_of_each(client: httpx.Client) -> None:
    bundle = searchset(
        client.get("", params=[TAG, ("_type", "Patient,Observation"), ("_filter", f"_id eq {WORLD}-adam")])
    )
    assert names(bundle, WORLD) == ["adam"]


def test_the_self_link_repeats_the_filter(client: httpx.Client) -> None:
    bundle = found(client, "Patient", TAG, ("_filter", 'family co "d\'or" and gender eq female'))
    assert names(client.get(link(bundle, "self") or "").json(), WORLD) == ["petra"]


def test_a_filter_by_post(client: httpx.Client) -> None:
    posted = client.post("Patient/_search", data={"_tag": TAG[1], "_filter": 'given eq "peter"'})
    assert names(searchset(posted), WORLD) == ["peter"]


WRONG: list[tuple[str, str]] = [
    ("Patient", "given"),
    ("Patient", "given eq"),
    ("Patient", "given eq 'peter'x y"),
    ("Patient", 'given eq "peter'),
    ("Patient", 'given is "peter"'),
    ("Patient", 'given EQ "peter"'),
    ("Patient", '(given eq "peter"'),
    ("Patient", 'given eq "peter")'),
    ("Patient", 'given eq "peter" and'),
    ("Patient", 'given eq "peter" xor gender eq male'),
    ("Patient", 'not given eq "peter"'),
    ("Patient", 'unheard eq "x"'),
    ("Patient", "birthdate eq garbage"),
    ("Patient", "birthdate co 2010"),
    ("Patient", "gender gt male"),
    ("Patient", "gender pr perhaps"),
    ("Patient", "given:exact eq Peter"),
    ("Patient", 'given eq ""'),
    ("Patient", "gender.name eq x"),
    ("Observation", "value-quantity sw 5"),
    ("Observation", "subject gt x"),
    ("Patient", "(" * 60 + "gender eq male" + ")" * 60),
    ("Patient", " or ".join(["gender eq male"] * 101)),
]


@pytest.mark.parametrize(("type", "filter"), WRONG)
@pytest.mark.parametrize("handling", ["strict", "lenient"])
def test_a_filter_that_cannot_be_read_is_always_refused(
    client: httpx.Client, type: str, filter: str, handling: str
) -> None:
    answer = client.get(type, params={"_filter": filter}, headers={"Prefer": f"handling={handling}"})
    told = refused(answer, 400)
    assert told["expression"] == ["http._filter"]


@pytest.mark.parametrize("filter", ['family ew "mers"', 'name[use eq "official"].family eq "x"'])
def test_what_of_a_filter_is_not_supported_is_named(client: httpx.Client, filter: str) -> None:
    answer = client.get("Patient", params={"_filter": filter}, headers={"Prefer": "handling=strict"})
    assert refused(answer, 400, "not-supported")["expression"] == ["http._filter"]
    bundle = searchset(client.get("Patient", params=[TAG, ("_filter", filter)]))
    assert [issue["expression"] for issue in outcome(bundle)] == [["http._filter"]]

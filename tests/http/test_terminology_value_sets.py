"""What is asked of value sets: `$expand`, `$validate-code`. docs/interactions/terminology.md"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from fhir_server.operations.value_set_expand import MOST_LISTED
from tests.answers import refused
from tests.http.invoking import called
from tests.http.terms import (
    A04,
    ACME,
    GENDER,
    GENDERS,
    J66,
    LOINC,
    LOINC_OID,
    PLANTS,
    ROLE_CODE,
    WORLD,
    codes,
    expanded,
    get,
    known,
    one,
    post,
)
from tests.served import Served


@pytest.fixture(scope="module")
def client(served: Served) -> Iterator[httpx.Client]:
    """A doctor, where the lists are stored."""
    with known(served) as doctor:
        yield doctor


# $expand


def test_a_value_set_is_listed_with_what_stands_below_what(client: httpx.Client) -> None:
    for answer in (
        get(client, "ValueSet/$expand", url=f"{ACME}/ValueSet/plants"),
        get(client, f"ValueSet/{WORLD}-plants/$expand"),
        post(client, "ValueSet/$expand", url=f"{ACME}/ValueSet/plants", valueSetVersion="1"),
    ):
        told = expanded(answer)
        assert codes(told["contains"]) == [("tree", ["oak", "pine"]), "fern"]
        assert told["total"] == 4
        assert {"name": "used-codesystem", "valueUri": f"{PLANTS}|2"} in told["parameter"]
        assert told["identifier"].startswith("urn:uuid:")
    assert [one["inactive"] for one in told["contains"] if one["code"] == "fern"] == [True]


def test_what_is_listed_is_what_was_asked_for(client: httpx.Client) -> None:
    url = f"{ACME}/ValueSet/plants"

    def listed(**asked: str) -> list[Any]:
        return codes(expanded(get(client, "ValueSet/$expand", url=url, **asked)).get("contains", []))

    assert listed(excludeNested="true") == ["tree", "oak", "pine", "fern"]
    assert listed(activeOnly="true") == [("tree", ["oak", "pine"])]
    assert listed(filter="chen") == ["oak"]
    assert listed(count="2", offset="1") == ["oak", "pine"]
    assert listed(count="0") == []
    assert listed(exclude_system=PLANTS) == []
    assert listed(exclude_system=f"{PLANTS}|9") == [("tree", ["oak", "pine"]), "fern"]
    assert listed(system_version=f"{PLANTS}|2") == [("tree", ["oak", "pine"]), "fern"]
    lobed = expanded(get(client, "ValueSet/$expand", url=f"{ACME}/ValueSet/lobed"))
    assert codes(lobed["contains"]) == ["oak"]
    english = expanded(get(client, "ValueSet/$expand", url=url, displayLanguage="en", includeDesignations="true"))
    assert english["contains"][0]["display"] == "Tree"
    assert english["contains"][0]["designation"] == [{"language": "fr", "value": "Arbre"}]
    assert {"name": "displayLanguage", "valueCode": "en"} in english["parameter"]


def test_the_same_expansion_has_the_same_identifier(client: httpx.Client) -> None:
    first, second = (expanded(get(client, "ValueSet/$expand", url=GENDERS)) for _ in range(2))
    other = expanded(get(client, "ValueSet/$expand", url=GENDERS, count="1"))
    assert first["identifier"] == second["identifier"] != other["identifier"]


def test_the_lists_of_the_dmp_are_found_by_their_words(client: httpx.Client) -> None:
    told = expanded(get(client, "ValueSet/$expand", url=J66, filter="cr hosp"))
    assert {each["display"] for each in told["contains"]} >= {"CR hospitalier (séjour)"}
    assert told["total"] == len(told["contains"])


def test_a_value_set_may_be_brought_along_and_rest_on_what_is_stored(client: httpx.Client) -> None:
    brought = {
        "resourceType": "ValueSet",
        "status": "draft",
        "compose": {
            "include": [{"valueSet": [f"{ACME}/ValueSet/plants"]}],
            "exclude": [{"system": PLANTS, "concept": [{"code": "fern"}]}],
        },
    }
    assert codes(expanded(post(client, "ValueSet/$expand", valueSet=brought))["contains"]) == [
        ("tree", ["oak", "pine"])
    ]
    assert one(post(client, "ValueSet/$validate-code", valueSet=brought, system=PLANTS, code="fern"), "result") is False


def test_a_definition_comes_along_where_it_is_wanted(client: httpx.Client) -> None:
    for url in (GENDERS, f"{ACME}/ValueSet/plants"):
        assert "compose" not in called(get(client, "ValueSet/$expand", url=url))
        whole = called(get(client, "ValueSet/$expand", url=url, includeDefinition="true"))
        assert whole["compose"]["include"][0]["system"] in (GENDER, PLANTS)


def test_a_large_value_set_is_listed_page_by_page(client: httpx.Client) -> None:
    url = f"{ACME}/ValueSet/large"
    refused(get(client, "ValueSet/$expand", url=url), 422, "too-costly")
    refused(get(client, "ValueSet/$expand", url=url, count=str(MOST_LISTED + 1)), 422, "too-costly")
    last = expanded(get(client, "ValueSet/$expand", url=url, count="20", offset=str(MOST_LISTED)))
    assert (last["total"], last["offset"], len(last["contains"])) == (MOST_LISTED + 10, MOST_LISTED, 10)
    assert codes(expanded(get(client, "ValueSet/$expand", url=url, filter="c5009"))["contains"]) == ["c5009"]


@pytest.mark.parametrize(
    ("asked", "status", "code"),
    [
        ({}, 400, "required"),
        ({"url": "urn:nowhere"}, 404, "not-found"),
        ({"url": f"{GENDERS}|3"}, 404, "not-found"),
        ({"url": GENDERS, "valueSetVersion": "3"}, 404, "not-found"),
        ({"url": f"{GENDERS}|4.0.1", "valueSetVersion": "3"}, 400, "invalid"),
        ({"valueSetVersion": "3"}, 400, "required"),
        ({"url": "http://snomed.info/sct?fhir_vs=isa/1"}, 422, "not-supported"),
        ({"url": "http://hl7.org/fhir/ValueSet/observation-codes"}, 422, "not-supported"),
        ({"url": "http://hl7.org/fhir/ValueSet/body-site"}, 422, "not-supported"),
        ({"url": f"{ACME}/ValueSet/round"}, 422, "processing"),
        ({"url": GENDERS, "count": "-1"}, 400, "value"),
        ({"url": GENDERS, "count": "many"}, 400, "structure"),
        ({"url": GENDERS, "offset": "-1"}, 400, "value"),
        ({"url": GENDERS, "context": "urn:x"}, 422, "not-supported"),
        ({"url": GENDERS, "system-version": GENDER}, 400, "value"),
        ({"url": GENDERS, "force-system-version": f"{GENDER}|3"}, 422, "not-supported"),
        ({"url": GENDERS, "check-system-version": f"{GENDER}|3"}, 422, "not-found"),
        ({"valueSet": "x"}, 400, "not-supported"),
    ],
)
def test_what_cannot_be_listed_is_refused(client: httpx.Client, asked: dict[str, str], status: int, code: str) -> None:
    refused(client.get("ValueSet/$expand", params=asked), status, code)


def test_an_id_that_nobody_has(client: httpx.Client) -> None:
    for path in ("ValueSet/never/$expand", "ValueSet/never/$validate-code?code=a&system=urn:a"):
        refused(client.get(path), 404, "not-found")
    refused(client.get("CodeSystem/never/$validate-code?code=a"), 404, "not-found")
    refused(client.get(f"ConceptMap/never/$translate?code=a&system={PLANTS}"), 404, "not-found")


# $validate-code of a value set


def test_a_value_set_holds_a_code_or_not(client: httpx.Client) -> None:
    path = "ValueSet/$validate-code"
    for system in (LOINC, A04, LOINC_OID):
        answer = get(client, path, url=J66, system=system, code="34112-3")
        assert (one(answer, "result"), one(answer, "display")) == (True, "CR hospitalier (séjour)")
    assert one(get(client, path, url=J66, system=LOINC, code="1-1"), "result") is False
    instance = f"ValueSet/{WORLD}-plants/$validate-code"
    assert one(get(client, instance, system=PLANTS, code="oak"), "display") == "Chêne"
    unknown = get(client, instance, system=PLANTS, code="rose", displayLanguage="fr")
    assert one(unknown, "message") == (
        f"Le code rose de {PLANTS} n'est pas dans le jeu de valeurs {ACME}/ValueSet/plants. "
        f"Le code rose n'est pas dans le système de codes {PLANTS}."
    )
    several = {"coding": [{"system": LOINC, "code": "1-1"}, {"system": PLANTS, "code": "oak"}]}
    assert one(post(client, path, url=f"{ACME}/ValueSet/lobed", codeableConcept=several), "result") is True
    assert one(post(client, path, url=GENDERS, codeableConcept=several), "result") is False
    assert one(post(client, path, url=GENDERS, coding={"code": "male"}), "result") is False


def test_a_code_that_only_groups_others_counts_unless_told(client: httpx.Client) -> None:
    asked = {"url": "http://terminology.hl7.org/ValueSet/v3-RoleCode", "system": ROLE_CODE}
    asked |= {"code": "_AffiliationRoleType"}
    assert one(get(client, "ValueSet/$validate-code", **asked), "result") is True
    assert one(get(client, "ValueSet/$validate-code", abstract="true", **asked), "result") is True
    assert one(get(client, "ValueSet/$validate-code", abstract="false", **asked), "result") is False


@pytest.mark.parametrize(
    ("asked", "status", "code"),
    [
        (
            {"url": "http://hl7.org/fhir/ValueSet/observation-codes", "system": LOINC, "code": "1-1"},
            422,
            "not-supported",
        ),
        ({"url": f"{ACME}/ValueSet/loinc", "system": LOINC, "code": "1-1"}, 422, "not-supported"),
        ({"url": "urn:nowhere", "system": LOINC, "code": "1-1"}, 404, "not-found"),
        ({"url": GENDERS, "code": "male"}, 400, "required"),
        ({"url": GENDERS, "system": GENDER, "code": "male", "systemVersion": "3"}, 404, "not-found"),
        ({"url": GENDERS, "system": GENDER, "code": "male", "context": "urn:x"}, 422, "not-supported"),
        ({"system": GENDER, "code": "male"}, 400, "required"),
    ],
)
def test_what_cannot_be_told_of_a_value_set_is_no_answer(
    client: httpx.Client, asked: dict[str, str], status: int, code: str
) -> None:
    refused(get(client, "ValueSet/$validate-code", **asked), status, code)


def test_a_code_that_is_listed_is_in_it_whatever_the_rest_rests_on(client: httpx.Client) -> None:
    answer = get(client, "ValueSet/$validate-code", url=f"{ACME}/ValueSet/loinc", system=LOINC, code="34112-3")
    assert one(answer, "result") is True

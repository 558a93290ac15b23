"""Every parameter of the terminology operations is followed, or refused: none is passed over.

The table below holds, for each parameter of each OperationDefinition, a call without it, the same with it, and what
must be different: the answer, or that there is one. docs/interactions/terminology.md
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import httpx
import pytest

from fhir_server.identity.systems import R260
from tests.answers import refused
from tests.http.invoking import DEFINITIONS, called
from tests.http.terms import (
    ACME,
    GENDER,
    GENDERS,
    PLANT_MAP,
    PLANT_SET,
    PLANTS,
    ROLE_CODE,
    WORLD,
    X16,
    get,
    known,
    post,
)
from tests.served import Served

OPERATIONS: Final = (
    ("CodeSystem", "lookup"),
    ("CodeSystem", "validate-code"),
    ("CodeSystem", "subsumes"),
    ("ValueSet", "expand"),
    ("ValueSet", "validate-code"),
    ("ConceptMap", "translate"),
)
OTHER: Final = (200, "")
"""It is answered, and not as without the parameter."""
SAME: Final = (200, "same")
"""It makes no difference, as the documentation says."""


class Case(NamedTuple):
    """One parameter: a call without it, what is told besides (nothing takes away), and what that does."""

    base: dict[str, Any]
    told: dict[str, Any]
    then: tuple[int, str] = OTHER


def coding(code: str, system: str = PLANTS) -> dict[str, str]:
    return {"system": system, "code": code}


def concept(code: str) -> dict[str, Any]:
    return {"coding": [coding("x", "urn:other"), coding(code)]}


def of_system(url: str) -> dict[str, Any]:
    return {"resourceType": "ValueSet", "status": "draft", "compose": {"include": [{"system": url}]}}


BROUGHT: Final[dict[str, dict[str, Any]]] = {
    "CodeSystem": {
        "resourceType": "CodeSystem",
        "url": "urn:brought",
        "status": "draft",
        "content": "complete",
        "concept": [{"code": "oak", "display": "Another oak"}],
    },
    "ConceptMap": {
        "resourceType": "ConceptMap",
        "status": "draft",
        "group": [
            {
                "source": PLANTS,
                "target": "urn:b",
                "element": [{"code": "oak", "target": [{"code": "b", "equivalence": "equal"}]}],
            }
        ],
    },
}

LOOKUP: Final = {"system": PLANTS, "code": "oak"}
TREE: Final = {"system": PLANTS, "code": "tree"}
HAS: Final = {"url": PLANTS, "code": "oak"}
ENDED: Final = {"url": R260, "code": "QUAL"}
GROUP: Final = "_AffiliationRoleType"
SUBSUMES: Final = {"system": ROLE_CODE, "codeA": "PRN", "codeB": "MTH"}
EXPAND: Final = {"url": PLANT_SET}
HOLDS: Final = {"url": PLANT_SET, "system": PLANTS, "code": "oak"}
LEADS: Final = {"url": PLANT_MAP, "system": PLANTS, "code": "oak"}
NO_CODE: Final = {"system": None, "code": None}

CASES: Final[dict[tuple[str, str], dict[str, Case]]] = {
    ("CodeSystem", "lookup"): {
        "code": Case(LOOKUP, {"code": "pine"}),
        "system": Case(LOOKUP, {"system": ROLE_CODE}, (404, "code-invalid")),
        "version": Case(LOOKUP, {"version": "9"}, (404, "not-found")),
        "coding": Case(LOOKUP, {**NO_CODE, "coding": coding("pine")}),
        "date": Case({"system": R260, "code": "QUAL"}, {"date": "2020-01-01"}),
        "displayLanguage": Case(TREE, {"displayLanguage": "en"}),
        "property": Case(LOOKUP, {"property": "leaf"}),
    },
    ("CodeSystem", "validate-code"): {
        "url": Case(HAS, {"url": GENDER}),
        "codeSystem": Case(HAS, {"url": None, "codeSystem": BROUGHT["CodeSystem"]}),
        "code": Case(HAS, {"code": "never"}),
        "version": Case(HAS, {"version": "9"}, (404, "not-found")),
        "display": Case(HAS, {"display": "Buisson"}),
        "coding": Case(HAS, {"code": None, "coding": coding("never")}),
        "codeableConcept": Case(HAS, {"code": None, "codeableConcept": concept("never")}),
        "date": Case(ENDED, {"date": "2020-01-01"}),
        "abstract": Case({"url": ROLE_CODE, "code": GROUP}, {"abstract": False}),
        "displayLanguage": Case({"url": PLANTS, "code": "tree"}, {"displayLanguage": "en"}),
    },
    ("CodeSystem", "subsumes"): {
        "codeA": Case(SUBSUMES, {"codeA": "MTH"}),
        "codeB": Case(SUBSUMES, {"codeB": "PRN"}),
        "system": Case(SUBSUMES, {"system": PLANTS}, (404, "code-invalid")),
        "version": Case(SUBSUMES, {"version": "9"}, (404, "not-found")),
        "codingA": Case(SUBSUMES, {"codeA": None, "codingA": coding("MTH", ROLE_CODE)}),
        "codingB": Case(SUBSUMES, {"codeB": None, "codingB": coding("PRN", ROLE_CODE)}),
    },
    ("ValueSet", "expand"): {
        "url": Case(EXPAND, {"url": GENDERS}),
        "valueSet": Case(EXPAND, {"url": None, "valueSet": of_system(GENDER)}),
        "valueSetVersion": Case(EXPAND, {"valueSetVersion": "9"}, (404, "not-found")),
        "context": Case(EXPAND, {"context": "urn:x"}, (422, "not-supported")),
        "contextDirection": Case(EXPAND, {"contextDirection": "incoming"}, (422, "not-supported")),
        "filter": Case(EXPAND, {"filter": "chen"}),
        "date": Case({"valueSet": of_system(R260), "activeOnly": True}, {"date": "2020-01-01"}),
        "offset": Case(EXPAND, {"offset": 1}),
        "count": Case(EXPAND, {"count": 1}),
        "includeDesignations": Case(EXPAND, {"includeDesignations": True}),
        "designation": Case(EXPAND, {"designation": "en"}),
        "includeDefinition": Case(EXPAND, {"includeDefinition": True}),
        "activeOnly": Case(EXPAND, {"activeOnly": True}),
        "excludeNested": Case(EXPAND, {"excludeNested": True}),
        "excludeNotForUI": Case({"url": "http://terminology.hl7.org/ValueSet/v3-RoleCode"}, {"excludeNotForUI": True}),
        "excludePostCoordinated": Case(EXPAND, {"excludePostCoordinated": True}, SAME),
        "displayLanguage": Case(EXPAND, {"displayLanguage": "en"}),
        "exclude-system": Case(EXPAND, {"exclude-system": PLANTS}),
        "system-version": Case(EXPAND, {"system-version": f"{PLANTS}|9"}, (422, "not-supported")),
        "check-system-version": Case(EXPAND, {"check-system-version": f"{PLANTS}|9"}, (422, "not-found")),
        "force-system-version": Case(EXPAND, {"force-system-version": f"{PLANTS}|9"}, (422, "not-supported")),
    },
    ("ValueSet", "validate-code"): {
        "url": Case(HOLDS, {"url": GENDERS}),
        "context": Case(HOLDS, {"context": "urn:x"}, (422, "not-supported")),
        "valueSet": Case(HOLDS, {"url": None, "valueSet": of_system(GENDER)}),
        "valueSetVersion": Case(HOLDS, {"valueSetVersion": "9"}, (404, "not-found")),
        "code": Case(HOLDS, {"code": "never"}),
        "system": Case(HOLDS, {"system": GENDER}),
        "systemVersion": Case(HOLDS, {"systemVersion": "9"}, (404, "not-found")),
        "display": Case(HOLDS, {"display": "Buisson"}),
        "coding": Case(HOLDS, {**NO_CODE, "coding": coding("never")}),
        "codeableConcept": Case(HOLDS, {**NO_CODE, "codeableConcept": concept("never")}),
        "date": Case({"valueSet": of_system(R260), "system": R260, "code": "QUAL"}, {"date": "2020-01-01"}),
        "abstract": Case({"valueSet": of_system(ROLE_CODE), "system": ROLE_CODE, "code": GROUP}, {"abstract": False}),
        "displayLanguage": Case(HOLDS | {"code": "tree"}, {"displayLanguage": "en"}),
    },
    ("ConceptMap", "translate"): {
        "url": Case(LEADS, {"url": X16}),
        "conceptMap": Case(LEADS, {"url": None, "conceptMap": BROUGHT["ConceptMap"]}),
        "conceptMapVersion": Case(LEADS, {"conceptMapVersion": "9"}, (404, "not-found")),
        "code": Case(LEADS, {"code": "fern"}),
        "system": Case(LEADS, {"system": GENDER}),
        "version": Case(LEADS, {"version": "9"}),
        "source": Case(LEADS, {"source": "urn:other"}),
        "coding": Case(LEADS, {**NO_CODE, "coding": coding("fern")}),
        "codeableConcept": Case(LEADS, {**NO_CODE, "codeableConcept": concept("fern")}),
        "target": Case(LEADS, {"target": "urn:other"}),
        "targetsystem": Case(LEADS, {"targetsystem": "urn:other"}),
        "dependency": Case(
            LEADS | {"code": "pine"},
            {
                "dependency": [
                    {"name": "element", "valueUri": "urn:season"},
                    {"name": "concept", "valueCodeableConcept": {"coding": [{"code": "winter"}]}},
                ]
            },
        ),
        "reverse": Case(LEADS, {"reverse": True}),
    },
}
EVERY: Final = [(key, name) for key, cases in CASES.items() for name in cases]


@pytest.fixture(scope="module")
def client(served: Served) -> Iterator[httpx.Client]:
    """A doctor, where the lists are stored."""
    with known(served) as doctor:
        yield doctor


def said(answer: httpx.Response) -> Any:
    """What is answered, without what is of the moment or repeats what was asked."""
    told = dict(called(answer))
    if "expansion" in told:
        told["expansion"] = {
            name: value
            for name, value in told["expansion"].items()
            if name not in ("identifier", "timestamp", "parameter")
        }
    return told


def with_told(case: Case) -> dict[str, Any]:
    return {name: value for name, value in (case.base | case.told).items() if value is not None}


def _as_text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def test_no_parameter_is_left_out_of_the_table() -> None:
    assert set(CASES) == set(OPERATIONS)
    for key, cases in CASES.items():
        assert set(cases) == {one.name for one in DEFINITIONS[key].takes}


@pytest.mark.parametrize(("key", "name"), EVERY, ids=[f"{type}-{code}-{name}" for (type, code), name in EVERY])
def test_a_parameter_is_followed_or_refused(client: httpx.Client, key: tuple[str, str], name: str) -> None:
    case, path = CASES[key][name], f"{key[0]}/${key[1]}"
    assert case.told.keys() >= {name}
    without = said(post(client, path, **case.base))
    asked = with_told(case)
    answers = [post(client, path, **asked)]
    if not any(isinstance(value, dict | list) for value in asked.values()):
        answers.append(get(client, path, **{one: _as_text(value) for one, value in asked.items()}))
    for answer in answers:
        status, code = case.then
        if status != 200:
            refused(answer, status, code)
        else:
            assert (said(answer) == without) == (code == "same"), answer.text


INSTANCES: Final = [
    (f"CodeSystem/{WORLD}-plants", "validate-code", {"url": PLANTS}, {"code": "oak"}),
    ("CodeSystem/v3-RoleCode", "validate-code", {"url": ROLE_CODE}, {"code": "MTH"}),
    (f"CodeSystem/{WORLD}-plants", "subsumes", {"system": PLANTS}, {"codeA": "oak", "codeB": "tree"}),
    ("CodeSystem/v3-RoleCode", "subsumes", {"system": ROLE_CODE}, {"codeA": "PRN", "codeB": "MTH"}),
    (f"ValueSet/{WORLD}-plants", "expand", {"url": PLANT_SET}, {}),
    ("ValueSet/administrative-gender", "expand", {"url": GENDERS}, {}),
    (f"ValueSet/{WORLD}-plants", "validate-code", {"url": PLANT_SET}, {"system": PLANTS, "code": "oak"}),
    (f"ConceptMap/{WORLD}-plants", "translate", {"url": PLANT_MAP}, {"system": PLANTS, "code": "oak"}),
]


@pytest.mark.parametrize(("instance", "code", "named", "asked"), INSTANCES)
def test_a_resource_is_asked_as_its_url_is(
    client: httpx.Client, instance: str, code: str, named: dict[str, str], asked: dict[str, str]
) -> None:
    by_url = said(post(client, f"{instance.partition('/')[0]}/${code}", **named, **asked))
    for answer in (get(client, f"{instance}/${code}", **asked), post(client, f"{instance}/${code}", **asked)):
        assert said(answer) == by_url
    for twice in (named, {"valueSetVersion": "1"} if code == "expand" else named):
        refused(get(client, f"{instance}/${code}", **asked, **twice), 400)


def test_a_version_of_what_is_named_otherwise_is_refused(client: httpx.Client) -> None:
    """It would be passed over: the resource that is brought along, or called on, has its own."""
    brought = of_system(GENDER)
    for path, told in (
        ("ValueSet/$expand", {"valueSet": brought}),
        (f"ValueSet/{WORLD}-plants/$expand", {}),
        ("ValueSet/$validate-code", {"valueSet": brought, "system": GENDER, "code": "male"}),
    ):
        refused(post(client, path, valueSetVersion="9", **told), 400, "required", "valueSetVersion")
    asked = {"system": PLANTS, "code": "oak", "conceptMapVersion": "9"}
    refused(post(client, f"ConceptMap/{WORLD}-plants/$translate", **asked), 400, "required", "conceptMapVersion")
    refused(post(client, "ConceptMap/$translate", conceptMap=BROUGHT["ConceptMap"], **asked), 400, "required")


def test_two_versions_of_one_system_are_refused(client: httpx.Client) -> None:
    told = [{"name": "force-system-version", "valueCanonical": f"{PLANTS}|{version}"} for version in ("2", "3")]
    body = {"resourceType": "Parameters", "parameter": [{"name": "url", "valueUri": f"{ACME}/ValueSet/plants"}, *told]}
    answer = client.post("ValueSet/$expand", json=body, headers={"Content-Type": "application/fhir+json"})
    refused(answer, 400, "value", "two versions")


def test_a_system_that_is_left_out_need_not_be_known(client: httpx.Client) -> None:
    """All of LOINC cannot be listed; without LOINC there is nothing that cannot."""
    loinc = {"system": "http://loinc.org"}
    brought = {"resourceType": "ValueSet", "status": "draft", "compose": {"include": [loinc, {"system": PLANTS}]}}
    refused(post(client, "ValueSet/$expand", valueSet=brought), 422, "not-supported")
    left = said(post(client, "ValueSet/$expand", valueSet=brought, exclude_system="urn:oid:2.16.840.1.113883.6.1"))
    assert left["expansion"]["total"] == 4

"""Codes that a terminology tells: what lies under a code, and what a value set holds.

https://hl7.org/fhir/R4/search.html#token · #mimetype
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.answers import refused
from tests.http.searching import INS_TEST, TAGS, Pair, coded, found, names, pointer, stored, tagged
from tests.served import Served

WORLD = "terminology"
TAG = ("_tag", f"{TAGS}|{WORLD}")
PATIENT = pointer("Patient", f"{WORLD}-eve")
ACME = "https://acme.example/fhir"
ANIMALS = "https://acme.example/fhir/CodeSystem/animals"
PRACTICE_SETTINGS = (
    "https://mos.esante.gouv.fr/NOS/JDV_J62-PracticeSettingCode-DMP/FHIR/JDV-J62-PracticeSettingCode-DMP"
)


def made(type: str, id: str, /, **members: Any) -> dict[str, Any]:
    return tagged(WORLD, type, id, **members)


def value_set(id: str, **members: Any) -> dict[str, Any]:
    return made("ValueSet", id, status="active", **{"url": f"{ACME}/ValueSet/{id}", **members})


def animal(id: str, code: str) -> dict[str, Any]:
    return made("Observation", id, subject=PATIENT, code=coded(code, ANIMALS))


def world() -> list[dict[str, Any]]:
    return [
        made("Patient", "eve", identifier=[{"system": INS_TEST, "value": "190017505601463"}]),
        made("Observation", "nothing", subject=PATIENT),
        made(
            "CodeSystem",
            "animals",
            url=ANIMALS,
            status="active",
            content="complete",
            concept=[
                {"code": "mammal", "concept": [{"code": "cat", "concept": [{"code": "kitten"}]}, {"code": "dog"}]},
                {"code": "fish"},
            ],
        ),
        value_set("pets", compose={"include": [{"system": ANIMALS, "concept": [{"code": "cat"}, {"code": "dog"}]}]}),
        value_set(
            "cats",
            compose={
                "include": [{"system": ANIMALS, "filter": [{"property": "concept", "op": "is-a", "value": "cat"}]}]
            },
        ),
        value_set(
            "imports",
            compose={
                "include": [{"valueSet": [f"{ACME}/ValueSet/pets"]}, {"system": ANIMALS, "concept": [{"code": "fish"}]}]
            },
        ),
        value_set("whole", compose={"include": [{"system": ANIMALS}]}),
        *(animal(code, code) for code in ("mammal", "cat", "kitten", "dog", "fish")),
        made("DocumentReference", "xml", subject=PATIENT, content=[{"attachment": {"contentType": "text/xml"}}]),
        made(
            "DocumentReference",
            "utf8",
            subject=PATIENT,
            content=[{"attachment": {"contentType": "text/xml; charset=UTF-8"}}],
        ),
        made(
            "DocumentReference",
            "pdf",
            subject=PATIENT,
            content=[{"attachment": {"contentType": "application/pdf"}}],
            context={
                "practiceSetting": coded(
                    "ETABLISSEMENT", "https://mos.esante.gouv.fr/NOS/TRE_A01-CadreExercice/FHIR/TRE-A01-CadreExercice"
                )
            },
        ),
    ]


@pytest.fixture(scope="module")
def client(served: Served) -> Iterator[httpx.Client]:
    client = served.as_("conformance")
    with stored(client, world()):
        yield client


def asked(client: httpx.Client, type: str, *pairs: Pair) -> set[str]:
    """What is found in this world."""
    return set(names(found(client, type, TAG, *pairs), WORLD))


CODES: list[tuple[str, str, str, set[str]]] = [
    ("Observation", "code:below", f"{ANIMALS}|mammal", {"mammal", "cat", "kitten", "dog"}),
    ("Observation", "code:below", f"{ANIMALS}|cat", {"cat", "kitten"}),
    ("Observation", "code:below", f"{ANIMALS}|kitten", {"kitten"}),
    ("Observation", "code:above", f"{ANIMALS}|kitten", {"kitten", "cat", "mammal"}),
    ("Observation", "code:above", f"{ANIMALS}|mammal", {"mammal"}),
    ("Observation", "code:below", f"{ANIMALS}|cat,{ANIMALS}|fish", {"cat", "kitten", "fish"}),
    ("Observation", "code:below", f"{ANIMALS}|unheard-of", set()),
    ("Observation", "code:below", "urn:other|cat", set()),
    ("Observation", "code:in", f"{ACME}/ValueSet/pets", {"cat", "dog"}),
    ("Observation", "code:in", f"ValueSet/{WORLD}-pets", {"cat", "dog"}),
    ("Observation", "code:in", f"{ACME}/ValueSet/imports", {"cat", "dog", "fish"}),
    ("Observation", "code:in", f"{ACME}/ValueSet/whole", {"mammal", "cat", "kitten", "dog", "fish"}),
    ("Observation", "code:in", f"{ACME}/ValueSet/cats", {"cat", "kitten"}),
    ("Observation", "code:in", f"{ACME}/ValueSet/pets,ValueSet/{WORLD}-cats", {"cat", "dog", "kitten"}),
    ("Observation", "code:not-in", f"{ACME}/ValueSet/imports", {"nothing", "mammal", "kitten"}),
    ("Observation", "code:not-in", f"ValueSet/{WORLD}-whole", {"nothing"}),
    ("DocumentReference", "setting:in", PRACTICE_SETTINGS, {"pdf"}),
    ("DocumentReference", "setting:not-in", PRACTICE_SETTINGS, {"xml", "utf8"}),
    # media types lie under what comes before their parameters
    ("DocumentReference", "contenttype", "text/xml", {"xml"}),
    ("DocumentReference", "contenttype:below", "text/xml", {"xml", "utf8"}),
    ("DocumentReference", "contenttype:below", "application/pdf", {"pdf"}),
    ("DocumentReference", "contenttype:below", "text/xm", set()),
]


@pytest.mark.parametrize(("type", "name", "value", "expected"), CODES)
def test_what_lies_under_a_code_and_what_a_value_set_holds(
    client: httpx.Client, type: str, name: str, value: str, expected: set[str]
) -> None:
    assert asked(client, type, (name, value)) == expected


def test_a_value_set_of_this_server_may_be_named_by_its_whole_address(served: Served, client: httpx.Client) -> None:
    assert asked(client, "Observation", ("code:in", f"{served.base}/ValueSet/{WORLD}-pets")) == {"cat", "dog"}


def test_a_value_set_that_nobody_knows_is_refused(client: httpx.Client) -> None:
    for url in ("https://acme.example/unheard-of", "ValueSet/unheard-of"):
        told = refused(client.get("Observation", params={"code:in": url}), 400, "not-found")
        assert "value set" in told["diagnostics"]

"""Where a code leads: `ConceptMap/$translate`. docs/interactions/terminology.md"""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.answers import refused
from tests.http.invoking import called, parts
from tests.http.terms import A04, ACME, CLASSES, LOINC, LOINC_OID, PLANTS, X16, get, known, one, post
from tests.served import Served


@pytest.fixture(scope="module")
def client(served: Served) -> Iterator[httpx.Client]:
    """A doctor, where the lists are stored."""
    with known(served) as doctor:
        yield doctor


# $translate


def test_a_type_of_document_leads_to_its_class(client: httpx.Client) -> None:
    path = "ConceptMap/$translate"
    for answer in (
        get(client, path, url=X16, system=LOINC, code="34112-3"),
        get(client, path, system=A04, code="34112-3"),
        get(client, "ConceptMap/ASS-X16-CorrespondanceType-Classe-DMP/$translate", system=LOINC_OID, code="34112-3"),
        post(client, path, coding={"system": LOINC, "code": "34112-3"}, targetsystem=CLASSES),
    ):
        assert one(answer, "result") is True
        (match,) = parts(called(answer), "match")
        assert (match["concept"]["system"], match["concept"]["code"], match["source"]) == (CLASSES, "10", X16)
    back = parts(called(get(client, path, url=X16, system=CLASSES, code="10", reverse="true")), "match")
    assert {"narrower"} == {each["equivalence"] for each in back}
    assert "34112-3" in {each["concept"]["code"] for each in back}


def test_a_stored_map_is_followed(client: httpx.Client) -> None:
    path = "ConceptMap/$translate"
    for asked in ({"url": f"{ACME}/ConceptMap/plants"}, {"url": f"{ACME}/ConceptMap/plants|3"}, {}):
        answer = get(client, path, system=PLANTS, code="oak", **asked)
        (match,) = parts(called(answer), "match")
        assert match["concept"] == {"system": "urn:wood", "code": "hard", "display": "Hardwood"}
    nothing = get(client, path, system=PLANTS, code="fern")
    assert (one(nothing, "result"), "fern" in one(nothing, "message")) == (False, True)
    assert [each["equivalence"] for each in parts(called(nothing), "match")] == ["unmatched"]
    assert one(get(client, path, system=PLANTS, code="oak", source="urn:other"), "result") is False
    assert one(get(client, path, system=PLANTS, code="oak", source=f"{ACME}/ValueSet/plants"), "result") is True
    assert one(get(client, path, system=PLANTS, code="oak", targetsystem="urn:other"), "result") is False
    back = get(client, path, system="urn:wood", code="hard", reverse="true")
    assert [each["concept"]["code"] for each in parts(called(back), "match")] == ["oak"]


@pytest.mark.parametrize(
    ("asked", "status", "code"),
    [
        ({"system": PLANTS}, 400, "required"),
        ({"code": "oak"}, 400, "required"),
        ({"url": "urn:nowhere", "system": PLANTS, "code": "oak"}, 404, "not-found"),
        ({"url": f"{X16}|1", "system": LOINC, "code": "34112-3"}, 404, "not-found"),
    ],
)
def test_what_cannot_be_translated(client: httpx.Client, asked: dict[str, str], status: int, code: str) -> None:
    refused(get(client, "ConceptMap/$translate", **asked), status, code)

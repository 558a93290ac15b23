"""Interactions on a condition.

https://hl7.org/fhir/R4/http.html#ccreate
"""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import httpx
import pytest

from tests.answers import refused
from tests.http.conditional import SYSTEM, basic, by, found, made
from tests.http.test_gate_regressions import queries
from tests.served import FHIR_JSON, Served


@pytest.fixture(scope="module")
def client(served: Served) -> httpx.Client:
    return served.as_("conformance")


@pytest.fixture
def number(client: httpx.Client) -> Iterator[str]:
    """An identifier of this test's own; what carries it is deleted afterwards."""
    number = uuid4().hex
    yield number
    for one in found(client, by(number)):
        client.delete(f"Basic/{one['id']}")


@pytest.mark.parametrize("text", ["Basic?identifier={}", "?identifier={}", "identifier={}"])
def test_a_condition_to_create_may_name_its_type(client: httpx.Client, number: str, text: str) -> None:
    (one,) = made(client, number)
    headers = {**FHIR_JSON, "If-None-Exist": text.format(f"{SYSTEM}|{number}")}
    answer = client.post("Basic", json=basic(number), headers=headers)
    assert (answer.status_code, answer.json()) == (200, one)


def test_a_question_mark_within_a_condition_is_a_part_of_it(client: httpx.Client, number: str) -> None:
    (other,) = made(client, number)
    condition = f"identifier=urn:a?_id={other['id']}"
    answer = client.post("Basic", json=basic(number), headers={**FHIR_JSON, "If-None-Exist": condition})
    assert answer.status_code == 201, "it is no question for the id"


def test_a_condition_to_create_has_no_pages(client: httpx.Client, number: str) -> None:
    for condition in ("identifier=a&_count=1", "identifier=a&_sort=_id", "identifier=a&_include=Basic:subject"):
        answer = client.post("Basic", json=basic(number), headers={**FHIR_JSON, "If-None-Exist": condition})
        refused(answer, 400, says="no pages")
    assert found(client, by(number)) == []


def test_the_trail_tells_what_a_create_was_made_on(client: httpx.Client, number: str) -> None:
    """As the search it is, beside the create; with the answer, where there was one already."""
    condition = by(number).partition("?")[2]
    asked = f"POST /Basic\nIf-None-Exist: {condition}"
    for status, codes in ((201, ["create", "search-type"]), (200, ["create"])):
        answer = client.post("Basic", json=basic(number), headers={**FHIR_JSON, "If-None-Exist": condition})
        assert answer.status_code == status
        wanted = answer.headers["x-request-id"]
        bundle = client.get(f"AuditEvent?entity:identifier={wanted}&_sort=-date").json()
        traces = [entry["resource"] for entry in bundle["entry"]]
        assert [trace["subtype"][0]["code"] for trace in traces] == codes
        assert queries(traces) == [asked]

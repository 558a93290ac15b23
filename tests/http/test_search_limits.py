"""What a search may cost, and that meeting a limit is told.

https://hl7.org/fhir/R4/search.html#count · #include
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.answers import refused
from tests.http.searching import INS_TEST, TAGS, batch, found, keys, link, outcome, pointer, searchset, tagged
from tests.served import Served, serving

WORLD = "limits"
TAG = ("_tag", f"{TAGS}|{WORLD}")
MANY = 1001
"""One more than a page may include."""
STEPS = 10
"""Times that includes go on from what was included."""


def made(type: str, id: str, /, **members: Any) -> dict[str, Any]:
    return tagged(WORLD, type, id, **members)


def world() -> list[dict[str, Any]]:
    patient = pointer("Patient", f"{WORLD}-pat")
    above = [pointer("Location", f"{WORLD}-level{at - 1}") if at else None for at in range(STEPS + 3)]
    return [
        made(
            "Patient",
            "pat",
            identifier=[{"system": INS_TEST, "value": "190017505601268"}],
            name=[{"family": "Rivière"}],
        ),
        *(made("Location", f"level{at}", name=f"niveau {at}", partOf=one) for at, one in enumerate(above)),
        *(made("Observation", f"{at:04}", subject=patient, valueString=f"texte {at} " * 20) for at in range(MANY)),
    ]


@pytest.fixture(scope="module")
def small(mongo_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server with pages of five, with a database of its own."""
    environment = {"FHIR_DATABASE": "limits", "FHIR_MAX_COUNT": "5", "FHIR_DEFAULT_COUNT": "3"}
    folder = tmp_path_factory.mktemp("limits") / "data"
    with serving(folder, "--mongodb-uri", mongo_uri, env=environment) as running:
        client = running.as_("conformance")
        resources = world()
        for start in range(0, len(resources), 200):
            entries = [
                {"resource": one, "request": {"method": "PUT", "url": f"{one['resourceType']}/{one['id']}"}}
                for one in resources[start : start + 200]
            ]
            assert {one["response"]["status"] for one in batch(client, entries)} == {"201"}
        yield running


@pytest.fixture
def client(small: Served) -> httpx.Client:
    return small.as_("conformance")


def test_a_page_has_as_many_entries_as_the_operator_says(client: httpx.Client) -> None:
    assert len(keys(found(client, "Observation", TAG))) == 3
    assert len(keys(found(client, "Observation", TAG, ("_count", "4")))) == 4
    bundle = found(client, "Observation", TAG, ("_count", "6"))
    assert len(keys(bundle)) == 5
    assert [issue["expression"] for issue in outcome(bundle)] == [["http._count"]]
    assert "_count=5" in (link(bundle, "next") or "")


def test_a_page_includes_a_thousand_resources_and_says_what_it_left_out(client: httpx.Client) -> None:
    bundle = found(client, "Patient", TAG, ("_revinclude", "Observation:subject"))
    assert len(keys(bundle, "include")) == MANY - 1
    (issue,) = outcome(bundle)
    assert (issue["severity"], issue["code"], issue["expression"]) == ("warning", "incomplete", ["http._include"])
    assert bundle["total"] == 1


def test_includes_go_on_ten_times_and_say_where_they_stopped(client: httpx.Client) -> None:
    top = STEPS + 2
    bundle = found(client, "Location", TAG, ("_id", f"{WORLD}-level{top}"), ("_include:iterate", "Location:partof"))
    levels = {f"Location/{WORLD}-level{at}" for at in range(top - STEPS, top)}
    assert set(keys(bundle, "include")) == levels
    (issue,) = outcome(bundle)
    assert (issue["severity"], issue["code"]) == ("warning", "incomplete")
    whole = found(
        client, "Location", TAG, ("_id", f"{WORLD}-level{STEPS - 1}"), ("_include:iterate", "Location:partof")
    )
    assert len(keys(whole, "include")) == STEPS - 1
    assert outcome(whole) == []


def test_a_search_that_takes_too_long_is_stopped(
    small: Served, mongo_uri: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The same database behind a server that allows a millisecond."""
    environment = {"FHIR_DATABASE": "limits", "FHIR_SEARCH_TIMEOUT": "0.001"}
    folder = tmp_path_factory.mktemp("hurried") / "data"
    with serving(folder, "--mongodb-uri", mongo_uri, env=environment) as hurried:
        client = hurried.as_("conformance")
        for params in ({"value-string:contains": "absent"}, {"value-string:contains": "x", "_sort": "value-string"}):
            refused(client.get("Observation", params=params), 400, "too-costly", "stopped")
        assert client.get("metadata").status_code == 200
    client = small.as_("conformance")
    assert searchset(client.get("Observation", params={"value-string:contains": "absent"}))["total"] == 0


def test_the_chains_of_a_search_ask_only_so_many_questions(client: httpx.Client) -> None:
    """A chain over a reference to anything asks one question for each type it may lead over."""
    wide = [("subject.subject.identifier", str(number)) for number in range(12)]
    assert found(client, "Basic", *wide[:2])["total"] == 0
    told = refused(client.get("Basic", params=tuple(wide)), 400, "too-costly", "name the types in them")
    assert "500 questions" in told["diagnostics"]
    told = refused(client.get("Basic", params={"subject.subject.subject.identifier": "1"}), 400, "too-costly")
    assert "name the type of each reference" in told["diagnostics"]

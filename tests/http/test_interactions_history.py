"""History of an instance, a type and the system, page by page.

https://hl7.org/fhir/R4/http.html#history
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.answers import refused
from tests.minimal import minimal
from tests.served import FHIR_JSON, Served

VERSIONS = 23


@pytest.fixture(scope="module")
def client(served: Served) -> httpx.Client:
    return served.as_("conformance")


@pytest.fixture(scope="module")
def instance(client: httpx.Client) -> Iterator[str]:
    """A Substance with many versions."""
    created = client.post("Substance", json=minimal("Substance"), headers=FHIR_JSON).json()
    path = f"Substance/{created['id']}"
    for number in range(2, VERSIONS + 1):
        changed = {**created, "description": str(number)}
        assert client.put(path, json=changed, headers=FHIR_JSON).status_code == 200
    yield path
    client.delete(path)


def pages(client: httpx.Client, url: str, most: int = 1000) -> Iterator[dict[str, Any]]:
    """The pages, by their links alone."""
    following: str | None = url
    for _ in range(most):
        if following is None:
            return
        answer = client.get(following)
        assert answer.status_code == 200, answer.text
        page: dict[str, Any] = answer.json()
        yield page
        following = next((link["url"] for link in page["link"] if link["relation"] == "next"), None)
    raise AssertionError("the pages do not come to an end")


def versions(bundle: dict[str, Any]) -> list[str]:
    return [f"{entry['fullUrl'].rpartition('/fhir/')[2]} {entry['response']['etag']}" for entry in bundle["entry"]]


@pytest.mark.parametrize("count", [1, 5, 22, 23, 24, 1000])
def test_every_version_is_on_one_page(served: Served, client: httpx.Client, instance: str, count: int) -> None:
    found: list[str] = []
    for page in pages(client, f"{instance}/_history?_count={count}"):
        assert page["total"] == VERSIONS
        assert len(page["entry"]) <= count
        for link in page["link"]:
            assert link["url"].startswith(f"{served.base}/{instance}/_history?_count={count}")
        found += versions(page)
    assert found == [f'{instance} W/"{version}"' for version in range(VERSIONS, 0, -1)]


def test_since(client: httpx.Client, instance: str) -> None:
    every = client.get(f"{instance}/_history").json()["entry"]
    tenth = next(entry for entry in every if entry["response"]["etag"] == 'W/"10"')
    since = tenth["resource"]["meta"]["lastUpdated"]
    found = client.get(f"{instance}/_history", params={"_since": since}).json()
    assert {'W/"10"', 'W/"23"'} <= {entry["response"]["etag"] for entry in found["entry"]}
    assert len(found["entry"]) < VERSIONS
    assert client.get(f"{instance}/_history", params={"_since": "2999-01-01T00:00:00Z"}).json().get("entry", []) == []
    # a plus that the client forgot to encode is a space
    assert client.get(f"{instance}/_history?_since=2020-01-01T00:00:00+01:00").json()["total"] == VERSIONS


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("_count", "-1"),
        ("_count", "0"),
        ("_count", "abc"),
        ("_count", ""),
        ("_count", "1.5"),
        ("_count", "٣"),
        ("_since", "garbage"),
        ("_since", ""),
        ("_since", "2026-13-01"),
        ("_at", "2026"),
        ("_page", "garbage"),
        ("_page", ""),
        ("unknown", "1"),
    ],
)
@pytest.mark.parametrize("where", ["{instance}/_history", "Substance/_history", "_history"])
def test_what_a_history_does_not_take(
    client: httpx.Client, instance: str, where: str, parameter: str, value: str
) -> None:
    told = refused(client.get(where.format(instance=instance), params={parameter: value}), 400)
    assert told["expression"] == [f"http.{parameter}"]


def test_a_page_belongs_to_its_list_and_reader(served: Served, client: httpx.Client, instance: str) -> None:
    first = next(pages(client, f"{instance}/_history?_count=5"))
    following = next(link["url"] for link in first["link"] if link["relation"] == "next")
    token = following.partition("_page=")[2]
    assert client.get(following).status_code == 200
    refused(client.get(f"{instance}/_history", params={"_page": token}), 400, "invalid")
    refused(client.get("Substance/_history", params={"_count": "5", "_page": token}), 400, "invalid")
    refused(client.get("Substance", params={"_count": "5", "_page": token}), 400, "invalid")
    refused(served.as_("support").get(following), 403)


def test_of_a_type_and_of_the_system(client: httpx.Client, instance: str) -> None:
    """Newest first; everything written since, once; a deletion without its resource."""
    since = client.get("Substance/_history", params={"_count": "1"}).json()["entry"][0]["resource"]["meta"][
        "lastUpdated"
    ]
    time.sleep(0.002)
    written: list[str] = []
    for number in range(6):
        type = "Substance" if number % 2 else "Flag"
        created = client.post(type, json=minimal(type), headers=FHIR_JSON).json()
        path = f"{type}/{created['id']}"
        client.put(path, json={**created, "language": "fr"}, headers=FHIR_JSON)
        client.delete(path)
        written += [f'{path} W/"{version}"' for version in (1, 2, 3)]

    for where, kept in (("_history", ("Substance", "Flag")), ("Substance/_history", ("Substance",))):
        expected = [one for one in reversed(written) if one.startswith(kept)]
        entries = [entry for page in pages(client, f"{where}?_count=4&_since={since}") for entry in page["entry"]]
        found = versions({"entry": entries})
        assert [one for one in found if one in written] == expected
        assert len(set(found)) == len(found)
        assert all(
            entry["fullUrl"].rpartition("/fhir/")[2].partition("/")[0] in kept
            for entry in entries
            if where != "_history"
        )
        dates = [entry["response"]["lastModified"] for entry in entries]
        assert dates == sorted(dates, reverse=True)
        for entry in entries:
            assert ("resource" in entry) is (entry["request"]["method"] != "DELETE")


def test_traces_have_no_history_of_their_type(client: httpx.Client) -> None:
    refused(client.get("AuditEvent/_history"), 404, "not-found")


def test_of_what_is_not_there(client: httpx.Client) -> None:
    refused(client.get("Substance/absent/_history"), 404, "not-found")
    refused(client.get("Substance/absent/_history/1"), 404, "not-found")


@pytest.mark.parametrize("version", ["0", "01", "-1", "abc", "99", "9" * 30, "1.0", "٣", "1e0"])
def test_a_version_that_is_not_there(client: httpx.Client, instance: str, version: str) -> None:
    refused(client.get(f"{instance}/_history/{version}"), 404, "not-found")

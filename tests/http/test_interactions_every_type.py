"""Every resource type of R4 goes through its whole life over HTTP, as a conformance client.

https://hl7.org/fhir/R4/http.html
"""

from __future__ import annotations

import re
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pytest

from tests.answers import hygienic, refused
from tests.minimal import minimal, types
from tests.served import FHIR_JSON, Served

KEPT = "Consent"
"""Never deleted: it is made inactive."""
WRITTEN_BY_THE_SERVER = "AuditEvent"
EVERY_TYPE = [type for type in types() if type != WRITTEN_BY_THE_SERVER]


@pytest.mark.parametrize("type", EVERY_TYPE)
def test_the_life_of_a_resource(served: Served, type: str) -> None:
    client = served.as_("conformance")
    sent = minimal(type)

    created = client.post(type, json=sent, headers=FHIR_JSON)
    assert created.status_code == 201, created.text
    id = _is_version(created, 1, sent)
    at = f"{served.base}/{type}/{id}"
    assert created.headers["location"] == f"{at}/_history/1"

    read = client.get(f"{type}/{id}")
    assert read.status_code == 200
    assert read.json() == created.json()
    _is_version(read, 1, sent)

    changed = {**sent, "id": id, "language": "fr"}
    updated = client.put(f"{type}/{id}", json=changed, headers=FHIR_JSON)
    assert updated.status_code == 200, updated.text
    _is_version(updated, 2, {**sent, "language": "fr"})
    assert client.get(f"{type}/{id}").json() == updated.json()

    for version, stored in ((1, created), (2, updated)):
        versioned = client.get(f"{type}/{id}/_history/{version}")
        assert versioned.status_code == 200
        assert versioned.json() == stored.json()
        assert versioned.headers["etag"] == f'W/"{version}"'

    _is_history(client, at, type, [("PUT", "200", updated), ("POST", "201", created)])
    _is_found(client, type, id, updated.json())
    if type == KEPT:
        assert "DELETE" not in refused_method(client.delete(f"{type}/{id}"))
        return

    deleted = client.delete(f"{type}/{id}")
    assert (deleted.status_code, deleted.content) == (204, b"")
    assert deleted.headers["etag"] == 'W/"3"'
    hygienic(deleted)
    refused(client.get(f"{type}/{id}"), 410, "deleted")
    refused(client.get(f"{type}/{id}/_history/3"), 410, "deleted")
    _is_history(client, at, type, [("DELETE", "204", None), ("PUT", "200", updated), ("POST", "201", created)])
    assert client.get(type, params={"_id": id}).json()["total"] == 0


@pytest.mark.parametrize("type", [type for type in EVERY_TYPE if type != KEPT])
def test_a_conformance_client_chooses_the_id(served: Served, type: str) -> None:
    client = served.as_("conformance")
    sent = minimal(type, id="http-chosen.ID-1")

    created = client.put(f"{type}/{sent['id']}", json=sent, headers=FHIR_JSON)
    assert created.status_code == 201, created.text
    assert created.headers["location"] == f"{served.base}/{type}/http-chosen.ID-1/_history/1"
    assert client.delete(f"{type}/{sent['id']}").status_code == 204


def test_traces_are_written_by_the_server_alone(served: Served) -> None:
    client = served.as_("conformance")
    sent = minimal(WRITTEN_BY_THE_SERVER)
    for method, path in (("POST", "AuditEvent"), ("PUT", "AuditEvent/a"), ("PATCH", "AuditEvent/a")):
        refused_method(client.request(method, path, json=sent, headers=FHIR_JSON))
    refused_method(client.delete("AuditEvent/a"))


def refused_method(response: httpx.Response) -> str:
    """405, and what is offered instead."""
    refused(response, 405, "not-supported")
    return response.headers["allow"]


def _is_version(response: httpx.Response, version: int, sent: dict[str, Any]) -> str:
    """The body is what was sent, with id and meta, and the headers say the same; answer the id."""
    body = response.json()
    assert re.fullmatch(r"[A-Za-z0-9\-.]{1,64}", body["id"])
    assert body["meta"]["versionId"] == str(version)
    assert {name: value for name, value in body.items() if name not in ("id", "meta")} == sent
    assert response.headers["etag"] == f'W/"{version}"'
    assert response.headers["content-type"] == "application/fhir+json;charset=utf-8"
    told = datetime.fromisoformat(body["meta"]["lastUpdated"]).replace(microsecond=0)
    assert parsedate_to_datetime(response.headers["last-modified"]) == told
    hygienic(response)
    id: str = body["id"]
    return id


def _is_history(
    client: httpx.Client, at: str, type: str, expected: list[tuple[str, str, httpx.Response | None]]
) -> None:
    """https://hl7.org/fhir/R4/http.html#history: newest first, each with its request and its response."""
    history = client.get(f"{at}/_history")
    assert history.status_code == 200
    bundle = history.json()
    assert (bundle["type"], bundle["total"]) == ("history", len(expected))
    assert [link["relation"] for link in bundle["link"]] == ["self"]
    key = at.removeprefix(at[: at.index(f"/{type}/")] + "/")
    for position, (entry, (method, status, stored)) in enumerate(zip(bundle["entry"], expected, strict=True)):
        assert entry["fullUrl"] == at
        assert entry["request"] == {"method": method, "url": type if method == "POST" else key}
        assert entry["response"]["status"] == status
        assert entry["response"]["etag"] == f'W/"{len(expected) - position}"'
        if stored is None:
            assert "resource" not in entry
        else:
            assert entry["resource"] == stored.json()
            assert entry["response"]["lastModified"] == stored.json()["meta"]["lastUpdated"]


def _is_found(client: httpx.Client, type: str, id: str, resource: dict[str, Any]) -> None:
    updated = resource["meta"]["lastUpdated"]
    for asked in ({"_id": id}, {"_id": id, "_lastUpdated": f"ge{updated}"}):
        found = client.get(type, params=asked).json()
        assert (found["type"], found["total"]) == ("searchset", 1)
        (entry,) = found["entry"]
        assert entry["resource"] == resource
        assert entry["fullUrl"].endswith(f"/{type}/{id}")
        assert entry["search"] == {"mode": "match"}

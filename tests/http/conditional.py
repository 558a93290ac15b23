"""Requests on a condition, and what they are made on: resources that carry a number of a test's own."""

from __future__ import annotations

from typing import Any, Final

import httpx

from tests.conformance.own_record import OwnRecord, document
from tests.minimal import minimal
from tests.served import FHIR_JSON, JSON_PATCH

SYSTEM: Final = "https://example.org/fhir/conditional"
FRENCH: Final = [{"op": "add", "path": "/language", "value": "fr"}]


def basic(number: str, **members: Any) -> dict[str, Any]:
    return minimal("Basic", identifier=[{"system": SYSTEM, "value": number}], **members)


def numbered(record: OwnRecord, number: str, *labels: str, **members: Any) -> dict[str, Any]:
    """A document of this record that carries this number."""
    return document(record.id, *labels, identifier=[{"system": SYSTEM, "value": number}], **members)


def by(number: str, type: str = "Basic") -> str:
    return f"{type}?identifier={SYSTEM}|{number}"


def put(client: httpx.Client, url: str, body: dict[str, Any], **headers: str) -> httpx.Response:
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.put(url, json=body, headers={**FHIR_JSON, **told})


def patch(client: httpx.Client, url: str, **headers: str) -> httpx.Response:
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.patch(url, json=FRENCH, headers={**JSON_PATCH, **told})


def made(client: httpx.Client, *numbers: str) -> list[dict[str, Any]]:
    """A Basic for each number."""
    answers = [client.post("Basic", json=basic(number), headers=FHIR_JSON) for number in numbers]
    assert [one.status_code for one in answers] == [201] * len(numbers)
    return [one.json() for one in answers]


def found(client: httpx.Client, url: str) -> list[dict[str, Any]]:
    answer = client.get(url)
    assert answer.status_code == 200, answer.text
    return [entry["resource"] for entry in answer.json().get("entry", [])]

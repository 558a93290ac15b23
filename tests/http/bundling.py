"""Bundles to be carried out, and what was answered to them."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import httpx

from tests.served import FHIR_JSON


def entry(method: str, url: str, resource: Any = None, **told: Any) -> dict[str, Any]:
    """A request as an entry; ``told`` are its conditions and its ``fullUrl``."""
    full_url = told.pop("fullUrl", None)
    made: dict[str, Any] = {"request": {"method": method, "url": url, **told}}
    if resource is not None:
        made["resource"] = resource
    if full_url is not None:
        made["fullUrl"] = full_url
    return made


def urn() -> str:
    """A name for an entry."""
    return f"urn:uuid:{uuid4()}"


def send(client: httpx.Client, *entries: dict[str, Any], type: str = "transaction", **headers: str) -> httpx.Response:
    """Send a Bundle."""
    bundle = {"resourceType": "Bundle", "type": type, "entry": list(entries)}
    return client.post("", json=bundle, headers=FHIR_JSON | headers, timeout=300)


def done(client: httpx.Client, *entries: dict[str, Any], type: str = "transaction", **headers: str) -> list[Any]:
    """The entries of the answer to a Bundle that was carried out."""
    answer = send(client, *entries, type=type, **headers)
    assert answer.status_code == 200, answer.text
    bundle = answer.json()
    assert (bundle["resourceType"], bundle["type"]) == ("Bundle", f"{type}-response")
    told: list[Any] = bundle["entry"]
    assert len(told) == len(entries)
    return told


def statuses(entries: list[Any]) -> list[str]:
    """The status of each."""
    return [one["response"]["status"] for one in entries]


def key(told: Any) -> str:
    """``Type/id`` of what an entry of an answer says where it is."""
    location: str = told["response"]["location"]
    return "/".join(location.split("/")[-4:-2])

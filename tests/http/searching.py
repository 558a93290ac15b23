"""A small world to search in, and what a searchset says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import httpx

from tests.minimal import minimal
from tests.served import FHIR_JSON

STRICT: Final = {"Prefer": "handling=strict"}
INS_TEST: Final = "urn:oid:1.2.250.1.213.1.4.10"
"""The system of the INS of people who do not exist."""
TAGS: Final = "https://example.org/tags"
LOINC: Final = "http://loinc.org"
UCUM: Final = "http://unitsofmeasure.org"

Pair = tuple[str, str]


def tagged(world: str, type: str, id: str, /, **members: Any) -> dict[str, Any]:
    """A legal resource that carries the tag of its world; members that are none are left out."""
    meta = {"tag": [{"system": TAGS, "code": world}], **members.pop("meta", {})}
    resource = {**minimal(type), "id": f"{world}-{id}", "meta": meta, **members}
    return {name: value for name, value in resource.items() if value is not None}


def pointer(type: str, id: str) -> dict[str, str]:
    """A Reference."""
    return {"reference": f"{type}/{id}"}


def coded(code: str, system: str | None = None, display: str | None = None) -> dict[str, Any]:
    """A CodeableConcept of one Coding."""
    coding = {"system": system, "code": code, "display": display}
    return {"coding": [{name: value for name, value in coding.items() if value is not None}]}


def key(resource: dict[str, Any]) -> str:
    """``Type/id``."""
    return f"{resource['resourceType']}/{resource['id']}"


@contextmanager
def stored(client: httpx.Client, resources: Sequence[dict[str, Any]]) -> Iterator[None]:
    """These resources are stored, in their order, and gone at the end."""
    entries = [{"resource": one, "request": {"method": "PUT", "url": key(one)}} for one in resources]
    told = batch(client, entries)
    wrong = [(one, entries[at]) for at, one in enumerate(told) if one["response"]["status"] not in ("200", "201")]
    assert not wrong, wrong[0]
    try:
        yield
    finally:
        batch(client, [{"request": {"method": "DELETE", "url": key(one)}} for one in reversed(resources)])


def batch(client: httpx.Client, entries: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The entries of the answer to a batch."""
    answer = client.post("", json={"resourceType": "Bundle", "type": "batch", "entry": entries}, headers=FHIR_JSON)
    assert answer.status_code == 200, answer.text[:2000]
    told: list[dict[str, Any]] = answer.json()["entry"]
    return told


def found(client: httpx.Client, type: str, *pairs: Pair) -> dict[str, Any]:
    """A searchset in which nothing was left out."""
    return searchset(client.get(type, params=list(pairs), headers=STRICT))


def searchset(answer: httpx.Response) -> dict[str, Any]:
    """The Bundle that is answered to a search."""
    assert answer.status_code == 200, answer.text[:2000]
    bundle: dict[str, Any] = answer.json()
    assert (bundle["resourceType"], bundle["type"]) == ("Bundle", "searchset")
    return bundle


def keys(bundle: dict[str, Any], mode: str = "match") -> list[str]:
    """``Type/id`` of what was found, in its order."""
    return [key(entry["resource"]) for entry in bundle.get("entry", []) if entry["search"]["mode"] == mode]


def names(bundle: dict[str, Any], world: str, mode: str = "match") -> list[str]:
    """The ids of what was found, without the name of their world, in their order."""
    return [one.partition("/")[2].removeprefix(f"{world}-") for one in keys(bundle, mode)]


def link(bundle: dict[str, Any], relation: str) -> str | None:
    """The URL of a link."""
    return next((one["url"] for one in bundle["link"] if one["relation"] == relation), None)


def outcome(bundle: dict[str, Any]) -> list[dict[str, Any]]:
    """What was left out or is remarked, issue by issue."""
    told = [entry["resource"] for entry in bundle.get("entry", []) if entry["search"]["mode"] == "outcome"]
    return [issue for one in told for issue in one["issue"]]

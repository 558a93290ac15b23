"""Small code lists for tests of the terminology."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from fhir_server.terminology import Terminology
from fhir_server.terminology.catalogue import Catalogue, nothing
from fhir_server.terminology.resources import read
from fhir_server.terminology.terminology import index


def terminology_of(*resources: dict[str, Any], others: Catalogue | None = None) -> Terminology:
    """A terminology of these resources, as a folder of their files would give it, and of no others."""
    return index([read(json.dumps(each).encode()) for each in resources], others or Catalogue(nothing))


def code_system(url: str, *concepts: dict[str, Any] | str, **more: Any) -> dict[str, Any]:
    """A CodeSystem, complete unless told otherwise."""
    listed = [{"code": each} if isinstance(each, str) else each for each in concepts]
    return {"resourceType": "CodeSystem", "url": url, "content": "complete", "concept": listed, **more}


def naming_system(*uris: str, oid: str) -> dict[str, Any]:
    """A NamingSystem of several URLs and one OID."""
    names = [*({"type": "uri", "value": each} for each in uris), {"type": "oid", "value": oid}]
    return {"resourceType": "NamingSystem", "uniqueId": names}


def value_set(*include: dict[str, Any], exclude: list[dict[str, Any]] | None = None, **more: Any) -> dict[str, Any]:
    """A ValueSet with a compose."""
    compose = {"include": list(include)} | ({"exclude": exclude} if exclude else {})
    return {"resourceType": "ValueSet", "url": "https://example.org/vs", "compose": compose, **more}


def codes(system: str, *listed: str) -> dict[str, Any]:
    """An include of these codes."""
    return {"system": system, "concept": [{"code": each} for each in listed]}


def filtered(system: str, op: str, value: str, property: str = "concept", **more: Any) -> dict[str, Any]:
    """An include of one filter."""
    return {"system": system, "filter": [{"property": property, "op": op, "value": value}], **more}


def listed_one_by_one(terminology: Terminology) -> list[str]:
    """The value sets of the folder that name every code they hold: no whole system, no filter, no import."""
    held = terminology.value_sets.items()
    return [url for url, each in held if each.compose and all(part.concept for part in each.compose.include)]


def looked_up(*resources: dict[str, Any]) -> Callable[[str], dict[str, Any] | None]:
    """A look-up of these, with their version and without."""
    by_url = {each["url"]: each for each in resources}
    by_version = {f"{each['url']}|{each['version']}": each for each in resources if "version" in each}
    return (by_url | by_version).get

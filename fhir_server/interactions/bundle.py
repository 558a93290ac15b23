"""Bundles of stored resources, spliced from stored bytes: nothing is parsed or written again.

https://hl7.org/fhir/R4/bundle.html
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fhir_server.fhir import json

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


@dataclass(frozen=True, slots=True)
class Entry:
    """A resource in a searchset: its ``Type/id`` (none for an outcome), its bytes, and why it is there."""

    key: str | None
    body: bytes
    mode: str


@dataclass(frozen=True, slots=True)
class Change:
    """A version in a history: what was done, when, and the resource unless it was deleted."""

    key: str
    method: str
    status: str
    version: int
    last_modified: str
    body: bytes | None


def searchset(base_url: str, entries: Sequence[Entry], total: int | None, links: Iterable[tuple[str, str]]) -> bytes:
    """A Bundle of type searchset."""
    parts = [
        b"{%b%b,%b}"
        % (
            b'"fullUrl":%b,' % json.encode(f"{base_url}/{entry.key}") if entry.key is not None else b"",
            b'"resource":' + entry.body,
            b'"search":{"mode":"%b"}' % entry.mode.encode(),
        )
        for entry in entries
    ]
    return _bundle("searchset", parts, total, links)


def history(base_url: str, changes: Sequence[Change], total: int | None, links: Iterable[tuple[str, str]]) -> bytes:
    """A Bundle of type history, https://hl7.org/fhir/R4/http.html#history"""
    parts = []
    for change in changes:
        url = change.key if change.method != "POST" else change.key.partition("/")[0]
        request = json.encode({"method": change.method, "url": url})
        response = json.encode(
            {"status": change.status, "etag": f'W/"{change.version}"', "lastModified": change.last_modified}
        )
        resource = b'"resource":%b,' % change.body if change.body is not None else b""
        full_url = json.encode(f"{base_url}/{change.key}")
        parts.append(b'{"fullUrl":%b,%b"request":%b,"response":%b}' % (full_url, resource, request, response))
    return _bundle("history", parts, total, links)


def _bundle(type: str, parts: Sequence[bytes], total: int | None, links: Iterable[tuple[str, str]]) -> bytes:
    told = [b'{"resourceType":"Bundle","type":"%b"' % type.encode()]
    if total is not None:
        told.append(b'"total":%d' % total)
    told.append(b'"link":' + json.encode([{"relation": relation, "url": url} for relation, url in links]))
    if parts:
        told.append(b'"entry":[' + b",".join(parts) + b"]")
    return b",".join(told) + b"}"

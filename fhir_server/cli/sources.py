"""The resources in files: JSON, NDJSON, bundles, and folders of these, one after the other and never all at once.

A bundle of type collection, transaction or batch stands for its entries; every other one is a resource of its own
(https://hl7.org/fhir/R4/bundle.html). References between entries by ``urn:uuid:`` become literal ones.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from fhir_server.fhir.json import encode, join_members, members

_SUFFIXES = (".json", ".ndjson", ".jsonl")
_OF_ENTRIES = frozenset({"collection", "transaction", "batch"})
_URN = re.compile(rb'"(urn:(?:uuid|oid):[^"\\]+)"')
_ID = re.compile(r"[A-Za-z0-9.\-]{1,64}")


@dataclass(frozen=True, slots=True)
class Item:
    """A resource to send, and where it was found."""

    source: str
    type: str
    id: str | None
    body: bytes
    weight: int
    """Bytes of the file it stands for, which the progress bar counts."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A place in a file where no resource could be read."""

    source: str
    why: str
    weight: int


class _Entry(msgspec.Struct):
    resource: msgspec.Raw = msgspec.Raw()
    fullUrl: str = ""  # noqa: N815 - FHIR's name


class _Head(msgspec.Struct):
    resourceType: str  # noqa: N815 - FHIR's name
    id: str | None = None
    type: msgspec.Raw = msgspec.Raw()
    entry: msgspec.Raw = msgspec.Raw()


_head = msgspec.json.Decoder(_Head)
_entries = msgspec.json.Decoder(list[_Entry])
_text = msgspec.json.Decoder(str)


def files(paths: Iterable[Path]) -> Iterator[Path]:
    """The files named, and those in the folders named, in the order of their names."""
    for path in paths:
        if path.is_dir():
            yield from sorted(one for one in path.rglob("*") if one.suffix in _SUFFIXES and one.is_file())
        else:
            yield path


def items(file: Path) -> Iterator[Item | Unreadable]:
    """The resources of one file."""
    try:
        if file.suffix == ".json":
            body = file.read_bytes()
            yield from _split(str(file), body, len(body))
            return
        with file.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield from _split(f"{file}:{number}", line.strip(), len(line))
    except OSError as error:
        yield Unreadable(str(file), error.strerror or "cannot be read", 0)


def _split(source: str, body: bytes, weight: int) -> Iterator[Item | Unreadable]:
    try:
        head = _head.decode(body)
        if head.resourceType == "Bundle" and bytes(head.type) and _text.decode(head.type) in _OF_ENTRIES:
            entries = _entries.decode(head.entry) if bytes(head.entry) else []
            yield from _of_bundle(source, entries, weight)
            return
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        yield Unreadable(source, f"not a FHIR resource in JSON: {error}", weight)
        return
    yield Item(source, head.resourceType, head.id, body, weight)


def _of_bundle(source: str, entries: list[_Entry], weight: int) -> Iterator[Item | Unreadable]:
    share = weight // max(1, len(entries))
    read: list[tuple[str, _Head, bytes]] = []
    places: dict[bytes, bytes] = {}
    for number, entry in enumerate(entries):
        where = f"{source} entry[{number}]"
        body = bytes(entry.resource)
        if not body:
            yield Unreadable(where, "the entry holds no resource", share)
            continue
        try:
            head = _head.decode(body)
        except msgspec.DecodeError as error:
            yield Unreadable(where, f"not a FHIR resource in JSON: {error}", share)
            continue
        urn, _, last = entry.fullUrl.rpartition(":")
        if urn.startswith("urn:"):
            if head.id is None and urn == "urn:uuid" and _ID.fullmatch(last):
                head.id = last
                body = _with_id(body, last)
            if head.id is not None:
                places[entry.fullUrl.encode()] = f"{head.resourceType}/{head.id}".encode()
        read.append((where, head, body))

    def literal(found: re.Match[bytes]) -> bytes:
        return b'"' + places.get(found[1], found[1]) + b'"'

    for where, head, body in read:
        yield Item(where, head.resourceType, head.id, _URN.sub(literal, body), share)


def _with_id(body: bytes, id: str) -> bytes:
    parts = members(body)
    return join_members({"resourceType": parts.pop("resourceType"), "id": encode(id), **parts})

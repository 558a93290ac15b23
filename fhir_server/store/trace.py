"""What the trail holds: traces, the heads of their chains, the runs of their writers; and the stored form of each.

Pure. How links hang together, and what verifies them, is `audit.chain`'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

Document: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Head:
    """The last link of a chain, as somebody knows it."""

    writer: str
    seq: int
    digest: bytes


@dataclass(frozen=True, slots=True)
class Content:
    """What a trace says. It can be erased as a whole; the chain then holds by its salted hash."""

    event: bytes
    sealed: Mapping[str, Any]
    ix: Mapping[str, Any]
    """Search entries. Derived from the event, so outside the hash: a reindex may change their spelling."""
    realm: str | None = None
    agent: str | None = None
    record: str | None = None
    shown: str | None = None
    target: str | None = None
    secret: bool = False
    writes: str | None = None
    """``Type/id/version`` that this trace announces, when it goes before a write."""
    follows: str | None = None
    """The trace of a write that, as this one says, did not take place."""


@dataclass(frozen=True, slots=True)
class Trace:
    """One link of a chain. The first link of a run has no content, but names the heads of chains before it."""

    writer: str
    seq: int
    at: int
    links: tuple[Head, ...]
    content: Content | None
    salt: bytes
    hash: bytes
    """Of salt and content; empty when there never was a content."""
    previous: bytes
    digest: bytes
    erased: int | None = None
    stored_as: str = ""
    """The ``_id`` under which it was found: another than its :attr:`key` when somebody moved it."""

    @property
    def key(self) -> str:
        """The ``_id``: ``AuditEvent/<writer>-<seq>``."""
        return trace_key(self.writer, self.seq)


@dataclass(frozen=True, slots=True)
class Anchor:
    """A signed head. ``open`` are the writes announced up to here whose end the writer had not seen."""

    writer: str
    number: int
    seq: int
    digest: bytes
    at: int
    closing: bool
    open: tuple[int, ...]
    signer: str
    signature: bytes


@dataclass(frozen=True, slots=True)
class Chain:
    """A run of a writer, as the runs after it know it."""

    writer: str
    seen: int
    closed: bool


def trace_id(writer: str, seq: int) -> str:
    """The id of the AuditEvent."""
    return f"{writer}-{seq:012d}"


def trace_key(writer: str, seq: int) -> str:
    """The ``_id`` of the document: type and id, as for every resource."""
    return f"AuditEvent/{writer}-{seq:012d}"


_SCALARS: Final = ("realm", "agent", "record", "shown", "target", "writes", "follows")
CONTENT: Final = ("rt", "on", "ix", "event", "sealed", "salt", "secret", *_SCALARS)


def document(trace: Trace) -> Document:
    """The stored form. Absent values are not written: a missing field and `null` are the same to a query."""
    stored: Document = {"_id": trace.key, "writer": trace.writer, "seq": trace.seq, "at": trace.at}
    content = trace.content
    if content is not None:
        stored["rt"] = "AuditEvent"
        stored["on"] = trace.at
        for name in _SCALARS:
            value = getattr(content, name)
            if value is not None:
                stored[name] = value
        stored |= {
            "secret": content.secret,
            "ix": content.ix,
            "event": content.event,
            "sealed": content.sealed,
            "salt": trace.salt,
            "content": trace.hash,
        }
    if trace.links:
        stored["links"] = [{"writer": one.writer, "seq": one.seq, "digest": one.digest} for one in trace.links]
    stored["previous"] = trace.previous
    stored["digest"] = trace.digest
    return stored


def trace(stored: Mapping[str, Any]) -> Trace:
    """Read the stored form, the inverse of :func:`document`; what is damaged reads as absent."""
    event = stored.get("event")
    content = None
    if event is not None and stored.get("rt") == "AuditEvent" and stored.get("on") == stored.get("at"):
        content = Content(
            event=_bytes(event),
            sealed=stored.get("sealed") or {},
            ix=stored.get("ix") or {},
            secret=bool(stored.get("secret")),
            **{name: stored.get(name) for name in _SCALARS},
        )
    return Trace(
        writer=str(stored.get("writer", "")),
        seq=_int(stored.get("seq")),
        at=_int(stored.get("at")),
        links=tuple(
            Head(str(one.get("writer", "")), _int(one.get("seq")), _bytes(one.get("digest")))
            for one in stored.get("links") or ()
        ),
        content=content,
        salt=_bytes(stored.get("salt")),
        hash=_bytes(stored.get("content")),
        previous=_bytes(stored.get("previous")),
        digest=_bytes(stored.get("digest")),
        erased=stored.get("erased"),
        stored_as=str(stored["_id"]),
    )


def _bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else b""


def _int(value: object) -> int:
    return int(value) if isinstance(value, int) else -1  # BSON has integers of its own


def anchor_document(anchor: Anchor) -> Document:
    """The stored form. ``_id`` orders the heads of a run by their numbers."""
    return {
        "_id": f"{anchor.writer}-{anchor.number:012d}",
        "writer": anchor.writer,
        "number": anchor.number,
        "seq": anchor.seq,
        "digest": anchor.digest,
        "at": anchor.at,
        "closing": anchor.closing,
        "open": list(anchor.open),
        "signer": anchor.signer,
        "signature": anchor.signature,
    }


def anchor(stored: Mapping[str, Any]) -> Anchor:
    """Read the stored form, the inverse of :func:`anchor_document`."""
    return Anchor(
        writer=str(stored.get("writer", "")),
        number=_int(stored.get("number")),
        seq=_int(stored.get("seq")),
        digest=_bytes(stored.get("digest")),
        at=_int(stored.get("at")),
        closing=bool(stored.get("closing")),
        open=tuple(_int(one) for one in stored.get("open") or ()),
        signer=str(stored.get("signer", "")),
        signature=_bytes(stored.get("signature")),
    )

"""How traces hang together: each link carries the digest of the one before it.

::

    hash   = SHA-256(salt + what the trace says)            nothing when it says nothing
    digest = SHA-256(place, time, links + previous + hash)

The digest does not cover the content itself but its salted hash. When the content is erased at the end of its retention
(R-64), salt and all, the chain still verifies, and the hash tells nothing about what was erased. Search entries are
derived from the content and not part of the hash, so that they can be rebuilt.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from hashlib import sha256
from secrets import token_hex
from typing import Final

import msgspec

from fhir_server.store.trace import Content, Head, Trace

GENESIS: Final = b""
"""What the first link of a run has for a previous digest."""

_SEPARATOR: Final = b"\x00"
"""Not a character of JSON text, so parts cannot be moved across it."""

_encode = msgspec.json.Encoder(order="sorted").encode


def statement(content: Content) -> bytes:
    """What a trace says beside its event, as canonical bytes."""
    return _encode(
        (
            content.realm,
            content.agent,
            content.record,
            content.shown,
            content.target,
            content.secret,
            content.writes,
            content.follows,
            content.sealed,
        )
    )


def content_hash(salt: bytes, said: bytes, event: bytes) -> bytes:
    """The salted hash of a content: of its :func:`statement` and its event."""
    return sha256(b"".join((salt, said, _SEPARATOR, event))).digest()


def link_digest(trace: Trace) -> bytes:
    """The digest a link must carry, from what it stores."""
    return _digest(trace.previous, (trace.writer, trace.seq, trace.at), trace.links, trace.hash)


def intact(trace: Trace) -> bool:
    """Tell whether the content is the one that was hashed."""
    content = trace.content
    if content is None:
        return not trace.hash or trace.erased is not None
    try:
        said = statement(content)
    except TypeError:
        return False  # a value of a kind that is never written: somebody put it there
    return content_hash(trace.salt, said, content.event) == trace.hash


def _digest(previous: bytes, place: tuple[str, int, int], links: tuple[Head, ...], hash: bytes) -> bytes:
    placed = _encode((*place, [(one.writer, one.seq, one.digest.hex()) for one in links]))
    return sha256(b"".join((placed, _SEPARATOR, previous, _SEPARATOR, hash))).digest()


@dataclass(slots=True)
class Run:
    """The chain of one run of a writer, as far as it is acknowledged."""

    head: Head
    """``seq`` is -1 before the first link."""

    @property
    def writer(self) -> str:
        """Random: 64 bits never come twice."""
        return self.head.writer

    def advance(self, trace: Trace) -> None:
        """The link is acknowledged: the chain goes on from it."""
        self.head = Head(trace.writer, trace.seq, trace.digest)


def new_run() -> Run:
    """A chain without a link."""
    return Run(Head(token_hex(8), -1, GENESIS))


def opening(after: Head, at: int, links: tuple[Head, ...]) -> Trace:
    """The first link of a run: it says nothing, but names the heads of chains before it."""
    seq = after.seq + 1
    return Trace(
        writer=after.writer,
        seq=seq,
        at=at,
        links=links,
        content=None,
        salt=b"",
        hash=b"",
        previous=after.digest,
        digest=_digest(after.digest, (after.writer, seq, at), links, b""),
    )


def linked(after: Head, at: int, content: Content, said: bytes) -> Trace:
    """The link that follows ``after`` and says this."""
    seq = after.seq + 1
    salt = os.urandom(16)
    hash = content_hash(salt, said, content.event)
    return Trace(
        writer=after.writer,
        seq=seq,
        at=at,
        links=(),
        content=content,
        salt=salt,
        hash=hash,
        previous=after.digest,
        digest=_digest(after.digest, (after.writer, seq, at), (), hash),
    )


def head_of(trace: Trace) -> Head:
    """The link as a head."""
    return Head(trace.writer, trace.seq, trace.digest)

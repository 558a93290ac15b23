"""The bytes of Binaries, decoded, beside their bodies: small ones inline, large ones in files (`content_files`).

They come in and go out in parts, so that a content of any size costs a few megabytes of memory. Where the operator gave
a master key they are stored sealed (`sealing`), by the key of their record (`keys`). Equal large contents of one record
are stored once. The ``content`` field of a Binary's document tells all that is needed to read them:

========  ==============================================================================================================
type      the media type, as the Binary says it
size      bytes of the content
hash      tells equal contents of one record: SHA-256, keyed by the record's key where the content is sealed
sha1      as an attachment declares it; sealed, too, where the content is
inline    the bytes, up to 1 MB; else
file      the file, with `chunk`, how many bytes stand in one chunk of it
key       where it is sealed: which key did it, and
salt      what made it a key of this content alone
========  ==============================================================================================================
"""

from __future__ import annotations

import asyncio
import hashlib
from base64 import b64encode
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from bson import ObjectId
from bson.binary import Binary

from fhir_server.fhir.errors import FhirError, Unavailable
from fhir_server.store import indexes
from fhir_server.store.connection import answering
from fhir_server.store.content_files import CHUNK_BYTES, TOGETHER, ContentFiles, chunk_bytes
from fhir_server.store.sealing import ASIDE, Broken, Sealer, new_salt, tag

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Mapping

    from fhir_server.store.connection import Database, Document
    from fhir_server.store.keys import ContentKeys, Scope

INLINE_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Received:
    """A content that is stored, and no Binary's yet."""

    content: Document
    file: ObjectId | None
    """Its own file; nothing where it is inline, or shares the file of an equal one."""


class Contents:
    """Keeps and gives the bytes of Binaries."""

    def __init__(self, database: Database, keys: ContentKeys) -> None:
        """Keep them in this database."""
        self._database = database
        self._keys = keys
        self._files = ContentFiles(database)

    def within(self, database: Database) -> Contents:
        """The same, in the transaction that this database is bound to: what is kept is stored with all of it."""
        return Contents(database, self._keys.within(database))

    @asynccontextmanager
    async def keep(
        self, source: AsyncIterable[bytes] | bytes, content_type: str, scope: Scope
    ) -> AsyncIterator[Document]:
        """Store the bytes, and give the ``content`` field of the document that the body stores.

        Where the body says that nothing was written (a :class:`FhirError` other than :class:`Unavailable`) they go
        again; where nobody knows, the sweep finds out.
        """
        received = await self._receive(_parts(source) if isinstance(source, bytes) else source, content_type, scope)
        try:
            yield received.content
        except Unavailable:
            raise
        except FhirError:
            if received.file is not None:
                with suppress(Unavailable):  # then by the sweep
                    await self._files.discard(received.file)
            raise

    async def read(self, content: Mapping[str, Any], start: int = 0, stop: int | None = None) -> AsyncIterator[bytes]:
        """The bytes from ``start`` to before ``stop`` of a content that was read through the gate, in parts.

        :class:`Broken` where they are not what was stored. Of a file only the chunks that are needed are read; of a
        sealed one the last too, for it proves how long the content is.
        """
        size = int(content["size"])
        stop = size if stop is None else min(stop, size)
        if start >= stop:
            return
        sealer = await self._sealer(content)
        if "inline" in content:
            data = bytes(content["inline"])
            data = data if sealer is None else sealer.open(0, data, last=True)
            yield data[start:stop]
            return
        id, length = ObjectId(content["file"]), chunk_bytes(content)
        number, last, end = start // length, (stop - 1) // length, (size - 1) // length
        if sealer is not None and last < end:
            async for stored in self._files.chunks(id, end, end):
                sealer.open(end, stored, last=True)
        async for stored in self._files.chunks(id, number, last):
            data = stored if sealer is None else sealer.open(number, stored, last=number == end)
            if len(data) != (length if number < end else size - end * length):
                raise Broken(f"chunk {number} of the content {id} has another length")
            before = number * length
            yield data[max(start - before, 0) : stop - before]
            number += 1

    async def give(self, content: Mapping[str, Any]) -> bytes:
        """All bytes of a content that was read through the gate; for what is small enough."""
        return b"".join([part async for part in self.read(content)])

    async def sha1(self, content: Mapping[str, Any]) -> str | None:
        """The SHA-1 of a content that was read through the gate, as an attachment declares it."""
        told = content.get("sha1")
        if told is None:
            return None  # an older server did not write it down
        sealer = await self._sealer(content)
        return str(told) if sealer is None else sealer.open(ASIDE, bytes(told), last=True).decode()

    async def _sealer(self, content: Mapping[str, Any]) -> Sealer | None:
        if "key" not in content:
            return None
        return Sealer(await self._keys.named(content["key"]), bytes(content["salt"]))

    async def _receive(self, source: AsyncIterable[bytes], content_type: str, scope: Scope) -> _Received:
        sealing = await _Sealing.begun(self._keys, scope) if self._keys.seal else _Sealing()
        parts, held = aiter(source), bytearray()
        async for part in parts:
            held += part
            if len(held) > INLINE_BYTES:
                break
        else:
            data = bytes(held)
            told = sealing.told(_Digests(data))
            inline = {"inline": Binary(sealing.chunk(0, data, last=True)), "size": len(data)}
            return _Received({**told, **inline, "type": content_type}, None)
        file = await self._files.begin()
        try:
            size, length, digests = await self._write(file, held, parts, sealing)
            content = {"size": size, "type": content_type, "file": str(file), "chunk": CHUNK_BYTES}
            content |= sealing.told(digests)
            equal = await self._equal(scope, content)
            # of one that is there already the file goes, later: now it would tell by its time that it is there
            await self._files.finish(file, length, needed=equal is None)
        except BaseException:
            # who sends may be gone, and this task told to end: what was written goes first, else by the sweep
            with suppress(Unavailable):
                await asyncio.shield(self._files.discard(file))
            raise
        return _Received(content, file) if equal is None else _Received({**equal, "type": content_type}, None)

    async def _write(
        self, file: ObjectId, held: bytearray, parts: AsyncIterator[bytes], sealing: _Sealing
    ) -> tuple[int, int, _Digests]:
        """Write what is held and what still comes; answer its size, that of what is stored of it, and its digests."""
        digests, number, size, stored = _Digests(held), 0, len(held), 0
        ended = False
        while not ended:
            # the last chunk is known when nothing comes after it, so one byte more than is written is waited for
            while len(held) <= TOGETHER * CHUNK_BYTES:
                part = await anext(parts, None)
                if part is None:
                    ended = True
                    break
                digests.update(part)
                size += len(part)
                held += part
            chunks: list[bytes] = []
            while len(held) > CHUNK_BYTES or (ended and held):
                data = bytes(memoryview(held)[:CHUNK_BYTES])
                del held[:CHUNK_BYTES]
                chunks.append(sealing.chunk(number + len(chunks), data, last=ended and not held))
            await self._files.add(file, number, chunks)
            number += len(chunks)
            stored += sum(map(len, chunks))
        return size, stored, digests

    async def _equal(self, scope: Scope, content: Document) -> Document | None:
        """The same content in a file of the same record, or of the same Binary while it has none."""
        where: Document = {"content.hash": content["hash"], "content.file": {"$exists": True}}
        if scope.record is None:
            where["_id"], hint = scope.name, indexes.BY_KEY
        else:
            where |= {"record": scope.record, "rt": "Binary"}
            hint = indexes.BY_RECORD
        with answering():
            found = await self._database["resources"].find_one(where, {"content": 1}, hint=hint)
        return dict(found["content"]) if found is not None else None


class _Digests:
    """Of a content, while it comes."""

    def __init__(self, data: bytes | bytearray) -> None:
        """Of its beginning."""
        self.sha256 = hashlib.sha256(data)
        self.sha1 = hashlib.sha1(data, usedforsecurity=False)

    def update(self, data: bytes) -> None:
        """And of what comes after."""
        self.sha256.update(data)
        self.sha1.update(data)


@dataclass(frozen=True, slots=True)
class _Sealing:
    """How a content that comes in is stored: as it is, or sealed."""

    key: bytes = b""
    name: str = ""
    salt: bytes = b""
    sealer: Sealer | None = None

    @classmethod
    async def begun(cls, keys: ContentKeys, scope: Scope) -> _Sealing:
        """Sealed by the key of this scope."""
        key, salt = await keys.of(scope), new_salt()
        return cls(key, scope.name, salt, Sealer(key, salt))

    def chunk(self, number: int, data: bytes, *, last: bool) -> bytes:
        """A chunk as it is stored."""
        return data if self.sealer is None else self.sealer.seal(number, data, last=last)

    def told(self, digests: _Digests) -> Document:
        """What tells equal contents, what an attachment declares, and what must be known to open it."""
        sha1 = b64encode(digests.sha1.digest())
        if self.sealer is None:
            return {"hash": digests.sha256.hexdigest(), "sha1": sha1.decode()}
        return {
            "hash": tag(self.key, digests.sha256.digest()),
            "sha1": Binary(self.sealer.seal(ASIDE, sha1, last=True)),
            "key": self.name,
            "salt": Binary(self.salt),
        }


async def _parts(data: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(data), CHUNK_BYTES):
        yield data[start : start + CHUNK_BYTES]

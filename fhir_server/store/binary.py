"""The bytes of Binaries, decoded, beside their bodies: small ones inline, large ones in GridFS.

They are told by their SHA-256; equal large contents are stored once. The SHA-1 beside it is the one that an attachment
declares.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from typing import TYPE_CHECKING, Any, Final

from bson import ObjectId
from bson.binary import Binary
from gridfs.asynchronous import AsyncGridFSBucket

from fhir_server.store.connection import answering

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fhir_server.store.connection import Database

INLINE_BYTES: Final = 1024 * 1024


def described(data: bytes, content_type: str) -> dict[str, Any]:
    """What is told of a content beside its bytes."""
    sha1 = b64encode(hashlib.sha1(data, usedforsecurity=False).digest()).decode()
    return {"hash": hashlib.sha256(data).hexdigest(), "sha1": sha1, "size": len(data), "type": content_type}


class Contents:
    """Keeps and gives the bytes of Binaries."""

    def __init__(self, database: Database) -> None:
        """Keep them in this database."""
        self._bucket = AsyncGridFSBucket(database, bucket_name="content")

    async def keep(self, data: bytes, content_type: str) -> dict[str, Any]:
        """Store the bytes and answer the ``content`` field of the Binary's document."""
        kept = described(data, content_type)
        digest = kept["hash"]
        if len(data) <= INLINE_BYTES:
            return {**kept, "inline": Binary(data)}
        with answering():
            file = await self._find(digest) or await self._write(digest, data)
        return {**kept, "file": str(file)}

    async def give(self, content: Mapping[str, Any]) -> bytes:
        """The bytes of the ``content`` field of a Binary that was read through the gate."""
        if "inline" in content:
            return bytes(content["inline"])
        with answering():
            return await self._read(ObjectId(content["file"]))

    # What a transaction does otherwise (`store.contents_within`)

    async def _find(self, name: str) -> ObjectId | None:
        async for file in self._bucket.find({"filename": name}).limit(1):
            return ObjectId(file._id)  # noqa: SLF001 - the driver's name for the id of a file
        return None

    async def _write(self, name: str, data: bytes) -> ObjectId:
        return await self._bucket.upload_from_stream(name, data)

    async def _read(self, file: ObjectId) -> bytes:
        stream = await self._bucket.open_download_stream(file)
        return bytes(await stream.read())

"""The bytes of Binaries as one transaction keeps and gives them: what is taken back leaves nothing behind.

The driver's GridFS refuses transactions, so files and chunks are written here as it writes them
(https://www.mongodb.com/docs/manual/core/gridfs/): it reads what is stored here, and this what it stored.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from bson import ObjectId
from bson.binary import Binary

from fhir_server.store.binary import INLINE_BYTES, Contents, described
from fhir_server.store.connection import answering

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fhir_server.store.connection import Database

CHUNK_BYTES: Final = 255 * 1024
"""Of a file, as GridFS cuts it by default."""


class ContentsWithin(Contents):
    """Keeps and gives the bytes of Binaries within a transaction."""

    def __init__(self, database: Database) -> None:
        """Keep them in this database, which is that of a transaction (`store.session`)."""
        self._files = database["content.files"]
        self._chunks = database["content.chunks"]

    async def keep(self, data: bytes, content_type: str) -> dict[str, Any]:
        """Store the bytes and answer the ``content`` field of the Binary's document."""
        kept = described(data, content_type)
        digest = kept["hash"]
        if len(data) <= INLINE_BYTES:
            return {**kept, "inline": Binary(data)}
        with answering():
            known = await self._files.find_one({"filename": digest}, {"_id": 1})
            file = ObjectId() if known is None else known["_id"]
            if known is None:
                await self._write(file, digest, data)
        return {**kept, "file": str(file)}

    async def _write(self, file: ObjectId, name: str, data: bytes) -> None:
        starts = range(0, len(data), CHUNK_BYTES)
        await self._chunks.insert_many(
            [
                {"files_id": file, "n": number, "data": Binary(data[start : start + CHUNK_BYTES])}
                for number, start in enumerate(starts)
            ]
        )
        told = {"_id": file, "filename": name, "length": len(data), "chunkSize": CHUNK_BYTES}
        await self._files.insert_one({**told, "uploadDate": datetime.now(UTC)})

    async def give(self, content: Mapping[str, Any]) -> bytes:
        """The bytes of the ``content`` field of a Binary that was read through the gate."""
        if "inline" in content:
            return bytes(content["inline"])
        with answering():
            cursor = self._chunks.find({"files_id": ObjectId(content["file"])}, {"data": 1}).sort("n")
            return b"".join([bytes(chunk["data"]) for chunk in await cursor.to_list()])

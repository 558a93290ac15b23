"""The bytes of Binaries as one transaction keeps and gives them: what is taken back leaves nothing behind.

The driver's GridFS refuses transactions, so files and chunks are written here as it writes them
(https://www.mongodb.com/docs/manual/core/gridfs/): it reads what is stored here, and this what it stored.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from bson import ObjectId
from bson.binary import Binary

from fhir_server.store.binary import Contents

if TYPE_CHECKING:
    from fhir_server.store.connection import Database

CHUNK_BYTES: Final = 255 * 1024
"""Of a file, as GridFS cuts it by default."""


class ContentsWithin(Contents):
    """Keeps and gives the bytes of Binaries within a transaction."""

    def __init__(self, database: Database) -> None:
        """Keep them in this database, which is that of a transaction (`store.session`)."""
        self._files = database["content.files"]
        self._chunks = database["content.chunks"]

    async def _find(self, name: str) -> ObjectId | None:
        known = await self._files.find_one({"filename": name}, {"_id": 1})
        return None if known is None else ObjectId(known["_id"])

    async def _write(self, name: str, data: bytes) -> ObjectId:
        file = ObjectId()
        starts = range(0, len(data), CHUNK_BYTES)
        await self._chunks.insert_many(
            [
                {"files_id": file, "n": number, "data": Binary(data[start : start + CHUNK_BYTES])}
                for number, start in enumerate(starts)
            ]
        )
        told = {"_id": file, "filename": name, "length": len(data), "chunkSize": CHUNK_BYTES}
        await self._files.insert_one({**told, "uploadDate": datetime.now(UTC)})
        return file

    async def _read(self, file: ObjectId) -> bytes:
        cursor = self._chunks.find({"files_id": file}, {"data": 1}).sort("n")
        return b"".join([bytes(chunk["data"]) for chunk in await cursor.to_list()])

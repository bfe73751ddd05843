"""Seeds' archives in GridFS, read and written piece by piece."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import IO, Any

from bson import Int64, ObjectId
from gridfs import DEFAULT_CHUNK_SIZE
from gridfs.errors import NoFile
from motor.motor_asyncio import AsyncIOMotorGridFSBucket
from pymongo.errors import PyMongoError

from optio_agents.seeds.parts import PART, Cipher, Opener, Sealer
from optio_agents.seeds.threads import in_thread, to_its_end

NAME = "seed"
"""The blobs' file name."""

DELETE_ATTEMPTS = 3
DELETE_PAUSE = 0.2
"""Seconds before the second attempt to delete a blob; each further one waits twice as long."""

CLEANUP_GRACE = 5.0
"""Seconds that a step in the database, or cleaning up, gets to end once its caller was cancelled."""

_logger = logging.getLogger(__name__)


async def write_blob(
    db: Any, blob_id: ObjectId, archive: IO[bytes], *, encrypt: Cipher | None, metadata: dict[str, Any]
) -> None:
    """Store an archive, encrypted, as the blob `blob_id`. A failure leaves no part of it."""
    sealer, stored = Sealer(encrypt), _Upload(db, blob_id, metadata)
    try:
        while data := await in_thread(lambda _: archive.read(PART)):
            for piece in await _pieces(sealer.feed(data)):
                await stored.write(piece)
        for piece in await _pieces(sealer.finish()):
            await stored.write(piece)
        await stored.close()
    except BaseException:
        await to_its_end(delete_blob(db, blob_id), grace=CLEANUP_GRACE)
        raise


async def read_blob(db: Any, blob_id: ObjectId, target: IO[bytes], *, decrypt: Cipher | None) -> None:
    """Write the decrypted archive of a blob to `target`.

    Raises:
        gridfs.errors.NoFile: there is no such blob.
        SeedArchiveError: it is damaged.
        Exception: an error of `decrypt`.
    """
    opener = Opener(decrypt)
    stream: Any = await AsyncIOMotorGridFSBucket(db).open_download_stream(blob_id)
    data: bytes
    while data := await stream.read(PART):
        await in_thread(lambda _: target.writelines(opener.feed(data)))
    await in_thread(lambda _: target.writelines(opener.finish()))


async def delete_blob(db: Any, blob_id: ObjectId) -> bool:
    """Delete a blob, also a partly written one. Returns whether it is gone; a failure is logged.

    Deleting is retried a few times, because a remaining blob is a copy of a user's credentials.
    """
    pause = DELETE_PAUSE
    for attempt in range(DELETE_ATTEMPTS):
        if attempt:
            await asyncio.sleep(pause)
            pause *= 2
        try:
            await AsyncIOMotorGridFSBucket(db).delete(blob_id)
        except NoFile:
            return True  # its chunks, if it had any, were deleted before this was raised
        except PyMongoError as error:
            _logger.warning("a seed's blob %s could not be deleted: %r", blob_id, error)
        else:
            return True
    return False


class _Upload:
    """Writes one file of GridFS (the driver's specification of its documents, with the default chunk size).

    The driver's own writer collects 48 MB of chunks before it sends any of them, which takes 100 MB for each upload.
    """

    def __init__(self, db: Any, blob_id: ObjectId, metadata: dict[str, Any]) -> None:
        self._files = db["fs.files"]
        self._chunks = db["fs.chunks"]
        self._file = {
            "_id": blob_id,
            "filename": NAME,
            "metadata": metadata,
            "chunkSize": DEFAULT_CHUNK_SIZE,
        }
        self._held = bytearray()
        self._written = 0
        self._count = 0

    async def write(self, data: bytes) -> None:
        """Add data; store the complete chunks."""
        self._held += data
        whole = len(self._held) - len(self._held) % DEFAULT_CHUNK_SIZE
        await self._store(whole)

    async def close(self) -> None:
        """Store the rest; the file exists from now on."""
        await self._store(len(self._held))
        # The driver makes these indexes, too, with the first file of a database.
        await self._files.create_index([("filename", 1), ("uploadDate", 1)])
        await self._chunks.create_index([("files_id", 1), ("n", 1)], unique=True)
        file = {**self._file, "length": Int64(self._written), "uploadDate": datetime.now(UTC)}
        await to_its_end(self._files.insert_one(file), grace=CLEANUP_GRACE)

    async def _store(self, size: int) -> None:
        chunks = []
        for start in range(0, size, DEFAULT_CHUNK_SIZE):
            data = bytes(self._held[start : min(start + DEFAULT_CHUNK_SIZE, size)])
            chunks.append({"files_id": self._file["_id"], "n": self._count, "data": data})
            self._count += 1
        if chunks:
            del self._held[:size]
            self._written += size
            await to_its_end(self._chunks.insert_many(chunks), grace=CLEANUP_GRACE)


async def _pieces(work: Iterable[bytes]) -> list[bytes]:
    """The pieces that a sealer yields, made in a thread."""
    return await in_thread(lambda _: list(work))

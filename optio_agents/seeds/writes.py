"""Replacing a seed's blob: compare and swap, and a record of every blob that is being written.

A refresh stores the new blob, points the document to it, and deletes the old blob. Before the first of these it writes
a record of both blobs to the collection `<prefix><suffix>_writes`, which is removed after the last one:

    recorded ──new blob stored──→ stored ──document changed──→ swapped ──old blob deleted──→ record removed
        └──────────────┴─failure, or another writer was faster─→ new blob deleted ─────────────┘

Motor works in threads, in which a cancelled coroutine continues. Each step is therefore awaited to its end; otherwise
the cleanup could overtake it.

A worker that dies in between leaves its record. A later write finds the record when it is older than any write may
take, and deletes the blobs to which no document points. So credentials never remain in a blob without a record.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import IO, Any

from bson import ObjectId

from optio_agents.seeds.blobs import CLEANUP_GRACE, delete_blob, write_blob
from optio_agents.seeds.documents import object_id, seeds_of, unknown
from optio_agents.seeds.errors import SeedChanged
from optio_agents.seeds.leases import check_lease, may_write
from optio_agents.seeds.parts import Cipher
from optio_agents.seeds.threads import to_its_end

WRITE_SECONDS = 30 * 60.0
"""The longest that storing one blob may take."""

SWEEP_SECONDS = 60 * 60.0
"""Records older than this belong to writes that were cut off: well above `WRITE_SECONDS`."""

_logger = logging.getLogger(__name__)


async def update_seed_blob(db: Any, *, prefix: str, suffix: str, seed_id: str, new_blob_id: ObjectId) -> None:
    """Point the seed to another blob.

    A blob from `recorded_blob` is used only if the seed still has the blob that it replaces, and if the holder in the
    record still has the lease.

    Raises:
        KeyError: the seed no longer exists (recorded blobs only).
        LeaseLost: another holder has the lease by now.
    """
    oid = object_id(seed_id)
    if oid is None:
        raise unknown(seed_id)
    record = await _writes_of(db, prefix, suffix).find_one({"_id": new_blob_id})
    condition: dict[str, Any] = {"_id": oid}
    if record is not None:
        condition |= {"blobId": record["replaces"], **may_write(record["holder"])}
    done = await seeds_of(db, prefix, suffix).update_one(
        condition, [{"$set": {"blobId": new_blob_id, "updatedAt": "$$NOW"}}]
    )
    if record is None or done.matched_count:
        return
    document = await seeds_of(db, prefix, suffix).find_one({"_id": oid})
    if document is None:
        raise unknown(seed_id)
    check_lease(document, record["holder"])
    raise SeedChanged(seed_id)


@asynccontextmanager
async def recorded_blob(
    db: Any, prefix: str, suffix: str, *, replaces: ObjectId | None = None, holder: str | None = None
) -> AsyncIterator[ObjectId]:
    """The id for a new blob, recorded while the block runs.

    If the block succeeds, `replaces` is deleted; if it fails, the new blob is. If deleting fails, the record stays, and
    a later write deletes the blob.
    """
    await sweep_blobs(db, prefix=prefix, suffix=suffix)
    blob_id = ObjectId()
    try:
        await to_its_end(
            record_write(db, prefix, suffix, blob_id, replaces=replaces, holder=holder), grace=CLEANUP_GRACE
        )
        async with asyncio.timeout(WRITE_SECONDS):
            yield blob_id
    finally:
        # Decide by the documents: if the block raised, its last step may still have succeeded with a lost reply.
        await to_its_end(settle_write(db, prefix, suffix, blob_id, replaces), grace=CLEANUP_GRACE)


async def store_recorded(
    db: Any, blob_id: ObjectId, archive: IO[bytes], *, encrypt: Cipher | None, metadata: dict[str, Any]
) -> None:
    """Store the archive as the recorded blob, from the start of the file."""
    archive.seek(0)
    await write_blob(db, blob_id, archive, encrypt=encrypt, metadata=metadata)


async def record_write(
    db: Any,
    prefix: str,
    suffix: str,
    blob_id: ObjectId,
    *,
    replaces: ObjectId | None = None,
    holder: str | None = None,
) -> None:
    """Record a blob that is about to be written, or to be deleted."""
    fields = {"at": "$$NOW", "replaces": replaces, "holder": {"$literal": holder}}
    await _writes_of(db, prefix, suffix).update_one({"_id": blob_id}, [{"$set": fields}], upsert=True)


async def sweep_blobs(db: Any, *, prefix: str, suffix: str, older_than: float = SWEEP_SECONDS) -> int:
    """Delete the blobs that writes older than `older_than` seconds left behind. Every write does this first.

    Returns:
        The number of those writes that were settled.
    """
    age = {"$subtract": ["$$NOW", "$at"]}
    settled = 0
    async for record in _writes_of(db, prefix, suffix).find({"$expr": {"$gte": [age, older_than * 1000]}}):
        _logger.warning("a write of seeds in %s was cut off; it is cleaned up now", prefix + suffix)
        settled += await settle_write(db, prefix, suffix, record["_id"], record["replaces"])
    return settled


async def settle_write(
    db: Any, prefix: str, suffix: str, blob_id: ObjectId, replaces: ObjectId | None = None
) -> bool:
    """Delete the blobs of a write to which no document points, then its record. Returns whether all that succeeded."""
    blobs = [each for each in (blob_id, replaces) if each is not None]
    used = await seeds_of(db, prefix, suffix).distinct("blobId", {"blobId": {"$in": blobs}})
    gone = [await delete_blob(db, each) for each in blobs if each not in used]
    if all(gone):
        await _writes_of(db, prefix, suffix).delete_one({"_id": blob_id})
    return all(gone)


def _writes_of(db: Any, prefix: str, suffix: str) -> Any:
    return db[f"{prefix}{suffix}_writes"]

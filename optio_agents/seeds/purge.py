"""Removing a seed and its credentials."""

from __future__ import annotations

from typing import Any

from optio_agents import seeds
from optio_agents.seeds.blobs import CLEANUP_GRACE
from optio_agents.seeds.documents import unknown
from optio_agents.seeds.errors import SeedArchiveError
from optio_agents.seeds.threads import to_its_end
from optio_agents.seeds.writes import record_write, settle_write, sweep_blobs


async def purge_seed(db: Any, *, prefix: str, suffix: str, seed_id: str) -> None:
    """Delete a seed and its archive. A refresh in progress fails with `KeyError` and stores nothing.

    Raises:
        KeyError: there is no such seed.
        SeedArchiveError: the seed is gone, but its archive could not be deleted yet. The text has the blob's id. The
            blob is recorded, and a later write deletes it.
    """
    await sweep_blobs(db, prefix=prefix, suffix=suffix)
    document = await seeds.load_seed(db, prefix=prefix, suffix=suffix, seed_id=seed_id)
    if document is None:
        raise unknown(seed_id)
    await to_its_end(_purge(db, prefix, suffix, seed_id, document.get("blobId")), grace=CLEANUP_GRACE)


async def _purge(db: Any, prefix: str, suffix: str, seed_id: str, blob_id: Any) -> None:
    """Record the blob first: if the worker dies in here, no credentials remain without a record."""
    if blob_id is not None:
        await record_write(db, prefix, suffix, blob_id)
    deleted = await seeds.delete_seed(db, prefix=prefix, suffix=suffix, seed_id=seed_id)
    if deleted not in (None, blob_id):  # refreshed just now
        await record_write(db, prefix, suffix, deleted)
    for each in {blob_id, deleted} - {None}:
        if not await settle_write(db, prefix, suffix, each):
            raise SeedArchiveError(
                f"seed {seed_id} is purged, but its blob {each} could not be deleted yet; a later write deletes it"
            )

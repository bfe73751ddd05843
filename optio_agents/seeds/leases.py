"""Leases: a pooled seed is used by one holder at a time.

All times are the database server's, so workers whose clocks differ agree. A holder renews its lease well before it
expires; a lease that expired may be taken by another holder, and the former one learns of that when it renews.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

from pymongo import ReturnDocument

from optio_agents.seeds.documents import DEAD, index_pools, object_id, seeds_of
from optio_agents.seeds.errors import LeaseLost

LEASE_TTL_SECONDS = 60
"""How long a lease lasts after `acquire` or `renew_lease`."""

_MILLISECONDS = 1000

Holders = dict[tuple[str, str, str], str]
_held: ContextVar[Holders | None] = ContextVar("seeds leased by this task", default=None)
_held_here: Holders = {}
"""The holder that last leased or renewed each seed in this process and did not release it, for all other tasks."""

HELD_LIMIT = 10_000
"""Of how many seeds that is remembered."""


async def acquire(db: Any, *, prefix: str, suffix: str, poolKey: str, holder: str) -> str | None:  # noqa: N803 - published
    """Lease a free seed of the pool `poolKey` that is not dead: the one that was unused for the longest time.

    The lease is noted for the calling task and for tasks that it starts later, and for all others of this process until
    it is released: `refresh_seed` and `overwrite_seed_member` refuse to write when another holder has the lease.

    Returns:
        The seed's id; `None` when no seed is free.
    """
    await index_pools(db, prefix, suffix)
    is_free = {
        "$or": [
            {"lease": None},
            {"lease.expiresAt": {"$exists": False}},
            {"$expr": {"$lte": ["$lease.expiresAt", "$$NOW"]}},
        ]
    }
    found = await seeds_of(db, prefix, suffix).find_one_and_update(
        {"poolKey": poolKey, "status": {"$ne": DEAD}, **is_free},
        [{"$set": {"lease": _lease(holder), "lastLeasedAt": "$$NOW", "lastHolder": {"$literal": holder}}}],
        projection={"_id": 1},
        sort=[("lastLeasedAt", 1), ("_id", 1)],
        return_document=ReturnDocument.AFTER,
    )
    if found is None:
        return None
    seed_id = str(found["_id"])
    key = _key(db, prefix, suffix, seed_id)
    _held.set({**(_held.get() or {}), key: holder})
    _note_here(key, holder)
    return seed_id


async def renew_lease(db: Any, *, prefix: str, suffix: str, seed_id: str, holder: str) -> bool:
    """Extend the lease to `LEASE_TTL_SECONDS` from now, also if it expired and is still free.

    Returns:
        `False` if the lease is lost: the holder must stop using the seed.
    """
    oid = object_id(seed_id)
    if oid is None:
        return False
    done = await seeds_of(db, prefix, suffix).update_one(
        {"_id": oid, "lease.holder": holder}, [{"$set": {"lease": _lease(holder)}}]
    )
    if done.matched_count:
        _note_here(_key(db, prefix, suffix, seed_id), holder)
    return bool(done.matched_count)


async def release(db: Any, *, prefix: str, suffix: str, seed_id: str, holder: str) -> None:
    """Release the seed. A lease that another holder has by now is not changed."""
    oid = object_id(seed_id)
    if oid is not None:
        key = _key(db, prefix, suffix, seed_id)
        if _held_here.get(key) == holder:
            del _held_here[key]
        await seeds_of(db, prefix, suffix).update_one(
            {"_id": oid, "lease.holder": holder}, {"$set": {"lease": None}}
        )


async def reap_expired_leases(db: Any, *, prefix: str, suffix: str) -> int:
    """Clear expired leases; returns their number. This is optional: `acquire` takes expired ones, too."""
    done = await seeds_of(db, prefix, suffix).update_many(
        {"lease.holder": {"$exists": True}, "$expr": {"$lte": ["$lease.expiresAt", "$$NOW"]}},
        {"$set": {"lease": None}},
    )
    return int(done.modified_count)


def may_write(holder: str | None) -> dict[str, Any]:
    """The condition on a seed's document under which `holder` may replace its archive. `None` always may.

    The holder has the lease, expired or not, or has released it and no other holder has leased the seed since.
    """
    if holder is None:
        return {}
    return {"$or": [{"lease.holder": holder}, {"lease": None, "lastHolder": {"$in": [holder, None]}}]}


def check_lease(document: dict[str, Any], holder: str | None) -> None:
    """Raise `LeaseLost` unless `may_write` holds for the document."""
    lease = document.get("lease")
    held_by = document.get("lastHolder", holder) if lease is None else lease.get("holder")
    if holder is not None and held_by != holder:
        raise LeaseLost(
            f"seed {document['_id']} is leased by {held_by!r}, no longer by {holder!r}: it was left as it is"
        )


def holder_here(db: Any, prefix: str, suffix: str, seed_id: str) -> str | None:
    """The holder name with which this task, one that started it, or else another one of this process has the seed.

    `None`: no task of this process acquired it, or it was released.
    """
    key = _key(db, prefix, suffix, seed_id)
    return (_held.get() or {}).get(key) or _held_here.get(key)


def _note_here(key: tuple[str, str, str], holder: str) -> None:
    _held_here.pop(key, None)
    _held_here[key] = holder
    while len(_held_here) > HELD_LIMIT:
        del _held_here[next(iter(_held_here))]


def _key(db: Any, prefix: str, suffix: str, seed_id: str) -> tuple[str, str, str]:
    return db.name, prefix + suffix, seed_id


def _lease(holder: str) -> dict[str, Any]:
    ends = {"$add": ["$$NOW", LEASE_TTL_SECONDS * _MILLISECONDS]}
    return {"holder": {"$literal": holder}, "expiresAt": ends}

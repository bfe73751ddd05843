"""A seed's document.

```
_id            the seed's id; functions take and return it as a string
createdAt, updatedAt                when it was made, and last changed (leases aside)
blobId         its archive in GridFS (the default bucket)
manifestVersion
poolKey, status ("alive" when absent, or "dead"), metadata
lease          {holder, expiresAt} or null; lastLeasedAt, lastHolder
lastRefreshedAt, lastVerifiedAt     written by agent packages
```

The collection's name is `prefix + suffix`: the prefix of the optio instance, the suffix of the agent package.
A malformed or unknown id has no effect and is logged, because it is an error of the caller.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any

from bson import ObjectId
from bson.errors import InvalidId
from pymongo.errors import OperationFailure

STATUSES = ("alive", "dead")
DEAD = "dead"

_logger = logging.getLogger(__name__)
_indexed: set[tuple[str, str]] = set()


def seeds_of(db: Any, prefix: str, suffix: str) -> Any:
    """The collection."""
    return db[prefix + suffix]


def object_id(seed_id: str) -> ObjectId | None:
    """The id as an `ObjectId`; `None` if it is malformed."""
    try:
        return ObjectId(seed_id)
    except (InvalidId, TypeError):
        return None


async def insert_seed(db: Any, *, prefix: str, suffix: str, blob_id: ObjectId, manifest_version: int) -> str:
    """Make a seed of a stored archive; returns its id."""
    document = {"createdAt": datetime.now(UTC), "blobId": blob_id, "manifestVersion": manifest_version}
    done = await seeds_of(db, prefix, suffix).insert_one(document)
    return str(done.inserted_id)


async def load_seed(db: Any, *, prefix: str, suffix: str, seed_id: str) -> dict[str, Any] | None:
    """The seed's document; `None` if there is none."""
    oid = object_id(seed_id)
    return None if oid is None else await seeds_of(db, prefix, suffix).find_one({"_id": oid})


async def existing_seed(db: Any, prefix: str, suffix: str, seed_id: str) -> dict[str, Any]:
    """The seed's document.

    Raises:
        KeyError: there is none.
    """
    document = await load_seed(db, prefix=prefix, suffix=suffix, seed_id=seed_id)
    if document is None:
        raise unknown(seed_id)
    return document


def unknown(seed_id: str) -> KeyError:
    """The exception for an unknown seed."""
    return KeyError(f"unknown seed_id: {seed_id!r}")


async def delete_seed(db: Any, *, prefix: str, suffix: str, seed_id: str) -> ObjectId | None:
    """Delete the document only; returns the id of its archive, which the caller deletes. `None` if there is none."""
    oid = object_id(seed_id)
    deleted = None if oid is None else await seeds_of(db, prefix, suffix).find_one_and_delete({"_id": oid})
    return None if deleted is None else deleted.get("blobId")


async def list_seeds(db: Any, *, prefix: str, suffix: str) -> list[dict[str, Any]]:
    """All seeds, the oldest first, as `{"seedId", "createdAt"}`."""
    found = seeds_of(db, prefix, suffix).find({}, {"createdAt": 1}).sort([("createdAt", 1), ("_id", 1)])
    return [{"seedId": str(each["_id"]), "createdAt": each.get("createdAt")} async for each in found]


async def mark_seed_status(db: Any, *, prefix: str, suffix: str, seed_id: str, status: str) -> None:
    """Set whether the seed's credentials still work. A dead seed is never leased.

    Raises:
        ValueError: `status` is neither `"alive"` nor `"dead"`.
    """
    if status not in STATUSES:
        raise ValueError(f'a seed\'s status is "alive" or "dead", not {status!r}')
    await _set(db, prefix, suffix, seed_id, {"status": status})


async def assign_to_pool(db: Any, *, prefix: str, suffix: str, seed_id: str, poolKey: str) -> None:  # noqa: N803 - published
    """Put the seed into the pool `poolKey` (and out of the one it was in)."""
    await index_pools(db, prefix, suffix)
    await _set(db, prefix, suffix, seed_id, {"poolKey": poolKey})


async def declare_metadata(
    db: Any, *, prefix: str, suffix: str, seed_id: str, metadata: dict[str, Any]
) -> None:
    """Set the given keys of the seed's metadata; other keys stay unchanged.

    Raises:
        ValueError: a key is empty, begins with `$` or contains a NUL.
        TypeError: a key is not a string.
    """
    for key in metadata:
        if not isinstance(key, str):
            raise TypeError(f"a metadata key is a string, not {key!r}")
        if not key or key.startswith("$") or "\0" in key:
            raise ValueError(f"a metadata key must not be empty, begin with '$' or hold a NUL: {key!r}")
    # An update path would read a dot in a key as a step down. A literal has no paths.
    merged = {"$mergeObjects": [{"$ifNull": ["$metadata", {}]}, {"$literal": metadata}]}
    await _set(db, prefix, suffix, seed_id, {"metadata": merged}, literal=False)


async def list_pool(db: Any, *, prefix: str, suffix: str, poolKey: str) -> list[dict[str, Any]]:  # noqa: N803
    """The pool's seeds, the oldest first.

    Each has `seedId`, `status`, `leased` (by the server's clock), `lastRefreshedAt` (else `updatedAt`),
    `lastVerifiedAt`, `createdAt` and `metadata`.
    """
    leased = {
        "$and": [{"$ne": [{"$ifNull": ["$lease", None]}, None]}, {"$gt": ["$lease.expiresAt", "$$NOW"]}]
    }
    stages: list[dict[str, Any]] = [
        {"$match": {"poolKey": poolKey}},
        {"$sort": {"createdAt": 1, "_id": 1}},
        {"$set": {"leased": leased}},
    ]
    return [
        {
            "seedId": str(each["_id"]),
            "status": each.get("status", "alive"),
            "leased": each["leased"],
            "lastRefreshedAt": each.get("lastRefreshedAt") or each.get("updatedAt"),
            "lastVerifiedAt": each.get("lastVerifiedAt"),
            "createdAt": each.get("createdAt"),
            "metadata": each.get("metadata") or {},
        }
        async for each in seeds_of(db, prefix, suffix).aggregate(stages)
    ]


async def index_pools(db: Any, prefix: str, suffix: str) -> None:
    """Make the index that leasing uses, unless it exists. Runs once for each collection and worker."""
    name = (db.name, prefix + suffix)
    if name not in _indexed:
        _indexed.add(name)
        try:
            await seeds_of(db, prefix, suffix).create_index([("poolKey", 1), ("lastLeasedAt", 1)])
        except OperationFailure as error:  # leasing is slower without it
            _logger.warning("the pools in %s could not be indexed: %s", prefix + suffix, error)


async def _set(
    db: Any, prefix: str, suffix: str, seed_id: str, fields: dict[str, Any], *, literal: bool = True
) -> None:
    oid = object_id(seed_id)
    values = {name: {"$literal": value} if literal else value for name, value in fields.items()}
    update = [{"$set": {**values, "updatedAt": "$$NOW"}}]
    done = None if oid is None else await seeds_of(db, prefix, suffix).update_one({"_id": oid}, update)
    if done is None or done.matched_count == 0:
        _logger.warning("nothing was changed: there is no seed %r in %s", seed_id, prefix + suffix)

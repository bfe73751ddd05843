"""The lease of a worker on a database and prefix: optio-core supports one worker for each, and does not enforce it.

A second worker would mark the running tasks of the first as failed when it starts, and launch them again. So a worker
holds a lease, one document in the database, for as long as it works:

    async with worker_lease(database, "optio") as lease:
        optio = Optio()
        await optio.init(mongo_db=database, prefix="optio", ...)
        ...

The lease is renewed periodically and expires when its worker has died. The clock is the database's. A worker that was
killed on this machine is recognised at once, by its pid and the start time of its process.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError, PyMongoError

from optio_agents.hosts.processes.snapshot import read_entry

LEASE_SECONDS = 20.0
"""Seconds until a lease expires if it is not renewed. The lease of a worker killed on another machine is free then."""

RENEW_SECONDS = 5.0
"""Seconds between renewals. While the database cannot be reached, no other worker can take the lease either."""

_ID = "worker"
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)

_logger = logging.getLogger("optio_agents.worker")


@dataclass(frozen=True, slots=True)
class LeaseHolder:
    """Which worker holds a lease."""

    host: str
    pid: int
    machine: str
    """The running kernel and its pid namespace: `pid` is only valid there."""
    started: int
    """The start time of the process, in clock ticks since boot: it differs for a later process with the same pid."""
    token: str
    since: datetime | None = None
    """When it got the lease, by the database's clock (UTC)."""

    @classmethod
    def this_process(cls) -> LeaseHolder:
        """The holder that this process would be."""
        pid = os.getpid()
        return cls(socket.gethostname(), pid, _machine(), _started(pid) or 0, secrets.token_hex(8))

    @classmethod
    def of(cls, document: dict[str, Any]) -> LeaseHolder:
        """The holder in a document."""
        return cls(
            host=str(document.get("host", "an unknown host")),
            pid=int(document.get("pid", 0)),
            machine=str(document.get("machine", "")),
            started=int(document.get("started", 0)),
            token=str(document.get("token", "")),
            since=document.get("since"),
        )

    @property
    def is_dead(self) -> bool:
        """Whether it is known to have ended: it ran on this machine, and there is no such process any more."""
        return self.machine == _machine() and _started(self.pid) != self.started

    def __str__(self) -> str:
        since = f" since {self.since:%Y-%m-%d %H:%M:%S} UTC" if self.since is not None else ""
        return f"pid {self.pid} on {self.host}{since}"


class LeaseHeld(Exception):  # noqa: N818 - named for what is the matter
    """Another worker holds the lease: the configuration's fault. `holder` is that worker."""

    def __init__(self, database: str, prefix: str, holder: LeaseHolder) -> None:
        self.holder = holder
        super().__init__(
            f"another worker already works on prefix {prefix!r} of database {database!r}: {holder}. A prefix has one "
            "worker. End that one first; to run several, give each a prefix of its own"
        )


class Lease:
    """A lease that is held. `lost` is set when another worker has taken it: this worker must end then."""

    def __init__(self, collection: Any, holder: LeaseHolder) -> None:
        self._collection = collection
        self.holder = holder
        self.lost = asyncio.Event()

    async def renew_until_lost(self) -> None:
        """Renew it until another worker has taken it."""
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            try:
                if not await self._renew():
                    break
            except PyMongoError as error:
                _logger.warning(
                    "the worker's lease could not be renewed, trying again: %s", _first_line(error)
                )
        _logger.error("another worker has taken the lease of %s", self.holder)
        self.lost.set()

    async def _renew(self) -> bool:
        renewed = await self._collection.update_one(
            {"_id": _ID, "token": self.holder.token}, [{"$set": {"expires": _in_seconds(LEASE_SECONDS)}}]
        )
        return bool(renewed.matched_count)

    async def release(self) -> None:
        """Release it. If the database cannot be reached, it expires."""
        try:
            async with asyncio.timeout(RENEW_SECONDS):
                await self._collection.delete_one({"_id": _ID, "token": self.holder.token})
        except (PyMongoError, TimeoutError) as error:
            _logger.warning("the worker's lease could not be given back: %s", _first_line(error))


async def check_prefix_is_free(database: Any, prefix: str) -> None:
    """Look whether another worker holds the lease, before anything slow is begun. Only `worker_lease` decides.

    Args:
        database: motor's.
        prefix: as for `worker_lease`.

    Raises:
        LeaseHeld: another worker has it.
        PyMongoError: the database cannot be reached.
    """
    held = {"_id": _ID, "$expr": {"$gte": ["$expires", "$$NOW"]}}
    document = await database[f"{prefix}_worker_lease"].find_one(held)
    if document is not None and not (holder := LeaseHolder.of(document)).is_dead:
        raise LeaseHeld(database.name, prefix, holder)


@asynccontextmanager
async def worker_lease(database: Any, prefix: str) -> AsyncIterator[Lease]:
    """Hold the lease on `prefix` of `database` while the block runs.

    Args:
        database: motor's, the one that `Optio.init` is given.
        prefix: the same as for `Optio.init`.

    Raises:
        LeaseHeld: another worker has it.
        PyMongoError: the database cannot be reached.
    """
    collection = database[f"{prefix}_worker_lease"]
    holder = LeaseHolder.this_process()
    other = await _take(collection, holder)
    if other is not None and other.is_dead:
        await collection.delete_one({"_id": _ID, "token": other.token})
        other = await _take(collection, holder)
    if other is not None:
        raise LeaseHeld(database.name, prefix, other)
    lease = Lease(collection, holder)
    renewing = asyncio.create_task(lease.renew_until_lost(), name="worker lease")
    try:
        yield lease
    finally:
        renewing.cancel()
        await asyncio.wait({renewing})
        await lease.release()


async def _take(collection: Any, holder: LeaseHolder) -> LeaseHolder | None:
    """Take the lease if it is free; else return who holds it."""
    mine = {
        "_id": _ID,
        "host": {"$literal": holder.host},
        "pid": holder.pid,
        "machine": {"$literal": holder.machine},
        "started": holder.started,
        "token": {"$literal": holder.token},
        "since": "$$NOW",
        "expires": _in_seconds(LEASE_SECONDS),
    }
    free = {"$lt": [{"$ifNull": ["$expires", _LONG_AGO]}, "$$NOW"]}
    while True:
        try:
            document = await collection.find_one_and_update(
                {"_id": _ID},
                [{"$replaceWith": {"$cond": [free, mine, "$$ROOT"]}}],
                upsert=True,
                return_document=ReturnDocument.AFTER,
            )
        except DuplicateKeyError:
            continue  # another worker has made the document at the same time
        found = LeaseHolder.of(document)
        return None if found.token == holder.token else found


def _in_seconds(seconds: float) -> dict[str, Any]:
    return {"$add": ["$$NOW", int(seconds * 1000)]}


def _machine() -> str:
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot} {os.readlink('/proc/self/ns/pid')}"


def _started(pid: int) -> int | None:
    try:
        entry = read_entry(pid)
    except (OSError, ValueError):
        return None
    return None if entry.dead else entry.started


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:200]

"""An optio worker inside a test, on a real MongoDB."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from motor.motor_asyncio import AsyncIOMotorClient
from optio_core.lifecycle import Optio
from optio_core.models import TaskInstance

PREFIX = "test"
HANG = 90.0
ENDED = ("done", "failed", "cancelled")


class Worker:
    """What a test asks of a running worker and of its database."""

    def __init__(self, optio: Optio, database: Any, prefix: str = PREFIX) -> None:
        self.optio = optio
        self.database = database
        self.prefix = prefix

    async def launch(self, process_id: str, *, resume: bool = False) -> None:
        """Launch a process, and wait until the database shows that."""
        before = (await self.row(process_id))["status"]
        outcome = await self.optio.launch(process_id, resume=resume, session_id=None)
        assert outcome.ok, outcome
        async with asyncio.timeout(HANG):
            while (await self.row(process_id))["status"] == before:
                await asyncio.sleep(0.01)

    async def row(self, process_id: str) -> dict[str, Any]:
        """What the database holds of a process."""
        row: dict[str, Any] | None = await self.database[f"{self.prefix}_processes"].find_one(
            {"processId": process_id}
        )
        assert row is not None
        return row

    async def state(self, process_id: str) -> str:
        return str((await self.row(process_id))["status"]["state"])

    async def until_state(self, process_id: str, *states: str) -> dict[str, Any]:
        """Wait for a state in the database, and return the row."""
        async with asyncio.timeout(HANG):
            while (row := await self.row(process_id))["status"]["state"] not in states:
                await asyncio.sleep(0.02)
        return row

    async def run(self, process_id: str, *, resume: bool = False) -> dict[str, Any]:
        """Launch a process and wait for its end."""
        await self.launch(process_id, resume=resume)
        return await self.until_state(process_id, *ENDED)

    async def log(self, process_id: str) -> list[str]:
        return [entry["message"] for entry in (await self.row(process_id)).get("log", [])]

    async def until_logged(self, process_id: str, text: str) -> None:
        """Wait until a line of the process's log holds `text`."""
        async with asyncio.timeout(HANG):
            while not any(text in line for line in await self.log(process_id)):
                await asyncio.sleep(0.02)

    async def blobs(self, process_id: str) -> dict[str, bytes]:
        """Every blob that the process has stored, by name; the newest of each name."""
        from motor.motor_asyncio import AsyncIOMotorGridFSBucket

        oid = str((await self.row(process_id))["_id"])
        bucket = AsyncIOMotorGridFSBucket(self.database)
        blobs: dict[str, bytes] = {}
        async for stored in bucket.find({"metadata.processId": oid}).sort("uploadDate", 1):
            blobs[stored.filename] = await (await bucket.open_download_stream(stored._id)).read()
        return blobs


@asynccontextmanager
async def running_worker(
    url: str, tasks: Sequence[TaskInstance], *, prefix: str = PREFIX, drop: bool = True, **options: Any
) -> AsyncIterator[Worker]:
    """Run a worker for `tasks` while the block runs; `drop` the database at its end."""
    client: Any = AsyncIOMotorClient(url, serverSelectionTimeoutMS=60_000)
    database = client.get_default_database()

    async def definitions(services: Any, metadata_filter: Any) -> list[TaskInstance]:
        return list(tasks)

    optio = Optio()
    await optio.init(mongo_db=database, prefix=prefix, get_task_definitions=definitions, **options)
    running = asyncio.create_task(optio.run())
    try:
        async with asyncio.timeout(HANG):
            while optio._supervisor_task is None and not running.done():
                await asyncio.sleep(0.01)  # its start goes on for a while
        yield Worker(optio, database, prefix)
    finally:
        try:
            await optio.shutdown(grace_seconds=10.0)
            await asyncio.wait_for(running, HANG)
            if drop:
                await client.drop_database(database.name)
        finally:
            client.close()


def in_worker(
    url: str, tasks: Sequence[TaskInstance], scenario: Callable[[Worker], Awaitable[None]], **options: Any
) -> None:
    """Run `scenario` beside a worker, from its start to its shutdown."""

    async def program() -> None:
        async with running_worker(url, tasks, **options) as worker:
            await scenario(worker)

    asyncio.run(program())

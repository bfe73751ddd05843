"""One worker for each database and prefix, on a real MongoDB."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from motor.motor_asyncio import AsyncIOMotorClient

from optio_agents.task import lease as module
from optio_agents.task.lease import LeaseHeld, LeaseHolder, worker_lease

pytestmark = pytest.mark.servers
COLLECTION = "p_worker_lease"


def with_database(url: str, scenario: Callable[[Any], Awaitable[None]]) -> None:
    async def program() -> None:
        client: Any = AsyncIOMotorClient(url)
        try:
            await scenario(client.get_default_database())
        finally:
            client.close()

    asyncio.run(program())


def test_a_second_worker_is_told_who_the_first_is(database: str) -> None:
    async def scenario(db: Any) -> None:
        async with worker_lease(db, "p"):
            with pytest.raises(
                LeaseHeld, match=rf"prefix 'p' of database '{db.name}': pid {os.getpid()} on .* since 2"
            ):
                async with worker_lease(db, "p"):
                    pytest.fail("two workers")
            async with worker_lease(db, "q"):
                pass
        async with worker_lease(db, "p"):
            pass

    with_database(database, scenario)


def test_of_many_that_start_at_once_one_gets_it(database: str) -> None:
    async def scenario(db: Any) -> None:
        all_tried, tried, held = asyncio.Event(), 0, 0

        async def start() -> None:
            nonlocal tried, held
            try:
                async with worker_lease(db, "p"):
                    held += 1
                    tried += 1
                    await all_tried.wait()
            except LeaseHeld:
                tried += 1
            if tried == 20:
                all_tried.set()

        async with asyncio.TaskGroup() as group:
            for _ in range(20):
                group.create_task(start())
            while tried < 20:
                await asyncio.sleep(0.01)
            all_tried.set()
        assert held == 1

    with_database(database, scenario)


HOLD = """
import asyncio, sys
from motor.motor_asyncio import AsyncIOMotorClient
from optio_agents.task.lease import worker_lease

async def hold():
    async with worker_lease(AsyncIOMotorClient(sys.argv[1]).get_default_database(), "p"):
        print("held", flush=True)
        await asyncio.sleep(1000)

asyncio.run(hold())
"""


def test_the_lease_of_a_worker_that_was_killed_on_this_machine_is_free_at_once(database: str) -> None:
    async def scenario(db: Any) -> None:
        with subprocess.Popen([sys.executable, "-c", HOLD, database], stdout=subprocess.PIPE) as worker:
            assert worker.stdout is not None
            assert worker.stdout.readline() == b"held\n"
            with pytest.raises(LeaseHeld, match=f"pid {worker.pid}"):
                async with worker_lease(db, "p"):
                    pytest.fail("two workers")
            worker.kill()
            worker.wait()
        async with worker_lease(db, "p"):
            pass

    with_database(database, scenario)


@pytest.mark.parametrize("expired", [False, True])
def test_the_lease_of_a_worker_of_another_machine_counts_until_it_ends(database: str, expired: bool) -> None:
    async def scenario(db: Any) -> None:
        theirs = LeaseHolder("elsewhere", 1, "another kernel", 5, "token")
        assert await module._take(db[COLLECTION], theirs) is None
        if expired:
            await db[COLLECTION].update_one({}, [{"$set": {"expires": {"$add": ["$$NOW", -1]}}}])
            async with worker_lease(db, "p"):
                pass
        else:
            with pytest.raises(LeaseHeld, match="pid 1 on elsewhere"):
                async with worker_lease(db, "p"):
                    pytest.fail("two workers")

    with_database(database, scenario)


def test_a_lease_is_renewed_and_its_loss_is_noticed(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RENEW_SECONDS", 0.02)

    async def scenario(db: Any) -> None:
        async with worker_lease(db, "p") as lease:
            first = (await db[COLLECTION].find_one())["expires"]
            async with asyncio.timeout(30):
                while (await db[COLLECTION].find_one())["expires"] == first:
                    await asyncio.sleep(0.01)
                assert not lease.lost.is_set()
                await db[COLLECTION].update_one({}, {"$set": {"token": "of another worker"}})
                await lease.lost.wait()
        assert await db[COLLECTION].count_documents({}) == 1, "the lease of the other worker was given back"

    with_database(database, scenario)


def test_a_pid_that_was_given_to_another_process_is_not_the_holder() -> None:
    mine = LeaseHolder.this_process()
    assert not mine.is_dead
    reused = LeaseHolder(mine.host, mine.pid, mine.machine, mine.started - 1, "token")
    assert reused.is_dead
    elsewhere = LeaseHolder(mine.host, 2**30, "another kernel", 5, "token")
    assert not elsewhere.is_dead

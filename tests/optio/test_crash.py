"""kill -9 of a worker in every phase of a task: the next worker ends the agents, and no work is lost."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from motor.motor_asyncio import AsyncIOMotorClient

from tests.optio.test_worker import WorkerProcess, is_running, worker  # noqa: F401 - a fixture
from tests.optio.worker_tasks import PHASES

pytestmark = pytest.mark.servers

ROUNDS = int(os.environ.get("OPTIO_AGENTS_TEST_CRASHES", "1"))
"""How many times the worker is killed."""


def pids_in(directory: Path) -> list[int]:
    return [pid for path in directory.iterdir() for pid in pids_in_phase(directory, path.name)]


def pids_in_phase(directory: Path, phase: str) -> list[int]:
    path = directory / phase / "pids"
    return [int(pid) for pid in path.read_text().split()] if path.exists() else []


async def saving_has_begun(worker: WorkerProcess) -> None:  # noqa: F811
    """Wait until a part of the workdir of the one that is saving is in the database."""
    client: Any = AsyncIOMotorClient(worker.mongo_url)
    chunks, files = (client[worker.database_name][f"fs.{name}"] for name in ("chunks", "files"))
    async with asyncio.timeout(90):
        while await chunks.count_documents({}) < 4:
            await asyncio.sleep(0.005)
    assert await files.count_documents({}) == 0, "it had been saved before the worker could be killed"
    client.close()


@pytest.mark.parametrize("attempt", range(ROUNDS))
def test_a_worker_that_is_killed_in_any_phase_loses_nothing(
    worker: WorkerProcess,  # noqa: F811
    own_task_root: Path,
    attempt: int,
) -> None:
    async def scenario() -> None:
        async with worker:
            for phase in (phase for phase in PHASES if phase != "saving"):
                await worker.launch(phase)
                await worker.until(phase, "running", logged=f"phase {phase}")
            await worker.launch("saving")
            await saving_has_begun(worker)
            orphans = pids_in(own_task_root)
            assert len(orphans) == 2 * (len(PHASES) - 1)
            await worker.end_beside(signal.SIGKILL)
            assert all(is_running(pid) for pid in pids_in_phase(own_task_root, "running"))
            (own_task_root / "crashed").touch()

            worker.start()
            assert [pid for pid in orphans if is_running(pid)] == []
            await worker.until_listening()
            for phase in PHASES:
                row = await worker.until(phase, "failed")
                assert row["hasUnsavedWork"] is (phase != "preparing"), phase
                assert row["hasSavedState"] is False, phase
            await worker.launch("preparing")
            for phase in PHASES[1:]:
                await worker.until(phase, "failed", logged="its work is kept: resurrect it")
                await worker.resurrect(phase)
            for phase in PHASES[1:]:
                found = f"found notes of {phase}, told: System: you have been resumed"
                row = await worker.until(phase, "running", "done", logged=found)
                row = await worker.until(phase, "done")
                assert row["hasUnsavedWork"] is False
            await worker.until("preparing", "running")
            await worker.cancel("preparing")
            row = await worker.until("preparing", "cancelled", "failed")
            assert row["status"]["state"] == "cancelled", row["status"]
            left = [path.name for path in own_task_root.iterdir() if path.is_dir()]
            assert left == []

    asyncio.run(scenario())
    assert worker.end(signal.SIGTERM) == 0

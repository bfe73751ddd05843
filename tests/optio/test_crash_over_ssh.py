"""kill -9 of a worker whose agent is on another machine (an sshd of the test's own): no agent and no work is lost."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.optio.test_worker import WorkerProcess, is_running
from tests.optio.worker_tasks import REMOTE
from tests.support.servers import Mongo, Redis, Ssh, running_sshd

pytestmark = pytest.mark.servers


@pytest.fixture
def ssh(tmp_path: Path) -> Iterator[Ssh]:
    """An sshd that this test may stop."""
    with running_sshd(tmp_path) as server:
        yield server


@pytest.fixture
def worker(
    mongo: Mongo, redis: Redis, ssh: Ssh, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[WorkerProcess]:
    """A worker with the task `remote`."""
    machine = {"host": ssh.host, "user": ssh.user, "key_path": str(ssh.key), "port": ssh.port}
    more = {"known_hosts": str(ssh.known_hosts), "taskdir": str(tmp_path / "remote")}
    monkeypatch.setenv(REMOTE, json.dumps(machine | more))
    process = WorkerProcess(mongo, redis)
    process.start()
    yield process
    if process.process is not None and process.process.poll() is None:
        process.end(signal.SIGKILL)


async def left_behind(worker: WorkerProcess, taskdir: Path) -> list[int]:
    """Have the agent work, kill the worker, and return the agent's processes, which run on."""
    await worker.launch("remote")
    await worker.until("remote", "running", logged="working")
    pids = [int(pid) for pid in (taskdir / "pids").read_text().split()]
    await worker.end_beside(signal.SIGKILL)
    assert [is_running(pid) for pid in pids] == [True, True]
    return pids


async def resurrected(worker: WorkerProcess, taskdir: Path) -> None:
    """The agent's work is found again, and nothing of it is left on the machine at the end."""
    await worker.resurrect("remote")
    await worker.until("remote", "done", logged="found mine, told: System: you have been resumed")
    assert not taskdir.exists()


def test_the_next_worker_ends_the_agent_and_offers_its_work(worker: WorkerProcess, tmp_path: Path) -> None:
    taskdir = tmp_path / "remote"

    async def scenario() -> None:
        async with worker:
            pids = await left_behind(worker, taskdir)
            worker.start()
            assert [pid for pid in pids if is_running(pid)] == [], "".join(worker.lines)
            await worker.until_listening()
            row = await worker.until("remote", "failed", logged="its work is kept: resurrect it")
            assert row["hasUnsavedWork"] is True
            await resurrected(worker, taskdir)

    asyncio.run(scenario())
    assert worker.end(signal.SIGTERM) == 0


def test_a_machine_that_cannot_be_reached_then_is_reported_and_looked_after_by_the_next_run(
    worker: WorkerProcess, ssh: Ssh, tmp_path: Path
) -> None:
    taskdir = tmp_path / "remote"

    async def scenario() -> None:
        async with worker:
            pids = await left_behind(worker, taskdir)
            ssh.stop()
            worker.start()
            assert any("cannot look after the interrupted run of remote" in line for line in worker.lines)
            await worker.until_listening()
            row = await worker.until("remote", "failed", logged="could not be ended")
            assert row["hasUnsavedWork"] is True
            ssh.server.start()
            await resurrected(worker, taskdir)
            assert [pid for pid in pids if is_running(pid)] == []

    asyncio.run(scenario())
    assert worker.end(signal.SIGTERM) == 0

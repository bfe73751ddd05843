"""A worker as its operator sees it: its status, its limit, and how it ends on SIGTERM; on a real MongoDB and Redis."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from optio_core._generated.optio_engine import LaunchParams

from tests.optio.test_worker import HANG, ROOT, WorkerProcess
from tests.support.servers import Mongo, Redis, running_mongo, running_redis

pytestmark = pytest.mark.servers
TASKS = "tests.optio.operated_tasks:get_tasks"
Make = Callable[..., "OperatedWorker"]


class OperatedWorker(WorkerProcess):
    """A worker with options, and the question for its status."""

    options: tuple[str, ...] = ()
    socket = ""

    def command(self, tasks: str = TASKS) -> list[str]:
        return [*super().command(tasks), "--status-socket", self.socket, *self.options]

    def status(self) -> tuple[int, dict[str, Any]]:
        """The exit code of `--status`, and what it printed."""
        program = [sys.executable, "-m", "optio_agents.cli", "worker", "--status"]
        command = [*program, "--mongo-url", self.mongo_url, "--status-socket", self.socket]
        ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=HANG, check=False)
        return ended.returncode, json.loads(ended.stdout) if ended.stdout else {"error": ended.stderr}

    async def until_status(self, **expected: Any) -> tuple[int, dict[str, Any]]:
        """Ask until the status has these values."""
        async with asyncio.timeout(HANG):
            while True:
                code, status = await asyncio.to_thread(self.status)
                if expected.items() <= status.items():
                    return code, status
                await asyncio.sleep(0.05)


@pytest.fixture
def make(mongo: Mongo, redis: Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Start a worker with these options."""
    workers: list[OperatedWorker] = []
    (tmp_path / "running").mkdir()
    monkeypatch.setenv("RUNNING", str(tmp_path / "running"))
    monkeypatch.setenv("RELEASE", str(tmp_path / "release"))

    def start(*options: str, mongo: Mongo = mongo, redis: Redis = redis) -> OperatedWorker:
        worker = OperatedWorker(mongo, redis)
        worker.options, worker.socket = options, str(tmp_path / "status.sock")
        workers.append(worker)
        worker.start()
        return worker

    yield start
    for worker in workers:
        if worker.process is not None and worker.process.poll() is None:
            worker.end(signal.SIGKILL)


def test_health_follows_the_servers(make: Make, tmp_path: Path) -> None:
    with running_mongo(tmp_path) as mongo, running_redis(tmp_path) as redis:
        worker = make(mongo=mongo, redis=redis)
        assert worker.process is not None
        code, status = worker.status()
        assert code == 0
        assert status["pid"] == worker.process.pid
        assert (status["mongo"], status["redis"], status["ready"], status["limit"]) == (
            "ok",
            "ok",
            True,
            None,
        )
        assert stat.S_IMODE(os.stat(worker.socket).st_mode) == 0o600

        async def scenario() -> None:
            os.kill(mongo.server.pid, signal.SIGSTOP)
            try:
                code, status = await worker.until_status(healthy=False)
                assert code == 1
                assert status["mongo"] != "ok"
                assert status["redis"] == "ok"
            finally:
                os.kill(mongo.server.pid, signal.SIGCONT)
            assert (await worker.until_status(healthy=True))[0] == 0
            redis.server.stop()
            assert "cannot be reached" in (await worker.until_status(healthy=False, mongo="ok"))[1]["redis"]
            redis.server.start()
            await worker.until_status(healthy=True)

        asyncio.run(scenario())
        assert worker.end(signal.SIGTERM) == 0
        assert worker.status()[0] == 74
        assert not os.path.exists(worker.socket)


def test_a_socket_that_a_killed_worker_has_left_is_replaced(make: Make) -> None:
    worker = make()
    worker.end(signal.SIGKILL)
    assert worker.status()[0] == 74
    worker.start()
    assert worker.status()[0] == 0


def test_drained_to_the_end_launches_are_refused_and_what_runs_is_done(make: Make) -> None:
    worker = make("--drain", "finish", "--max-tasks", "1")

    async def scenario() -> None:
        async with worker:
            await worker.launch("held")
            await worker.until("held", "running", logged="working")
            await worker.launch("short-0")
            await worker.until("short-0", "running", logged="waiting for a place: 1 tasks run")
            assert worker.process is not None
            worker.process.send_signal(signal.SIGTERM)
            await worker.until_status(draining=True, running=1, waiting=1)
            outcome = await worker._engine().launch(
                LaunchParams(processId="short-1", resume=False, sessionId=None)
            )
            assert (outcome.root.ok, outcome.root.reason) == (False, "shutting-down")
            Path(os.environ["RELEASE"]).touch()
            assert await asyncio.to_thread(worker.process.wait, HANG) == 0
            await worker.until("held", "done")
            await worker.until("short-0", "done")

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("options", "signals"),
    [(("--drain", "finish"), 2), (("--drain", "finish", "--drain-timeout", "100ms"), 1), ((), 1)],
)
def test_what_runs_is_cancelled_at_the_second_signal_or_the_end_of_the_time(
    make: Make, options: tuple[str, ...], signals: int
) -> None:
    worker = make(*options)

    async def scenario() -> None:
        async with worker:
            await worker.launch("held")
            await worker.until("held", "running", logged="working")
            assert worker.process is not None
            for number in range(signals):
                worker.process.send_signal(signal.SIGTERM)
                if number + 1 < signals:
                    await worker.until_status(draining=True)
            assert await asyncio.to_thread(worker.process.wait, HANG) == 0
            await worker.until("held", "cancelled")

    asyncio.run(scenario())


def test_with_telemetry_each_task_is_a_trace(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spans = tmp_path / "spans"
    monkeypatch.setenv("OPTIO_AGENTS_TEST_SPANS", str(spans))
    worker = make("--telemetry", "--drain", "finish")

    async def scenario() -> None:
        async with worker:
            await worker.launch("short-0")
            await worker.until("short-0", "done")

    asyncio.run(scenario())
    assert worker.end(signal.SIGTERM) == 0
    assert spans.read_text().count('"name": "session"') == 1
    assert '"optio.process_id": "short-0"' in spans.read_text()


def test_telemetry_without_the_extra_is_refused(database: str) -> None:
    program = (
        "import sys; sys.modules['opentelemetry'] = None\n"
        "from optio_agents.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", program, "worker", TASKS, "--mongo-url", database, "--telemetry"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=HANG, check=False)
    assert ended.returncode == 2
    assert "pip install 'optio-agents[otel]'" in ended.stderr


@pytest.mark.long
@pytest.mark.parametrize(
    ("policy", "seconds", "end"), [("finish", "0.2", "done"), ("cancel", "1000", "cancelled")]
)
def test_two_hundred_tasks_twenty_at_once(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, policy: str, seconds: str, end: str
) -> None:
    monkeypatch.setenv("OPTIO_AGENTS_TEST_TASKS", "200")
    monkeypatch.setenv("SECONDS_EACH", seconds)
    worker = make("--max-tasks", "20", "--drain", policy, "--cancel-grace", "60")

    async def scenario() -> None:
        async with worker:
            for number in range(200):
                await worker.launch(f"short-{number}")
            await worker.until("short-199", "running", "done")
            if policy == "cancel":
                await worker.until_status(running=20, waiting=180)
            assert worker.process is not None
            worker.process.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(worker.process.wait, 2 * HANG) == 0
            for number in range(200):
                await worker.until(f"short-{number}", end)

    asyncio.run(scenario())
    seen = [int(line) for line in (tmp_path / "running.seen").read_text().splitlines()]
    assert len(seen) == (200 if policy == "finish" else 20)
    assert max(seen) <= 20

"""`optio-agents worker` as a process of its own, on a real MongoDB, told what to do through a real Redis."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import signal
import subprocess
import sys
import tarfile
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pytest
from clamator_over_redis import RedisRpcClient
from clamator_protocol.error import ClamatorTransportError
from motor.motor_asyncio import AsyncIOMotorClient, AsyncIOMotorGridFSBucket
from optio_core._generated.optio_engine import (
    CancelParams,
    LaunchParams,
    OptioEngineClient,
    ResurrectParams,
)

from optio_agents.cli.tasks.control import started
from optio_agents.task.saved import INTERRUPTED_BLOB
from tests.support.servers import Mongo, Redis

pytestmark = pytest.mark.servers
HANG = 90.0
ROOT = Path(__file__).parents[2]


class WorkerProcess:
    """A worker, and a client of the same database and Redis."""

    def __init__(self, mongo: Mongo, redis: Redis) -> None:
        self.database_name = f"test_{uuid.uuid4().hex[:12]}"
        self.mongo_url = f"{mongo.url}/{self.database_name}"
        self.redis_url = redis.url
        self._stack = contextlib.AsyncExitStack()
        self.process: subprocess.Popen[str] | None = None

    def command(self, tasks: str = "tests.optio.worker_tasks:get_tasks") -> list[str]:
        """The command line of such a worker."""
        program = [sys.executable, "-m", "optio_agents.cli", "worker", tasks]
        return [*program, "--mongo-url", self.mongo_url, "--redis-url", self.redis_url, "--prefix", "test"]

    def start(self) -> None:
        """Start it and wait until it is ready."""
        self.process = subprocess.Popen(self.command(), cwd=ROOT, stderr=subprocess.PIPE, text=True)
        self.lines: list[str] = []
        ready = threading.Event()
        self._reader = threading.Thread(target=self._read, args=(self.process.stderr, ready), daemon=True)
        self._reader.start()
        assert ready.wait(HANG)
        assert any("worker ready" in line for line in self.lines), "".join(self.lines)

    def _read(self, stderr: IO[str], ready: threading.Event) -> None:
        with stderr:
            for line in stderr:
                self.lines.append(line)
                if "worker ready" in line:
                    ready.set()
        ready.set()

    def end(self, number: int) -> int:
        """Send it a signal; return its exit code."""
        assert self.process is not None
        self.process.send_signal(number)
        self.process.wait(HANG)
        self._reader.join(HANG)
        return self.process.returncode

    async def end_beside(self, number: int) -> int:
        """Do `end` while the loop goes on: a loop that stands still finds each timeout of its clients over."""
        return await asyncio.to_thread(self.end, number)

    async def until_listening(self) -> None:
        """What is sent before the worker listens is lost: ask for nothing until it answers."""
        async with asyncio.timeout(HANG):
            while True:
                with contextlib.suppress(ClamatorTransportError):
                    await self._engine().cancel(CancelParams(processId="nobody"), timeout_ms=1000)
                    return

    async def launch(self, process_id: str, *, resume: bool = False) -> None:
        parameters = LaunchParams(processId=process_id, resume=resume, sessionId=None)
        assert (await self._engine().launch(parameters)).root.ok

    async def cancel(self, process_id: str) -> None:
        assert (await self._engine().cancel(CancelParams(processId=process_id))).root.ok

    async def resurrect(self, process_id: str) -> None:
        parameters = ResurrectParams(processId=process_id, sessionId=None)
        assert (await self._engine().resurrect(parameters)).root.ok

    def _engine(self) -> Any:
        return OptioEngineClient(self._client)

    async def until(self, process_id: str, *states: str, logged: str = "") -> dict[str, Any]:
        """Wait until the database holds one of these states, and a log line with that text."""
        collection = self._mongo[self.database_name]["test_processes"]
        row, lines = None, []
        try:
            async with asyncio.timeout(HANG):
                while True:
                    row = await collection.find_one({"processId": process_id})
                    lines = [entry["message"] for entry in (row or {}).get("log", [])]
                    if row is not None and row["status"]["state"] in states and logged in "\n".join(lines):
                        return dict(row)
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError(f"{process_id} is {row and row['status']}, with the log {lines}") from None

    async def blob(self, process_id: str, name: str) -> bytes:
        """The newest blob of that name."""
        database = self._mongo[self.database_name]
        row = await database["test_processes"].find_one({"processId": process_id})
        files = database["fs.files"].find({"filename": name, "metadata.processId": str(row["_id"])})
        [newest] = await files.sort("uploadDate", -1).to_list(1)
        stream = await AsyncIOMotorGridFSBucket(database).open_download_stream(newest["_id"])
        return bytes(await stream.read())

    async def __aenter__(self) -> WorkerProcess:
        self._mongo: Any = AsyncIOMotorClient(self.mongo_url)
        client = RedisRpcClient(redis_url=self.redis_url, key_prefix=f"{self.database_name}/test")
        self._client = await self._stack.enter_async_context(started(client))
        await self.until_listening()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._stack.aclose()
        await self._mongo.drop_database(self.database_name)
        self._mongo.close()


@pytest.fixture
def worker(mongo: Mongo, redis: Redis) -> Iterator[WorkerProcess]:
    """A worker that has been started."""
    process = WorkerProcess(mongo, redis)
    process.start()
    yield process
    if process.process is not None and process.process.poll() is None:
        process.end(signal.SIGKILL)


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def test_launched_and_cancelled_through_redis(worker: WorkerProcess) -> None:
    async def scenario() -> None:
        async with worker:
            await worker.launch("quick")
            assert (await worker.until("quick", "done", "failed"))["status"]["state"] == "done"
            await worker.launch("slow")
            await worker.until("slow", "running", logged="working")
            await worker.cancel("slow")
            row = await worker.until("slow", "cancelled", "failed", "done")
            assert row["status"]["state"] == "cancelled"

    asyncio.run(scenario())
    assert worker.end(signal.SIGTERM) == 0


def test_a_worker_that_is_killed_and_started_again(worker: WorkerProcess, own_task_root: Path) -> None:
    pid_file = own_task_root / "slow" / "pid"

    async def scenario() -> None:
        async with worker:
            await worker.launch("slow")
            await worker.until("slow", "running", logged="working")
            orphan = int(pid_file.read_text())
            await worker.end_beside(signal.SIGKILL)
            assert is_running(orphan)

            worker.start()
            row = await worker.until("slow", "failed")
            assert row["status"]["error"]
            await worker.until_listening()
            # Not resumed, and not resurrected: what the killed one's agent had done is kept all the same.
            await worker.launch("slow")
            await worker.until("slow", "running", logged="This run begins from scratch")
            await worker.until("slow", "running", logged="working")
            with tarfile.open(fileobj=io.BytesIO(await worker.blob("slow", INTERRUPTED_BLOB))) as kept:
                notes = kept.extractfile("./notes")
                assert notes is not None
                assert int(notes.read()) == orphan
            assert not is_running(orphan)
            agent = int(pid_file.read_text())
            assert is_running(agent)
            await worker.cancel("slow")
            assert (await worker.until("slow", "cancelled", "failed"))["status"]["state"] == "cancelled"
            assert not is_running(agent)

    asyncio.run(scenario())


def test_a_worker_that_is_terminated_ends_its_sessions(worker: WorkerProcess, own_task_root: Path) -> None:
    async def scenario() -> None:
        async with worker:
            await worker.launch("slow")
            await worker.until("slow", "running", logged="working")
            agent = int((own_task_root / "slow" / "pid").read_text())
            assert await worker.end_beside(signal.SIGTERM) == 0
            assert not is_running(agent)
            assert (await worker.until("slow", "cancelled", "failed"))["status"]["state"] == "cancelled"

    asyncio.run(scenario())


def test_a_task_that_a_shutdown_has_cancelled_is_resumed_by_the_next_worker(
    worker: WorkerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        async with worker:
            await worker.launch("auto")
            await worker.until("auto", "running", logged="working")
            assert await worker.end_beside(signal.SIGTERM) == 0
            row = await worker.until("auto", "cancelled", "failed")
            assert (row["status"]["state"], row["hasSavedState"]) == ("cancelled", True)
            monkeypatch.setenv("OPTIO_AGENTS_AUTO_RESUME_DELAY", "0.1")
            worker.start()
            await worker.until("auto", "done", logged="found mine, told: System: you have been resumed")

    asyncio.run(scenario())
    assert worker.end(signal.SIGTERM) == 0


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("no_colon", "is not of the form MODULE:FUNCTION"),
        ("no.such.module:f", "there is no module"),
        ("tests.optio.worker_tasks:missing", "has no 'missing'"),
        ("tests.optio.worker_tasks:__doc__", "is not a function"),
    ],
)
def test_what_is_no_function_is_unusable(database: str, name: str, text: str) -> None:
    command = [sys.executable, "-m", "optio_agents.cli", "worker", name, "--mongo-url", database]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=HANG, check=False)
    assert ended.returncode == 2
    assert text in ended.stderr
    assert "Traceback" not in ended.stderr


def test_without_a_server_the_worker_says_so_in_one_line_without_the_password() -> None:
    url = "mongodb://user:s3cret@127.0.0.1:1/x?serverSelectionTimeoutMS=100"
    command = [sys.executable, "-m", "optio_agents.cli", "worker", "tests.optio.worker_tasks:get_tasks"]
    ended = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "OPTIO_AGENTS_MONGO_URL": url},
        capture_output=True,
        text=True,
        timeout=HANG,
        check=False,
    )
    assert ended.returncode == 74
    assert ended.stderr.startswith("optio-agents: no server: MongoDB at 127.0.0.1:1/x: ")
    assert len(ended.stderr.splitlines()) == 1
    assert len(ended.stderr) < 250
    assert "s3cret" not in ended.stderr


def test_a_second_worker_on_the_prefix_is_refused_before_its_tasks_are_imported(
    worker: WorkerProcess,
) -> None:
    command = worker.command("tests.optio.worker_tasks:missing")  # an import would find that out
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=HANG, check=False)
    assert worker.process is not None
    assert ended.returncode == 2
    assert (
        f"another worker already works on prefix 'test' of database {worker.database_name!r}" in ended.stderr
    )
    assert f"pid {worker.process.pid} on " in ended.stderr
    assert "give each a prefix of its own" in ended.stderr
    assert worker.process.poll() is None
    assert worker.end(signal.SIGTERM) == 0

"""Redis goes away and comes back empty: running tasks continue, and the worker hears commands again."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from tests.optio.test_worker import WorkerProcess
from tests.support.servers import Mongo, running_redis

pytestmark = pytest.mark.servers

SECONDS = float(os.environ.get("OPTIO_AGENTS_TEST_OUTAGE", "0"))


def test_a_worker_hears_commands_again(mongo: Mongo, tmp_path: Path) -> None:
    with running_redis(tmp_path) as redis:
        worker = WorkerProcess(mongo, redis)
        worker.start()

        async def scenario() -> None:
            async with worker:
                await worker.launch("slow")
                await worker.until("slow", "running", logged="working")
                redis.server.stop()
                await asyncio.sleep(SECONDS)
                redis.server.start()
                await worker.until_listening()
                await worker.launch("quick")
                await worker.until("quick", "done")
                await worker.cancel("slow")
                await worker.until("slow", "cancelled")

        try:
            asyncio.run(scenario())
            assert worker.end(signal.SIGTERM) == 0
            assert sum("Redis has lost its data" in line for line in worker.lines) == 1, worker.lines
            assert not any("Traceback" in line for line in worker.lines)
        finally:
            if worker.process is not None and worker.process.poll() is None:
                worker.end(signal.SIGKILL)

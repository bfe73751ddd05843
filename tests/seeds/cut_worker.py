"""A worker that dies at a chosen step: `python -m tests.seeds.cut_worker URL DIRECTORY`.

Reads lines `OPERATION SEED_ID STEP`, does the operation in a child process that kills itself right before its STEP-th
command to the database or to the host, and answers `cut` or `finished`.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

from motor.motor_asyncio import AsyncIOMotorClient
from optio_host.host import LocalHost
from pymongo.monitoring import CommandListener

from optio_agents import seeds
from tests.seeds.lab import NAMED, Lab


class Steps(CommandListener):
    """Counts steps, and kills this process at the chosen one."""

    def __init__(self, last: int) -> None:
        self._left = last

    def step(self) -> None:
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def started(self, event: Any) -> None:
        self.step()

    def succeeded(self, event: Any) -> None:
        pass

    def failed(self, event: Any) -> None:
        pass


class SteppedHost(LocalHost):  # type: ignore[misc]
    def __init__(self, taskdir: str, steps: Steps) -> None:
        super().__init__(taskdir)
        self._steps = steps

    async def run_command(self, *args: Any, **keywords: Any) -> Any:
        self._steps.step()
        return await super().run_command(*args, **keywords)

    async def put_file_to_host(self, *args: Any, **keywords: Any) -> None:
        self._steps.step()
        await super().put_file_to_host(*args, **keywords)


async def operate(url: str, root: Path, operation: str, seed_id: str, last: int) -> None:
    steps = Steps(last)
    client: Any = AsyncIOMotorClient(url, event_listeners=[steps])
    lab = Lab(client.get_default_database(), root)
    host = SteppedHost(str(root / "live"), steps)
    match operation:
        case "capture":
            await lab.capture(host)
        case "refresh":
            await lab.refresh(host, seed_id)
        case "overwrite":
            await lab.overwrite(seed_id, ".agent/a", b"new")
        case "purge":
            await seeds.purge_seed(lab.db, seed_id=seed_id, **NAMED)
        case "plant":
            await lab.plant(host, seed_id)


def main(url: str, directory: str) -> None:
    for line in sys.stdin:
        operation, seed_id, step = line.split()
        child = os.fork()  # of a process without threads
        if child == 0:
            asyncio.run(operate(url, Path(directory), operation, seed_id, int(step)))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
            answer = "cut"
        else:
            answer = "finished" if status == 0 else f"failed: {status}"
        print(answer, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])

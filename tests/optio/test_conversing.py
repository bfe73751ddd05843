"""A task that talks to its agent: the agent's checklist in the dashboard, and messages that survive a resume."""

from __future__ import annotations

import asyncio
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest

from optio_agents import create_agent_task
from optio_agents.conversation import acp
from optio_agents.conversation.task_streams import conversing
from optio_agents.task.waiting_messages import BLOB
from tests.support.servers import Ssh
from tests.support.ssh_host import ssh_config
from tests.support.worker import HANG, Worker, in_worker

pytestmark = pytest.mark.servers

AGENT = acp("scripted", [sys.executable, str(Path(__file__).parents[1] / "support" / "acp_agent.py")])


def task(tmp_path: Path, prompt: str, **changes: Any) -> Any:
    ssh = changes.pop("ssh", None)
    return create_agent_task(
        "talker",
        "Talker",
        command=shlex.join(AGENT.command),
        ssh=None if ssh is None else ssh_config(ssh),
        known_hosts=None if ssh is None else ssh.known_hosts,
        taskdir=str(tmp_path / "task"),
        conversation=conversing(AGENT, prompt, **changes),
    )


async def until_todos(worker: Worker, expected: list[str]) -> None:
    async with asyncio.timeout(HANG):
        while True:
            data = (await worker.row("talker")).get("widgetData") or {}
            shown = [f"{each['text']}={each['status']}" for each in data.get("todos", [])]
            if shown == expected:
                return
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("remote", [False, True], ids=["on the worker", "over SSH"])
def test_a_checklist_and_waiting_messages_survive_a_resume(
    database: str, ssh: Ssh, tmp_path: Path, remote: bool
) -> None:
    prompt = "todo:a=completed,b=in_progress hang"

    async def scenario(worker: Worker) -> None:
        async with asyncio.timeout(HANG):
            conversation = await worker.optio.launch_and_await_result("talker", session_id=None)
            await until_todos(worker, ["a=completed", "b=in_progress"])
            await worker.until_logged("talker", 'Now working on Task 2/2, "b"')
            await conversation.send("log:STATUS:_first")
            await conversation.send("log:STATUS:_second log:DONE:_end")
        await worker.optio.cancel("talker")
        row = await worker.until_state("talker", "cancelled")
        assert row.get("hasSavedState"), row
        assert BLOB in await worker.blobs("talker")

        row = await worker.run("talker", resume=True)
        assert row["status"]["state"] == "done", (row["status"], await worker.log("talker"))
        log = await worker.log("talker")
        ends = [next(n for n, line in enumerate(log) if word in line) for word in ("first", "second")]
        assert ends == sorted(ends)
        assert sum("first" in line for line in log) == 1
        assert BLOB not in await worker.blobs("talker")
        await until_todos(worker, ["a=completed", "b=in_progress"])

    talker = task(tmp_path, prompt, ssh=ssh if remote else None)
    in_worker(database, [talker], scenario, cancel_grace_seconds=60.0)


def test_a_fresh_start_has_neither(database: str, tmp_path: Path) -> None:
    async def scenario(worker: Worker) -> None:
        async with asyncio.timeout(HANG):
            conversation = await worker.optio.launch_and_await_result("talker", session_id=None)
            await until_todos(worker, ["a=pending"])
            await conversation.send("log:ERROR:_old")
        await worker.optio.cancel("talker")
        await worker.until_state("talker", "cancelled")
        async with asyncio.timeout(HANG):
            conversation = await worker.optio.launch_and_await_result("talker", session_id=None)
            while await worker.database["fs.files"].count_documents({"filename": BLOB}):
                await asyncio.sleep(0.02)
        assert conversation.queued == ()
        await worker.optio.cancel("talker")
        await worker.until_state("talker", "cancelled")

    in_worker(database, [task(tmp_path, "todo:a=pending hang")], scenario)


def test_a_task_may_do_without(database: str, tmp_path: Path) -> None:
    async def scenario(worker: Worker) -> None:
        row = await worker.run("talker")
        assert row["status"]["state"] == "done", row
        assert row.get("widgetData") is None
        assert not any("Now working on" in line for line in await worker.log("talker"))

    prompt = "todo:a=in_progress log:DONE"
    in_worker(database, [task(tmp_path, prompt, todos=False, keep_messages=False)], scenario)

"""The launcher of an agent task gets the agent's conversation, and talks to it while the task runs."""

from __future__ import annotations

import asyncio
import shlex
import sys
from pathlib import Path

import pytest

from optio_agents import Conversation, create_agent_task
from optio_agents.conversation import acp
from optio_agents.conversation.from_asyncio import AsyncioConversation
from optio_agents.conversation.task_streams import conversing
from tests.support.servers import Ssh
from tests.support.ssh_host import ssh_config
from tests.support.worker import ENDED, HANG, Worker, in_worker

pytestmark = pytest.mark.servers

AGENT = acp("scripted", [sys.executable, str(Path(__file__).parents[1] / "support" / "acp_agent.py")])


@pytest.mark.parametrize("remote", [False, True], ids=["on the worker", "over SSH"])
def test_the_conversation_is_published_to_whoever_launched_the_task(
    database: str, ssh: Ssh, tmp_path: Path, remote: bool
) -> None:
    task = create_agent_task(
        "talker",
        "Talker",
        command=shlex.join(AGENT.command),
        ssh=ssh_config(ssh) if remote else None,
        known_hosts=ssh.known_hosts,
        taskdir=str(tmp_path / "task"),
        conversation=conversing(AGENT, "say:hello"),
    )

    async def scenario(worker: Worker) -> None:
        async with asyncio.timeout(HANG):
            conversation = await worker.optio.launch_and_await_result("talker", session_id=None)
            assert isinstance(conversation, AsyncioConversation)
            surface: object = conversation
            assert isinstance(surface, Conversation)
            answer = await conversation.ask("say:there")
            assert answer.text.strip() == "there"
            await conversation.send("log:DONE:_enough")
        row = await worker.until_state("talker", *ENDED)
        assert row["status"]["state"] == "done", row
        assert conversation.closed

    in_worker(database, [task], scenario)

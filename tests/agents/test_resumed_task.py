"""An optio task that talks to the real claude, cancelled in the middle of a turn and resumed."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import trio
from optio_core.conversation_archive import ReadOnlyProcessContext
from optio_core.models import TaskInstance

from optio_agents import create_agent_task
from optio_agents.task.conversing import conversing
from tests.support.agent_lab import HANG_GUARD, PATIENT, Lab
from tests.support.servers import running_mongo
from tests.support.worker import ENDED, Worker, in_worker

pytestmark = [pytest.mark.agents, pytest.mark.servers]


def asked(lab: Lab, words: str) -> int:
    """How many requests to the model had it say these words."""
    return sum(["say", words] in event.get("steps", []) for event in lab.events)


async def until_arrived(lab: Lab, words: str) -> None:
    async with asyncio.timeout(HANG_GUARD):
        while not asked(lab, words):
            await asyncio.sleep(0.05)


async def said_before(worker: Worker, task: TaskInstance) -> str:
    """What optio-core shows of the suspended task's conversation."""
    ctx = ReadOnlyProcessContext(worker.optio._detached_context(await worker.row("talk")))
    assert task.read_conversation is not None
    return json.dumps(await task.read_conversation(ctx))


async def test_claude_knows_what_it_did_and_gets_its_first_prompt_once(lab: Lab, tmp_path: Path) -> None:
    agent = lab.agent("claude")
    task = create_agent_task(
        "talk",
        "Talk",
        taskdir=str(tmp_path / "task"),
        conversation=conversing(agent, "[[say from the first one]]", options=PATIENT),
        env={**lab.environment(), "HOME": str(lab.home)},
        inherit_env=False,
    )
    sessions: list[Any] = []

    async def scenario(worker: Worker) -> None:
        async with asyncio.timeout(HANG_GUARD):
            conversation = await worker.optio.launch_and_await_result("talk", session_id=None)
            await until_arrived(lab, "from the first one")
            await conversation.send("[[say from the second one]][[wait middle]]")
            await until_arrived(lab, "from the second one")
            await conversation.send("this one had to wait")
            sessions.append(conversation.session)
        assert (await worker.optio.cancel("talk")).ok
        row = await worker.until_state("talk", *ENDED)
        assert row["status"]["state"] == "cancelled", row["status"]
        trio.from_thread.run(lab.release, "middle")
        assert "from the first one" in await said_before(worker, task)

        async with asyncio.timeout(HANG_GUARD):
            await worker.launch("talk", resume=True)
            while (conversation := worker.optio.get_published_result("talk")) is None:
                await asyncio.sleep(0.05)
            while not any("this one had to wait" in event.get("newest", "") for event in lab.events):
                await asyncio.sleep(0.05)
            # The model does what the newest directives say: those of the run before, if it gets to see them.
            answer = await conversation.ask("and again")
            sessions.append(conversation.session)
        assert answer.text.strip() == "from the second one"
        await worker.optio.cancel("talk")
        await worker.until_state("talk", *ENDED)

    with running_mongo(tmp_path) as mongo:
        await trio.to_thread.run_sync(
            lambda: in_worker(f"{mongo.url}/test_claude", [task], scenario, cancel_grace_seconds=60.0)
        )
    assert sessions[0] is not None
    assert sessions[0] == sessions[1]
    assert asked(lab, "from the first one") == 1

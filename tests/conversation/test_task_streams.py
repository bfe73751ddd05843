"""A conversation inside of an optio task's session: asyncio, optio-host's own host, the task's own process."""

from __future__ import annotations

import asyncio
import shlex
from pathlib import Path
from typing import Any

from optio_host import LocalHost

from optio_agents import HookContext, run_log_protocol_session
from optio_agents.conversation.task_streams import conversing
from optio_agents.session.outcome import Ending
from optio_agents.task.agent import AgentProcess
from tests.conversation.scripted import AGENT, DELIVERING, HANG_GUARD, Context, accept


def test_replies_reach_the_agent_through_its_own_language_and_its_done_ends_the_session(
    tmp_path: Path,
) -> None:
    converse = conversing(AGENT, DELIVERING)

    async def body(host: Any, hook_context: HookContext) -> None:
        agent = AgentProcess(host, shlex.join(AGENT.command))
        try:
            await agent.start({})
            async with converse(agent, hook_context) as sender:
                hook_context._agent_sender = sender
                await agent.wait()
        finally:
            await agent.end()

    async def main() -> Any:
        async with asyncio.timeout(HANG_GUARD):
            host = LocalHost(taskdir=str(tmp_path / "task"))
            return await run_log_protocol_session(host, Context(), body=body, on_deliverable=accept)

    outcome = asyncio.run(main())
    assert (outcome.ending, outcome.message) == (Ending.DONE, "answered")
    assert outcome.abandoned == ()

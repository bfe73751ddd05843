"""A session whose agent is a conversation, under Trio and under asyncio, with an agent that is a small
script.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from optio_agents import run_log_protocol_session
from optio_agents.conversation import (
    AgentNotStarted,
    ConversationClosed,
    PermissionDecision,
    acp,
    claude,
)
from optio_agents.conversation.agent_body import AgentBody
from optio_agents.hosts.local import LocalHost
from optio_agents.session.outcome import Ending, SessionFailed
from tests.conversation.scripted import AGENT, DELIVERING, HANG_GUARD, Context, accept
from tests.support.simulated_transport import simulated


async def run(tmp_path: Path, body: AgentBody) -> Any:
    with trio.fail_after(HANG_GUARD):
        return await run_log_protocol_session(
            LocalHost(str(tmp_path / "task")), Context(), body=body, on_deliverable=accept
        )


async def test_the_reply_reaches_the_agent_as_a_message_and_its_done_ends_the_session(tmp_path: Path) -> None:
    outcome = await run(tmp_path, AgentBody(agent=AGENT, prompt=DELIVERING))
    assert (outcome.ending, outcome.message) == (Ending.DONE, "answered")


def test_the_same_under_asyncio(tmp_path: Path) -> None:
    from optio_host import LocalHost as AsyncioLocalHost

    async def main() -> Any:
        async with asyncio.timeout(HANG_GUARD):
            return await run_log_protocol_session(
                AsyncioLocalHost(taskdir=str(tmp_path / "task")),
                Context(),
                body=AgentBody(agent=AGENT, prompt=DELIVERING),
                on_deliverable=accept,
            )

    outcome = asyncio.run(main())
    assert (outcome.ending, outcome.message) == (Ending.DONE, "answered")


async def test_an_agent_that_only_idles_is_reminded_and_then_the_session_fails(tmp_path: Path) -> None:
    with pytest.raises(SessionFailed, match="before DONE"):
        await run(tmp_path, AgentBody(agent=AGENT, prompt="say:ok", idle_seconds=0.01, reminders=1))


async def test_an_agent_that_dies_or_does_not_start_fails_the_session_with_its_own_words(
    tmp_path: Path,
) -> None:
    with pytest.raises(ConversationClosed, match="it crashed"):
        await run(tmp_path, AgentBody(agent=AGENT, prompt="crash"))
    missing = acp("missing", ["/nowhere/agent"])
    with pytest.raises(AgentNotStarted, match="no program"):
        await run(tmp_path, AgentBody(agent=missing, prompt="x"))


CLAUDE = claude([sys.executable, str(Path(__file__).parents[1] / "support" / "claude_agent.py")])


async def test_an_agent_with_open_background_work_is_waited_for_and_its_own_turn_may_say_done(
    tmp_path: Path,
) -> None:
    said: list[str] = []

    class Listening(Context):
        def report_progress(self, percent: float | None, message: str | None = None) -> None:
            said.append(message or "")

    own = [["ask", "Bash", {"command": "make"}], ["log", "DONE: built"]]
    body = AgentBody(
        agent=CLAUDE,
        prompt=json.dumps([["text", "it builds"], ["later", own]]),
        on_permission_request=lambda request: PermissionDecision("allow"),
        idle_seconds=0.1,  # less than the work takes
        reminders=0,
    )
    with trio.fail_after(HANG_GUARD):
        outcome = await run_log_protocol_session(LocalHost(str(tmp_path / "task")), Listening(), body=body)
    assert (outcome.ending, outcome.message) == (Ending.DONE, "built")
    assert "waiting for the agent's background work: the build" in said


async def test_background_work_is_waited_for_within_a_limit(autojump_clock: MockClock) -> None:
    body = AgentBody(agent=CLAUDE, prompt="", idle_seconds=10, background_seconds=100)
    said: list[str] = []

    async def say(message: str) -> None:
        await trio.lowlevel.checkpoint()
        said.append(message)

    async with simulated() as (conversation, transport):
        transport.mute = True
        transport.print(b'{"say": "background", "tasks": ["the build"]}\n')
        await conversation.settled()
        await wait_all_tasks_blocked()
        assert [task.description for task in conversation.background] == ["the build"]
        start = trio.current_time()
        await body._wait_idle(conversation, say)
        assert trio.current_time() - start == 100
        assert said == ["waiting for the agent's background work: the build"]
        # It ends in time, and nothing follows: then the agent is idle like any other.
        start = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(body._wait_idle, conversation, say)
            await trio.sleep(50)
            transport.print(b'{"say": "background", "tasks": []}\n')
        assert trio.current_time() - start == 60

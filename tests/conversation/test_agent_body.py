"""A session whose agent is a conversation, under Trio and under asyncio, with an agent that is a small
script.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
import trio

from optio_agents import run_log_protocol_session
from optio_agents.conversation import AgentNotStarted, ConversationClosed, acp
from optio_agents.conversation.agent_body import AgentBody
from optio_agents.hosts.local import LocalHost
from optio_agents.session.outcome import Ending, SessionFailed
from tests.conversation.scripted import AGENT, DELIVERING, HANG_GUARD, Context, accept


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

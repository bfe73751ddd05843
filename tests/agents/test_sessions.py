"""The sessions that real agents have kept: listed, read, resumed, forked."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from optio_agents.conversation import (
    AgentNotStarted,
    ToolResult,
    ToolUse,
    last_session,
    list_sessions,
    session_history,
)
from optio_agents.conversation.opening import open_conversation
from tests.agents.test_resume import let_a_minute_pass
from tests.agents.test_tools import AGENTS, call, search
from tests.support.agent_lab import HANG_GUARD, PATIENT, Lab

pytestmark = pytest.mark.agents

LISTING = [name for name in AGENTS if name != "gemini"]


def where(lab: Lab) -> dict[str, Any]:
    return {
        "workdir": lab.workdir,
        "home": lab.home,
        "environment": lab.environment(),
        "options": PATIENT,
    }


@pytest.mark.parametrize("name", LISTING)
async def test_the_last_session_is_found_and_resumed(lab: Lab, name: str) -> None:
    agent = lab.agent(name)
    with trio.fail_after(HANG_GUARD):
        assert await last_session(agent, **where(lab)) is None
        sessions = []
        for words in ("first", "second"):
            async with lab.talk(name) as conversation:
                await conversation.ask(f"[[say {words}]]")
                sessions.append(conversation.session)
        listed = await list_sessions(agent, **where(lab))
        assert {each.session for each in listed} == set(sessions)
        assert all(each.updated is not None and each.updated > 1.7e9 for each in listed)
        last = listed[0]
        assert await last_session(agent, **where(lab)) == last
        assert agent.resumed is not None
        async with open_conversation(agent.resumed(last.session), **where(lab)) as conversation:
            # The model does what the newest directives say: those of the session, if it gets to see them.
            said = (await conversation.ask("and again")).text.strip()
            assert said == ("first", "second")[sessions.index(last.session)]
            assert conversation.session == last.session


@pytest.mark.parametrize("name", LISTING)
async def test_a_fork_knows_what_was_said_and_leaves_the_session_as_it_is(lab: Lab, name: str) -> None:
    agent = lab.agent(name)
    with trio.fail_after(HANG_GUARD):
        async with lab.talk(name) as conversation:
            await conversation.ask("[[say before]]")
            session = conversation.session
        assert session is not None
        assert agent.forked is not None
        async with open_conversation(agent.forked(session), **where(lab)) as conversation:
            assert (await conversation.ask("and again")).text.strip() == "before"
            assert (await conversation.ask("[[say after]]")).text.strip() == "after"
            assert conversation.session not in (None, session)
        turns = await session_history(agent, session, **where(lab))
        assert [turn.prompt.strip() for turn in turns] == ["[[say before]]"]


@pytest.mark.parametrize("name", AGENTS)
async def test_the_history_of_a_session_is_typed_turns(lab: Lab, name: str) -> None:
    agent = lab.agent(name)
    with trio.fail_after(HANG_GUARD):
        async with lab.talk(name, tools=[search]) as conversation:
            await conversation.ask("[[say one]]")
            await conversation.ask(f"{call(name, 'search', words='hut')}[[say two]]")
            session = conversation.session
        assert session is not None
        let_a_minute_pass(lab)
        first, second = await session_history(agent, session, **where(lab))
        assert (first.prompt.strip(), first.text.strip()) == ("[[say one]]", "one")
        assert second.text.strip() == "two"
        if name != "gemini":  # it replays the results only
            assert any(isinstance(view, ToolUse) for view in second.views)
        (result,) = (view for view in second.views if isinstance(view, ToolResult))
        assert "hut 0" in result.text


async def test_gemini_cannot_list_or_fork_sessions_and_says_so(lab: Lab) -> None:
    agent = lab.agent("gemini")
    assert agent.forked is not None
    with trio.fail_after(HANG_GUARD):
        with pytest.raises(AgentNotStarted, match="it cannot list its sessions"):
            await list_sessions(agent, **where(lab))
        with pytest.raises(AgentNotStarted, match="it cannot fork sessions"):
            async with open_conversation(agent.forked("x"), **where(lab)):
                pass

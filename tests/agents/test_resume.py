"""A later process takes up the session of one that has ended."""

from __future__ import annotations

import pytest
import trio

from tests.support.agent_lab import HANG_GUARD, Lab

pytestmark = pytest.mark.agents


def let_a_minute_pass(lab: Lab) -> None:
    """Make gemini's chats look as old as they would be when people come back to them.

    It names a chat's file by the minute in which a process took it up, and a process that takes up a chat within that
    minute does not find it.
    """
    for chat in lab.home.glob(".gemini/tmp/*/chats/session-*"):
        identity = chat.name.rpartition("-")[2]
        chat.rename(chat.with_name(f"session-2020-01-01T00-00-{identity}"))


@pytest.mark.parametrize("name", ["claude", "codex", "gemini"])
async def test_a_later_process_takes_up_the_session(lab: Lab, name: str) -> None:
    with trio.fail_after(HANG_GUARD):
        async with lab.talk(name) as conversation:
            await conversation.ask("[[say from the first one]]")
            session = conversation.session
        assert session
        let_a_minute_pass(lab)
        async with lab.talk(name, resume=session) as conversation:
            # The model does what the newest directives say: those of the first process, if it gets to see them.
            assert (await conversation.ask("and again")).text.strip() == "from the first one"
            assert (
                await conversation.ask("[[say from the second one]]")
            ).text.strip() == "from the second one"
            assert conversation.session == session

"""A later process takes up the session of one that has ended."""

from __future__ import annotations

import pytest
import trio

from optio_agents.conversation import Fate
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


async def test_claude_does_not_answer_a_message_again_whose_id_its_session_has(lab: Lab) -> None:
    name = "0b7f2f6e-5a54-4f7e-9d0e-0d6a6a3c1b11"
    with trio.fail_after(HANG_GUARD):
        async with lab.talk("claude") as conversation:
            first = await (await conversation.send("[[say once]]", uuid=name)).wait()
            assert first.turn is not None
            assert first.turn.raw is not None
            assert first.turn.raw["user_message_uuids"] == [name]
            # Within one process it is sent under another id, and answered.
            assert (await (await conversation.send("[[say twice]]", uuid=name)).wait()).fate is Fate.ANSWERED
            session = conversation.session
        async with lab.talk("claude", resume=session) as conversation:
            again = await (await conversation.send("[[say once]]", uuid=name)).wait()
            assert again.fate is Fate.REJECTED
            assert "already answered" in (again.reason or "")
            assert (await conversation.ask("[[say and on]]")).text.strip() == "and on"

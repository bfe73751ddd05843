"""What is accepted of an owner's commands, and what is said where nothing is accepted any more."""

from __future__ import annotations

from typing import Any

import pytest

from actors import ActorStopped
from optio_agents.conversation import ConversationClosed, ConversationOptions, SendQueueFull
from optio_agents.conversation.actor_state import Core
from optio_agents.conversation.commands import Send
from optio_agents.conversation.intake import Intake
from tests.support.simulated_agent import SimulatedCodec
from tests.support.simulated_transport import simulated


async def test_the_queue_is_bounded() -> None:
    async with simulated(options=ConversationOptions(queue_limit=3)) as (conversation, _):
        for _ in range(3):
            await conversation.send("hang")
        with pytest.raises(SendQueueFull):
            await conversation.send("hang")


async def test_every_command_to_a_conversation_that_has_ended_says_with_whom_and_why() -> None:
    async with simulated() as (conversation, _):
        sent = await conversation.send("say:a")
        await conversation.close()
        for refused in (conversation.withdraw(sent), conversation.steer("x"), conversation.settled()):
            with pytest.raises(ConversationClosed, match="with simulated has ended: closed by its owner"):
                await refused


async def test_a_send_that_finds_the_mailbox_closed_was_not_accepted() -> None:
    class Stopped:
        async def tell(self, command: object) -> None:
            raise ActorStopped("conversation")

    core = Core(SimulatedCodec(), ConversationOptions())
    stopped: Any = Stopped()
    intake = Intake("simulated", core, stopped)
    sent = intake.new_sent("text")
    with pytest.raises(ConversationClosed):
        await intake.accept(sent, Send(sent))
    assert core.waiting == 0

"""Steering over our own conversations, with a real agent process and with a simulated one."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import trio

from optio_agents.bridge import Boundary
from optio_agents.conversation import acp
from optio_agents.conversation.from_asyncio import (
    AsyncioConversation,
    converse_from_asyncio,
    open_asyncio_conversation,
)
from optio_agents.conversation.opening import open_conversation_over
from optio_agents.steering.own import steer
from tests.steering.steered import MARK, QUEUED
from tests.support.simulated_agent import SimulatedCodec
from tests.support.simulated_transport import SimulatedTransport

HANG_GUARD = 60
AGENT = acp("scripted", [sys.executable, str(Path(__file__).parents[1] / "support" / "acp_agent.py")])


def process(workdir: Path) -> Any:
    return open_asyncio_conversation(AGENT, workdir=workdir)


def simulated(workdir: Path) -> Any:
    def opening(boundary: Boundary) -> Any:
        async def connect(nursery: trio.Nursery) -> SimulatedTransport:
            await trio.lowlevel.checkpoint()
            return SimulatedTransport()

        return open_conversation_over(connect, SimulatedCodec(), name="simulated", boundary=boundary)

    return converse_from_asyncio(opening)


def run(opened: Any, scenario: Callable[[AsyncioConversation], Awaitable[None]]) -> None:
    async def whole() -> None:
        async with asyncio.timeout(HANG_GUARD), opened as conversation:
            await scenario(conversation)

    asyncio.run(whole())


class Answers:
    """The answers of a conversation, which can be waited for."""

    def __init__(self, conversation: AsyncioConversation) -> None:
        self.texts: list[str] = []
        self._changed = asyncio.Event()
        conversation.on_message(self._add)

    def _add(self, text: str) -> None:
        self.texts.append(text.strip())
        self._changed.set()

    async def until(self, last: str) -> None:
        while last not in self.texts:
            self._changed.clear()
            await self._changed.wait()


@pytest.mark.parametrize("opened", [process, simulated])
def test_messages_are_answered_one_by_one_in_order(opened: Callable[[Path], Any], tmp_path: Path) -> None:
    async def scenario(conversation: AsyncioConversation) -> None:
        answers = Answers(conversation)
        steering = steer(conversation)
        for word in ("one", "two", "three", "four"):
            await steering.send_when_ready(f"say:{word}")
        await answers.until("four")
        assert answers.texts == ["one", "two", "three", "four"]
        assert steering.pending_ids == []
        steering.close()
        await steering.settle()

    run(opened(tmp_path), scenario)


def test_a_message_cuts_into_a_turn_that_hangs(tmp_path: Path) -> None:
    async def scenario(conversation: AsyncioConversation) -> None:
        events: list[Any] = []
        answers = Answers(conversation)
        steering = steer(conversation, emit=lambda event: events.append(event["type"]))
        await steering.send_when_ready("hang")
        await steering.interrupt_and_send("say:now")
        assert events == [MARK[0], QUEUED]
        await answers.until("now")
        assert await steering.requeue([("old", "say:again")])
        await answers.until("again")
        steering.close()

    run(process(tmp_path), scenario)

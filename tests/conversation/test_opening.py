"""The block that owns a conversation: an agent that does not start, and every way out."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from optio_agents.conversation import AgentNotStarted, ConversationOptions
from tests.support.simulated_transport import SimulatedTransport, simulated


async def test_an_agent_that_dies_before_it_is_ready_says_why() -> None:
    transport = SimulatedTransport(mute=True)
    transport.print(b"Usage: agent [options]\n  --help\n")
    transport.die("agent exited with status 2; its stderr: unknown option")
    with pytest.raises(AgentNotStarted, match=r"unknown option.*Usage: agent \[options\]"):
        async with simulated(transport):
            raise AssertionError("it never was ready")


async def test_an_agent_that_refuses_to_start_says_why() -> None:
    transport = SimulatedTransport(mute=True)
    transport.print(b'{"say": "failed to start", "reason": "not logged in"}\n')
    with pytest.raises(AgentNotStarted, match="not logged in"):
        async with simulated(transport):
            raise AssertionError("it never was ready")


async def test_an_agent_that_says_nothing_is_given_up_on(autojump_clock: MockClock) -> None:
    with pytest.raises(AgentNotStarted, match="not ready after 7 s"):
        async with simulated(SimulatedTransport(mute=True), options=ConversationOptions(start_seconds=7)):
            raise AssertionError("it never was ready")


async def test_an_exception_in_the_block_comes_out_as_it_is() -> None:
    error = LookupError("mine")
    with pytest.raises(LookupError) as caught:
        async with simulated() as (_, transport):
            raise error
    assert caught.value is error
    assert transport.finished


async def test_cancelling_the_block_kills_the_agent() -> None:
    transport = SimulatedTransport()
    with trio.CancelScope() as scope:
        async with simulated(transport) as (conversation, _):
            sent = await conversation.send("hang")
            scope.cancel()
    assert scope.cancelled_caught
    assert transport.finished
    assert sent.end is not None
    assert transport.ended == ["killed"]


async def test_a_hundred_conversations_at_once() -> None:
    texts: list[str] = []

    async def one(number: int) -> None:
        async with simulated() as (conversation, _):
            for turn in range(3):
                texts.append((await conversation.ask(f"say:{number} say:{turn}")).text)

    async with trio.open_nursery() as nursery:
        for number in range(100):
            nursery.start_soon(one, number)
    assert sorted(texts) == sorted(f"{number} {turn}" for number in range(100) for turn in range(3))

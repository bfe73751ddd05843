"""How a conversation ends: by its owner, by its agent, because an interrupt was not honoured."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from optio_agents.conversation import (
    ConversationClosed,
    ConversationOptions,
    ConversationState,
    Fate,
    InterruptKind,
    PermissionDecision,
    TurnStatus,
)
from tests.support.simulated_transport import SimulatedTransport, simulated


async def test_an_interrupt_that_is_never_honoured_is_bounded_and_escalates(
    autojump_clock: MockClock,
) -> None:
    transport = SimulatedTransport(deaf=True)
    with pytest.raises(ConversationClosed, match="did not stop its turn"):
        async with simulated(transport) as (conversation, _):
            running = await conversation.send("hang")
            queued = await conversation.send("say:later")
            start = trio.current_time()
            receipt = await conversation.interrupt(seconds=3)
            assert trio.current_time() - start == pytest.approx(3)
            assert receipt.kind is InterruptKind.UNANSWERED
            assert receipt.queued == ("say:later",)
            lost, unsent = await running.wait(), await queued.wait()
            assert lost.turn is not None
            assert lost.turn.status is TurnStatus.LOST
            assert unsent.fate is Fate.UNSENT
            await conversation.wait_closed()
            assert transport.ended[0] == "killed"
            await conversation.send("say:more")


async def test_close_hands_back_what_was_never_sent_and_is_idempotent() -> None:
    async with simulated() as (conversation, transport):
        running = await conversation.send("hang")
        for word in "abc":
            await conversation.send(word)
        report = await conversation.close()
        assert report.unsent == ("a", "b", "c")
        assert report.reason == "closed by its owner"
        end = await running.wait()
        assert end.turn is not None
        assert end.turn.status is TurnStatus.INTERRUPTED  # in-band, before the end of its input
        assert await conversation.close() == report
        assert transport.ended[0] == "asked"
        for refused in (conversation.send("x"), conversation.interrupt(), conversation.ask("x")):
            with pytest.raises(ConversationClosed, match="closed by its owner"):
                await refused


async def test_closing_is_bounded_when_the_agent_ignores_everything(autojump_clock: MockClock) -> None:
    transport = SimulatedTransport(deaf=True, stubborn=True)
    async with simulated(transport) as (conversation, _):
        await conversation.send("hang")
        start = trio.current_time()
        await conversation.close()
        assert trio.current_time() - start <= ConversationOptions().end_seconds
    assert transport.ended[:2] == ["asked", "killed"]


async def test_the_death_of_the_agent_resolves_everything() -> None:
    with pytest.raises(ConversationClosed, match="killed by lightning"):
        async with simulated() as (conversation, transport):
            running = await conversation.send("ask:tool")
            queued = await conversation.send("say:later")
            await conversation.wait_state(ConversationState.AWAITING_PERMISSION)
            asked = conversation.permission_requests[0]
            transport.die("killed by lightning")
            lost, unsent = await running.wait(), await queued.wait()
            assert lost.turn is not None
            assert (lost.turn.status, lost.turn.error) == (TurnStatus.LOST, "killed by lightning")
            assert (unsent.fate, unsent.reason) == (Fate.UNSENT, "killed by lightning")
            assert conversation.permission_requests == ()
            assert not await conversation.decide(asked, PermissionDecision("allow"))
            assert await conversation.wait_closed() == "killed by lightning"
            await conversation.ask("say:x")


async def test_events_end_with_the_reason_of_the_end() -> None:
    async with simulated() as (conversation, _):
        events = conversation.events()
        await conversation.close()
        raws = [event.raw async for event in events]
    assert raws[-1] == {"type": "x-optio-closed", "reason": "closed by its owner"}

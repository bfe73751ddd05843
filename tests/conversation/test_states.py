"""The visible state, for those who watch it."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from optio_agents.conversation import ConversationClosed, ConversationState
from optio_agents.conversation.states import ObservedState
from tests.support.simulated_transport import simulated


async def test_the_state_can_be_watched() -> None:
    async with simulated() as (conversation, _):
        seen: list[ConversationState] = []

        async def watch() -> None:
            async for state in conversation.states():
                seen.append(state)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch)
            await wait_all_tasks_blocked()
            await conversation.send("ask:x hang")
            await conversation.wait_state(ConversationState.AWAITING_PERMISSION)
            await wait_all_tasks_blocked()
            await conversation.interrupt()
            await wait_all_tasks_blocked()
            await conversation.close()
        # States that come and go within a moment may be skipped, those in which it rested are seen.
        rested = [
            state
            for state in seen
            if state not in (ConversationState.RUNNING, ConversationState.INTERRUPTING)
        ]
        assert rested == [
            ConversationState.IDLE,
            ConversationState.AWAITING_PERMISSION,
            ConversationState.IDLE,
            ConversationState.CLOSED,
        ]


async def test_following_begins_with_the_state_now_and_ends_after_the_last_one() -> None:
    observed = ObservedState()
    observed.show(ConversationState.CLOSED)
    assert [state async for state in observed.follow()] == [ConversationState.CLOSED]


async def test_a_state_that_was_waited_for_is_not_missed_because_it_is_over_again() -> None:
    observed = ObservedState()
    async with trio.open_nursery() as nursery:

        async def wait() -> None:
            assert await observed.wait(ConversationState.RUNNING) is ConversationState.RUNNING

        nursery.start_soon(wait)
        await wait_all_tasks_blocked()
        observed.show(ConversationState.RUNNING)
        observed.show(ConversationState.IDLE)


async def test_whoever_waits_for_a_state_that_never_comes_any_more_learns_that_the_conversation_has_ended(
    autojump_clock: MockClock,
) -> None:
    async with simulated() as (conversation, transport):
        await conversation.send("hang")
        await conversation.wait_state(ConversationState.RUNNING)
        transport.die("it died")
        with trio.fail_after(60):
            assert (
                await conversation.wait_state(ConversationState.IDLE, ConversationState.CLOSED)
                is ConversationState.CLOSED
            )
            with pytest.raises(ConversationClosed, match="it died"):
                await conversation.wait_state(ConversationState.IDLE)

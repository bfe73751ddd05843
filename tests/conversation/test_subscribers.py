"""Backlogs: a subscriber sees everything in order, or learns how much it lost."""

from __future__ import annotations

import trio
from trio.testing import wait_all_tasks_blocked

from optio_agents.conversation import ConversationOptions, Event
from optio_agents.conversation.subscribers import Subscribers
from tests.support.simulated_transport import simulated


async def test_a_subscriber_that_does_not_read_loses_the_oldest_and_learns_how_many() -> None:
    async with simulated(options=ConversationOptions(backlog_events=10)) as (conversation, _):
        with conversation.events() as reader, conversation.events() as sleeper:
            collected: list[Event] = []

            async def read() -> None:
                async for event in reader:
                    collected.append(event)

            async with trio.open_nursery() as nursery:
                nursery.start_soon(read)
                await conversation.ask(" ".join(f"say:{number}" for number in range(100)))
                await wait_all_tasks_blocked()
                nursery.cancel_scope.cancel()
            assert [event.text for event in collected[1:-1]] == [f"{number} " for number in range(100)]
            first = await anext(sleeper)
            assert first.raw["type"] == "x-optio-dropped"
            assert first.raw["count"] + 10 == len(collected)
            assert sleeper.dropped == first.raw["count"]
            assert (await anext(sleeper)).text == "91 "


def test_a_backlog_is_bounded_in_bytes_too_and_keeps_the_newest() -> None:
    subscribers: Subscribers[int] = Subscribers(1000, 100)
    backlog = subscribers.add()
    for number in range(50):
        subscribers.publish([number], size=30)
    assert backlog._size <= 100
    subscribers.publish([1000], size=10_000)
    assert backlog._items == 1


async def test_text_comes_as_it_is_written_with_the_turn_it_belongs_to() -> None:
    async with simulated() as (conversation, _):
        with conversation.events() as events:
            await conversation.ask("say:a say:b")
            await conversation.ask("say:c")
            await conversation.close()
            got = [(event.turn, event.text) async for event in events if event.text]
    assert got == [(1, "a "), (1, "b "), (2, "c ")]

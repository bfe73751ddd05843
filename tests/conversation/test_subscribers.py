"""Backlogs: a subscriber sees everything in order, or learns how much it lost."""

from __future__ import annotations

from collections import Counter
from typing import Any

import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from optio_agents.conversation import ConversationOptions, ConversationState, Event, PermissionDecision
from optio_agents.conversation.subscribers import Subscribers
from tests.support.simulated_transport import simulated

SMALL = ConversationOptions(backlog_events=10)


async def test_a_subscriber_that_is_stuck_loses_the_oldest_and_learns_how_many(
    autojump_clock: MockClock,
) -> None:
    async with simulated(options=SMALL) as (conversation, _):
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


async def test_a_subscriber_that_is_slow_and_moves_loses_nothing(autojump_clock: MockClock) -> None:
    async with simulated(options=SMALL) as (conversation, _):
        seen: list[str] = []

        async def slow(event: dict[str, Any]) -> None:
            await trio.sleep(0.9)
            seen.append(event.get("text", event.get("type", "")))

        conversation.on_event(slow)
        await conversation.ask(" ".join(f"say:{number}" for number in range(100)))
        while len(seen) < 102:
            await trio.sleep(1)
    assert seen[1:101] == [f"{number} " for number in range(100)]


async def test_one_that_is_stuck_costs_the_others_a_moment_once_and_is_waited_for_again_when_it_moves(
    autojump_clock: MockClock,
) -> None:
    async with simulated(options=SMALL) as (conversation, _):
        with conversation.events() as sleeper:
            start = trio.current_time()
            await conversation.ask(" ".join(f"say:{number}" for number in range(100)))
            assert trio.current_time() - start == SMALL.stuck_seconds
            assert sleeper.take() is not None
            lost = sleeper.dropped
            assert lost > 0
            async with trio.open_nursery() as nursery:

                async def read_slowly() -> None:
                    async for _ in sleeper:
                        await trio.sleep(0.5)

                nursery.start_soon(read_slowly)
                await conversation.ask(" ".join(f"say:{number}" for number in range(100)))
                nursery.cancel_scope.cancel()
            assert sleeper.dropped == lost


async def test_one_that_is_stuck_still_gets_results_requests_and_the_end(autojump_clock: MockClock) -> None:
    async with simulated(options=SMALL) as (conversation, _):
        events, results = conversation.events(), conversation.results()
        conversation.on_permission_request(lambda request: PermissionDecision("deny"))
        for number in range(30):
            await conversation.ask(f"say:{number} ask:x say:b say:c say:d say:e say:f")
        await conversation.close()
        kinds = Counter([event.raw.get("say", event.raw.get("type")) async for event in events])
        assert (kinds["asked"], kinds["ended"], kinds["x-optio-closed"]) == (30, 30, 1)
        assert kinds["text"] < 30 * 6
        assert [result.turn async for result in results] == list(range(1, 31))


async def test_an_interrupt_passes_while_the_output_is_held_up_for_a_slow_subscriber(
    autojump_clock: MockClock,
) -> None:
    async with simulated(options=SMALL) as (conversation, transport):

        async def slow(event: dict[str, Any]) -> None:
            await trio.sleep(0.9)

        conversation.on_event(slow)
        await conversation.send(" ".join(f"say:{number}" for number in range(100)))
        await conversation.wait_state(ConversationState.RUNNING)
        await trio.sleep(3)
        start = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(conversation.interrupt, 1000)
            await wait_all_tasks_blocked()
            assert transport.heard[-1] == {"do": "interrupt"}
            assert trio.current_time() == start


def test_a_backlog_is_bounded_in_bytes_too_and_keeps_the_newest() -> None:
    subscribers: Subscribers[int] = Subscribers(1000, 100, keeps=lambda item: False)
    backlog = subscribers.add()
    backlog.stuck = True
    for number in range(50):
        subscribers.publish([number], size=30)
    assert backlog._size <= 100
    subscribers.publish([1000], size=10_000)
    assert backlog._items == 1


def test_what_is_kept_is_bounded_too() -> None:
    subscribers: Subscribers[int] = Subscribers(10, 100, keeps=lambda item: True)
    backlog = subscribers.add()
    backlog.stuck = True
    for number in range(1000):
        subscribers.publish([number], size=1)
    dropped, items = backlog.take()
    assert dropped + len(items) == 1000
    assert len(items) <= 110
    assert items[-1] == 999


async def test_text_comes_as_it_is_written_with_the_turn_it_belongs_to() -> None:
    async with simulated() as (conversation, _):
        with conversation.events() as events:
            await conversation.ask("say:a say:b")
            await conversation.ask("say:c")
            await conversation.close()
            got = [(event.turn, event.text) async for event in events if event.text]
    assert got == [(1, "a "), (1, "b "), (2, "c ")]

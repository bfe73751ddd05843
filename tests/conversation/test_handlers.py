"""Subscribers: each sees everything in order, whatever the others do."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from optio_agents.conversation import ConversationOptions, Event
from optio_agents.conversation.subscribers import Subscribers
from tests.support.simulated_transport import simulated


def said(event: dict[str, Any]) -> str:
    return str(event.get("say") or event["type"])


async def test_sync_and_async_handlers_get_each_event_in_order() -> None:
    sync_seen: list[str] = []
    async_seen: list[str] = []

    async def handler(event: dict[str, Any]) -> None:
        await trio.lowlevel.checkpoint()
        async_seen.append(said(event))

    async with simulated() as (conversation, _):
        conversation.on_event(lambda event: sync_seen.append(said(event)))
        conversation.on_event(handler)
        await conversation.ask("say:a say:b")
    expected = ["began", "text", "text", "ended", "x-optio-closed"]
    assert sync_seen == expected
    assert async_seen == expected


async def test_a_handler_that_hangs_or_raises_costs_the_others_nothing(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[str] = []

    async def hangs(event: dict[str, Any]) -> None:
        await trio.sleep_forever()

    def raises(event: dict[str, Any]) -> None:
        raise ValueError(said(event))

    async with simulated() as (conversation, _):
        conversation.on_event(hangs)
        conversation.on_event(raises)
        conversation.on_event(lambda event: seen.append(said(event)))
        with caplog.at_level(logging.CRITICAL):
            await conversation.ask("say:a")
    # The failure is an event too, once: no failure is silent, and no failure is a flood.
    assert seen.count("x-optio-handler-failed") == 1
    assert [each for each in seen if each != "x-optio-handler-failed"] == [
        "began",
        "text",
        "ended",
        "x-optio-closed",
    ]


async def test_message_handlers_are_called_once_per_turn_in_order() -> None:
    first: list[str] = []
    second: list[str] = []

    async def slow(text: str) -> None:
        for _ in range(20):
            await trio.lowlevel.checkpoint()
        first.append(text)

    async with simulated() as (conversation, _):
        conversation.on_message(slow)
        conversation.on_message(second.append)
        for word in "abcde":
            await conversation.send(f"say:{word}")
        await conversation.ask("fail")
        await conversation.send("say:partial hang")
        await wait_all_tasks_blocked()
        await conversation.interrupt()
    assert first == ["a", "b", "c", "d", "e", "", "partial"]
    assert second == first


async def test_unsubscribing_stops_the_calls_also_one_that_hangs() -> None:
    seen: list[str] = []
    cancelled = trio.Event()

    async def hangs(event: dict[str, Any]) -> None:
        try:
            await trio.sleep_forever()
        finally:
            cancelled.set()

    async with simulated() as (conversation, _):
        stop_hanging = conversation.on_event(hangs)
        stop = conversation.on_event(lambda event: seen.append(said(event)))
        await conversation.ask("say:a")
        await wait_all_tasks_blocked()
        stop()
        stop()
        stop_hanging()
        await cancelled.wait()
        count = len(seen)
        await conversation.ask("say:b")
        assert len(seen) == count


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

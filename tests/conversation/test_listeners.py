"""Handlers of a conversation: called from now on, until they are taken back."""

from __future__ import annotations

from typing import Any

import trio
from trio.testing import wait_all_tasks_blocked

from tests.support.simulated_transport import simulated


def said(event: dict[str, Any]) -> str:
    return str(event.get("say") or event["type"])


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
        assert len(conversation.core.events) == 0  # nothing is kept for them any more
        count = len(seen)
        await conversation.ask("say:b")
        assert len(seen) == count

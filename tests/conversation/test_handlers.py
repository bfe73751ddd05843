"""Handlers: each gets all items in order, independent of the others."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import trio
from trio.testing import MockClock

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

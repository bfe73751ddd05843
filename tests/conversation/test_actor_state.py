"""Any output of an agent reaches the subscribers, and the conversation continues."""

from __future__ import annotations

import json

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from optio_agents.conversation import ConversationOptions
from tests.support.simulated_transport import simulated


@pytest.mark.parametrize(
    "line", [b"[1, 2]", b"not JSON", b'"text"', b"\xff\xfe", b'{"cut": "\xe2\x82', b"{" * 3000]
)
async def test_what_is_no_object_becomes_an_event_and_the_conversation_goes_on(line: bytes) -> None:
    async with simulated() as (conversation, transport):
        with conversation.events() as events:
            transport.print(line + b"\n")
            event = await anext(events)
            assert event.raw["type"] == "x-optio-unparseable"
            assert (await conversation.ask("say:still here")).text == "still"


async def test_a_line_of_50_megabytes_is_reported_and_not_kept() -> None:
    async with simulated() as (conversation, transport):
        with conversation.events() as events:
            for _ in range(50):
                transport.print(b"x" * 1_000_000)
                await wait_all_tasks_blocked()
            transport.print(b"\n")
            event = await anext(events)
            assert "50000000 bytes" in event.raw["reason"]
            assert len(json.dumps(event.raw)) < 2000
            assert (await conversation.ask("say:on")).text == "on"


async def test_event_types_that_nobody_knows_pass_through_unchanged() -> None:
    unknown = {"say": "brand new", "nested": {"deep": [1, None, "é"]}}
    async with simulated() as (conversation, transport):
        with conversation.events() as events:
            transport.print(json.dumps(unknown).encode() + b"\n")
            assert (await anext(events)).raw == unknown


async def test_events_are_weighed_as_they_lie_in_memory_however_their_line_was_cut(
    autojump_clock: MockClock,
) -> None:
    options = ConversationOptions(backlog_bytes=1024 * 1024)
    async with simulated(options=options) as (conversation, transport):
        with conversation.events() as sleeper:
            # 300 KB, about 7 MB once it is decoded.
            line = b'{"say": "x", "a": [' + b"{}," * 100_000 + b"{}]}\n"
            for _ in range(5):
                for place in range(0, len(line), 65_536):
                    transport.print(line[place : place + 65_536])
                    await wait_all_tasks_blocked()
                await trio.sleep(10)
            assert (await conversation.ask("say:on")).text == "on"
            await wait_all_tasks_blocked()
            kinds = [event.raw.get("say") or event.raw.get("type") for event in sleeper.take() or []]
    # It was more than the limit at once; of the five the newest is kept at most.
    assert kinds[0] == "x-optio-dropped"
    assert kinds.count("x") <= 1
    assert kinds[-1] == "ended"

"""Permission requests: each is decided once; what happens to requests without a decision."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from optio_agents.conversation import ConversationState, PermissionDecision, PermissionRequest
from tests.support.simulated_agent import SimulatedCodec
from tests.support.simulated_transport import SimulatedTransport, simulated

HANG_GUARD = 60.0


async def test_the_handler_decides_and_a_changed_input_is_what_runs() -> None:
    async with simulated() as (conversation, transport):
        asked: list[PermissionRequest] = []

        def handler(request: PermissionRequest) -> PermissionDecision:
            asked.append(request)
            return PermissionDecision("allow", updated_input={"tool": "safer"})

        conversation.on_permission_request(handler)
        await conversation.ask("ask:rm")
        assert (asked[0].tool_name, asked[0].input) == ("rm", {"tool": "rm"})
        assert transport.agent.ran == ['{"tool": "safer"}']


async def test_where_the_input_cannot_be_changed_a_changed_allowance_denies() -> None:
    class Fixed(SimulatedCodec):
        capabilities = SimulatedCodec.capabilities.__class__(change_input=False)

    async with simulated(codec=Fixed()) as (conversation, transport):
        decisions = [
            PermissionDecision("allow", updated_input={"tool": "safer"}),
            PermissionDecision("allow", updated_input={"tool": "y"}),  # the same as asked for: no change
        ]
        conversation.on_permission_request(lambda request: decisions.pop(0))
        await conversation.ask("ask:x ask:y")
        assert transport.agent.ran == ['{"tool": "y"}']


async def test_a_request_waits_for_the_first_handler_however_late_it_comes(autojump_clock: MockClock) -> None:
    async with simulated() as (conversation, transport):
        sent = await conversation.send("ask:tool say:done")
        await conversation.wait_state(ConversationState.AWAITING_PERMISSION)
        await trio.sleep(100_000)

        async def handler(request: PermissionRequest) -> PermissionDecision:
            await trio.lowlevel.checkpoint()
            return PermissionDecision("deny", message="no")

        conversation.on_permission_request(handler)
        await sent.wait()
        assert transport.agent.ran == []


async def test_the_newest_handler_wins_and_its_removal_leaves_none() -> None:
    async with simulated() as (conversation, transport):
        conversation.on_permission_request(lambda request: PermissionDecision("allow"))
        remove = conversation.on_permission_request(lambda request: PermissionDecision("deny"))
        await conversation.ask("ask:x")
        assert transport.agent.ran == []
        remove()
        remove()
        await conversation.send("ask:x")
        await conversation.wait_state(ConversationState.AWAITING_PERMISSION)
        await wait_all_tasks_blocked()
        assert len(conversation.permission_requests) == 1


async def test_a_handler_that_raises_denies(caplog: pytest.LogCaptureFixture) -> None:
    def handler(request: PermissionRequest) -> PermissionDecision:
        raise ValueError("no idea")

    async with simulated() as (conversation, transport):
        conversation.on_permission_request(handler)
        with caplog.at_level(logging.CRITICAL):
            await conversation.ask("ask:x")
        assert transport.agent.ran == []


async def test_a_handler_that_returns_nothing_leaves_the_request_open_for_others() -> None:
    async with simulated() as (conversation, transport):
        conversation.on_permission_request(lambda request: None)
        sent = await conversation.send("ask:x")
        await conversation.wait_state(ConversationState.AWAITING_PERMISSION)
        await wait_all_tasks_blocked()
        assert sent.end is None
        (request,) = conversation.permission_requests
        assert await conversation.decide(request, PermissionDecision("allow"))
        assert not await conversation.decide(request, PermissionDecision("deny"))
        await sent.wait()
        assert transport.agent.ran == ['{"tool": "x"}']


async def hangs(request: PermissionRequest, cancelled: trio.Event) -> PermissionDecision:
    try:
        await trio.sleep_forever()
    finally:
        cancelled.set()


async def test_a_newer_handler_takes_over_what_an_older_one_is_still_thinking_about(
    autojump_clock: MockClock,
) -> None:
    async with simulated() as (conversation, transport):
        cancelled = trio.Event()
        conversation.on_permission_request(lambda request: hangs(request, cancelled))
        sent = await conversation.send("ask:x")
        await conversation.wait_state(ConversationState.AWAITING_PERMISSION)
        await wait_all_tasks_blocked()
        conversation.on_permission_request(lambda request: PermissionDecision("allow"))
        with trio.fail_after(HANG_GUARD):
            await sent.wait()
            await cancelled.wait()
        assert transport.agent.ran == ['{"tool": "x"}']


async def test_a_handler_that_removes_itself_still_decides_what_it_was_asked() -> None:
    async with simulated() as (conversation, transport):

        async def once(request: PermissionRequest) -> PermissionDecision:
            remove()
            await trio.lowlevel.checkpoint()
            return PermissionDecision("allow")

        remove = conversation.on_permission_request(once)
        with conversation.events() as events:
            await conversation.send("ask:x ask:y")
            async for event in events:
                if event.raw.get("tool") == "y":
                    break
        assert transport.agent.ran == ['{"tool": "x"}']
        assert [request.tool_name for request in conversation.permission_requests] == ["y"]


@pytest.mark.parametrize("how", ["interrupt", "close", "death", "decide"])
async def test_a_handler_that_never_answers_is_cancelled_when_the_request_is_settled(how: str) -> None:
    cancelled = trio.Event()
    transport = SimulatedTransport()
    async with simulated(transport) as (conversation, _):
        conversation.on_permission_request(lambda request: hangs(request, cancelled))
        await conversation.send("ask:x")
        await conversation.wait_state(ConversationState.AWAITING_PERMISSION)
        await wait_all_tasks_blocked()
        if how == "interrupt":
            await conversation.interrupt()
        elif how == "close":
            await conversation.close()
        elif how == "death":
            transport.die()
        else:
            await conversation.decide(conversation.permission_requests[0], PermissionDecision("allow"))
        await cancelled.wait()
        assert conversation.permission_requests == ()


async def test_an_answer_that_comes_after_an_interrupt_reaches_nobody() -> None:
    async with simulated() as (conversation, transport):
        await conversation.send("ask:x")
        await conversation.wait_state(ConversationState.AWAITING_PERMISSION)
        (request,) = conversation.permission_requests
        await conversation.interrupt()
        assert not await conversation.decide(request, PermissionDecision("allow"))
        assert (await conversation.ask("say:next")).text == "next"
        assert transport.agent.ran == []
        assert [told["do"] for told in transport.heard] == [
            "start",
            "prompt",
            "interrupt",
            "cancel",
            "prompt",
        ]


async def test_a_request_blocks_nothing_but_its_own_turn() -> None:
    async with simulated() as (conversation, _):
        seen: list[str] = []
        conversation.on_event(lambda event: seen.append(event["say"]) if "say" in event else None)
        await conversation.send("ask:x")
        await conversation.wait_state(ConversationState.AWAITING_PERMISSION)
        steered = await conversation.steer("say:meanwhile")
        await wait_all_tasks_blocked()
        assert seen == ["began", "asked", "folded"]
        await conversation.interrupt()
        assert (await steered.wait()).turn is not None


async def test_a_request_that_is_taken_back_in_the_same_read_asks_nobody() -> None:
    transport = SimulatedTransport()
    async with simulated(transport) as (conversation, _):
        asked: list[PermissionRequest] = []
        conversation.on_permission_request(asked.append)
        transport.mute = True
        await conversation.send("hang")
        await conversation.wait_state(ConversationState.RUNNING)
        request = {"say": "asked", "key": "k", "turn": 1, "tool": "x", "input": {}}
        withdrawn = {"say": "withdrawn", "key": "k"}
        transport.print(b"".join(json.dumps(record).encode() + b"\n" for record in (request, withdrawn)))
        await wait_all_tasks_blocked()
        assert asked == []
        assert conversation.state is ConversationState.RUNNING


@pytest.mark.parametrize(
    "fields",
    [
        {"behavior": "Allow"},
        {"behavior": "allow", "updated_input": {"a": object()}},
        {"behavior": "allow", "updated_input": {"a": float("nan")}},
    ],
    ids=["behavior", "no JSON", "NaN"],
)
async def test_a_decision_that_no_agent_can_be_told_is_refused_where_it_is_made(
    fields: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises((ValueError, TypeError)):
        PermissionDecision(**fields)
    async with simulated() as (conversation, transport):
        conversation.on_permission_request(lambda request: PermissionDecision(**fields))
        with caplog.at_level(logging.CRITICAL):
            await conversation.ask("ask:x")
        assert transport.agent.ran == []

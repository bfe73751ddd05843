"""A conversation as its owner sees it, with an agent in memory and virtual time."""

from __future__ import annotations

import json
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from optio_agents.conversation import (
    AgentNotStarted,
    Capabilities,
    Conversation,
    ConversationClosed,
    ConversationOptions,
    Fate,
    InterruptKind,
    PermissionDecision,
    SendQueueFull,
    SendRejected,
    State,
    TurnStatus,
    Unsupported,
)
from tests.support.simulated_agent import SimulatedAgent, SimulatedCodec
from tests.support.simulated_transport import SimulatedTransport, simulated


class Unsteerable(SimulatedCodec):
    capabilities = Capabilities(steer=False, change_input=False)


class Uninterruptible(SimulatedCodec):
    capabilities = Capabilities(interrupt=False)


async def test_an_ask_returns_the_end_of_its_turn() -> None:
    async with simulated() as (conversation, _):
        assert isinstance(conversation, Conversation)
        assert conversation.state.value == "idle"
        assert conversation.session == "s1"
        result = await conversation.ask("say:hello say:world")
        assert (result.turn, result.status, result.text) == (1, TurnStatus.COMPLETED, "hello world")
        failed = await conversation.ask("fail:overloaded")
        assert (failed.status, failed.error) == (TurnStatus.FAILED, "overloaded")
    assert conversation.closed
    assert conversation.state is State.CLOSED


async def test_what_is_sent_while_the_agent_is_busy_waits_its_turn() -> None:
    async with simulated() as (conversation, transport):
        sents = [await conversation.send(f"say:{number}") for number in range(5)]
        assert conversation.is_pending()
        ends = [await sent.wait() for sent in sents]
        assert [end.turn.text for end in ends if end.turn] == ["0", "1", "2", "3", "4"]
        assert {end.fate for end in ends} == {Fate.ANSWERED}
        assert not conversation.is_pending()
        assert [told["do"] for told in transport.heard] == ["start", *["prompt"] * 5]


async def test_steering_reaches_the_running_turn_and_a_steer_with_nothing_running_is_a_send() -> None:
    async with simulated() as (conversation, _):
        first = await conversation.send("ask:tool say:one")
        await conversation.wait_state(State.AWAITING_PERMISSION)
        steered = await conversation.steer("say:two")
        await conversation.decide(conversation.permission_requests[0], PermissionDecision("allow"))
        assert (await first.wait()).fate is Fate.ANSWERED
        end = await steered.wait()
        assert end.fate is Fate.FOLDED
        assert end.turn is not None
        assert end.turn.text == "one two"
        alone = await (await conversation.steer("say:three")).wait()
        assert alone.fate is Fate.ANSWERED


async def test_a_backend_that_cannot_be_steered_says_so() -> None:
    async with simulated(codec=Unsteerable()) as (conversation, _):
        with pytest.raises(Unsupported, match="cannot be steered"):
            await conversation.steer("say:x")


async def test_stop_and_send_overtakes_the_turn_and_the_queue() -> None:
    async with simulated() as (conversation, _):
        running = await conversation.send("hang")
        queued = await conversation.send("say:later")
        urgent = await conversation.stop_and_send("say:now")
        stopped = await running.wait()
        assert stopped.turn is not None
        assert stopped.turn.status is TurnStatus.INTERRUPTED
        first, second = await urgent.wait(), await queued.wait()
        assert first.turn is not None
        assert second.turn is not None
        assert (first.turn.turn, second.turn.turn) == (2, 3)


async def test_an_interrupt_says_what_it_stopped_and_what_is_still_queued() -> None:
    async with simulated() as (conversation, _):
        await conversation.send("hang")
        queued = await conversation.send("say:later")
        await conversation.wait_state(State.RUNNING)
        receipt = await conversation.interrupt()
        assert receipt.kind is InterruptKind.INTERRUPTED
        assert receipt.turn is not None
        assert receipt.turn.turn == 1
        assert receipt.queued == ("say:later",)
        assert receipt.acknowledged
        assert (await queued.wait()).fate is Fate.ANSWERED
        assert (await conversation.interrupt()).kind is InterruptKind.NOTHING_RUNNING


async def test_two_interrupts_of_one_turn_both_get_its_receipt() -> None:
    async with simulated() as (conversation, transport):
        await conversation.send("hang")
        await wait_all_tasks_blocked()  # the turn has begun; an interrupt before that is said twice
        receipts = []

        async def interrupt() -> None:
            receipts.append(await conversation.interrupt())

        async with trio.open_nursery() as nursery:
            nursery.start_soon(interrupt)
            nursery.start_soon(interrupt)
        assert receipts[0] == receipts[1]
        assert [told["do"] for told in transport.heard].count("interrupt") == 1


async def test_a_backend_that_cannot_be_interrupted_says_so_and_loses_nothing() -> None:
    async with simulated(codec=Uninterruptible()) as (conversation, _):
        sent = await conversation.send("ask:x say:done")
        await conversation.wait_state(State.AWAITING_PERMISSION)
        assert (await conversation.interrupt()).kind is InterruptKind.UNSUPPORTED
        with pytest.raises(Unsupported):
            await conversation.stop_and_send("say:x")
        await conversation.decide(conversation.permission_requests[0], PermissionDecision("allow"))
        assert (await sent.wait()).fate is Fate.ANSWERED


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
            await conversation.wait_state(State.AWAITING_PERMISSION)
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


async def test_cancelling_an_ask_interrupts_its_turn_and_takes_back_one_that_waits() -> None:
    async with simulated() as (conversation, transport):
        with trio.move_on_after(0) as scope:
            scope.deadline = float("inf")
            async with trio.open_nursery() as nursery:
                nursery.start_soon(conversation.ask, "hang")
                nursery.start_soon(conversation.ask, "hang too")
                await wait_all_tasks_blocked()
                nursery.cancel_scope.cancel()
        await conversation.wait_state(State.IDLE)
        assert [told["do"] for told in transport.heard] == ["start", "prompt", "interrupt"]
        assert (await conversation.ask("say:on")).text == "on"


async def test_a_send_that_waits_can_be_withdrawn_and_one_that_was_written_cannot() -> None:
    async with simulated() as (conversation, _):
        running = await conversation.send("hang")
        waiting = await conversation.send("say:x")
        assert await conversation.withdraw(waiting)
        assert waiting.end is not None
        assert waiting.end.fate is Fate.UNSENT
        assert not await conversation.withdraw(running)


async def test_a_refused_ask_is_an_error_of_its_own() -> None:
    class Refusing(SimulatedAgent):
        def _prompt(self, told: dict[str, Any]) -> list[dict[str, Any]]:
            return [{"say": "refused", "send": told["send"], "reason": "too long"}]

    async with simulated(SimulatedTransport(Refusing())) as (conversation, _):
        with pytest.raises(SendRejected, match="too long"):
            await conversation.ask("x")
        assert conversation.state is State.IDLE


async def test_the_queue_is_bounded() -> None:
    async with simulated(options=ConversationOptions(queue_limit=3)) as (conversation, _):
        for _ in range(3):
            await conversation.send("hang")
        with pytest.raises(SendQueueFull):
            await conversation.send("hang")


async def test_the_state_can_be_watched() -> None:
    async with simulated() as (conversation, _):
        seen: list[State] = []

        async def watch() -> None:
            async for state in conversation.states():
                seen.append(state)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch)
            await wait_all_tasks_blocked()
            await conversation.send("ask:x hang")
            await conversation.wait_state(State.AWAITING_PERMISSION)
            await wait_all_tasks_blocked()
            await conversation.interrupt()
            await wait_all_tasks_blocked()
            await conversation.close()
        # States that come and go within a moment may be skipped, those in which it rested are seen.
        rested = [state for state in seen if state not in (State.RUNNING, State.INTERRUPTING)]
        assert rested == [State.IDLE, State.AWAITING_PERMISSION, State.IDLE, State.CLOSED]


# Bad input.


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


async def test_events_end_with_the_reason_of_the_end() -> None:
    async with simulated() as (conversation, _):
        events = conversation.events()
        await conversation.close()
        raws = [event.raw async for event in events]
    assert raws[-1] == {"type": "x-optio-closed", "reason": "closed by its owner"}


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

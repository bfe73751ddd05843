"""What the owner of a conversation can do with it, with an agent in memory."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from optio_agents.conversation import (
    Capabilities,
    ControlRejected,
    Conversation,
    ConversationClosed,
    ConversationState,
    Fate,
    InterruptKind,
    PermissionDecision,
    SendRejected,
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
    assert conversation.state is ConversationState.CLOSED


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
        await conversation.wait_state(ConversationState.AWAITING_PERMISSION)
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
        await conversation.wait_state(ConversationState.RUNNING)
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
        await conversation.wait_state(ConversationState.AWAITING_PERMISSION)
        assert (await conversation.interrupt()).kind is InterruptKind.UNSUPPORTED
        with pytest.raises(Unsupported):
            await conversation.stop_and_send("say:x")
        await conversation.decide(conversation.permission_requests[0], PermissionDecision("allow"))
        assert (await sent.wait()).fate is Fate.ANSWERED


async def test_cancelling_an_ask_interrupts_its_turn_and_takes_back_one_that_waits() -> None:
    async with simulated() as (conversation, transport):
        with trio.move_on_after(0) as scope:
            scope.deadline = float("inf")
            async with trio.open_nursery() as nursery:
                nursery.start_soon(conversation.ask, "hang")
                nursery.start_soon(conversation.ask, "hang too")
                await wait_all_tasks_blocked()
                nursery.cancel_scope.cancel()
        await conversation.wait_state(ConversationState.IDLE)
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
        assert conversation.state is ConversationState.IDLE


async def test_controls_are_listed_set_and_told_to_those_who_listen() -> None:
    async with simulated() as (conversation, transport):
        assert not conversation.controls
        (mode,) = await conversation.list_controls()
        assert (mode.id, mode.value) == ("permission_mode", "ask")
        with conversation.events() as events:
            busy = await conversation.send("hang")
            assert await conversation.set_control("permission_mode", "plan")
            assert conversation.controls[0].value == "plan"
            assert transport.agent.mode == "plan"
            await conversation.interrupt()
            await busy.wait()
            told = [
                event.raw
                for event in events.take() or []
                if event.raw.get("type") == "x-optio-control-update"
            ]
        assert [controls["controls"][0]["value"] for controls in told] == ["plan"]


async def test_a_control_that_the_agent_does_not_have_is_told_and_one_it_refuses_is_an_error() -> None:
    async with simulated() as (conversation, transport):
        assert not await conversation.set_control("temperature", "hot")
        with pytest.raises(ControlRejected, match="cannot be 'nonsense'; it can be ask, plan, root"):
            await conversation.set_control("permission_mode", "nonsense")
        with pytest.raises(ControlRejected, match="not as root"):
            await conversation.set_control("permission_mode", "root")
        assert [told["mode"] for told in transport.heard if told["do"] == "set"] == ["root"]
        assert conversation.controls[0].value == "ask"


async def test_controls_of_an_agent_that_does_not_answer_are_not_waited_for_for_ever(
    autojump_clock: object,
) -> None:
    transport = SimulatedTransport()
    async with simulated(transport) as (conversation, _):
        await conversation.list_controls()
        transport.mute = True
        with pytest.raises(ControlRejected, match="did not answer to permission_mode = 'plan' within 30 s"):
            await conversation.set_control("permission_mode", "plan")
        transport.mute = False
        assert await conversation.set_control("permission_mode", "ask")


async def test_controls_of_a_conversation_that_ends_raise_why() -> None:
    transport = SimulatedTransport()
    async with simulated(transport) as (conversation, _):
        await conversation.list_controls()
        transport.mute = True
        raised: list[str] = []

        async def change() -> None:
            with pytest.raises(ConversationClosed) as error:
                await conversation.set_control("permission_mode", "plan")
            raised.append(str(error.value))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(change)
            await wait_all_tasks_blocked()
            transport.die("it crashed")
        for call in (conversation.list_controls(), conversation.set_control("permission_mode", "ask")):
            with pytest.raises(ConversationClosed, match="it crashed"):
                await call
        assert len(raised) == 1


@pytest.mark.parametrize(
    ("uuid", "error"), [("", ValueError), ("a\nb", ValueError), ("x" * 201, ValueError), (7, TypeError)]
)
async def test_what_cannot_be_the_id_of_a_message_is_refused_where_it_is_sent(
    uuid: Any, error: type[Exception]
) -> None:
    async with simulated() as (conversation, _):
        with pytest.raises(error, match="uuid"):
            await conversation.send("say:x", uuid=uuid)
        assert (await conversation.send("say:x", uuid="mine")).extras.name == "mine"

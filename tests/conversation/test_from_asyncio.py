"""The same conversation from an asyncio program."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio

from optio_agents.bridge import Boundary
from optio_agents.conversation import (
    AgentNotStarted,
    Conversation,
    ConversationClosed,
    ConversationError,
    ConversationState,
    Fate,
    InterruptKind,
    PermissionDecision,
    PermissionRequest,
    QuestionAnswer,
    QuestionRequest,
)
from optio_agents.conversation.from_asyncio import AsyncioConversation, converse_from_asyncio
from optio_agents.conversation.opening import open_conversation_over
from tests.support.simulated_agent import SimulatedCodec
from tests.support.simulated_transport import SimulatedTransport

HANG_GUARD = 60


def opening(transport: SimulatedTransport) -> Callable[[Boundary], Any]:
    def make(boundary: Boundary) -> Any:
        async def connect(nursery: trio.Nursery) -> SimulatedTransport:
            await trio.lowlevel.checkpoint()
            return transport

        return open_conversation_over(connect, SimulatedCodec(), name="simulated", boundary=boundary)

    return make


def run(main: Callable[[AsyncioConversation], Awaitable[None]], transport: SimulatedTransport) -> None:
    async def whole() -> None:
        async with asyncio.timeout(HANG_GUARD):
            async with converse_from_asyncio(opening(transport)) as conversation:
                await main(conversation)

    asyncio.run(whole())
    assert transport.finished
    trio.run(trio.lowlevel.checkpoint)  # no guest was left behind in this thread


def test_turns_handlers_and_permissions_work_as_asyncio_coroutines() -> None:
    transport = SimulatedTransport()
    events: list[str] = []
    messages: list[str] = []

    async def on_event(event: dict[str, Any]) -> None:
        await asyncio.sleep(0)
        events.append(str(event.get("say") or event["type"]))

    async def decide(request: PermissionRequest) -> PermissionDecision:
        await asyncio.sleep(0)
        return PermissionDecision("allow")

    async def main(conversation: AsyncioConversation) -> None:
        assert isinstance(conversation, Conversation)
        conversation.on_event(on_event)
        conversation.on_message(messages.append)
        conversation.on_permission_request(decide)
        assert (await conversation.ask("say:a ask:tool say:b")).text == "a b"
        sent = await conversation.send("hang")
        queued = await conversation.send("say:c")
        assert (await conversation.interrupt()).kind is InterruptKind.INTERRUPTED
        assert (await conversation.end_of(sent)).fate is Fate.ANSWERED
        assert (await conversation.end_of(queued)).fate is Fate.ANSWERED
        report = await conversation.close()
        assert report.unsent == ()
        with pytest.raises(ConversationClosed):
            await conversation.send("late")

    run(main, transport)
    assert transport.agent.ran == ['{"tool": "tool"}']
    assert messages == ["a b", "", "c"]
    assert events[:3] == ["began", "text", "asked"]
    assert events[-1] == "x-optio-closed"


def test_cancelling_an_asyncio_ask_interrupts_its_turn() -> None:
    transport = SimulatedTransport()

    async def main(conversation: AsyncioConversation) -> None:
        task = asyncio.ensure_future(conversation.ask("say:a hang"))
        while not transport.agent.turn:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await conversation.ask("say:next")).text == "next"
        assert {"do": "interrupt"} in transport.heard

    run(main, transport)


def test_an_exception_and_a_cancellation_of_the_block_end_the_agent() -> None:
    transport = SimulatedTransport()

    async def fails(conversation: AsyncioConversation) -> None:
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        run(fails, transport)
    assert transport.finished

    async def cancelled() -> None:
        async with asyncio.timeout(HANG_GUARD):
            async with converse_from_asyncio(opening(SimulatedTransport())) as conversation:
                await conversation.send("hang")
                task = asyncio.current_task()
                assert task is not None
                task.cancel()
                await asyncio.sleep(HANG_GUARD)

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(cancelled())


def test_an_agent_that_does_not_start_raises_from_the_block() -> None:
    transport = SimulatedTransport(mute=True)
    transport.die("it exited with status 2")

    async def main(conversation: AsyncioConversation) -> None:
        raise AssertionError("it never was ready")

    with pytest.raises(AgentNotStarted, match="status 2"):
        run(main, transport)


def test_events_results_states_and_the_reason_of_the_end_are_there() -> None:
    transport = SimulatedTransport()
    states: list[ConversationState] = []

    async def main(conversation: AsyncioConversation) -> None:
        async def follow() -> None:
            async for state in conversation.states():
                states.append(state)

        following = asyncio.ensure_future(follow())
        events, results = conversation.events(), conversation.results()
        await conversation.ask("say:a say:b")
        await conversation.settled()
        assert conversation.closed_reason is None
        assert conversation.background == ()
        first = await anext(events)
        assert (first.turn, first.raw["say"]) == (1, "began")
        assert [event.text for event in await events.batch() or []][:2] == ["a ", "b "]
        assert (await anext(results)).text == "a b"
        await conversation.close()
        assert [event.raw["type"] async for event in events] == ["x-optio-closed"]
        assert [result async for result in results] == []
        await following
        assert conversation.closed_reason == "closed by its owner"

    run(main, transport)
    assert states[0] is ConversationState.IDLE
    assert states[-1] is ConversationState.CLOSED


def test_a_cancelled_wait_for_an_event_loses_none() -> None:
    transport = SimulatedTransport()
    texts: list[str] = []

    async def main(conversation: AsyncioConversation) -> None:
        with conversation.events() as events:
            sending = asyncio.ensure_future(conversation.ask(" ".join(f"say:{n}" for n in range(300))))
            while len(texts) < 300:
                task = asyncio.ensure_future(anext(events))
                for _ in range(len(texts) % 7):
                    await asyncio.sleep(0)
                task.cancel()
                try:
                    event = await task
                except asyncio.CancelledError:
                    event = await anext(events)
                texts.extend([event.text] if event.text else [])
            await sending

    run(main, transport)
    assert texts == [f"{number} " for number in range(300)]


def test_questions_and_the_ask_in_a_handler_are_the_same_under_asyncio() -> None:
    transport = SimulatedTransport()
    raised: list[ConversationError] = []

    async def main(conversation: AsyncioConversation) -> None:
        async def answer(request: QuestionRequest) -> QuestionAnswer:
            try:
                await conversation.ask("say:what?")
            except ConversationError as error:
                raised.append(error)
            return QuestionAnswer({"q": "yes"})

        conversation.on_question(answer)
        await conversation.ask("question:why?")

    run(main, transport)
    assert len(raised) == 1
    assert {"do": "answer", "key": "p1", "answers": {"q": "yes"}, "reason": None} in transport.heard

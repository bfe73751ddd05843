"""Cancelled at every step, under 50 schedules: send, ask, interrupt, a permission, turns of the agent's own, a control,
close, and the block itself.

After each: every send has one end, every permission is settled, the agent is finished, and what the agent
was told agrees with what the sends were told.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest
import trio

from actors import Escalated, StartFailed
from actors.testing import InjectedFault, cancel_at_every_step, fail_at_every_step
from actors.testing.steps import Scenario
from optio_agents.conversation import (
    AgentConversation,
    ControlRejected,
    ConversationClosed,
    ConversationState,
    Fate,
    Origin,
    PermissionDecision,
    PermissionRequest,
    QuestionAnswer,
    Sent,
)
from tests.support.simulated_transport import SimulatedTransport, simulated

SEEDS = range(50)

Part = Callable[[AgentConversation, list[Sent]], Awaitable[None]]


async def sending(conversation: AgentConversation, sents: list[Sent]) -> None:
    for text in ("say:a", "hang", "say:b"):
        sents.append(await conversation.send(text))
    sents.append(await conversation.steer("say:c"))


async def asking(conversation: AgentConversation, sents: list[Sent]) -> None:
    await conversation.ask("say:a say:b")
    await conversation.ask("say:c")


async def interrupting(conversation: AgentConversation, sents: list[Sent]) -> None:
    sents.append(await conversation.send("hang"))
    await conversation.interrupt()
    sents.append(await conversation.stop_and_send("say:x"))
    await sents[-1].wait()


async def permitting(conversation: AgentConversation, sents: list[Sent]) -> None:
    async def handler(request: PermissionRequest) -> PermissionDecision:
        await trio.lowlevel.checkpoint()
        return PermissionDecision("allow")

    unsubscribe = conversation.on_permission_request(handler)
    await conversation.ask("ask:x ask:y")
    unsubscribe()
    sents.append(await conversation.send("ask:z"))
    await conversation.wait_state(ConversationState.AWAITING_PERMISSION)
    for request in conversation.permission_requests:
        await conversation.decide(request, PermissionDecision("deny"))


async def working_by_itself(conversation: AgentConversation, sents: list[Sent]) -> None:
    """The agent begins turns by itself, also while something is sent, with requests of its own and of a subagent."""
    conversation.on_question(lambda request: QuestionAnswer({"q": "yes"}))
    results = conversation.results()
    sents.append(await conversation.send("later:say:a+question:why?+say:b later:sub:s+hang say:c"))
    while (result := await anext(results)).origin is not Origin.AGENT:
        pass
    sents.append(await conversation.send("say:d"))
    await conversation.interrupt()
    sents.append(await conversation.steer("say:e"))
    await sents[-1].wait()
    for request in conversation.permission_requests:
        await conversation.decide(request, PermissionDecision("deny"))
    assert result.turn


async def setting_controls(conversation: AgentConversation, sents: list[Sent]) -> None:
    sents.append(await conversation.send("hang"))
    assert await conversation.set_control("permission_mode", "plan")
    with suppress(ControlRejected):
        await conversation.set_control("permission_mode", "root")
    assert not await conversation.set_control("model", "x")
    await conversation.interrupt()


async def closing(conversation: AgentConversation, sents: list[Sent]) -> None:
    sents.append(await conversation.send("hang"))
    sents.append(await conversation.send("say:x"))
    await conversation.close()


@pytest.mark.parametrize(
    "part", [sending, asking, interrupting, permitting, working_by_itself, setting_controls, closing]
)
def test_cancelled_at_every_step_nothing_is_left_open(part: Part) -> None:
    def build() -> Scenario:
        transport = SimulatedTransport()
        sents: list[Sent] = []
        conversations: list[AgentConversation] = []

        async def run() -> None:
            async with simulated(transport) as (conversation, _):
                conversations.append(conversation)
                conversation.on_event(lambda event: None)
                with suppress(ConversationClosed):
                    await part(conversation, sents)

        def check() -> None:
            prompted = {told["send"] for told in transport.heard if told["do"] == "prompt"}
            for sent in sents:
                assert sent.end is not None
                assert (sent.end.fate is Fate.UNSENT) <= (sent.number not in prompted)
            for conversation in conversations:
                assert transport.finished
                assert conversation.state is ConversationState.CLOSED
                assert conversation.permission_requests == ()
                assert not conversation.is_pending()
            assert transport.agent.ran == [] or part is permitting

        return run, check

    report = cancel_at_every_step(build, seeds=SEEDS, stride=5)
    assert report.points > 100
    print(report)


def test_a_cancelled_send_was_either_not_accepted_or_ends_like_any_other() -> None:
    """The conversation goes on here: only the caller of `send` and `ask` is cancelled."""

    def build() -> Scenario:
        transport = SimulatedTransport()
        after: list[str] = []
        conversations: list[AgentConversation] = []

        async def run() -> None:
            async with trio.open_nursery() as nursery:
                started = trio.Event()
                done = trio.Event()

                async def own() -> None:
                    with trio.CancelScope(shield=True):
                        async with simulated(transport) as (conversation, _):
                            conversations.append(conversation)
                            started.set()
                            await done.wait()
                            await conversation.wait_state(ConversationState.IDLE)
                            after.append((await conversation.ask("say:after")).text)
                            assert not conversation.is_pending()

                nursery.start_soon(own)
                try:
                    await started.wait()
                    await conversations[0].ask("say:a hang")
                finally:
                    done.set()

        def check() -> None:
            assert after == ["after"] * len(conversations)

        async def bounded() -> None:
            with trio.move_on_after(100):
                await run()

        return bounded, check

    print(cancel_at_every_step(build, seeds=SEEDS, stride=5))


def test_when_its_actor_fails_at_any_step_the_owner_learns_it_and_nothing_is_left_open() -> None:
    def build() -> Scenario:
        transport = SimulatedTransport()
        sents: list[Sent] = []
        conversations: list[AgentConversation] = []
        raised: list[BaseException] = []

        async def run() -> None:
            try:
                async with simulated(transport) as (conversation, _):
                    conversations.append(conversation)
                    sents.append(await conversation.send("say:a"))
                    await sents[-1].wait()
                    sents.append(await conversation.send("hang"))
                    await conversation.interrupt()
            except (Escalated, StartFailed, ConversationClosed) as error:
                raised.append(error)

        def check() -> None:
            assert transport.finished or not conversations
            assert all(sent.end is not None for sent in sents)
            assert all(not conversation.is_pending() for conversation in conversations)
            # Either the fault came when all was over, or the owner has it, with its cause.
            causes = [cause for error in raised for cause in chain(error)]
            assert not raised or any(isinstance(cause, InjectedFault) for cause in causes)

        return run, check

    print(fail_at_every_step(build, seeds=SEEDS, stride=3))


def chain(error: BaseException | None) -> list[BaseException]:
    causes = []
    while error is not None:
        causes.append(error)
        error = error.__cause__ or error.__context__
    return causes

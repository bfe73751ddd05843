"""The session's messages to the agent: in order, each recorded as delivered or not."""

from __future__ import annotations

from typing import Any

import trio

import actors
from optio_agents import HookContext
from optio_agents.bridge import TrioBoundary
from optio_agents.session.events import MessageSent, ProblemReported, SessionEvent
from optio_agents.session.outcome import Ending
from optio_agents.session.recorder import Recorder
from optio_agents.session.sender import NO_CHANNEL, Sender, send
from optio_agents.session.verdict import Trouble
from tests.support.session import MemoryHost, RecordingCtx


class Sending:
    def __init__(self, channel: Any) -> None:
        self.ctx = RecordingCtx()
        self.events: list[SessionEvent] = []
        self.recorder = Recorder(self.ctx, self.events.append)
        self.context = HookContext(self.ctx, MemoryHost())
        self.context._agent_sender = channel
        self.sender = Sender(TrioBoundary(), self.context, self.recorder, 5.0)

    @property
    def sent(self) -> list[tuple[str, bool]]:
        return [(each.text, each.delivered) for each in self.events if isinstance(each, MessageSent)]


async def test_messages_are_sent_in_order_and_recorded() -> None:
    got = []

    async def channel(text: str) -> None:
        await trio.lowlevel.checkpoint()
        got.append(text)

    sending = Sending(channel)
    sending.recorder.unsaid = 2
    await sending.sender.send(["a", "b"])
    assert got == ["System: a", "System: b"]
    assert sending.sent == [("a", True), ("b", True)]
    assert sending.recorder.unsaid == 0
    assert sending.recorder.outcome(Ending.DONE, None).problems == ()


async def test_a_message_that_is_not_delivered_is_on_record_by_its_text() -> None:
    async def channel(text: str) -> None:
        if "b" in text:
            raise ConnectionError("gone")

    sending = Sending(channel)
    await sending.sender.send(["a", "b", "c"])
    assert sending.sent == [("a", True), ("b", False), ("c", True)]
    assert sending.recorder.outcome(Ending.DONE, None).problems == ("The agent did not get: b",)


async def test_a_channel_that_fails_by_itself_is_a_problem() -> None:
    async def broken(message: str) -> bool:
        raise LookupError("no such pane")

    async def channel(text: str) -> None:
        """Not reached."""

    sending = Sending(channel)
    sending.context.send_to_agent = broken  # type: ignore[method-assign]
    await sending.sender.send(["a"])
    assert sending.sent == [("a", False)]
    (problem,) = [each.text for each in sending.events if isinstance(each, ProblemReported)]
    assert "no such pane" in problem


async def test_without_a_channel_that_is_said_once_and_nothing_stays_unsaid() -> None:
    sending = Sending(None)
    sending.recorder.unsaid = 3
    await sending.sender.send(["a", "b"])
    await sending.sender.send(["c"])
    assert sending.ctx.messages == [NO_CHANNEL]
    assert sending.sent == [("a", False), ("b", False), ("c", False)]
    assert sending.recorder.unsaid == 0


async def test_a_channel_that_the_body_sets_later_counts() -> None:
    got = []

    async def channel(text: str) -> None:
        got.append(text)

    sending = Sending(None)
    await sending.sender.send(["a"])
    sending.context._agent_sender = channel
    await sending.sender.send(["b"])
    assert got == ["System: b"]
    assert sending.sent == [("a", False), ("b", True)]


async def run_actor(sending: Sending, troubles: list[Trouble], *messages: str) -> actors.Exit:
    async with actors.open_supervisor() as supervisor:
        ref = supervisor.start_soon(actors.actor(send, sending.sender, troubles.append), name="sender")
        for message in messages:
            ref.try_tell(message)
        ref.stop()
        return await ref.wait()


async def test_the_actor_sends_what_it_was_told_before_an_ordered_stop() -> None:
    got: list[str] = []

    async def channel(text: str) -> None:
        got.append(text)

    troubles: list[Trouble] = []
    exit = await run_actor(Sending(channel), troubles, "a", "b")
    assert got == ["System: a", "System: b"]
    assert (troubles, exit.cause) == ([], None)


async def test_a_request_to_exit_is_told_to_the_resolver() -> None:
    request = KeyboardInterrupt()

    async def channel(text: str) -> None:
        raise request

    troubles: list[Trouble] = []
    exit = await run_actor(Sending(channel), troubles, "a")
    assert troubles == [Trouble(request)]
    assert exit.cause is None

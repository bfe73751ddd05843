"""An agent with two channels: a conversation, and `optio.log`.

`AgentBody` is the body of a session whose agent is a conversation. The session's messages to the agent (replies to its
deliverables) go through the conversation. The agent's DONE ends the conversation in order.
"""

from __future__ import annotations

import math
import os
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import trio

from optio_agents.bridge import Boundary, run_in_trio
from optio_agents.context import SYSTEM_MESSAGE_PREFIX, HookContext
from optio_agents.conversation.agents import Agent
from optio_agents.conversation.client import AgentConversation
from optio_agents.conversation.from_asyncio import AsyncioConversation
from optio_agents.conversation.opening import open_conversation
from optio_agents.conversation.options import DEFAULT_OPTIONS, ConversationOptions
from optio_agents.conversation.requests import QuestionHandler
from optio_agents.conversation.surface import ConversationClosed, PermissionHandler
from optio_agents.conversation.values import BackgroundTask, ConversationState
from optio_agents.protocol.display import display_text

REMINDER = (
    f"{SYSTEM_MESSAGE_PREFIX}you have stopped, but the session is still open. If all of your work is finished, "
    "append the line DONE to ./optio.log. If it cannot be finished, append the line ERROR: <reason> to "
    "./optio.log. Otherwise continue with your work."
)

CLOSE_SECONDS = 3.0
"""How long the agent may take to end in order once the session is over; less than the session waits for its body."""


Say = Callable[[str], Awaitable[None]]


@dataclass(frozen=True, kw_only=True)
class AgentBody:
    """`body=` for `run_log_protocol_session`, under Trio or asyncio, on a host that is this machine.

    Args:
        agent: The agent; it works in the session's workdir.
        prompt: Its first message: the protocol's documentation and the task.
        on_permission_request: Decides its permission requests. Without it they wait for ever.
        on_question: Answers its questions to the user. Without it they are declined.
        home, environment, options: As for `open_conversation`.
        idle_seconds: How long the agent may be idle (nothing running, nothing queued) before it gets a reminder
            that the session continues. Long enough for reading the log and answering a deliverable.
        background_seconds: How long to wait before the reminder if an idle agent has left work running in the
            background (a build, a subagent). The progress reports this wait.
        on_open: Called with the conversation once it is open, in the Trio world, to follow its events.
        reminders: The number of reminders. After them the body returns, which is a failure unless the log has DONE.
    """

    agent: Agent
    prompt: str
    on_permission_request: PermissionHandler | None = None
    home: str | os.PathLike[str] | None = None
    environment: Mapping[str, str] | None = None
    options: ConversationOptions = DEFAULT_OPTIONS
    idle_seconds: float = 30.0
    reminders: int = 2
    background_seconds: float = 3600.0
    on_question: QuestionHandler | None = None
    on_open: Callable[[AgentConversation], object] | None = None

    async def __call__(self, host: Any, hook_context: HookContext) -> None:
        """Run the agent until the session ends it, it ends, or it stays idle despite the reminders.

        Raises:
            AgentNotStarted: it could not be started.
            ConversationClosed: it ended on its own.
        """

        async def within_trio(boundary: Boundary) -> None:
            await _in_order(lambda over: self._converse(boundary, host.workdir, hook_context, over))

        await run_in_trio(within_trio)

    async def _converse(
        self, boundary: Boundary, workdir: str, hook_context: HookContext, over: trio.Event
    ) -> None:
        inherited = os.environ if self.environment is None else self.environment
        async with open_conversation(
            self.agent,
            workdir=workdir,
            home=self.home,
            environment={**inherited, **(hook_context.browser_launch_env or {})},
            options=self.options,
            boundary=boundary,
        ) as conversation:
            if self.on_permission_request is not None:
                conversation.on_permission_request(self.on_permission_request)
            if self.on_question is not None:
                conversation.on_question(self.on_question)
            hook_context._agent_sender = _sender(conversation)
            if self.on_open is not None:
                self.on_open(conversation)
            async with trio.open_nursery() as nursery:

                async def report(message: str) -> None:
                    hook_context.report_progress(None, message)

                async def say(message: str) -> None:
                    await boundary.call(report, message, label="reporting progress")

                nursery.start_soon(self._attend, conversation, say, nursery.cancel_scope)
                await over.wait()
                nursery.cancel_scope.cancel(reason="the session is over")
            ended = conversation.closed_reason
            await conversation.close()
        if ended is not None:
            raise ConversationClosed(f"{conversation.name} ended before the session did: {ended}")

    async def _attend(self, conversation: AgentConversation, say: Say, attending: trio.CancelScope) -> None:
        """Remind an idle agent; cancel `attending` when it has ended or stays idle despite all reminders."""
        with suppress(ConversationClosed):
            await conversation.send(self.prompt)
            for reminders_left in reversed(range(self.reminders + 1)):
                await self._wait_idle(conversation, say)
                if reminders_left:
                    await conversation.send(REMINDER)
        attending.cancel(reason="the agent has nothing more to do")

    async def _wait_idle(self, conversation: AgentConversation, say: Say) -> None:
        """Wait until it has been idle for long enough, or has left work running in the background for too long.

        Raises:
            ConversationClosed: it has ended.
        """
        with trio.CancelScope() as patience:
            while True:
                await conversation.settled()
                if (
                    await conversation.wait_state(ConversationState.IDLE, ConversationState.CLOSED)
                    is ConversationState.CLOSED
                ):
                    raise ConversationClosed
                if conversation.background:
                    # The limit counts from the first time that it is idle while work is open.
                    patience.deadline = min(patience.deadline, trio.current_time() + self.background_seconds)
                    await say(f"waiting for the agent's background work: {_names(conversation.background)}")
                    await _first(conversation.wait_background_done, lambda: _busy(conversation))
                    continue
                patience.deadline = math.inf
                with trio.move_on_after(self.idle_seconds) as idle:
                    await _busy(conversation)
                if idle.cancelled_caught and not conversation.background:
                    return


async def _busy(conversation: AgentConversation) -> None:
    await conversation.wait_state(
        *(state for state in ConversationState if state is not ConversationState.IDLE)
    )


def _names(tasks: tuple[BackgroundTask, ...]) -> str:
    return ", ".join(display_text(task.description or task.kind or task.key, 80) for task in tasks[:5])


async def _first(*functions: Callable[[], Awaitable[object]]) -> None:
    """Run all of them until one returns."""
    async with trio.open_nursery() as nursery:

        async def one(function: Callable[[], Awaitable[object]]) -> None:
            await function()
            nursery.cancel_scope.cancel(reason="one of them has returned")

        for function in functions:
            nursery.start_soon(one, function)


async def _in_order(life: Callable[[trio.Event], Awaitable[None]]) -> None:
    """Run `life` so that it gets a cancellation as an event first, with time to end the agent in order.

    A direct cancellation would stop the conversation's own tasks, which an orderly end needs.
    """
    over, ended = trio.Event(), trio.Event()
    shielded = trio.CancelScope(shield=True)
    failure: Exception | None = None

    async def live() -> None:
        nonlocal failure
        with shielded:
            try:
                await life(over)
            except Exception as error:  # noqa: BLE001 - raised below, outside of the nursery
                failure = error
        ended.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(live)
        try:
            await ended.wait()
        finally:
            over.set()
            with trio.CancelScope(shield=True, deadline=trio.current_time() + CLOSE_SECONDS):
                await ended.wait()
            shielded.cancel(reason="the agent did not end in order")
    if failure is not None:
        raise failure


async def deliver(conversation: AgentConversation | AsyncioConversation, message: str) -> None:
    """Send `message` as early as the backend allows: an agent waits for its replies before it writes DONE.

    Raises:
        ConversationClosed, SendQueueFull: as for `send`.
    """
    verb = conversation.steer if conversation.capabilities.steer else conversation.send
    await verb(message)


def _sender(conversation: AgentConversation) -> Any:
    """The session's `agent_sender`, for sessions under Trio and asyncio."""

    async def sender(message: str) -> None:
        await run_in_trio(lambda boundary: deliver(conversation, message))

    return sender

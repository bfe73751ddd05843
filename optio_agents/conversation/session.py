"""Both channels of one agent: it is talked to, and it writes to `optio.log`.

`AgentBody` is the body of a session whose agent is a conversation. What the session has to say to the agent
(replies to its deliverables) goes through the conversation; the agent's DONE ends the conversation in
order.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import trio

from optio_agents.bridge import Border, run_in_trio
from optio_agents.context import SYSTEM_MESSAGE_PREFIX, HookContext
from optio_agents.conversation.agents import Agent
from optio_agents.conversation.client import AgentConversation
from optio_agents.conversation.opening import open_conversation
from optio_agents.conversation.options import DEFAULT_OPTIONS, ConversationOptions
from optio_agents.conversation.surface import ConversationClosed, PermissionHandler
from optio_agents.conversation.values import State

REMINDER = (
    f"{SYSTEM_MESSAGE_PREFIX}you have stopped, but the session goes on until ./optio.log says how it ended. "
    "If the work is finished, append DONE to it; if it cannot be finished, append ERROR and the reason; "
    "otherwise go on."
)

CLOSE_SECONDS = 3.0
"""How long the agent may take to end in order once the session is over; less than the session waits for its
body.
"""


@dataclass(frozen=True, kw_only=True)
class AgentBody:
    """`body=` for `run_log_protocol_session`, under Trio or asyncio, on a host that is this machine.

    Args:
        agent: The agent; it works in the session's workdir.
        prompt: Its first message: the protocol's documentation and the task.
        on_permission_request: Who decides its permission requests. Without one they wait for ever.
        home, environment, options: As for `open_conversation`.
        idle_seconds: How long the agent may be idle (nothing running, nothing queued) before it is reminded
        that the
            session goes on. Long enough for the log to be read and a deliverable to be answered.
        reminders: How many times; after them the body returns, which is a failure unless the log says DONE.
    """

    agent: Agent
    prompt: str
    on_permission_request: PermissionHandler | None = None
    home: str | os.PathLike[str] | None = None
    environment: Mapping[str, str] | None = None
    options: ConversationOptions = DEFAULT_OPTIONS
    idle_seconds: float = 30.0
    reminders: int = 2

    async def __call__(self, host: Any, hook_context: HookContext) -> None:
        """Run the agent until the session ends it, it ends, or it idles in spite of the reminders.

        Raises:
            AgentNotStarted: it could not be started.
            ConversationClosed: it ended by itself.
        """

        async def within_trio(border: Border) -> None:
            await self._run(border, host.workdir, hook_context)

        await run_in_trio(within_trio)

    async def _run(self, border: Border, workdir: str, hook_context: HookContext) -> None:
        inherited = os.environ if self.environment is None else self.environment
        async with open_conversation(
            self.agent,
            workdir=workdir,
            home=self.home,
            environment={**inherited, **(hook_context.browser_launch_env or {})},
            options=self.options,
            border=border,
        ) as conversation:
            if self.on_permission_request is not None:
                conversation.on_permission_request(self.on_permission_request)
            hook_context._agent_sender = _sender(conversation)
            try:
                await conversation.send(self.prompt)
                await self._attend(conversation)
            except trio.Cancelled:
                # DONE, ERROR or the owner: there is time to end the agent in order.
                with trio.CancelScope(shield=True, deadline=trio.current_time() + CLOSE_SECONDS):
                    await conversation.close()
                raise

    async def _attend(self, conversation: AgentConversation) -> None:
        reminders = self.reminders
        while True:
            await conversation.settled()
            if await conversation.wait_state(State.IDLE, State.CLOSED) is State.CLOSED:
                raise ConversationClosed(f"{conversation.name}: {await conversation.wait_closed()}")
            with trio.move_on_after(self.idle_seconds) as idle:
                await conversation.wait_state(*(state for state in State if state is not State.IDLE))
            if idle.cancelled_caught:
                if not reminders:
                    return
                reminders -= 1
                await conversation.send(REMINDER)


def _sender(conversation: AgentConversation) -> Any:
    """The session's way to the agent, from whichever world the session is called in."""

    async def deliver(message: str) -> None:
        # Into the turn that runs where that is possible: an agent waits for its replies before it says DONE.
        verb = conversation.steer if conversation.capabilities.steer else conversation.send
        await verb(message)

    async def sender(message: str) -> None:
        await run_in_trio(lambda border: deliver(message))

    return sender

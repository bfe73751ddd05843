"""A conversation over the streams of an agent that an optio task has started, on whatever host it runs.

`conversing(...)` is what `create_agent_task(conversation=...)` takes, for commands that speak a language we
know:

    create_agent_task(shlex.join(claude().command), ..., conversation=conversing(claude(), prompt))
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol

import trio

from optio_agents.bridge import Boundary
from optio_agents.context import AgentSender, HookContext
from optio_agents.conversation.agent_body import deliver
from optio_agents.conversation.agents import Agent
from optio_agents.conversation.from_asyncio import converse_from_asyncio
from optio_agents.conversation.opening import open_conversation_over
from optio_agents.conversation.options import DEFAULT_OPTIONS, ConversationOptions
from optio_agents.conversation.surface import PermissionHandler

READ_SIZE = 64 * 1024


class AgentStreams(Protocol):
    """A running agent of the asyncio world (`optio_agents.task.agent.AgentProcess`). The task itself ends it."""

    @property
    def stdin(self) -> Any:
        """`write(bytes)`, `await drain()`, `close()`."""

    @property
    def stdout(self) -> Any:
        """`await read(limit)`; its errors may be mixed in: what is no JSON is an event, not a fault."""

    async def end(self) -> object:
        """End it and all that it started. Idempotent."""


class StreamTransport:
    """A `Transport` over asyncio streams: every chunk crosses the boundary once."""

    def __init__(self, agent: AgentStreams, boundary: Boundary, options: ConversationOptions) -> None:
        self._agent = agent
        self._boundary = boundary
        self._options = options
        self._output_ended = trio.Event()

    async def receive(self) -> bytes:
        """See `Transport.receive`."""
        try:
            data = await self._boundary.call(
                self._agent.stdout.read, READ_SIZE, label="reading from the agent"
            )
        except OSError:
            data = b""
        if not data:
            self._output_ended.set()
        return data.encode() if isinstance(data, str) else bytes(data)

    async def send(self, data: bytes) -> None:
        """See `Transport.send`."""

        async def write() -> None:
            self._agent.stdin.write(data)
            await self._agent.stdin.drain()

        try:
            await self._boundary.call(write, label="writing to the agent")
        except OSError as error:
            raise trio.BrokenResourceError from error

    async def end(self, *, ask: bool) -> None:
        """See `Transport.end`."""
        if ask and not self._output_ended.is_set():
            with trio.move_on_after(self._options.ask_seconds):
                await self._boundary.call(self._close_input, label="closing the agent's input")
                await self._output_ended.wait()
        await self._boundary.call(self._agent.end, label="ending the agent")
        self._output_ended.set()

    async def wait(self) -> str:
        """See `Transport.wait`."""
        await self._output_ended.wait()
        return "the agent's output has ended"

    async def finish(self) -> None:
        """See `Transport.finish`."""
        with trio.CancelScope(shield=True, deadline=trio.current_time() + self._options.end_seconds):
            await self.end(ask=False)

    async def _close_input(self) -> None:
        self._agent.stdin.close()


def conversing(
    agent: Agent,
    prompt: str,
    *,
    on_permission_request: PermissionHandler | None = None,
    publish: bool = True,
    options: ConversationOptions = DEFAULT_OPTIONS,
) -> Callable[[AgentStreams, HookContext], AbstractAsyncContextManager[AgentSender]]:
    """How an optio task talks to an agent whose language we know.

    Args:
        agent: The recipe; its language counts here, its command is what the task runs.
        prompt: The first message.
        on_permission_request: Who decides its permission requests; an asyncio coroutine function will do.
        publish: Publish the conversation as the run's result (`ctx.publish_result`) before the prompt is sent, so that
            whoever launched the task in this worker can follow it and talk to the agent. A run has one result: a task
            whose hooks publish their own says `False`.
        options: Deadlines.
    """

    @asynccontextmanager
    async def converse(streams: AgentStreams, hook_context: HookContext) -> AsyncGenerator[AgentSender]:
        def opening(boundary: Boundary) -> Any:
            async def connect(nursery: trio.Nursery) -> StreamTransport:
                await trio.lowlevel.checkpoint()
                return StreamTransport(streams, boundary, options)

            codec = agent.codec(hook_context._host.workdir)
            return open_conversation_over(connect, codec, name=agent.name, options=options, boundary=boundary)

        async with converse_from_asyncio(opening) as conversation:
            if on_permission_request is not None:
                conversation.on_permission_request(on_permission_request)
            publish_result = getattr(hook_context, "publish_result", None)
            if publish and publish_result is not None:
                publish_result(conversation)
            await conversation.send(prompt)

            async def sender(message: str) -> None:
                await deliver(conversation, message)

            yield sender

    return converse

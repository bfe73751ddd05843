"""Bytes to and from an agent that an optio task has started, on any host: asyncio streams as a `Transport`."""

from __future__ import annotations

from typing import Any, Protocol

import trio

from optio_agents.bridge import Boundary
from optio_agents.conversation.options import ConversationOptions

READ_SIZE = 64 * 1024


class AgentStreams(Protocol):
    """A running agent of the asyncio world (`optio_agents.task.agent.AgentProcess`). The task itself ends it."""

    @property
    def stdin(self) -> Any:
        """`write(bytes)`, `await drain()`, `close()`."""

    @property
    def stdout(self) -> Any:
        """`await read(limit)`. It may include stderr: a line that is no JSON becomes an event, not an error."""

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

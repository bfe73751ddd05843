"""A conversation with the simulated agent: bytes through memory, under the clock of the test."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import trio

from optio_agents.conversation.client import AgentConversation
from optio_agents.conversation.opening import open_conversation_over
from optio_agents.conversation.options import DEFAULT_OPTIONS, ConversationOptions
from tests.support.simulated_agent import SimulatedAgent, SimulatedCodec


class SimulatedTransport:
    """A `Transport` to a `SimulatedAgent`. The agent goes on by one word whenever its output is read.

    `deaf`: interrupts do not reach it. `mute`: it says nothing by itself, only `print` does. `stubborn`:
    closing its input does not end it.
    """

    def __init__(
        self,
        agent: SimulatedAgent | None = None,
        *,
        deaf: bool = False,
        mute: bool = False,
        stubborn: bool = False,
    ) -> None:
        self.agent = agent or SimulatedAgent()
        self.deaf = deaf
        self.mute = mute
        self.stubborn = stubborn
        self.heard: list[dict[str, Any]] = []
        self.ended: list[str] = []
        self.finished = False
        self._rest = b""
        self._output = bytearray()
        self._changed = trio.Event()
        self._gone = trio.Event()
        self._how = "it ended"

    async def receive(self) -> bytes:
        """What the agent said, or its next word; `b""` once it is gone."""
        while True:
            await trio.lowlevel.checkpoint()
            if not self._output and not self._gone.is_set() and self.agent.busy and not self.mute:
                self._say(self.agent.step())
            if self._output:
                data = bytes(self._output)
                self._output.clear()
                return data
            if self._gone.is_set():
                return b""
            if not self.agent.busy or self.mute:
                await self._changed.wait()

    async def send(self, data: bytes) -> None:
        """The agent hears it."""
        await trio.lowlevel.checkpoint()
        if self._gone.is_set():
            raise trio.BrokenResourceError
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            told = json.loads(line)
            self.heard.append(told)
            if not self.mute and not (self.deaf and told["do"] == "interrupt"):
                self._say(self.agent.hear(line))

    async def end(self, *, ask: bool) -> None:
        """End it."""
        self.ended.append("asked" if ask else "killed")
        if ask and self.stubborn:
            await trio.sleep(5)
            self.ended.append("killed")
        self.die(self._how)
        await trio.lowlevel.checkpoint()

    async def wait(self) -> str:
        """Wait for its end."""
        await self._gone.wait()
        return self._how

    async def finish(self) -> None:
        """End it in any state."""
        with trio.CancelScope(shield=True):
            if not self._gone.is_set():
                await self.end(ask=False)
        self.finished = True

    def die(self, how: str = "it died") -> None:
        """It is gone."""
        if not self._gone.is_set():
            self._how = how
            self._gone.set()
            self._notify()

    def print(self, data: bytes) -> None:
        """It prints this."""
        self._output += data
        self._notify()

    def _say(self, records: list[dict[str, Any]]) -> None:
        self.print(b"".join(json.dumps(record).encode() + b"\n" for record in records))

    def _notify(self) -> None:
        self._changed.set()
        self._changed = trio.Event()


@asynccontextmanager
async def simulated(
    transport: SimulatedTransport | None = None,
    *,
    codec: SimulatedCodec | None = None,
    options: ConversationOptions = DEFAULT_OPTIONS,
) -> AsyncGenerator[tuple[AgentConversation, SimulatedTransport]]:
    """A conversation with a simulated agent, and its transport."""
    used = transport or SimulatedTransport()

    async def connect(nursery: trio.Nursery) -> SimulatedTransport:
        await trio.lowlevel.checkpoint()
        return used

    async with open_conversation_over(
        connect, codec or SimulatedCodec(), name="simulated", options=options
    ) as conversation:
        yield conversation, used

"""COMMAND as a process on a remote host: started, spoken to, waited for, and ended with all it started.

The counterpart of `agent_process` for `run --ssh`; everything here is awaited under asyncio.
"""

from __future__ import annotations

import asyncio
import os
import shlex
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Self, TypeVar

import asyncssh

from optio_agents.cli.agent_input import AgentNotListening
from optio_agents.cli.agent_process import FAREWELL, Patience
from optio_agents.task.agent import KILL_SECONDS, TERM_SECONDS, AgentProcess

T = TypeVar("T")

TROUBLE = (OSError, asyncssh.Error)
"""What an SSH connection raises when it cannot be used."""

REMOTE_SECONDS = 10.0
"""For one step on the host besides what it waits for itself: a round trip, or a new connection after a loss."""

_PIECE = 64 * 1024


class RemoteAgent:
    """One run of COMMAND in the workdir of a connected remote host. Made by `start`; `end` must be called."""

    def __init__(self, host: Any, command: Sequence[str], output: int, patience: Patience) -> None:
        self._host = host
        self._process = AgentProcess(host, f"exec {shlex.join(command)}")
        self._output = output
        self._patience = patience
        self._hurried = asyncio.Event()
        self._ended = False

    @classmethod
    async def start(
        cls,
        host: Any,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        output: int,
        patience: Patience,
    ) -> Self:
        """Start `command`; its stdout and stderr go to the descriptor `output`, which is on this machine.

        Raises:
            OSError, asyncssh.Error: the connection is lost.
        """
        agent = cls(host, command, output, patience)
        try:
            await agent._process.start(environment)
        except BaseException:
            await agent._process.end()
            raise
        return agent

    async def wait(self) -> int | None:
        """Wait until COMMAND has exited and nobody has its output open any more: SSH tells the end only then.

        Returns:
            Its status, negative for a signal; None: the connection was lost.
        """
        with suppress(asyncssh.Error):  # a loss: the status tells
            while data := await self._process.stdout.read(_PIECE):
                # In a thread: the user may have named a pipe that nobody reads.
                await asyncio.to_thread(_write_all, self._output, data)
        status = await self._process.status()
        self._ended = True
        return status

    async def send(self, message: str) -> None:
        """Write `message` to the agent's stdin as one line.

        Raises:
            AgentNotListening: it has ended, or does not read.
        """
        try:
            async with asyncio.timeout(self._patience.send):
                await self._process.send(message)
        except TimeoutError:
            raise AgentNotListening("it does not read its input") from None
        except TROUBLE as error:
            raise AgentNotListening("its input is closed") from error

    def hurry(self) -> None:
        """Let an `end` that is going on, or yet to come, ask no more."""
        self._hurried.set()

    async def end(self, *, farewell: bool) -> str | None:
        """End COMMAND and everything it started: ask as long as it runs, then TERM, then KILL.

        Returns:
            What is known of processes that could not be ended.
        """
        if not self._ended and not self._hurried.is_set():
            await self._ask(farewell)
        try:
            return await insist(self._host, self._process.end, TERM_SECONDS + KILL_SECONDS)
        except TROUBLE as error:
            return f"it may still be running: {str(error) or type(error).__name__}"

    async def _ask(self, farewell: bool) -> None:
        if farewell:
            with suppress(AgentNotListening):  # the end of its input, and then TERM, say the same
                await self.send(FAREWELL)
        with suppress(*TROUBLE):
            self._process.stdin.write_eof()
        exited = asyncio.ensure_future(self.wait())
        hurried = asyncio.ensure_future(self._hurried.wait())
        try:
            await asyncio.wait(
                (exited, hurried), timeout=self._patience.ask, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            for task in (exited, hurried):
                task.cancel()
            await asyncio.gather(exited, hurried, return_exceptions=True)


async def insist(host: Any, step: Callable[[], Awaitable[T]], seconds: float = 0.0) -> T:
    """Take `step` on `host`, which may wait `seconds` there; if its connection is lost, once more over a new one.

    Raises:
        OSError, asyncssh.Error: that did not help.
    """
    try:
        async with asyncio.timeout(seconds + REMOTE_SECONDS):
            return await step()
    except TROUBLE:
        async with asyncio.timeout(seconds + REMOTE_SECONDS):
            await host.connect()
            return await step()


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]

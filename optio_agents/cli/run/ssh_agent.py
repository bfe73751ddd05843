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

from optio_agents.cli.exit_codes import CommandFailure, ExitCode
from optio_agents.cli.run.agent_input import AgentNotListening
from optio_agents.cli.run.local_agent import FAREWELL, Patience
from optio_agents.task.agent import ENDING, AgentProcess

T = TypeVar("T")

TROUBLE = (OSError, asyncssh.Error)
"""What an SSH connection raises when it cannot be used."""

REMOTE_SECONDS = 10.0
"""For one step on the host besides what it waits for itself: a round trip, or a new connection after a loss."""

OUTPUT_SECONDS = 1.0
"""For the last of the output to come after COMMAND has exited."""

_PIECE = 64 * 1024


class RemoteAgent:
    """One run of COMMAND in the workdir of a connected remote host. Made by `start`; `end` must be called."""

    def __init__(self, host: Any, command: Sequence[str], output: int, patience: Patience) -> None:
        self._host = host
        self._process = AgentProcess(host, f"exec {shlex.join(command)}")
        self._output = output
        self._patience = patience
        self._hurried = asyncio.Event()
        self._exited = asyncio.Event()
        self._copying: asyncio.Task[None] | None = None

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
        agent._watch()
        return agent

    def _watch(self) -> None:
        """Take note of its exit, and copy its output until that ends, or is lost with the connection."""
        remote = self._process.remote
        # SSH calls a process ended only when nobody, child or not, has its output open any more.
        remote.exit_status_received = lambda *_: self._exited.set()
        remote.exit_signal_received = lambda *_: self._exited.set()
        if remote.returncode is not None:
            self._exited.set()
        self._copying = asyncio.create_task(self._copy())
        self._copying.add_done_callback(lambda _: self._exited.set())

    async def _copy(self) -> None:
        while True:
            try:
                data = await self._process.stdout.read(_PIECE)
            except TROUBLE:
                return  # there is no status then, which tells it
            if not data:
                return
            try:
                # In a thread: the user may have named a pipe that nobody reads.
                await asyncio.to_thread(_write_all, self._output, data)
            except OSError as error:
                message = f"cannot keep the output: {error.strerror}"
                raise CommandFailure(ExitCode.IO_ERROR, message) from error

    async def wait(self) -> int | None:
        """Wait until COMMAND itself has exited.

        Returns:
            Its status, negative for a signal; None: the connection was lost.

        Raises:
            CommandFailure: its output cannot be kept here.
        """
        await self._exited.wait()
        await self._output_ends()
        remote = self._process.remote
        if remote.returncode is None:
            return await self._process.status()
        status: int | None = remote.returncode
        return status

    async def _output_ends(self) -> None:
        """Wait for what is still under way, for a moment: whoever was left running may keep it open for ever.

        Raises:
            CommandFailure: see `wait`.
        """
        if self._copying is not None:
            await asyncio.wait((self._copying,), timeout=OUTPUT_SECONDS)
            if self._copying.done() and not self._copying.cancelled():
                self._copying.result()

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
        if not self._exited.is_set() and not self._hurried.is_set():
            await self._ask(farewell)
        try:
            return await insist(self._host, self._process.end, ENDING.term + ENDING.kill)
        except TROUBLE as error:
            return f"it may still be running: {str(error) or type(error).__name__}"
        finally:
            with suppress(CommandFailure):  # `wait` has raised it, or the run is over without it
                await self._output_ends()
            if self._copying is not None:
                self._copying.cancel()

    async def _ask(self, farewell: bool) -> None:
        if farewell:
            with suppress(AgentNotListening):  # the end of its input, and then TERM, say the same
                await self.send(FAREWELL)
        with suppress(*TROUBLE):
            self._process.stdin.write_eof()
        exited = asyncio.ensure_future(self._exited.wait())
        hurried = asyncio.ensure_future(self._hurried.wait())
        try:
            await asyncio.wait(
                (exited, hurried), timeout=self._patience.end.ask, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            for task in (exited, hurried):
                task.cancel()


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

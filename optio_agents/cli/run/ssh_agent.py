"""COMMAND as a process on a remote host: its start, its input, its exit, and the end of all its descendants.

The counterpart of `local_agent` for `run --ssh`. Everything here is awaited under asyncio. On the host, COMMAND runs
under a guard (`hosts.ssh.guarded`), so that it survives a lost connection.
"""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import suppress
from typing import Any, Self, TypeVar

import asyncssh

from optio_agents.cli.exit_codes import CommandFailure, ExitCode
from optio_agents.cli.run.agent_input import AgentNotListening
from optio_agents.cli.run.local_agent import FAREWELL, Patience
from optio_agents.hosts.files.beneath import write_all
from optio_agents.task.agent import ENDING, AgentProcess

T = TypeVar("T")

TROUBLE = (OSError, asyncssh.Error)
"""What an SSH connection raises when it cannot be used."""

REMOTE_SECONDS = 10.0
"""For one step on the host besides what it waits for itself: a round trip, or a new connection after a loss."""

HURRIED_SECONDS = 3.0
"""For one step on the host once the user has asked for a quick end."""

OUTPUT_SECONDS = 1.0
"""For the last of the output to come after COMMAND has exited."""

_PIECE = 64 * 1024


class RemoteAgent:
    """One run of COMMAND in the workdir of a connected remote host. Made by `start`; `end` must be called."""

    def __init__(self, host: Any, command: Sequence[str], output: int, patience: Patience) -> None:
        self._process = AgentProcess(host, f"exec {shlex.join(command)}")
        self._output = output
        self._patience = patience
        self._hurried = asyncio.Event()
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
            OSError: the connection is lost, or the host cannot start it.
        """
        agent = cls(host, command, output, patience)
        try:
            await agent._process.start(environment)
        except BaseException:
            with suppress(*TROUBLE):
                await agent._process.end()
            raise
        agent._copying = asyncio.create_task(agent._copy())
        return agent

    async def _copy(self) -> None:
        """Copy its output until the output ends, or is lost with the connection.

        Raises:
            CommandFailure: see `wait`.
        """
        while True:
            try:
                data = await self._process.stdout.read(_PIECE)
            except TROUBLE:
                return  # `wait` reports that as a missing status
            if not data:
                return
            try:
                # In a thread, because the user may have named a pipe without a reader.
                await asyncio.to_thread(write_all, self._output, data)
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
        assert self._copying is not None
        exited = asyncio.ensure_future(self._process.status())
        try:
            await asyncio.wait((exited, self._copying), return_when=asyncio.FIRST_COMPLETED)
            await self._output_ends()
            return await exited
        finally:
            exited.cancel()

    async def _output_ends(self) -> None:
        """Wait a limited time for the rest of the output: a full pipe may block it for ever.

        Raises:
            CommandFailure: see `wait`.
        """
        if self._copying is not None:
            await asyncio.wait((self._copying,), timeout=OUTPUT_SECONDS)
            if self._copying.done() and not self._copying.cancelled():
                self._copying.result()

    @property
    def failure(self) -> OSError | None:
        """Why it was lost."""
        failure: OSError | None = self._process.remote.failure
        return failure

    async def send(self, message: str) -> None:
        """Write `message` to the agent's stdin as one line.

        Raises:
            AgentNotListening: it has ended, or does not read.
        """
        try:
            async with asyncio.timeout(self._patience.send):
                await self._process.send(message)
        except TimeoutError:
            raise AgentNotListening("its host does not answer") from None
        except TROUBLE as error:
            raise AgentNotListening("its input is closed") from error

    def hurry(self) -> None:
        """Make an `end` that is running, or yet to come, skip asking."""
        self._hurried.set()

    async def end(self, *, farewell: bool) -> str | None:
        """End COMMAND and everything that it started: ask it if it still runs, then TERM, then KILL.

        Returns:
            What is known of processes that could not be ended.
        """
        if self._process.remote.returncode is None and self.failure is None and not self._hurried.is_set():
            with suppress(TimeoutError):
                await bounded(
                    self._ask(farewell), self._patience.end.ask + self._patience.send, self._hurried, 0
                )
        try:
            return await bounded(self._process.end(), ENDING.total + REMOTE_SECONDS, self._hurried)
        except TROUBLE as error:
            return f"the agent may still be running: {str(error) or 'the host does not answer'}"
        finally:
            await self._process.leave()
            with suppress(CommandFailure):  # `wait` has raised it, or the run has ended without it
                await self._output_ends()
            if self._copying is not None:
                self._copying.cancel()

    async def _ask(self, farewell: bool) -> None:
        if farewell:
            with suppress(AgentNotListening):  # the end of its input and then TERM follow anyway
                await self.send(FAREWELL)
        self._process.stdin.write_eof()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._patience.end.ask):
                await self._process.status()


async def bounded(
    step: Coroutine[Any, Any, T],
    seconds: float,
    hurried: asyncio.Event,
    hurried_seconds: float = HURRIED_SECONDS,
) -> T:
    """Run a step within `seconds`; once `hurried`, within `hurried_seconds` from then on.

    Raises:
        TimeoutError: it took longer, and was cancelled.
    """
    task, hurry = asyncio.ensure_future(step), asyncio.ensure_future(hurried.wait())
    try:
        await asyncio.wait((task, hurry), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if hurry.done():
            await asyncio.wait((task,), timeout=hurried_seconds)
        if not task.done():
            raise TimeoutError
        return task.result()
    finally:
        hurry.cancel()
        task.cancel()
        await asyncio.wait((task, hurry))

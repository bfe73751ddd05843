"""Shell commands on this machine: commands that are run to their end, and launched ones that keep running.

Each gets a session of its own, and is ended with everything that it started (`hosts.processes.process_tree`).
"""

from __future__ import annotations

import fcntl
import os
import termios
from array import array
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from subprocess import DEVNULL, PIPE, STDOUT
from typing import Any

import trio

from optio_agents.hosts.processes.deadlines import Deadlines
from optio_agents.hosts.processes.excerpt import Excerpt
from optio_agents.hosts.processes.owned import OwnedProcess

LAUNCHED = Deadlines(ask=0)
"""For a command that was launched."""

CANCELLED = Deadlines(ask=0, term=2.0)
"""For a command that was cancelled while it ran."""


REST = 1.0
"""Seconds in which the rest of a command's output is read, once it has ended."""


@dataclass(frozen=True, slots=True)
class Completed:
    """The result of a command."""

    code: int
    stdout: str
    stderr: str


async def run(command: list[str], *, cwd: str, env: Mapping[str, str] | None = None) -> Completed:
    """Run a command to its end and collect what it prints (decoded with replacement). Its stdin is empty.

    Cancelling ends it and every process that it started, within `CANCELLED`. What a command leaves running in the
    background when it exits keeps running and is not waited for, though it may hold the output open. Of more
    output than `Excerpt` keeps, the head and the tail are returned.

    Raises:
        OSError: it cannot be started.
    """
    stdout, stderr = Excerpt(), Excerpt()
    async with running(command, cwd=cwd, env=env, stdout=PIPE, stderr=PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_collect, process.stdout, stdout)
            nursery.start_soon(_collect, process.stderr, stderr)
            code = await process.wait()
            with trio.move_on_after(REST):
                for each in (process.stdout, process.stderr):
                    await _caught_up(each)
            nursery.cancel_scope.cancel(reason="the command has ended")
    return Completed(code, stdout.text(), stderr.text())


@asynccontextmanager
async def running(
    command: list[str],
    *,
    cwd: str | None = None,
    env: Mapping[str, str] | None = None,
    stdin: int = DEVNULL,
    stdout: int = DEVNULL,
    stderr: int = DEVNULL,
) -> AsyncIterator[OwnedProcess]:
    """A program that runs while the block does: one that has not been waited for by its end is ended.

    Raises:
        OSError: it cannot be started.
    """
    process = await OwnedProcess.start(
        command,
        cwd=cwd,
        environment=os.environ if env is None else env,
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        deadlines=CANCELLED,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            await process.end()
        with trio.move_on_after(CANCELLED.kill, shield=True):
            await process.close_streams()


class Launched:
    """The commands that were launched and have not been ended yet."""

    def __init__(self) -> None:
        self._owned: dict[trio.Process, OwnedProcess] = {}

    async def launch(
        self,
        command: str,
        *,
        cwd: str,
        env: Mapping[str, str],
        env_remove: Collection[str],
        merge_stderr: bool,
        stdin: bool,
    ) -> trio.Process:
        """Start a shell command. `env` is added to our environment without what matches a pattern of
        `env_remove`.

        Raises:
            OSError: it cannot be started.
        """
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not any(fnmatchcase(name, pattern) for pattern in env_remove)
        }
        process = await OwnedProcess.start(
            ["/bin/sh", "-c", command],
            cwd=cwd,
            environment={**inherited, **env},
            stdin=PIPE if stdin else None,
            stdout=PIPE,
            stderr=STDOUT if merge_stderr else PIPE,
            deadlines=LAUNCHED,
        )
        self._owned[process.trio_process] = process
        return process.trio_process

    async def end(self, process: trio.Process, *, deadlines: Deadlines = LAUNCHED) -> None:
        """End a command and every process that it started, within `deadlines`. Idempotent.

        Its output pipes stay open, so that what it printed can still be read.
        """
        owned = self._owned.pop(process, None)
        if owned is None:
            await trio.lowlevel.checkpoint()
            return
        await owned.end(deadlines=deadlines)
        if process.stdin is not None:
            await trio.aclose_forcefully(process.stdin)

    async def end_all(self) -> None:
        """Kill what is left, and close its pipes."""
        await trio.lowlevel.checkpoint()
        for process, owned in list(self._owned.items()):
            await self.end(process, deadlines=replace(LAUNCHED, term=0))
            await owned.close_streams()


async def _collect(stream: trio.abc.ReceiveStream, into: Excerpt) -> None:
    async for data in stream:
        into.add(bytes(data))


async def _caught_up(stream: Any) -> None:
    """Wait until what is in a pipe now has been read by the task that reads it."""
    unread = array("i", [0])
    while fcntl.ioctl(stream.fileno(), termios.FIONREAD, unread) == 0 and unread[0] > 0:
        await trio.lowlevel.checkpoint()

"""Shell commands on this machine: one that is run to its end, and those that are launched and live on.

Each gets a session of its own, and is ended with everything that it started (`hosts.process_tree`).
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from subprocess import DEVNULL, PIPE, STDOUT

import trio

from optio_agents.hosts.processes.process_tree import ProcessTree, end_tree, marker_environment

TERM_SECONDS = 5.0
"""How long a launched command may take over SIGTERM before it is killed."""

CANCEL_SECONDS = 2.0
"""The same for a command that was cancelled while it ran."""

KILL_SECONDS = 5.0
"""How long to wait for what was killed (a process may hang in the kernel)."""


@dataclass(frozen=True, slots=True)
class Completed:
    """What a command came to."""

    code: int
    stdout: str
    stderr: str


async def run(command: list[str], *, cwd: str, env: Mapping[str, str] | None = None) -> Completed:
    """Run a command to its end and collect what it prints (decoded with replacement). Its stdin is empty.

    Cancelling ends it and all that it started: TERM, and KILL after `CANCEL_SECONDS`. What a command leaves
    running in the background when it ends by itself is left alone.

    Raises:
        OSError: it cannot be started.
    """
    stdout, stderr = bytearray(), bytearray()
    async with running(command, cwd=cwd, env=env, stdout=PIPE, stderr=PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_collect, process.stdout, stdout)
            nursery.start_soon(_collect, process.stderr, stderr)
        code = await process.wait()
    return Completed(code, stdout.decode(errors="replace"), stderr.decode(errors="replace"))


@asynccontextmanager
async def running(
    command: list[str],
    *,
    cwd: str | None = None,
    env: Mapping[str, str] | None = None,
    stdin: int = DEVNULL,
    stdout: int = DEVNULL,
    stderr: int = DEVNULL,
) -> AsyncIterator[trio.Process]:
    """A program that runs while the block does: one that has not been waited for by its end is ended.

    Raises:
        OSError: it cannot be started.
    """
    process: trio.Process = await trio.lowlevel.open_process(
        command, cwd=cwd, env=env, stdin=stdin, stdout=stdout, stderr=stderr, start_new_session=True
    )
    tree = ProcessTree(process.pid)
    try:
        yield process
    finally:
        if process.returncode is None:
            with trio.move_on_after(CANCEL_SECONDS + 2 * KILL_SECONDS, shield=True):
                await end_tree(tree, term_seconds=CANCEL_SECONDS, kill_seconds=KILL_SECONDS)
                await process.wait()
        await _close_pipes(process)


class Launched:
    """The commands that were launched and have not been ended yet."""

    def __init__(self) -> None:
        self._trees: dict[trio.Process, ProcessTree] = {}

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
        marker = marker_environment()
        process: trio.Process = await trio.lowlevel.open_process(
            ["/bin/sh", "-c", command],
            cwd=cwd,
            env={**inherited, **env, **marker},
            stdin=PIPE if stdin else None,
            stdout=PIPE,
            stderr=STDOUT if merge_stderr else PIPE,
            start_new_session=True,
        )
        self._trees[process] = ProcessTree(process.pid, marker)
        return process

    async def end(self, process: trio.Process, *, term_seconds: float) -> None:
        """End a command and everything it started, within the deadlines. Idempotent.

        Its output pipes stay open, so that what it printed can still be read.
        """
        tree = self._trees.pop(process, None)
        if tree is None:
            await trio.lowlevel.checkpoint()
            return
        try:
            await end_tree(tree, term_seconds=term_seconds, kill_seconds=KILL_SECONDS)
        finally:
            with trio.move_on_after(KILL_SECONDS, shield=True):
                await process.wait()
            if process.stdin is not None:
                await trio.aclose_forcefully(process.stdin)

    async def end_all(self) -> None:
        """Kill what is left, and close its pipes."""
        await trio.lowlevel.checkpoint()
        for process in list(self._trees):
            await self.end(process, term_seconds=0)
            await _close_pipes(process)


async def _collect(stream: trio.abc.ReceiveStream, into: bytearray) -> None:
    async for data in stream:
        into += data


async def _close_pipes(process: trio.Process) -> None:
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            await trio.aclose_forcefully(pipe)

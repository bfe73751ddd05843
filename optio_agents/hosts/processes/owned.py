"""A child process that has an owner: started, waited for, and ended with every process that it started.

This is the only place of the project that starts a program under Trio. The command line, conversations, launched
commands and `run_on_host` differ in what they write to the program and in their deadlines, not in how it ends.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from subprocess import DEVNULL
from typing import Self

import trio

from optio_agents.hosts.processes import adoption
from optio_agents.hosts.processes.deadlines import Deadlines
from optio_agents.hosts.processes.process_tree import (
    EndedBy,
    ProcessTree,
    TreeEnd,
    end_tree,
    marker_environment,
)


class OwnedProcess:
    """One child process. Made by `start`; the owner must call `end` in every case.

    start ──> running ──(exits)──> end: TERM, then KILL, for the processes it left behind
                 └─────────────────> end: ask, then TERM, then KILL, for the whole tree
    """

    def __init__(self, process: trio.Process, tree: ProcessTree, deadlines: Deadlines) -> None:
        self.tree = tree
        self._process = process
        self._deadlines = deadlines
        self._ending = trio.CancelScope(shield=True)
        self._end: TreeEnd | None = None

    def __repr__(self) -> str:
        state = "running" if self.returncode is None else f"ended with {self.returncode}"
        return f"<OwnedProcess {self.pid}, {state}>"

    @classmethod
    async def start(
        cls,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        cwd: str | None = None,
        stdin: int | None = DEVNULL,
        stdout: int = DEVNULL,
        stderr: int = DEVNULL,
        deadlines: Deadlines | None = None,
    ) -> Self:
        """Start `command` in a session of its own, so that a Ctrl-C on our terminal does not reach it.

        Args:
            command: the program and its arguments. No shell is involved.
            environment: the whole environment of the program. A marker is added, by which its descendants are found.
            cwd: the directory to run it in.
            stdin, stdout, stderr: a descriptor, or one of the constants of `subprocess`. `None` for `stdin`: ours.
            deadlines: for each step of `end`.

        Raises:
            OSError: the program cannot be started.
        """
        marker = marker_environment()
        with adoption.starting():
            process: trio.Process = await trio.lowlevel.open_process(
                command,
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                cwd=cwd,
                env={**environment, **marker},
                start_new_session=True,
            )
            adoption.started.add(process.pid)
        try:
            tree = ProcessTree(process.pid, marker, adoption.adopted)
        except OSError as error:
            with trio.CancelScope(shield=True):
                process.kill()
                await process.wait()
            if os.path.exists("/proc/self/stat"):  # noqa: ASYNC240 - no file system that could hang
                raise
            raise OSError(
                errno.ENOSYS, "/proc cannot be read here, so that the processes it starts could not be ended"
            ) from error
        return cls(process, tree, deadlines or Deadlines())

    @property
    def pid(self) -> int:
        """The process id of the program itself."""
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """The exit status of the program, negative for a signal; `None` while it runs."""
        return self._process.returncode

    @property
    def trio_process(self) -> trio.Process:
        """Trio's own handle of the program."""
        return self._process

    @property
    def stdin(self) -> trio.abc.SendStream | None:
        """The input of the program, if it was started with `PIPE`."""
        return self._process.stdin

    @property
    def stdout(self) -> trio.abc.ReceiveStream | None:
        """The output of the program, if it was started with `PIPE`."""
        return self._process.stdout

    @property
    def stderr(self) -> trio.abc.ReceiveStream | None:
        """The error output of the program, if it was started with `PIPE`."""
        return self._process.stderr

    async def wait(self) -> int:
        """Wait until the program itself has exited; return its `returncode`."""
        return await self._process.wait()

    def hurry(self) -> None:
        """Make an `end` that is running, or yet to come, kill at once instead of waiting."""
        self._ending.cancel("hurried")

    async def end(
        self, *, ask: Callable[[], Awaitable[object]] | None = None, deadlines: Deadlines | None = None
    ) -> TreeEnd:
        """End the program and every process that it started, within `Deadlines.total`. Idempotent.

        Shielded from cancellation, because it must not be left half done; `hurry` makes it quick.

        Args:
            ask: asks a program that still runs to end, for example by closing its input.
            deadlines: replace those given to `start`.
        """
        if self._end is not None:
            await trio.lowlevel.checkpoint()
            return self._end
        deadlines = deadlines or self._deadlines
        with self._ending:
            self._end = await end_tree(
                self.tree, deadlines=deadlines, ask=ask if self.returncode is None else None
            )
        if self._end is None:  # Hurried: end_tree has killed what was left.
            left = tuple(self.tree.members())
            self._end = TreeEnd(EndedBy.NOTHING if left else EndedBy.KILL, left)
        if not self.tree.is_inherited:
            with trio.move_on_after(deadlines.kill, shield=True):
                await self._process.wait()
        return self._end

    async def close_streams(self) -> None:
        """Close our ends of the pipes of the program. Idempotent."""
        for pipe in (self.stdin, self.stdout, self.stderr):
            if pipe is not None:
                await trio.aclose_forcefully(pipe)

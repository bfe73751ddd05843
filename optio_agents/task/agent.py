"""An agent's process on an optio-host host: started, spoken to, waited for, ended with all that it started."""

from __future__ import annotations

import asyncio
import hashlib
import shlex
from collections.abc import Mapping
from typing import Any

from optio_agents.bridge import run_in_trio
from optio_agents.hosts import shell
from optio_agents.hosts.processes.deadlines import Deadlines
from optio_agents.hosts.processes.process_tree import MARKER_VARIABLE, ProcessTree, end_tree

TAIL = 2000
"""Bytes of the agent's output that are kept for the report of its failure."""

ENDING = Deadlines(ask=0, term=1.0, kill=1.0)
"""For the processes of an agent. Well within the grace that optio gives a cancelled task (5 s by default)."""


class AgentExited(Exception):  # noqa: N818 - named for what happened
    """The agent's process ended with a status that is not 0. `status` is negative for a signal, if known."""

    def __init__(self, status: int | None, tail: str) -> None:
        self.status = status
        ended = "was lost with its connection" if status is None else f"ended with exit status {status}"
        super().__init__(f"the agent {ended}" + (f": {tail}" if tail else ""))


class AgentProcess:
    """One run of a command in the workdir of an optio-host host.

    All of its processes carry a mark in their environment that depends only on the host's task directory:
    the next run finds what a worker that died has left behind (see `end_leftovers`).
    """

    def __init__(self, host: Any, command: str) -> None:
        self._host = host
        # A shell of its own: the host puts things before and behind its command.
        self._command = f"exec {shlex.join(['sh', '-c', command])}"
        self._handle: Any = None
        self._tree: ProcessTree | None = None
        self._tail = b""

    @property
    def stdin(self) -> Any:
        """Its standard input: `write(bytes)`, `await drain()`."""
        return self._handle.stdin

    @property
    def stdout(self) -> Any:
        """Its standard output and error, as one stream: `await read(limit)`."""
        return self._handle.pid_like.stdout

    @property
    def remote(self) -> Any:
        """The process as the host's own library knows it: asyncio's, or asyncssh's."""
        return self._handle.pid_like

    async def end_leftovers(self) -> None:
        """End what an earlier run in the same task directory has left running."""
        await self._host.run_command(self._end_marked(), cwd="/")

    async def start(self, environment: Mapping[str, str]) -> None:
        """Start it; `environment` is added to the host's own."""
        marked = {**environment, MARKER_VARIABLE: self._mark}
        launching = asyncio.ensure_future(
            self._host.launch_subprocess(self._command, env=marked, cwd=self._host.workdir, stdin=True)
        )
        try:
            self._handle = await asyncio.shield(launching)
        except asyncio.CancelledError:
            # asyncio would kill the shell alone and wait for what that has started already.
            self._handle = await launching
            raise
        finally:
            self._know_tree()

    def _know_tree(self) -> None:
        if self._handle is None:
            return
        if (pid := getattr(self._handle.pid_like, "pid", None)) is not None:
            try:
                self._tree = ProcessTree(pid, {MARKER_VARIABLE: self._mark})
            except ProcessLookupError:
                self._tree = None  # it has ended already; `end` looks for the mark

    async def send(self, message: str) -> None:
        """Write `message` to its standard input as one line.

        Raises:
            OSError: it does not listen any more.
        """
        self.stdin.write(" ".join(message.splitlines()).encode("utf-8", "replace") + b"\n")
        await self.stdin.drain()

    async def read_to_end(self) -> None:
        """Read its output until that ends, keeping the last of it for `wait` to tell."""
        while data := await self.stdout.read(65536):
            text = data.encode() if isinstance(data, str) else data
            self._tail = (self._tail + text)[-TAIL:]

    async def wait(self) -> None:
        """Wait until it has ended.

        Raises:
            AgentExited: with a status that is not 0.
        """
        status = await self.status()
        if status != 0:
            raise AgentExited(status, self._tail.decode("utf-8", "replace").strip())

    async def end(self) -> str | None:
        """End it and all that it started. Takes at most `ENDING.total`. Idempotent.

        Returns:
            What a remote host says of processes that could not be ended.
        """
        if self._handle is None:
            return None
        complaint = ""
        tree = self._tree
        if tree is not None:
            await run_in_trio(lambda _: end_tree(tree, deadlines=ENDING))
            await self._handle.pid_like.wait()
        else:
            ended = await self._host.run_command(self._end_marked(), cwd="/")
            complaint = ended.stderr.strip() if ended.exit_code else ""
        self.stdin.close()
        self._handle = None
        return complaint or None

    async def status(self) -> int | None:
        """Wait until it has ended; its status, negative for a signal. `None`: it was lost with its connection."""
        process = self._handle.pid_like
        await process.wait()
        # asyncio's process, or asyncssh's (which has none when the connection was lost).
        status: int | None = process.returncode
        return status

    @property
    def _mark(self) -> str:
        return hashlib.sha256(self._host.taskdir.encode("utf-8", "surrogateescape")).hexdigest()[:24]

    def _end_marked(self) -> str:
        return shell.end_marked(MARKER_VARIABLE, self._mark, seconds=ENDING.term)

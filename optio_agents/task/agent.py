"""An agent's process on an optio-host host: start, input, output, exit, and the end of all its descendants."""

from __future__ import annotations

import asyncio
import glob
import hashlib
import shlex
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from optio_agents.bridge import run_in_trio
from optio_agents.hosts import shell
from optio_agents.hosts.processes.deadlines import Deadlines
from optio_agents.hosts.processes.process_tree import MARKER_VARIABLE, ProcessTree, end_tree
from optio_agents.hosts.ssh.guarded import GuardedProcess
from optio_agents.hosts.ssh.remote_host import TrustedRemoteHost
from optio_agents.task.memory import ConversationMemory
from optio_agents.task.output import OutputTail, RecordedReader

OUTPUT_BYTES = 64 * 1024
"""How much of the end of the agent's output is kept, by default."""

SEND_SECONDS = 3.0
"""Seconds that the agent may take to make room for a message in its input. After that, messages fail at once until it
has made room."""

OUTPUT_SECONDS = 0.5
"""Seconds to wait for the last output after the agent has exited: a child that it left may keep it open for ever."""

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

    def __init__(self, host: Any, command: str, *, output_bytes: int = OUTPUT_BYTES) -> None:
        self._host = host
        self._command = command
        self._handle: Any = None
        self._tree: ProcessTree | None = None
        self._is_stuck = False
        self._exit = asyncio.Event()
        self._ending: asyncio.Task[str | None] | None = None
        self.output = OutputTail(output_bytes)
        """The end of what it has printed, as far as it was read."""
        self.memory: ConversationMemory | None = None
        """What the task remembers of its conversation, if it has one."""

    @property
    def stdin(self) -> Any:
        """Its standard input: `write(bytes)`, `await drain()`."""
        return self._handle.stdin

    @property
    def stdout(self) -> Any:
        """Its standard output and error, as one stream: `await read(limit)`. What is read goes into `output`, too."""
        return RecordedReader(self._handle.pid_like.stdout, self.output)

    @property
    def remote(self) -> Any:
        """The process as the host's own library knows it: asyncio's, or asyncssh's."""
        return self._handle.pid_like

    async def end_leftovers(self) -> None:
        """End what an earlier run in the same task directory has left running."""
        taskdir = self._host.taskdir
        if isinstance(self._host, TrustedRemoteHost):
            await self._host.end_leftovers(MARKER_VARIABLE, mark_of(taskdir), ENDING.term)
        else:
            await self._host.run_command(end_marked_command(taskdir), cwd="/")

    async def start(
        self, environment: Mapping[str, str], *, without: Sequence[str] = (), arguments: Sequence[str] = ()
    ) -> None:
        """Start it, or start it again after its end.

        Args:
            environment: added to the host's own environment.
            without: names of variables of the host's own environment that it does not get.
            arguments: added to its command.
        """
        self._exit, self._ending, self._tree, self._is_stuck = asyncio.Event(), None, None, False
        self.output.ended.clear()
        command = " ".join((self._command, *map(shlex.quote, arguments)))
        marked = {**environment, MARKER_VARIABLE: mark_of(self._host.taskdir)}
        launching = asyncio.ensure_future(
            self._host.launch_subprocess(
                # In a shell of its own, because the host adds text before and after the command.
                f"exec {shlex.join(['sh', '-c', command])}",
                env=marked,
                env_remove=[glob.escape(name) for name in without] or None,
                cwd=self._host.workdir,
                stdin=True,
            )
        )
        try:
            self._handle = await asyncio.shield(launching)
        except asyncio.CancelledError:
            # asyncio would kill only the shell, and wait for what the shell has already started.
            self._handle = await launching
            raise
        finally:
            self._know_tree()

    def _know_tree(self) -> None:
        if self._handle is None:
            return
        self._watch_exit(self._handle.pid_like)
        if (pid := getattr(self._handle.pid_like, "pid", None)) is not None:
            try:
                self._tree = ProcessTree(pid, {MARKER_VARIABLE: mark_of(self._host.taskdir)})
            except ProcessLookupError:
                self._tree = None  # it has ended already; `end` looks for the mark

    def _watch_exit(self, process: Any) -> None:
        """Note its exit.

        asyncio's and asyncssh's `wait` return only when the output is closed, too, and a child may keep that open.
        """
        if isinstance(process, GuardedProcess):
            return  # its `wait` does not wait for its output
        if hasattr(process, "exit_status_received"):
            process.exit_status_received = lambda *_: self._exit.set()
            process.exit_signal_received = lambda *_: self._exit.set()
        else:
            protocol = process._protocol
            exited = protocol.process_exited

            def process_exited() -> None:
                exited()
                self._exit.set()

            protocol.process_exited = process_exited
        if process.returncode is not None:
            self._exit.set()

    async def send(self, message: str) -> None:
        """Write `message` to its standard input as one line.

        Raises:
            OSError: its input is closed, or it does not read what was sent before.
        """
        if self._is_stuck:
            await self._drain(0.0)
        self.stdin.write(" ".join(message.splitlines()).encode("utf-8", "replace") + b"\n")
        await self._drain(SEND_SECONDS)

    async def _drain(self, seconds: float) -> None:
        """Wait until there is room for more, within a limit: an agent that does not read must not block the session."""
        self._is_stuck = True
        try:
            async with asyncio.timeout(seconds):
                await self.stdin.drain()
        except TimeoutError:
            raise BlockingIOError("the agent does not read its input") from None
        self._is_stuck = False

    async def read_output(self) -> None:
        """Read its output until that ends, or until the agent has exited and no more output arrives for a while."""
        stdout = self.stdout

        async def read() -> None:
            while await stdout.read(65536):
                pass

        reading, exiting = asyncio.ensure_future(read()), asyncio.ensure_future(self.exited())
        try:
            await asyncio.wait({reading, exiting}, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait({reading}, timeout=OUTPUT_SECONDS)
        finally:
            exiting.cancel()
            reading.cancel()
            await asyncio.wait({reading, exiting})
        if not reading.cancelled():
            reading.result()

    async def exited(self) -> None:
        """Wait until the agent itself has exited or was lost with its connection. Its children may still run."""
        waiting = {
            asyncio.ensure_future(self._exit.wait()),
            asyncio.ensure_future(self._handle.pid_like.wait()),
        }
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waiting:
                each.cancel()
            await asyncio.wait(waiting)

    async def wait(self) -> None:
        """Wait until it has exited, and for a limited time until its last output is read.

        Raises:
            AgentExited: with a status that is not 0.
        """
        process = self._handle.pid_like
        await self.exited()
        with suppress(TimeoutError):
            await asyncio.wait_for(self.output.ended.wait(), OUTPUT_SECONDS)
        if isinstance(process, GuardedProcess) and process.failure is not None:
            raise process.failure
        if process.returncode != 0:
            raise AgentExited(process.returncode, self.output.excerpt)

    async def end(self) -> str | None:
        """End it and all that it started. Takes at most `ENDING.total`. Idempotent.

        It continues when its caller is cancelled, and a second caller waits for the same end.

        Returns:
            What a remote host reports about processes that could not be ended.
        """
        if self._handle is None:
            return None
        if self._ending is None:
            self._ending = asyncio.ensure_future(self._end())
        return await asyncio.shield(self._ending)

    async def _end(self) -> str | None:
        complaint = ""
        tree, process = self._tree, self._handle.pid_like
        if isinstance(process, GuardedProcess):
            complaint = await process.end(ENDING.term) or ""
        elif tree is not None:
            await run_in_trio(lambda _: end_tree(tree, deadlines=ENDING))
            with suppress(TimeoutError):
                await asyncio.wait_for(self._exit.wait(), ENDING.kill)
        else:
            ended = await self._host.run_command(end_marked_command(self._host.taskdir), cwd="/")
            complaint = ended.stderr.strip() if ended.exit_code else ""
        self.stdin.close()
        return complaint or None

    async def leave(self) -> None:
        """Detach from it for good: on a remote host its guard ends it. Idempotent."""
        if self._handle is not None and isinstance(process := self._handle.pid_like, GuardedProcess):
            await process.leave()

    async def status(self) -> int | None:
        """Wait until it has ended; its status, negative for a signal. `None`: it was lost with its connection."""
        process = self._handle.pid_like
        await process.wait()
        # asyncio's process, or asyncssh's (which has none when the connection was lost).
        status: int | None = process.returncode
        return status


def mark_of(taskdir: str) -> str:
    """The value of the variable that marks every process of the agents of a task directory."""
    return hashlib.sha256(taskdir.encode("utf-8", "surrogateescape")).hexdigest()[:24]


def end_marked_command(taskdir: str) -> str:
    """The shell command that ends every process with the mark of `taskdir`, on the machine where it is run."""
    return shell.end_marked(MARKER_VARIABLE, mark_of(taskdir), seconds=ENDING.term)

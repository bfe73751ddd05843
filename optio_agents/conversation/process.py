"""An agent's process: started in an environment of its own, and ended with all its descendants."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence

import trio

from optio_agents.conversation.options import ConversationOptions
from optio_agents.conversation.values import AgentNotStarted
from optio_agents.hosts.processes.exit_status import exit_text
from optio_agents.hosts.processes.owned import OwnedProcess
from optio_agents.hosts.processes.process_tree import EndedBy, end_tree

READ_SIZE = 256 * 1024
EOF_SECONDS = 1.0
"""How long the rest of the output may take to arrive once the whole tree is gone. It is in the pipe already;
only a process that escaped the tree can hold the pipe open, and that one is not waited for."""


class StderrExcerpt:
    """What an agent wrote to stderr: the beginning, which usually has the error, and the end, without the middle."""

    HEAD = 4 * 1024
    TAIL = 16 * 1024

    def __init__(self) -> None:
        self._head = b""
        self._tail = b""
        self._skipped = False

    def add(self, data: bytes) -> None:
        """Add what it wrote."""
        room = self.HEAD - len(self._head)
        self._head += data[:room]
        self._tail += data[room:] if room > 0 else data
        if len(self._tail) > self.TAIL:
            self._skipped = True
            self._tail = self._tail[-self.TAIL :]

    def __str__(self) -> str:
        between = b"\n...\n" if self._skipped else b""
        return (self._head + between + self._tail).decode(errors="replace").strip()

    def excerpt(self, limit: int = 1000) -> str:
        """At most about `limit` characters from each end."""
        text = str(self)
        return text if len(text) <= 2 * limit else f"{text[:limit]} ... {text[-limit:]}"


class ConversationProcess:
    """A `Transport` over the stdio of a process tree. Made by `start_process`, ended by `finish`."""

    def __init__(
        self,
        process: OwnedProcess,
        name: str,
        temporary: str,
        options: ConversationOptions,
    ) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        self.pid = process.pid
        self.tree = process.tree
        self._process = process
        self._stdin = process.stdin
        self._stdout = process.stdout
        self._stderr = process.stderr
        self._name = name
        self._temporary = temporary
        self._options = options
        self.stderr_excerpt = StderrExcerpt()
        self._output_ended = trio.Event()
        self._stderr_ended = trio.Event()
        self._gone = trio.Event()
        self._looking_after = trio.CancelScope(shield=True)
        self._how = ""

    async def receive(self) -> bytes:
        """See `Transport.receive`."""
        try:
            data = await self._stdout.receive_some(READ_SIZE)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            data = b""
        if not data:
            self._output_ended.set()
        return bytes(data)

    async def send(self, data: bytes) -> None:
        """See `Transport.send`."""
        await self._stdin.send_all(data)

    async def end(self, *, ask: bool) -> None:
        """See `Transport.end`."""
        end = await end_tree(
            self.tree, deadlines=self._options.deadlines, ask=self._stdin.aclose if ask else None
        )
        if end.by is EndedBy.NOTHING:
            left = ", ".join(f"{each.name} (pid {each.pid})" for each in end.survivors)
            self._note_gone(f"{self._name} could not be ended; still there: {left}")
        await self._gone.wait()

    async def wait(self) -> str:
        """See `Transport.wait`."""
        await self._gone.wait()
        return self._how

    async def look_after(self) -> None:
        """Drain stderr, collect the status when the process exits, end what it left behind.

        The owner runs this. It is shielded, because a cancelled owner still needs it to end the agent. `finish`, which
        takes a limited time, ends it.
        """
        with self._looking_after:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._drain_stderr)
                await self._reap()

    async def _reap(self) -> None:
        status = await self._process.wait()
        await end_tree(self.tree, deadlines=self._options.deadlines)
        with trio.move_on_after(EOF_SECONDS):
            await self._output_ended.wait()
            await self._stderr_ended.wait()
        await trio.aclose_forcefully(self._stdout)
        self._note_gone(f"{self._name} ended ({exit_text(status)})")

    async def _drain_stderr(self) -> None:
        try:
            async for data in self._stderr:
                self.stderr_excerpt.add(bytes(data))
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        self._stderr_ended.set()

    async def finish(self) -> None:
        """End it without asking, in any state, and remove its files. Takes a limited time, also when cancelled."""
        with trio.CancelScope(shield=True) as scope:
            scope.deadline = trio.current_time() + self._options.end_seconds + EOF_SECONDS
            await self.end(ask=False)
        self._looking_after.cancel(reason="the agent is finished")
        with trio.CancelScope(shield=True, deadline=trio.current_time() + self._options.kill_seconds):
            for stream in (self._stdin, self._stdout, self._stderr):
                await trio.aclose_forcefully(stream)
            await trio.to_thread.run_sync(shutil.rmtree, self._temporary, True)

    def _note_gone(self, how: str) -> None:
        if not self._gone.is_set():
            words = self.stderr_excerpt.excerpt()
            self._how = f"{how}; its stderr: {words}" if words else how
            self._gone.set()


async def start_process(
    nursery: trio.Nursery,
    name: str,
    command: Sequence[str],
    *,
    cwd: str,
    environment: Mapping[str, str],
    home: str | None,
    options: ConversationOptions,
) -> ConversationProcess:
    """Run an agent; its owner must `finish` it. `nursery` gets the tasks that serve it.

    It gets a TMPDIR of its own, removed at the end, because agents leave sockets and caches there. Its HOME is `home`,
    if given. It runs in a session of its own, so that Ctrl-C at our terminal does not reach it.

    Raises:
        AgentNotStarted: there is no such program, or it cannot be run.
    """
    program = shutil.which(command[0], path=environment.get("PATH", os.defpath))
    if program is None:
        raise AgentNotStarted(
            f"{name}: there is no program {command[0]!r}; is it installed, and on the PATH?"
        )
    if not await trio.Path(cwd).is_dir():
        raise AgentNotStarted(f"{name}: there is no directory {cwd!r} to run it in")
    temporary = tempfile.mkdtemp(prefix="optio-agent-")
    surroundings = {**environment, "TMPDIR": temporary}
    if home is not None:
        surroundings["HOME"] = home
    try:
        process = await OwnedProcess.start(
            [program, *command[1:]],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=cwd,
            environment=surroundings,
            deadlines=options.deadlines,
        )
    except BaseException as error:
        shutil.rmtree(temporary, ignore_errors=True)
        if isinstance(error, OSError):
            reason = error.strerror or error
            raise AgentNotStarted(f"{name}: {program} cannot be run: {reason}") from error
        raise
    agent = ConversationProcess(process, name, temporary, options)
    nursery.start_soon(agent.look_after, name=f"looking after {name}")
    return agent

"""An agent's process: started in surroundings of its own, and ended with everything it started."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections import deque
from collections.abc import Mapping, Sequence

import trio

from optio_agents.conversation.options import ConversationOptions
from optio_agents.conversation.values import AgentNotStarted
from optio_agents.hosts.process_tree import EndedBy, ProcessTree, end_tree, marker_environment

READ_SIZE = 256 * 1024
LAST_WORDS_LIMIT = 64 * 1024
"""How many bytes of stderr are kept: the last ones."""

EOF_SECONDS = 1.0
"""How long the rest of the output may take to arrive once the whole tree is gone. It is in the pipe
already; only a
process that escaped the tree can hold the pipe open, and nobody waits for that one."""


class AgentProcess:
    """A `Transport` over the stdio of a process tree. Made by `start_process`, ended by `finish`."""

    def __init__(
        self,
        process: trio.Process,
        tree: ProcessTree,
        name: str,
        temporary: str,
        options: ConversationOptions,
    ) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        self.pid = process.pid
        self.tree = tree
        self._process = process
        self._stdin = process.stdin
        self._stdout = process.stdout
        self._stderr = process.stderr
        self._name = name
        self._temporary = temporary
        self._options = options
        self._last_words: deque[bytes] = deque()
        self._last_words_size = 0
        self._output_ended = trio.Event()
        self._gone = trio.Event()
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
        options = self._options
        end = await end_tree(
            self.tree,
            ask=self._stdin.aclose if ask else None,
            ask_seconds=options.ask_seconds,
            term_seconds=options.term_seconds,
            kill_seconds=options.kill_seconds,
        )
        if end.by is EndedBy.NOTHING:
            left = ", ".join(f"{each.name} (pid {each.pid})" for each in end.survivors)
            self._note_gone(f"{self._name} could not be ended; still there: {left}")
        await self._gone.wait()

    async def wait(self) -> str:
        """See `Transport.wait`."""
        await self._gone.wait()
        return self._how

    @property
    def last_words(self) -> str:
        """The end of what it wrote to stderr."""
        return b"".join(self._last_words).decode(errors="replace").strip()

    async def reap(self) -> None:
        """Collect the status of the process when it exits, then end what it left behind. Its owner runs
        this.
        """
        status = await self._process.wait()
        await end_tree(
            self.tree, term_seconds=self._options.term_seconds, kill_seconds=self._options.kill_seconds
        )
        with trio.move_on_after(EOF_SECONDS):
            await self._output_ended.wait()
        await trio.aclose_forcefully(self._stdout)
        self._note_gone(f"{self._name} {_status_text(status)}")

    async def drain_stderr(self) -> None:
        """Read stderr, so that it never blocks the agent, and keep the end of it. Its owner runs this."""
        try:
            async for data in self._stderr:
                self._last_words.append(bytes(data))
                self._last_words_size += len(data)
                while self._last_words_size - len(self._last_words[0]) > LAST_WORDS_LIMIT:
                    self._last_words_size -= len(self._last_words.popleft())
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass

    async def finish(self) -> None:
        """End it without asking, whatever happened before, and remove what it used. Bounded, also when
        cancelled.
        """
        with trio.CancelScope(shield=True) as scope:
            scope.deadline = trio.current_time() + self._options.end_seconds + EOF_SECONDS
            await self.end(ask=False)
        with trio.CancelScope(shield=True, deadline=trio.current_time() + self._options.kill_seconds):
            for stream in (self._stdin, self._stdout, self._stderr):
                await trio.aclose_forcefully(stream)
            await trio.to_thread.run_sync(shutil.rmtree, self._temporary, True)

    def _note_gone(self, how: str) -> None:
        if not self._gone.is_set():
            words = self.last_words
            self._how = f"{how}; its last words: {words[-2000:]}" if words else how
            self._gone.set()


def _status_text(status: int) -> str:
    if status >= 0:
        return f"exited with status {status}"
    try:
        return f"was ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"was ended by signal {-status}"


async def start_process(
    nursery: trio.Nursery,
    name: str,
    command: Sequence[str],
    *,
    cwd: str,
    environment: Mapping[str, str],
    home: str | None,
    options: ConversationOptions,
) -> AgentProcess:
    """Run an agent; its owner must `finish` it. `nursery` gets the tasks that look after it.

    It gets a TMPDIR of its own (agents leave sockets and caches there), removed at the end, and `home` as
    its HOME if given. It runs in a session of its own, so that a Ctrl-C at our terminal does not reach it.

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
    marker = marker_environment()
    surroundings = {**environment, **marker, "TMPDIR": temporary}
    if home is not None:
        surroundings["HOME"] = home
    try:
        process = await trio.lowlevel.open_process(
            [program, *command[1:]],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=cwd,
            env=surroundings,
            start_new_session=True,
        )
    except BaseException as error:
        shutil.rmtree(temporary, ignore_errors=True)
        if isinstance(error, OSError):
            reason = error.strerror or error
            raise AgentNotStarted(f"{name}: {program} cannot be run: {reason}") from error
        raise
    agent = AgentProcess(process, ProcessTree(process.pid, marker), name, temporary, options)
    nursery.start_soon(agent.drain_stderr, name=f"stderr of {name}")
    nursery.start_soon(agent.reap, name=f"reaper of {name}")
    return agent

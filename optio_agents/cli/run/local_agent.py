"""COMMAND as an owned process: its start, its input, its exit, and the end of all its descendants.

It runs in a session of its own, so that Ctrl-C on the terminal reaches only us. This module and
`hosts.processes.owned` decide how the agent is ended.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from subprocess import DEVNULL
from typing import Self

import trio

from optio_agents.cli.exit_codes import UsageError
from optio_agents.cli.run.agent_input import AgentInput, AgentNotListening
from optio_agents.cli.run.settings import StdinOfAgent
from optio_agents.context import SYSTEM_MESSAGE_PREFIX
from optio_agents.hosts.processes.blocked import reads_stdin
from optio_agents.hosts.processes.deadlines import Deadlines
from optio_agents.hosts.processes.owned import OwnedProcess
from optio_agents.hosts.processes.process_tree import TreeEnd

FAREWELL = f"{SYSTEM_MESSAGE_PREFIX}the session is over: please end now"
"""The message to an agent that is being interrupted, before its input is closed."""


_ENDING = Deadlines(ask=3, term=3, kill=3)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for the agent."""

    send: float = 5.0
    """Seconds for an agent that does not read, until a message counts as not delivered."""
    end: Deadlines = _ENDING
    """For each step of its end."""


def _start_trouble(error: OSError) -> str:
    """Why an executable file could not be started: the text of the OS error alone is misleading."""
    if error.errno == errno.ENOENT:
        return "the interpreter that its first line names does not exist"
    if error.errno == errno.ENOEXEC:
        return "it is not a program, and its first line names no interpreter (#!)"
    return error.strerror or str(error)


class LocalAgent:
    """One run of COMMAND. Made by `start`; `end` must be called in every case.

    Its input is a pipe of ours (`AgentInput`); how it ends is described at `OwnedProcess`.
    """

    def __init__(self, process: OwnedProcess, inbox: AgentInput | None) -> None:
        self._process = process
        self._input = inbox
        self._pipe = None if inbox is None else inbox.identity

    @classmethod
    async def start(
        cls,
        command: Sequence[str],
        *,
        workdir: Path,
        environment: Mapping[str, str],
        output: int,
        stdin: StdinOfAgent = "messages",
        patience: Patience | None = None,
    ) -> Self:
        """Start `command` in `workdir`; `output` is the descriptor that gets its stdout and stderr.

        Raises:
            UsageError: the kernel refuses to run it.
        """
        patience = patience or Patience()
        inbox = AgentInput(patience=patience.send) if stdin == "messages" else None
        try:
            process = await OwnedProcess.start(
                command,
                stdin=inbox.reader if inbox is not None else None if stdin == "inherit" else DEVNULL,
                stdout=output,
                stderr=output,
                cwd=str(workdir),
                environment=environment,
                deadlines=patience.end,
            )
        except BaseException as error:
            if inbox is not None:
                with trio.move_on_after(patience.end.kill, shield=True):
                    await inbox.close()
            if isinstance(error, OSError):
                raise UsageError(f"cannot run {command[0]}: {_start_trouble(error)}") from error
            raise
        if inbox is not None:
            inbox.close_reader()
        return cls(process, inbox)

    @property
    def pid(self) -> int:
        """The process id of COMMAND itself."""
        return self._process.pid

    async def wait(self) -> int:
        """Wait until COMMAND itself has exited; return its `returncode`, negative for a signal."""
        return await self._process.wait()

    async def send(self, message: str) -> None:
        """Write `message` to the agent's stdin as one line: the session's `agent_sender`.

        Raises:
            AgentNotListening: see `AgentInput.send`.
        """
        if self._input is None:
            raise AgentNotListening("it was started without an input for messages (--stdin)")
        await self._input.send(message)

    def waits_for_input(self) -> bool:
        """Whether a process of the agent is reading our pipe now, as far as Linux shows it."""
        return self._pipe is not None and any(
            reads_stdin(entry.pid, self._pipe) for entry in self._process.tree.members()
        )

    def hurry(self) -> None:
        """Make an `end` that is running, or yet to come, kill at once instead of waiting."""
        self._process.hurry()

    async def end(self, *, farewell: bool = False) -> TreeEnd:
        """End COMMAND and every process that it started, within `patience.end.total` seconds; idempotent.

        While COMMAND runs it is asked first: `farewell` sends it `FAREWELL`, and its input is closed.
        """

        inbox = self._input

        async def ask() -> None:
            assert inbox is not None
            if farewell:
                with suppress(AgentNotListening):  # The end of its input and then TERM follow anyway.
                    await inbox.send(FAREWELL)
            await inbox.close()

        end = await self._process.end(ask=None if inbox is None else ask)
        if inbox is not None:
            await inbox.close()
        return end

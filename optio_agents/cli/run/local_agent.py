"""COMMAND as a process with an owner: started, spoken to, waited for, and ended with everything it started.

It runs in a session of its own, so that Ctrl-C on the terminal reaches only us; how the agent is ended is
decided here and in `hosts.process_tree`, never left to chance.
"""

from __future__ import annotations

import errno
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import trio

from optio_agents.cli.exit_codes import UsageError
from optio_agents.cli.run.agent_input import AgentInput, AgentNotListening
from optio_agents.context import SYSTEM_MESSAGE_PREFIX
from optio_agents.hosts.processes.process_tree import (
    EndedBy,
    ProcessTree,
    TreeEnd,
    end_tree,
    marker_environment,
)

FAREWELL = f"{SYSTEM_MESSAGE_PREFIX}the session is over: please end now"
"""What an agent that is being interrupted is told before its input is closed."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long the agent is waited for, in seconds."""

    send: float = 5.0
    """For an agent that does not read, until a message counts as not delivered."""
    ask: float = 3.0
    """From closing its input until TERM."""
    term: float = 3.0
    """From TERM until KILL."""
    kill: float = 3.0
    """For the kernel to end what was killed, and again for what that leaves to be collected."""

    @property
    def ending(self) -> float:
        """The longest that `LocalAgent.end` may take."""
        return self.ask + self.term + 2 * self.kill


def status_text(returncode: int) -> str:
    """`exit status 3` or `killed by SIGTERM`; `returncode` as `subprocess` has it."""
    if returncode >= 0:
        return f"exit status {returncode}"
    try:
        return f"killed by {signal.Signals(-returncode).name}"
    except ValueError:
        return f"killed by signal {-returncode}"


def _start_trouble(error: OSError) -> str:
    """Why a file that exists and may be executed could not be: the bare error text is misleading."""
    if error.errno == errno.ENOENT:
        return "the interpreter that its first line names does not exist"
    if error.errno == errno.ENOEXEC:
        return "it is not a program, and its first line names no interpreter (#!)"
    return error.strerror or str(error)


class LocalAgent:
    """One run of COMMAND. Made by `start`; `end` must be called, whatever happens.

    start ──> running ──(exits)──────────> end: TERM, KILL for what it left behind
                 └────(DONE, cancelled)──> end: close its input, TERM, KILL
    """

    def __init__(
        self, process: trio.Process, inbox: AgentInput, tree: ProcessTree, patience: Patience
    ) -> None:
        self._process = process
        self._input = inbox
        self._tree = tree
        self._patience = patience
        self._ending = trio.CancelScope(shield=True)
        self._end: TreeEnd | None = None

    @classmethod
    async def start(
        cls,
        command: Sequence[str],
        *,
        workdir: Path,
        environment: Mapping[str, str],
        output: int,
        patience: Patience | None = None,
    ) -> Self:
        """Start `command` in `workdir`; `output` is the descriptor that gets its stdout and stderr.

        Raises:
            UsageError: the kernel refuses to run it.
        """
        patience = patience or Patience()
        marker = marker_environment()
        inbox = AgentInput(patience=patience.send)
        try:
            process = await trio.lowlevel.open_process(
                command,
                stdin=inbox.reader,
                stdout=output,
                stderr=output,
                cwd=workdir,
                env={**environment, **marker},
                start_new_session=True,
            )
        except BaseException as error:
            with trio.CancelScope(shield=True):
                await inbox.close()
            if isinstance(error, OSError):
                raise UsageError(f"cannot run {command[0]}: {_start_trouble(error)}") from error
            raise
        inbox.close_reader()
        return cls(process, inbox, ProcessTree(process.pid, marker), patience)

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
        await self._input.send(message)

    def hurry(self) -> None:
        """Let an `end` that is going on, or yet to come, kill at once instead of waiting."""
        self._ending.cancel("hurried")

    async def end(self, *, farewell: bool = False) -> TreeEnd:
        """End COMMAND and everything it started, within `patience.ending` seconds; idempotent.

        While COMMAND runs it is asked first: `farewell` sends it `FAREWELL`, and its input is closed. Then
        TERM, then KILL. Shielded from cancellation, as it must not be left half done; `hurry` makes it quick.
        """
        if self._end is not None:
            return self._end

        async def ask() -> None:
            if farewell:
                with suppress(AgentNotListening):  # closing its input, and then TERM, say the same
                    await self._input.send(FAREWELL)
            await self._input.close()

        running = self._process.returncode is None
        with self._ending:
            self._end = await end_tree(
                self._tree,
                ask=ask if running else None,
                ask_seconds=self._patience.ask,
                term_seconds=self._patience.term,
                kill_seconds=self._patience.kill,
            )
        if self._end is None:  # hurried: end_tree has killed what was left
            left = tuple(self._tree.members())
            self._end = TreeEnd(EndedBy.NOTHING if left else EndedBy.KILL, left)
        with trio.move_on_after(self._patience.kill, shield=True):
            await self._input.close()
            await (
                self._process.wait()
            )  # collects its status; only a process stuck in the kernel makes this wait
        return self._end

"""A chat at a terminal: text as it comes, questions answered by key, Ctrl-C to interrupt."""

from __future__ import annotations

import json
import os
import signal
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager

import trio
from rich.console import Console

from optio_agents.cli.chat.stdin_bytes import read_some
from optio_agents.cli.exit_codes import ExitCode
from optio_agents.conversation import (
    AgentConversation,
    ConversationClosed,
    ConversationError,
    PermissionDecision,
    PermissionRequest,
    State,
    TurnStatus,
)
from optio_agents.protocol.display import display_text

LEAVE_SECONDS = 2.0
"""A second Ctrl-C within this time leaves."""

INPUT_SHOWN = 2000
"""How many characters of a tool's input a question shows."""

ANSWERS = {"y": "allow", "n": "deny"}


class TerminalChat:
    """One chat. `run` is all of it; it returns the exit code."""

    def __init__(
        self, conversation: AgentConversation, descriptor: int, console: Console | None = None
    ) -> None:
        self._conversation = conversation
        self._descriptor = descriptor
        self._console = console or Console(highlight=False, soft_wrap=True)
        self._question: _Question | None = None
        self._rest = b""
        self._at_line_start = True
        self._interrupted_at = -LEAVE_SECONDS
        self._left: ExitCode | None = None

    async def run(self) -> int:
        """Talk until the input ends, Ctrl-C twice, or the agent ends."""
        conversation = self._conversation
        self._note(f"{conversation.name} is ready. Ctrl-C interrupts it, twice leaves; Ctrl-D leaves.")
        conversation.on_permission_request(self._ask)
        async with trio.open_nursery() as nursery:
            await nursery.start(self._watch_signals, nursery)
            nursery.start_soon(self._read)
            # These two end by themselves, when they have shown everything there was.
            async with trio.open_nursery() as showing:
                showing.start_soon(self._show)
                showing.start_soon(self._report_results)
            nursery.cancel_scope.cancel(reason="the conversation has ended")
        if self._left is None:
            self._note(f"{conversation.name} has ended: {conversation.closed_reason}")
            return int(ExitCode.ENDED_EARLY)
        if conversation.session is not None and conversation.capabilities.resume:
            self._note(f"to take this up again: --resume {conversation.session}")
        return int(self._left)

    # What the agent does.

    async def _show(self) -> None:
        with self._conversation.events() as events:
            async for event in events:
                if event.text:
                    self._write(event.text)

    async def _report_results(self) -> None:
        results = self._conversation.results()
        while (got := await results.get()) is not None:
            for result in got[1]:
                self._end_line()
                if result.status is TurnStatus.FAILED:
                    self._note(f"failed: {result.error}", "red")
                elif result.status is TurnStatus.INTERRUPTED:
                    self._note("interrupted", "yellow")

    async def _ask(self, request: PermissionRequest) -> PermissionDecision:
        """The permission handler: one question at a time, answered by one key."""
        while self._question is not None:
            await self._question.closed.wait()
        question = self._question = _Question()
        try:
            self._end_line()
            shown = json.dumps(request.input, ensure_ascii=False)
            self._note(f"{request.tool_name}: {shown}", "bold", limit=INPUT_SHOWN)
            with _single_keys(self._descriptor):
                # Only now: a key that is pressed before would wait for an Enter.
                self._note("allow? y/n", "bold")
                answer = await question.answered()
            self._note(answer)
            return PermissionDecision("allow" if answer == "allow" else "deny")
        finally:
            self._question = None
            question.closed.set()

    # What the user does.

    async def _read(self) -> None:
        while data := await read_some(self._descriptor):
            await self._take(data)
        if self._rest:
            await self._take(b"\n")
        # The end of the input: what was sent is still answered.
        await self._conversation.wait_state(State.IDLE, State.CLOSED)
        await self._leave(ExitCode.DONE)

    async def _take(self, data: bytes) -> None:
        if self._question is not None:
            data = self._question.take(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            text = line.decode(errors="replace").strip()
            if text:
                await self._send(text)

    async def _send(self, text: str) -> None:
        try:
            await self._conversation.send(text)
            await self._conversation.settled()
        except (ConversationClosed, ConversationError) as error:
            self._note(str(error), "red")
            return
        if waiting := len(self._conversation.queued):
            self._note(f"queued, {waiting} waiting")

    async def _watch_signals(
        self, nursery: trio.Nursery, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        with trio.open_signal_receiver(signal.SIGINT) as signals:
            task_status.started()
            async for _ in signals:
                now = trio.current_time()
                if self._left is not None:
                    # It is leaving already, and too slowly: end the agent now.
                    nursery.cancel_scope.cancel(reason="Ctrl-C while leaving")
                elif now - self._interrupted_at < LEAVE_SECONDS:
                    nursery.start_soon(self._leave, ExitCode.INTERRUPTED)
                elif self._conversation.is_pending():
                    self._note("interrupting; Ctrl-C again to leave")
                    nursery.start_soon(self._interrupt)
                else:
                    self._note("Ctrl-C again to leave")
                self._interrupted_at = now

    async def _interrupt(self) -> None:
        try:
            receipt = await self._conversation.interrupt()
        except ConversationClosed:
            return
        if receipt.queued:
            self._note(f"{len(receipt.queued)} still queued")

    async def _leave(self, code: ExitCode) -> None:
        self._left = code
        self._note("leaving")
        report = await self._conversation.close()
        if report.unsent:
            self._note(f"never sent: {len(report.unsent)}")

    # The screen.

    def _write(self, text: str) -> None:
        safe = "\n".join(display_text(line, max(32, len(line))) if line else "" for line in text.split("\n"))
        self._console.print(safe, end="", markup=False)
        self._at_line_start = text.endswith("\n")

    def _end_line(self) -> None:
        if not self._at_line_start:
            self._console.print()
            self._at_line_start = True

    def _note(self, text: str, style: str = "dim", limit: int = 500) -> None:
        self._end_line()
        self._console.print(f"· {display_text(text, limit)}", style=style, markup=False)


class _Question:
    """A question that one key answers."""

    def __init__(self) -> None:
        self.closed = trio.Event()
        self._answer: str | None = None
        self._answered = trio.Event()

    def take(self, data: bytes) -> bytes:
        """Look for the answer in what was typed; returns what follows it, which is for somebody else."""
        for index in range(len(data)):
            answer = ANSWERS.get(data[index : index + 1].decode("ascii", "replace").lower())
            if answer is not None and self._answer is None:
                self._answer = answer
                self._answered.set()
                rest = data[index + 1 :]
                return rest.removeprefix(b"\r").removeprefix(b"\n")
        return b""

    async def answered(self) -> str:
        """Wait for the answer."""
        await self._answered.wait()
        assert self._answer is not None
        return self._answer


@contextmanager
def _single_keys(descriptor: int) -> Iterator[None]:
    """Let a terminal hand over each key at once instead of whole lines; anything else is left alone."""
    if not os.isatty(descriptor):
        yield
        return
    before = termios.tcgetattr(descriptor)
    tty.setcbreak(descriptor, termios.TCSADRAIN)  # what was typed already is not thrown away
    try:
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)

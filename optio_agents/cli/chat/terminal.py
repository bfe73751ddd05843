"""A chat at a terminal: text as it comes, questions answered by key, Ctrl-C to interrupt."""

from __future__ import annotations

import shlex
import signal

import trio
from rich.console import Console

from optio_agents.cli.chat.dialog import Dialog
from optio_agents.cli.chat.keyboard import Keyboard
from optio_agents.cli.chat.question_screen import QuestionScreen, harmless
from optio_agents.cli.chat.stdin_bytes import read_some
from optio_agents.cli.chat.visible import visible_line
from optio_agents.cli.exit_codes import ExitCode
from optio_agents.conversation import (
    AgentConversation,
    ConversationClosed,
    ConversationError,
    ConversationState,
    Origin,
    TurnStatus,
)
from optio_agents.protocol.display import display_text

LEAVE_SECONDS = 2.0
"""A second Ctrl-C within this time leaves."""


class TerminalChat:
    """One chat, from the start to the end of `run`, which returns the exit code."""

    def __init__(
        self, conversation: AgentConversation, descriptor: int, console: Console | None = None
    ) -> None:
        self._conversation = conversation
        self._descriptor = descriptor
        self._screen = QuestionScreen(
            console or Console(highlight=False, soft_wrap=True, emoji=False, markup=False)
        )
        self._keyboard = Keyboard(descriptor)
        self._dialog = Dialog(self._keyboard, self._screen.line, self._screen.size, self._screen.hold)
        self._interrupted_at = -LEAVE_SECONDS
        self._left: ExitCode | None = None

    async def run(self) -> int:
        """Talk until the input ends, Ctrl-C twice, or the agent ends."""
        conversation = self._conversation
        self._note(f"{conversation.name} is ready. Ctrl-C interrupts it, twice leaves; Ctrl-D leaves.")
        conversation.on_permission_request(self._dialog.permission)
        conversation.on_question(self._dialog.question)
        async with trio.open_nursery() as nursery:
            await nursery.start(self._watch_signals, nursery)
            nursery.start_soon(self._read)
            # These two end when they have shown everything.
            async with trio.open_nursery() as showing:
                showing.start_soon(self._show_text)
                showing.start_soon(self._report_results)
            nursery.cancel_scope.cancel(reason="the conversation has ended")
        if self._left is None:
            self._note(f"{conversation.name} has ended: {conversation.closed_reason}")
            return int(ExitCode.ENDED_EARLY)
        if conversation.session is not None and conversation.capabilities.resume:
            name = shlex.quote(conversation.session)
            if visible_line(name) == name:  # else it could not be pasted
                self._note(f"to take this up again: --resume {name}", limit=len(name) + 100)
        return int(self._left)

    # Events of the agent.

    async def _show_text(self) -> None:
        with self._conversation.events() as events:
            async for event in events:
                if event.text:
                    self._screen.write(harmless(event.text))

    async def _report_results(self) -> None:
        async for result in self._conversation.results():
            self._screen.end_line()
            by = " (a turn that it began by itself)" if result.origin is Origin.AGENT else ""
            if result.status is TurnStatus.FAILED:
                self._note(f"failed{by}: {result.error}", "red")
            elif result.status is TurnStatus.INTERRUPTED:
                self._note(f"interrupted{by}", "yellow")
            if result.lost_lines:
                self._note(f"{result.lost_lines} lines of this turn could not be read", "yellow")

    # Input of the user.

    async def _read(self) -> None:
        while True:
            data = await read_some(self._descriptor)
            for line in self._keyboard.take(data):
                await self._send(line)
            if not data:
                break
        # The end of the input: what was sent is still answered.
        await self._conversation.wait_state(ConversationState.IDLE, ConversationState.CLOSED)
        await self._leave(ExitCode.DONE)

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
                elif self._conversation.state is not ConversationState.IDLE:
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

    def _note(self, text: str, style: str = "dim", limit: int = 500) -> None:
        self._screen.line(f"· {display_text(text, limit)}", style)

"""A chat at a terminal: text as it comes, questions answered by key, Ctrl-C to interrupt."""

from __future__ import annotations

import shlex
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import trio
from rich.console import Console

from optio_agents.cli.chat.dialog import Dialog
from optio_agents.cli.chat.keyboard import Keyboard
from optio_agents.cli.chat.question_screen import QuestionScreen, harmless
from optio_agents.cli.chat.stdin_bytes import read_some
from optio_agents.cli.chat.summaries import tool_line, usage_line
from optio_agents.cli.chat.visible import visible_line
from optio_agents.cli.color import ColorChoice, color_options
from optio_agents.cli.exit_codes import ExitCode
from optio_agents.cli.state_directory import state_directory
from optio_agents.conversation import (
    AgentConversation,
    ConversationClosed,
    ConversationError,
    ConversationState,
    Origin,
    TurnStatus,
    views_of,
)
from optio_agents.protocol.display import display_text

if TYPE_CHECKING:
    from optio_agents.bridge import Boundary
    from optio_agents.cli.chat.editor_input import EditorInput

LEAVE_SECONDS = 2.0
"""A second Ctrl-C within this time leaves."""


COMMANDS = {
    "/help": "what can be typed here",
    "/stop": "interrupt the agent",
    "/quit": "leave when everything is answered",
}
"""The commands of the chat itself. Everything else is sent to the agent, its own commands included."""

HELP = """Enter sends, Alt-Enter begins a new line; a paste of several lines is one message.
Up and Down: earlier messages; Ctrl-R searches them.
Ctrl-C interrupts the agent, twice leaves; Ctrl-D leaves when everything is answered.
What is sent while the agent works waits for its turn."""


class TerminalChat:
    """One chat, from the start to the end of `run`, which returns the exit code.

    Args:
        conversation: with whom.
        descriptor: the input.
        boundary: the way to asyncio, on which the line editor runs; `None`: without a line editor.
        on_result: called after each turn.
        color: whether the output has colors.
    """

    def __init__(
        self,
        conversation: AgentConversation,
        descriptor: int,
        boundary: Boundary | None = None,
        on_result: Callable[[], object] = lambda: None,
        color: ColorChoice = "auto",
    ) -> None:
        self._conversation = conversation
        self._descriptor = descriptor
        self._keyboard = Keyboard(descriptor)
        console = Console(highlight=False, soft_wrap=True, emoji=False, markup=False, **color_options(color))
        self._input: EditorInput | None = None
        self._screen: QuestionScreen
        self._mark = "> " if console.options.ascii_only else "\N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK} "
        if boundary is None:
            self._screen = QuestionScreen(console)
        else:
            # Imported here: a pipe and a dumb terminal need neither prompt_toolkit nor Markdown.
            from optio_agents.cli.chat.editor_input import EditorInput
            from optio_agents.cli.chat.editor_screen import EditorScreen
            from optio_agents.cli.chat.line_editor import LineEditor

            history = state_directory() / "chat_history"
            editor = LineEditor(boundary, self._mark, COMMANDS, history, self._is_idle, console.no_color)
            self._screen = EditorScreen(console, editor)
            self._input = EditorInput(editor, self._keyboard, descriptor)
        self._dialog = Dialog(self._keyboard, self._screen.line, self._screen.size, self._alone)
        self._interrupted_at = -LEAVE_SECONDS
        self._left: ExitCode | None = None
        self._on_result = on_result
        self._shown_turn = 0
        self._all_is_shown = False
        self._shown = trio.Event()

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        """While the block runs, a question has the screen and the keyboard."""
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._screen.alone())
            if self._input is not None:
                await stack.enter_async_context(self._input.question())
            yield

    def _is_idle(self) -> bool:
        return self._conversation.state is ConversationState.IDLE

    async def run(self) -> int:
        """Talk until the input ends, Ctrl-C twice, or the agent ends."""
        conversation = self._conversation
        more = "" if self._input is None else " /help says more."
        self._note(f"{conversation.name} is ready. Ctrl-C interrupts it, twice leaves; Ctrl-D leaves.{more}")
        conversation.on_permission_request(self._dialog.permission)
        conversation.on_question(self._dialog.question)
        async with trio.open_nursery() as nursery:
            await nursery.start(self._watch_signals, nursery)
            nursery.start_soon(self._read if self._input is None else self._edit)
            # These two end when they have shown everything.
            async with trio.open_nursery() as showing:
                showing.start_soon(self._show_events)
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

    async def _show_events(self) -> None:
        with self._conversation.events() as events:
            async for event in events:
                if event.text:
                    self._screen.write(harmless(event.text))
                for view in views_of(event):
                    if (line := tool_line(view)) is not None:
                        self._screen.write(f"\N{MIDDLE DOT} {line}\n", own_line=True)
                if event.kept:
                    self._screen.end_line()
                    self._shown_turn = event.turn or self._shown_turn
                    self._notify_shown()
        self._all_is_shown = True
        self._notify_shown()

    def _notify_shown(self) -> None:
        self._shown.set()
        self._shown = trio.Event()

    async def _report_results(self) -> None:
        async for result in self._conversation.results():
            # Its text comes through another subscription, and stands above its result.
            while result.raw is not None and self._shown_turn < result.turn and not self._all_is_shown:
                await self._shown.wait()
            self._screen.end_line()
            self._on_result()
            by = " (a turn that it began by itself)" if result.origin is Origin.AGENT else ""
            if result.usage is not None and (line := usage_line(result.usage)):
                self._note(line)
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
        await self._leave_when_answered()

    async def _edit(self) -> None:
        assert self._input is not None
        while True:
            try:
                line = (await self._input.next_line()).strip()
            except EOFError:
                break
            if not line:
                continue
            self._show_typed(line)
            if line == "/quit":
                break
            if line == "/help":
                self._show_help()
            elif line == "/stop":
                await self._interrupt()
            else:
                await self._send(line)
        await self._leave_when_answered()

    def _show_typed(self, line: str) -> None:
        first, *more = harmless(line).split("\n")
        self._screen.line(self._mark + first, "bold")
        for each in more:
            self._screen.line(" " * len(self._mark) + each, "bold")

    def _show_help(self) -> None:
        for line in [*HELP.split("\n"), *(f"{name}  {about}" for name, about in COMMANDS.items())]:
            self._screen.line(f"  {line}", "dim")

    async def _leave_when_answered(self) -> None:
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
                elif not self._is_idle():
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
